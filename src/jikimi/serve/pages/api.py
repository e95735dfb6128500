"""The pages' way to the API: in this process, with the visitor's own session, so that they may what they may.

Nothing that a page shows or does goes around the API: what it refuses is refused to the page.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
from starlette.types import ASGIApp

from jikimi.errors import JikimiError
from jikimi.serve.pages.words import Words

_BASE = "http://jikimi.internal"


class Refused(JikimiError):
    """The API refused; `str` of it says why in the visitor's language, `detail` in the API's own words."""

    def __init__(self, status: int, words: str, detail: str = "") -> None:
        super().__init__(words)
        self.status, self.detail = status, detail

    def about(self, key: str, words: Words) -> "Refused":
        """Return it without the name of the setting that it is about, where it is about that alone."""
        detail = self.detail.removeprefix(f"{key}: ")
        return self if detail == self.detail else Refused(self.status, words.field_problem(detail), detail)


@dataclass(frozen=True, slots=True)
class Api:
    """One visitor's API. `cookies` are the browser's; every method raises Refused, worded by `words`."""

    app: ASGIApp
    cookies: Mapping[str, str]
    words: Words
    csrf: str = ""

    async def get(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        """Ask; None and empty parameters are left out."""
        return await self._ask("GET", path, params=params)

    async def post(self, path: str, body: Any = None) -> Any:
        """Have something done."""
        return await self._ask("POST", path, body=body)

    async def put(self, path: str, body: Any = None) -> Any:
        """Put something in place."""
        return await self._ask("PUT", path, body=body)

    async def delete(self, path: str) -> Any:
        """Take something away."""
        return await self._ask("DELETE", path)

    async def _ask(
        self, method: str, path: str, *, params: Mapping[str, Any] | None = None, body: Any = None
    ) -> Any:
        given = {key: value for key, value in (params or {}).items() if value not in (None, "", [])}
        headers = {"X-CSRF-Token": self.csrf} if method != "GET" else {}
        transport = httpx.ASGITransport(app=self.app)
        async with httpx.AsyncClient(
            transport=transport, base_url=_BASE, cookies=dict(self.cookies), timeout=None
        ) as client:
            answer = await client.request(method, f"/api/v1{path}", params=given, json=body, headers=headers)
        if answer.status_code >= 400:
            raise self._refused(answer)
        return answer.json() if answer.content else None

    def _refused(self, answer: httpx.Response) -> Refused:
        try:
            told = answer.json()
            words = self.words.problem(told["code"], told["values"])
            return Refused(answer.status_code, words, told["detail"])
        except (ValueError, KeyError, TypeError):
            return Refused(answer.status_code, f"HTTP {answer.status_code}")
