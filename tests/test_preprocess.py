"""Picture → network input."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jikimi.preprocess import IMAGENET_MEAN, IMAGENET_STD, MOTION_SCALE, Preprocess

SIZES = st.tuples(st.integers(1, 120), st.integers(1, 120))


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@settings(max_examples=40)
@given(size=SIZES, target=st.tuples(st.integers(16, 64), st.integers(16, 64)))
def test_any_picture_becomes_the_networks_size(size: tuple[int, int], target: tuple[int, int]) -> None:
    out = Preprocess(*target)([picture(*size), picture(*size, seed=1)])
    assert out.shape == (2, 3, *target) and out.dtype == np.float32
    assert np.isfinite(out).all()


def test_normalising_is_the_usual_formula() -> None:
    image = picture(32, 48)
    expected = (image / 255.0 - IMAGENET_MEAN) / IMAGENET_STD
    out = Preprocess(32, 48)([image])
    np.testing.assert_allclose(out[0], expected.transpose(2, 0, 1), atol=1e-5)


def test_picture_of_the_right_size_is_not_touched() -> None:
    image = picture(32, 48)
    assert Preprocess(32, 48).fit(image) is image


def test_bars_fill_what_the_aspect_ratio_leaves_and_mean_nothing() -> None:
    out = Preprocess(64, 64)([np.full((32, 64, 3), 255, np.uint8)])[0]
    assert np.abs(out[:, :16]).max() < 0.02 and np.abs(out[:, 48:]).max() < 0.02
    assert out[:, 17:47].min() > 1.0


def test_the_whole_picture_is_kept() -> None:
    image = np.zeros((40, 80, 3), np.uint8)
    image[:, :4] = image[:, -4:] = 255
    fitted = Preprocess(64, 64).fit(image)
    assert fitted[32, 0].min() > 200 and fitted[32, -1].min() > 200


def test_batch_equals_pictures_one_by_one() -> None:
    preprocess, images = Preprocess(32, 48), [picture(20, 30), picture(50, 20, seed=2)]
    batch = preprocess(images)
    for row, image in zip(batch, images, strict=True):
        np.testing.assert_array_equal(row, preprocess([image])[0])


MOTION = Preprocess(32, 48, inputs="motion", lags=(1, 3))
BOTH = Preprocess(32, 48, inputs="rgb+motion", lags=(2,))
STREAM = [picture(36, 48, seed) for seed in range(9)]


def test_motion_is_brightness_and_its_signed_change() -> None:
    dark, bright = np.full((32, 48, 3), 60, np.uint8), np.full((32, 48, 3), 98, np.uint8)
    out = MOTION([dark, dark, bright, bright, dark])
    assert out.shape == (5, 3, 32, 48) and (MOTION.channels, MOTION.depth, MOTION.history) == (1, 3, 3)
    step = 38 / 255 / MOTION_SCALE
    np.testing.assert_allclose(out[:, 1, 5, 5], [0, 0, step, 0, -step], atol=1e-5)
    np.testing.assert_allclose(out[:, 2, 5, 5], [0, 0, step, step, 0], atol=1e-5)
    assert out[2, 0, 5, 5] > out[1, 0, 5, 5]


def test_colours_stay_beside_the_change() -> None:
    out = BOTH(STREAM)
    assert out.shape == (9, 4, 32, 48)
    np.testing.assert_array_equal(out[:, :3], Preprocess(32, 48)(STREAM))
    assert not out[0, 3].any() and out[2, 3].any()


@pytest.mark.parametrize("preprocess", [Preprocess(32, 48), MOTION, BOTH])
@pytest.mark.parametrize("cut", [1, 2, 5, 8])
def test_stream_in_parts_gives_what_it_gives_at_once(preprocess: Preprocess, cut: int) -> None:
    whole = preprocess(STREAM)
    np.testing.assert_array_equal(preprocess(STREAM[:cut]), whole[:cut])
    np.testing.assert_array_equal(preprocess(STREAM[cut:], before=STREAM[:cut]), whole[cut:])
    np.testing.assert_array_equal(preprocess(STREAM[cut:], before=preprocess.tail(STREAM[:cut])), whole[cut:])
    past, steps = None, []
    for image in STREAM:
        out, past = preprocess.step(image, past)
        steps.append(out)
    np.testing.assert_array_equal(np.concatenate(steps), whole)
    assert past is None if preprocess.history == 0 else len(past) == preprocess.history


@given(changed=st.integers(1, 8))
@settings(max_examples=8)
def test_nothing_depends_on_later_frames_nor_on_those_too_far_back(changed: int) -> None:
    other = [*STREAM]
    other[changed] = picture(36, 48, seed=99)
    same = (MOTION(STREAM) == MOTION(other)).all(axis=(1, 2, 3))
    assert [i for i, equal in enumerate(same) if not equal] == [
        i for i in (changed, changed + 1, changed + 3) if i < 9
    ]


def test_bars_do_not_move() -> None:
    out = Preprocess(64, 64, inputs="motion", lags=(1,))([picture(32, 64, seed) for seed in range(3)])
    assert not out[:, 1, :16].any() and np.abs(out[:, 0, :16]).max() < 0.02


@pytest.mark.parametrize(
    "wrong",
    [
        {"height_px": 8},
        {"std": (0.0, 1.0, 1.0)},
        {"inputs": "motion"},
        {"lags": (1,)},
        {"inputs": "motion", "lags": (0,)},
        {"inputs": "flow", "lags": (1,)},
    ],
)
def test_settings_that_cannot_work_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        Preprocess(**{"height_px": 32, "width_px": 32, **wrong})
