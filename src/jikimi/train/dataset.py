"""Windows of a prepared data set as float tensors."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image as PillowImage
from torch import Tensor
from torch.utils.data import Dataset

from jikimi import behaviors as behaviors_
from jikimi import sampling
from jikimi.data.manifest import Manifest, ManifestRow
from jikimi.errors import DataError, TrainError
from jikimi.frame import Floats, Image
from jikimi.preprocess import Preprocess
from jikimi.sampling import Indices
from jikimi.train import augment, film
from jikimi.train.located import CELL_PX, grid_of
from jikimi.train.memory import FrameMemory
from jikimi.train.places import Geometry, boxes_of, places_of
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


class Run(NamedTuple):
    """Consecutive frames of a clip, float32 (N, depth, H, W), and the windows among them.

    `places_WT` are the windows' frames as places among the N; windows that share a bag share a label, which
    is true of at least one of them. `cells_NHW`, `victim_NHW` and `joints_NJHW` are as in `Places`, empty
    where the recipe asks for none.
    """

    frames_NCHW: Tensor
    places_WT: Tensor
    labels_W: Tensor
    bags_W: Tensor
    cells_NHW: Tensor
    victim_NHW: Tensor
    joints_NJHW: Tensor


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


def read_inputs(
    preprocess: Preprocess, manifest: Manifest, row: ManifestRow, indices: Sequence[int] | Indices
) -> Floats:
    """Network input of any frames of a clip, float32 (N, depth, H, W), as when it is watched."""

    def fitted(index: int) -> Image:
        return preprocess.fit(read_frame(manifest, row, index))

    return _inputs(preprocess, fitted, np.asarray(indices, dtype=np.int64))


def _inputs(preprocess: Preprocess, fitted: Callable[[int], Image], indices_N: Indices) -> Floats:
    """Network input of frames; one that is asked for twice is fitted once."""
    earlier = [np.maximum(indices_N - lag, 0) for lag in preprocess.lags]
    once = {i: fitted(i) for i in dict.fromkeys(np.concatenate([indices_N, *earlier]).tolist())}

    def stacked(indices: Indices) -> Image:
        return np.stack([once[i] for i in indices.tolist()])

    return preprocess.normalise(stacked(indices_N), [stacked(indices) for indices in earlier])


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
        own = _label_at(row, last, recipe.window, label=label, normal=normal)
        if own is not None:
            indices = tuple(sampling.window_ending_at(last, recipe.window))
            found.append(WindowRef(position, indices, own, bag if pooled else bag + len(found)))
    return found


def _label_at(row: ManifestRow, last: int, length: int, *, label: int, normal: int) -> int | None:
    """Class of the `length` frames that end with frame `last`; None where it is neither event nor normal."""
    if label == normal or row.event is None:
        return label
    shows = sampling.shows_event(row.event, last=last, length=length, rate_hz=row.rate_hz)
    return None if shows is None else label if shows else normal


def validation_windows(row: ManifestRow, recipe: Recipe) -> list[list[int]]:
    """The windows a clip is judged by."""
    if recipe.sampling == "even":
        return [sampling.evenly(row.n_frames, recipe.window).tolist()]
    ends = sampling.window_ends(row.n_frames, warm_up=recipe.warm_up, stride=recipe.stride)
    return [sampling.window_ending_at(last, recipe.window).tolist() for last in ends]


class CustomData(Dataset[tuple[Tensor, int]]):
    """Windows of pictures with their class: float32 (T, depth, H, W) and a class index.

    With `memory_bytes`, frames that were read stay in memory up to so many bytes.

    Raises:
        TrainError: there is no clip to train on.
    """

    def __init__(
        self, manifest: Manifest, rows: Sequence[ManifestRow], recipe: Recipe, *, memory_bytes: int = 0
    ) -> None:
        if not rows:
            raise TrainError(f"{manifest.root}: this side of the split has no clips; prepare it again")
        self.manifest, self.rows, self.recipe = manifest, tuple(rows), recipe
        self.windows = find_windows(manifest, self.rows, recipe)
        self.preprocess = recipe.preprocess
        self.memory = FrameMemory(memory_bytes)

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.load(index, seed=None), self.windows[index].label

    def load(self, index: int, *, seed: int | None) -> Tensor:
        """One window, float32 (T, depth, H, W); augmented when a seed is given, by that seed alone."""
        window = self.windows[index]
        row, indices = self.rows[window.row], np.asarray(window.indices, dtype=np.int64)
        if seed is None or self.recipe.sampling == "even":
            return self.load_frames(row, window.indices, seed=seed)
        rng = np.random.default_rng(seed)
        # The frames that the window looks back at are seen at the same rate.
        earlier = np.maximum(np.arange(-self.preprocess.history, 0) + indices[-1] - len(indices) + 1, 0)
        times = augment.jitter_times(np.concatenate([earlier, indices]), row.n_frames, rng)
        run = self._augmented(row, times, rng)
        return torch.from_numpy(self.preprocess.compose(run, before=len(earlier)))

    def load_frames(self, row: ManifestRow, indices: Sequence[int], *, seed: int | None) -> Tensor:
        """Frames of a clip, float32 (N, depth, H, W); with a seed all are seen in the same augmented view."""
        chosen = np.asarray(indices, dtype=np.int64)
        if seed is None:
            return torch.from_numpy(_inputs(self.preprocess, lambda i: self._fitted(row, i), chosen))
        needed = np.unique([np.maximum(chosen - lag, 0) for lag in (0, *self.preprocess.lags)])
        seen = self._augmented(row, needed, np.random.default_rng(seed))
        place = {index: i for i, index in enumerate(needed.tolist())}
        return torch.from_numpy(_inputs(self.preprocess, lambda i: seen[place[i]], chosen))

    def load_run(self, position: int, *, seed: int) -> Run:
        """A run of the clip at `position` among the rows, with the windows in it whose class is known."""
        row, recipe, preprocess = self.rows[position], self.recipe, self.preprocess
        rng = np.random.default_rng(seed)
        times = film.draw_times(
            row.n_frames,
            span=recipe.span if self._timed(row) else 2 * recipe.span,
            history=preprocess.history,
            rng=rng,
            onset=film.onset_frame(row.event, row.rate_hz),
            jitter=recipe.augment,
        )
        shown = np.concatenate([times.past[len(times.past) - preprocess.history :], times.shown])
        shown = times.shown if times.fresh else shown
        if recipe.augment:
            once, back = np.unique(shown, return_inverse=True)
            pictures = np.stack([self._read(row, i) for i in once.tolist()])[back]
            run, geometry = film.film(pictures, preprocess, rng, focus=self._focus(row, times.shown, rng))
        else:
            run = np.stack([self._fitted(row, i) for i in shown.tolist()])
            geometry = Geometry.fitted(preprocess, height=row.height_px, width=row.width_px)
        frames = preprocess.compose(run, before=len(shown) - len(times.shown))
        places = self._places(row, times.shown, geometry)
        return Run(torch.from_numpy(frames), *self._windows_in(position, times), *places)

    def _focus(
        self, row: ManifestRow, frames_N: Indices, rng: np.random.Generator
    ) -> tuple[float, float] | None:
        """Where the victim is, or anybody, at some moment of a run: shares of the picture, x and y."""
        known = boxes_of(row) if self.recipe.pool == "cells" else None
        if known is None:
            return None
        frame = int(frames_N[rng.integers(len(frames_N))])
        boxes = known.boxes_TP4[frame] if known.victim is None else known.boxes_TP4[frame, [known.victim]]
        boxes = boxes[np.isfinite(boxes).all(axis=1)]
        if not len(boxes):
            return None
        left, top, right, bottom = boxes[rng.integers(len(boxes))].tolist()
        return (left + right) / 2, (top + bottom) / 2

    def _places(self, row: ManifestRow, frames_N: Indices, geometry: Geometry) -> list[Tensor]:
        """What each cell of the map shows, as in `Places`; (N, 0, 0) where nobody asks."""
        recipe = self.recipe
        if recipe.pool != "cells":
            return [torch.empty((len(frames_N), *[0] * n)) for n in (2, 2, 3)]
        places = places_of(
            row, frames_N, geometry,
            grid=grid_of(recipe.height_px, recipe.width_px),
            cell_px=CELL_PX,
            label=self.manifest.class_index(row),
            normal=behaviors_.normal_index(self.manifest.behaviors),
            nothing=len(self.manifest.behaviors),
        )  # fmt: skip
        return [torch.from_numpy(part) for part in places]

    def _timed(self, row: ManifestRow) -> bool:
        """Whether each window's own class is known."""
        normal = behaviors_.normal_index(self.manifest.behaviors)
        return row.event is not None or self.manifest.class_index(row) == normal

    def _windows_in(self, position: int, times: film.Times) -> tuple[Tensor, Tensor, Tensor]:
        """Windows of a run: places (W, T), classes (W,), bags (W,)."""
        row, recipe = self.rows[position], self.recipe
        label, normal = self.manifest.class_index(row), behaviors_.normal_index(self.manifest.behaviors)
        last_place = len(times.shown) - 1
        # Read cell by cell, a run is remembered from its first frame, as a stream that has just come up is.
        early = times.fresh or recipe.pool == "cells"
        first_end = min(last_place, (recipe.warm_up if early else recipe.window) - 1)
        places, labels = [], []
        for end in range(last_place, first_end - 1, -recipe.run_stride):
            window = sampling.window_ending_at(end, recipe.window)
            first, last = (int(times.shown[place]) for place in (window[0], end))
            own = _label_at(row, last, last - first + 1, label=label, normal=normal)
            if own is not None:
                places.append(window)
                labels.append(own)
        bags = torch.arange(len(labels)) if self._timed(row) else torch.zeros(len(labels), dtype=torch.int64)
        places_WT = torch.from_numpy(np.array(places, dtype=np.int64).reshape(-1, recipe.window))
        return places_WT, torch.tensor(labels, dtype=torch.int64), bags

    def _augmented(self, row: ManifestRow, indices: Indices, rng: np.random.Generator) -> Image:
        """Fitted pictures in one drawn view and light, uint8 (N, H, W, channels)."""
        view = augment.draw_view(rng)
        once = {i: self.preprocess.fit(view(self._read(row, i))) for i in dict.fromkeys(indices.tolist())}
        seen = augment.photometric([once[i] for i in indices.tolist()], rng)
        return np.ascontiguousarray(seen.permute(0, 2, 3, 1).numpy())

    def _read(self, row: ManifestRow, index: int) -> Image:
        """A prepared frame with the colours that count, uint8 (H, W, channels)."""
        return self.memory.get(
            (row.clip_id, index, False),
            lambda: self.preprocess.colours(read_frame(self.manifest, row, index)),
        )

    def _fitted(self, row: ManifestRow, index: int) -> Image:
        return self.memory.get(
            (row.clip_id, index, True), lambda: self.preprocess.fit(read_frame(self.manifest, row, index))
        )
