"""A plant to ask: a real store, evidence and status in a folder, and callers of every role."""

import asyncio
import hashlib
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from jikimi.alert.escalation import next_targets, pass_on
from jikimi.alert.message import Plant as AlertPlant
from jikimi.errors import JikimiError, SettingsError
from jikimi.in_force import Followed
from jikimi.passwords import Passwords
from jikimi.serve import Backend, create_app
from jikimi.serve.access import find_caller
from jikimi.serve.addresses import look_up
from jikimi.serve.backend import Heat, Sight
from jikimi.settings import CameraSettings, Settings, Target
from jikimi.status import BUCKETS_S, CameraStatus, Histogram, SiteStatus, write_status
from jikimi.store import (
    CoverageRecord,
    EvidenceRecord,
    FaultRecord,
    IncidentRecord,
    Notice,
    ReportEvidence,
    ReportRecord,
    Store,
    TokenRecord,
    UserRecord,
    open_box,
    open_store,
)
from store_values import target

NOON = datetime(2026, 7, 1, 3, 0, 0, 123456, tzinfo=UTC)
ROLES = ("viewer", "operator", "admin", "limited", "limited-admin")
# Users are named by role, too; their passwords are `password-USER`.
USERS = {"root": "admin", "boss": "admin", "hand": "operator", "eye": "viewer", "one-eye": "viewer"}
CHEAP = Passwords(passes=1, memory_kib=8)
FILM = bytes(range(256)) * 64
FIXED = "rtsp://root:f1xed@10.0.0.9/live?token=t0k"
STORED = "rtsp://admin:s3cr3t@10.0.0.5:554/live"
SUB = "rtsp://admin:s3cr3t@10.0.0.5:554/sub?password=qu3ry"
SIREN = "https://x:s1ren@hooks.test/2"
SECRETS = ("f1xed", "t0k", "s3cr3t", "qu3ry", "h00k", "s1ren", "hmac-s3cr3t")


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def settings_in(folder: Path) -> Settings:
    """Tokens are named by role, and their secrets are `secret-ROLE`."""
    tokens: list[dict[str, Any]] = [
        {"name": role, "sha256": digest(f"secret-{role}"), "role": role} for role in ROLES[:3]
    ]
    tokens.append({"name": "limited", "sha256": digest("secret-limited"), "cameras": ["press-3"]})
    tokens.append(
        {
            "name": "limited-admin",
            "sha256": digest("secret-limited-admin"),
            "role": "admin",
            "cameras": ["press-3"],
        }
    )
    return Settings.model_validate(
        {
            "site": {"data": folder},
            "camera": [{"name": "gate", "address": FIXED}],
            "target": [
                {"name": "hook", "kind": "webhook", "url": "https://x:h00k@hooks/1", "secret": "h00k"}
            ],
            "shift": [{"name": "all", "hours": {}}],
            "token": tokens,
        }
    )


STREAM: Mapping[str, object] = {
    "address": "rtsp://10.0.0.5/x", "codec": "h264", "width_px": 640, "height_px": 360, "fps": 25.0,
    "first_picture_s": 0.4, "keyframe_s": 1.0, "looked_s": 1.2, "picture": "/9j/4AAQ",
}  # fmt: skip


@dataclass
class Plant:
    """The application with what it stands on. Asks are made as a role; None: without a token."""

    folder: Path
    store: Store
    app: FastAPI
    tried: list[object] = field(default_factory=list)
    trouble: JikimiError | None = None
    figures: Mapping[str, object] = field(default_factory=lambda: {"main": STREAM, "sub": None})
    held: list[tuple[datetime, datetime]] = field(default_factory=list)
    lists: tuple[tuple[str, ...], ...] = (("hook",), ("boss", "siren"))

    def ask(self, role: str | None, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer secret-{role}"} if role else {}
        headers |= more.pop("headers", {})
        return asyncio.run(self._ask(method, path, headers=headers, **more))

    def get(self, path: str, role: str | None = "viewer", **more: Any) -> httpx.Response:
        return self.ask(role, "GET", f"/api/v1{path}", **more)

    def put(self, path: str, json: Any, role: str | None = "admin") -> httpx.Response:
        return self.ask(role, "PUT", f"/api/v1{path}", json=json)

    def log_in(self, name: str, **more: Any) -> "Browser":
        """A browser in which somebody has logged in."""
        browser = Browser(self, more.pop("headers", {}))
        answer = browser.ask(
            "POST", "/api/session/login", json={"name": name, "password": f"password-{name}"}
        )
        assert answer.status_code == 200, answer.text
        browser.csrf = answer.json()["csrf"]
        return browser

    async def _ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        transport = httpx.ASGITransport(app=self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://plant") as client:
            return await client.request(method, path, **more)

    def try_camera(self, settings: CameraSettings) -> Mapping[str, object]:
        self.tried.append(settings)
        if self.trouble is not None:
            raise self.trouble
        return self.figures

    def pass_on(self, incident: IncidentRecord, by: str) -> bool:
        return pass_on(self.store, incident, self.lists, AlertPlant(), by=by, now=NOON)

    def explain(self, sight: Sight) -> Heat:
        self.tried.append(sight)
        if self.trouble is not None:
            raise self.trouble
        return Heat(FILM, 0.875)

    def try_target(self, target: Target) -> float:
        self.tried.append(target)
        if self.trouble is not None:
            raise self.trouble
        return 0.25

    @property
    def status_file(self) -> Path:
        return self.folder / "status.json"

    def say(self, **changes: Any) -> SiteStatus:
        """Write the status as of now."""
        now = datetime.now(UTC)
        stages = {"decided": Histogram(counts=[1] * (len(BUCKETS_S) + 1), sum_s=2.0)}
        cameras = [
            CameraStatus(name=name, state="live", decided_age_s=0.1, stages=stages, why=f"see {FIXED}")
            for name in ("press-3", "gate", "프레스 2")
        ]
        values: dict[str, Any] = {
            "at": now, "started_at": now, "detector": "running", "watching": True, "cameras": cameras,
            "open_incidents": 7, "pids": {"site": 12},
        }  # fmt: skip
        status = SiteStatus(**values | changes)
        write_status(self.status_file, status)
        return status

    def film(self, uid: str = "i1", path: str = "2026/07/i1.mp4", **more: Any) -> EvidenceRecord:
        """Evidence on disk and in the store."""
        file = self.folder / "evidence" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(FILM)
        return self.note_film(uid, path, **more)

    def report(self, uid: str = "r1", camera: str = "press-3", **more: Any) -> ReportRecord:
        """A report with its film on disk and in the store."""
        values: dict[str, Any] = {"kind": "missed", "behavior": "fall", "by": "operator", "at": NOON} | more
        end = NOON + timedelta(seconds=5)
        record = ReportRecord(uid=uid, camera=camera, start_at=NOON, end_at=end, **values)
        self.store.add_report(record)
        path = Path(camera) / f"{uid}_report.mp4"
        file = self.folder / "evidence" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(FILM)
        film = ReportEvidence(uid, "video", path, "ef" * 32, len(FILM), NOON, start_s=-10.0, end_s=15.0)
        self.store.report_cut(uid, at=NOON, files=[film], problem="of 5 s there is footage of 3 s")
        return record

    def note_film(self, uid: str, path: str, **more: Any) -> EvidenceRecord:
        """Evidence in the store."""
        values = {"start_s": -3.0, "end_s": 8.0} | more
        record = EvidenceRecord(
            uid, "video", Path(path), hashlib.sha256(FILM).hexdigest(), len(FILM), NOON, **values
        )
        self.store.add_evidence(record)
        return record


@dataclass
class Browser:
    """Keeps cookies as a browser does, and sends what it was told to repeat."""

    plant: Plant
    headers: dict[str, str] = field(default_factory=dict)
    cookies: dict[str, str] = field(default_factory=dict)
    csrf: str = ""

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {"Cookie": "; ".join(f"{key}={value}" for key, value in self.cookies.items())}
        headers |= {"X-CSRF-Token": self.csrf} if self.csrf and method != "GET" else {}
        answer = self.plant.ask(
            None, method, path, headers=self.headers | headers | more.pop("headers", {}), **more
        )
        for line in answer.headers.get_list("set-cookie"):
            key, _, value = line.partition(";")[0].partition("=")
            self.cookies[key] = value.strip('"')
            if "max-age=0" in line.lower():
                del self.cookies[key]
        return answer

    def get(self, path: str) -> httpx.Response:
        return self.ask("GET", f"/api/v1{path}")

    def me(self) -> Any:
        return self.get("/me").json()


def check_camera(settings: CameraSettings) -> None:
    if settings.behaviors is not None and "fall" not in settings.behaviors:
        raise SettingsError(f"camera {settings.name!r}: the model knows fall only")


def resolve(host: str) -> list[str]:
    """Names in `.test` are cameras; others are asked for as they would be."""
    return ["10.0.0.7"] if host.endswith(".test") else look_up(host)


@contextmanager
def open_plant(folder: Path, **more: Any) -> Iterator[Plant]:
    put_back(folder)
    with open_store(f"sqlite:///{folder / 'jikimi.db'}", box=open_box(folder / "key", None)) as store:
        plant = plant_on(folder, store, **more)
        if not _kept:
            fill(plant)
            keep(folder)
        plant.app.state.backend.followed.look()  # at what it was filled with
        plant.say()
        yield plant


def plant_on(folder: Path, store: Store, **more: Any) -> Plant:
    """A plant on a store, which is left as it is."""
    plant = Plant(folder, store, FastAPI())
    values: dict[str, Any] = {
        "check_camera": check_camera, "try_target": plant.try_target, "try_camera": plant.try_camera,
        "explain": plant.explain, "replay": lambda _camera: plant.held, "pass_on": plant.pass_on,
        "next_targets": lambda incident: next_targets(incident, plant.lists),
        "theta_on": lambda: {"fall": 0.5, "jam": 0.6}, "resolve": resolve, "passwords": CHEAP,
    }  # fmt: skip
    settings = more.pop("settings", None) or settings_in(folder)
    backend = Backend(Followed(settings, store), store, plant.status_file, **values | more)
    plant.app = create_app(backend)
    return plant


def incident(
    uid: str, camera: str = "press-3", opened_s: float = 0.0, behavior: str = "fall"
) -> IncidentRecord:
    return IncidentRecord(uid, camera, behavior, NOON + timedelta(seconds=opened_s), 0.7, model="demo")


def fill(plant: Plant) -> None:
    """Two cameras beside the fixed one; an incident, a fault, evidence and an hour of each."""
    store, now = plant.store, datetime.now(UTC)
    for name in ("press-3", "프레스 2"):
        values = {"name": name, "address": STORED, "sub": SUB}
        store.put_camera(CameraSettings.model_validate(values), at=NOON)
    for number, camera in enumerate(("press-3", "프레스 2"), start=1):
        uid = f"i{number}"
        store.open_incident(
            incident(uid, camera, number), [Notice(f"{uid}:hook", "hook", "incident", uid, "opened")]
        )
        store.begin_fault(FaultRecord(f"f{number}", camera, "offline", f"no answer of {STORED}", NOON), [])
        store.add_coverage([CoverageRecord(camera, now, 3000.0, 3600.0)])
        plant.film(uid, f"2026/07/{uid}.mp4")
    store.put_target(target("siren", url=SIREN), at=NOON)
    for name, role in USERS.items():
        cameras = ("press-3",) if name == "one-eye" else None
        store.add_user(UserRecord(name, CHEAP.hash(f"password-{name}"), role, NOON, NOON, cameras))  # type: ignore[arg-type]
    store.add_token(TokenRecord("board", digest("jikimi_" + "b" * 43), "viewer", NOON, "root"))
    store.begin_fault(FaultRecord("f0", "", "disk-full", "no room", NOON), [])
    store.failed(1, at=NOON, error="https://x:h00k@hooks/1?key=h00k said 500", retry_at=None)


# What the first plant was filled with: the others begin with it, which takes a tenth of the time.
_kept: dict[str, bytes] = {}


def keep(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "jikimi.db")) as database:
        _kept["jikimi.db"] = database.serialize()
    for name in ("key", "evidence/2026/07/i1.mp4", "evidence/2026/07/i2.mp4"):
        _kept[name] = (folder / name).read_bytes()


def put_back(folder: Path) -> None:
    for name, content in _kept.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        file.chmod(0o600)


def leaks(text: str) -> list[str]:
    return [secret for secret in SECRETS if secret in text]


def test_a_token_is_known_by_its_hash_alone(tmp_path: Path) -> None:
    tokens = settings_in(tmp_path).tokens
    found = find_caller(tokens, "secret-limited")
    assert found is not None and (found.name, found.cameras) == ("limited", ("press-3",))
    for wrong in ("", "secret-", digest("secret-admin"), "secret-admin ", "열쇠"):
        assert find_caller(tokens, wrong) is None
