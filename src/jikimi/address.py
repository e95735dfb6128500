"""Camera addresses: what may be shown of them. Credentials are replaced before anything is printed."""

import re
from dataclasses import dataclass, field

HIDDEN = "***"

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
# Query parameters and path parts by which cameras take a log-in (`?user=…`, `/user=admin_password=…`).
_SECRET = re.compile(r"(?i)(user|usr|login|pass|pwd|pw|psw|auth|token|key|secret|sig|session|cred)[\w.-]*=")


@dataclass(frozen=True, slots=True)
class Address:
    """An address that prints without its credentials; `reveal` is for whoever opens it."""

    _whole: str = field(repr=False)

    def __str__(self) -> str:
        return redact(self._whole)

    def __repr__(self) -> str:
        return f"Address({redact(self._whole)!r})"

    def reveal(self) -> str:
        """Return the address with its credentials."""
        return self._whole

    @property
    def is_network(self) -> bool:
        """Whether this is a `scheme://` address and no path."""
        return is_network(self._whole)

    @property
    def scheme(self) -> str:
        """`rtsp`, `http`, … in lower case; empty for a path."""
        return self._whole.partition("://")[0].lower() if self.is_network else ""


def is_network(source: str) -> bool:
    """Whether `source` is a `scheme://` address and no path."""
    return _SCHEME.match(source) is not None


def redact(source: str) -> str:
    """Return an address without credentials; a path is returned as it is.

    All before the last '@' goes, since an unencoded password may hold '/', '?', '#' and '@' itself; from the
    first parameter that names a secret everything goes, since its value may hold any separator.
    """
    scheme = _SCHEME.match(source)
    if scheme is None:
        return source
    whole = source[scheme.end() :]
    secret = _SECRET.search(whole)
    if secret is not None and "@" in whole[secret.start() :]:
        return scheme.group() + HIDDEN  # a password with '=' in it, or a parameter with '@': nothing is sure
    _, at, rest = whole.rpartition("@")
    secret = _SECRET.search(rest)
    if secret is not None:
        rest = rest[: secret.end()] + HIDDEN
    return scheme.group() + (HIDDEN + at if at else "") + rest


def redact_text(text: str, addresses: list[Address]) -> str:
    """Return free text (a log line, a trace) in which none of the addresses shows its credentials."""
    for address in addresses:
        if address.is_network:
            text = text.replace(address.reveal(), str(address))
    return re.sub(r"([A-Za-z][A-Za-z0-9+.-]*://)\S*@", rf"\1{HIDDEN}@", text)
