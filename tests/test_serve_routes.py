"""Every route of the application has a rule: in the OpenAPI document, or here. What has none fails."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import Any

import fastapi.routing
import httpx
import nicegui
import pytest
from fastapi import FastAPI
from starlette.routing import Mount

from fuzz_plant import Asker, Fuzzed, fuzzed, say
from jikimi.serve.pages import add_pages
from test_serve_access import OPEN, RANK, declared, operations
from test_serve_plant import open_plant
from test_serve_running import served

# Who is not logged in is sent to the door; who is, sees what the API tells them.
PAGES = {
    "/": "/", "/live": "/live", "/incidents": "/incidents", "/incidents/{uid}": "/incidents/i1",
    "/cameras": "/cameras", "/cameras/{name:path}": "/cameras/press-3", "/overview": "/overview",
    "/report": "/report", "/reports/{uid}": "/reports/r1", "/learning": "/learning", "/settings": "/settings",
}  # fmt: skip
OF_PAGES = f"/_nicegui/{nicegui.__version__}"
# For everybody: what is asked before anybody is known, and files that every Jikimi has.
PUBLIC = {
    "GET /api/openapi.json", "GET /login", "GET /favicon.ico", "MOUNT /static", f"MOUNT {OF_PAGES}/static",
    f"GET {OF_PAGES}/libraries/{{key:path}}", f"GET {OF_PAGES}/components/{{key:path}}",
    f"GET {OF_PAGES}/resources/{{key}}/{{path:path}}", f"GET {OF_PAGES}/dynamic_resources/{{name}}",
    f"GET {OF_PAGES}/esm/{{key}}/{{path:path}}",
}  # fmt: skip
# NiceGUI gives it to the first application of a process only, and another test may have made that one.
OF_THE_FIRST = {"GET /favicon.ico"}
# For whoever was given a page, whose number is its own (NiceGUI's handshake).
OF_A_PAGE = {"MOUNT /_nicegui_ws"}
# Behind the gate, for every role; tests/test_live_fuzz.py asks it.
LIVE = {"WEBSOCKET /api/v1/live"}
OF_ADMINS = ("/api/v1/users", "/api/v1/tokens", "/api/v1/audit")
OF_OPERATORS = {
    "post /api/v1/incidents/{uid}/acknowledge", "post /api/v1/incidents/{uid}/escalate",
    "put /api/v1/incidents/{uid}/answer",
    "put /api/v1/incidents/{uid}/lock", "post /api/v1/reports", "delete /api/v1/reports/{uid}",
    "put /api/v1/cameras/{name}/shelf", "post /api/v1/targets/{name}/try",
}  # fmt: skip
RULED = PUBLIC | OF_A_PAGE | LIVE | {f"GET {path}" for path in PAGES}

_contexts = getattr(fastapi.routing, "iter_route_contexts", iter)


def routes(of: Iterable[Any], under: str = "") -> Iterator[str]:
    """Every route as `GET /path`, those of mounted applications too; a mount of files is one."""
    for route in _contexts(of):
        original = getattr(route, "original_route", route)
        if isinstance(original, Mount) and isinstance(original.app, FastAPI):
            yield from routes(original.routes, under + original.path)
        elif isinstance(original, Mount):
            yield f"MOUNT {under}{original.path}"
        elif methods := getattr(route, "methods", None):
            yield from (f"{method} {under}{route.path}" for method in methods - {"HEAD"})
        else:
            yield f"WEBSOCKET {under}{path_of(route)}"


def path_of(route: Any) -> str:
    """A websocket's path, which FastAPI knows by the route that it made of it."""
    return str(route.path)


def unruled(app: FastAPI, document: Iterable[tuple[str, str, Any]]) -> set[str]:
    """Routes that are in no list, and routes of the document that say no role."""
    told = {
        f"{method.upper()} {path}"
        for method, path, what in document
        if path in OPEN or declared(what) in RANK
    }
    return set(routes(app.routes)) - told - RULED


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Fuzzed, httpx.Client]]:
    """The site with its pages, as it is served. NiceGUI is one application for the whole process."""
    folder = tmp_path_factory.mktemp("paged")
    with ExitStack() as stack:
        plant = stack.enter_context(open_plant(folder))
        found = stack.enter_context(fuzzed(plant, folder))
        add_pages(plant.app)
        port, _, _ = stack.enter_context(served(plant.app))
        yield found, stack.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30))


def test_every_route_has_a_rule_and_every_rule_a_route(at: tuple[Fuzzed, httpx.Client]) -> None:
    plant = at[0].plant
    there = set(routes(plant.app.routes))
    assert unruled(plant.app, operations(plant)) == set()
    assert RULED - there <= OF_THE_FIRST
    assert len(there) >= 58 + len(RULED - OF_THE_FIRST)


def test_reading_is_for_viewers_answering_for_operators_and_the_rest_for_admins(
    at: tuple[Fuzzed, httpx.Client],
) -> None:
    for method, path, what in operations(at[0].plant):
        if path in OPEN:
            continue
        reads = method == "get" and not path.startswith(OF_ADMINS)
        needed = "viewer" if reads or path.startswith("/api/v1/me/") else "admin"
        needed = "operator" if f"{method} {path}" in OF_OPERATORS else needed
        assert declared(what) == needed, (method, path)


@pytest.mark.parametrize("path", ["/new", "/api/v1/new", "/api/new"])
def test_a_route_without_a_rule_is_found(path: str) -> None:
    app, inner = FastAPI(), FastAPI()
    app.add_api_route("/metrics", lambda: "", methods=["GET"])
    inner.add_api_route(path, lambda: "", methods=["POST"])
    inner.add_api_websocket_route(f"{path}-socket", lambda: None)
    app.include_router(inner.router)
    app.mount("/more", inner)
    found = unruled(app, [("get", "/metrics", {})])
    assert {f"POST {path}", f"POST /more{path}", f"WEBSOCKET {path}-socket"} <= found
    assert "GET /metrics" not in found


def ask(at: tuple[Fuzzed, httpx.Client], asker: Asker, path: str) -> httpx.Response:
    found, client = at
    say(found.plant)
    client.cookies.clear()
    return client.get(path, headers=asker.headers)


def test_strangers_and_tokens_are_sent_from_every_page_to_the_door(at: tuple[Fuzzed, httpx.Client]) -> None:
    stranger = at[0].askers[0]
    for path in PAGES.values():
        answer = ask(at, stranger, path)
        to = answer.headers.get("location", "")
        assert answer.status_code == 303 and (
            to == "/live" if path == "/" else to.startswith("/login?next=")
        ), path
        assert not at[0].leaks(stranger, path, answer)
    assert ask(at, stranger, "/login").status_code == 200
    assert not at[0].leaks(stranger, "/login", ask(at, stranger, "/login"))


@pytest.mark.parametrize("name", ["one-eye", "eye", "hand", "root"])
def test_pages_hold_what_their_reader_may_see(
    at: tuple[Fuzzed, httpx.Client], name: str, caplog: pytest.LogCaptureFixture
) -> None:
    asker = next(one for one in at[0].askers if one.name == name)
    others = (
        "/cameras/+",
        "/cameras/vault7-camera",
        "/incidents/vault7-incident",
        "/incidents?camera=vault7-camera",
    )
    odd = (
        "/incidents?since=x&after=%00",
        "/report?month=9",
        "/overview?since=%ff",
        "/cameras/%00",
        "/incidents/%ff",
    )
    for path in (*PAGES.values(), *others, *odd):
        answer = ask(at, asker, path)
        assert answer.status_code == (303 if path == "/" else 200), (path, answer.text[:300])
        assert at[0].leaks(asker, path, answer) == [], path
    held = {path: ask(at, asker, path).text for path in ("/cameras", "/settings")}
    assert ("vault7-camera" in held["/cameras"]) is not asker.limited  # so that the search above can find it
    assert ("office9-user" in held["/settings"]) is asker.is_site_admin
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR], caplog.text


def test_public_files_are_those_of_every_jikimi_and_nothing_beside_them(
    at: tuple[Fuzzed, httpx.Client],
) -> None:
    stranger = at[0].askers[0]
    assert ask(at, stranger, "/static/jikimi.css").status_code == 200
    folders = (
        "/static",
        f"{OF_PAGES}/static",
        f"{OF_PAGES}/libraries",
        f"{OF_PAGES}/components",
        f"{OF_PAGES}/resources/x",
    )
    ways = (
        "../words.py",
        "%2e%2e/words.py",
        "..%2fwords.py",
        "%2fetc/passwd",
        "....//etc/passwd",
        "%00",
        "%ff",
    )
    for folder in folders:
        for way in ways:
            answer = ask(at, stranger, f"{folder}/{way}")
            assert answer.status_code in (303, 307, 404), (folder, way, answer.status_code)
            assert "root:" not in answer.text and "WORDS" not in answer.text
