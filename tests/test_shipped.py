"""What an install carries: read from a stand-in, and what this one really carries."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bundles import make_bundle
from jikimi.shipped import SAMPLES, TRUTH, ShippedError, shipped_model, shipped_samples
from jikimi.stream_metrics import Truth

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
