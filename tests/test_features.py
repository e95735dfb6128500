"""The feature cache: every picture is encoded once, and never served for another question."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from jikimi.data.manifest import Manifest
from jikimi.errors import TrainError
from jikimi.train import features
from jikimi.train.dataset import CustomData
from jikimi.train.features import (
    ClipFeatures,
    FeatureCache,
    fill,
    fit_norm,
    must_read,
    training_jobs,
    validation_jobs,
)
from jikimi.train.model import CNNLSTM
from jikimi.train.recipes import Recipe
from train_data import ClipSpec, make_data, three_behaviours, timed, tiny

CPU = torch.device("cpu")


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    return make_data(tmp_path / "data", three_behaviours()[:3])


def model_of(recipe: Recipe, seed: int = 0) -> CNNLSTM:
    torch.manual_seed(seed)
    return CNNLSTM(recipe.backbone, n_classes=3).eval()


def encode(manifest: Manifest, recipe: Recipe, model: CNNLSTM | None = None) -> tuple[FeatureCache, int]:
    """Fill the cache with what the training side needs; how many pictures that took."""
    model = model or model_of(recipe)
    data = CustomData(manifest, manifest.select("train"), recipe)
    cache = FeatureCache.open(manifest.root, model.encoder, recipe)
    return cache, fill(cache, model, data, training_jobs(data), device=CPU)


def test_second_run_encodes_nothing(manifest: Manifest) -> None:
    assert encode(manifest, tiny())[1] == 3 * 16
    assert encode(manifest, tiny())[1] == 0


@pytest.mark.parametrize(
    ("changed", "pictures"),
    [
        (tiny(height_px=48), 48),
        (tiny(width_px=32), 48),
        (tiny(backbone="test_efficientnet"), 48),
        (tiny(views=2), 96),
        (tiny(batch_size=2, seed=9), 0),
        (tiny(dropout=0.5, augment=True), 0),
    ],
)
def test_what_changes_features_is_encoded_again_and_nothing_else(
    manifest: Manifest, changed: Recipe, pictures: int
) -> None:
    encode(manifest, tiny())
    assert encode(manifest, changed)[1] == pictures


def test_other_weights_are_encoded_again(manifest: Manifest) -> None:
    encode(manifest, tiny())
    assert encode(manifest, tiny(), model_of(tiny(), seed=1))[1] == 48
    assert encode(manifest, tiny())[1] == 0


def test_other_seed_means_other_views(manifest: Manifest) -> None:
    encode(manifest, tiny(views=2))
    assert encode(manifest, tiny(views=2, seed=9))[1] == 96


def test_clip_prepared_anew_is_encoded_again(manifest: Manifest) -> None:
    encode(manifest, tiny())
    rows = tuple(replace(row, key="new") if row.behavior == "jam" else row for row in manifest.rows)
    assert encode(replace(manifest, rows=rows), tiny())[1] == 16


def test_frames_that_the_cache_lacks_are_encoded(manifest: Manifest) -> None:
    encode(manifest, tiny())
    assert encode(manifest, timed())[1] > 0
    assert encode(manifest, timed())[1] == 0


def test_cached_features_are_the_encoders(manifest: Manifest) -> None:
    recipe = timed()
    model = model_of(recipe)
    cache, _ = encode(manifest, recipe, model)
    data = CustomData(manifest, manifest.select("train"), recipe)
    jobs = {job.position: must_read(cache, job) for job in training_jobs(data)}
    for index in (0, len(data) - 1):
        window = data.windows[index]
        with torch.no_grad():
            direct = model.encoder(data[index][0]).numpy()
        np.testing.assert_allclose(jobs[window.row].window(window.indices, view=0), direct, atol=2e-3)


def test_features_too_large_for_half_precision_stay_whole(manifest: Manifest) -> None:
    cache = FeatureCache(manifest.root / "features" / "x", views=1, seed=0)
    values = np.array([[[1e6, 1.00048828125]]], np.float32)
    cache.write(manifest.rows[0], ClipFeatures(values, {4: 0}))
    found = cache.read(manifest.rows[0], [4], views=1)
    assert found is not None
    np.testing.assert_array_equal(found.features_VNF, values)


def test_views_differ_and_the_first_is_plain(manifest: Manifest) -> None:
    cache, _ = encode(manifest, tiny(views=4))
    plain, _ = encode(manifest, tiny())
    data = CustomData(manifest, manifest.select("train"), tiny(views=4))
    for job in training_jobs(data):
        seen = must_read(cache, job).features_VNF
        assert seen.shape[0] == 4
        alone = must_read(plain, replace(job, views=1)).features_VNF
        np.testing.assert_allclose(seen[0], alone[0], atol=1e-3)
        assert len({view.tobytes() for view in seen}) == 4


def test_views_of_a_clip_follow_from_the_seed(manifest: Manifest) -> None:
    row = manifest.rows[0]
    cache = FeatureCache(manifest.root, views=3, seed=1)
    seeds = [cache.view_seed(row, view) for view in range(3)]
    assert seeds[0] is None and len(set(seeds)) == 3
    assert seeds == [FeatureCache(manifest.root / "x", views=3, seed=1).view_seed(row, v) for v in range(3)]
    assert cache.view_seed(manifest.rows[1], 1) != seeds[1]


def test_judging_needs_the_plain_view_alone(manifest: Manifest) -> None:
    data = CustomData(manifest, manifest.rows, timed(views=4))
    assert {job.views for job in validation_jobs(data)} == {1}
    assert {job.views for job in training_jobs(data)} == {4}


@pytest.fixture
def stored(manifest: Manifest) -> tuple[FeatureCache, Path]:
    cache = FeatureCache(manifest.root / "features" / "x", views=1, seed=0)
    values = np.arange(6, dtype=np.float32).reshape(1, 2, 3)
    cache.write(manifest.rows[0], ClipFeatures(values, {0: 0, 5: 1}))
    (path,) = cache.folder.iterdir()
    return cache, path


def test_file_with_any_byte_changed_is_never_believed(
    manifest: Manifest, stored: tuple[FeatureCache, Path], caplog: pytest.LogCaptureFixture
) -> None:
    cache, path = stored
    whole = path.read_bytes()
    good = cache.read(manifest.rows[0], [0, 5], views=1)
    assert good is not None
    caplog.set_level(logging.CRITICAL)
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x11]) + whole[place + 1 :])
        found = cache.read(manifest.rows[0], [0, 5], views=1)
        if found is not None:
            np.testing.assert_array_equal(found.features_VNF, good.features_VNF)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"text", b"\x93NUMPY\x01\x00"])
def test_damaged_file_is_computed_again_and_said(
    manifest: Manifest, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    cache, _ = encode(manifest, tiny())
    victim = sorted(cache.folder.iterdir())[0]
    whole = victim.read_bytes()
    victim.write_bytes(content)
    assert encode(manifest, tiny())[1] == 16
    assert "damaged" in caplog.text and victim.name in caplog.text
    assert victim.read_bytes() == whole


def test_array_of_another_shape_is_computed_again(
    manifest: Manifest, stored: tuple[FeatureCache, Path]
) -> None:
    cache, path = stored
    for array in (np.float32(1), np.ones((1, 1, 3)), np.ones(2)):
        np.savez(path, frames=np.array([0, 5]), features=array)
        assert cache.read(manifest.rows[0], [0, 5], views=1) is None


def test_interrupted_filling_leaves_only_whole_files(
    manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = features.np.savez

    def torn(file: object, **arrays: object) -> None:
        real(file, **arrays)  # type: ignore[arg-type]
        if len(list(manifest.root.glob("features/*/*.npz"))) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(features.np, "savez", torn)
    with pytest.raises(KeyboardInterrupt):
        encode(manifest, tiny())
    monkeypatch.undo()
    (folder,) = (manifest.root / "features").iterdir()
    assert len(list(folder.iterdir())) == 1
    assert encode(manifest, tiny())[1] == 32


def test_folder_that_cannot_be_written_is_said_in_one_line(manifest: Manifest) -> None:
    (manifest.root / "features").write_text("in the way")
    with pytest.raises(TrainError, match=r"feature cache .*features") as refused:
        encode(manifest, tiny())
    assert "\n" not in str(refused.value)


def test_encoder_that_answers_nan_is_refused_by_clip(manifest: Manifest) -> None:
    model = model_of(tiny())
    with torch.no_grad():
        next(p for p in model.encoder.parameters()).fill_(float("nan"))
    with pytest.raises(TrainError, match=r"NaN.*bump-a-train"):
        encode(manifest, tiny(), model)


def test_features_that_vanish_meanwhile_are_missed(manifest: Manifest) -> None:
    cache, _ = encode(manifest, tiny())
    data = CustomData(manifest, manifest.select("train"), tiny())
    for path in cache.folder.iterdir():
        path.unlink()
    with pytest.raises(TrainError, match="is gone"):
        must_read(cache, training_jobs(data)[0])


def test_progress_counts_clips(manifest: Manifest) -> None:
    recipe, seen = tiny(), []
    model = model_of(recipe)
    data = CustomData(manifest, manifest.rows, recipe)
    cache = FeatureCache.open(manifest.root, model.encoder, recipe)
    fill(cache, model, data, training_jobs(data), device=CPU, progress=lambda *now: seen.append(now))
    assert seen == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_encoder_statistics_survive_filling(manifest: Manifest) -> None:
    model = model_of(tiny()).train()
    before = {key: value.clone() for key, value in model.encoder.state_dict().items()}
    encode(manifest, tiny(), model)
    assert all(torch.equal(value, before[key]) for key, value in model.encoder.state_dict().items())


def test_normalised_outputs_have_mean_zero_and_deviation_one() -> None:
    model = model_of(tiny())
    rng = np.random.default_rng(0)
    seen = (rng.normal(size=(500, 96)) * rng.uniform(0.1, 5, 96) + rng.normal(size=96)).astype(np.float32)
    seen[:, 7] = 3.0  # a channel that never moves
    fit_norm(model, seen)
    with torch.no_grad():
        normal = model.norm(torch.from_numpy(seen)).numpy()
    np.testing.assert_allclose(normal.mean(axis=0), 0, atol=1e-3)
    moving = [channel for channel in range(96) if channel != 7]
    np.testing.assert_allclose(normal[:, moving].std(axis=0), 1, atol=0.15)
    assert np.abs(normal[:, 7]).max() < 0.1


def test_clip_of_one_frame_is_encoded(tmp_path: Path) -> None:
    manifest = make_data(tmp_path, [ClipSpec("no-accident", "train", "a", n_frames=1)])
    assert encode(manifest, timed())[1] == 1
