"""The state machine of incidents, driven with scores made by hand and by hypothesis."""

import math
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jikimi.incident import UPDATE_STEP, IncidentTracker, Rule, Transition

KEYS = ("fall", "jam", "normal")
RULE = Rule(
    theta_on={"fall": 0.5, "jam": 0.5}, smooth=1, raise_n=3, raise_of=4, close_after=4, cooldown_s=2.0
)
RATE_HZ = 8.0

QUIET, FALL, JAM = (0.05, 0.05, 0.9), (0.9, 0.05, 0.05), (0.05, 0.9, 0.05)


def run(tracker: IncidentTracker, scores: list[tuple[float, ...]], start_s: float = 0.0) -> list[Transition]:
    """Feed one decision every tick."""
    return [t for i, row in enumerate(scores) for t in tracker.update(start_s + i / RATE_HZ, row)]


def kinds(transitions: list[Transition]) -> list[str]:
    return [transition.kind for transition in transitions]


def test_quiet_scores_raise_nothing() -> None:
    assert run(IncidentTracker(KEYS, RULE), [QUIET] * 50) == []


def test_incident_opens_with_the_third_high_score_of_four() -> None:
    (opened,) = run(IncidentTracker(KEYS, RULE), [QUIET, FALL, QUIET, FALL, FALL])
    assert (opened.kind, opened.incident.behavior, opened.t_s) == ("opened", "fall", 4 / RATE_HZ)


def test_two_high_scores_of_four_open_nothing() -> None:
    assert run(IncidentTracker(KEYS, RULE), [FALL, QUIET, QUIET, FALL] * 5) == []


def test_smoothing_swallows_a_single_spike() -> None:
    rule = replace(RULE, smooth=3, raise_n=1, raise_of=1)
    assert run(IncidentTracker(KEYS, rule), [QUIET, QUIET, FALL, QUIET, QUIET]) == []


def test_incident_closes_after_enough_low_decisions() -> None:
    opened, closed = run(IncidentTracker(KEYS, RULE), [FALL] * 3 + [QUIET] * 4)
    assert closed.kind == "closed" and closed.incident.closed_s == 6 / RATE_HZ
    assert closed.incident.opened_s == opened.t_s


def test_scores_between_the_thresholds_keep_an_incident_open() -> None:
    between = (0.4, 0.0, 0.6)  # under θ_on 0.5, over θ_off 0.3
    assert kinds(run(IncidentTracker(KEYS, RULE), [FALL] * 3 + [between] * 40)) == ["opened"]


def test_another_accident_keeps_the_incident_open_under_its_first_name() -> None:
    tracker = IncidentTracker(KEYS, RULE)
    assert kinds(run(tracker, [FALL] * 3 + [JAM] * 20)) == ["opened"]
    assert tracker.open is not None and tracker.open.behavior == "fall"


def test_the_same_behaviour_rests_after_closing() -> None:
    tracker = IncidentTracker(KEYS, RULE)
    run(tracker, [FALL] * 3 + [QUIET] * 4)
    again = run(tracker, [FALL] * 40, start_s=7 / RATE_HZ)
    assert again[0].t_s == 6 / RATE_HZ + RULE.cooldown_s


def test_another_behaviour_does_not_rest() -> None:
    tracker = IncidentTracker(KEYS, RULE)
    run(tracker, [FALL] * 3 + [QUIET] * 4)
    (opened,) = run(tracker, [JAM] * 3, start_s=7 / RATE_HZ)
    assert opened.incident.behavior == "jam"


def test_the_higher_of_two_raised_behaviours_gives_the_name() -> None:
    (opened,) = run(IncidentTracker(KEYS, RULE), [(0.6, 0.8, 0.0)] * 3)
    assert opened.incident.behavior == "jam"


def test_rising_score_is_reported_in_steps() -> None:
    rising = [(0.5 + 0.02 * i, 0.0, 0.0) for i in range(25)]
    transitions = run(IncidentTracker(KEYS, RULE), rising)
    scores = [t.score for t in transitions]
    assert kinds(transitions)[0] == "opened" and set(kinds(transitions)[1:]) == {"updated"}
    assert all(b - a >= UPDATE_STEP - 1e-9 for a, b in pairwise(scores))
    assert transitions[-1].incident.peak == pytest.approx(transitions[-1].score)


def test_gap_before_an_incident_forgets_what_was_seen() -> None:
    tracker = IncidentTracker(KEYS, RULE)
    assert run(tracker, [FALL] * 2) == []
    assert run(tracker, [FALL] * 2, start_s=5.0) == []
    assert kinds(run(tracker, [FALL], start_s=5.25)) == ["opened"]


def test_gap_during_open_incident_keeps_it_open() -> None:
    tracker = IncidentTracker(KEYS, RULE)
    run(tracker, [FALL] * 3 + [QUIET] * 3)
    assert run(tracker, [QUIET] * 3, start_s=60.0) == []
    assert kinds(run(tracker, [QUIET], start_s=60.5)) == ["closed"]


def test_jump_back_in_time_is_a_gap() -> None:
    tracker = IncidentTracker(KEYS, RULE)
    run(tracker, [FALL] * 2, start_s=10.0)
    assert run(tracker, [FALL] * 2, start_s=9.0) == []


def test_end_of_stream_closes_what_is_open_and_only_once() -> None:
    tracker = IncidentTracker(KEYS, RULE)
    run(tracker, [FALL] * 3)
    assert kinds(tracker.finish(1.0)) == ["closed"]
    assert tracker.finish(1.0) == []


@pytest.mark.parametrize("scores", [(0.1, 0.2), (math.nan, 0.0, 1.0), (math.inf, 0.0, 0.0)])
def test_broken_model_is_no_quiet_camera(scores: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="finite scores"):
        IncidentTracker(KEYS, RULE).update(0.0, scores)


@pytest.mark.parametrize(
    "wrong",
    [
        {"theta_on": {}},
        {"theta_on": {"fall": 0.0}},
        {"theta_on": {"fall": 1.1}},
        {"theta_off_ratio": 1.0},
        {"raise_n": 5},
        {"raise_n": 0},
        {"smooth": 0},
        {"close_after": 0},
        {"cooldown_s": -1.0},
        {"max_gap_s": 0.0},
    ],
)
def test_rule_that_cannot_work_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        replace(RULE, **wrong)


def test_rule_for_an_unknown_behaviour_is_refused() -> None:
    with pytest.raises(ValueError, match="does not know"):
        IncidentTracker(("fall", "normal"), RULE)


ROWS = st.lists(
    st.tuples(
        st.sampled_from([1 / RATE_HZ] * 8 + [0.5, 3.0, -1.0]),
        st.sampled_from([QUIET, FALL, JAM, (0.35, 0.35, 0.3), (0.6, 0.55, 0.0)]),
    ),
    max_size=150,
)


@given(rows=ROWS, smooth=st.integers(1, 4))
def test_whatever_comes_incidents_open_once_and_close_once(
    rows: list[tuple[float, tuple[float, ...]]], smooth: int
) -> None:
    tracker = IncidentTracker(KEYS, replace(RULE, smooth=smooth))
    t_s, transitions = 0.0, []
    for step_s, scores in rows:
        t_s = max(0.0, t_s + step_s)
        transitions += tracker.update(t_s, scores)
    transitions += tracker.finish(t_s)
    is_open = False
    for transition in transitions:
        assert is_open == (transition.kind != "opened")
        is_open = transition.kind != "closed"
        assert transition.incident.peak >= min(RULE.theta_on.values())
        assert transition.incident.behavior in RULE.theta_on
    assert not is_open


@given(rows=st.lists(st.sampled_from([QUIET, FALL, JAM]), max_size=120))
def test_every_opening_had_enough_high_decisions(rows: list[tuple[float, ...]]) -> None:
    tracker = IncidentTracker(KEYS, RULE)
    for index, scores in enumerate(rows):
        for transition in tracker.update(index / RATE_HZ, scores):
            if transition.kind == "opened":
                key = KEYS.index(transition.incident.behavior)
                last = rows[max(0, index - RULE.raise_of + 1) : index + 1]
                assert sum(row[key] >= 0.5 for row in last) >= RULE.raise_n
