"""The CNN-LSTM: an encoder a frame, a projection, an LSTM over the window, the last output classified.

Two simpler heads stand beside the LSTM, to compare it with: the mean of the window, and its last frame alone.
"""

from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import timm
import torch
from torch import Tensor, nn
from torch.nn import functional

from jikimi.errors import TrainError
from jikimi.preprocess import Preprocess
from jikimi.train.located import COMPACT, Compact, check_backbone
from jikimi.train.recipes import Head, Part, Pool

# Sizes of the origin (pranoyr/cnn-lstm): projection 300, LSTM 256 in three layers, then 128.
FEATURE_DIM, HIDDEN_DIM, LSTM_LAYERS, FC_DIM = 300, 256, 3, 128

# Side of the picture that an encoder is tried on where its pooling changes the size of its answer.
_TRY_PX = 64

# Pictures through the encoder at once: bounds memory when a whole clip is encoded.
CHUNK = 64


class Model(nn.Module):
    """Windows of pictures (B, T, depth, H, W) → logits (B, C): an encoder, and what reads its features.

    All B·T pictures pass through the encoder in one batch. A frozen encoder is in eval mode, BatchNorm's
    running statistics included, whatever `train()` is told: under `no_grad` they would drift otherwise.
    """

    norm: nn.Module
    backbone_dim: int
    feature_dim: int
    # Rows and columns of the encoder's map; empty where it answers with a vector.
    grid: tuple[int, ...] = ()

    def __init__(self, encoder: nn.Module, *, depth: int) -> None:
        super().__init__()
        self.encoder, self.depth = encoder, depth
        self.trained_part: Part = "all"

    def project_features(self, outputs: Tensor) -> Tensor:
        """Encoder outputs → features, float (…, D)."""
        raise NotImplementedError

    def classify(self, features_BTD: Tensor) -> Tensor:
        """Windows of features, float (B, T, D) → logits, float (B, C)."""
        raise NotImplementedError

    def train_part(self, part: Part) -> None:
        """Choose what is trained; the rest of the encoder is frozen."""
        self.trained_part = part
        self.encoder.requires_grad_(part == "all")
        if part == "last":
            for module in last_stage(self.encoder):
                module.requires_grad_(True)
        self.train(self.training)

    def train(self, mode: bool = True) -> "Model":
        """As `nn.Module.train`, but what is frozen stays in eval mode."""
        super().train(mode)
        if self.trained_part != "all":
            self.encoder.eval()
            self.norm.eval()
        if self.trained_part == "last" and mode:
            for module in last_stage(self.encoder):
                module.train()
        return self

    def backbone_features(self, pictures_NCHW: Tensor) -> Tensor:
        """Pictures, float (N, depth, H, W) → encoder outputs, float (N, F), or a map."""
        frozen = self.trained_part == "head"
        with torch.no_grad() if frozen else nullcontext():
            features: Tensor = self.encoder(pictures_NCHW)
        return features

    def encode(self, pictures_NCHW: Tensor) -> Tensor:
        """Pictures, float (N, depth, H, W) → features, float (N, D)."""
        return self.project_features(self.backbone_features(pictures_NCHW))

    def forward(self, frames_BTCHW: Tensor) -> Tensor:
        """Windows of pictures, float (B, T, depth, H, W) → logits, float (B, C)."""
        batch, length = frames_BTCHW.shape[:2]
        return self.classify(self.encode(frames_BTCHW.flatten(0, 1)).view(batch, length, -1))


class CNNLSTM(Model):
    """One vector a picture, projected, an LSTM over the window, its last output classified."""

    def __init__(
        self,
        backbone: str,
        *,
        n_classes: int,
        dropout: float = 0.0,
        depth: int = 3,
        pool: Pool = "avg",
        head: Head = "lstm",
        feature_dim: int = FEATURE_DIM,
        hidden_dim: int = HIDDEN_DIM,
        lstm_layers: int = LSTM_LAYERS,
        fc_dim: int = FC_DIM,
    ) -> None:
        super().__init__(create_encoder(backbone, depth=depth, pool=pool), depth=depth)
        self.head, self.feature_dim = head, feature_dim
        self.backbone_dim = _output_dim(self.encoder, depth, pool)
        # An encoder's outputs lie around 23 ± 3, or 0.04: without this, one step of the projection throws
        # its output anywhere and the LSTM never learns (docs/decisions.md, "feature scale").
        self.norm = nn.BatchNorm1d(self.backbone_dim, affine=False)
        self.project = nn.Linear(self.backbone_dim, feature_dim)
        between = dropout if lstm_layers > 1 else 0.0
        self.lstm = (
            nn.LSTM(feature_dim, hidden_dim, lstm_layers, batch_first=True, dropout=between)
            if head == "lstm"
            else None
        )
        width = hidden_dim if head == "lstm" else feature_dim
        self.fc = nn.Sequential(
            nn.Linear(width, fc_dim), nn.ReLU(), nn.Dropout(dropout), nn.Linear(fc_dim, n_classes)
        )
        init_head(self.lstm, self.fc)
        self.train_part("all")

    def project_features(self, outputs: Tensor) -> Tensor:
        """Encoder outputs, float (…, F) → features, float (…, D)."""
        normal = self.norm(outputs.reshape(-1, self.backbone_dim))
        features: Tensor = self.project(normal).view(*outputs.shape[:-1], self.feature_dim)
        return features

    def classify(self, features_BTD: Tensor) -> Tensor:
        """Windows of features, float (B, T, D) → logits, float (B, C)."""
        logits: Tensor = self.fc(over_time(self.head, self.lstm, features_BTD)[:, -1])
        return logits


class EncoderPart(nn.Module):
    """What becomes `encoder.onnx`: encoder and projection."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model

    def forward(self, pictures_NCHW: Tensor) -> Tensor:
        """Pictures, float (N, depth, H, W) → features, float (N, D)."""
        return self.model.encode(pictures_NCHW)


class HeadPart(nn.Module):
    """What becomes `head.onnx`: LSTM and classifier."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model

    def forward(self, features_BTD: Tensor) -> Tensor:
        """Windows of features, float (B, T, D) → logits, float (B, C)."""
        return self.model.classify(features_BTD)


def over_time(head: Head, lstm: nn.LSTM | None, features_BTD: Tensor) -> Tensor:
    """What the classifier may read after each frame, float (B, T, D) → (B, T, width)."""
    if head == "mean":
        seen = torch.arange(1, features_BTD.shape[1] + 1, device=features_BTD.device)
        return features_BTD.cumsum(dim=1) / seen[:, None]
    if head == "last":
        return features_BTD
    assert lstm is not None
    output: Tensor = lstm(features_BTD)[0]
    return output


def init_head(lstm: nn.LSTM | None, fc: nn.Sequential) -> None:
    """Start the LSTM so that three layers learn from the first step.

    Orthogonal recurrent weights (Saxe et al., 2014), Glorot's input weights, and a forget gate that starts
    open (bias 1: Jozefowicz et al., 2015); He's weights for the classifier.
    """
    for name, parameter in lstm.named_parameters() if lstm is not None else ():
        if "bias" in name:
            nn.init.zeros_(parameter)
            if lstm is not None and "bias_ih" in name:  # gates lie in the order input, forget, cell, output
                nn.init.ones_(parameter.data[lstm.hidden_size : 2 * lstm.hidden_size])
            continue
        for gate in parameter.data.chunk(4):
            if "weight_hh" in name:
                nn.init.orthogonal_(gate)
            else:
                nn.init.xavier_uniform_(gate)
    for layer in fc:
        if isinstance(layer, nn.Linear | nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def to_device(module: nn.Module, device: torch.device) -> nn.Module:
    """Move a module, its convolutions laid out channels-last: 1.3 × faster on a CPU (docs/benchmarks.md)."""
    return module.to(device).to(memory_format=torch.channels_last)


def create_encoder(backbone: str, *, depth: int = 3, pool: Pool = "avg") -> nn.Module:
    """An encoder, one vector a picture with `depth` channels, randomly initialised: timm's, or `compact`.

    A person is a few pixels of the picture, which average pooling drowns: `max` and `catavgmax` do not.

    Raises:
        TrainError: timm knows no such encoder, or it cannot pool so.
    """
    if backbone == COMPACT:
        return nn.Sequential(Compact(depth), _Pool(pool))
    check_backbone(backbone)
    # timm's `fast` pooling is a plain maximum, which ONNX has too.
    options: dict[str, Any] = {} if pool == "avg" else {"global_pool": f"fast{pool}"}
    try:
        encoder: nn.Module = timm.create_model(
            backbone, pretrained=False, num_classes=0, in_chans=depth, **options
        )
    except (TypeError, AssertionError, ValueError, RuntimeError) as error:
        raise TrainError(f"--backbone {backbone!r} cannot pool by {pool!r}; give another") from error
    return encoder


class _Pool(nn.Module):
    """A map, float (N, W, h, w) → its average, maximum or both, (N, W) or (N, 2 W)."""

    def __init__(self, pool: Pool) -> None:
        super().__init__()
        self.pool = pool

    def forward(self, map_NWHW: Tensor) -> Tensor:
        parts = {"avg": [map_NWHW.mean((2, 3))], "max": [map_NWHW.amax((2, 3))]}
        return torch.cat(parts.get(self.pool, [*parts["avg"], *parts["max"]]), dim=1)


def _output_dim(encoder: nn.Module, depth: int, pool: Pool) -> int:
    """Size of the encoder's answer; tried only where unknown: a transformer takes one size of picture."""
    told = getattr(encoder, "head_hidden_size", None) or getattr(encoder, "num_features", None)
    if pool == "avg" and told is not None:
        return int(told)
    was_training = encoder.training
    with torch.no_grad():
        size = int(encoder.eval()(torch.zeros(1, depth, _TRY_PX, _TRY_PX)).shape[-1])
    encoder.train(was_training)
    return size


def check_pictures(model: Model, preprocess: Preprocess) -> None:
    """Try the encoder on one picture of the size it will get.

    Raises:
        TrainError: it cannot take that size, or does not answer with one vector, or map, a picture.
    """
    size = f"{preprocess.height_px}×{preprocess.width_px} px"
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            output = model.encoder(torch.zeros(1, model.depth, preprocess.height_px, preprocess.width_px))
    except (AssertionError, RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[:1] or [type(error).__name__]
        raise TrainError(f"this encoder takes no pictures of {size} ({reason[0]}); give another") from error
    model.train(was_training)
    if tuple(output.shape) != (1, model.backbone_dim, *model.grid):
        kind = "one vector a picture" if not model.grid else f"a map of {model.grid[0]}×{model.grid[1]} cells"
        raise TrainError(f"this encoder answers {tuple(output.shape)}, not {kind}; give another")


def last_stage(encoder: nn.Module) -> Iterator[nn.Module]:
    """The modules of the encoder's last stage and what follows it."""
    children = dict(encoder.named_children())
    stages = [name for name in children if name.startswith(("layer", "s")) and name[-1].isdigit()]
    # MobileNets, EfficientNets and transformers have `blocks`, ConvNeXts `stages`.
    sequence = next((name for name in ("blocks", "stages") if name in children), None)
    if sequence is not None:
        blocks = children[sequence]
        assert isinstance(blocks, nn.Sequential | nn.ModuleList)
        yield blocks[-1]
        later = list(children)[list(children).index(sequence) + 1 :]
    elif stages:  # ResNets, RegNets
        later = list(children)[list(children).index(stages[-1]) :]
    else:
        raise TrainError("this encoder has no stages that can be told apart; use a one-stage recipe")
    for name in later:
        yield children[name]


def pool_windows(logits_WC: Tensor, normal_index: int) -> Tensor:
    """One prediction from the windows of a clip, float (W, C) → (C,): the window least normal speaks.

    An accident clip is normal most of the time, so that an average would drown the accident. The weights are
    a softmax over windows of the accident's log-odds; `metrics.pool_windows` is the same in numpy.
    """
    others = torch.arange(logits_WC.shape[1], device=logits_WC.device) != normal_index
    odds = torch.logsumexp(logits_WC[:, others], dim=1) - logits_WC[:, normal_index]
    return functional.softmax(odds, dim=0) @ logits_WC
