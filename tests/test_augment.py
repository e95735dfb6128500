"""Clip-consistent augmentation: the same for every frame, and never one that changes what happens."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from jikimi.frame import Image
from jikimi.train import augment
from jikimi.train.augment import View, draw_view, jitter_times, mix_up, photometric

SEEDS = range(40)


def picture(height: int = 60, width: int = 90) -> Image:
    return np.random.default_rng(1).integers(0, 255, size=(height, width, 3), dtype=np.uint8)


def top_marked() -> Image:
    image = np.zeros((60, 90, 3), np.uint8)
    image[:30] = 255
    return image


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_above_stays_above(seed: int) -> None:
    rng = np.random.default_rng(seed)
    seen = draw_view(rng)(top_marked()).astype(float).mean(axis=(1, 2))
    assert (np.diff(seen) <= 0).all()
    frames = photometric([top_marked()] * 2, rng).float().mean(dim=(1, 3))
    assert frames[0, :25].mean() > frames[0, 35:].mean()


@pytest.mark.parametrize("seed", SEEDS)
def test_crop_keeps_the_aspect_and_half_the_picture(seed: int) -> None:
    view = draw_view(np.random.default_rng(seed))
    assert 0 <= view.top < view.bottom <= 1 and 0 <= view.left < view.right <= 1
    assert view.bottom - view.top == pytest.approx(view.right - view.left)
    assert (view.bottom - view.top) ** 2 >= augment.MIN_CROP_AREA - 1e-9
    height, width = view(picture()).shape[:2]
    assert abs(height / 60 - width / 90) < 0.05


def test_views_flip_sideways_about_half_the_time() -> None:
    flips = [draw_view(np.random.default_rng(seed)).flip for seed in range(200)]
    assert 60 < sum(flips) < 140


def test_plain_view_changes_nothing_and_flip_mirrors() -> None:
    image = picture()
    np.testing.assert_array_equal(View()(image), image)
    np.testing.assert_array_equal(View(flip=True)(image), image[:, ::-1])


def still(seed: int) -> torch.Tensor:
    return photometric([picture()] * 4, np.random.default_rng(seed))


@pytest.mark.parametrize("seed", SEEDS)
def test_still_clip_stays_still_apart_from_sensor_noise(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(augment, "DARK", 0.0)
    frames = still(seed)
    assert frames.dtype == torch.uint8 and frames.shape == (4, 3, 60, 90)
    assert (frames == frames[:1]).all()


def test_dark_hall_is_darker_and_its_noise_differs_by_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("JITTER", "BLUR", "RECOMPRESS", "ERASE"):
        monkeypatch.setattr(augment, name, 0.0)
    monkeypatch.setattr(augment, "DARK", 1.0)
    frames = still(0).float()
    assert frames.mean() < picture().mean() - 10
    difference = (frames[0] - frames[1]).abs()
    assert 0 < difference.mean() < 20


@pytest.mark.parametrize("seed", SEEDS[:10])
def test_same_seed_same_pictures(seed: int) -> None:
    assert torch.equal(still(seed), still(seed))


def test_other_seeds_other_pictures() -> None:
    assert len({still(seed).numpy().tobytes() for seed in SEEDS}) > len(SEEDS) * 0.8


def test_augmenting_leaves_torchs_own_dice_alone() -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    still(3)
    assert torch.equal(torch.rand(3), expected)


@given(st.integers(0, 60), st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_time_never_runs_backwards(last: int, length: int, seed: int) -> None:
    indices = np.maximum(np.arange(last - length + 1, last + 1), 0)
    seen = jitter_times(indices, last + 1, np.random.default_rng(seed))
    assert len(seen) == length and (np.diff(seen) >= 0).all()
    assert seen[0] >= 0 and seen[-1] == last


def test_times_do_vary() -> None:
    indices = np.arange(10, 26)
    seen = {jitter_times(indices, 40, np.random.default_rng(seed)).tobytes() for seed in SEEDS}
    assert len(seen) > 5


def test_mixup_mixes_inputs_and_targets_alike() -> None:
    inputs, targets = torch.eye(4).reshape(4, 1, 4), torch.eye(4)
    mixed, soft = mix_up(inputs, targets, alpha=0.4, rng=np.random.default_rng(0))
    torch.testing.assert_close(mixed[:, 0], soft)
    torch.testing.assert_close(soft.sum(dim=1), torch.ones(4))
    assert not torch.equal(soft, targets)
    again, _ = mix_up(inputs, targets, alpha=0.4, rng=np.random.default_rng(0))
    assert torch.equal(again, mixed)
