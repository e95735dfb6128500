"""A plant to fuzz: everybody who may ask, and words that some of them must never be answered.

Every word about a camera that callers of some cameras may not see begins with `vault7`; every word that is
for admins of every camera alone begins with `office9`. Secrets are nobody's.
"""

import asyncio
import hashlib
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote

import httpx

from bundles import make_bundle
from jikimi.serve.access import COOKIE
from jikimi.serve.callers import memory_of
from jikimi.serve.guard import LoginGuard
from jikimi.serve.limits import Tries
from jikimi.settings import CameraSettings
from jikimi.status import CameraStatus
from jikimi.store import (
    AuditRecord,
    BothRecord,
    CoverageRecord,
    FaultRecord,
    IncidentRecord,
    ModelRecord,
    Notice,
    ShadowRecord,
    TokenRecord,
    UserRecord,
)
from jikimi.store.records import SCORE_BINS, ScoreCountRecord
from test_serve_plant import CHEAP, NOON, SECRETS, STORED, SUB, USERS, Browser, Plant, digest

CAMERA, INCIDENT, REPORT = "vault7-camera", "vault7-incident", "vault7-report"
# Passwords that are sent, and that no answer may repeat.
ENTERED = ("pw7Zq", "another good one", "a good long one")
USER, TOKEN = "office9-user", "office9-token"
WATCHED = ("press-3", "gate", "프레스 2", CAMERA)
_VAULT, _OFFICE = (re.compile(rf"{mark}[\w-]*", re.ASCII) for mark in ("vault7", "office9"))

# The one that is kept, the one that runs beside, the one that watches.
Models = tuple[str, str, str]

# Names of cameras are in the probes, which are for machines in the plant's own network; nothing else is.
PROBES = ("/healthz", "/metrics")

# Least first, so that what one of them changes does not spoil what those after it are asked.
ASKERS = (
    ("stranger", None), ("limited", "token"), ("one-eye", "session"), ("viewer", "token"), ("eye", "session"),
    ("operator", "token"), ("hand", "session"), ("limited-admin", "token"), ("admin", "token"),
    ("root", "session"),
)  # fmt: skip


@dataclass
class Asker:
    """Somebody who asks, as who they are and by what. `role` None: nobody knows them."""

    name: str
    by: str | None
    role: str | None
    limited: bool
    headers: dict[str, str]
    own: tuple[str, ...] = ()
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def is_site_admin(self) -> bool:
        """Whether the whole site is theirs."""
        return self.role == "admin" and not self.limited

    def __str__(self) -> str:
        return f"{self.name} ({self.by or 'nothing'})"


@dataclass(repr=False)
class Fuzzed:
    """The plant, one client of it, and what it was like at first."""

    plant: Plant
    askers: list[Asker]
    models: Models
    bundle: bytes
    secrets: tuple[str, ...] = ()
    code: str = ""
    is_watching: bool = True
    _runner: asyncio.Runner = field(default_factory=asyncio.Runner)
    well: set[str] = field(default_factory=set)
    _first: sqlite3.Connection | None = None
    _files: dict[Path, bytes] = field(default_factory=dict)
    _client: httpx.AsyncClient | None = None

    def __repr__(self) -> str:
        return f"Fuzzed({self.plant.folder})"  # what is wrong is not to drown in models

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._client is not None:
            self._runner.run(self._client.aclose())
        self._runner.close()
        if self._first is not None:
            self._first.close()

    def send(self, method: str, url: str, headers: Any, body: bytes) -> httpx.Response:
        """One request, over one client and loop: that is some times faster than new ones."""
        return self._runner.run(self._send(method, url, headers, body))

    async def _send(self, method: str, url: str, headers: Any, body: bytes) -> httpx.Response:
        if self._client is None:
            transport = httpx.ASGITransport(app=self.plant.app)
            self._client = httpx.AsyncClient(transport=transport, base_url="http://plant")
        raw = [(key.encode(), value.encode("latin-1")) for key, value in headers.items()]
        request = self._client.build_request(method, url, headers=raw, content=body)
        self._client.cookies.clear()
        return await self._client.send(request)

    def ready(self) -> None:
        """Let nobody wait for what somebody did before, and say that all is well as of now."""
        state = self.plant.app.state
        state.tries, state.desk.guard = Tries(), LoginGuard()
        if self.is_watching:
            say(self.plant)

    def remember(self) -> None:
        """What the plant is put back to."""
        self._first = sqlite3.connect(":memory:")
        with closing(sqlite3.connect(self.plant.folder / "jikimi.db")) as now:
            now.backup(self._first)
        models = (self.plant.folder / "models").glob("*.jikimi")
        self._files = {path: path.read_bytes() for path in models}

    def put_back(self) -> None:
        """As it was at first: users, sessions, cameras, models. Only what was remembered."""
        if self._first is None:
            return
        with closing(sqlite3.connect(self.plant.folder / "jikimi.db")) as now:
            now.execute("PRAGMA synchronous=OFF")
            self._first.backup(now)
        memory_of(self.plant.store).forget()
        for path in (self.plant.folder / "models").glob("*.jikimi"):
            if path not in self._files:
                path.unlink()
        for path, content in self._files.items():
            if not path.exists():
                path.write_bytes(content)

    def leaks(self, asker: Asker, asked: str, answer: httpx.Response) -> list[str]:
        """What of an answer this caller may not see. `asked` is all that they sent: an echo tells nothing."""
        told = "\n".join(f"{key}: {value}" for key, value in answer.headers.multi_items())
        told += "\n" + answer.content.decode("utf-8", "replace")
        sent = unquote(asked, errors="replace") + asked
        known = [*self.secrets]
        if asker.role != "admin":  # who adds cameras is told in which folder their files may lie
            known.append(str(self.plant.folder))
        found = [one for one in known if one in told and one not in asker.own and one not in sent]
        found += [one for one in ENTERED if one in told]
        if (asker.limited or asker.role is None) and not answer.request.url.path.startswith(PROBES):
            found += sorted({word for word in _VAULT.findall(told) if word not in sent})
        if not asker.is_site_admin:
            found += sorted({word for word in _OFFICE.findall(told) if word not in sent})
        return found


def fuzzed(plant: Plant, folder: Path) -> Fuzzed:
    """A filled plant with canaries, models and everybody's credentials."""
    models = add_models(plant)
    plant.report("r1")
    add_recording(plant)
    add_vault(plant, models[1])
    add_office(plant)
    askers = [asker_of(plant, name, by) for name, by in ASKERS]
    bundle = make_bundle(folder / "new.jikimi", name="new").read_bytes()
    return Fuzzed(plant, askers, models, bundle, secrets_of(plant, askers))


def asker_of(plant: Plant, name: str, by: str | None) -> Asker:
    if by is None:
        return Asker(name, by, None, True, {})
    limited = name.startswith(("limited", "one-"))
    if by == "token":
        role = {"limited": "viewer", "limited-admin": "admin"}.get(name, name)
        return Asker(name, by, role, limited, {"Authorization": f"Bearer secret-{name}"})
    browser = plant.log_in(name)
    return Asker(name, by, USERS[name], limited, headers_of(browser), own=secrets_in(browser))


def headers_of(browser: Browser) -> dict[str, str]:
    cookies = "; ".join(f"{key}={value}" for key, value in browser.cookies.items())
    return {"Cookie": cookies, "X-CSRF-Token": browser.csrf}


def secrets_in(browser: Browser) -> tuple[str, ...]:
    """What a browser holds of its session; its mark of being known goes to whoever logs in as the same."""
    return browser.cookies[COOKIE], browser.csrf


def secrets_of(plant: Plant, askers: Sequence[Asker]) -> tuple[str, ...]:
    """What no answer may hold; of a session, no answer to anybody else."""
    hashes = [plant.store.find_user(name).password_hash for name in (*USERS, USER)]  # type: ignore[union-attr]
    tokens = [digest("jikimi_" + "b" * 43), *(one.sha256 for one in plant.app.state.backend.settings.tokens)]
    key = (plant.folder / "key").read_text(encoding="utf-8").strip()
    sessions = [secret for asker in askers for secret in asker.own]
    return (*SECRETS, *hashes, *tokens, key, *sessions, *(digest(secret) for secret in sessions))


def add_vault(plant: Plant, model: str) -> None:
    """A camera that callers of some cameras may not see, and something of everything about it."""
    store, now = plant.store, datetime.now(UTC)
    camera = {"name": CAMERA, "address": STORED, "sub": SUB, "zones": [zone("vault7-zone")]}
    store.put_camera(CameraSettings.model_validate(camera), at=NOON)
    store.shelve(CAMERA, until=now + timedelta(days=1), by="vault7-by")
    told = Notice("vault7-notice", "hook", "incident", INCIDENT, "opened", {"camera": CAMERA})
    opened = NOON + timedelta(seconds=9)
    store.open_incident(
        IncidentRecord(INCIDENT, CAMERA, "fall", opened, 0.7, zone="vault7-zone", model="demo"), [told]
    )
    due = store.due(now=now)[-1]
    store.failed(due.id, at=NOON, error="vault7-error", retry_at=None)
    store.acknowledge(INCIDENT, at=opened, by="vault7-by")
    store.answer(
        INCIDENT, answer="other-behavior", at=opened, by="vault7-by", behavior="jam", note="vault7-note"
    )
    film(plant, f"{CAMERA}/{INCIDENT}.mp4")
    plant.note_film(INCIDENT, f"{CAMERA}/{INCIDENT}.mp4", problem="vault7-problem")
    plant.report(REPORT, CAMERA, note="vault7-note")
    film(plant, f"{CAMERA}/{REPORT}_report.mp4")
    store.begin_fault(FaultRecord("vault7-fault", CAMERA, "offline", "vault7-message", NOON), [])
    store.begin_fault(FaultRecord("vault7-site", "", "disk-full", "vault7-message", NOON), [])
    store.add_coverage([CoverageRecord(CAMERA, now, 3000.0, 3600.0)])
    store.add_score_counts([ScoreCountRecord(CAMERA, now, "vault7-behavior", (1,) * SCORE_BINS)])
    store.open_shadow(ShadowRecord("vault7-shadow", model, CAMERA, "vault7-shadow", now, 0.9))
    store.add_both([BothRecord(model, CAMERA, now, 1800.0)])


def add_recording(plant: Plant) -> None:
    """A camera that is a file of the site's."""
    file = plant.folder / "media" / "recorded.mp4"
    file.parent.mkdir()
    file.write_bytes(b"no film")
    plant.store.put_camera(
        CameraSettings.model_validate({"name": "recording", "address": str(file)}), at=NOON
    )


def zone(name: str) -> dict[str, Any]:
    return {"name": name, "polygon": [[0, 0], [1, 0], [1, 1]]}


def film(plant: Plant, path: str) -> None:
    """A film whose bytes say whose it is."""
    file = plant.folder / "evidence" / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"vault7-film " * 64)


def add_office(plant: Plant) -> None:
    """What admins of every camera alone may see."""
    store = plant.store
    store.add_user(UserRecord(USER, CHEAP.hash("office9-password"), "viewer", NOON, NOON))
    store.add_token(TokenRecord(TOKEN, digest("jikimi_" + "c" * 43), "viewer", NOON, USER))
    store.audit(AuditRecord(NOON, USER, "logged in", USER, {"address": "office9-address"}))


def add_models(plant: Plant) -> Models:
    """One that is kept, one that runs beside and one that watches, by their hashes."""
    folder = plant.folder / "models"
    folder.mkdir(exist_ok=True)
    hashes = []
    for name in ("kept", "challenger", "champion"):
        made = make_bundle(folder / f"{name}.tmp", name=name)
        sha256 = hashlib.sha256(made.read_bytes()).hexdigest()
        size = made.stat().st_size
        made.rename(folder / f"{sha256}.jikimi")
        plant.store.add_model(ModelRecord(sha256, name, f"{sha256}.jikimi", size, NOON, "boss"))
        hashes.append(sha256)
    kept, challenger, champion = hashes
    plant.store.promote(champion, at=NOON)
    plant.store.challenge(challenger, at=NOON)
    return kept, challenger, champion


def say(plant: Plant) -> None:
    """Write the status as of now, with the camera that not everybody may see."""
    cameras = [
        CameraStatus(name=name, state="live", decided_age_s=0.1, why="vault7-why" if name == CAMERA else "")
        for name in WATCHED
    ]
    plant.say(cameras=cameras, faults=["vault7-site"])


@contextmanager
def begun(folder: Path, plant: Plant) -> Iterator[Fuzzed]:
    """A fuzzed plant that can be put back to how it began."""
    with fuzzed(plant, folder) as found:
        found.ready()
        found.remember()
        yield found
