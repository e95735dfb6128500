"""Everything that Apprise can reach: messengers, mail, SMS. Its own words go unheard: they quote secrets."""

import re
import time
import warnings

import apprise

from jikimi.alert.deadline import LIMIT_S, Deadline
from jikimi.alert.message import Message
from jikimi.alert.quiet import silence
from jikimi.errors import AlertError, RefusedError
from jikimi.settings import Target

# urllib3 and requests tell paths, which hold the tokens of most messengers; apprise whole addresses.
silence("apprise", "urllib3", "requests", "charset_normalizer", "markdown", "MARKDOWN")

# All plug-ins are loaded at the first address, 1.4 s: here, so that no alert waits for it and no other thread
# sees the warnings switched off. Some of them use what Python has deprecated.
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    apprise.Apprise.instantiate("json://localhost")

_BRACKETED = re.compile(r"\[([0-9A-Fa-f:.]+)\]")

_TYPES = {
    "opened": apprise.NotifyType.FAILURE,
    "escalated": apprise.NotifyType.FAILURE,
    "closed": apprise.NotifyType.SUCCESS,
    "test": apprise.NotifyType.INFO,
}


def hosts_of_apprise(url: str) -> list[str]:
    """The hosts that an address names itself; a service's own, as Slack's, are not among them.

    Where a plug-in takes a host, its templates say so; otherwise what stands there may be a token.

    Raises:
        RefusedError: Apprise does not understand the address; it is not quoted.
    """
    found = [
        str(getattr(server, key, None) or "").strip("[]")
        for server in _sender(url)
        if "{host}" in str(server.templates)
        for key in ("host", "smtp_host")
    ]
    found += _BRACKETED.findall(url)  # Apprise takes the last part of some for a port
    return [host for host in dict.fromkeys(found) if host]


def _sender(url: str) -> apprise.Apprise:
    """What sends to an address, or several. Raises RefusedError."""
    sender = apprise.Apprise(asset=apprise.AppriseAsset(async_mode=False, app_id="Jikimi"))
    if not sender.add(url) or not len(sender):
        raise RefusedError("Apprise does not understand the url; see its wiki for the service's form")
    return sender


class AppriseChannel:
    """Sends to one Apprise address (or several, separated as Apprise takes them)."""

    def __init__(self, target: Target, *, limit_s: float = LIMIT_S) -> None:
        """Take a target of kind `apprise`; nothing is sent yet.

        Raises:
            RefusedError: Apprise does not understand its url; the url is not quoted.
        """
        self._name, self._url = target.name, target.url
        self._deadline = Deadline(limit_s=limit_s)
        self._pause_s = self._slowest_pause_s()
        self._last_s = -self._pause_s

    def __repr__(self) -> str:
        return f"AppriseChannel({self._name!r})"

    def send(self, message: Message, *, key: str) -> None:
        """Send title and text; Apprise has no place for the key.

        Raises:
            AlertError: it did not arrive. Apprise does not say why.
        """
        kind = _TYPES.get(str(message.payload.get("event")), apprise.NotifyType.WARNING)
        if message.payload.get("subject") == "fault" and kind is apprise.NotifyType.FAILURE:
            kind = apprise.NotifyType.WARNING
        self._pace()
        try:
            arrived = self._deadline.run(lambda: self._notify(message, kind))
        except AlertError as error:
            raise AlertError(f"target {self._name!r}: {error}") from None
        if not arrived:
            raise AlertError(
                f"target {self._name!r}: Apprise could not deliver; check the url, its tokens and the service"
            )

    def close(self) -> None:
        """Nothing stays open between messages."""

    def _notify(self, message: Message, kind: apprise.NotifyType) -> bool:
        try:
            sender = self._sender()
            arrived = sender.notify(
                body=message.text,
                title=message.title,
                notify_type=kind,
                body_format=apprise.NotifyFormat.TEXT,
            )
        except Exception as error:  # noqa: BLE001 - a hundred plug-ins: whatever one throws may quote the url
            raise AlertError(f"Apprise failed ({type(error).__name__})") from None
        return bool(arrived)

    def _sender(self) -> apprise.Apprise:
        # A new one each time: an old one waits by the wall clock between messages, for an hour if that is
        # set back by an hour.
        return _sender(self._url.get_secret_value())

    def _slowest_pause_s(self) -> float:
        try:
            return max(float(server.request_rate_per_sec) for server in self._sender())
        except RefusedError as error:
            raise RefusedError(f"target {self._name!r}: {error}") from None
        except Exception as error:  # noqa: BLE001 - a plug-in that cannot be built; its words may quote the url
            raise RefusedError(f"target {self._name!r}: Apprise failed ({type(error).__name__})") from None

    def _pace(self) -> None:
        """Keep the pause that the service asks for (Apprise's own: 5.5 s), by the monotonic clock."""
        wait_s = self._last_s + self._pause_s - time.monotonic()
        time.sleep(min(max(wait_s, 0.0), 10.0))
        self._last_s = time.monotonic()
