"""The bundle: one file, whole or refused."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from bundles import FEATURES, make_bundle
from jikimi import bundle as bundle_module
from jikimi.behaviors import BEHAVIORS
from jikimi.bundle import CARD, ENCODER, HEAD, default_rule, load_bundle, read_card
from jikimi.errors import BundleError
from jikimi.preprocess import Preprocess


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return make_bundle(tmp_path / "colours.jikimi")


def rewrite(path: Path, **changes: bytes | None) -> Path:
    """Copy a bundle with members replaced or, for None, left out."""
    names = {"card": CARD, "encoder": ENCODER, "head": HEAD}
    changed = {names[key]: data for key, data in changes.items()}
    out = path.with_name("changed.jikimi")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            data = changed.get(name, old.read(name))
            if data is not None:
                new.writestr(name, data)
    return out


def card_with(path: Path, **changes: object) -> bytes:
    with zipfile.ZipFile(path) as archive:
        return json.dumps({**json.loads(archive.read(CARD)), **changes}).encode()


def test_saved_bundle_loads_and_runs(path: Path) -> None:
    bundle = load_bundle(path, threads=1)
    card = bundle.card
    pictures = np.zeros((3, 3, card.preprocess.height_px, card.preprocess.width_px), np.float32)
    features = bundle.encode(pictures)
    assert features.shape == (3, FEATURES) and features.dtype == np.float32
    logits = bundle.classify(np.zeros((2, card.window, FEATURES), np.float32))
    assert logits.shape == (2, len(BEHAVIORS))
    assert read_card(path) == card and card.keys[card.normal_index] == "no-accident"


def test_the_same_model_makes_the_same_bytes(path: Path, tmp_path: Path) -> None:
    assert make_bundle(tmp_path / "again.jikimi").read_bytes() == path.read_bytes()


def test_nothing_is_left_beside_a_saved_bundle(path: Path) -> None:
    assert list(path.parent.iterdir()) == [path]


def test_probabilities_are_softmax_over_the_temperature(path: Path) -> None:
    card = load_bundle(path).card.model_copy(update={"temperature": 2.0})
    logits = np.array([[2.0, 0, 0, 0, 0, 0], [1000.0, 0, 0, 0, 0, -1000.0]], np.float32)
    probabilities = card.probabilities(logits)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-6)
    np.testing.assert_allclose(probabilities[0, 0], np.e / (np.e + 5), rtol=1e-5)
    assert probabilities[1, 0] == 1.0


def test_answer_that_is_no_number_is_a_fault(path: Path) -> None:
    card = load_bundle(path).card
    with pytest.raises(BundleError, match="NaN"):
        card.probabilities(np.full((1, 6), np.nan, np.float32))


@pytest.mark.parametrize("member", ["card", "encoder", "head"])
def test_missing_member_is_refused(path: Path, member: str) -> None:
    with pytest.raises(BundleError, match="missing"):
        load_bundle(rewrite(path, **{member: None}))


@pytest.mark.parametrize("member", ["encoder", "head"])
def test_changed_model_is_refused(path: Path, member: str) -> None:
    with pytest.raises(BundleError, match="hash"):
        load_bundle(rewrite(path, **{member: b"something else"}))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"format": 2}, "format 2"),
        ({"surprise": 1}, "surprise"),
        ({"rate_hz": 0}, "rate_hz"),
        ({"behaviors": []}, "at least two"),
        ({"feature_dim": 13}, "promises|does not run"),
        ({"window": 3}, "promises|does not run"),
        ({"rule": {"theta_on": {}}}, "no behaviour"),
    ],
)
def test_card_that_does_not_fit_is_refused(path: Path, changes: dict[str, object], says: str) -> None:
    with pytest.raises(BundleError, match=says) as refused:
        load_bundle(rewrite(path, card=card_with(path, **changes)))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 torn", b"no zip at all", b"{}"])
def test_file_that_is_no_bundle_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.jikimi"
    path.write_bytes(content)
    with pytest.raises(BundleError, match=r"x\.jikimi"):
        load_bundle(path)


def test_truncated_bundle_is_refused(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(BundleError):
        load_bundle(path)


def test_missing_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="No such file"):
        load_bundle(tmp_path / "none.jikimi")
    with pytest.raises(BundleError):
        load_bundle(tmp_path)


def test_member_that_unpacks_too_large_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle_module, "MAX_MEMBER_BYTES", 100)
    with pytest.raises(BundleError, match="over"):
        load_bundle(path)


def test_default_rule_names_every_accident_and_not_the_normal() -> None:
    assert set(default_rule(BEHAVIORS).theta_on) == {"bump", "fall-down", "fall-off", "hit", "jam"}


def test_card_from_before_there_was_motion_still_loads(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        preprocess = json.loads(archive.read(CARD))["preprocess"]
    assert (preprocess.pop("inputs"), preprocess.pop("lags")) == ("rgb", [])
    older = rewrite(path, card=card_with(path, preprocess=preprocess))
    card = load_bundle(older).card
    assert (card.preprocess.inputs, card.preprocess.depth, card.preprocess.history) == ("rgb", 3, 0)


def test_bundle_of_motion_is_tried_with_its_own_depth(tmp_path: Path) -> None:
    wrong = Preprocess(32, 48, inputs="rgb+motion", lags=(1,))
    with pytest.raises(BundleError, match="encoder"):
        load_bundle(make_bundle(tmp_path / "wrong.jikimi", preprocess=wrong))
    right = Preprocess(32, 48, inputs="motion", lags=(1, 2))
    assert load_bundle(make_bundle(tmp_path / "right.jikimi", preprocess=right)).card.preprocess == right
