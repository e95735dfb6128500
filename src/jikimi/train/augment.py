"""Clip-consistent augmentation: what is drawn for a window is the same for all of its frames.

Never vertical flips or time reversal: both turn an accident into something else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
import torch
from PIL import Image as PillowImage
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from jikimi.frame import Image
from jikimi.sampling import Indices

# Shares of windows each change is made to. The camera's own troubles are rarer than changes of view.
FLIP, JITTER, BLUR, DARK, RECOMPRESS, ERASE, DROP, RATE = 0.5, 0.8, 0.15, 0.2, 0.3, 0.25, 0.2, 0.5
MIN_CROP_AREA = 0.5  # an accident at the edge of a tighter crop would be cut away
RATE_RANGE = (0.8, 1.25)  # camera clocks and playback speeds differ by about this much


@dataclass(frozen=True, slots=True)
class View:
    """A drawn spatial view: the kept part as fractions `[top, bottom) × [left, right)`, and a flip."""

    top: float = 0.0
    bottom: float = 1.0
    left: float = 0.0
    right: float = 1.0
    flip: bool = False

    def __call__(self, image_HWC: Image) -> Image:
        """Apply to one picture, uint8 (H, W, 3)."""
        height, width = image_HWC.shape[:2]
        rows = slice(round(self.top * height), max(round(self.bottom * height), 1))
        columns = slice(round(self.left * width), max(round(self.right * width), 1))
        view = image_HWC[rows, columns]
        return np.ascontiguousarray(view[:, ::-1] if self.flip else view)


def draw_view(rng: np.random.Generator) -> View:
    """Draw a crop of the picture's own aspect, and a horizontal flip."""
    side = float(np.sqrt(rng.uniform(MIN_CROP_AREA, 1.0)))
    top, left = rng.uniform(0, 1 - side, size=2)
    return View(top, top + side, left, left + side, flip=bool(rng.random() < FLIP))


def jitter_times(indices_T: Indices, n_frames: int, rng: np.random.Generator) -> Indices:
    """Change the rate a window was seen at and drop frames, int64 (T,) → (T,).

    The last frame stays, since the window ends there; a dropped frame shows its predecessor again, as a
    stalling camera does.
    """
    out = indices_T.copy()
    if rng.random() < RATE:
        factor = rng.uniform(*RATE_RANGE)
        out = np.rint(out[-1] - (out[-1] - out) * factor).astype(np.int64)
    if rng.random() < DROP:
        for position in np.flatnonzero(rng.random(len(out))[:-1] < 0.15).tolist():
            out[position] = out[max(0, position - 1)]
    return np.clip(out, 0, n_frames - 1)


def photometric(pictures: Sequence[Image], rng: np.random.Generator) -> Tensor:
    """Colour, blur, low light, recompression and erasing, T × uint8 (H, W, 3) → uint8 (T, 3, H, W)."""
    frames = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous()
    # torchvision draws from torch's global generator: seeded here, and put back afterwards.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**31)))
        if rng.random() < JITTER:
            frames = v2.ColorJitter(brightness=0.3, contrast=0.3, saturation=0.4, hue=0.05)(frames)
        if rng.random() < BLUR:
            frames = functional.gaussian_blur(
                frames, kernel_size=[5, 5], sigma=[float(rng.uniform(0.5, 2.0))]
            )
        if rng.random() < DARK:
            frames = _darken(frames, rng)
        if rng.random() < RECOMPRESS:
            frames = recompress(frames, quality=int(rng.integers(15, 60)))
        if rng.random() < ERASE:
            frames = _erase(frames, rng)
    return frames


def _darken(frames_TCHW: Tensor, rng: np.random.Generator) -> Tensor:
    """A dark hall: gamma, less light, and the noise a sensor adds when it turns up its gain."""
    light = (frames_TCHW / 255.0) ** float(rng.uniform(1.2, 2.5)) * float(rng.uniform(0.3, 0.9))
    noise = torch.randn(frames_TCHW.shape) * float(rng.uniform(0.0, 0.04))
    return ((light + noise).clamp(0, 1) * 255).to(torch.uint8)


def recompress(frames_TCHW: Tensor, *, quality: int) -> Tensor:
    """A poor line: every frame through JPEG. By Pillow, since torchvision gives its own codec up."""
    seen = []
    mode = "RGB" if frames_TCHW.shape[1] == 3 else "L"
    for image_HWC in frames_TCHW.permute(0, 2, 3, 1).contiguous().numpy():
        packed = BytesIO()
        picture = PillowImage.fromarray(image_HWC if mode == "RGB" else image_HWC[..., 0])
        picture.save(packed, "JPEG", quality=quality)
        with PillowImage.open(packed) as again:
            seen.append(np.asarray(again.convert(mode), dtype=np.uint8).reshape(image_HWC.shape))
    return torch.from_numpy(np.stack(seen)).permute(0, 3, 1, 2).contiguous()


def _erase(frames_TCHW: Tensor, rng: np.random.Generator) -> Tensor:
    """A post in front of the camera: the same box is grey in every frame."""
    height, width = frames_TCHW.shape[-2:]
    h, w = (int(side * rng.uniform(0.1, 0.35)) + 1 for side in (height, width))
    top, left = int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1))
    erased = frames_TCHW.clone()
    erased[..., top : top + h, left : left + w] = int(rng.integers(40, 200))
    return erased


def mix_up(
    inputs: Tensor, targets_BC: Tensor, *, alpha: float, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Mixup over whole windows, (B, T, …) and soft targets (B, C); λ ~ Beta(α, α) (Zhang et al., 2018)."""
    lam = float(rng.beta(alpha, alpha))
    order = torch.from_numpy(rng.permutation(len(inputs))).to(inputs.device)
    return lam * inputs + (1 - lam) * inputs[order], lam * targets_BC + (1 - lam) * targets_BC[order]
