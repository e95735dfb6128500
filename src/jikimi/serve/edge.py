"""The outer edge: headers of every answer, and one way to say what is wrong, without secrets."""

import logging
import re
import traceback
from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jikimi.errors import JikimiError
from jikimi.serve.problems import Refusal, problem, refusal_of
from jikimi.serve.shown import veiled

log = logging.getLogger(__name__)

# Strict-Transport-Security is not among them: it would bind every other port of the same host to TLS.
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}

# Pages load their own scripts and styles and nothing from elsewhere. NiceGUI's have parts in the page itself
# and compile templates, which a stricter policy would forbid.
_PAGE_HEADERS = _HEADERS | {
    "Referrer-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; media-src 'self'; font-src 'self' data:; "
    "connect-src 'self'; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'",
}

_NO_PAGES = ("/api", "/healthz", "/metrics")

_RETRY = {"Retry-After": "2"}

# How many mistakes of a request are told.
_MOST_TOLD = 3

# A key of a body is the caller's own word: one that may be an address in the wrong place is not repeated.
_PLAIN = re.compile(r"[\w .-]{1,40}")


class Problem(BaseModel):
    """What is wrong, in one line of English; `code` and `values` say it for programs, and in Korean."""

    detail: str
    code: str
    values: dict[str, str]


class Edge:
    """Adds headers; turns what nobody caught into a bare 500, its place logged and its words, which may
    quote values, not."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, in any case."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def headed(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                for key, value in headers_of(scope["path"]).items():
                    headers.setdefault(key, value)
            await send(message)

        try:
            await self._app(scope, receive, headed)
        except Exception as error:  # noqa: BLE001  (the outer edge of a request)
            where = "".join(traceback.format_tb(error.__traceback__)[-4:])
            log.error("%s failed: %s\n%s", scope["method"], type(error).__name__, where)
            if not started:
                await problem(500, "inside")(scope, receive, headed)


def headers_of(path: str) -> Mapping[str, str]:
    """The headers of an answer: strict ones for the API, others for pages."""
    return _HEADERS if path.startswith(_NO_PAGES) else _PAGE_HEADERS


def tell_problems(app: FastAPI) -> None:
    """Let every error of the application be told in our way."""
    app.exception_handler(JikimiError)(_ours)
    app.exception_handler(HTTPException)(_http)
    app.exception_handler(RequestValidationError)(_invalid)


async def _ours(_request: Request, error: Exception) -> JSONResponse:
    """Our own errors are made to be read. A store in trouble may be asked again."""
    assert isinstance(error, JikimiError)
    status, code, values = refusal_of(error)
    if status == 503:
        log.warning("%s", veiled(str(error)))
    return problem(status, code, _RETRY if status == 503 else None, **values)


async def _http(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    if isinstance(error, Refusal):
        return problem(error.status_code, error.code, error.headers, **error.values)
    return problem(error.status_code, "other", error.headers, detail=error.detail)


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    """Say where and what, and never what came: it may be a password."""
    assert isinstance(error, RequestValidationError)
    told, places = [], []
    for found in error.errors()[:_MOST_TOLD]:
        place = ".".join(str(part) if _PLAIN.fullmatch(str(part)) else "?" for part in found["loc"])
        places.append(place)
        told.append(f"{place}: {found['msg'].removeprefix('Value error, ')}")
    return problem(422, "invalid", place=", ".join(places), detail="; ".join(told))
