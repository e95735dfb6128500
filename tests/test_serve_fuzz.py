"""Whatever is sent to whatever route by whomever: an answer that says what is wrong, and never a failure."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jikimi.serve import live_routes
from jikimi.serve.limits import Tries
from test_serve_plant import ROLES, Plant, leaks, open_plant

_EXAMPLES = 150


@pytest.fixture
def plant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plant]:
    monkeypatch.setattr(live_routes, "_WAIT_S", 0.05)  # no camera shows anything here
    with open_plant(tmp_path) as opened:
        yield opened


odd = st.one_of(
    st.text(max_size=20), st.integers().map(str), st.floats().map(str), st.datetimes().map(str),
    st.sampled_from([
        "", ".", "..", "%",
        "press-3", "gate", "프레스 2", "i1", "i2", "0", "hook", "true", "9" * 500, "a" * 3000,
        "0001-01-01T00:00:00+14:00", "2026-07-01T00:00:00Z,i1", "rtsp://10.0.0.5/", "rtsp://u:p@cam.test/",
        "\0", "\n", "../../etc/passwd", "-1", str(2**63), str(-(2**63) - 1),
    ]),
)  # fmt: skip
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | odd,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(odd, inner, max_size=3),
    max_leaves=6,
)


def values(schema: dict[str, Any], parts: dict[str, Any]) -> st.SearchStrategy[Any]:
    """What a schema asks for, more or less: now and then anything else."""
    if "$ref" in schema:
        return values(parts[schema["$ref"].rpartition("/")[2]], parts)
    if choices := schema.get("anyOf"):
        return st.one_of([values(choice, parts) for choice in choices])
    if "enum" in schema:
        return st.sampled_from(schema["enum"]) | anything
    if schema.get("type") == "array":
        fixed = schema.get("prefixItems")
        if fixed:
            return st.tuples(*[values(item, parts) for item in fixed]).map(list) | anything
        return st.lists(values(schema.get("items", {}), parts), max_size=4) | anything
    if schema.get("type") == "object":
        return fields(schema, parts) | anything
    return {
        "boolean": st.booleans(), "integer": st.integers(), "number": st.floats(-1, 2) | st.floats(),
        "null": st.none(), "string": odd,
    }.get(schema.get("type", ""), anything) | anything  # fmt: skip


def fields(schema: dict[str, Any], parts: dict[str, Any]) -> st.SearchStrategy[Any]:
    known = {name: values(inner, parts) for name, inner in schema.get("properties", {}).items()}
    needed = {name: known[name] for name in schema.get("required", [])}
    rest = {name: inner for name, inner in known.items() if name not in needed}
    return st.fixed_dictionaries(needed, optional=rest)


def asked(draw: st.DrawFn, document: dict[str, Any]) -> tuple[str, str, dict[str, Any]]:
    """Method, path with its query, and the rest of a request that the document has."""
    parts = document["components"]["schemas"]
    path = draw(st.sampled_from(sorted(document["paths"])))
    method, operation = draw(st.sampled_from(sorted(document["paths"][path].items())))
    query = []
    for one in operation.get("parameters", []):
        text = str(draw(values(one["schema"], parts))).encode("utf-8", "replace").decode()
        if one["in"] == "path":
            path = path.replace("{" + one["name"] + "}", quote(text, safe="")[:4000] or "x")
        elif draw(st.booleans()):
            query.append(f"{one['name']}={quote(text, safe='')[:4000]}")
    more: dict[str, Any] = {}
    if body := operation.get("requestBody"):
        if "application/json" in body["content"]:
            more["json"] = draw(values(body["content"]["application/json"]["schema"], parts))
        else:
            more["content"] = draw(st.binary(max_size=100))
    return method.upper(), path + ("?" + "&".join(query) if query else ""), more


@settings(
    max_examples=_EXAMPLES, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(data=st.data())
def test_nothing_that_is_sent_makes_it_fail(plant: Plant, data: st.DataObject) -> None:
    plant.app.state.tries = Tries()
    document = plant.app.openapi()
    plant.say()
    role = data.draw(st.sampled_from([None, *ROLES]))
    method, path, more = data.draw(st.composite(lambda draw: asked(draw, document))())
    if "json" in more:
        more = {"content": dumps(more["json"]), "headers": {"Content-Type": "application/json"}}
    answer = plant.ask(role, method, path, **more)
    slow = path.startswith("/healthz") and answer.status_code == 503  # a machine that took 3 s for this
    away = path.partition("?")[0].endswith("/picture") and answer.status_code == 503
    assert answer.status_code < 500 or slow or away, answer.text
    assert not leaks(answer.text)
    if answer.status_code >= 400 and not slow:
        assert isinstance(answer.json()["detail"], str) and "Traceback" not in answer.text
    if role is None and path.startswith("/api/v1"):
        assert answer.status_code == 401


def dumps(body: object) -> bytes:
    """JSON with NaN, Infinity and lone surrogates, as no well-behaved client writes it."""
    return json.dumps(body).encode()
