"""Passing an incident on: the next list is told at once, in somebody's name, and who looked is shown."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from test_serve_plant import NOON, Plant, incident, open_plant

ESCALATE = "/api/v1/incidents/i1/escalate"


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    with open_plant(tmp_path) as opened:
        yield opened


def test_escalating_tells_the_next_list_at_once_in_the_callers_name(plant: Plant) -> None:
    assert plant.get("/incidents/i1").json()["next_targets"] == ["boss", "siren"]
    answer = plant.ask("operator", "POST", ESCALATE)
    assert answer.status_code == 200 and answer.json()["escalations"] == 1
    told = [row for row in plant.store.deliveries("i1") if row.kind == "escalated"]
    assert sorted(row.target for row in told) == ["boss", "siren"]
    texts = [
        delivery.notice.payload.get("text", "") for delivery in plant.store.due(now=NOON + timedelta(days=9))
    ]
    assert any("operator님이 이 사고를 넘겼습니다" in text for text in texts)
    last = plant.get("/incidents/i1").json()["transitions"][-1]
    assert (last["kind"], last["by"]) == ("escalated", "operator")
    trail = plant.get("/audit", "admin").json()[0]
    assert (trail["who"], trail["what"], trail["about"]) == ("operator", "escalated", "i1")
    assert trail["details"] == {"targets": ["boss", "siren"]}


def test_whoever_attends_may_still_pass_it_on(plant: Plant) -> None:
    plant.ask("operator", "POST", "/api/v1/incidents/i1/acknowledge")
    assert plant.ask("operator", "POST", ESCALATE).status_code == 200
    assert plant.store.incident("i1").acknowledged_by == "operator"


def test_when_everybody_was_told_nobody_is_told_again(plant: Plant) -> None:
    assert plant.ask("operator", "POST", ESCALATE).status_code == 200
    again = plant.ask("operator", "POST", ESCALATE)
    assert (again.status_code, again.json()["code"]) == (409, "nobody-next")
    assert plant.store.incident("i1").escalations == 1


def test_two_who_press_at_once_do_not_skip_a_list(plant: Plant) -> None:
    plant.lists = (("hook",), ("boss",), ("siren",))
    before = plant.store.incident("i1")
    assert plant.pass_on(before, "kim") and not plant.pass_on(before, "lee")
    assert plant.store.incident("i1").escalations == 1
    assert {row.target for row in plant.store.deliveries("i1")} == {"hook", "boss"}


def test_viewers_and_strangers_to_the_camera_escalate_nothing(plant: Plant) -> None:
    assert plant.ask("viewer", "POST", ESCALATE).status_code == 403
    plant.store.open_incident(incident("i9", "gate"), [])
    assert plant.ask("limited-admin", "POST", "/api/v1/incidents/i9/escalate").status_code == 404
    assert plant.store.incident("i9").escalations == 0


def test_who_looked_at_the_evidence_is_shown_once_each(plant: Plant) -> None:
    assert plant.get("/incidents/i1").json()["views"] == []
    for role in ("operator", "viewer", "operator"):
        plant.app.state.views._until.clear()
        assert plant.get("/incidents/i1/evidence/0", role).status_code == 200
    views = plant.get("/incidents/i1").json()["views"]
    assert [view["who"] for view in views] == ["operator", "viewer"]
    assert views[0]["first_at"] < views[1]["first_at"] < views[0]["last_at"]
