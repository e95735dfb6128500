"""What an install carries: read from a stand-in, and what this one really carries."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bundles import make_bundle
from jikimi import selftest
from jikimi.bundle import load_bundle
from jikimi.shipped import SAMPLES, TRUTH, ShippedError, assets, shipped_model, shipped_samples
from jikimi.stream_metrics import HEADLINE_S, Truth
from jikimi.watch.demo import Round, compare
from jikimi.watch.event import WatchEvent
from jikimi.watch.pipeline import watch

ROW = {
    "camera": "press-3", "behavior": "jam", "start_s": 3, "end_s": 5, "korean": "손이 끼인다",
    "english": "A hand is caught",
}  # fmt: skip
QUIET = {"camera": "gate", "behavior": "no-accident", "korean": "지나간다", "english": "People walk by"}


def write(folder: Path, content: object) -> Path:
    (folder / SAMPLES).mkdir(parents=True, exist_ok=True)
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / SAMPLES / TRUTH).write_text(text, encoding="utf-8")
    for camera in ("press-3", "gate"):
        (folder / SAMPLES / f"{camera}.mp4").write_bytes(b"video")
    return folder


# --- a stand-in


def test_samples_are_read_with_their_truth(tmp_path: Path) -> None:
    found = shipped_samples(write(tmp_path, {"about": "simulated", "samples": [ROW, QUIET]}))
    assert found.about == "simulated"
    press, gate = found.samples
    assert press.truth == Truth("press-3", "jam", 3.0, 5.0) and gate.truth is None
    assert press.video == tmp_path / SAMPLES / "press-3.mp4" and press.korean == "손이 끼인다"


def without(key: str) -> dict[str, Any]:
    return {name: value for name, value in ROW.items() if name != key}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("no json", "samples.json"),
        ({"samples": []}, "missing"),
        ({"samples": [without("english")]}, "samples.0.english"),
        ({"samples": [without("end_s")]}, "both start_s and end_s"),
        ({"samples": [{**ROW, "end_s": 2}]}, "no time span"),
        ({"samples": [{**ROW, "camera": "gone"}]}, "gone.mp4"),
        ({"samples": [{**ROW, "camera": "../press"}]}, "missing"),
        ({"samples": [ROW, ROW]}, "twice"),
    ],
)
def test_damaged_samples_are_told_in_one_line(tmp_path: Path, content: object, says: str) -> None:
    with pytest.raises(ShippedError, match=says) as error:
        shipped_samples(write(tmp_path, content))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("read", [shipped_model, shipped_samples])
def test_install_that_carries_nothing_says_so(tmp_path: Path, read: Callable[[Path], object]) -> None:
    with pytest.raises(ShippedError, match="this install carries no"):
        read(tmp_path)


def test_model_is_found(tmp_path: Path) -> None:
    assert shipped_model(make_bundle(tmp_path / "model.jikimi").parent) == tmp_path / "model.jikimi"


# --- what this install carries


# --- what this install carries


def test_shipped_files_are_small() -> None:
    videos = [sample.video for sample in shipped_samples().samples]
    assert shipped_model().stat().st_size <= 8e6
    assert sum(video.stat().st_size for video in videos) <= 4e6
    assert {path.name for path in (assets() / SAMPLES).iterdir()} == {TRUTH, *(v.name for v in videos)}


def test_shipped_model_raises_every_event_of_the_samples_and_nothing_else() -> None:
    samples, bundle = shipped_samples().samples, load_bundle(shipped_model(), threads=1)
    events: list[WatchEvent] = []
    summary = watch([str(sample.video) for sample in samples], bundle=bundle, emit=events.append)
    outcomes = compare(samples, [Round(1, tuple(events), summary)])
    assert summary.faults == 0
    assert {outcome.camera: outcome.verdict for outcome in outcomes} == {
        sample.camera: "quiet" if sample.truth is None else "raised" for sample in samples
    }
    assert len(outcomes) == len(samples)
    delays = [outcome.delay_s for outcome in outcomes if outcome.delay_s is not None]
    assert delays and max(delays) <= HEADLINE_S


def test_shipped_model_is_calibrated_and_knows_its_answer() -> None:
    bundle = load_bundle(shipped_model(), threads=1)
    selftest.check(bundle)
    assert bundle.card.known_answer and bundle.card.calibration["source"] == "streams"
    assert "/" not in str(bundle.card.training["data"]), "no path of the machine it was made on"
