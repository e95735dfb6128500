"""The detector against the same windows computed at once from all frames."""

import logging
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bundles import GREEN, GREY, YELLOW, make_bundle
from jikimi.bundle import Bundle, Card, load_bundle
from jikimi.errors import InferenceError
from jikimi.frame import Floats, Frame
from jikimi.preprocess import Preprocess
from jikimi.sampling import window_ending_at, window_ends
from jikimi.watch.detector import Detector, DetectorState

RATE_HZ = 8.0


class CountingScorer:
    """A real bundle that counts the pictures it encodes, and fails when told to."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.batches: list[int] = []
        self.encoder_fails = self.head_answers_nan = False

    @property
    def card(self) -> Card:
        return self.bundle.card

    def encode(self, pictures_NCHW: Floats) -> Floats:
        self.batches.append(len(pictures_NCHW))
        if self.encoder_fails:
            raise RuntimeError("out of memory\non the device")
        return self.bundle.encode(pictures_NCHW)

    def classify(self, windows_NTD: Floats) -> Floats:
        logits = self.bundle.classify(windows_NTD)
        return logits * np.nan if self.head_answers_nan else logits


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return load_bundle(make_bundle(tmp_path_factory.mktemp("bundle") / "x.jikimi"), threads=1)


@pytest.fixture
def scorer(bundle: Bundle) -> CountingScorer:
    return CountingScorer(bundle)


def frame(tick: int, colour: tuple[int, int, int] = GREY) -> Frame:
    image = np.empty((36, 48, 3), np.uint8)
    image[:] = colour
    return Frame(image, t_s=tick / RATE_HZ)


def random_frames(seed: int, count: int) -> list[Frame]:
    rng = np.random.default_rng(seed)
    return [Frame(rng.integers(0, 256, (36, 48, 3), np.uint8), t_s=k / RATE_HZ) for k in range(count)]


def run(detector: Detector, frames: list[Frame]) -> list[Floats | None]:
    states: dict[str, DetectorState] = {}
    answers = []
    for one in frames:
        scores, states = detector.step({"a": one}, states)
        answers.append(scores["a"])
    return answers


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 99), count=st.integers(1, 30))
def test_scores_equal_those_of_whole_windows(bundle: Bundle, seed: int, count: int) -> None:
    frames, card = random_frames(seed, count), bundle.card
    features = bundle.encode(card.preprocess([f.image_HWC for f in frames]))
    answers = run(Detector(bundle), frames)
    for last, scores in enumerate(answers):
        if last < card.warm_up - 1:
            assert scores is None
            continue
        window = features[window_ending_at(last, card.window)][None]
        expected = card.probabilities(bundle.classify(window))[0]
        assert scores is not None
        np.testing.assert_allclose(scores, expected, atol=1e-5)
    decided = [i for i, scores in enumerate(answers) if scores is not None]
    if count >= card.warm_up:
        assert decided == window_ends(count, warm_up=card.warm_up, stride=1)


def test_colour_is_recognised(bundle: Bundle) -> None:
    detector = Detector(bundle)
    for colour, key in ((GREY, "no-accident"), (YELLOW, "fall-down"), (GREEN, "jam")):
        scores = run(detector, [frame(k, colour) for k in range(8)])[-1]
        assert scores is not None and bundle.card.keys[int(scores.argmax())] == key


def test_every_picture_is_encoded_once(scorer: CountingScorer) -> None:
    run(Detector(scorer), random_frames(0, 20))
    assert scorer.batches == [1] * 20


def test_picture_that_answers_several_ticks_is_encoded_once(scorer: CountingScorer) -> None:
    image = frame(0, YELLOW).image_HWC
    repeated = [Frame(image, t_s=k / RATE_HZ) for k in range(10)]
    alike = [Frame(image.copy(), t_s=k / RATE_HZ) for k in range(10)]
    answers = run(Detector(scorer), repeated)
    assert scorer.batches == [1]
    for once, anew in zip(answers, run(Detector(scorer), alike), strict=True):
        np.testing.assert_array_equal(once, anew)


@pytest.fixture(scope="module")
def motion(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    preprocess = Preprocess(32, 48, inputs="motion", lags=(1, 3))
    path = tmp_path_factory.mktemp("bundle") / "motion.jikimi"
    return load_bundle(make_bundle(path, preprocess=preprocess), threads=1)


def test_motion_is_seen_live_as_in_one_piece(motion: Bundle) -> None:
    frames, card = random_frames(3, 20), motion.card
    features = motion.encode(card.preprocess([f.image_HWC for f in frames]))
    for last, scores in enumerate(run(Detector(motion), frames)):
        if scores is not None:
            window = features[window_ending_at(last, card.window)][None]
            expected = card.probabilities(motion.classify(window))[0]
            np.testing.assert_allclose(scores, expected, atol=1e-5)


def test_picture_that_answers_several_ticks_stands_still_for_a_model_of_motion(motion: Bundle) -> None:
    scorer = CountingScorer(motion)
    moving = random_frames(4, 6)
    still = [Frame(moving[-1].image_HWC, t_s=k / RATE_HZ) for k in range(6, 12)]
    alike = [Frame(one.image_HWC.copy(), t_s=one.t_s) for one in still]
    answers = run(Detector(scorer), moving + still)
    assert scorer.batches == [1] * 12
    for once, anew in zip(answers, run(Detector(scorer), moving + alike), strict=True):
        np.testing.assert_array_equal(once, anew)


def test_motion_does_not_reach_over_a_gap_nor_from_camera_to_camera(motion: Bundle) -> None:
    before, after = random_frames(5, 10), random_frames(6, 8)
    later = [Frame(one.image_HWC, t_s=one.t_s + 30) for one in after]
    np.testing.assert_array_equal(run(Detector(motion), before + later)[-1], run(Detector(motion), after)[-1])
    states: dict[str, DetectorState] = {}
    for a, b in zip(before[:8], after, strict=True):
        scores, states = Detector(motion).step({"a": a, "b": b}, states)
    np.testing.assert_allclose(scores["b"], run(Detector(motion), after)[-1], atol=1e-6)
    past = states["b"].past_PHWC
    assert past is not None and past.shape == (3, 32, 48, 1)


def test_cameras_share_one_run_and_do_not_mix(scorer: CountingScorer) -> None:
    detector = Detector(scorer)
    colours = {"a": YELLOW, "b": GREY, "c": GREEN}
    states: dict[str, DetectorState] = {}
    for k in range(8):
        scores, states = detector.step({name: frame(k, c) for name, c in colours.items()}, states)
    assert scorer.batches == [3] * 8
    for name, colour in colours.items():
        alone = run(Detector(scorer.bundle), [frame(k, colour) for k in range(8)])[-1]
        np.testing.assert_allclose(scores[name], alone, atol=1e-6)


def test_camera_that_joins_later_warms_up_for_itself(bundle: Bundle) -> None:
    detector = Detector(bundle)
    states: dict[str, DetectorState] = {}
    for k in range(6):
        _, states = detector.step({"a": frame(k)}, states)
    scores, after = detector.step({"a": frame(6), "b": frame(0)}, states)
    assert scores["a"] is not None and scores["b"] is None
    assert after["b"].seen == 1


def test_gap_forgets_what_was_seen_before_it(bundle: Bundle) -> None:
    before = [frame(k, YELLOW) for k in range(10)]
    after = [frame(30 + k) for k in range(8)]
    answers = run(Detector(bundle), before + after)
    assert answers[10:13] == [None] * 3
    fresh = run(Detector(bundle), after)
    np.testing.assert_array_equal(answers[-1], fresh[-1])


def test_short_gap_forgets_nothing(bundle: Bundle) -> None:
    answers = run(Detector(bundle), [frame(k) for k in range(6)] + [frame(5 + 8)])
    assert answers[-1] is not None


def test_jump_back_forgets_too(bundle: Bundle) -> None:
    answers = run(Detector(bundle), [frame(k) for k in range(6)] + [frame(0)])
    assert answers[-1] is None


def test_state_cannot_be_changed(bundle: Bundle) -> None:
    _, states = Detector(bundle).step({"a": frame(0)}, {})
    features = states["a"].features_TD
    assert features is not None
    with pytest.raises(ValueError):
        features[0] = 0
    with pytest.raises(AttributeError):
        states["a"].seen = 9  # type: ignore[misc]


def test_state_holds_one_window_and_no_more(bundle: Bundle) -> None:
    detector, states = Detector(bundle), {}
    for one in random_frames(1, 50):
        _, states = detector.step({"a": one}, states)
    features = states["a"].features_TD
    assert features is not None and features.shape == (bundle.card.window, bundle.card.feature_dim)
    assert features.base is None or features.base.size <= 2 * features.size


def test_failing_encoder_is_a_fault_in_one_line(scorer: CountingScorer) -> None:
    scorer.encoder_fails = True
    with pytest.raises(InferenceError, match="encoder failed: out of memory on the device"):
        Detector(scorer).step({"a": frame(0)}, {})


def test_head_that_answers_no_number_is_a_fault(scorer: CountingScorer) -> None:
    scorer.head_answers_nan = True
    with pytest.raises(InferenceError, match="NaN"):
        run(Detector(scorer), [frame(k) for k in range(8)])


def test_model_trained_on_whole_clips_says_so_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole = load_bundle(make_bundle(tmp_path / "even.jikimi", sampling="even"), threads=1)
    with caplog.at_level(logging.WARNING):
        answers = run(Detector(whole), [frame(k) for k in range(10)])
    assert answers[-1] is not None
    assert [r.message for r in caplog.records if "whole clips" in r.message] != []
    assert len(caplog.records) == 1


def test_empty_state_has_no_window() -> None:
    with pytest.raises(ValueError):
        DetectorState().window(4)
