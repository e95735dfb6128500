"""What callers send: odd, wrong, too much, or with a password where none may come out again."""

import asyncio
import logging
import sqlite3
import traceback
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jikimi.address import Address
from jikimi.errors import SettingsError, VideoError
from jikimi.serve.addresses import usable
from jikimi.serve.limits import MAX_BODY_BYTES, Tries
from jikimi.serve.shown import veiled
from test_serve_plant import Plant, open_plant

CAMERA = {"address": "rtsp://10.0.0.5/live"}
_QUIET = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    with open_plant(tmp_path) as opened:
        yield opened


def put_raw(plant: Plant, path: str, body: str | bytes, role: str = "admin") -> httpx.Response:
    headers = {"Content-Type": "application/json"}
    return plant.ask(role, "PUT", f"/api/v1{path}", content=body, headers=headers)


def test_bodies_over_the_limit_are_refused_however_they_come(plant: Plant) -> None:
    large = b'{"address": "' + b"x" * MAX_BODY_BYTES
    assert put_raw(plant, "/cameras/x", large).status_code == 413

    async def pieces() -> Any:
        for _ in range(20):
            yield b"x" * (1 << 16)

    answer = plant.ask(
        "admin", "PUT", "/api/v1/cameras/x", content=pieces(), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 413
    announced = {"Content-Length": "9" * 30}
    assert plant.ask("admin", "POST", "/api/v1/targets/hook/try", headers=announced).status_code == 413


@pytest.mark.parametrize(
    "body",
    [
        "", "{", "[]", "null", "1", '"x"', "{}", '{"address": null}', '{"address": ["rtsp://10.0.0.5/"]}',
        "\xff",
        '{"address": "rtsp://10.0.0.5/", "colour": 1}', "[" * 100_000, "9" * 10_000, "NaN", '{"\\ud800": 1}',
        '{"address": "\\ud800"}', '{"address": "rtsp://10.0.0.5/\\ud800"}',
        '{"address": "rtsp://10.0.0.5/\\u0000"}',
        '{"address": "rtsp://10.0.0.5/", "zones": [{"name": "z", "polygon": [[0, 0], [1, 0], [NaN, 1]]}]}',
        '{"address": "rtsp://10.0.0.5/", "zones": [{"name": "a/b", "polygon": [[0, 0], [1, 0], [1, 1]]}]}',
        '{"address": "rtsp://10.0.0.5/", "zones": [{"name": "a", "polygon": [], "x": 1}]}',
        '{"address": "rtsp://10.0.0.5/", "hours": [{"start": "25:00"}]}',
        '{"address": "rtsp://10.0.0.5/", "behaviors": ["a\\u0000"]}',
    ],
)  # fmt: skip
def test_bodies_that_are_no_camera_are_refused(plant: Plant, body: str) -> None:
    answer = put_raw(plant, "/cameras/x", body.encode("latin-1"))
    assert answer.status_code in (400, 422), answer.text
    assert isinstance(answer.json()["detail"], str) and "\n" not in answer.json()["detail"]
    assert len(plant.store.cameras()) == 2


@pytest.mark.parametrize(
    "value", ["0", "-0.1", "1.0001", "NaN", "Infinity", "-Infinity", "1e999", "null", '"x"']
)
def test_a_threshold_outside_0_to_1_is_refused(plant: Plant, value: str) -> None:
    body = f'{{"address": "rtsp://10.0.0.5/", "theta_on": {{"fall": {value}}}}}'
    assert put_raw(plant, "/cameras/x", body).status_code == 422


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-1", "1e308", "9" * 400])
def test_seconds_and_minutes_that_are_none_are_refused(plant: Plant, value: str) -> None:
    assert put_raw(plant, "/cameras/gate/shelf", f'{{"minutes": {value}}}').status_code == 422
    for key in ("pre_roll_s", "post_roll_s"):
        body = f'{{"address": "rtsp://10.0.0.5/", "{key}": {value}}}'
        assert put_raw(plant, "/cameras/x", body).status_code == 422


def test_zones_of_one_name_are_refused(plant: Plant) -> None:
    zone = {"name": "z", "polygon": [[0, 0], [1, 0], [1, 1]]}
    answer = plant.put("/cameras/x", CAMERA | {"zones": [zone, zone]})
    assert answer.status_code == 422 and "occurs twice" in answer.text


@pytest.mark.parametrize("name", ["프레스 3호기", "a'b", 'a"b', "100%", "a?b#c", "a:b", "...", "한" * 80])
def test_names_may_hold_what_people_write(plant: Plant, name: str) -> None:
    place = f"/cameras/{quote(name, safe='')}"
    assert plant.put(place, CAMERA).json()["name"] == name
    assert plant.get(place).status_code == 200
    assert plant.ask("admin", "DELETE", f"/api/v1{place}").status_code == 204


@pytest.mark.parametrize(
    "name",
    ["a/b", "a\\b", "a\nb", "a\0b", "a\n", ".", "..", "../x", "한" * 81, "x" * 10_000, "/", "%2e%2e", ""],
)
def test_names_that_are_none_are_refused(plant: Plant, name: str) -> None:
    raw = quote(name, safe="%")
    assert plant.put(f"/cameras/{raw}", CAMERA).status_code in (404, 405, 422)
    assert len(plant.store.cameras()) == 2


@pytest.mark.parametrize(
    "query",
    [
        "limit=0", "limit=1001", "limit=" + "9" * 5000, "limit=-1", "limit=1.5", "limit=x", "limit=",
        "since=0001-01-01T00:00:00%2B14:00", "until=9999-12-31T23:59:59-14:00", "since=yesterday",
        "since=1e400",
        "since=" + "9" * 400, "after=x", "after=,", "after=2026-07-01T03:00:00Z",
        "after=2026-13-01T03:00:00Z,i",
        "after=0001-01-01T00:00:00%2B23:59,i", "after=a%00b", "answer=maybe", "open=perhaps", "camera=a%00b",
        "behavior=" + "x" * 300, "&".join(["camera=a"] * 101),
    ],
)  # fmt: skip
def test_questions_that_are_none_are_refused(plant: Plant, query: str) -> None:
    answer = plant.get(f"/incidents?{query}")
    assert answer.status_code == 422 and isinstance(answer.json()["detail"], str), answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/audit?before=-1", f"/audit?before={2**63}", "/audit?before=" + "9" * 5000, "/audit?limit=1001",
        "/faults?limit=99999", "/faults?since=9999-12-31T23:59:59-14:00", "/faults?camera=%00",
        "/coverage?hours=0", "/coverage?hours=" + "9" * 30, "/coverage/shifts?hours=x", "/incidents/a%00b",
        "/incidents/i1/evidence/-1", "/incidents/i1/evidence/" + "9" * 5000, "/incidents/i1/evidence/x",
    ],
)  # fmt: skip
def test_other_questions_that_are_none_are_refused(plant: Plant, path: str) -> None:
    assert plant.get(path, "admin").status_code == 422


def test_moments_without_a_zone_are_utc(plant: Plant) -> None:
    assert len(plant.get("/incidents?since=2026-07-01T03:00:02").json()["incidents"]) == 1
    assert len(plant.get("/incidents?since=0001-01-01T00:00:00").json()["incidents"]) == 2


def test_a_locked_store_is_asked_again_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jikimi.store.engine.BUSY_TIMEOUT_S", 0.05)
    with open_plant(tmp_path) as plant, closing(sqlite3.connect(tmp_path / "jikimi.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        answer = plant.ask("operator", "POST", "/api/v1/incidents/i1/acknowledge")
        assert answer.status_code == 503 and answer.headers["Retry-After"] and "locked" in answer.text
        assert plant.get("/incidents/i1/evidence/0").status_code == 503  # nobody looks unnoted
        assert plant.get("/incidents").status_code == 200


def test_a_store_that_is_gone_is_no_trace(plant: Plant, caplog: pytest.LogCaptureFixture) -> None:
    plant.store.close()
    for path in ("/incidents", "/incidents/i1", "/cameras", "/faults", "/coverage"):
        answer = plant.get(path)
        assert answer.status_code == 503 and answer.headers["Retry-After"] and "Traceback" not in answer.text
    assert "Traceback" not in caplog.text and "File " not in caplog.text


def test_what_nobody_expected_is_logged_by_its_place_and_not_by_its_words(
    plant: Plant, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("rtsp://u:hid" + "den1@h/")

    monkeypatch.setattr(type(plant.store), "page", fail)
    answer = plant.get("/incidents")
    assert answer.status_code == 500 and "hidden1" not in answer.text + caplog.text
    assert "RuntimeError" in caplog.text and "list_incidents" in caplog.text
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


# A mark that no answer holds by itself, among all that separates the parts of addresses.
passwords = st.text(st.sampled_from("@:/%#?&= +'\"\\;,.비밀é[]$!"), max_size=8).flatmap(
    lambda text: st.integers(0, len(text)).map(lambda place: text[:place] + "q7Zx" + text[place:])
)
shapes = st.sampled_from(
    [
        "rtsp://admin:{}@10.0.0.5:554/live", "rtsp://{}@10.0.0.5/live", "http://10.0.0.5/live?user=a&pwd={}",
        "rtsp://10.0.0.5/user=admin_password={}_channel=1", "rtsp://a:{}@cam.test/l?token={}",
        "srt://{}:b@10.0.0.5:1",
        "http://10.0.0.5/cgi?session={}&channel=1",
    ]
)  # fmt: skip


@_QUIET
@given(password=passwords, shape=shapes, encode=st.sampled_from([str, quote, quote_plus]), sub=st.booleans())
def test_passwords_are_in_no_answer_log_or_exception(
    plant: Plant, caplog: pytest.LogCaptureFixture, password: str, shape: str, encode: Any, sub: bool
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.clear()
    plant.app.state.tries = Tries()
    address = shape.replace("{}", encode(password))
    body = {"address": "rtsp://10.0.0.5/", "sub": address} if sub else {"address": address}
    put = plant.put("/cameras/nasty", body)
    plant.trouble = VideoError(f"{address}: cannot be opened")
    texts = [put.text, plant.ask("admin", "POST", "/api/v1/cameras/nasty/try", json=body).text]
    texts.append(plant.put("/cameras/nasty", body | {"transport": address}).text)
    texts.append(plant.put("/cameras/nasty", body | {address: 1}).text)
    texts += [plant.get(path, "admin").text for path in ("/cameras", "/status", "/faults", "/audit?limit=5")]
    assert put.status_code in (200, 422)
    kept = {camera.settings.name: camera.settings for camera in plant.store.cameras()}
    if put.status_code == 200:
        before = kept["nasty"]
        assert (before.sub if sub else before.address) == Address(address)
        shown = {key: put.json()[key] for key in ("address", "sub")}
        texts.append(plant.put("/cameras/nasty", shown).text)
        after = {camera.settings.name: camera.settings for camera in plant.store.cameras()}["nasty"]
        assert (after.address, after.sub) == (before.address, before.sub)
        plant.store.remove_camera("nasty")
    assert "q7Zx" not in " ".join(texts) + caplog.text


@_QUIET
@given(password=passwords, shape=shapes)
def test_refusals_quote_no_password(password: str, shape: str) -> None:
    address = Address(shape.replace("{}", password))
    try:
        usable(address, media=Path("/m"), allow_loopback=False, resolve=lambda _: ["127.0.0.1"])
    except SettingsError as error:
        assert "q7Zx" not in "".join(traceback.format_exception(error))
    else:
        raise AssertionError("loopback was taken")


def test_free_text_loses_log_ins_and_what_no_encoding_carries() -> None:
    secret = Address("rtsp://u:a b@h/x")
    assert veiled("rtsp://u:a b@h/x is gone, so is http://h/?token=1", [secret]) == (
        "rtsp://***@h/x is gone, so is http://h/?token=***"
    )
    assert veiled("\ud800") == "?"
    assert veiled(veiled("rtsp://u:p@h/")) == "rtsp://***@h/"


def test_many_ask_at_once(plant: Plant) -> None:
    async def all_at_once() -> list[int]:
        ask = [
            plant._ask("GET", f"/api/v1/{path}", headers={"Authorization": "Bearer secret-viewer"})
            for path in ("incidents", "cameras", "status", "faults") * 10
        ]
        return [answer.status_code for answer in await asyncio.gather(*ask)]

    assert set(asyncio.run(all_at_once())) == {200}
