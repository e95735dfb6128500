"""What every route answers, and what it does."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from jikimi.errors import AlertError, CameraError, VideoError
from jikimi.serve.aside import aside
from jikimi.serve.limits import TRIES_AT_ONCE, TRY_EVERY_S, Bucket
from test_serve_plant import NOON, STORED, STREAM, SUB, Plant, incident, leaks, open_plant


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    with open_plant(tmp_path) as opened:
        yield opened


def uids(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [row["uid"] for row in answer.json()["incidents"]]


def test_incidents_come_newest_first_and_filters_narrow(plant: Plant) -> None:
    plant.store.open_incident(incident("i3", "gate", 60, "jam"), [])
    plant.store.close_incident("i3", at=NOON + timedelta(seconds=90), peak=0.9, score=0.1)
    plant.store.answer("i2", answer="false-alarm", at=NOON, by="kim")
    assert uids(plant.get("/incidents")) == ["i3", "i2", "i1"]
    for query, expected in {
        "camera=gate&camera=press-3": ["i3", "i1"],
        "behavior=jam": ["i3"],
        "answer=false-alarm": ["i2"],
        "answered=false": ["i3", "i1"],
        "open=true": ["i2", "i1"],
        "since=2026-07-01T03:00:02": ["i3", "i2"],
        "until=2026-07-01T12:00:02%2B09:00": ["i1"],
        "camera=nowhere": [],
    }.items():
        assert uids(plant.get(f"/incidents?{query}")) == expected, query


def test_pages_neither_repeat_nor_skip_while_incidents_arrive(plant: Plant) -> None:
    for number in range(20):
        plant.store.open_incident(incident(f"p{number:02}", opened_s=100 + number // 4), [])
    expected, met, after = uids(plant.get("/incidents")), [], ""
    while True:
        answer = plant.get(f"/incidents?limit=4{after}")  # `next` needs no encoding
        met += uids(answer)
        plant.store.open_incident(incident(f"new{len(met)}", opened_s=500 + len(met)), [])
        if answer.json()["next"] is None:
            break
        after = f"&after={answer.json()['next']}"
    assert met == expected and len(met) == 22


def test_the_last_page_says_that_it_is_the_last_even_when_it_is_full(plant: Plant) -> None:
    assert plant.get("/incidents?limit=2").json()["next"] is None
    assert plant.get("/incidents?limit=1").json()["next"] is not None


def test_one_incident_tells_all_about_it(plant: Plant) -> None:
    found = plant.get("/incidents/i1").json()
    assert found["incident"]["camera"] == "press-3"
    assert [row["kind"] for row in found["transitions"]] == ["opened"]
    assert [row["target"] for row in found["deliveries"]] == ["hook"]
    assert [row["url"] for row in found["evidence"]] == ["/api/v1/incidents/i1/evidence/0"]
    assert plant.get("/incidents/none").status_code == 404


def test_operators_acknowledge_answer_and_lock_and_it_is_audited(plant: Plant) -> None:
    first = plant.ask("operator", "POST", "/api/v1/incidents/i1/acknowledge").json()
    again = plant.ask("admin", "POST", "/api/v1/incidents/i1/acknowledge").json()
    assert first["acknowledged_by"] == again["acknowledged_by"] == "operator"
    body = {"answer": "other-behavior", "behavior": "jam", "note": "기계\n걸림"}
    assert plant.put("/incidents/i1/answer", body, "operator").json()["answer_note"] == "기계\n걸림"
    assert plant.put("/incidents/i1/lock", {"locked": True}, "operator").json()["locked"] is True
    assert plant.put("/incidents/i1/lock", {"locked": False}, "operator").json()["locked"] is False
    trail = plant.get("/audit", "admin").json()
    done = [(row["who"], row["what"], row["about"]) for row in reversed(trail)]
    assert done == [("operator", what, "i1") for what in ("acknowledged", "answered", "locked", "unlocked")]
    older = plant.get(f"/audit?before={trail[0]['id']}&limit=2", "admin").json()
    assert [row["id"] for row in older] == [trail[1]["id"], trail[2]["id"]]


def test_cameras_of_both_kinds_are_listed_without_log_ins(plant: Plant) -> None:
    answer = plant.get("/cameras")
    assert [(row["name"], row["fixed"]) for row in answer.json()] == [
        ("gate", True), ("press-3", False), ("프레스 2", False),
    ]  # fmt: skip
    assert not leaks(answer.text)
    one = plant.get(f"/cameras/{quote('프레스 2')}").json()
    assert one["address"] == "rtsp://***@10.0.0.5:554/live"
    assert one["sub"] == "rtsp://***@10.0.0.5:554/sub?password=***"


def test_a_camera_is_added_changed_and_removed(plant: Plant) -> None:
    body = {"address": "rtsp://u:p4ss@cam.test/live", "theta_on": {"fall": 0.5}, "behaviors": ["fall"]}
    made = plant.put("/cameras/new", body)
    assert made.status_code == 200 and made.json()["theta_on"] == {"fall": 0.5}
    assert "p4ss" not in made.text
    kept = {camera.settings.name: camera.settings for camera in plant.store.cameras()}["new"]
    assert kept.address.reveal() == body["address"]
    refused = plant.put("/cameras/new", body | {"behaviors": ["dance"]})
    assert refused.status_code == 422 and "the model knows fall only" in refused.json()["detail"]
    assert plant.ask("admin", "DELETE", "/api/v1/cameras/new").status_code == 204
    assert plant.ask("admin", "DELETE", "/api/v1/cameras/new").status_code == 404


def test_what_the_list_shows_can_be_put_back_as_it_is(plant: Plant) -> None:
    shown = plant.get("/cameras/press-3").json()
    body = {key: value for key, value in shown.items() if key not in ("name", "fixed", "shelved_until")}
    body["hours"] = [{"days": ["mon"], "start": "08:00", "end": "24:00"}]
    again = plant.put("/cameras/press-3", body).json()
    body["hours"] = again["hours"]
    assert plant.put("/cameras/press-3", body).json() == again
    kept = {camera.settings.name: camera.settings for camera in plant.store.cameras()}["press-3"]
    assert kept.address.reveal() == STORED and kept.sub is not None and kept.sub.reveal() == SUB


def test_what_is_wrong_with_a_camera_as_a_whole_is_told(plant: Plant) -> None:
    zone = {"name": "a", "polygon": [[0, 0], [1, 0], [1, 1]]}
    refused = plant.put("/cameras/new", {"address": "rtsp://10.0.0.6/", "zones": [zone, zone]})
    assert refused.status_code == 422
    assert refused.json()["detail"] == "camera 'new': zone 'a' occurs twice"


def test_a_hidden_log_in_is_not_stored_for_another_address(plant: Plant) -> None:
    refused = plant.put("/cameras/press-3", {"address": "rtsp://***@10.0.0.6:554/live"})
    assert refused.status_code == 422 and "enter it again" in refused.json()["detail"]


def test_cameras_of_the_file_are_changed_there(plant: Plant) -> None:
    assert plant.put("/cameras/gate", {"address": "rtsp://10.0.0.1/"}).status_code == 409
    assert plant.ask("admin", "DELETE", "/api/v1/cameras/gate").status_code == 409


@pytest.mark.parametrize("name", ["press-3", "gate"])
def test_a_camera_is_shelved_until_then(plant: Plant, name: str) -> None:
    until = datetime.fromisoformat(
        plant.put(f"/cameras/{name}/shelf", {"minutes": 30}, "operator").json()["shelved_until"]
    )
    assert abs(until - datetime.now(UTC) - timedelta(minutes=30)) < timedelta(seconds=20)
    ended = plant.put(f"/cameras/{name}/shelf", {"minutes": 0}, "operator")
    assert ended.json()["shelved_until"] is None


def test_a_shelf_that_is_over_is_not_shown(plant: Plant) -> None:
    plant.store.shelve("gate", until=NOON - timedelta(days=400), by="kim")
    assert plant.get("/cameras/gate").json()["shelved_until"] is None


def test_a_camera_is_tried_with_the_log_in_that_is_stored(plant: Plant) -> None:
    shown = plant.get("/cameras/press-3").json()["address"]
    answer = plant.ask("admin", "POST", "/api/v1/cameras/press-3/try", json={"address": shown})
    assert answer.json() == {"main": STREAM, "sub": None}
    assert plant.tried[0].address.reveal() == STORED  # type: ignore[attr-defined]
    assert plant.get("/audit", "admin").json()[0]["what"] == "tried camera"


def test_a_camera_that_does_not_open_is_no_failure_of_ours_and_shows_no_log_in(plant: Plant) -> None:
    plant.trouble = VideoError("rtsp://u:pa ss@10.0.0.6/x?token=to ken: refused")
    body = {"address": "rtsp://u:pa ss@10.0.0.6/x?token=to ken"}
    answer = plant.ask("admin", "POST", "/api/v1/cameras/new/try", json=body)
    assert answer.status_code == 502 and "refused" in answer.text
    assert "pa ss" not in answer.text and "ken" not in answer.text.replace("token", "")


def test_figures_that_json_cannot_say_are_not_told_and_log_ins_neither(plant: Plant) -> None:
    sub = {**STREAM, "fps": float("nan"), "keyframe_s": float("inf"), "address": "rtsp://a:b@c/"}
    plant.figures = {"main": STREAM, "sub": sub}
    answer = plant.ask("admin", "POST", "/api/v1/cameras/new/try", json={"address": "rtsp://10.0.0.6/"})
    shown = {**sub, "fps": None, "keyframe_s": None, "address": "rtsp://***@c/"}
    assert answer.json() == {"main": STREAM, "sub": shown}


def test_a_camera_that_fails_is_told_with_what_to_look_at(plant: Plant) -> None:
    plant.trouble = CameraError("rtsp://***@10.0.0.6/x: 401 Unauthorized", cause="login")
    answer = plant.ask("admin", "POST", "/api/v1/cameras/new/try", json={"address": "rtsp://10.0.0.6/"})
    assert (answer.status_code, answer.json()["code"]) == (502, "camera-login")
    assert "401" in answer.json()["detail"]


def test_what_is_held_of_a_camera_is_told_to_those_who_may_see_it(plant: Plant) -> None:
    plant.held = [(NOON, NOON + timedelta(minutes=40))]
    answer = plant.get("/cameras/press-3/replay", "limited").json()
    assert answer["camera"] == "press-3" and answer["minutes"] == 60
    assert [datetime.fromisoformat(span["end_at"]) for span in answer["spans"]] == [plant.held[0][1]]
    assert plant.get("/cameras/gate/replay", "limited").status_code == 404


def test_addresses_that_are_no_cameras_are_refused_when_entered_and_when_tried(plant: Plant) -> None:
    for address in (
        "rtsp://127.0.0.1/",
        "http://169.254.169.254/latest",
        "/etc/passwd",
        "file:///etc/passwd",
    ):
        for body in ({"address": address}, {"address": "rtsp://10.0.0.5/", "sub": address}):
            assert plant.put("/cameras/new", body).status_code == 422
            assert plant.ask("admin", "POST", "/api/v1/cameras/new/try", json=body).status_code in (422, 429)
    assert not plant.tried and len(plant.store.cameras()) == 2


def test_loopback_is_taken_where_the_site_allows_it(tmp_path: Path) -> None:
    with open_plant(tmp_path, allow_loopback=True) as plant:
        assert plant.put("/cameras/new", {"address": "rtsp://127.0.0.1:8554/a"}).status_code == 200
        assert plant.put("/cameras/new", {"address": "rtsp://169.254.1.1/a"}).status_code == 422


def test_a_film_of_the_media_folder_may_be_a_camera(plant: Plant) -> None:
    film = plant.folder / "media" / "film.mp4"
    film.parent.mkdir()
    film.touch()
    made = plant.put("/cameras/film", {"address": "film.mp4"})
    assert made.json()["address"] == str(film)
    assert plant.put("/cameras/film", {"address": "../jikimi.db"}).status_code == 422


def test_when_too_much_hangs_a_try_is_put_off(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jikimi.serve.aside._room", threading.BoundedSemaphore(1))
    first = plant.ask("operator", "POST", "/api/v1/targets/hook/try")
    assert first.status_code == 200
    leave = threading.Event()
    aside(leave.wait)
    for path in ("targets/hook/try", "cameras/new/try"):
        put_off = plant.ask("admin", "POST", f"/api/v1/{path}", json={"address": "rtsp://10.0.0.5/"})
        assert put_off.status_code == 503 and put_off.headers["Retry-After"]
    leave.set()


def test_a_try_that_never_ends_is_given_up(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jikimi.serve.cameras.TRY_LIMIT_S", 0.05)
    leave = threading.Event()
    monkeypatch.setattr(Plant, "try_camera", lambda *_: leave.wait(20))
    with open_plant(plant.folder) as again:
        answer = again.ask("admin", "POST", "/api/v1/cameras/x/try", json={"address": "rtsp://10.0.0.5/"})
    leave.set()
    assert answer.status_code == 503 and answer.headers["Retry-After"]


def test_serving_does_not_know_watching() -> None:
    look = "import jikimi.serve, sys; sys.exit('jikimi.watch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", look], check=False).returncode == 0


def test_a_target_is_tried(plant: Plant) -> None:
    answer = plant.ask("operator", "POST", "/api/v1/targets/hook/try")
    assert answer.json() == {"seconds": 0.25}
    plant.trouble = AlertError("https://x:h00k@hooks/1: 500")
    failed = plant.ask("operator", "POST", "/api/v1/targets/hook/try")
    assert failed.status_code == 502 and not leaks(failed.text)
    assert plant.ask("operator", "POST", "/api/v1/targets/none/try").status_code == 404


def test_who_tries_too_often_waits_and_nobody_else_does(plant: Plant) -> None:
    codes = [plant.ask("operator", "POST", "/api/v1/targets/hook/try").status_code for _ in range(7)]
    assert codes == [200] * TRIES_AT_ONCE + [429] * (7 - TRIES_AT_ONCE)
    refused = plant.ask("operator", "POST", "/api/v1/targets/hook/try")
    assert 1 <= int(refused.headers["Retry-After"]) <= TRY_EVERY_S + 1
    assert plant.ask("admin", "POST", "/api/v1/targets/hook/try").status_code == 200
    assert len(plant.tried) == TRIES_AT_ONCE + 1


def test_a_bucket_fills_as_time_passes_and_no_further() -> None:
    bucket = Bucket(1.0, 0.0)
    assert bucket.take(0.0) == 0 and bucket.take(0.0) == TRY_EVERY_S
    assert bucket.take(TRY_EVERY_S) == 0
    assert bucket.take(1e9) == 0 and bucket.left == TRIES_AT_ONCE - 1


def test_the_status_is_that_of_the_watching_half(plant: Plant) -> None:
    found = plant.get("/status").json()
    assert found["watching"] is True and found["open_incidents"] == 7 and found["age_s"] < 3
    assert len(found["cameras"]) == 3 and "pids" not in found
    assert plant.get("/cameras/gate/status").json()["state"] == "live"
    plant.say(at=NOON)
    assert plant.get("/status").json()["watching"] is False
    plant.status_file.unlink()
    gone = plant.get("/status")
    assert gone.status_code == 503 and gone.headers["Retry-After"]
    assert plant.get("/cameras/gate/status").status_code == 404


def test_faults_and_coverage_are_listed_and_filtered(plant: Plant) -> None:
    assert {row["uid"] for row in plant.get("/faults").json()} == {"f0", "f1", "f2"}
    assert [row["uid"] for row in plant.get("/faults?camera=press-3&open=true").json()] == ["f1"]
    assert [row["uid"] for row in plant.get("/faults?camera=").json()] == ["f0"]
    plant.store.end_fault("f1", at=NOON + timedelta(hours=1))
    assert [row["uid"] for row in plant.get("/faults?open=false").json()] == ["f1"]
    assert len(plant.get("/faults?since=2026-07-01T05:00:00Z").json()) == 2
    assert [row["camera"] for row in plant.get("/coverage?hours=2").json()] == ["press-3", "프레스 2"]
    assert [row["seen_s"] for row in plant.get("/coverage?camera=press-3").json()] == [3000.0]
    shifts = plant.get("/coverage/shifts").json()
    assert [(row["shift"], round(row["share"], 3)) for row in shifts] == [("all", 0.833)] * 2
