"""A broker's address taken apart; passwords may be percent-encoded or not."""

import re
from dataclasses import dataclass, field
from urllib.parse import unquote

from jikimi.errors import RefusedError

PLAIN_PORT, TLS_PORT = 1883, 8883

_HOST = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<name>[^:\s\[\]]+))(?::(?P<port>[0-9]{1,5}))?")


@dataclass(frozen=True, slots=True)
class Broker:
    """Where a broker is and how to log in; prints without either."""

    host: str = field(repr=False)
    port: int = field(repr=False)
    tls: bool
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)


def parse_broker(url: str) -> Broker:
    """Take `mqtt://user:pass@host:1883` or `mqtts://…` apart.

    Everything before the last '@' is the log-in, since an unencoded password may hold '/', '#', '?' and '@'.

    Raises:
        RefusedError: it is no such address, in words that do not quote it.
    """
    scheme, _, rest = url.strip().partition("://")
    login, at, place = rest.rpartition("@")
    found = _HOST.fullmatch(place.rstrip("/"))
    if scheme not in ("mqtt", "mqtts") or found is None:
        raise RefusedError("the url is not mqtt://host:1883 or mqtts://host:8883; correct it")
    tls = scheme == "mqtts"
    port = int(found["port"] or (TLS_PORT if tls else PLAIN_PORT))
    host = found["six"] or _known_form(found["name"])
    if not 0 < port < 65536:
        raise RefusedError("the url's port is not 1 to 65535; correct it")
    if not at:
        return Broker(host, port, tls)
    user, colon, password = login.partition(":")
    return Broker(host, port, tls, unquote(user), unquote(password) if colon else None)


def _known_form(host: str) -> str:
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError:  # the library would find out in a thread of its own and lose it
        raise RefusedError("the url's host name is not possible; correct it") from None
