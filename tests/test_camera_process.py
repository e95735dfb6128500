"""A camera's process without its streams: decisions go in, what it tells the site and keeps comes out."""

import json
import multiprocessing
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bundles import make_bundle
from jikimi.bundle import Card, read_card
from jikimi.settings import CameraSettings
from jikimi.watch.camera_process import CameraProcess
from jikimi.watch.link import Answered, Question
from jikimi.watch.messages import CameraConfig, EvidenceKept, IncidentChanged, Roll, ScoresCounted
from jikimi.watch.regions import WHOLE
from jikimi.watch.wire import Look, Verdict

FITTED = np.zeros((32, 48, 3), np.uint8)
ZONES = [
    {"name": "belt", "polygon": [(0, 0), (0.5, 0), (0.5, 1)]},
    {"name": "door", "polygon": [(0.5, 0), (1, 0), (1, 1)]},
]


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> Card:
    return read_card(make_bundle(tmp_path_factory.mktemp("bundle") / "x.jikimi"))


class Watched:
    """A process and the site's end of its pipe. Decisions are an eighth of a second apart."""

    def __init__(self, process: CameraProcess, pipe: Connection) -> None:
        self.process, self.pipe = process, pipe
        self.now_s = time.monotonic() - 60

    def decide(self, times: int = 1, **falls: float) -> None:
        """Views' scores of `fall-down`; without a name it is the whole picture's."""
        for _ in range(times):
            self.now_s += 0.125
            views = {WHOLE if view == "whole" else view: self._row(fall) for view, fall in falls.items()}
            looks = [Look(view, (self.now_s,), FITTED) for view in views]
            verdict = Verdict({view: [row] for view, row in views.items()})
            self.process._decide(Answered(Question(looks, self.now_s), verdict, self.now_s + 0.05))

    def _row(self, fall: float) -> np.ndarray:
        keys = self.process.config.card.keys
        return np.array([fall if key == "fall-down" else 0.0 for key in keys], np.float32)

    def told(self) -> list[Any]:
        found = []
        while self.pipe.poll():
            found.append(self.pipe.recv())
        return found


Watch = Callable[..., Watched]


@pytest.fixture
def watch(card: Card, tmp_path: Path) -> Iterator[Watch]:
    with ExitStack() as stack:

        def begin(shelved_until: datetime | None = None, **settings: object) -> Watched:
            ours, theirs = (stack.enter_context(end) for end in multiprocessing.Pipe())
            camera = CameraSettings.model_validate({"name": "a", "address": "rtsp://10.0.0.5/x"} | settings)
            config = CameraConfig(
                camera, card, tmp_path / "d", tmp_path / "evidence", tmp_path / "p",
                pre_roll_s=1.0, post_roll_s=1.0, shelved_until=shelved_until,
            )  # fmt: skip
            process = CameraProcess(theirs, config)
            process.showing.start()
            return Watched(process, ours)

        yield begin


def curve_of(found: list[Any]) -> tuple[EvidenceKept, Mapping[str, Any]]:
    (kept,) = [one for one in found if isinstance(one, EvidenceKept) and one.kind == "scores"]
    assert kept.path is not None
    return kept, json.loads(kept.path.read_text("utf-8"))


def counted(found: list[Any]) -> dict[str, dict[int, int]]:
    """Behaviour → bin → how many."""
    sums: dict[str, dict[int, int]] = {}
    for message in found:
        if isinstance(message, ScoresCounted):
            for behavior, counts in message.counts.items():
                sums.setdefault(behavior, {}).update({k: n for k, n in enumerate(counts) if n})
    return sums


def test_incident_is_told_first_and_its_scores_are_kept_when_watching_ends(watch: Watch) -> None:
    watched = watch(theta_on={"fall-down": 0.7})
    watched.decide(20, whole=0.1)
    watched.decide(6, whole=0.9)
    found = watched.told()
    assert [type(one) for one in found] == [IncidentChanged]
    watched.decide(3, whole=0.8)
    watched.process.finish()
    kept, told = curve_of(watched.told())
    assert kept.uid == found[0].uid and (kept.start_s, kept.end_s) == (told["t_s"][0], told["t_s"][-1])
    assert (told["threshold"], told["behavior"], told["smooth"]) == (0.7, "fall-down", 3)
    falls = dict(zip(told["t_s"], told["scores"][told["behaviors"].index("fall-down")], strict=True))
    assert list(falls) == [k / 8 for k in range(-8, 5)]
    assert [falls[k / 8] for k in range(-8, -4)] == [
        0.1
    ] * 4  # opened by the fifth of them (3 of 4, smoothed)
    assert [falls[k / 8] for k in range(-4, 5)] == [0.9] * 6 + [0.8] * 3


def test_scores_are_written_once_their_post_roll_is_over(watch: Watch) -> None:
    watched = watch()
    watched.decide(8, whole=0.9)
    watched.decide(30, whole=0.0)
    curves = watched.process.curves
    (curve,) = curves.over(watched.now_s)
    assert curve.t_s[0] == pytest.approx(-0.25) and curves.over(watched.now_s) == []
    closed_s = next(one.arrived_s for one in watched.told() if one.kind == "closed")
    opened_s = watched.now_s - 35 * 0.125  # by the third decision
    assert curve.t_s[-1] == pytest.approx(closed_s + 1.0 - opened_s, abs=0.2)
    watched.process.finish()


def test_every_moment_is_counted_once_by_its_highest_score(watch: Watch) -> None:
    watched = watch(zone=ZONES)
    watched.decide(5, belt=0.31, door=0.05)
    watched.decide(2, belt=0.0, door=0.33)
    watched.process.finish()
    found = counted(watched.told())
    assert found["fall-down"] == {15: 5, 16: 2} and found["jam"] == {0: 7}
    assert set(found) == {"bump", "fall-down", "fall-off", "hit", "jam"}


def test_while_no_incidents_are_wanted_nothing_is_counted_or_kept(watch: Watch) -> None:
    watched = watch(shelved_until=datetime.now(UTC) + timedelta(hours=1))
    watched.decide(10, whole=0.9)
    watched.process.finish()
    assert watched.told() == [] and not watched.process.config.evidence.exists()


def test_counts_come_before_the_status_that_is_then_the_newest_word(watch: Watch) -> None:
    watched = watch()
    watched.decide(whole=0.5)
    watched.process._beat()
    counts, beat = watched.told()
    assert counts.counts["fall-down"][25] == 1 and beat.news.decisions == 1
    watched.process.finish()
    assert watched.told() == []


def test_rolls_are_changed_without_looking_away(watch: Watch) -> None:
    watched = watch(theta_on={"fall-down": 0.7}, sub="rtsp://10.0.0.5/small")
    process = watched.process
    watched.pipe.send(Roll(2.5, 7.0))
    process._listen()
    for feed in (process.analysed, process.recorded):
        assert (feed.view.keep.pre_roll_s, feed.view.keep.post_roll_s) == (2.5, 7.0)
    watched.decide(40, whole=0.1)
    watched.decide(6, whole=0.9)
    process.finish()
    _, told = curve_of(watched.told())
    assert told["t_s"][0] == -2.5
