"""Who may what: held against the OpenAPI document, so that a new route cannot be forgotten."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from fastapi import APIRouter

from bundles import make_bundle
from jikimi.serve import models
from jikimi.store import ModelRecord
from live_cameras import ShownCamera
from test_serve_plant import NOON, ROLES, USERS, Plant, open_plant

PROBES = {"/healthz", "/metrics"}  # on purpose: probes have no tokens
# On purpose: what is asked before anybody is known.
DOORS = {"/api/session", "/api/session/login", "/api/session/setup"}
OPEN = PROBES | DOORS
# About the whole site, and so not for admins of some cameras.
WHOLE = ("/api/v1/audit", "/api/v1/demo", "/api/v1/users", "/api/v1/tokens")
# Changes of these are about the whole site, too; everybody sees what holds and who is alerted.
HELD = ("/api/v1/settings", "/api/v1/targets")
# What changes models is about the whole site, too; everybody sees which there are.
MODELS = "/api/v1/models"
# About a user alone: a token has no password, no language and no session.
OWN = {"/api/v1/me/password", "/api/v1/me/language", "/api/v1/me/session", "/api/v1/me/sessions"}
RANK = {"viewer": 0, "limited": 0, "operator": 1, "admin": 2, "limited-admin": 2}
END = datetime.now(UTC) - timedelta(minutes=1)
WEBHOOK = {"kind": "webhook", "url": "https://hooks.test/1", "secret": "shared"}
BODIES: dict[tuple[str, str], Any] = {
    ("post", "/api/v1/reports"): {
        "kind": "normal",
        "camera": "press-3",
        "end_at": END.isoformat(),
        "start_at": (END - timedelta(seconds=10)).isoformat(),
    },
    ("put", "/api/v1/incidents/{uid}/answer"): {"answer": "correct"},
    ("put", "/api/v1/incidents/{uid}/lock"): {"locked": False},
    ("put", "/api/v1/cameras/{name}"): {"address": "rtsp://10.0.0.5/x"},
    ("put", "/api/v1/cameras/{name}/shelf"): {"minutes": 1},
    ("post", "/api/v1/cameras/{name}/try"): {"address": "rtsp://10.0.0.5/x"},
    ("put", "/api/v1/me/language"): {"language": "en"},
    ("put", "/api/v1/users/{name}"): {"role": "viewer"},
    ("put", "/api/v1/users/{name}/password"): {"password": "another good one"},
    ("post", "/api/v1/tokens"): {"name": "new"},
    ("put", "/api/v1/settings/{key}"): {"value": 60},
    ("put", "/api/v1/targets/{name}"): WEBHOOK,
    ("post", "/api/v1/targets/try"): {"name": "new", **WEBHOOK},
}
# A model that was added, and the one that watches.
KEPT, CHAMPION = "a" * 64, "c" * 64


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    with open_plant(tmp_path) as opened, ShownCamera(tmp_path, "press-3"):
        opened.report("i2", "프레스 2")  # numbered as the incident of that camera
        for sha256, name in ((KEPT, "kept"), (CHAMPION, "champion")):
            add_model(opened, tmp_path, sha256, name)
        opened.store.promote(CHAMPION, at=NOON)
        yield opened


def add_model(plant: Plant, folder: Path, sha256: str, name: str) -> None:
    """A model whose file is taken for whole, whatever its hash."""
    (folder / "models").mkdir(exist_ok=True)
    made = make_bundle(folder / "models" / f"{sha256}.jikimi", name=name)
    plant.store.add_model(ModelRecord(sha256, name, made.name, made.stat().st_size, NOON, "boss"))


@pytest.fixture(autouse=True)
def trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "hash_of", lambda path: path.stem)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """One to add."""
    return make_bundle(tmp_path_factory.mktemp("bundle") / "x.jikimi", name="new").read_bytes()


def sent(method: str, path: str, bodies: dict[tuple[str, str], Any]) -> dict[str, Any]:
    """What a route is sent: JSON, or a file."""
    body = bodies.get((method, path))
    return {"content": body} if isinstance(body, bytes) else {"json": body}


def is_whole(method: str, path: str) -> bool:
    """Whether it is about the whole site."""
    changes = method in ("put", "delete") or path == "/api/v1/targets/try"
    return (
        path.startswith(WHOLE)
        or (path.startswith(MODELS) and method != "get")
        or (path.startswith(HELD) and changes)
    )


def operations(plant: Plant) -> list[tuple[str, str, Any]]:
    paths = plant.ask(None, "GET", "/api/openapi.json").json()["paths"]
    return [(method, path, what) for path, row in paths.items() for method, what in row.items()]


def declared(operation: Any) -> str | None:
    """The role that an operation says it needs."""
    asked = {scheme: tuple(roles) for one in operation.get("security", []) for scheme, roles in one.items()}
    roles = {*asked.get("token", ("",)), *asked.get("session", ("",))}
    return roles.pop() or None if len(roles) == 1 and set(asked) == {"token", "session"} else None


def fill_in(path: str, *, name: str = "press-3", uid: str = "i1") -> str:
    if name == "press-3":
        others = {"/targets/": "siren", "/users/": "boss", "/tokens/": "board"}
        name = next((other for part, other in others.items() if part in path), name)
    path = path.replace("{name}", quote(name)).replace("{uid}", uid).replace("{number}", "0")
    path = path.replace("{key}", "evidence.keep_days")
    return path.replace("{sha256}", KEPT)


def undeclared(plant: Plant) -> list[str]:
    return [path for _, path, what in operations(plant) if path not in OPEN and declared(what) not in RANK]


def test_every_route_but_the_probes_declares_its_role(plant: Plant) -> None:
    assert len(operations(plant)) >= 37
    assert undeclared(plant) == []
    assert {path for _, path, what in operations(plant) if declared(what) is None} == OPEN


def test_a_route_that_forgets_its_role_is_found_and_still_not_open(plant: Plant) -> None:
    router = APIRouter()
    router.add_api_route("/api/v1/forgotten", lambda: "open")
    plant.app.include_router(router)
    assert undeclared(plant) == ["/api/v1/forgotten"]
    assert plant.get("/forgotten", role=None).status_code == 401


def test_without_a_known_token_nothing_is_answered_or_read(plant: Plant) -> None:
    for method, path, _ in operations(plant):
        if path in PROBES:
            plant.say()  # a busy machine takes longer for the others than a status stays fresh
            assert plant.ask(None, method, path).status_code == 200
        if path in OPEN:
            continue
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic c2VjcmV0"}):
            answer = plant.ask(None, method, fill_in(path), headers=headers, content=b"{")
            assert answer.status_code == 401, (method, path)
            assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert plant.get("/nothing/here", role=None).status_code == 401


def ways(plant: Plant, asker: str) -> tuple[str, Callable[..., Any]]:
    """The role of an asker, and how they ask: as a browser of a user, or with a token."""
    if asker in ROLES:
        return asker, lambda method, path, **more: plant.ask(asker, method, path, **more)
    browser = plant.log_in(asker)
    return USERS[asker], browser.ask


# What ends the session that asks comes last.
LAST = ("delete", "/api/v1/me/session"), ("delete", "/api/v1/me/sessions")


def in_order(plant: Plant) -> list[tuple[str, str, Any]]:
    return sorted(operations(plant), key=lambda row: (row[:2] in LAST, row[0] == "delete", -len(row[1])))


@pytest.mark.parametrize("asker", [*ROLES, "root", "hand", "eye", "one-eye"])
def test_every_route_lets_in_its_role_and_no_lesser_one(plant: Plant, asker: str, bundle: bytes) -> None:
    role, ask = ways(plant, asker)
    plant.report("i1", by=asker)
    bodies = BODIES | {
        ("put", "/api/v1/me/password"): {"old": f"password-{asker}", "new": f"password-{asker}"},
        ("post", MODELS): bundle,
    }
    checked = 0
    for method, path, what in in_order(plant):
        if path in OPEN:
            continue
        if asker in USERS and (method, path) in LAST:
            role, ask = ways(plant, asker)
        if (method, path) == ("delete", f"{MODELS}/{{sha256}}/challenge"):
            plant.store.challenge(KEPT, at=NOON)
        answer = ask(method.upper(), fill_in(path), **sent(method, path, bodies))
        enough = RANK[role] >= RANK[declared(what) or ""]
        enough = enough and not (is_whole(method, path) and role == "limited-admin")
        expected: tuple[int, ...] = (200, 201, 204) if enough else (403,)
        if path in OWN and asker in ROLES:
            expected = (409, 422)
        if path == "/api/v1/demo" and enough:
            expected = (409,)  # there are cameras
        assert answer.status_code in expected, (asker, method, path, answer.text)
        checked += 1
        if path == "/api/v1/me/password" and asker in USERS:
            role, ask = ways(plant, asker)
    assert checked >= 32


def test_every_unsafe_route_asks_a_session_for_its_csrf_token(plant: Plant) -> None:
    browser = plant.log_in("root")
    right, checked = browser.csrf, 0
    for method, path, _ in operations(plant):
        if path in OPEN or method == "get":
            continue
        for wrong in ("", "wrong", "0" * 64, "열쇠"):
            browser.csrf = quote(wrong)
            answer = browser.ask(method.upper(), fill_in(path), json=BODIES.get((method, path)))
            assert answer.status_code == 403 and "X-CSRF-Token" in answer.text, (method, path)
        browser.csrf = right
        for foreign in (
            {"Origin": "http://evil.test"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site", "Origin": "http://plant"},
        ):  # fmt: skip
            answer = browser.ask(method.upper(), fill_in(path), headers=foreign)
            assert answer.status_code == 403 and "another site" in answer.text, (method, path)
        checked += 1
    assert checked >= 18
    assert len(plant.store.users()) == len(USERS) and not plant.tried


@pytest.mark.parametrize("role", ["limited", "limited-admin"])
def test_callers_of_some_cameras_find_no_other_one(plant: Plant, role: str) -> None:
    for method, path, what in operations(plant):
        others = ("/targets/", "/users/", "/tokens/", "/models/", "/settings/")
        if "{" not in path or any(part in path for part in others) or RANK[role] < RANK[declared(what) or ""]:
            continue
        for name in ("프레스 2", "gate", "none"):
            other = fill_in(path, name=name, uid="i2" if name != "none" else "none")
            answer = plant.ask(role, method, other, json=BODIES.get((method, path)))
            assert answer.status_code == 404, (method, other, answer.text)
    assert not plant.tried
    assert len(plant.store.cameras()) == 2


def test_what_others_have_reads_as_what_nobody_has(plant: Plant) -> None:
    other, none = (plant.get(f"/incidents/{uid}", "limited") for uid in ("i2", "xx"))
    assert other.text.replace("i2", "xx") == none.text


def test_lists_hold_nothing_of_other_cameras_by_no_filter(plant: Plant) -> None:
    other = quote("프레스 2")
    for path in (
        "/incidents", f"/incidents?camera={other}", f"/incidents?camera={other}&camera=press-3",
        "/incidents?behavior=fall", "/incidents?open=true", "/incidents?limit=1", "/cameras", "/status",
        "/faults", f"/faults?camera={other}", "/faults?camera=", "/faults?camera=gate", "/faults?open=true",
        "/coverage", f"/coverage?camera={other}", "/coverage/shifts",
        "/incidents?after=2999-01-01T00:00:00Z,z", "/incidents?count=true&shift=all",
        f"/incidents?note=&camera={other}", "/incidents.csv", f"/incidents.csv?camera={other}",
        "/overview", "/overview?since=2026-06-20&until=2026-08-01", f"/overview?camera={other}",
        "/overview.csv?since=2026-06-20&until=2026-08-01", "/report?month=2026-07",
        "/reports", f"/reports?camera={other}", "/reports?kind=missed", "/feedback",
    ):  # fmt: skip
        text = plant.get(path, "limited").text
        assert "프레스 2" not in text and '"i2"' not in text and "gate" not in text, path
        assert '"f2"' not in text and '"f0"' not in text, path


def test_the_sites_own_figures_are_not_for_callers_of_some_cameras(plant: Plant) -> None:
    plant.say()  # just now: a status of three seconds ago is one of a site that hangs
    found = plant.get("/status", "limited").json()
    assert found["open_incidents"] is None and found["stages"] is None and found["faults"] is None
    assert [camera["name"] for camera in found["cameras"]] == ["press-3"] and found["watching"] is True


def test_every_answer_has_headers_that_keep_it_where_it_is(plant: Plant) -> None:
    for answer in (
        plant.get("/cameras"),
        plant.get("/cameras", None),
        plant.get("/x"),
        plant.get("/cameras/x"),
    ):
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert "camera=()" in answer.headers["Permissions-Policy"]
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
