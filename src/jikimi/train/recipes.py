"""Recipes: functions that return everything a training run is made of, as one frozen value."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from jikimi.errors import TrainError
from jikimi.preprocess import Inputs, Preprocess

Sampling = Literal["even", "timed"]
"""`even`: 16 frames evenly over the clip, as the origin does. `timed`: windows of 16 frames at 8 Hz."""

Part = Literal["head", "last", "all"]
"""What a stage trains: all but the encoder (on cached features), with its last stage too, or everything."""

Pool = Literal["avg", "max", "catavgmax", "cells"]
"""How the encoder's map is read: averaged, its maximum, both side by side, or cell by cell (`cells`)."""

# Frames back that change is measured over, at 8 Hz: a step, and half a second.
LAGS = (1, 4)

Head = Literal["lstm", "mean", "last"]
"""What reads a window: the LSTM; or, to compare with, its mean or its last frame and no LSTM."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One stretch of training: what it trains, for how many epochs, at which learning rate."""

    part: Part
    epochs: int
    lr: float

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise TrainError(f"stage {self.part!r}: {self.epochs} epochs; give at least 1")
        if not self.lr > 0:
            raise TrainError(f"stage {self.part!r}: learning rate {self.lr} must be above 0")


@dataclass(frozen=True, slots=True)
class Recipe:
    """A training run. `weights` is `imagenet`, `none` or the path of a file; sizes in pixels.

    `settle` gives a random encoder BatchNorm statistics of the training pictures before anything is trained:
    with the ones it is made with, its layers answer at scales that a head cannot read.

    `span` above 0 trains stages on pictures by runs: so many consecutive frames of a clip are encoded once,
    and every window among them, `run_stride` frames apart, learns its own label. `batch_size` counts runs.
    `ema` is the decay of the averaged weights that are judged and kept; 0 keeps the last ones.
    With `pool` `cells`, `feature_dim` is that of one cell.
    `clip_norm` bounds the norm of a step's gradient; 0 does not. Where simulated clips are in the mix, real
    ones are drawn `real_repeats` times as often.
    """

    name: str
    backbone: str
    weights: str
    stages: tuple[Stage, ...]
    sampling: Sampling
    height_px: int
    width_px: int
    window: int = 16
    warm_up: int = 8
    stride: int = 4
    batch_size: int = 8
    views: int = 1
    optimizer: Literal["adam", "adamw"] = "adam"
    weight_decay: float = 0.0
    schedule: Literal["constant", "cosine", "one-cycle"] = "constant"
    warm_up_epochs: int = 0
    label_smoothing: float = 0.0
    dropout: float = 0.0
    mixup: float = 0.0
    augment: bool = False
    balance: Literal["none", "sampler", "loss"] = "none"
    draws_per_clip: int = 1
    max_bag: int = 4
    patience: int | None = None
    settle: bool = False
    seed: int = 42
    inputs: Inputs = "rgb"
    lags: tuple[int, ...] = ()
    pool: Pool = "avg"
    head: Head = "lstm"
    feature_dim: int = 300
    hidden_dim: int = 256
    lstm_layers: int = 3
    fc_dim: int = 128
    span: int = 0
    run_stride: int = 1
    ema: float = 0.0
    clip_norm: float = 0.0
    real_repeats: int = 1

    def __post_init__(self) -> None:
        counts = {
            "window": self.window,
            "warm_up": self.warm_up,
            "stride": self.stride,
            "batch_size": self.batch_size,
            "views": self.views,
            "draws_per_clip": self.draws_per_clip,
            "max_bag": self.max_bag,
            "feature_dim": self.feature_dim,
            "hidden_dim": self.hidden_dim,
            "lstm_layers": self.lstm_layers,
            "fc_dim": self.fc_dim,
            "run_stride": self.run_stride,
            "real_repeats": self.real_repeats,
        }
        for name, value in counts.items():
            if value < 1:
                raise TrainError(f"recipe {self.name!r}: {name} is {value}; give at least 1")
        if self.warm_up > self.window:
            raise TrainError(f"recipe {self.name!r}: warm_up is longer than the window")
        self._check_runs()
        try:
            _ = self.preprocess
        except ValueError as error:
            raise TrainError(f"recipe {self.name!r}: {error}") from error
        if not self.stages:
            raise TrainError(f"recipe {self.name!r}: no stage to train")
        if self.views > 1 and any(stage.part != "head" for stage in self.stages):
            raise TrainError("views multiply cached features; they need a recipe that trains the head alone")

    def _check_runs(self) -> None:
        if not 0 <= self.ema < 1:
            raise TrainError(f"recipe {self.name!r}: ema {self.ema} must be from 0 to below 1")
        if self.clip_norm < 0:
            raise TrainError(f"recipe {self.name!r}: clip_norm {self.clip_norm} must be 0 or more")
        if not self.span:
            return
        if self.span < self.window:
            raise TrainError(f"recipe {self.name!r}: a span of {self.span} frames holds no whole window")
        if self.sampling == "even" or self.mixup:
            raise TrainError(f"recipe {self.name!r}: runs need timed sampling, and mixup none of them")

    @property
    def preprocess(self) -> Preprocess:
        """How pictures are fed to the encoder."""
        return Preprocess(self.height_px, self.width_px, inputs=self.inputs, lags=self.lags)

    @property
    def epochs(self) -> int:
        """Epochs of all stages together."""
        return sum(stage.epochs for stage in self.stages)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON and checkpoints."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Recipe":
        """Inverse of `as_dict`. Raises TypeError for a field this version does not know."""
        stages = tuple(Stage(**stage) for stage in values["stages"])
        return cls(**{**values, "stages": stages, "lags": tuple(values.get("lags", ()))})


def baseline(*, weights: str = "imagenet", backbone: str = "resnet101") -> Recipe:
    """The origin's settings: ResNet-101 frozen, 16 frames over the clip, 224 px, 50 epochs of Adam at 1e-4.

    The origin never trains its encoder either (its frames pass under `no_grad`), so that the features can be
    computed once and the 50 epochs run on them.
    """
    return Recipe(
        name="baseline",
        backbone=backbone,
        weights=weights,
        stages=(Stage("head", 50, 1e-4),),
        sampling="even",
        height_px=224,
        width_px=224,
    )


def edge(*, weights: str = "imagenet", backbone: str | None = None) -> Recipe:
    """A light encoder on time-based windows around the event, made for watching on a CPU.

    With pretrained weights: colours; head on the cache, then the last stage, then all. Without: brightness
    and its change, all at once from the beginning, since a random encoder says nothing that can be read; and
    where clips carry the places of people, as simulated ones do, these are learned too.
    """
    recipe = Recipe(
        name="edge",
        backbone=backbone or "mobilenetv4_conv_small",
        weights=weights,
        stages=(Stage("head", 10, 1e-3), Stage("last", 10, 3e-4), Stage("all", 20, 1e-4)),
        sampling="timed",
        height_px=160,
        width_px=288,
        batch_size=8,
        optimizer="adamw",
        weight_decay=0.02,
        schedule="cosine",
        warm_up_epochs=3,
        label_smoothing=0.1,
        dropout=0.2,
        augment=True,
        balance="sampler",
        draws_per_clip=2,
    )
    if weights != "none":
        return recipe
    return replace(
        recipe,
        backbone=backbone or "compact",
        stages=(Stage("all", 16, 3e-3),),
        height_px=128,
        width_px=176,
        inputs="motion",
        lags=LAGS,
        pool="cells",
        batch_size=12,
        label_smoothing=0.05,
        dropout=0.1,
        clip_norm=5.0,
        feature_dim=48,
        hidden_dim=64,
        lstm_layers=1,
        fc_dim=64,
        span=20,
        run_stride=2,
        schedule="one-cycle",
        warm_up_epochs=1,
        draws_per_clip=1,
        ema=0.995,
        real_repeats=8,
    )


RECIPES: dict[str, Callable[..., Recipe]] = {"baseline": baseline, "edge": edge}


def with_epochs(recipe: Recipe, epochs: int) -> Recipe:
    """Spread `epochs` over the stages in their proportions, at least one each.

    Raises:
        TrainError: fewer epochs than stages.
    """
    if epochs < len(recipe.stages):
        raise TrainError(
            f"recipe {recipe.name!r} has {len(recipe.stages)} stages; give at least as many epochs"
        )
    total = recipe.epochs
    shares = [max(1, epochs * stage.epochs // total) for stage in recipe.stages]
    shares[-1] += epochs - sum(shares)
    if shares[-1] < 1:
        shares = [1] * (len(shares) - 1) + [epochs - len(shares) + 1]
    stages = tuple(replace(stage, epochs=share) for stage, share in zip(recipe.stages, shares, strict=True))
    return replace(recipe, stages=stages)


def with_lr(recipe: Recipe, lr: float) -> Recipe:
    """Set the first stage's learning rate and scale the later ones with it."""
    factor = lr / recipe.stages[0].lr
    return replace(recipe, stages=tuple(replace(s, lr=s.lr * factor) for s in recipe.stages))


def with_options(
    recipe: Recipe, *, epochs: int | None = None, lr: float | None = None, **changes: Any
) -> Recipe:
    """Apply what the user chose; None keeps the recipe's own.

    Raises:
        TrainError: a value that no recipe can have.
    """
    wanted = {key: value for key, value in changes.items() if value is not None}
    if "inputs" in wanted:  # colours have no lags, change has
        wanted.setdefault("lags", () if wanted["inputs"] == "rgb" else recipe.lags or LAGS)
    recipe = replace(recipe, **wanted)
    if recipe.pool == "cells" and recipe.backbone != "compact":
        recipe = replace(recipe, pool="catavgmax")  # places need a map of its cells
    if lr is not None:
        recipe = with_lr(recipe, lr)
    return recipe if epochs is None else with_epochs(recipe, epochs)
