"""Evaluation end to end: a real bundle, clips and streams whose answers are known."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from bundles import GREEN, accident_between, make_bundle
from jikimi.behaviors import BEHAVIORS, Behavior
from jikimi.bundle import Bundle, default_rule, load_bundle
from jikimi.errors import BundleError, DataError, SettingsError, VideoError
from jikimi.frame import Floats
from jikimi.incident import Rule
from jikimi.train.evaluate import evaluate_clips, evaluate_streams
from prepared import Take, fall, write_prepared
from videos import write_video

FPS = 24


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return load_bundle(make_bundle(tmp_path_factory.mktemp("bundle") / "colours.jikimi"), threads=1)


def test_clips_whose_answers_are_known(bundle: Bundle, tmp_path: Path) -> None:
    takes = [fall("fall1"), fall("fall2"), Take("quiet1"), Take("quiet2"), Take("jam-unseen", "jam")]
    takes += [Take("learned", split="train"), fall("learned-fall", split="train")]
    told: list[tuple[int, int]] = []
    result = evaluate_clips(
        bundle,
        write_prepared(tmp_path / "data", takes),
        out=tmp_path / "out",
        progress=lambda *done: told.append(done),
    )
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics == json.loads(json.dumps(result.metrics))
    assert told[4] == (5, 5) and told[-1] == (7, 7)  # the leakage alarm looks at the training side too
    assert metrics["accuracy"]["value"] == pytest.approx(4 / 5)
    assert metrics["accuracy"]["low"] <= 4 / 5 <= metrics["accuracy"]["high"]
    assert metrics["classes"]["jam"]["recall"]["value"] == 0
    wrong = [row["clip_id"] for row in metrics["predictions"] if row["behavior"] != row["predicted"]]
    assert wrong == ["jam-unseen"]
    assert metrics["leakage"]["clips"] == 6  # the single jam is left out
    assert "accuracy 80 %" in result.summary and "5 clips of 5 groups" in result.summary
    assert any("No clips of bump, fall-off, hit" in note for note in result.notes)
    assert not any("fitted" in note for note in result.notes)


def test_outputs_are_whole_and_replace_those_of_an_earlier_evaluation(bundle: Bundle, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    both = write_prepared(tmp_path / "both", [fall("fall"), Take("quiet")])
    assert evaluate_clips(bundle, both, out=out).report == out / "report.html"
    names = {"report.html", "metrics.json", "confusion.png", "reliability.png", "curve.png"}
    assert {path.name for path in out.iterdir()} == names
    one = write_prepared(tmp_path / "one", [Take("quiet")])
    evaluate_clips(bundle, one, out=out)
    assert {path.name for path in out.iterdir()} == names - {"curve.png"}


def test_one_kind_of_clip_is_evaluated(bundle: Bundle, tmp_path: Path) -> None:
    manifest = write_prepared(tmp_path / "data", [Take("a", group="g"), Take("b", group="g")])
    result = evaluate_clips(bundle, manifest, out=tmp_path / "out")
    assert result.metrics["accuracy"] == {"value": 1, "low": None, "high": None}
    assert any("of one group" in note for note in result.notes)
    assert "leakage alarm not measured: all clips are of one group" in result.summary
    assert not (tmp_path / "out" / "curve.png").exists()


def test_clips_that_calibrated_the_model_are_told(bundle: Bundle, tmp_path: Path) -> None:
    manifest = write_prepared(tmp_path / "data", [fall("fall"), Take("quiet")])
    summary = {"dataset": manifest.digest(), "splits": ["val"]}
    calibrated = load_bundle(make_bundle(tmp_path / "b.jikimi"), threads=1)
    calibrated.card = bundle.card.model_copy(update={"calibration": summary})
    notes = evaluate_clips(calibrated, manifest, out=tmp_path / "out").notes
    assert any("fitted on these clips" in note for note in notes)


def test_empty_side_unknown_behaviour_and_bad_folder_are_refused(bundle: Bundle, tmp_path: Path) -> None:
    manifest = write_prepared(tmp_path / "data", [Take("quiet")])
    with pytest.raises(DataError, match="no clips on the 'test' side"):
        evaluate_clips(bundle, manifest, out=tmp_path / "out", split="test")
    slip = Behavior("slip", "미끄러짐", "slip", "", 1)
    foreign = write_prepared(
        tmp_path / "slip", [Take("oops", "slip")], behaviors=(*BEHAVIORS[:5], slip, BEHAVIORS[5])
    )
    with pytest.raises(DataError, match="clip oops is 'slip'"):
        evaluate_clips(bundle, foreign, out=tmp_path / "out")
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="report cannot be written"):
        evaluate_clips(bundle, manifest, out=tmp_path / "file")


class Broken:
    """A model that answers NaN."""

    def __init__(self, bundle: Bundle) -> None:
        self.card, self.encode = bundle.card, bundle.encode

    def classify(self, windows_NTD: Floats) -> Floats:
        return np.full((len(windows_NTD), 6), np.nan, np.float32)


def test_model_that_answers_nan_writes_no_report(bundle: Bundle, tmp_path: Path) -> None:
    manifest = write_prepared(tmp_path / "data", [Take("quiet")])
    with pytest.raises(BundleError, match="NaN"):
        evaluate_clips(Broken(bundle), manifest, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def streams(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three streams: a fall at 4 s, a jam at 3 s that the truth calls a hit, and nothing at all."""
    folder = tmp_path_factory.mktemp("streams")
    write_video(folder / "gate.mp4", seconds=12, draw=accident_between(4 * FPS, 7 * FPS))
    write_video(folder / "press.mp4", seconds=10, draw=accident_between(3 * FPS, 6 * FPS, GREEN))
    write_video(folder / "yard.mp4", seconds=8, draw=accident_between(0, 0))
    return folder


def write_truth(path: Path, *rows: str) -> Path:
    path.write_text("\n".join(["camera,behavior,start_s,end_s", *rows]) + "\n", encoding="utf-8")
    return path


def test_streams_whose_answers_are_known(bundle: Bundle, streams: Path, tmp_path: Path) -> None:
    truth = write_truth(tmp_path / "t.csv", "gate,fall-down,4,7", "press,hit,3,6", "yard,no-accident,,")
    result = evaluate_streams(bundle, streams, truth, out=tmp_path / "out")
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["events"] == 2 and metrics["found"] == 1 and metrics["false_alarms"] == 1
    assert metrics["any_behavior"]["found"] == 2 and metrics["any_behavior"]["false_alarms"] == 0
    assert metrics["event_free_hours"] * 3600 == pytest.approx(30 - 6, abs=0.4)
    assert metrics["recall"] == {"1": 0.5, "3": 0.5, "5": 0.5, "10": 0.5}
    (match,) = metrics["matches"]
    assert match["camera"] == "gate.mp4" and 0 < match["delay_s"] < 1.5
    # On a tick of 1/8 s, and the compute time of the decision later.
    ticks = (match["alarm_s"] - metrics["decision_s"]) * 8
    assert 0 < metrics["decision_s"] < 1 and ticks == pytest.approx(round(ticks), abs=0.5)
    assert metrics["missed"] == [{"camera": "press.mp4", "behavior": "hit", "start_s": 3, "end_s": 6}]
    assert metrics["raised_for_nothing"][0]["behavior"] == "jam"
    assert "1 of 2 events found within 10 s, false alarms: 1 in" in result.summary
    pictures = {path.name for path in (tmp_path / "out").glob("*.png")}
    assert pictures == {"curve.png", "delay.png", "timelines.png"}


def test_rule_of_the_caller_replaces_the_models(bundle: Bundle, streams: Path, tmp_path: Path) -> None:
    truth = write_truth(tmp_path / "t.csv", "gate,fall-down,4,7")
    deaf = default_rule(BEHAVIORS, theta_on=1.0)
    result = evaluate_streams(bundle, streams, truth, out=tmp_path / "out", rule=deaf)
    assert result.metrics["found"] == 0 and result.metrics["alarms"] == 0
    assert result.metrics["rule"]["theta_on"]["jam"] == 1.0
    assert result.metrics["precision"] is None
    with pytest.raises(SettingsError, match="'slip'"):
        evaluate_streams(bundle, streams, truth, out=tmp_path / "out", rule=Rule({"slip": 0.5}))


def test_streams_without_events_measure_false_alarms_alone(
    bundle: Bundle, streams: Path, tmp_path: Path
) -> None:
    truth = write_truth(tmp_path / "t.csv", "yard,no-accident,,")
    result = evaluate_streams(bundle, streams, truth, out=tmp_path / "out")
    assert result.metrics["recall"]["10"] is None and result.metrics["false_alarms"] == 0
    assert any("No events" in note for note in result.notes)
    assert any("3 / hours" in note for note in result.notes)
    assert any("gate.mp4, press.mp4" in note for note in result.notes)
    assert result.metrics["left_out"] == ["gate.mp4", "press.mp4"]


def test_event_all_the_time_leaves_no_hours_to_divide_by(
    bundle: Bundle, streams: Path, tmp_path: Path
) -> None:
    truth = write_truth(tmp_path / "t.csv", "gate,fall-down,0,99")
    result = evaluate_streams(bundle, streams, truth, out=tmp_path / "out")
    assert result.metrics["false_alarms_per_hour"] is None
    assert any("nothing is known of false alarms" in note for note in result.notes)


def test_event_after_the_end_counts_as_missed_and_is_told(
    bundle: Bundle, streams: Path, tmp_path: Path
) -> None:
    truth = write_truth(tmp_path / "t.csv", "yard,jam,500,505")
    result = evaluate_streams(bundle, streams, truth, out=tmp_path / "out")
    assert result.metrics["events"] == 1 and result.metrics["found"] == 0
    assert any("starts at 500 s" in note for note in result.notes)


def test_stream_too_short_for_a_decision_is_told(bundle: Bundle, tmp_path: Path) -> None:
    write_video(tmp_path / "s" / "blink.mp4", seconds=0.25)
    truth = write_truth(tmp_path / "t.csv", "blink,no-accident,,")
    result = evaluate_streams(bundle, tmp_path / "s", truth, out=tmp_path / "out")
    assert any("nothing was decided" in note for note in result.notes)


def test_stream_that_cannot_be_opened_fails_before_the_others_are_scored(
    bundle: Bundle, streams: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "s"
    write_video(folder / "a.mp4", seconds=1)
    (folder / "b.mp4").write_text("torn")
    truth = write_truth(tmp_path / "t.csv", "a,no-accident,,", "b,no-accident,,")
    told: list[tuple[int, int]] = []
    with pytest.raises(VideoError, match=r"b\.mp4"):
        evaluate_streams(bundle, folder, truth, out=tmp_path / "out", progress=lambda *d: told.append(d))
    assert not told and not (tmp_path / "out").exists()


def test_clips_without_event_times_and_of_an_even_model(tmp_path: Path) -> None:
    even = load_bundle(make_bundle(tmp_path / "even.jikimi", sampling="even"), threads=1)
    manifest = write_prepared(
        tmp_path / "data", [dataclasses.replace(fall("fall"), event=None), Take("quiet")]
    )
    result = evaluate_clips(even, manifest, out=tmp_path / "out")
    assert result.metrics["accuracy"]["value"] == 1
