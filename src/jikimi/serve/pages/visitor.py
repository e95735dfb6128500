"""Who looks at a page: what they may, the language they read, and their way to the API."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from fastapi import FastAPI, Request

from jikimi.alert.wording import FAULTS, accident_type
from jikimi.behaviors import Behavior
from jikimi.serve.backend import Backend
from jikimi.serve.pages.api import Api, Refused
from jikimi.serve.pages.words import LANGUAGES, PLACES, WORDS, Language, Words, preferred
from jikimi.serve.problems import PROBLEMS

# Charts are drawn without our styles: --ink-soft of static/jikimi.css.
_INK = {True: "#a6b3c0", False: "#4a5866"}


@dataclass(frozen=True, slots=True)
class Visitor:
    """One visitor of one page. `dark` None: as their system has it, which the browser has told before."""

    api: Api
    backend: Backend
    words: Words
    dark: bool | None
    system_dark: bool = False
    name: str = ""
    role: str = ""
    cameras: tuple[str, ...] | None = None

    @property
    def site(self) -> str:
        """The site's name."""
        return self.backend.settings.site.name

    @property
    def is_admin(self) -> bool:
        """Whether they may change cameras."""
        return self.role == "admin"

    @property
    def is_site_admin(self) -> bool:
        """Whether they may change users and the site."""
        return self.is_admin and self.cameras is None

    @property
    def may_answer(self) -> bool:
        """Whether they may acknowledge and answer."""
        return self.role in ("operator", "admin")

    @property
    def accidents(self) -> tuple[Behavior, ...]:
        """The model's behaviours without the normal one."""
        return tuple(behavior for behavior in self.backend.behaviors() if not behavior.is_normal)

    @property
    def ink(self) -> str:
        """The colour of words in charts."""
        return _INK[self.system_dark if self.dark is None else self.dark]

    @property
    def other_language(self) -> Language:
        """The one that the page is not in."""
        return "en" if self.words.language == "ko" else "ko"

    def accident_type(self, key: str) -> str:
        """A behaviour's accident type in words; empty where it has none."""
        found = next((b.accident_type for b in self.backend.behaviors() if b.key == key), "")
        return accident_type(found, self.words.language)

    def for_scripts(self) -> dict[str, Any]:
        """What the browser's scripts are told."""
        words = self.words
        place = LANGUAGES.index(words.language)
        return {
            "user": self.name,
            "csrf": self.api.csrf,
            "may_answer": self.may_answer,
            "language": words.language,
            "zone": self.backend.settings.site.time_zone,
            "offset_min": words.offset() // timedelta(minutes=1),
            "words": {key: both[place] for key, both in WORDS.items()},
            "places": PLACES if words.language == "ko" else {},
            "problems": {code: both[place] for code, both in PROBLEMS.items()},
            "behaviors": {b.key: words.behavior(b.key) for b in self.backend.behaviors()},
            "normal": next((b.key for b in self.backend.behaviors() if b.is_normal), ""),
            "faults": dict(FAULTS[words.language]),
        }


async def visitor_of(request: Request, app: FastAPI) -> Visitor | None:
    """Whoever opens a page; None: nobody is logged in. Raises Refused where that cannot be told."""
    anyone = stranger_of(request, app)
    try:
        me = await anyone.api.get("/me")
    except Refused as error:
        if error.status == 401:
            return None
        raise
    words = _words(anyone.backend, me["language"] or anyone.words.language)
    return Visitor(
        api=Api(app, dict(request.cookies), words, me["csrf"] or ""),
        backend=anyone.backend,
        words=words,
        dark=anyone.dark,
        system_dark=anyone.system_dark,
        name=me["name"],
        role=me["role"],
        cameras=None if me["cameras"] is None else tuple(me["cameras"]),
    )


def stranger_of(request: Request, app: FastAPI) -> Visitor:
    """Whoever opens a page before anybody asks who they are."""
    backend: Backend = app.state.backend
    chosen = request.cookies.get("jikimi-language")
    language = preferred(request.headers.get("accept-language", ""), fallback=backend.settings.site.language)
    dark = {"1": True, "0": False}.get(request.cookies.get("jikimi-dark", ""))
    words = _words(backend, chosen if chosen in LANGUAGES else language)
    return Visitor(
        api=Api(app, dict(request.cookies), words),
        backend=backend,
        words=words,
        dark=dark,
        system_dark=request.cookies.get("jikimi-system-dark") == "1",
    )


def _words(backend: Backend, language: Any) -> Words:
    chosen: Language = "en" if language == "en" else "ko"
    return Words(chosen, backend.settings.zone(), backend.behaviors())
