"""The frozen-encoder cache: every frame that a window uses is encoded once, and kept on disk.

    DATA/features/<key>/<clip key>.npz     frames (N,), features (V, N, F)

The key names the encoder, its weights, the preprocessing and the views; the clip's own key names its content
and how it was prepared. Whoever asks for the same again reads it.
"""

import hashlib
import json
import logging
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from jikimi.data.manifest import ManifestRow
from jikimi.errors import TrainError
from jikimi.frame import Floats
from jikimi.train.dataset import CustomData, validation_windows
from jikimi.train.model import CHUNK, Model, to_device
from jikimi.train.recipes import Recipe
from jikimi.train.weights import digest

log = logging.getLogger(__name__)

Progress = Callable[[int, int], None]

# Enough for a mean and a variance a channel, few enough to be nothing beside training.
SETTLE_PICTURES = 64

# Raised when augmentation or encoding changes its meaning: old caches then no longer match.
VERSION = 1

# What reading a torn or changed .npz may say, by where the damage is.
_DAMAGE = (
    OSError, ValueError, LookupError, EOFError, TypeError, AttributeError, MemoryError, OverflowError,
    RuntimeError, SyntaxError, struct.error, zlib.error, zipfile.BadZipFile,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ClipFeatures:
    """Encoder outputs of one clip: `features_VNF` float32 of the frames `positions` says (frame → place)."""

    features_VNF: Floats
    positions: dict[int, int]

    def window(self, indices: Iterable[int], *, view: int) -> Floats:
        """Features of a window's frames, float32 (T, F)."""
        places = [self.positions[index] for index in indices]
        window: Floats = self.features_VNF[view, places]
        return window


@dataclass(frozen=True, slots=True)
class FeatureCache:
    """Where the features of one encoder and one way of seeing lie."""

    folder: Path
    views: int
    seed: int

    @classmethod
    def open(cls, root: Path, encoder: nn.Module, recipe: Recipe) -> "FeatureCache":
        """The cache of this encoder under `root` (a data set)."""
        identity: dict[str, Any] = {
            "version": VERSION,
            "backbone": recipe.backbone,
            "weights": digest(encoder),
            "preprocess": [recipe.height_px, recipe.width_px, *_seeing(recipe)],
            "views": recipe.views,
            "seed": recipe.seed if recipe.views > 1 else None,
        }
        key = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]
        return cls(root / "features" / f"{recipe.backbone}-{key}", recipe.views, recipe.seed)

    def read(self, row: ManifestRow, frames: Iterable[int], *, views: int) -> ClipFeatures | None:
        """Features of a clip, or None where the cache lacks a frame or a view."""
        path = self._path(row)
        try:
            # Opened here: numpy leaves a file open that turns out to be damaged.
            with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                known, features = stored["frames"], stored["features"]
        except FileNotFoundError:
            return None
        except _DAMAGE as error:
            log.warning("feature cache %s is damaged (%s): computed again", path, error)
            return None
        positions = {int(frame): place for place, frame in enumerate(known)}
        if features.ndim != 3 or features.shape[0] < views or features.shape[1] != len(known):
            return None
        if not set(frames) <= positions.keys():
            return None
        return ClipFeatures(features.astype(np.float32), positions)

    def write(self, row: ManifestRow, clip: ClipFeatures) -> None:
        """Store a clip's features as float16, or as float32 where they are too large for it."""
        with np.errstate(over="ignore"):
            half: npt.NDArray[Any] = clip.features_VNF.astype(np.float16)
        features = half if np.isfinite(half).all() else clip.features_VNF
        frames = np.asarray(list(clip.positions), dtype=np.int64)
        path = self._path(row)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                np.savez(file, frames=frames, features=features)
            temporary.replace(path)
        except OSError as error:
            reason = error.strerror or error
            raise TrainError(
                f"feature cache {path}: {reason}; free some room, or let it be written"
            ) from error
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)

    def _path(self, row: ManifestRow) -> Path:
        return self.folder / f"{row.clip_id}-{row.key[:12]}.npz"

    def view_seed(self, row: ManifestRow, view: int) -> int | None:
        """Seed of one view of a clip; view 0 is the plain picture."""
        if view == 0:
            return None
        text = f"{self.seed}\0{row.key}\0{view}".encode()
        return int.from_bytes(hashlib.sha256(text).digest()[:7], "big")


def _seeing(recipe: Recipe) -> list[object]:
    """What else decides an encoder's outputs, where it is not as it always was."""
    motion: list[object] = [] if recipe.inputs == "rgb" else [recipe.inputs, *recipe.lags]
    return motion if recipe.pool == "avg" else [*motion, recipe.pool]


@dataclass(frozen=True, slots=True)
class EncodeJob:
    """The frames of one clip (`position` among its side's rows) that are wanted, in how many views."""

    position: int
    row: ManifestRow
    frames: tuple[int, ...]
    views: int


def training_jobs(data: CustomData) -> list[EncodeJob]:
    """What the training windows need of each clip."""
    wanted: dict[int, set[int]] = {}
    for window in data.windows:
        wanted.setdefault(window.row, set()).update(window.indices)
    views = data.recipe.views
    return [EncodeJob(p, data.rows[p], tuple(sorted(frames)), views) for p, frames in wanted.items()]


def validation_jobs(data: CustomData) -> list[EncodeJob]:
    """What judging each clip needs: the plain view."""
    found = []
    for position, row in enumerate(data.rows):
        frames = {frame for window in validation_windows(row, data.recipe) for frame in window}
        found.append(EncodeJob(position, row, tuple(sorted(frames)), 1))
    return found


def fill(
    cache: FeatureCache,
    model: Model,
    data: CustomData,
    todo: list[EncodeJob],
    *,
    device: torch.device,
    progress: Progress | None = None,
) -> int:
    """Encode what the cache lacks; returns how many pictures that were. Leaves the encoder in eval mode."""
    missing = [job for job in todo if cache.read(job.row, job.frames, views=job.views) is None]
    to_device(model.encoder.eval(), device)
    encoded = 0
    for done, job in enumerate(missing):
        if progress is not None:
            progress(done, len(missing))
        cache.write(job.row, _encode(cache, model, data, job, device=device))
        encoded += job.views * len(job.frames)
    if progress is not None and missing:
        progress(len(missing), len(missing))
    return encoded


def must_read(cache: FeatureCache, job: EncodeJob) -> ClipFeatures:
    """Features of a job that `fill` has done. Raises TrainError when they are gone again."""
    clip = cache.read(job.row, job.frames, views=job.views)
    if clip is None:
        raise TrainError(f"feature cache {cache.folder}: {job.row.clip_id} is gone; start again")
    return clip


def _encode(
    cache: FeatureCache, model: Model, data: CustomData, job: EncodeJob, *, device: torch.device
) -> ClipFeatures:
    views = []
    for view in range(job.views):
        pictures = data.load_frames(job.row, job.frames, seed=cache.view_seed(job.row, view))
        with torch.inference_mode():
            chunks = [
                model.encoder(chunk.to(device=device, memory_format=torch.channels_last)).float().cpu()
                for chunk in torch.split(pictures, CHUNK)
            ]
        views.append(torch.cat(chunks).numpy())
    features = np.stack(views)
    if not np.isfinite(features).all():
        raise TrainError(f"the encoder answers NaN or infinity for {job.row.clip_id}; are its weights right?")
    return ClipFeatures(features, {frame: place for place, frame in enumerate(job.frames)})


def settle(model: Model, data: CustomData, *, device: torch.device) -> None:
    """Give the encoder's BatchNorm layers the statistics of up to 64 training pictures, layer after layer."""
    rows = [data.rows[i] for i in np.linspace(0, len(data.rows) - 1, SETTLE_PICTURES).round().astype(int)]
    # A clip that is taken several times shows other moments each time.
    moments = np.linspace(0, 1, SETTLE_PICTURES) * 7 % 1
    chosen = [(row, int(moment * row.n_frames)) for row, moment in zip(rows, moments, strict=True)]
    pictures = torch.cat([data.load_frames(row, [index], seed=None) for row, index in chosen])
    norms = [module for module in model.encoder.modules() if isinstance(module, nn.BatchNorm2d)]
    to_device(model.encoder, device)
    model.encoder.train()
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0  # take what this batch says, not a tenth of it
    with torch.no_grad():
        model.encoder(pictures.to(device=device, memory_format=torch.channels_last))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    model.encoder.eval()


def fit_norm(model: Model, outputs_NF: Floats) -> None:
    """Give the model's feature normalisation the mean and variance of the training frames, (N, F)."""
    mean = outputs_NF.mean(axis=0, dtype=np.float64)
    std = outputs_NF.std(axis=0, dtype=np.float64)
    # A channel that hardly moves must not be blown up: at least a hundredth of the typical deviation.
    std = np.maximum(std, max(float(std.mean()) / 100, 1e-6))
    for buffer, values in ((model.norm.running_mean, mean), (model.norm.running_var, std**2)):
        assert isinstance(buffer, torch.Tensor)
        buffer.copy_(torch.from_numpy(values).float())
