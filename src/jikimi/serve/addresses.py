"""Which addresses the API takes: nothing that would let it feel its way through the network.

Where a host is found out here is where FFmpeg will go; an address that readers could read in two ways is
refused. A name is looked up when it is entered and again when it is opened: it may have changed in between.
"""

import contextlib
import re
import socket
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path

from jikimi.address import HIDDEN, Address
from jikimi.errors import SettingsError
from jikimi.serve.aside import aside
from jikimi.serve.problems import Unusable

SCHEMES = frozenset({"rtsp", "rtsps", "http", "https", "rtmp", "srt"})

RESOLVE_LIMIT_S = 3.0

Resolve = Callable[[str], list[str]]
"""A host's IP addresses. Raises SettingsError."""

_PLACE = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(?::(?P<port>\d{1,5}))?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\\\ud800-\udfff]")
_LISTENER = re.compile(r"(?i)mode=(listener|rendezvous)")

_ITSELF = "leads to this machine itself"

_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052
# "This network" reaches the machine itself on Linux; fd00:ec2::254 is a cloud's metadata, RFC 1122, AWS.
_NEVER = (ip_network("0.0.0.0/8"), ip_network("fd00:ec2::254/128"))


def usable(address: Address, *, media: Path, allow_loopback: bool, resolve: Resolve) -> Address:
    """Return the address that is to be stored: a network one as it is, a file's in full.

    Raises:
        Unusable: not an address of a camera, or not a file in `media`; no log-in is quoted.
    """
    if not address.is_network:
        return _in_media(address, media)
    for ip in resolve(host_of(address)):
        if why := refusal(ip, allow_loopback=allow_loopback):
            raise Unusable("address-never", address=address, why=why)
    return address


def check_hosts(hosts: Iterable[str], *, must_be_known: bool, allow_loopback: bool, resolve: Resolve) -> None:
    """Refuse hosts that a target may not lead to; no url is quoted.

    Not `must_be_known`: a name that nobody knows may pass, since it may be none (ntfy://TOPIC has no host).

    Raises:
        SettingsError: this machine itself, an address that leads to no one machine, or an unknown name.
    """
    for host in hosts:
        try:
            ips = resolve(host)
        except SettingsError:
            if must_be_known:
                words = "url: its host is not known; check the name, or give an IP"
                raise SettingsError(words) from None
            continue
        for ip in ips:
            why = refusal(ip, allow_loopback=allow_loopback)
            if why == _ITSELF:
                cure = "put this target into jikimi.toml, or set local_targets of [serve]"
                raise SettingsError(f"url: it {why}; {cure}")
            if why:
                raise SettingsError(f"url: it {why}; give the receiver's own address")


def host_of(address: Address) -> str:
    """The host to which a network address leads. Pure.

    Raises:
        Unusable: another scheme, or an address that could be read in several ways.
    """
    if address.scheme not in SCHEMES:
        raise Unusable("address-scheme", address=address, schemes=", ".join(sorted(SCHEMES)))
    whole = address.reveal()
    rest = whole.partition("://")[2]
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if _CONTROL.search(whole) or "@" in rest[len(authority) :]:
        raise Unusable("address-signs")
    if HIDDEN in authority.rpartition("@")[0]:
        raise Unusable("address-hidden", address=address)
    place = _PLACE.fullmatch(authority.rpartition("@")[2])
    if place is None or not 0 < int(place["port"] or 1) <= 65535:
        raise Unusable("address-form", address=address, scheme=address.scheme)
    if address.scheme == "srt" and _LISTENER.search(rest):
        raise Unusable("address-listens", address=address)
    return place["v6"] or place["name"]


def refusal(ip: str, *, allow_loopback: bool) -> str | None:
    """Why an IP address may not be a camera's; None: it may. Pure."""
    found = ip_address(ip.partition("%")[0])
    for each in (found, *_carried(found)):
        if each.is_loopback and not allow_loopback:
            return _ITSELF
        if each.is_link_local or each.is_multicast or each.is_unspecified:
            return "leads to no single machine of this network"
        if any(each in network for network in _NEVER) or (each.is_reserved and each.version == 4):
            return "leads to a reserved address"
    return None


def _carried(ip: IPv4Address | IPv6Address) -> list[IPv4Address]:
    """IPv4 addresses that an IPv6 one stands for."""
    if isinstance(ip, IPv4Address):
        return []
    found = [ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ())]
    if ip in _NAT64 or (int(ip) >> 32 == 0 and int(ip) > 1):  # also the old ::a.b.c.d
        found.append(IPv4Address(int(ip) & 0xFFFFFFFF))
    return [each for each in found if each is not None]


def look_up(host: str) -> list[str]:
    """A host's IP addresses, by the machine's name service.

    Raises:
        Unusable: there is none of that name, or nobody says so within `RESOLVE_LIMIT_S`.
    """
    with contextlib.suppress(ValueError):
        return [str(ip_address(host))]
    try:
        rows = aside(lambda: socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)).result(RESOLVE_LIMIT_S)
    except TimeoutError:
        raise Unusable("address-slow", host=host, seconds=f"{RESOLVE_LIMIT_S:.0f}") from None
    except (OSError, UnicodeError):
        raise Unusable("address-unknown", host=host) from None
    return [str(row[4][0]) for row in rows]


def _in_media(address: Address, media: Path) -> Address:
    try:
        found = (media / address.reveal()).resolve(strict=True)
        inside = found.is_relative_to(media.resolve()) and found.is_file()
    except (OSError, ValueError, RuntimeError):  # none there, no name for a file, links in a circle
        inside = False
    if not inside:  # the same words for what is not there: nobody is told what lies elsewhere
        raise Unusable("address-file", media=media)
    return Address(str(found))
