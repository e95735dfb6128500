"""The CNN-LSTM: an encoder a frame, a projection, an LSTM over the window, the last output classified.

Two simpler heads stand beside the LSTM, to compare it with: the mean of the window, and its last frame alone.
"""

from collections.abc import Iterator
from contextlib import nullcontext
from difflib import get_close_matches
from typing import Any

import timm
import torch
from torch import Tensor, nn
from torch.nn import functional

from jikimi.errors import TrainError
from jikimi.preprocess import Preprocess
from jikimi.train.located import COMPACT, Located
from jikimi.train.recipes import Head, Part, Pool

# Sizes of the origin (pranoyr/cnn-lstm): projection 300, LSTM 256 in three layers, then 128.
FEATURE_DIM, HIDDEN_DIM, LSTM_LAYERS, FC_DIM = 300, 256, 3, 128

# Side of the picture that an encoder is tried on where its pooling changes the size of its answer.
_TRY_PX = 64

# Pictures through the encoder at once: bounds memory when a whole clip is encoded.
CHUNK = 64


class CNNLSTM(nn.Module):
    """Windows of pictures (B, T, depth, H, W) → logits (B, C).

    All B·T pictures pass through the encoder in one batch. A frozen encoder is in eval mode, BatchNorm's
    running statistics included, whatever `train()` is told: under `no_grad` they would drift otherwise.
    """

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
        super().__init__()
        self.encoder = create_encoder(backbone, depth=depth, pool=pool, n_classes=n_classes)
        self.depth, self.head, self.feature_dim = depth, head, feature_dim
        self.backbone_dim = _output_dim(self.encoder) if pool == "avg" else _tried_dim(self.encoder, depth)
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
        self.trained_part: Part = "all"
        self.train_part("all")

    def train_part(self, part: Part) -> None:
        """Choose what is trained; the rest of the encoder is frozen."""
        self.trained_part = part
        self.encoder.requires_grad_(part == "all")
        if part == "last":
            for module in last_stage(self.encoder):
                module.requires_grad_(True)
        self.train(self.training)

    def train(self, mode: bool = True) -> "CNNLSTM":
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
        """Pictures, float (N, depth, H, W) → encoder outputs, float (N, F)."""
        frozen = self.trained_part == "head"
        with torch.no_grad() if frozen else nullcontext():
            features: Tensor = self.encoder(pictures_NCHW)
        return features

    def encode(self, pictures_NCHW: Tensor) -> Tensor:
        """Pictures, float (N, depth, H, W) → features, float (N, D)."""
        return self.project_features(self.backbone_features(pictures_NCHW))

    def encode_located(self, pictures_NCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures → features (N, D) and what each cell shows, logits (N, C + 1, h, w): `located` alone."""
        assert isinstance(self.encoder, Located)
        outputs, cells_NCHW = self.encoder.look(pictures_NCHW)
        return self.project_features(outputs), cells_NCHW

    def project_features(self, outputs: Tensor) -> Tensor:
        """Encoder outputs, float (…, F) → features, float (…, D)."""
        normal = self.norm(outputs.reshape(-1, self.backbone_dim))
        features: Tensor = self.project(normal).view(*outputs.shape[:-1], self.feature_dim)
        return features

    def classify(self, features_BTD: Tensor) -> Tensor:
        """Windows of features, float (B, T, D) → logits, float (B, C)."""
        logits: Tensor = self.fc(summarise(self.head, self.lstm, features_BTD))
        return logits

    def forward(self, frames_BTCHW: Tensor) -> Tensor:
        """Windows of pictures, float (B, T, depth, H, W) → logits, float (B, C)."""
        batch, length = frames_BTCHW.shape[:2]
        return self.classify(self.encode(frames_BTCHW.flatten(0, 1)).view(batch, length, -1))


class EncoderPart(nn.Module):
    """What becomes `encoder.onnx`: encoder and projection."""

    def __init__(self, model: CNNLSTM) -> None:
        super().__init__()
        self.encoder, self.norm, self.project = model.encoder, model.norm, model.project

    def forward(self, pictures_NCHW: Tensor) -> Tensor:
        """Pictures, float (N, depth, H, W) → features, float (N, D)."""
        features: Tensor = self.project(self.norm(self.encoder(pictures_NCHW)))
        return features


class HeadPart(nn.Module):
    """What becomes `head.onnx`: LSTM and classifier."""

    def __init__(self, model: CNNLSTM) -> None:
        super().__init__()
        self.head, self.lstm, self.fc = model.head, model.lstm, model.fc

    def forward(self, features_BTD: Tensor) -> Tensor:
        """Windows of features, float (B, T, D) → logits, float (B, C)."""
        logits: Tensor = self.fc(summarise(self.head, self.lstm, features_BTD))
        return logits


def summarise(head: Head, lstm: nn.LSTM | None, features_BTD: Tensor) -> Tensor:
    """What the classifier reads of a window, float (B, T, D) → (B, width)."""
    if head == "mean":
        return features_BTD.mean(dim=1)
    if head == "last":
        return features_BTD[:, -1]
    assert lstm is not None
    output: Tensor = lstm(features_BTD)[0]
    return output[:, -1]


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
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)


def to_device(module: nn.Module, device: torch.device) -> nn.Module:
    """Move a module, its convolutions laid out channels-last: 1.3 × faster on a CPU (docs/benchmarks.md)."""
    return module.to(device).to(memory_format=torch.channels_last)


def create_encoder(backbone: str, *, depth: int = 3, pool: Pool = "avg", n_classes: int = 0) -> nn.Module:
    """A timm encoder of pictures with `depth` channels, without classifier, randomly initialised.

    A person is a few pixels of the picture, which average pooling drowns: `max` and `catavgmax` do not, and
    `located` learns besides what each place shows (`Located`).

    Raises:
        TrainError: timm knows no such encoder, or it cannot pool so.
    """
    if pool == "located" and backbone == COMPACT:
        return Located(backbone, depth=depth, n_classes=n_classes)
    if not timm.is_model(backbone):
        near = get_close_matches(backbone, timm.list_models())
        hint = f"; did you mean one of {', '.join(near)}?" if near else ""
        raise TrainError(f"--backbone {backbone!r} is no timm encoder{hint}")
    if pool == "located":
        return Located(backbone, depth=depth, n_classes=n_classes)
    # timm's `fast` pooling is a plain maximum, which ONNX has too.
    options: dict[str, Any] = {} if pool == "avg" else {"global_pool": f"fast{pool}"}
    try:
        encoder: nn.Module = timm.create_model(
            backbone, pretrained=False, num_classes=0, in_chans=depth, **options
        )
    except (TypeError, AssertionError, ValueError, RuntimeError) as error:
        raise TrainError(f"--backbone {backbone!r} cannot pool by {pool!r}; give another") from error
    return encoder


def _tried_dim(encoder: nn.Module, depth: int) -> int:
    """Size of the encoder's answer, which pooling in two ways doubles for some."""
    was_training = encoder.training
    with torch.no_grad():
        size = int(encoder.eval()(torch.zeros(1, depth, _TRY_PX, _TRY_PX)).shape[-1])
    encoder.train(was_training)
    return size


def _output_dim(encoder: nn.Module) -> int:
    # Asked, not tried: a transformer takes pictures of its own size alone.
    return int(getattr(encoder, "head_hidden_size", None) or encoder.num_features)  # type: ignore[arg-type]


def check_pictures(model: CNNLSTM, preprocess: Preprocess) -> None:
    """Try the encoder on one picture of the size it will get.

    Raises:
        TrainError: it cannot take that size, or does not answer with one vector a picture.
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
    if tuple(output.shape) != (1, model.backbone_dim):
        raise TrainError(
            f"this encoder answers {tuple(output.shape)}, not one vector a picture; give another"
        )


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
