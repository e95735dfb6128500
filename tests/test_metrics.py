"""Clip metrics against scikit-learn, scipy and the torch half."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    f1_score,
    log_loss,
    precision_recall_fscore_support,
)

from jikimi.metrics import clip_report, log_softmax, pool_windows, softmax, window_weights
from jikimi.train import model

KEYS = ("a", "b", "c", "d")


def sample(seed: int, n: int, *, classes: int = 4, spread: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """Logits (n, classes) that lean towards random labels (n,)."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=n)
    logits = rng.normal(0, spread, size=(n, classes))
    logits[np.arange(n), labels] += 1.0
    return logits, labels


def each_its_own(n: int) -> list[str]:
    return [f"g{i}" for i in range(n)]


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 60))
def test_figures_agree_with_scikit_learn(seed: int, n: int) -> None:
    logits, labels = sample(seed, n)
    predicted, present = logits.argmax(axis=1), np.unique(labels)
    report = clip_report(logits, labels, behaviors=KEYS, groups=["one"] * n)

    assert report.accuracy.value == pytest.approx(accuracy_score(labels, predicted))
    macro = f1_score(labels, predicted, labels=present, average="macro", zero_division=0)
    assert report.macro_f1.value == pytest.approx(macro)
    assert np.array_equal(report.confusion, confusion_matrix(labels, predicted, labels=range(4)))
    assert report.nll.value == pytest.approx(log_loss(labels, softmax(logits), labels=range(4)))
    precision, recall, f1, support = precision_recall_fscore_support(
        labels, predicted, labels=range(4), zero_division=0
    )
    for i, row in enumerate(report.classes):
        assert row.support == support[i]
        assert (row.precision.value or 0) == pytest.approx(precision[i])
        assert (row.recall.value or 0) == pytest.approx(recall[i])
        assert (row.f1.value or 0) == pytest.approx(f1[i])


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 200))
def test_calibration_error_agrees_with_its_definition(seed: int, n: int) -> None:
    logits, labels = sample(seed, n)
    report = clip_report(logits, labels, behaviors=KEYS, groups=["one"] * n, temperature=1.7)
    confidence = softmax(logits / 1.7).max(axis=1)
    right = logits.argmax(axis=1) == labels
    expected = 0.0
    for b in range(15):
        inside = (confidence > b / 15) & (confidence <= (b + 1) / 15)
        if inside.any():
            expected += inside.mean() * abs(confidence[inside].mean() - right[inside].mean())
    assert report.ece.value == pytest.approx(expected)
    assert sum(b.count for b in report.reliability) == n


def test_perfect_predictions() -> None:
    logits = np.eye(4)[[0, 1, 3]] * 50
    report = clip_report(logits, [0, 1, 3], behaviors=KEYS, groups=["g"] * 3)
    assert report.accuracy.value == report.macro_f1.value == 1
    assert report.ece.value == pytest.approx(0)
    assert report.nll.value == pytest.approx(0)


def test_loss_of_a_sure_mistake_is_finite() -> None:
    report = clip_report([[2000.0, -2000.0]], [1], behaviors=("a", "b"), groups=["g"])
    assert report.nll.value == pytest.approx(4000)


def test_macro_f1_leaves_out_behaviours_without_clips() -> None:
    report = clip_report(np.eye(4)[[0, 0]], [0, 0], behaviors=KEYS, groups=["g", "h"])
    assert report.macro_f1.value == 1
    assert report.classes[1].recall.value is None
    assert report.classes[1].precision.value is None
    assert report.classes[1].f1.value is None


def test_few_clips_get_intervals_that_hold_the_figure() -> None:
    logits, labels = sample(1, 60)
    report = clip_report(logits, labels, behaviors=KEYS, groups=each_its_own(60))
    for figure in (report.accuracy, report.macro_f1, report.nll, report.classes[0].recall):
        assert figure.value is not None and figure.low is not None and figure.high is not None
        assert figure.low < figure.value < figure.high


def test_a_hundred_clips_or_one_group_get_no_interval() -> None:
    logits, labels = sample(2, 100)
    assert clip_report(logits, labels, behaviors=KEYS, groups=each_its_own(100)).accuracy.low is None
    assert clip_report(logits[:9], labels[:9], behaviors=KEYS, groups=["g"] * 9).accuracy.low is None


def test_interval_agrees_with_the_normal_approximation() -> None:
    logits, labels = sample(3, 90)
    accuracy = clip_report(logits, labels, behaviors=KEYS, groups=each_its_own(90)).accuracy
    assert accuracy.value is not None and accuracy.low is not None and accuracy.high is not None
    error = np.sqrt(accuracy.value * (1 - accuracy.value) / 90)
    assert accuracy.high - accuracy.low == pytest.approx(2 * 1.96 * error, rel=0.15)


def test_clips_that_stand_and_fall_together_widen_the_interval() -> None:
    labels = np.zeros(40, dtype=int)
    logits = np.repeat([[4.0, 0, 0, 0], [0, 4.0, 0, 0]], 20, axis=0)  # half of the scenes all right
    apart = clip_report(logits, labels, behaviors=KEYS, groups=each_its_own(40)).accuracy
    together = clip_report(logits, labels, behaviors=KEYS, groups=[f"g{i // 10}" for i in range(40)]).accuracy
    assert together.high is not None and together.low is not None
    assert apart.high is not None and apart.low is not None
    assert together.high - together.low > 1.5 * (apart.high - apart.low)


def test_the_same_input_gives_the_same_interval() -> None:
    logits, labels = sample(4, 30)
    first, second = (clip_report(logits, labels, behaviors=KEYS, groups=each_its_own(30)) for _ in "ab")
    assert first == second


def test_report_is_json_without_nan() -> None:
    logits, labels = sample(5, 3)
    report = clip_report(logits, labels, behaviors=KEYS, groups=["g", "g", "h"])
    document = json.loads(json.dumps(report.as_dict(), allow_nan=False))
    assert document["clips"] == 3 and document["groups"] == 2
    assert set(document["classes"]) == set(KEYS)


@pytest.mark.parametrize(
    ("logits", "labels", "groups"),
    [
        (np.empty((0, 4)), [], []),
        ([[0.0, 0, 0, np.nan]], [0], ["g"]),
        ([[0.0, 0, 0, np.inf]], [0], ["g"]),
        ([[0.0, 0, 0]], [0], ["g"]),
        ([[0.0, 0, 0, 0]], [0, 1], ["g"]),
        ([[0.0, 0, 0, 0]], [0], []),
    ],
)
def test_what_cannot_be_measured_is_refused(logits: np.ndarray, labels: list[int], groups: list[str]) -> None:
    with pytest.raises(ValueError, match=r"labels|finite|groups"):
        clip_report(logits, labels, behaviors=KEYS, groups=groups)


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10_000), windows=st.integers(1, 20), normal=st.integers(0, 3))
def test_pooling_is_the_same_as_in_training(seed: int, windows: int, normal: int) -> None:
    logits = np.random.default_rng(seed).normal(0, 3, size=(windows, 4)).astype(np.float32)
    expected = model.pool_windows(torch.from_numpy(logits), normal).numpy()
    np.testing.assert_allclose(pool_windows(logits, normal), expected, rtol=1e-4, atol=1e-5)


def test_the_window_least_normal_speaks() -> None:
    quiet, fall = [0.0, 0.0, 0.0, 9.0], [9.0, 0.0, 0.0, 0.0]
    pooled = pool_windows([quiet] * 30 + [fall], normal_index=3)
    assert pooled.argmax() == 0
    assert window_weights([quiet] * 30 + [fall], 3).argmax() == 30


def test_one_window_is_its_own_pool_and_extremes_do_not_overflow() -> None:
    np.testing.assert_allclose(pool_windows([[1.0, 2, 3, 4]], 3), [1, 2, 3, 4])
    assert np.isfinite(pool_windows([[1e5, 0, 0, -1e5], [-1e5, 0, 0, 1e5]], 3)).all()


def test_log_softmax_is_exact_far_from_the_top() -> None:
    logits = np.array([[1000.0, 0.0, -1000.0]])
    np.testing.assert_allclose(log_softmax(logits), logits - logsumexp(logits, axis=1, keepdims=True))
