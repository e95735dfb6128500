"""Try a camera: open its streams once, look for a few seconds, tell what they send."""

import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from jikimi.address import Address
from jikimi.errors import CameraCause, CameraError, SettingsError
from jikimi.frame import Image
from jikimi.settings import CameraSettings
from jikimi.video import Decoder, Packet, Scaler
from jikimi.watch.camera import CameraReader, Tick, View
from jikimi.watch.recorder import Keep
from jikimi.watch.regions import Regions
from jikimi.watch.sources import SCHEMES, Camera, is_live

# Large enough to see whether it is the right camera.
_PICTURE_PX = 270

# A stream is looked at for this long at least, so that its rate is counted and not believed …
_LOOK_S = 1.0

# … and until its second keyframe, which "smart" codecs send 10 s after the first.
_KEYFRAMES = 2

# What is left of the time is for whoever waits: a reader in native code ends a moment after it is told to.
_MARGIN_S = 0.5

# What FFmpeg says of a stream that it cannot open → what that means.
_CAUSES: Mapping[str, CameraCause] = {
    "401": "login",
    "403": "rights",
    "404": "path",
    "refused": "refused",
    "unreachable": "unreachable",
    "No route": "unreachable",
    "Name or service": "unknown-host",
    "Input/output": "unreachable",
}

_CURES: Mapping[CameraCause, str] = {
    "login": "check user and password",
    "rights": "this user may not see the stream; check its rights",
    "path": "the camera knows no such path; check the address",
    "refused": "nothing listens there; check host and port",
    "unreachable": "check host, port and network",
    "unknown-host": "the host's name is not known; check it",
    "silent": "check power, cable and address",
}


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """What one stream sends. `fps` and `keyframe_s` (seconds from one to the next) are counted, not believed.

    `keyframe_s` is None where no second keyframe came while it was looked at, `looked_s` seconds. The first
    picture, uint8 RGB (H, W, 3), is small, and blackened where the camera's masks say so.
    """

    address: str
    codec: str
    width_px: int
    height_px: int
    fps: float | None
    first_picture_s: float
    keyframe_s: float | None
    looked_s: float
    picture_HWC: Image | None = field(default=None, repr=False, compare=False)

    def as_json(self) -> dict[str, object]:
        """The same as plain values, without the picture."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        del values["picture_HWC"]
        return values


@dataclass(frozen=True, slots=True)
class CameraFacts:
    """What a camera sends: the stream that is recorded, and the one that is analysed where it has its own."""

    name: str
    main: StreamFacts
    sub: StreamFacts | None = None

    def as_json(self) -> dict[str, object]:
        """The same as plain values, without the pictures."""
        sub = None if self.sub is None else self.sub.as_json()
        return {"name": self.name, "main": self.main.as_json(), "sub": sub}


def try_camera(settings: CameraSettings, *, within_s: float = 10.0) -> CameraFacts:
    """Look at a camera's streams, both at once, for at most `within_s` seconds.

    Raises:
        SettingsError: an address that is never watched.
        CameraError: a stream that cannot be opened or sends no picture; no log-in is quoted.
    """
    check_address(settings)
    which = "main stream" if settings.sub is not None else ""
    tries = [_Try(settings, settings.address, which, within_s=within_s)]
    if settings.sub is not None:
        tries.append(_Try(settings, settings.sub, "sub-stream", within_s=within_s))
    until = time.monotonic() + within_s
    for one in tries:
        one.start()
    facts = [one.facts(until) for one in tries]
    return CameraFacts(settings.name, *facts)


def check_address(settings: CameraSettings) -> None:
    """Refuse what is no camera: FFmpeg reads much that nobody should (`concat:`, `file:`, …).

    Raises:
        SettingsError: a scheme that is not watched, or a file or device that is not there.
    """
    for address in filter(None, (settings.address, settings.sub)):
        if address.is_network and address.scheme not in SCHEMES:
            raise SettingsError(
                f"camera {settings.name!r}: {address.scheme}:// is not watched; "
                f"use {', '.join(sorted(SCHEMES))}"
            )
        if not address.is_network and not Path(address.reveal()).exists():
            raise SettingsError(
                f"camera {settings.name!r}: {address}: no such file or device; check the path"
            )


@dataclass(slots=True)
class _Looking(CameraReader):
    """Reads one stream without keeping anything; counts pictures and keyframes by the stream's own time."""

    began_s: float = field(default=0.0, init=False)
    first_picture_s: float | None = field(default=None, init=False)
    picture_HWC: Image | None = field(default=None, init=False)
    times_s: list[float] = field(default_factory=list, init=False)
    keyframes_s: list[float] = field(default_factory=list, init=False)

    def _read(self, packets: Iterator[Packet], decoder: Decoder) -> Iterator[Tick]:
        for packet in packets:
            if self.first_picture_s is None and (decoded := decoder.decode(packet)):
                self.first_picture_s = time.monotonic() - self.began_s
                self.picture_HWC = Scaler(_PICTURE_PX)(decoded[0][0])
            self._note(packet)
            if self.stop.is_set() or self._seen_enough():
                break
        if self.first_picture_s is None:
            last = f" ({decoder.last_error})" if decoder.last_error else ""
            self.problem = f"{self.camera.address}: no picture came{last}"
        yield from ()

    def _note(self, packet: Packet) -> None:
        stamp = packet.dts if packet.dts is not None else packet.pts
        if stamp is None or not packet.size:
            return
        self.times_s.append(float(stamp * packet.time_base))
        if packet.is_keyframe:
            self.keyframes_s.append(self.times_s[-1])

    def _seen_enough(self) -> bool:
        seen = self.first_picture_s is not None and len(self.keyframes_s) >= _KEYFRAMES
        return seen and self.times_s[-1] - self.times_s[0] >= _LOOK_S


class _Try:
    """One stream, in a thread that is left behind where native code does not return."""

    def __init__(self, settings: CameraSettings, address: Address, which: str, *, within_s: float) -> None:
        self._where = f"camera {settings.name!r}" + (f", {which}" if which else "")
        camera = Camera(settings.name, address, is_live(address), settings.transport)
        limit_s = max(0.1, within_s - _MARGIN_S)
        view = View(1.0, 64, paced=False, keep=Keep(), open_timeout_s=limit_s, read_timeout_s=limit_s)
        self._regions = Regions(settings.zones, settings.masks)
        self._reader = _Looking(camera, view, None, threading.Event())
        self._thread = threading.Thread(target=self._run, name="try-camera", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._reader.began_s = time.monotonic()
        self._thread.start()

    def _run(self) -> None:
        for _ in self._reader.ticks():
            continue

    def facts(self, until: float) -> StreamFacts:
        """Wait until everything is seen, or the time is over. Raises CameraError."""
        reader = self._reader
        self._thread.join(max(0.0, until - _MARGIN_S - time.monotonic()))
        reader.stop.set()
        self._thread.join(max(0.0, until - time.monotonic()))
        if reader.first_picture_s is None or reader.info is None:
            problem = reader.problem or f"{reader.camera.address}: no picture in time"
            cause = _cause(problem)
            raise CameraError(f"{self._where}: {problem}; {_CURES[cause]}", cause=cause)
        return _facts(reader, self._regions)


def _facts(reader: _Looking, regions: Regions) -> StreamFacts:
    assert reader.info is not None and reader.first_picture_s is not None
    times_s, keyframes_s = list(reader.times_s), list(reader.keyframes_s)
    looked_s = times_s[-1] - times_s[0] if times_s else 0.0
    counted = round((len(times_s) - 1) / looked_s, 1) if looked_s > 0 else None
    between_s = None
    if len(keyframes_s) >= _KEYFRAMES:
        between_s = (keyframes_s[-1] - keyframes_s[0]) / (len(keyframes_s) - 1)
    return StreamFacts(
        address=str(reader.camera.address),
        codec=reader.info.codec,
        width_px=reader.info.width_px,
        height_px=reader.info.height_px,
        fps=counted if counted is not None else reader.info.fps,
        first_picture_s=round(reader.first_picture_s, 2),
        keyframe_s=None if between_s is None else round(between_s, 2),
        looked_s=round(looked_s, 2),
        picture_HWC=None if reader.picture_HWC is None else regions.shown(reader.picture_HWC),
    )


def _cause(problem: str) -> CameraCause:
    return next((cause for word, cause in _CAUSES.items() if word in problem), "silent")
