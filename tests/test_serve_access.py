"""Who may what: held against the OpenAPI document, so that a new route cannot be forgotten."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from fastapi import APIRouter

from test_serve_plant import ROLES, Plant, open_plant

OPEN = {"/healthz", "/metrics"}  # on purpose: probes have no tokens
RANK = {"viewer": 0, "limited": 0, "operator": 1, "admin": 2, "limited-admin": 2}
BODIES: dict[tuple[str, str], Any] = {
    ("put", "/api/v1/incidents/{uid}/answer"): {"answer": "correct"},
    ("put", "/api/v1/incidents/{uid}/lock"): {"locked": False},
    ("put", "/api/v1/cameras/{name}"): {"address": "rtsp://10.0.0.5/x"},
    ("put", "/api/v1/cameras/{name}/shelf"): {"minutes": 1},
    ("post", "/api/v1/cameras/{name}/try"): {"address": "rtsp://10.0.0.5/x"},
}


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    with open_plant(tmp_path) as opened:
        yield opened


def operations(plant: Plant) -> list[tuple[str, str, Any]]:
    paths = plant.ask(None, "GET", "/api/openapi.json").json()["paths"]
    return [(method, path, what) for path, row in paths.items() for method, what in row.items()]


def declared(operation: Any) -> str | None:
    """The role that an operation says it needs."""
    schemes = operation.get("security", [])
    return schemes[0]["token"][0] if len(schemes) == 1 and schemes[0].get("token") else None


def fill_in(path: str, *, name: str = "press-3", uid: str = "i1") -> str:
    name = "hook" if "/targets/" in path else name
    return path.replace("{name}", quote(name)).replace("{uid}", uid).replace("{number}", "0")


def undeclared(plant: Plant) -> list[str]:
    return [path for _, path, what in operations(plant) if path not in OPEN and declared(what) not in RANK]


def test_every_route_but_the_probes_declares_its_role(plant: Plant) -> None:
    assert len(operations(plant)) >= 21
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
        if path in OPEN:
            assert plant.ask(None, method, path).status_code == 200
            continue
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic c2VjcmV0"}):
            answer = plant.ask(None, method, fill_in(path), headers=headers, content=b"{")
            assert answer.status_code == 401, (method, path)
            assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert plant.get("/nothing/here", role=None).status_code == 401


@pytest.mark.parametrize("role", ROLES)
def test_every_route_lets_in_its_role_and_no_lesser_one(plant: Plant, role: str) -> None:
    checked = 0
    for method, path, what in sorted(operations(plant), key=lambda row: row[0] == "delete"):
        if path in OPEN:
            continue
        answer = plant.ask(role, method, fill_in(path), json=BODIES.get((method, path)))
        enough = RANK[role] >= RANK[declared(what) or ""]
        enough = enough and not (path == "/api/v1/audit" and role == "limited-admin")
        assert answer.status_code in ((200, 204) if enough else (403,)), (role, method, path, answer.text)
        checked += 1
    assert checked >= 19


@pytest.mark.parametrize("role", ["limited", "limited-admin"])
def test_callers_of_some_cameras_find_no_other_one(plant: Plant, role: str) -> None:
    for method, path, what in operations(plant):
        if "{" not in path or "/targets/" in path or RANK[role] < RANK[declared(what) or ""]:
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
        "/incidents?after=2999-01-01T00:00:00Z,z",
    ):  # fmt: skip
        text = plant.get(path, "limited").text
        assert "프레스 2" not in text and '"i2"' not in text and "gate" not in text, path
        assert '"f2"' not in text and '"f0"' not in text, path


def test_the_sites_own_figures_are_not_for_callers_of_some_cameras(plant: Plant) -> None:
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
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
