"""`/healthz` and `/metrics`: what machines learn of a site that is well, ill or dead."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from jikimi.serve.metrics import render
from jikimi.status import BUCKETS_S, CameraStatus, Histogram
from test_serve_plant import Plant, leaks, open_plant


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    with open_plant(tmp_path) as opened:
        yield opened


def up(plant: Plant) -> float:
    text = plant.ask(None, "GET", "/metrics").text
    return {f.name: f for f in text_string_to_metric_families(text)}["jikimi_up"].samples[0].value


def test_metrics_say_how_long_acknowledging_took() -> None:
    text = render(None, {}, {}, [4.0, 40.0]).decode()
    assert 'jikimi_acknowledged_seconds_bucket{le="5"} 1.0' in text
    assert "jikimi_acknowledged_seconds_count 2.0" in text
    assert "jikimi_acknowledged_seconds_sum 44.0" in text


def test_a_site_that_watches_is_well(plant: Plant) -> None:
    answer = plant.ask(None, "GET", "/healthz?strict=true")
    assert answer.status_code == 200 and answer.json()["watching"] is True and up(plant) == 1


def test_a_blind_camera_is_ill_for_the_strict_alone(plant: Plant) -> None:
    cameras = [
        CameraStatus(name="a", decided_age_s=9), CameraStatus(name="b"), CameraStatus(name="c",
        off_duty=True),
        CameraStatus(name="d", state="disabled"), CameraStatus(name="e", decided_age_s=1),
    ]  # fmt: skip
    plant.say(cameras=cameras, watching=False)
    assert plant.ask(None, "GET", "/healthz").status_code == 200
    strict = plant.ask(None, "GET", "/healthz?strict=1")
    assert strict.status_code == 503 and strict.json()["blind"] == ["a", "b"]


@pytest.mark.parametrize(
    "content",
    [
        None, b"", b"{", b"null", b"\xff", b'{"at": "x"}',
        b'{"at": "2999-01-01T00:00:00", "started_at": "2999-01-01T00:00:00Z", "detector": "running"}',
    ],
)  # fmt: skip
def test_a_status_that_is_missing_or_damaged_is_a_site_that_is_down(
    plant: Plant, content: bytes | None
) -> None:
    plant.status_file.unlink()
    if content is not None:
        plant.status_file.write_bytes(content)
    answer = plant.ask(None, "GET", "/healthz")
    assert answer.status_code == 503 and answer.json()["watching"] is False and up(plant) == 0


@pytest.mark.parametrize("age_s", [4, 3600, -3600])
def test_a_status_of_another_time_is_a_site_that_is_down(plant: Plant, age_s: float) -> None:
    plant.say(at=datetime.now(UTC) - timedelta(seconds=age_s))
    answer = plant.ask(None, "GET", "/healthz")
    assert answer.status_code == 503 and len(answer.json()["blind"]) == 3 and up(plant) == 0


def test_figures_that_are_none_are_a_site_that_is_down(plant: Plant) -> None:
    plant.say(stages={"x": Histogram(counts=[1, 2])})
    assert up(plant) == 0 and plant.ask(None, "GET", "/healthz").status_code == 503
    plant.say(cameras=[CameraStatus(name="a", pictures=10**400)])
    assert up(plant) == 0


def test_metrics_are_what_prometheus_reads_and_hold_no_address(plant: Plant) -> None:
    plant.say(cameras=[CameraStatus(name='a"\n\\b', state="live", faults=["frozen"], why="rtsp://a:b@c/")])
    text = plant.ask(None, "GET", "/metrics").text
    samples = [one for f in text_string_to_metric_families(text) for one in f.samples]
    states = {s.labels["state"]: s.value for s in samples if s.name == "jikimi_camera_state"}
    assert states["live"] == 1 and sum(states.values()) == 1
    assert {s.labels["camera"] for s in samples if s.name == "jikimi_camera_fault"} == {'a"\n\\b'}
    assert [s.value for s in samples if s.name == "jikimi_incidents_open"] == [7]
    assert {(s.labels["target"], s.labels["state"]) for s in samples if s.name == "jikimi_outbox"} == {
        ("hook", "due"), ("hook", "given-up"),
    }  # fmt: skip
    assert "://" not in text and "10.0.0" not in text and not leaks(text)


def test_histograms_add_up(plant: Plant) -> None:
    text = plant.ask(None, "GET", "/metrics").text
    rows = {f.name: f for f in text_string_to_metric_families(text)}["jikimi_decided_seconds"].samples
    mine = [row for row in rows if row.labels["camera"] == "gate"]
    counts = [row.value for row in mine if row.name.endswith("_bucket")]
    assert counts == sorted(counts) and counts[-1] == len(BUCKETS_S) + 1
    assert [row.value for row in mine if row.name.endswith("_sum")] == [2.0]


def test_metrics_come_without_the_store(plant: Plant) -> None:
    plant.store.close()
    assert up(plant) == 1
