"""Windows of a data set: which frames, which class, as which tensors."""

from pathlib import Path

import numpy as np
import pytest
import torch

from jikimi import sampling
from jikimi.behaviors import keys
from jikimi.bundle import Card
from jikimi.data.manifest import Manifest
from jikimi.errors import DataError, TrainError
from jikimi.frame import Frame
from jikimi.train import score
from jikimi.train.checkpoint import Origin
from jikimi.train.dataset import CustomData, read_frame, validation_windows
from jikimi.watch.detector import Detector
from train_data import LABELS, ClipSpec, make_data, three_behaviours, timed, tiny


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


MOTION = {"inputs": "motion", "lags": (1, 4)}


def test_training_evaluation_and_watching_see_the_same(manifest: Manifest) -> None:
    recipe = timed(**MOTION, span=10)
    row = manifest.rows[0]
    card = Origin(recipe, LABELS, 8.0, 64, {}).card(name="m", metrics={})
    seen = Recorder(card)
    score.encode_clip(seen, manifest, row)
    evaluated = np.concatenate(seen.pictures)
    assert evaluated.shape == (20, 3, 32, 48)

    live, states = Recorder(card), {}
    detector = Detector(live)
    for index in range(row.n_frames):
        frame = Frame(read_frame(manifest, row, index), t_s=index / 8)
        _, states = detector.step({"a": frame}, states)
    np.testing.assert_array_equal(np.concatenate(live.pictures), evaluated)

    data = CustomData(manifest, manifest.rows, recipe, memory_bytes=10**8)
    for index, window in enumerate(data.windows):
        if window.row == 0:
            np.testing.assert_array_equal(data[index][0].numpy(), evaluated[list(window.indices)])
    np.testing.assert_array_equal(data.load_frames(row, [3, 9, 9, 19], seed=None), evaluated[[3, 9, 9, 19]])
    whole = 0
    for seed in range(20):
        run = data.load_run(0, seed=seed)
        matches = [
            s for s in range(11) if np.array_equal(run.frames_NCHW.numpy()[4:], evaluated[s + 4 : s + 10])
        ]
        assert len(matches) == 1  # whatever a fresh run looks back at, the fifth frame knows all it needs
        whole += np.array_equal(run.frames_NCHW.numpy(), evaluated[matches[0] : matches[0] + 10])
    assert whole >= 3


class Recorder:
    """Notes what it is given to encode."""

    def __init__(self, card: Card) -> None:
        self.card, self.pictures = card, list[np.ndarray]()

    def encode(self, pictures_NCHW: np.ndarray) -> np.ndarray:
        self.pictures.append(pictures_NCHW)
        return np.zeros((len(pictures_NCHW), self.card.feature_dim), np.float32)

    def classify(self, windows_NTD: np.ndarray) -> np.ndarray:
        return np.zeros((len(windows_NTD), 3), np.float32)


def test_windows_of_a_run_have_the_labels_they_have_in_the_clip(tmp_path: Path) -> None:
    spec = ClipSpec("bump", "train", "a", n_frames=40, event_s=(2.0, 3.0))
    data = data_of(tmp_path, spec, stride=1, span=16)
    known = {window.indices: window.label for window in data.windows}
    seen = set()
    for seed in range(40):
        run = data.load_run(0, seed=seed)
        (start,) = [
            s
            for s in range(25)
            if torch.equal(run.frames_NCHW, data.load_frames(data.rows[0], range(s, s + 16), seed=None))
        ]
        for places, label in zip(run.places_WT.tolist(), run.labels_W.tolist(), strict=True):
            window = tuple(start + place for place in places)
            if len(set(places)) == 8:  # whole: not at the start of a fresh run
                assert known[window] == label
                seen.add(label)
        assert run.bags_W.tolist() == list(range(len(run.labels_W)))
    assert seen == {0, 2}


def test_run_of_an_accident_without_a_time_is_one_bag(tmp_path: Path) -> None:
    data = data_of(tmp_path, ClipSpec("jam", "train", "a", n_frames=40), span=10, run_stride=2)
    run = data.load_run(0, seed=1)
    assert len(run.frames_NCHW) == 20 and set(run.labels_W.tolist()) == {1}
    assert set(run.bags_W.tolist()) == {0} and len(run.bags_W) > 3


@pytest.mark.parametrize("augmented", [True, False])
def test_run_follows_its_seed_and_may_be_shorter_than_asked(tmp_path: Path, augmented: bool) -> None:
    specs = ClipSpec("no-accident", "train", "a", n_frames=3), ClipSpec("bump", "train", "b", event_s=(1, 2))
    data = data_of(tmp_path, *specs, span=16, augment=augmented, **MOTION)
    for row, n_frames in ((1, 3), (0, 16)):
        one, same = data.load_run(row, seed=4), data.load_run(row, seed=4)
        assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
        assert one.frames_NCHW.shape == (n_frames, 3, 32, 48) and len(one.places_WT) >= 1
        assert int(one.places_WT.max()) < n_frames


def test_motion_of_an_augmented_window_is_seen_in_one_view(manifest: Manifest) -> None:
    data = CustomData(manifest, manifest.select("train"), timed(augment=True, **MOTION))
    assert data.load(0, seed=3).shape == (8, 3, 32, 48)
    frames = data.load_frames(data.rows[0], [5, 6, 12], seed=2)
    assert frames.shape == (3, 3, 32, 48)
    assert (frames[:, 1] == 0).float().mean() > 0.2 or frames[:, 1].abs().mean() < 1.0


def test_memory_gives_what_the_files_give(manifest: Manifest) -> None:
    recipe = timed(augment=True, span=10, **MOTION)
    plain = CustomData(manifest, manifest.rows, recipe)
    held = CustomData(manifest, manifest.rows, recipe, memory_bytes=200_000)
    for _ in range(2):
        for position in range(3):
            for one, other in zip(
                plain.load_run(position, seed=5), held.load_run(position, seed=5), strict=True
            ):
                assert torch.equal(one, other)
    assert 0 < held.memory.held_bytes <= 200_000 and plain.memory.held_bytes == 0
