"""What is asked of the API when it is fuzzed, by its OpenAPI document, and what answers are judged by."""

import json
import os
from collections.abc import Container, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import httpx
import requests
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase
from hypothesis import settings as examples_of
from hypothesis import strategies as st
from schemathesis import APIOperation, Case, GenerationMode, Response
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.failures import FailureGroup

from fuzz_plant import CAMERA, INCIDENT, REPORT, TOKEN, USER, Asker, Fuzzed, Models
from test_serve_access import OPEN, RANK, declared, is_whole

# Requests a route and caller in CI; `JIKIMI_FUZZ=500 pytest tests/test_api_fuzz.py` looks longer.
EXAMPLES = int(os.environ.get("JIKIMI_FUZZ", "3"))

# Failures that are no fault of ours: where the world outside is away, and saying so is what the route is for.
AWAY = {
    ("GET", "/api/v1/cameras/{name}/picture"): {503},  # this camera shows nothing now
    ("GET", "/api/v1/incidents/{uid}/heat"): {503},  # another map is being made
    ("POST", "/api/v1/cameras/{name}/try"): {502, 503},  # the camera that was tried failed, or hangs
    ("POST", "/api/v1/targets/{name}/try"): {502, 503},  # the target did
    ("POST", "/api/v1/targets/try"): {502, 503},
    ("GET", "/api/v1/status"): {503},  # the site has never said how it is
    ("GET", "/healthz"): {503},  # the probe's very question
}

load_all_checks()
_CONFORMS = CHECKS.get_by_names(
    ["response_schema_conformance", "status_code_conformance", "content_type_conformance"]
)

_ENDS = datetime.now(UTC) - timedelta(minutes=1)
_REPORT = {"kind": "normal", "camera": "press-3", "end_at": _ENDS.isoformat(), "start_at": ""}
_REPORT["start_at"] = (_ENDS - timedelta(seconds=10)).isoformat()
_CAMERA = {
    "address": "rtsp://u:pw7Zq@10.0.0.5/x",
    "zones": [{"name": "z", "polygon": [[0, 0], [1, 0], [1, 1]]}],
}
_WEBHOOK = {"kind": "webhook", "url": "https://u:pw7Zq@10.0.0.6/x", "secret": "pw7Zq"}
_NEW = {"role": "viewer", "cameras": ["press-3"], "password": "another good one"}

# Bodies that are meant, the usual one first.
BODIES: Mapping[tuple[str, str], tuple[Any, ...]] = {
    ("POST", "/api/v1/reports"): (_REPORT, _REPORT | {"camera": CAMERA}),
    ("PUT", "/api/v1/incidents/{uid}/answer"): ({"answer": "correct"},),
    ("PUT", "/api/v1/cameras/{name}"): (_CAMERA, {"address": "rtsp://***@10.0.0.5:554/live"}),
    ("POST", "/api/v1/cameras/{name}/try"): (_CAMERA,),
    ("PUT", "/api/v1/me/password"): ({"old": "password-root", "new": "another good one"},),
    ("PUT", "/api/v1/users/{name}"): ({"role": "viewer"}, _NEW, {"role": "admin", "cameras": [CAMERA]}),
    ("PUT", "/api/v1/users/{name}/password"): ({"password": "another good one"},),
    ("PUT", "/api/v1/targets/{name}"): (_WEBHOOK, {"kind": "webhook"}),
    ("POST", "/api/v1/targets/try"): (_WEBHOOK | {"name": "new"}, {"name": "siren", "kind": "webhook"}),
    ("PUT", "/api/v1/settings/{key}"): ({"value": 60}, {"value": [["hook"]]}, {"value": None}),
    ("POST", "/api/v1/tokens"): ({"name": "new"}, {"name": USER}, {"name": "n", "cameras": [CAMERA]}),
    ("POST", "/api/session/login"): ({"name": "eye", "password": "password-eye"},),
}  # fmt: skip

# A byte that is no UTF-8, where this is in an address.
_BYTE = "\ue0ff"
_ODD_WORDS = (
    "\0", "%", "..", "../../etc/passwd", "a/b", "9" * 500, "a" * 1000, str(2**63), str(-(2**63) - 1), _BYTE,
    "\u202e", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "1e400", "NaN", "\n", "\r\nX: y",
    "{}", "'", '"', "\\",
)  # fmt: skip
_ODD_VALUES: tuple[Any, ...] = (
    *_ODD_WORDS, "\ud800", {"\0": "\ud800"}, [[]] * 50, 2**63, 10**400, float("nan"), float("inf"), -0.0,
    None, [], {}, True, ["\0"], ["\ud800"],
)  # fmt: skip

_RANGES = (
    "bytes=0-3", "bytes=-1", "bytes=5-2", "bytes=0-0,2-3", f"bytes={'9' * 40}-", "lines=1-2", "bytes=", "=",
)  # fmt: skip
_STRANGE = (
    {}, {"Authorization": "Bearer "}, {"Authorization": "Bearer jikimi_" + "x" * 43},
    {"Cookie": "jikimi-session"}, {"Authorization": "Basic c2VjcmV0"},
    {"Cookie": "jikimi-session=" + "y" * 43, "X-CSRF-Token": "0" * 64},
    {"Authorization": "Bearer \xff\xfe"}, {"Cookie": 'jikimi-session="\\377"; jikimi-session=;;='},
)  # fmt: skip


def operations(app: FastAPI) -> dict[str, APIOperation[Any, Any, Any, Any]]:
    """Every operation of the document, by its label as `GET /path`."""
    schema = schemathesis.openapi.from_dict(app.openapi())
    schema.config.generation.update(with_security_parameters=False)
    return {found.ok().label: found.ok() for found in schema.get_all_operations()}


def known(path: str, models: Models) -> dict[str, tuple[Any, ...]]:
    """What there is, by the name of a parameter; the usual one first."""
    names: tuple[str, ...] = ("press-3", CAMERA, "gate", "프레스 2")
    others = {
        "/targets/": ("siren", "hook"),
        "/users/": ("boss", USER, "one-eye"),
        "/tokens/": ("board", TOKEN),
    }
    names = next((there for part, there in others.items() if part in path), names)
    uids = ("r1", REPORT) if "/reports/" in path else ("i1", INCIDENT, "i2")
    return {
        "name": names, "uid": uids, "number": (0,), "key": ("evidence.keep_days", "alerts.lists", "shift"),
        "sha256": models[1:] if path.endswith("/challenge") else models,
        "camera": (["press-3"], [CAMERA], ["gate", CAMERA]), "shift": (["all"],), "behavior": (["fall"],),
    }  # fmt: skip


def usual(operation: APIOperation[Any, Any, Any, Any], at: Fuzzed) -> Iterator[Case]:
    """Requests as they are meant: about what everybody may see, and about what not everybody may."""
    there, bodies = known(operation.path, at.models), meant(operation, at)
    body = {"body": bodies[0], "media_type": operation.body[0].media_type} if bodies else {}
    asked_for = [one.name for one in operation.query if one.name == "camera"]
    for number in (0, 1):
        names = {
            one.name: there[one.name][number % len(there[one.name])] for one in operation.path_parameters
        }
        query = {name: there[name][number] for name in asked_for if number}
        if names or query or number == 0:
            yield operation.Case(path_parameters=names, query=query, **body)


def meant(operation: APIOperation[Any, Any, Any, Any], at: Fuzzed) -> tuple[Any, ...]:
    """Bodies that are meant; none where a route takes none."""
    if operation.path == "/api/v1/models" and operation.method == "post":
        return (at.bundle,)
    if operation.path == "/api/session/setup":
        return ({"name": "first", "password": "a good long one", "code": at.code},)
    defaults: dict[str, Any] = {"locked": False, "minutes": 1, "language": "en"}
    path = operation.path.rpartition("/")[2]
    simple = {"lock": "locked", "shelf": "minutes", "language": "language"}.get(path)
    if operation.method == "put" and simple is not None:
        return ({simple: defaults[simple]},)
    return BODIES.get((operation.method.upper(), operation.path), ())


def cases(operation: APIOperation[Any, Any, Any, Any], at: Fuzzed) -> st.SearchStrategy[Case]:
    """Requests by the document, or against it; three of four about something that there is."""
    against = [GenerationMode.NEGATIVE] if can_be_wrong(operation) else []
    made = [operation.as_strategy(generation_mode=mode) for mode in (GenerationMode.POSITIVE, *against)]
    there, bodies = known(operation.path, at.models), meant(operation, at)

    @st.composite  # inside: Hypothesis writes out what a strategy is given, and an operation is long
    def about_what_there_is(draw: st.DrawFn) -> Case:
        case = draw(st.one_of(made))
        for given in (case.path_parameters, case.query):
            for key in [key for key in given if key in there]:
                if draw(st.integers(0, 3)):
                    given[key] = draw(st.sampled_from(there[key]))
        if bodies and draw(st.booleans()):
            case.body = bodies[draw(st.integers(0, len(bodies) - 1))]
            case.media_type = operation.body[0].media_type
        spoil(draw, case)
        return case

    return about_what_there_is()


def spoil(draw: st.DrawFn, case: Case) -> None:
    """Now and then put in the place of a value what no document thinks of."""
    if draw(st.integers(0, 3)):
        return
    if isinstance(case.body, dict) and case.body and draw(st.booleans()):
        key = draw(st.sampled_from(sorted(case.body)))
        case.body = case.body | {key: draw(st.sampled_from(_ODD_VALUES))}
        return
    for given in (case.path_parameters, case.query):
        if given and draw(st.booleans()):
            given[draw(st.sampled_from(sorted(given)))] = draw(st.sampled_from(_ODD_WORDS))


def can_be_wrong(operation: APIOperation[Any, Any, Any, Any]) -> bool:
    """Whether anything is asked for that could be wrong; any bytes are a body of bytes."""
    takes_json = any("json" in body.media_type for body in operation.body)
    return takes_json or any(True for _ in operation.path_parameters) or any(True for _ in operation.query)


_OF_ONE_HOP = ("content-length", "connection")
headers_of_parts = st.sampled_from([None, *_RANGES])
strange = st.sampled_from(_STRANGE)


def sent(case: Case) -> tuple[str, str, dict[str, str], bytes]:
    """Method, address, headers and body, as schemathesis would send them."""
    given = case.as_transport_kwargs(base_url="http://plant")
    kept = {
        key: value for key, value in given.items() if key in ("method", "url", "params", "headers", "data")
    }
    made = requests.Request(**kept).prepare()
    body = json.dumps(given["json"]) if "json" in given else made.body or b""  # with NaN and lone surrogates
    headers = {key: value for key, value in made.headers.items() if key.lower() not in _OF_ONE_HOP}
    url = str(made.url).replace(quote(_BYTE), "%FF")
    return str(made.method), url, headers, body.encode() if isinstance(body, str) else body


def trouble(case: Case, asker: Asker, answer: httpx.Response) -> Iterator[str]:
    """What is wrong with an answer, leaks apart."""
    operation, status = case.operation, answer.status_code
    method, path = operation.method.upper(), operation.path
    if status >= 500 and status not in AWAY.get((method, path), ()):
        yield f"{status}: {answer.text[:200]}"
    if path not in OPEN and status not in allowed(operation, asker, answer.request.content):
        needed = declared(operation.definition.raw)
        yield f"{asker.role} is answered {status}, and it is for {needed}: {answer.text[:200]}"
    try:
        case.validate_response(Response.from_any(answer), checks=_CONFORMS)
    except FailureGroup as error:
        yield f"{status} is not as documented: {error}"


def allowed(operation: APIOperation[Any, Any, Any, Any], asker: Asker, body: bytes) -> Container[int]:
    """What a caller may be answered as who they are."""
    if asker.role is None:
        return {401}
    needed = declared(operation.definition.raw)
    enough = needed is not None and RANK[asker.role] >= RANK[needed]
    if enough and not (asker.limited and is_whole(operation.method.lower(), operation.path)):
        return range(200, 600)
    return {400, 401, 403, 404, 422} if body and _unread(body) else {401, 403, 404}


def _unread(body: bytes) -> bool:
    """Whether a body is no JSON, which is told before a role is looked at."""
    try:
        json.loads(body)
    except ValueError:
        return True
    return False


def so_many(examples: int) -> examples_of:
    """The same ones each time."""
    return examples_of(
        max_examples=examples, deadline=None, derandomize=True, database=None, report_multiple_bugs=False,
        phases=[Phase.generate, Phase.shrink], suppress_health_check=list(HealthCheck),
    )  # fmt: skip
