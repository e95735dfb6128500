"""Picture → network input."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jikimi.preprocess import IMAGENET_MEAN, IMAGENET_STD, Preprocess

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


@pytest.mark.parametrize("wrong", [{"height_px": 8}, {"std": (0.0, 1.0, 1.0)}])
def test_settings_that_cannot_work_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        Preprocess(**{"height_px": 32, "width_px": 32, **wrong})
