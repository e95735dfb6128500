"""Heat maps through the API: of whom, how many at a time, kept, audited; and counts of scores."""

import asyncio
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from jikimi.errors import BundleError, NotFoundError, VideoError
from jikimi.serve import heat as heat_module
from jikimi.serve.backend import Heat, Sight
from jikimi.serve.heat import BusyError, Heats
from jikimi.settings import CameraSettings
from jikimi.store import ScoreCountRecord
from jikimi.store.records import SCORE_BINS
from sites import wait_for
from test_serve_plant import FILM, NOON, STORED, Plant, open_plant

PATH = "/incidents/i1/heat"


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    with open_plant(tmp_path) as opened:
        yield opened


def test_heat_is_a_picture_of_the_moment_at_which_an_incident_opened(plant: Plant) -> None:
    zones = [{"name": "belt", "polygon": [(0, 0), (1, 0), (1, 1)]}]
    values = {"name": "press-3", "address": STORED, "zone": zones}
    camera = CameraSettings.model_validate(values)
    plant.store.put_camera(camera, at=NOON)
    answer = plant.get(PATH)
    assert answer.status_code == 200 and answer.content == FILM
    assert answer.headers["Content-Type"] == "image/jpeg" and answer.headers["Jikimi-Score"] == "0.875"
    video = (plant.folder / "evidence/2026/07/i1.mp4").resolve()
    assert plant.tried == [Sight("i1", video, 3.0, "fall", "", camera.zones, ())]


def test_heat_is_made_once_and_its_look_is_audited_once_with_the_videos(plant: Plant) -> None:
    for _ in range(3):
        assert plant.get(PATH).status_code == 200
    plant.get("/incidents/i1/evidence/0")
    assert len(plant.tried) == 1
    trail = plant.get("/audit", "admin").json()
    assert [(row["what"], row["about"], row["details"]) for row in trail] == [
        ("viewed evidence", "i1", {"file": "2026/07/i1.mp4"})
    ]


def test_a_part_that_is_masked_later_makes_another_map(plant: Plant) -> None:
    plant.get(PATH)
    masks = [{"polygon": [(0, 0), (1, 0), (1, 1)], "kind": "blacken"}]
    values = {"name": "press-3", "address": STORED, "mask": masks}
    plant.store.put_camera(CameraSettings.model_validate(values), at=NOON)
    plant.get(PATH)
    assert len(plant.tried) == 2


def test_without_a_video_of_its_opening_there_is_no_heat(plant: Plant) -> None:
    plant.store.evidence_deleted(Path("2026/07/i1.mp4"), at=NOON + timedelta(days=30))
    plant.film("i1", "2026/07/late.mp4", start_s=2.0, end_s=9.0)
    plant.film("i1", "2026/07/unknown.mp4", start_s=0.0, end_s=0.0)  # whose writer has died
    answer = plant.get(PATH)
    assert answer.status_code == 404 and "no video of its opening" in answer.text
    plant.film("i1", "2026/07/again.mp4")
    assert plant.get(PATH).status_code == 200
    (plant.folder / "evidence/2026/07/again.mp4").unlink()
    assert plant.get(PATH).status_code == 404 and not plant.get("/audit", "admin").json()[1:]


@pytest.mark.parametrize(
    ("trouble", "status"),
    [
        (VideoError("/srv/secret/i1.mp4: has no picture at 3 s"), 404),
        (NotFoundError("zone 'belt': the camera has none of that name any more"), 404),
        (BundleError("bundle /srv/secret/x.jikimi: gone"), 503),
    ],
)
def test_what_cannot_be_explained_says_so_without_paths(plant: Plant, trouble: Any, status: int) -> None:
    plant.trouble = trouble
    answer = plant.get(PATH)
    assert answer.status_code == status and "/srv" not in answer.text
    assert ("Retry-After" in answer.headers) == (status == 503)
    assert plant.get("/audit", "admin").json() == []
    plant.trouble = None
    assert plant.get(PATH).status_code == 200


def sight(uid: str) -> Sight:
    return Sight(uid, Path("v.mp4"), 3.0, "fall", "", (), ())


class Slow:
    """Makes maps when it may; `asked` says of what."""

    def __init__(self) -> None:
        self.may = threading.Event()
        self.asked: list[str] = []

    def __call__(self, what: Sight) -> Heat:
        self.asked.append(what.uid)
        assert self.may.wait(10)
        return Heat(what.uid.encode(), 0.5)


def test_one_map_is_made_at_a_time_and_whoever_wants_the_same_waits_for_it() -> None:
    heats, slow = Heats(), Slow()

    async def ask() -> list[Heat]:
        first, second = (asyncio.create_task(heats.get(sight("a"), slow)) for _ in range(2))
        await asyncio.sleep(0.05)
        with pytest.raises(BusyError):
            await heats.get(sight("b"), slow)
        slow.may.set()
        return [await first, await second, await heats.get(sight("b"), slow)]

    assert [heat.jpeg for heat in asyncio.run(ask())] == [b"a", b"a", b"b"] and slow.asked == ["a", "b"]


def test_a_map_that_took_too_long_is_at_hand_once_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heat_module, "LIMIT_S", 0.05)
    heats, slow = Heats(), Slow()
    with pytest.raises(TimeoutError):
        asyncio.run(heats.get(sight("a"), slow))
    with pytest.raises(BusyError):
        asyncio.run(heats.get(sight("b"), slow))
    slow.may.set()
    assert heats._making is not None
    wait_for(heats._making[1].done)
    assert asyncio.run(heats.get(sight("a"), slow)).jpeg == b"a" and slow.asked == ["a"]


def test_a_few_maps_are_kept_those_looked_at_last() -> None:
    heats, slow = Heats(most=2), Slow()
    slow.may.set()
    for uid in "abacab":
        asyncio.run(heats.get(sight(uid), slow))
    assert slow.asked == ["a", "b", "c", "b"]


def test_a_map_that_could_not_be_made_is_tried_again() -> None:
    heats, slow = Heats(), Slow()
    slow.may.set()

    def fail(_what: Sight) -> Heat:
        raise VideoError("no")

    with pytest.raises(VideoError):
        asyncio.run(heats.get(sight("a"), fail))
    assert asyncio.run(heats.get(sight("a"), slow)).jpeg == b"a"


def test_busy_is_told_with_when_to_ask_again(plant: Plant) -> None:
    slow = Slow()
    thread = threading.Thread(target=lambda: asyncio.run(plant.app.state.heats.get(sight("other"), slow)))
    thread.start()
    wait_for(lambda: slow.asked)
    answer = plant.get(PATH)
    slow.may.set()
    thread.join()
    assert answer.status_code == 503 and answer.headers["Retry-After"] == "3"
    assert plant.get(PATH).status_code == 200


# --- counts of scores


def count(plant: Plant, at: datetime, place: int, camera: str = "press-3") -> None:
    counts = [0] * SCORE_BINS
    counts[place] = 1
    plant.store.add_score_counts([ScoreCountRecord(camera, at, "fall", tuple(counts))])


def test_scores_of_a_camera_are_summed_over_a_week_or_what_was_asked_for(plant: Plant) -> None:
    now = datetime.now(UTC)
    for days, place in ((20, 1), (6, 2), (0, 2), (0, 49)):
        count(plant, now - timedelta(days=days), place)
    count(plant, now, 7, "gate")
    found = plant.get("/cameras/press-3/scores").json()
    assert found["camera"] == "press-3" and found["bins"] == SCORE_BINS
    assert found["theta_on"] == {"fall": 0.5, "jam": 0.6}
    (fall,) = found["counts"].values()
    assert {place: n for place, n in enumerate(fall) if n} == {2: 2, 49: 1}
    since, until = (quote((now - timedelta(days=days)).isoformat()) for days in (30, 2))
    long = plant.get(f"/cameras/press-3/scores?since={since}&until={until}").json()
    assert {place: n for place, n in enumerate(long["counts"]["fall"]) if n} == {1: 1, 2: 1}
    assert plant.get(f"/cameras/{quote('프레스 2')}/scores").json()["counts"] == {}


def test_thresholds_of_the_camera_stand_over_the_models(plant: Plant) -> None:
    values = {"name": "press-3", "address": STORED, "theta_on": {"jam": 0.9}}
    plant.store.put_camera(CameraSettings.model_validate(values), at=NOON)
    assert plant.get("/cameras/press-3/scores").json()["theta_on"] == {"fall": 0.5, "jam": 0.9}


@pytest.mark.parametrize(
    "query", ["since=2026-07-02&until=2026-07-01", "since=2026-07-01&until=2026-07-01", "until=0001-01-02"]
)
def test_a_time_that_is_none_is_refused(plant: Plant, query: str) -> None:
    assert plant.get(f"/cameras/press-3/scores?{query}").status_code == 422
