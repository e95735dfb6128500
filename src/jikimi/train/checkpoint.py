"""`best.pth` and `last.pth`: writing, reading, and scoring with them."""

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from jikimi.behaviors import Behavior, normal_index
from jikimi.bundle import Card, default_rule
from jikimi.errors import TrainError
from jikimi.frame import Floats
from jikimi.train.cells import CellLSTM
from jikimi.train.located import grid_of
from jikimi.train.model import CNNLSTM, Model, to_device
from jikimi.train.recipes import Recipe
from jikimi.train.weights import DAMAGE, first_line, load_torch

BEST, LAST = "best.pth", "last.pth"
FORMAT = 1
META = "jikimi"
ENCODER_PREFIX, AVERAGE = "encoder.", "average."


@dataclass(frozen=True, slots=True)
class Origin:
    """What a checkpoint says of itself beside its weights: enough to run it and to trace it."""

    recipe: Recipe
    behaviors: tuple[Behavior, ...]
    rate_hz: float
    short_side_px: int
    training: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """Plain values that `torch.load(weights_only=True)` reads back."""
        return {
            "format": FORMAT,
            "recipe": self.recipe.as_dict(),
            "behaviors": [asdict(behavior) for behavior in self.behaviors],
            "rate_hz": self.rate_hz,
            "short_side_px": self.short_side_px,
            "training": self.training,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Origin":
        """Inverse of `as_dict`. Raises KeyError or TypeError for what this version does not know."""
        return cls(
            recipe=Recipe.from_dict(values["recipe"]),
            behaviors=tuple(Behavior(**row) for row in values["behaviors"]),
            rate_hz=float(values["rate_hz"]),
            short_side_px=int(values["short_side_px"]),
            training=dict(values["training"]),
        )

    def build(self) -> Model:
        """The model this checkpoint is of, with weights yet to be loaded."""
        recipe = self.recipe
        if recipe.pool == "cells":
            return CellLSTM(
                recipe.backbone,
                n_classes=len(self.behaviors),
                normal=normal_index(self.behaviors),
                grid=grid_of(recipe.height_px, recipe.width_px),
                depth=recipe.preprocess.depth,
                dropout=recipe.dropout,
                head=recipe.head,
                cell_dim=recipe.feature_dim,
                hidden_dim=recipe.hidden_dim,
                lstm_layers=recipe.lstm_layers,
                fc_dim=recipe.fc_dim,
            )
        return CNNLSTM(
            recipe.backbone,
            n_classes=len(self.behaviors),
            dropout=recipe.dropout,
            depth=recipe.preprocess.depth,
            pool=recipe.pool,
            head=recipe.head,
            feature_dim=recipe.feature_dim,
            hidden_dim=recipe.hidden_dim,
            lstm_layers=recipe.lstm_layers,
            fc_dim=recipe.fc_dim,
        )

    def _feature_dim(self) -> int:
        recipe = self.recipe
        rows, columns = grid_of(recipe.height_px, recipe.width_px) if recipe.pool == "cells" else (1, 1)
        return recipe.feature_dim * rows * columns

    def card(self, *, name: str, metrics: dict[str, Any]) -> Card:
        """The card of an uncalibrated model."""
        recipe = self.recipe
        return Card(
            name=name,
            behaviors=self.behaviors,
            preprocess=recipe.preprocess,
            short_side_px=self.short_side_px,
            rate_hz=self.rate_hz,
            window=recipe.window,
            warm_up=recipe.warm_up,
            sampling=recipe.sampling,
            feature_dim=self._feature_dim(),
            temperature=1.0,
            rule=default_rule(self.behaviors),
            training=_portable(self.training),
            metrics=metrics,
        )


def _portable(training: Mapping[str, Any]) -> dict[str, Any]:
    """What a model was trained on, without where that lies on this machine."""
    found = dict(training)
    if "data" in found:
        found["data"] = Path(found["data"]).name
    if "start" in found:
        found["start"] = _portable(found["start"])
    return found


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A read checkpoint: its origin, its model in eval mode, and the validation figures it was kept for."""

    path: Path
    origin: Origin
    model: Model
    metrics: dict[str, Any]


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a temporary file beside `path`, then rename it.

    Raises:
        TrainError: the disk is full or the folder cannot be written; the file that was there is intact.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write(temporary)
        temporary.replace(path)
    except (OSError, RuntimeError) as error:  # torch.save raises RuntimeError when the disk is full
        raise TrainError(f"{path}: cannot be written ({error}); what was there is intact") from error
    finally:
        temporary.unlink(missing_ok=True)


def save_best(path: Path, origin: Origin, model: Model, metrics: dict[str, Any]) -> None:
    """Write a checkpoint that is complete in itself."""
    document = {META: {**origin.as_dict(), "metrics": metrics}, "model": model.state_dict()}
    write_atomically(path, lambda temporary: torch.save(document, temporary))


def read_document(path: Path) -> dict[str, Any]:
    """Read a `.pth` file of Jikimi, checked for what it is.

    Raises:
        TrainError: it cannot be read, is damaged, or is no checkpoint of Jikimi.
    """
    try:
        document = load_torch(path)
    except OSError as error:
        raise TrainError(f"checkpoint {path}: {error.strerror or error}") from error
    except DAMAGE as error:
        raise TrainError(f"checkpoint {path}: damaged, or no checkpoint ({first_line(error)})") from error
    meta = document.get(META) if isinstance(document, dict) else None
    if not isinstance(meta, dict):
        raise TrainError(f"checkpoint {path}: not made by Jikimi; train with jikimi train")
    if meta.get("format") != FORMAT:
        raise TrainError(f"checkpoint {path}: format {meta.get('format')}, this Jikimi reads {FORMAT}")
    return dict(document)


def load_checkpoint(path: Path) -> Checkpoint:
    """Read `best.pth`, or `last.pth` beside it.

    Raises:
        TrainError: the file is damaged, foreign, or its weights do not fit what it says of itself.
    """
    document = read_document(path)
    try:
        origin = Origin.from_dict(document[META])
        model = origin.build()
        model.load_state_dict(_weights(document, path))
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise TrainError(f"checkpoint {path}: does not fit this version ({first_line(error)})") from error
    return Checkpoint(path, origin, model.eval(), dict(document[META].get("metrics", {})))


def _weights(document: dict[str, Any], path: Path) -> dict[str, torch.Tensor]:
    if "model" in document:
        return dict(document["model"])
    state = document["state_dict"]
    # The average is what was judged, where the run kept one.
    kept = AVERAGE if any(key.startswith(AVERAGE) for key in state) else "model."
    weights = {key.removeprefix(kept): value for key, value in state.items() if key.startswith(kept)}
    if not any(key.startswith(ENCODER_PREFIX) for key in weights):
        # last.pth leaves out an encoder that was frozen: best.pth beside it has the same.
        best = read_document(path.with_name(BEST))["model"]
        weights |= {key: value for key, value in best.items() if key.startswith(ENCODER_PREFIX)}
    return weights


class TorchScorer:
    """Scores with a checkpoint through torch; the counterpart of a bundle."""

    def __init__(self, checkpoint: Checkpoint, *, device: str = "cpu") -> None:
        self.device = torch.device(device)
        self.model = checkpoint.model.eval()
        to_device(self.model, self.device)
        self.card = checkpoint.origin.card(name=checkpoint.path.stem, metrics=checkpoint.metrics)

    def encode(self, pictures_NCHW: Floats) -> Floats:
        """Preprocessed pictures, float32 (N, depth, H, W) → features, float32 (N, D)."""
        pictures = torch.from_numpy(pictures_NCHW).to(self.device)
        with torch.inference_mode():
            features: Floats = self.model.encode(pictures).cpu().numpy()
        return features

    def classify(self, windows_NTD: Floats) -> Floats:
        """Windows of features, float32 (N, T, D) → uncalibrated logits, float32 (N, C)."""
        with torch.inference_mode():
            logits: Floats = self.model.classify(torch.from_numpy(windows_NTD).to(self.device)).cpu().numpy()
        return logits
