"""Webhooks: a signed POST, and the check that receivers make of it.

A request carries `Jikimi-Key` (the idempotency key, percent-encoded: names may be Korean), `Jikimi-Timestamp`
(Unix seconds of this try) and `Jikimi-Signature`, `v1=` and the hex HMAC-SHA-256 by the shared secret of the
timestamp, a '.' and the body as it was sent.
"""

import hashlib
import hmac
import time
from collections.abc import Callable
from urllib.parse import quote

from jikimi.alert.deadline import LIMIT_S
from jikimi.alert.message import Message
from jikimi.alert.web import WebCaller
from jikimi.errors import AlertError, RefusedError
from jikimi.settings import Target

KEY_HEADER, TIME_HEADER, SIGNATURE_HEADER = "Jikimi-Key", "Jikimi-Timestamp", "Jikimi-Signature"
WINDOW_S = 300


def sign(*, secret: str, body: bytes, timestamp: str) -> str:
    """Return the signature's header: `v1=` and 64 hex digits."""
    signed = timestamp.encode() + b"." + body
    return "v1=" + hmac.new(secret.encode("utf-8", "surrogatepass"), signed, hashlib.sha256).hexdigest()


def verify_signature(
    *, secret: str, body: bytes, timestamp: str, signature: str, now_s: float | None = None
) -> bool:
    """Say whether a webhook is Jikimi's and at most 5 minutes old; for receivers, in constant time.

    `body` is what came, byte for byte; `timestamp` and `signature` are the headers; `now_s` Unix seconds, the
    machine's by default. A receiver then drops a `Jikimi-Key` it has seen: alerts come at least once.
    """
    expected = sign(secret=secret, body=body, timestamp=timestamp)
    genuine = hmac.compare_digest(expected.encode(), signature.encode("utf-8", "surrogatepass"))
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        return False
    age_s = (time.time() if now_s is None else now_s) - int(timestamp)
    return genuine and abs(age_s) <= WINDOW_S


class WebhookChannel:
    """Posts to one webhook."""

    def __init__(
        self, target: Target, *, limit_s: float = LIMIT_S, unix_s: Callable[[], float] = time.time
    ) -> None:
        """Take a target of kind `webhook`; nothing is sent yet.

        Raises:
            RefusedError: its url cannot be used.
        """
        self._name, self._unix_s = target.name, unix_s
        self._secret = target.secret
        try:
            self._caller = WebCaller(target.url.get_secret_value(), limit_s=limit_s)
        except RefusedError as error:
            raise RefusedError(f"target {target.name!r}: {error}") from None

    def __repr__(self) -> str:
        return f"WebhookChannel({self._name!r})"

    def send(self, message: Message, *, key: str) -> None:
        """Post the message.

        Raises:
            RefusedError: only a change there or here will help. AlertError: trying again may.
        """
        body = message.body(key)
        timestamp = str(int(self._unix_s()))
        headers = {
            "Content-Type": "application/json",
            KEY_HEADER: quote(key, safe=":"),
            TIME_HEADER: timestamp,
            SIGNATURE_HEADER: self._signature(body, timestamp),
        }
        try:
            self._caller.request("POST", headers=headers, content=body)
        except AlertError as error:
            raise type(error)(f"target {self._name!r}: {error}") from None

    def close(self) -> None:
        """Close the connection."""
        self._caller.close()

    def _signature(self, body: bytes, timestamp: str) -> str:
        secret = self._secret.get_secret_value() if self._secret is not None else ""
        return sign(secret=secret, body=body, timestamp=timestamp)
