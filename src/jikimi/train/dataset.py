"""Windows of a prepared data set as float tensors."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image as PillowImage
from torch import Tensor
from torch.utils.data import Dataset

from jikimi import behaviors as behaviors_
from jikimi import sampling
from jikimi.data.manifest import Manifest, ManifestRow
from jikimi.errors import DataError, TrainError
from jikimi.frame import Image
from jikimi.sampling import Indices
from jikimi.train import augment
from jikimi.train.recipes import Recipe


@dataclass(frozen=True, slots=True)
class WindowRef:
    """One training window: which clip, which frames (T,), which class, and the bag it belongs to.

    Windows of one bag share a label that is true of at least one of them; a window whose own label is known
    is a bag of its own.
    """

    row: int
    indices: tuple[int, ...]
    label: int
    bag: int


def read_frame(manifest: Manifest, row: ManifestRow, index: int) -> Image:
    """Read one prepared frame, uint8 (H, W, 3).

    Raises:
        DataError: the file is missing or damaged.
    """
    path = manifest.frame_path(row, index)
    try:
        with PillowImage.open(path) as picture:
            return np.asarray(picture.convert("RGB"), dtype=np.uint8)
    except OSError as error:
        raise DataError(f"{path}: frame is missing or damaged ({error}); run prepare again") from error


def find_windows(manifest: Manifest, rows: Sequence[ManifestRow], recipe: Recipe) -> list[WindowRef]:
    """All windows to train on, in the order of the rows."""
    windows: list[WindowRef] = []
    for position, row in enumerate(rows):
        bag = windows[-1].bag + 1 if windows else 0
        windows += _windows_of(manifest, row, recipe, position=position, bag=bag)
    return windows


def _windows_of(
    manifest: Manifest, row: ManifestRow, recipe: Recipe, *, position: int, bag: int
) -> list[WindowRef]:
    label = manifest.class_index(row)
    if recipe.sampling == "even":
        return [WindowRef(position, tuple(sampling.evenly(row.n_frames, recipe.window)), label, bag)]
    normal = behaviors_.normal_index(manifest.behaviors)
    pooled = label != normal and row.event is None
    found: list[WindowRef] = []
    for last in sampling.window_ends(row.n_frames, warm_up=recipe.warm_up, stride=recipe.stride):
        own = _label_at(row, last, recipe, label=label, normal=normal)
        if own is not None:
            indices = tuple(sampling.window_ending_at(last, recipe.window))
            found.append(WindowRef(position, indices, own, bag if pooled else bag + len(found)))
    return found


def _label_at(row: ManifestRow, last: int, recipe: Recipe, *, label: int, normal: int) -> int | None:
    """Class of the window that ends with frame `last`; None where it is neither event nor normal."""
    if label == normal or row.event is None:
        return label
    share = sampling.event_share(row.event, last=last, length=recipe.window, rate_hz=row.rate_hz)
    if share >= sampling.EVENT_SHARE:
        return label
    return normal if share <= sampling.NORMAL_SHARE else None


def validation_windows(row: ManifestRow, recipe: Recipe) -> list[list[int]]:
    """The windows a clip is judged by."""
    if recipe.sampling == "even":
        return [sampling.evenly(row.n_frames, recipe.window).tolist()]
    ends = sampling.window_ends(row.n_frames, warm_up=recipe.warm_up, stride=recipe.stride)
    return [sampling.window_ending_at(last, recipe.window).tolist() for last in ends]


class CustomData(Dataset[tuple[Tensor, int]]):
    """Windows of pictures with their class: float32 (T, C, H, W) and a class index.

    Raises:
        TrainError: there is no clip to train on.
    """

    def __init__(self, manifest: Manifest, rows: Sequence[ManifestRow], recipe: Recipe) -> None:
        if not rows:
            raise TrainError(f"{manifest.root}: this side of the split has no clips; prepare it again")
        self.manifest, self.rows, self.recipe = manifest, tuple(rows), recipe
        self.windows = find_windows(manifest, self.rows, recipe)
        self.preprocess = recipe.preprocess

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.load(index, seed=None), self.windows[index].label

    def load(self, index: int, *, seed: int | None) -> Tensor:
        """One window, float32 (T, 3, H, W); augmented when a seed is given, the same seed the same way."""
        window = self.windows[index]
        row, indices = self.rows[window.row], np.asarray(window.indices, dtype=np.int64)
        if seed is None:
            return self._plain(row, indices)
        rng = np.random.default_rng(seed)
        if self.recipe.sampling == "timed":
            indices = augment.jitter_times(indices, row.n_frames, rng)
        view = augment.draw_view(rng)
        pictures = self._pictures(row, indices, view)
        frames = augment.photometric(pictures, rng).permute(0, 2, 3, 1).numpy()
        return torch.from_numpy(self.preprocess.normalise(frames))

    def load_frames(self, row: ManifestRow, indices: Sequence[int], *, seed: int | None) -> Tensor:
        """Frames of a clip, float32 (N, 3, H, W); with a seed all are seen in the same augmented view."""
        chosen = np.asarray(indices, dtype=np.int64)
        if seed is None:
            return self._plain(row, chosen)
        rng = np.random.default_rng(seed)
        pictures = self._pictures(row, chosen, augment.draw_view(rng))
        frames = augment.photometric(pictures, rng).permute(0, 2, 3, 1).numpy()
        return torch.from_numpy(self.preprocess.normalise(frames))

    def _plain(self, row: ManifestRow, indices: Indices) -> Tensor:
        pictures = self._pictures(row, indices, augment.View())
        return torch.from_numpy(self.preprocess.normalise(np.stack(pictures)))

    def _pictures(self, row: ManifestRow, indices: Indices, view: augment.View) -> list[Image]:
        """Fitted pictures; a frame that the window repeats is read once."""
        once = {
            index: self.preprocess.fit(view(read_frame(self.manifest, row, index)))
            for index in dict.fromkeys(indices.tolist())
        }
        return [once[index] for index in indices.tolist()]
