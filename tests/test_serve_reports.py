"""Reports through the API: who may say what about when, and what becomes of it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from jikimi.behaviors import Behavior
from test_serve_plant import FILM, NOON, Plant, open_plant

BEHAVIORS = (
    Behavior("fall", "넘어짐", "fall", "넘어짐", 2),
    Behavior("jam", "끼임", "jam", "끼임", 3),
    Behavior("no-accident", "정상", "no accident", "", 0),
)


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    with open_plant(tmp_path, behaviors=lambda: BEHAVIORS) as opened:
        yield opened


def said(**changes: Any) -> dict[str, Any]:
    end = datetime.now(UTC) - timedelta(minutes=1)
    start = end - timedelta(seconds=10)
    values = {"kind": "missed", "camera": "press-3", "behavior": "fall", "note": "기둥 뒤"}
    return values | {"start_at": start.isoformat(), "end_at": end.isoformat()} | changes


def post(plant: Plant, role: str = "operator", **changes: Any) -> Any:
    return plant.ask(role, "POST", "/api/v1/reports", json=said(**changes))


def test_an_operator_reports_what_was_missed(plant: Plant) -> None:
    answer = post(plant)
    assert answer.status_code == 201, answer.text
    found = answer.json()
    assert (found["kind"], found["camera"], found["behavior"], found["by"]) == (
        "missed", "press-3", "fall", "operator",
    )  # fmt: skip
    assert found["cut_at"] is None and found["problem"] == "" and found["note"] == "기둥 뒤"
    assert [one.uid for one in plant.store.uncut_reports()] == [found["uid"]]
    assert plant.get(f"/reports/{found['uid']}").json() == {"report": found, "evidence": []}
    assert plant.get("/reports").json() == {"reports": [found], "next": None}
    assert plant.store.audit_trail()[0].what == "reported"


def test_normal_work_is_reported_without_a_behaviour(plant: Plant) -> None:
    assert post(plant, kind="normal", behavior="").status_code == 201
    assert post(plant, kind="normal").status_code == 422


def test_viewers_may_not_report_and_nobody_of_cameras_they_may_not_see(plant: Plant) -> None:
    assert post(plant, "viewer").status_code == 403
    assert post(plant, "limited").status_code == 403
    assert post(plant, camera="nowhere").status_code == 404
    assert post(plant, "limited-admin", camera="gate").status_code == 404
    assert post(plant, "limited-admin").status_code == 201


def test_only_the_past_and_five_minutes_of_it_can_be_reported(plant: Plant) -> None:
    now = datetime.now(UTC)

    def span(start_s: float, end_s: float) -> int:
        start, end = (now + timedelta(seconds=s) for s in (start_s, end_s))
        return int(post(plant, start_at=start.isoformat(), end_at=end.isoformat()).status_code)

    assert span(-300, 0) == 201 and span(-1000, -700) == 201
    assert span(-400 * 86_400, -400 * 86_400 + 5) == 422
    assert span(-301, 0) == span(-5, 60) == span(-5, -5) == span(-5, -6) == 422


@pytest.mark.parametrize("behavior", ["", "no-accident", "dance"])
def test_a_missed_accident_is_one_of_the_models(plant: Plant, behavior: str) -> None:
    answer = post(plant, behavior=behavior)
    assert answer.status_code == 422 and "fall, jam" in answer.json()["detail"]


def test_lists_narrow_by_camera_kind_and_time_and_have_pages(plant: Plant) -> None:
    for number in range(3):
        plant.report(f"r{number}")
    plant.report("gates", "gate", kind="normal", behavior="")

    def uids(query: str, role: str = "viewer") -> list[str]:
        return [one["uid"] for one in plant.get(f"/reports{query}", role).json()["reports"]]

    assert uids("") == ["r2", "r1", "r0", "gates"]
    assert uids("?kind=normal") == uids("?camera=gate") == ["gates"]
    assert uids("", "limited") == uids("?camera=press-3") == ["r2", "r1", "r0"]
    assert uids("?camera=gate", "limited") == []
    assert uids("?since=2026-07-02") == [] == uids("?until=2026-07-01T00:00:00")
    first = plant.get("/reports?limit=3").json()
    assert uids(f"?after={first['next']}") == ["gates"]
    assert plant.get("/reports?after=x").status_code == 422
    assert plant.get("/reports/gates", "limited").status_code == 404


def test_its_film_comes_as_an_incidents_does(plant: Plant) -> None:
    plant.report()
    found = plant.get("/reports/r1").json()
    assert found["report"]["problem"].startswith("of 5 s")
    (film,) = found["evidence"]
    assert film["url"] == "/api/v1/reports/r1/evidence/0" and film["start_s"] == -10.0
    answer = plant.get("/reports/r1/evidence/0", headers={"Range": "bytes=0-99"})
    assert answer.status_code == 206 and answer.content == FILM[:100]
    assert plant.get("/reports/r1/evidence/1").status_code == 404
    audit = plant.store.audit_trail()[0]
    assert (audit.what, audit.about) == ("viewed evidence", "r1")
    plant.report("gates", "gate")
    assert plant.get("/reports/gates/evidence/0", "limited").status_code == 404


def test_operators_take_back_their_own_reports_and_admins_any(plant: Plant) -> None:
    plant.report()
    plant.report("r2", by="somebody else")
    delete = "DELETE"
    assert plant.ask("operator", delete, "/api/v1/reports/r2").status_code == 403
    assert plant.ask("viewer", delete, "/api/v1/reports/r1").status_code == 403
    assert plant.ask("operator", delete, "/api/v1/reports/r1").status_code == 204
    assert plant.ask("operator", delete, "/api/v1/reports/r1").status_code == 404
    assert plant.ask("admin", delete, "/api/v1/reports/r2").status_code == 204
    assert plant.get("/reports").json()["reports"] == [] and plant.store.locked_paths() == set()
    assert plant.get("/reports/r1").status_code == plant.get("/reports/r1/evidence/0").status_code == 404
    assert plant.store.audit_trail()[0].what == "took back report"


def test_feedback_counts_what_an_export_would_hold(plant: Plant) -> None:
    plant.store.answer("i1", answer="correct", at=NOON, by="kim")
    plant.store.answer("i2", answer="false-alarm", at=NOON, by="kim")
    plant.report()
    post(plant)
    found = plant.get("/feedback").json()
    counts = {one["behavior"]: (one["clips"], one["incidents"], one["reports"]) for one in found["behaviors"]}
    assert counts == {"fall": (2, 1, 1), "jam": (0, 0, 0), "no-accident": (1, 1, 0)}
    assert found["clips"] == 3 and found["behaviors"][0]["korean"] == "넘어짐"
    left_out = {one["reason"]: one["count"] for one in found["left_out"]}
    assert left_out["waiting"] == 1 and left_out["unanswered"] == 0 and left_out["changed"] == 0
    assert plant.get("/feedback", "limited").json()["clips"] == 2
    assert plant.get("/feedback?camera=gate").json()["clips"] == 0
    assert plant.get("/feedback?since=2026-07-02").json()["clips"] == 0
