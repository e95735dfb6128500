"""Temperature and threshold: found where they are known, sane where they cannot be."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from sklearn.metrics import log_loss

from bundles import accident_between, make_bundle
from jikimi.behaviors import BEHAVIORS, keys
from jikimi.bundle import default_rule, load_bundle
from jikimi.errors import TrainError
from jikimi.incident import Rule
from jikimi.metrics import softmax
from jikimi.stream_metrics import Truth
from jikimi.train.alarms import ScoredStream, judge, raise_alarms, sweep
from jikimi.train.calibrate import (
    calibrate_on_clips,
    calibrate_on_streams,
    choose_confirmed,
    choose_rule,
    fit_temperature,
    truth_of_clip,
)
from jikimi.train.truth import read_truth
from prepared import Take, fall, write_prepared
from videos import write_video

RULE = default_rule(BEHAVIORS)
FALL, JAM, NORMAL = 1, 4, 5


def stream(
    camera: str, bumps: dict[float, float], *, seconds: float = 120, behavior: int = FALL
) -> ScoredStream:
    """A quiet stream at 8 Hz on which `behavior` scores what `bumps` says for 3 s from a moment on."""
    times = np.arange(0, seconds, 1 / 8)
    score = np.full(len(times), 0.01)
    for start_s, height in bumps.items():
        score[(times >= start_s) & (times < start_s + 3)] = height
    probabilities = np.zeros((len(times), len(BEHAVIORS)), np.float32)
    probabilities[:, behavior], probabilities[:, NORMAL] = score, 1 - score
    return ScoredStream(camera, keys(BEHAVIORS), times, probabilities, seconds, 0.05)


def fell(camera: str, start_s: float) -> Truth:
    return Truth(camera, "fall-down", start_s, start_s + 3)


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 1000), true=st.floats(0.5, 4))
def test_temperature_is_the_one_of_least_loss(seed: int, true: float) -> None:
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 3, size=(600, 4))
    labels = np.array([rng.choice(4, p=p) for p in softmax(logits / true)])
    found = fit_temperature(logits, labels)
    best = minimize_scalar(
        lambda t: log_loss(labels, softmax(logits / t), labels=range(4)), bounds=(0.25, 10), method="bounded"
    ).x
    assert found == pytest.approx(best, rel=0.02)


def test_perfectly_separated_clips_do_not_drive_temperature_to_the_bound() -> None:
    assert 0.7 < fit_temperature(np.eye(4) * 8, range(4)) <= 1
    assert 0.25 <= fit_temperature(np.eye(4) * 0.01, range(4)) < 1


def test_hopeless_clips_keep_temperature_in_its_bounds() -> None:
    wrong = fit_temperature(np.tile([30.0, 0], (500, 1)), [1] * 500)
    assert wrong == pytest.approx(10, rel=1e-3)
    assert fit_temperature(np.empty((0, 4)), []) == 1
    assert fit_temperature([[3.0, 0.0]], [0]) > 0.5


def test_temperature_of_nan_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        fit_temperature([[np.nan, 0.0]], [0])


def test_alarm_leaves_after_the_decision_was_computed() -> None:
    (alarm,) = raise_alarms(stream("gate", {10: 0.9}), RULE)
    assert alarm.behavior == "fall-down"
    # Three decisions are averaged, and three of four must be over: the fourth decision of the fall raises.
    assert alarm.t_s == pytest.approx(10 + 3 / 8 + 0.05)
    assert alarm.closed_s is not None and alarm.closed_s > alarm.t_s


def test_incident_open_at_the_end_is_an_alarm_too() -> None:
    (alarm,) = raise_alarms(stream("gate", {118: 0.9}), RULE)
    assert alarm.closed_s == pytest.approx(120.05)


def test_stream_without_decisions_raises_nothing() -> None:
    silent = dataclasses.replace(stream("gate", {}), times_s=np.empty(0), probabilities_NC=np.empty((0, 6)))
    assert raise_alarms(silent, RULE) == []


def test_sweep_loses_events_and_false_alarms_as_the_threshold_rises() -> None:
    streams = [stream("gate", {10: 0.9, 60: 0.6}), stream("yard", {30: 0.3})]
    curve = sweep(streams, [fell("gate", 10), fell("gate", 60)], RULE, thetas=[0.2, 0.5, 0.8])
    assert [(p.report.n_found, p.report.n_false) for p in curve] == [(2, 1), (2, 0), (1, 0)]


def test_lowest_threshold_within_the_bound_is_chosen_where_hours_show_it() -> None:
    # A hundred quiet hours are long for a test: the bound is loosened instead, to one that minutes show.
    streams = [stream("gate", {10: 0.9, 60: 0.62}), stream("yard", {5 * i: 0.42 for i in range(1, 20)})]
    truths = [fell("gate", 10), fell("gate", 60)]
    rule, summary = choose_rule(streams, truths, RULE, max_false_alarms_per_hour=60)
    assert set(rule.theta_on.values()) == {0.45} and "too few" not in summary.note


def test_threshold_keeps_its_distance_where_hours_are_too_few() -> None:
    streams = [stream("gate", {10: 0.9, 60: 0.62}), stream("yard", {30: 0.42})]
    truths = [fell("gate", 10), fell("gate", 60)]
    rule, summary = choose_rule(streams, truths, RULE)
    assert set(rule.theta_on.values()) == {0.55}
    assert summary.met and summary.found == 2 and summary.false_alarms == 0
    assert summary.theta_same_recall == 0.6
    assert "too few" in summary.note
    higher = rule.with_theta(summary.theta_same_recall)
    assert judge(streams, truths, higher).n_found == 2


def test_looser_bound_allows_a_lower_threshold() -> None:
    streams = [stream("gate", {10: 0.9}), stream("yard", {30: 0.42})]
    rule, summary = choose_rule(streams, [fell("gate", 10)], RULE, max_false_alarms_per_hour=60)
    assert set(rule.theta_on.values()) == {0.1}
    assert summary.met and summary.false_alarms == 1


def test_low_threshold_whose_incident_never_closes_is_not_taken_for_quiet() -> None:
    # Under 0.2 one incident opens on the fall and stays open: fewer alarms, but a deaf camera.
    restless = stream("gate", {2: 0.9, 30: 0.7, 60: 0.7, 90: 0.7})
    restless.probabilities_NC[:, FALL] = np.maximum(restless.probabilities_NC[:, FALL], 0.15)
    assert raise_alarms(restless, RULE.with_theta(0.1))[0].closed_s == pytest.approx(120.05)
    rule, summary = choose_rule([restless], [fell("gate", 2)], RULE)
    assert min(rule.theta_on.values()) > 0.65 and summary.met


def test_bound_that_nothing_meets_is_said_so() -> None:
    streams = [stream("gate", {10: 1.0, 60: 1.0})]
    rule, summary = choose_rule(streams, [fell("gate", 60)], RULE)
    assert not summary.met and "no threshold" in summary.note
    assert summary.false_alarms == 1 and summary.found == 1
    assert set(rule.theta_on) == set(RULE.theta_on)


def test_threshold_that_finds_nothing_is_said_so() -> None:
    streams = [stream("gate", {10: 0.3, 60: 1.0})]
    streams[0].probabilities_NC[480:, FALL] *= 0.9985
    _, summary = choose_rule(streams, [fell("gate", 10)], RULE)
    assert summary.met and summary.found == 0
    assert "no event is found" in summary.note


def test_behaviour_with_enough_events_gets_its_own_lower_threshold() -> None:
    # Jams raise for nothing at 0.7, while falls score 0.4 and never raise for nothing.
    starts = [10.0 + 20 * i for i in range(12)]
    streams = [
        stream("gate", dict.fromkeys(starts, 0.42), seconds=300),
        stream("press", {30: 0.72}, behavior=JAM),
    ]
    truths = [fell("gate", start_s) for start_s in starts]
    rule, summary = choose_rule(streams, truths, RULE)
    assert summary.theta_on == 0.75 and rule.theta_on["jam"] == 0.75
    assert summary.own_theta == {"fall-down": 0.4} and summary.found == 12


def test_few_events_share_the_common_threshold() -> None:
    streams = [stream("gate", {10: 0.42}), stream("press", {30: 0.72}, behavior=JAM)]
    rule, summary = choose_rule(streams, [fell("gate", 10)], RULE)
    assert set(rule.theta_on.values()) == {0.75} and not summary.own_theta


def test_streams_without_events_or_without_quiet_time_give_a_rule() -> None:
    _, summary = choose_rule([stream("gate", {})], [], RULE)
    assert summary.met and "recall is unknown" in summary.note
    always = Truth("gate", "fall-down", 0, 120)
    _, summary = choose_rule([stream("gate", {5: 0.9})], [always], RULE)
    assert summary.met and summary.false_alarms_per_hour is None


def test_no_streams_are_refused() -> None:
    with pytest.raises(TrainError, match="no streams"):
        choose_rule([], [], RULE)


def test_clips_calibrate_a_bundle(tmp_path: Path) -> None:
    bundle = load_bundle(make_bundle(tmp_path / "colours.jikimi"), threads=1)
    takes = [fall(f"fall{i}", group=f"room{i % 2}") for i in range(3)] + [Take("quiet"), Take("calm")]
    manifest = write_prepared(tmp_path / "data", takes)
    told: list[tuple[int, int]] = []
    found = calibrate_on_clips(bundle, manifest, manifest.rows, progress=lambda *done: told.append(done))
    assert told == [(i, 5) for i in range(1, 6)]
    assert 0.25 <= found.temperature <= 10
    assert isinstance(found.rule, Rule) and set(found.rule.theta_on) == set(RULE.theta_on)
    summary = found.summary
    assert summary["clips"] == 5 and summary["groups"] == 4 and summary["splits"] == ["val"]
    assert summary["hours"] == pytest.approx(5 * 4 / 3600)
    assert summary["events"] == summary["found"] == 3 and summary["met"]
    json.dumps(summary, allow_nan=False)
    bundle.card.model_copy(update={"calibration": summary, "rule": found.rule}).model_dump_json()


def test_clips_of_an_even_model_are_watched_as_streams(tmp_path: Path) -> None:
    bundle = load_bundle(make_bundle(tmp_path / "even.jikimi", sampling="even"), threads=1)
    manifest = write_prepared(tmp_path / "data", [fall("fall"), Take("quiet")])
    assert calibrate_on_clips(bundle, manifest, manifest.rows).summary["found"] == 1


def test_no_clips_are_refused(tmp_path: Path) -> None:
    bundle = load_bundle(make_bundle(tmp_path / "colours.jikimi"), threads=1)
    manifest = write_prepared(tmp_path / "data", [Take("quiet", split="train")])
    with pytest.raises(TrainError, match="no clips"):
        calibrate_on_clips(bundle, manifest, manifest.select("val"))


def test_accident_clip_without_times_is_an_event_somewhere_in_it(tmp_path: Path) -> None:
    takes = [Take("untimed", "jam"), fall("timed"), Take("quiet")]
    untimed, timed, quiet = write_prepared(tmp_path, takes).rows
    assert truth_of_clip(untimed, normal="no-accident") == [Truth("untimed", "jam", 0, 4, timed=False)]
    assert truth_of_clip(timed, normal="no-accident") == [Truth("timed", "fall-down", 1, 3)]
    assert truth_of_clip(quiet, normal="no-accident") == []


def flicker(camera: str, moments: range) -> ScoredStream:
    """Three quarters of a second of certainty at some moments, and a fall from 100 s on."""
    quiet = stream(camera, {100: 0.9}, seconds=3600)
    for start_s in moments:
        flash = (quiet.times_s >= start_s) & (quiet.times_s < start_s + 0.75)
        quiet.probabilities_NC[flash, FALL], quiet.probabilities_NC[flash, NORMAL] = 0.99, 0.01
    return quiet


def test_flicker_is_answered_by_confirming_longer() -> None:
    streams, truths = [flicker("gate", range(200, 3500, 60))], [fell("gate", 100)]
    _, quick = choose_rule(streams, truths, RULE, max_false_alarms_per_hour=0.5)
    rule, summary = choose_confirmed(streams, truths, RULE, max_false_alarms_per_hour=0.5)
    assert (quick.met, quick.found) != (True, 1)
    assert summary.met and summary.found == 1 and summary.false_alarms == 0
    assert rule.smooth > RULE.smooth


def test_where_nothing_flickers_the_quickest_confirmation_stays() -> None:
    rule, _ = choose_confirmed([flicker("gate", range(0))], [fell("gate", 100)], RULE)
    assert (rule.smooth, rule.raise_n, rule.raise_of) == (RULE.smooth, RULE.raise_n, RULE.raise_of)


def test_streams_choose_the_rule_and_leave_the_temperature(tmp_path: Path) -> None:
    folder = tmp_path / "streams"
    write_video(folder / "gate.mp4", seconds=12, draw=accident_between(4 * 24, 7 * 24))
    write_video(folder / "yard.mp4", seconds=12, draw=accident_between(0, 0))
    table = tmp_path / "truth.csv"
    table.write_text("camera,behavior,start_s,end_s\ngate,fall-down,4,7\nyard,no-accident,,\n")
    bundle = load_bundle(make_bundle(tmp_path / "b.jikimi"), threads=1)
    streams = read_truth(folder, table, behaviors=keys(BEHAVIORS), normal="no-accident")
    found = calibrate_on_streams(bundle, streams, max_false_alarms_per_hour=0.5)
    assert found.temperature == bundle.card.temperature
    assert found.summary["streams"] == 2 and found.summary["events"] == 1 == found.summary["found"]
    assert found.summary["false_alarms"] == 0
    assert found.summary["hours"] * 3600 == pytest.approx(24, abs=0.5)
    assert 0 < found.rule.theta_on["fall-down"] < 1
