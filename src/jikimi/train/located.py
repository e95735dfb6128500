"""An encoder that answers with a map, and what it is asked while it learns: who is where, what happens where.

A worker is a few hundredths of the picture. Told only that something happened somewhere in 16 frames, a small
network from random weights learned nothing in the time in which, told where, it learned (docs/decisions.md).
"""

from difflib import get_close_matches

import timm
import torch
from torch import Tensor, nn
from torch.nn import functional

from jikimi.errors import TrainError

COMPACT = "compact"

# Pixels of the picture a side of one cell of `Compact`'s map: a worker covers one to a few of them.
CELL_PX = 16

# Joints that the simulator's truth gives of each person.
N_JOINTS = 13


def grid_of(height_px: int, width_px: int) -> tuple[int, int]:
    """Rows and columns of the map of a picture."""
    return -(-height_px // CELL_PX), -(-width_px // CELL_PX)


class Compact(nn.Module):
    """A small residual encoder: pictures (N, depth, H, W) → a map (N, 96, H/16, W/16).

    Plain convolutions learn faster from random weights than depthwise ones, and a map of every 16th pixel
    keeps people apart where one of every 32nd does not.
    """

    WIDTHS = (16, 32, 64, 96)

    def __init__(self, depth: int) -> None:
        super().__init__()
        stem, *widths = self.WIDTHS
        before = (stem, *widths[:-1])
        self.stem = _convolution(depth, stem, stride=2)
        self.blocks = nn.Sequential(*(_Residual(a, b) for a, b in zip(before, widths, strict=True)))
        self.num_features = widths[-1]

    def forward(self, pictures_NCHW: Tensor) -> Tensor:
        """Pictures, float (N, depth, H, W) → a map, float (N, 96, H/16, W/16)."""
        found: Tensor = self.blocks(functional.relu(self.stem(pictures_NCHW)))
        return found


class _Residual(nn.Module):
    """Two convolutions beside a short cut, half the size (He et al., 2016)."""

    def __init__(self, width_in: int, width_out: int) -> None:
        super().__init__()
        self.first = _convolution(width_in, width_out, stride=2)
        self.second = _convolution(width_out, width_out, stride=1)
        self.short = _convolution(width_in, width_out, stride=2, kernel=1)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.second(functional.relu(self.first(x))) + self.short(x))


def _convolution(width_in: int, width_out: int, *, stride: int, kernel: int = 3) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(width_in, width_out, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(width_out)
    )


class Guide(nn.Module):
    """What an encoder's map is asked while it learns, and never again: who is where, in which posture.

    Map (N, W, h, w) → logits of what each cell shows (N, C + 1, h, w), its last class nothing, and where the
    joints of whom it shows are (N, 2 J, h, w), in cells from its middle.
    """

    def __init__(self, width: int, *, n_classes: int) -> None:
        super().__init__()
        self.cells = nn.Conv2d(width, n_classes + 1, 1)
        self.joints = nn.Conv2d(width, 2 * N_JOINTS, 1)

    def forward(self, map_NWHW: Tensor) -> tuple[Tensor, Tensor]:
        """Map, float (N, W, h, w) → logits (N, C + 1, h, w), joints (N, 2 J, h, w)."""
        return self.cells(map_NWHW), self.joints(map_NWHW)


def check_backbone(backbone: str) -> None:
    """Raises TrainError where neither timm nor Jikimi knows an encoder of that name."""
    if backbone != COMPACT and not timm.is_model(backbone):
        near = get_close_matches(backbone, timm.list_models())
        hint = f"; did you mean one of {', '.join(near)}?" if near else ""
        raise TrainError(f"--backbone {backbone!r} is no timm encoder{hint}")


def create_map(backbone: str, *, depth: int) -> nn.Module:
    """An encoder that answers with a map, float (N, W, h, w), randomly initialised.

    Raises:
        TrainError: nobody knows it, or it has none.
    """
    check_backbone(backbone)
    if backbone == COMPACT:
        return Compact(depth)
    try:
        encoder: nn.Module = timm.create_model(
            backbone, pretrained=False, num_classes=0, in_chans=depth, global_pool=""
        )
    except (TypeError, AssertionError, ValueError, RuntimeError) as error:
        raise TrainError(f"--backbone {backbone!r} gives no map; give {COMPACT!r} or another") from error
    return encoder


def place_loss(logits_NCHW: Tensor, cells_NHW: Tensor, *, normal: int) -> Tensor:
    """Cross-entropy of the cells; -1 where nothing is known. Rare cells weigh more than empty ones.

    Raises:
        TrainError: the encoder's map has other cells than the truth.
    """
    if logits_NCHW.shape[-2:] != cells_NHW.shape[-2:]:
        raise TrainError(
            f"the encoder sees {tuple(logits_NCHW.shape[-2:])} cells, not {tuple(cells_NHW.shape[-2:])}; "
            f"places need one every {CELL_PX} px: --backbone {COMPACT}"
        )
    weights = torch.full((logits_NCHW.shape[1],), ACCIDENT_WEIGHT, device=logits_NCHW.device)
    weights[normal], weights[-1] = PERSON_WEIGHT, NOTHING_WEIGHT
    known = cells_NHW >= 0
    if not known.any():
        return logits_NCHW.sum() * 0
    logits = logits_NCHW.permute(0, 2, 3, 1)[known]
    return functional.cross_entropy(logits.float(), cells_NHW[known], weight=weights)


# Some 19 of 20 cells are empty, and of people one in ten is having an accident.
NOTHING_WEIGHT, PERSON_WEIGHT, ACCIDENT_WEIGHT = 0.15, 1.0, 3.0


def joint_loss(found_NJHW: Tensor, joints_NJHW: Tensor) -> Tensor:
    """Smooth L1 of joints in cells; NaN where nobody is, or a joint is not known."""
    known = torch.isfinite(joints_NJHW)
    if not known.any():
        return found_NJHW.sum() * 0
    return functional.smooth_l1_loss(found_NJHW[known].float(), joints_NJHW[known])
