"""Windows of a data set: which frames, which class, as which tensors."""

from pathlib import Path

import numpy as np
import pytest
import torch

from jikimi import sampling
from jikimi.behaviors import keys
from jikimi.data.manifest import Manifest
from jikimi.errors import DataError, TrainError
from jikimi.train.dataset import CustomData, read_frame, validation_windows
from train_data import ClipSpec, make_data, three_behaviours, timed, tiny


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return make_data(tmp_path_factory.mktemp("data"))


def data_of(root: Path, *specs: ClipSpec, **options: object) -> CustomData:
    manifest = make_data(root, specs)
    return CustomData(manifest, manifest.rows, timed(**options))


def test_item_is_a_float_window_and_a_class_index(manifest: Manifest) -> None:
    data = CustomData(manifest, manifest.select("train"), tiny())
    frames, label = data[0]
    assert frames.dtype == torch.float32 and frames.shape == (16, 3, 32, 48)
    assert isinstance(label, int) and label == manifest.class_index(data.rows[0])
    assert frames.is_contiguous() and -3 < frames.mean() < 3


def test_even_sampling_is_one_window_of_the_whole_clip(manifest: Manifest) -> None:
    data = CustomData(manifest, manifest.select("train"), tiny())
    assert len(data) == len(data.rows) == 9
    for window, row in zip(data.windows, data.rows, strict=True):
        assert window.indices == tuple(sampling.evenly(row.n_frames, 16))
        assert window.label == manifest.class_index(row)
    assert len({window.bag for window in data.windows}) == 9


def test_timed_window_is_its_frames_at_the_prepared_rate(manifest: Manifest) -> None:
    data = CustomData(manifest, manifest.select("train"), timed(window=16, warm_up=16))
    window = data.windows[-1]
    assert window.indices == tuple(range(4, 20))
    row = data.rows[window.row]
    expected = data.preprocess([read_frame(manifest, row, index) for index in window.indices])
    np.testing.assert_array_equal(data[len(data) - 1][0].numpy(), expected)


def test_windows_around_a_known_event_are_labelled_by_what_they_show(tmp_path: Path) -> None:
    # Event in frames [16, 24) of 48; windows of 8 frames, every frame.
    spec = ClipSpec("bump", "train", "a", n_frames=48, event_s=(2.0, 3.0))
    data = data_of(tmp_path, spec, stride=1)
    labels = {window.indices[-1]: window.label for window in data.windows}
    bump, normal = (keys(data.manifest.behaviors).index(key) for key in ("bump", "no-accident"))
    for last in range(3, 48):
        shown = len(set(range(max(0, last - 7), last + 1)) & set(range(16, 24)))
        seen = min(8, last + 1)
        expected = bump if shown >= seen / 2 else normal if shown == 0 else None
        assert labels.get(last) == expected, last
    assert len({window.bag for window in data.windows}) == len(data)


def test_accident_without_a_time_is_one_bag_of_all_its_windows(tmp_path: Path) -> None:
    specs = [ClipSpec("jam", "train", group, n_frames=32) for group in "ab"]
    data = data_of(tmp_path, *specs, stride=4)
    bags: dict[int, set[int]] = {}
    for window in data.windows:
        bags.setdefault(window.bag, set()).add(window.row)
        assert window.label == 1
    assert len(bags) == 2 and all(len(rows) == 1 for rows in bags.values())
    assert len(data) == 2 * len(sampling.window_ends(32, warm_up=4, stride=4))


def test_windows_of_normal_clips_are_normal_each_by_itself(tmp_path: Path) -> None:
    data = data_of(tmp_path, ClipSpec("no-accident", "train", "a", n_frames=32))
    assert {window.label for window in data.windows} == {2}
    assert len({window.bag for window in data.windows}) == len(data) > 1


def test_bags_of_mixed_clips_never_share_a_number(manifest: Manifest) -> None:
    data = CustomData(manifest, manifest.select("train"), timed())
    owners: dict[int, set[tuple[int, int]]] = {}
    for window in data.windows:
        owners.setdefault(window.bag, set()).add((window.row, window.label))
    assert all(len(owner) == 1 for owner in owners.values())


def test_clip_shorter_than_a_window_repeats_its_first_frame(tmp_path: Path) -> None:
    data = data_of(tmp_path, ClipSpec("no-accident", "train", "a", n_frames=3))
    assert [window.indices for window in data.windows] == [(0, 0, 0, 0, 0, 0, 1, 2)]


def test_clip_of_nothing_but_borders_gives_no_window(tmp_path: Path) -> None:
    # Every window shows between a tenth and half of it.
    spec = ClipSpec("bump", "train", "a", n_frames=9, event_s=(0.75, 3.0))
    data = data_of(tmp_path, spec, ClipSpec("no-accident", "train", "b"), warm_up=8, stride=9)
    assert {window.row for window in data.windows} == {1}


def test_judging_windows_cover_the_whole_clip(manifest: Manifest) -> None:
    row = manifest.rows[0]
    assert validation_windows(row, tiny()) == [sampling.evenly(20, 16).tolist()]
    windows = validation_windows(row, timed())
    assert windows[-1][-1] == 19 and {frame for window in windows for frame in window} >= set(range(4, 20))


@pytest.mark.parametrize("recipe", [tiny(augment=True), timed(augment=True)])
def test_augmented_window_follows_its_seed_alone(manifest: Manifest, recipe: object) -> None:
    data = CustomData(manifest, manifest.select("train"), recipe)  # type: ignore[arg-type]
    first = data.load(0, seed=5)
    assert torch.equal(first, data.load(0, seed=5)) and first.shape == data[0][0].shape
    assert not torch.equal(first, data.load(0, seed=6))
    assert not torch.equal(first, data[0][0])
    torch.testing.assert_close(data.load(0, seed=None), data[0][0])


def test_frames_of_a_clip_share_one_augmented_view(manifest: Manifest) -> None:
    data = CustomData(manifest, manifest.select("train"), timed(augment=True))
    row = data.rows[0]
    repeated = data.load_frames(row, [3, 3, 3], seed=2)
    clean = [seed for seed in range(20) if _is_still(data.load_frames(row, [3, 3, 3], seed=seed))]
    assert repeated.shape == (3, 3, 32, 48) and len(clean) >= 10  # the others have a dark hall's noise


def _is_still(frames: torch.Tensor) -> bool:
    return bool((frames == frames[:1]).all())


def test_empty_side_is_refused(manifest: Manifest) -> None:
    with pytest.raises(TrainError, match="no clips"):
        CustomData(manifest, [], tiny())


@pytest.mark.parametrize("content", [None, b"", b"no picture", b"\xff\xd8\xff\xe0torn"])
def test_missing_or_damaged_frame_is_named(tmp_path: Path, content: bytes | None) -> None:
    manifest = make_data(tmp_path, three_behaviours()[:1])
    path = manifest.frame_path(manifest.rows[0], 4)
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"000005\.jpg.*run prepare again") as refused:
        read_frame(manifest, manifest.rows[0], 4)
    assert "\n" not in str(refused.value)


def test_torn_frame_is_refused(tmp_path: Path) -> None:
    manifest = make_data(tmp_path, three_behaviours()[:1])
    path = manifest.frame_path(manifest.rows[0], 0)
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(DataError, match="damaged"):
        read_frame(manifest, manifest.rows[0], 0)
