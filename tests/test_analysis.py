"""Pictures → questions → incidents: times that run on over lost connections, views that are judged apart."""

import itertools
import threading
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundles import COLOURS, make_bundle
from jikimi.bundle import Card, read_card
from jikimi.errors import SettingsError
from jikimi.frame import Frame
from jikimi.incident import Rule
from jikimi.settings import CameraSettings, Zone
from jikimi.watch.analysis import Change, Judging, Looking, Recent, camera_rule
from jikimi.watch.camera import Tick
from jikimi.watch.link import Answered, Question
from jikimi.watch.regions import WHOLE, Regions
from jikimi.watch.wire import Look, Verdict

RATE_HZ = 8.0
IMAGE = np.zeros((48, 72, 3), np.uint8)
FITTED = np.zeros((32, 48, 3), np.uint8)


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> Card:
    return read_card(make_bundle(tmp_path_factory.mktemp("bundle") / "x.jikimi", rate_hz=RATE_HZ))


def camera(**more: object) -> CameraSettings:
    return CameraSettings.model_validate({"name": "a", "address": "rtsp://10.0.0.5/x"} | more)


def test_camera_may_know_fewer_behaviours_with_thresholds_of_its_own(card: Card) -> None:
    rule = camera_rule(card, camera(behaviors=["jam", "fall-down"], theta_on={"jam": 0.8}))
    assert rule.theta_on == {"jam": 0.8, "fall-down": 0.5}
    assert camera_rule(card, camera()) == card.rule


@pytest.mark.parametrize("wrong", [{"behaviors": ["dance"]}, {"theta_on": {"dance": 0.5}}, {"behaviors": []}])
def test_behaviour_that_the_model_does_not_know_is_refused(card: Card, wrong: Mapping[str, object]) -> None:
    with pytest.raises(SettingsError, match="camera 'a'"):
        camera_rule(card, camera(**wrong))


def tick(index: int, arrived_s: float, *, count: int = 1, t_s: float | None = None) -> Tick:
    frame = Frame(IMAGE, t_s=index / RATE_HZ if t_s is None else t_s)
    return Tick(frame, index - count + 1, count, arrived_s)


def moments(looking: Looking, one: Tick) -> tuple[float, ...]:
    (look,) = looking.question(one).looks
    return look.moments_s


def test_stream_lies_on_this_machines_clock_where_its_first_picture_came(card: Card) -> None:
    looking = Looking(card, Regions())
    assert moments(looking, tick(0, 1000.0)) == (1000.0,)
    assert moments(looking, tick(1, 1000.125)) == (1000.125,)
    assert moments(looking, tick(4, 1000.5, count=3)) == pytest.approx((1000.25, 1000.375, 1000.5))


def test_picture_after_a_gap_answers_for_itself_alone(card: Card) -> None:
    looking = Looking(card, Regions())
    moments(looking, tick(0, 1000.0))
    assert moments(looking, tick(80, 1010.0, count=80)) == pytest.approx((1010.0,))


@pytest.mark.parametrize("drift", [0.001, -0.001])
def test_camera_clock_that_drifts_is_followed(card: Card, drift: float) -> None:
    """A day of 1000 ppm would be 86 s: time would jump back by them with the next connection."""
    looking = Looking(card, Regions())
    last = 0.0
    for index in range(8 * 1800):
        arrived_s = 1000.0 + index / RATE_HZ * (1 + drift)
        (now,) = moments(looking, tick(index, arrived_s))
        assert 0 < now - last < 0.2 or not last
        last = now
    assert last == pytest.approx(arrived_s, abs=0.1)


@given(st.lists(st.floats(0, 0.9), min_size=2, max_size=60))
def test_moments_rise_whenever_their_pictures_come(delays_s: list[float]) -> None:
    looking = Looking(_CARD, Regions())
    found = [
        moments(looking, tick(index, 1000.0 + index / RATE_HZ + delay_s))[0]
        for index, delay_s in enumerate(delays_s)
    ]
    assert all(0 < b - a <= _CARD.rule.max_gap_s for a, b in itertools.pairwise(found))


@pytest.mark.parametrize("jump_s", [9.0, -9.0])
def test_time_stamps_that_jump_do_not_carry_time_away(card: Card, jump_s: float) -> None:
    looking = Looking(card, Regions())
    for index in range(16):
        moments(looking, tick(index, 1000.0 + index / RATE_HZ))
    if jump_s > 0:
        jumped = tick(16 + 72, 1002.0, count=73)
        assert moments(looking, jumped)[-1] == pytest.approx(1002.0, abs=0.1)
    else:  # stream time stands still meanwhile (StreamClock): no ticks are due, then they go on
        late = tick(16, 1011.0)
        assert moments(looking, late)[-1] < 1011.0


def answered(scores: Mapping[str, list[np.ndarray | None]], *moments_s: float) -> Answered:
    looks = [Look(view, moments_s, FITTED) for view in scores]
    return Answered(Question(looks, moments_s[-1] + 0.05), Verdict(scores), moments_s[-1] + 0.1)


def row(card: Card, **sure: float) -> np.ndarray:
    values = np.zeros(len(card.keys), np.float32)
    for key, value in sure.items():
        values[card.keys.index(key.replace("_", "-"))] = value
    return values


def judged(judging: Judging, views: Mapping[str, np.ndarray], from_s: float, count: int) -> list[Change]:
    return [
        change
        for k in range(count)
        for change in judging.judge(answered({v: [r] for v, r in views.items()}, from_s + k / RATE_HZ))
    ]


def kinds(changes: list[Change]) -> list[tuple[str, str]]:
    return [(change.zone, change.transition.kind) for change in changes]


def test_incident_opens_and_closes_under_one_name(card: Card) -> None:
    judging = Judging(card, card.rule, (WHOLE,))
    changes = judged(judging, {WHOLE: row(card, fall_down=0.9)}, 100.0, 8)
    assert kinds(changes) == [(WHOLE, "opened")] and judging.open
    changes += judged(judging, {WHOLE: row(card)}, 101.0, 12)
    assert kinds(changes) == [(WHOLE, "opened"), (WHOLE, "closed")] and not judging.open
    assert changes[0].uid == changes[1].uid and len(changes[0].uid) == 32
    assert changes[0].arrived_s == pytest.approx(changes[0].transition.t_s + 0.05)
    assert judging.scores[WHOLE]["fall-down"] == 0.0 and judging.decisions == 20


def test_zones_are_judged_apart_and_their_incidents_have_names_of_their_own(card: Card) -> None:
    judging = Judging(card, card.rule, ("belt", "door"))
    both = {"belt": row(card, fall_down=0.9), "door": row(card, jam=0.9)}
    changes = judged(judging, both, 100.0, 8)
    assert sorted(kinds(changes)) == [("belt", "opened"), ("door", "opened")]
    assert len({change.uid for change in changes}) == 2
    calm = {"belt": row(card), "door": row(card, jam=0.9)}
    assert kinds(judged(judging, calm, 101.0, 12)) == [("belt", "closed")]
    assert judging.open
    assert kinds(list(judging.finish(102.5))) == [("door", "closed")]


def test_every_decision_is_told_before_what_changes_by_it(card: Card) -> None:
    told: list[tuple[str, float, float]] = []
    fall = card.keys.index("fall-down")
    judging = Judging(card, card.rule, (WHOLE,), lambda view, t_s, row: told.append((view, t_s, row[fall])))
    rows = [row(card, fall_down=0.9)] * 4
    changes = judging.judge(answered({WHOLE: [None, *rows]}, *(100 + k / RATE_HZ for k in range(5))))
    assert next(changes).transition.t_s == told[-1][1] == 100.375
    assert list(changes) == [] and told == [
        (WHOLE, 100 + k / RATE_HZ, pytest.approx(0.9)) for k in range(1, 5)
    ]


def test_not_yet_known_is_no_decision(card: Card) -> None:
    judging = Judging(card, card.rule, (WHOLE,))
    assert list(judging.judge(answered({WHOLE: [None, None]}, 100.0, 100.125))) == []
    assert judging.decisions == 0 and not judging.scores


def test_incident_that_was_not_wanted_opens_anew_when_it_is_forgotten(card: Card) -> None:
    """Shelving ends while the accident goes on: somebody must hear of it, and at once."""
    judging = Judging(card, card.rule, ("belt", "door"))
    both = {"belt": row(card, fall_down=0.9), "door": row(card, jam=0.9)}
    uids = {change.zone: change.uid for change in judged(judging, both, 100.0, 8)}
    judging.forget([uids["belt"]])
    again = judged(judging, both, 101.0, 8)
    assert kinds(again) == [("belt", "opened")] and again[0].uid != uids["belt"]


def test_gap_while_an_incident_is_open_keeps_it_open(card: Card) -> None:
    judging = Judging(card, card.rule, (WHOLE,))
    judged(judging, {WHOLE: row(card, fall_down=0.9)}, 100.0, 8)
    assert judged(judging, {WHOLE: row(card, fall_down=0.9)}, 130.0, 8) == [] and judging.open


def test_rule_of_two_views_asks_the_regions_for_them(card: Card) -> None:
    zones = (
        Zone(name="belt", polygon=((0, 0), (0.5, 0), (0.5, 1), (0, 1))),
        Zone(name="door", polygon=((0.5, 0), (1, 0), (1, 1))),
    )
    looks = Looking(card, Regions(zones)).question(tick(0, 1000.0)).looks
    assert [look.view for look in looks] == ["belt", "door"]
    assert all(look.fitted_HWC.shape == FITTED.shape for look in looks)


def test_recent_pictures_are_the_last_ones_oldest_first() -> None:
    recent = Recent(4)
    for index in range(7):
        recent.add(np.full((2, 2, 3), index, np.uint8))
    assert [int(picture[0, 0, 0]) for picture in recent.pictures()] == [3, 4, 5, 6]


def test_recent_pictures_may_be_read_while_they_come() -> None:
    recent, over = Recent(16), threading.Event()

    def fill() -> None:
        while not over.is_set():
            recent.add(IMAGE)

    thread = threading.Thread(target=fill)
    thread.start()
    for _ in range(2000):
        assert len(recent.pictures()) <= 16
    over.set()
    thread.join()


_CARD = Card.model_construct(rate_hz=RATE_HZ, rule=Rule({"jam": 0.5}), preprocess=COLOURS)
