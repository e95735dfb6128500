"""The whole API by its OpenAPI document, asked by everybody: no failure, nothing undocumented, no leak.

`JIKIMI_FUZZ=500` sends so many requests a route instead of a few.
"""

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from schemathesis import APIOperation, Case

from bundles import make_bundle
from fuzz_plant import CAMERA, Fuzzed, asker_of, begun, fuzzed
from fuzz_requests import (
    EXAMPLES,
    cases,
    headers_of_parts,
    operations,
    sent,
    so_many,
    strange,
    trouble,
    usual,
)
from jikimi.serve import live_routes
from jikimi.serve.backend import Heat, Sight
from jikimi.settings import Settings
from jikimi.store import open_box, open_store
from jikimi.store.setup_code import new_setup_code
from live_cameras import ShownCamera
from test_serve_plant import SECRETS, digest, fill, open_plant, plant_on

log = logging.getLogger(__name__)
logging.getLogger("httpx").setLevel(logging.WARNING)

pytest_plugins = ("postgres_server", "store_fixtures")

# What nobody is answered well in a plant that has users and cameras.
NOT_HERE = {"POST /api/session/setup", "POST /api/v1/demo"}
# What is answered well in one that has nothing yet: what it has, and what makes something.
MADE = {
    "POST /api/session/setup", "POST /api/v1/demo", "POST /api/v1/tokens", "POST /api/v1/models",
    "PUT /api/v1/cameras/{name}",
}  # fmt: skip


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzzed]:
    folder = tmp_path_factory.mktemp("fuzzed")
    with ExitStack() as stack:
        patched = stack.enter_context(pytest.MonkeyPatch.context())
        patched.setattr(live_routes, "_WAIT_S", 0.05)
        plant = stack.enter_context(open_plant(folder, explain=shown, resolve=resolve))
        for name in ("press-3", CAMERA):
            stack.enter_context(ShownCamera(folder, name, rate_hz=5))
        yield stack.enter_context(begun(folder, plant))


def resolve(_host: str) -> list[str]:
    """No name is looked up: that would take seconds."""
    return ["10.0.0.7"]


def empty_settings(folder: Path) -> Settings:
    """Tokens, and nothing else."""
    tokens = [
        {"name": name, "sha256": digest(f"secret-{name}"), "role": name} for name in ("viewer", "admin")
    ]
    return Settings.model_validate({"site": {"data": folder}, "token": tokens})


def shown(sight: Sight) -> Heat:
    """A map whose bytes say of what it is."""
    return Heat(sight.video.read_bytes(), 0.5)


def ask_all(at: Fuzzed, case: Case, *, part: str | None, odd: dict[str, str]) -> None:
    """One request by everybody; the plant is as before afterwards. Raises AssertionError: what was wrong."""
    at.ready()
    method, url, headers, body = sent(case)
    if part is not None:
        headers["Range"] = part
    found, well = [], False
    for asker in at.askers:
        answer = at.send(method, url, headers | (asker.headers or odd), body)
        asker.counts[f"{answer.status_code // 100}xx"] += 1
        well |= answer.is_success
        leaks = at.leaks(asker, url + body.decode("utf-8", "replace"), answer)
        found += [f"{asker}: {method} {url}: {what}" for what in trouble(case, asker, answer)]
        found += [f"{asker}: {method} {url}: {leak!r} is told" for leak in leaks]
    if well:
        at.well.add(case.operation.label)
    if well and method != "GET":
        at.put_back()
    assert not found, "\n".join(found)


def fuzz(at: Fuzzed, operation: APIOperation[Any, Any, Any, Any], examples: int) -> None:
    """Ask one operation, as it is meant and otherwise. Raises AssertionError."""
    for case in usual(operation, at):
        ask_all(at, case, part=None, odd={})
    in_parts = operation.path.endswith("/{number}")

    @so_many(examples)
    @given(case=cases(operation, at), part=headers_of_parts if in_parts else st.none(), odd=strange)
    def all_ask(case: Case, part: str | None, odd: dict[str, str]) -> None:
        ask_all(at, case, part=part, odd=odd)

    all_ask()


def fuzz_all(at: Fuzzed, examples: int) -> None:
    """Ask every operation. Raises AssertionError with all that was wrong."""
    failed, document = {}, operations(at.plant.app)
    for label, operation in document.items():
        try:
            fuzz(at, operation, examples)
        except Exception as error:  # noqa: BLE001  (all of them are told at the end)
            failed[label] = str(error)
        at.put_back()
    for asker in at.askers:
        log.info("%s: %d requests, %s", asker, asker.counts.total(), dict(sorted(asker.counts.items())))
    assert len(document) >= 58
    assert not failed, "\n\n".join(f"{label}\n{error[:3000]}" for label, error in failed.items())


def test_every_operation_is_answered_as_documented_and_tells_nobody_too_much(at: Fuzzed) -> None:
    fuzz_all(at, EXAMPLES)
    assert set(operations(at.plant.app)) - at.well == NOT_HERE


def test_a_site_where_nothing_is_yet_answers_as_documented(tmp_path: Path) -> None:
    """No user, no camera, no status; then what was made of it."""
    with open_store(f"sqlite:///{tmp_path / 'jikimi.db'}", box=open_box(tmp_path / "key", None)) as store:
        plant = plant_on(tmp_path, store, resolve=resolve, settings=empty_settings(tmp_path))
        bundle = make_bundle(tmp_path / "new.jikimi").read_bytes()
        askers = [
            asker_of(plant, name, by)
            for name, by in (("stranger", None), ("viewer", "token"), ("admin", "token"))
        ]
        code = new_setup_code(store) or ""
        with Fuzzed(
            plant, askers, ("a" * 64, "b" * 64, "c" * 64), bundle, SECRETS, code, is_watching=False
        ) as at:
            fuzz_all(at, max(1, EXAMPLES // 4))
            for camera in store.cameras():  # the demo is for a site without any
                store.remove_camera(camera.settings.name)
            for case in usual(operations(plant.app)["POST /api/v1/demo"], at):
                ask_all(at, case, part=None, odd={})
        assert at.well >= MADE
        assert store.find_user("first") is not None


def test_after_all_that_an_admin_did_the_store_is_sound(database_url: str, tmp_path: Path) -> None:
    """Nothing is put back in between, on SQLite and on PostgreSQL."""
    box = open_box(tmp_path / "key", None)
    with open_store(database_url, box=box) as store:
        plant = plant_on(tmp_path, store, resolve=resolve)
        fill(plant)
        with fuzzed(plant, tmp_path) as at:
            at.askers = [one for one in at.askers if str(one) == "admin (token)"]
            fuzz_all(at, max(1, EXAMPLES // 4))
    with open_store(database_url, box=box) as store:
        plant = plant_on(tmp_path, store)
        for path in (
            "/incidents",
            "/cameras",
            "/faults",
            "/users",
            "/tokens",
            "/models",
            "/audit",
            "/overview",
        ):
            answer = plant.get(path, "admin")
            assert answer.status_code == 200, (path, answer.text)
        camera = {"address": "rtsp://10.0.0.5/x"}
        assert plant.put("/cameras/after-all", camera).status_code == 200
        assert plant.put("/incidents/i1/answer", {"answer": "correct"}, "operator").status_code == 200
    if database_url.startswith("sqlite"):
        with closing(sqlite3.connect(tmp_path / "jikimi.db")) as database:
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert database.execute("PRAGMA foreign_key_check").fetchall() == []
