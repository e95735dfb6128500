"""One HTTP request with a hard end, whose failures are told without a word of the address."""

import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from typing import Literal

import httpx

from jikimi.alert.deadline import LIMIT_S, Deadline
from jikimi.alert.quiet import silence
from jikimi.errors import AlertError, RefusedError

silence("httpx", "httpcore")  # httpx tells every address at INFO, and a webhook's path may be its password

# 4xx that may be another answer next time (RFC 9110 15.5, RFC 6585, RFC 8470).
_TRANSIENT = frozenset({408, 409, 425, 429})


_HOST = re.compile(rb"[A-Za-z0-9_.:-]+")


class WebCaller:
    """Sends requests to one address. Redirects are not followed: they could lead a signed body elsewhere."""

    def __init__(self, url: str, *, limit_s: float = LIMIT_S) -> None:
        """Take the address.

        Raises:
            RefusedError: it is no address, in words that do not quote it.
        """
        self._url = _checked(url)
        step_s = 0.85 * limit_s  # so that httpx, which knows more, speaks before the deadline does
        timeout = httpx.Timeout(step_s, connect=step_s / 2)
        self._client = httpx.Client(timeout=timeout, follow_redirects=False)
        self._deadline = Deadline(limit_s=limit_s)

    def request(
        self,
        method: Literal["GET", "POST"],
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes = b"",
    ) -> None:
        """Send and wait for a status of success; the answer's body is not read.

        Raises:
            RefusedError: a status that trying again will not change.
            AlertError: no connection, no answer in time, or a status of passing trouble.
        """
        _judge(self._deadline.run(lambda: self._status(method, headers=headers or {}, content=content)))

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _status(self, method: str, *, headers: Mapping[str, str], content: bytes) -> int:
        try:
            with self._client.stream(method, self._url, headers=dict(headers), content=content) as answer:
                return answer.status_code
        except (httpx.HTTPError, httpx.InvalidURL, OSError, RuntimeError, ValueError) as error:
            raise AlertError(failure_words(error)) from None  # their own words quote addresses


def host_of(url: str) -> str:
    """The host to which requests go. Raises RefusedError: it is no address, in words that do not quote it."""
    return _checked(url).raw_host.decode("ascii")


def _checked(url: str) -> httpx.URL:
    try:
        found = httpx.URL(url)
    except (httpx.InvalidURL, UnicodeError, ValueError):
        raise RefusedError("the url is not an http:// or https:// address; correct it") from None
    if found.scheme not in ("http", "https") or not _HOST.fullmatch(found.raw_host):
        raise RefusedError("the url is not an http:// or https:// address; correct it")
    return found


def failure_words(error: BaseException) -> str:
    """Say what went wrong with a connection without its address."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLError):
            reason = (cause.reason or "failed").replace("_", " ").lower()
            return f"TLS: {reason}; check the certificate"
        if isinstance(cause, socket.gaierror):
            return "the host's name is not known; check the url and the name server"
        if isinstance(cause, ConnectionError):
            return f"no connection ({cause.strerror or type(cause).__name__}); check that it runs"
    if isinstance(error, httpx.ConnectTimeout):
        return "no connection in time; check that it runs and can be reached"
    if isinstance(error, (httpx.TimeoutException, TimeoutError)):
        return "no answer in time; check that it runs"
    return f"the connection failed ({type(error).__name__})"


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    for _ in range(10):  # chains are short; one that loops must not hold us
        if cause is None:
            return
        yield cause
        cause = cause.__cause__ or cause.__context__


def _judge(status: int) -> None:
    if 200 <= status < 300:
        return
    if 300 <= status < 400:
        raise RefusedError(f"HTTP {status}: redirects are not followed; give the final url")
    if 400 <= status < 500 and status not in _TRANSIENT:
        raise RefusedError(f"HTTP {status}: refused; check the url, the secret and what the receiver takes")
    raise AlertError(f"HTTP {status}: the receiver is in trouble")
