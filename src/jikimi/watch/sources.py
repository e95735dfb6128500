"""What a user names → cameras: files, folders of files, network addresses, USB devices."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from jikimi.address import HIDDEN, Address, is_network
from jikimi.errors import SettingsError

# Addresses that FFmpeg reads live video from, and no other of its protocols (`concat:`, `subfile:`, …).
SCHEMES = frozenset({"rtsp", "rtsps", "rtmp", "rtmps", "http", "https", "srt", "udp", "rtp", "tcp"})

_CONTAINERS = ".mp4 .m4v .mov .3gp .avi .mkv .webm .ts .m2ts .mts .mpg .mpeg .wmv .asf .flv .gif .dav"
_BARE_STREAMS = ".h264 .264 .h265 .265 .hevc"
VIDEO_SUFFIXES = frozenset(f"{_CONTAINERS} {_BARE_STREAMS}".split())


@dataclass(frozen=True, slots=True)
class Camera:
    """One view to watch. `name` is unique and free of credentials; `live` cannot be paused or read twice.

    `transport` is how an RTSP camera sends: UDP loses packets, and firewalls lose UDP.
    """

    name: str
    address: Address
    live: bool
    transport: Literal["tcp", "udp"] = "tcp"


def find_cameras(sources: Sequence[str]) -> list[Camera]:
    """Turn what the user named into cameras with distinct names, folders spread out in order of path.

    Raises:
        SettingsError: nothing named, no such file, a folder without videos, or an address nobody can read.
    """
    if not sources:
        raise SettingsError("nothing to watch; name a file, a folder, an address or a device")
    addresses = [address for source in sources for address in _spread(source)]
    names = _distinct(_name(address) for address in addresses)
    return [
        Camera(name, address, live=is_live(address)) for name, address in zip(names, addresses, strict=True)
    ]


def _spread(source: str) -> list[Address]:
    if is_network(source):
        address = Address(source)
        check_scheme(address)
        return [address]
    path = Path(source)
    if path.is_dir():
        videos = sorted(p for p in path.rglob("*") if p.suffix.lower() in VIDEO_SUFFIXES and p.is_file())
        if not videos:
            raise SettingsError(f"{source}: no videos in this folder")
        return [Address(str(video)) for video in videos]
    if not path.exists():
        raise SettingsError(f"{source}: no such file, folder or device")
    return [Address(source)]


def check_scheme(address: Address) -> None:
    """Refuse an address that nobody can watch.

    Raises:
        SettingsError: its scheme is none of those that are read.
    """
    if address.is_network and address.scheme not in SCHEMES:
        raise SettingsError(
            f"{address}: {address.scheme}:// is not watched; use {', '.join(sorted(SCHEMES))}"
        )


def is_live(address: Address) -> bool:
    """Whether this is a camera, as against a recording."""
    return address.is_network or _is_device(address.reveal())


def _is_device(path: str) -> bool:
    return path.startswith("/dev/video")


def _name(address: Address) -> str:
    """File stem, device name, or host and path of an address: what follows the last '@', before any '?'."""
    if not address.is_network:
        return Path(address.reveal()).stem or "camera"
    shown = str(address).partition("://")[2].rpartition("@")[2]
    parts = shown.partition("?")[0].replace(":", "-").split("/")
    return "-".join(part for part in parts if part and HIDDEN not in part) or "camera"


def _distinct(names: Iterable[str]) -> list[str]:
    """Return the names, later ones of a kind numbered: `door`, `door-2`."""
    taken: list[str] = []
    for name in names:
        candidate, number = name, 1
        while candidate in taken:
            number += 1
            candidate = f"{name}-{number}"
        taken.append(candidate)
    return taken
