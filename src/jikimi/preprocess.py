"""Picture → network input: the one piece of code that training and watching share."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image as PillowImage

from jikimi.frame import Floats, Image

# Mean and deviation of ImageNet's training pictures in RGB, as torchvision and timm use them.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class Preprocess:
    """How a picture becomes network input: letterboxed to `height_px × width_px`, then normalised.

    The whole picture is kept in its own aspect ratio, since an accident at the edge of the view counts as
    much as one in the middle; bars are filled with the mean colour, which normalises to about zero.
    """

    height_px: int
    width_px: int
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD

    def __post_init__(self) -> None:
        if min(self.height_px, self.width_px) < 16:
            raise ValueError(f"{self.height_px}×{self.width_px} px is too small for an encoder")
        if min(self.std) <= 0:
            raise ValueError(f"std {self.std} must be above 0")

    def fit(self, image_HWC: Image) -> Image:
        """Resize and letterbox one picture, uint8 (H, W, 3) → uint8 (height_px, width_px, 3)."""
        height, width = image_HWC.shape[:2]
        scale = min(self.height_px / height, self.width_px / width)
        inner_h = max(1, min(self.height_px, round(height * scale)))
        inner_w = max(1, min(self.width_px, round(width * scale)))
        if (inner_h, inner_w) != (height, width):
            picture = PillowImage.fromarray(image_HWC)
            resized = picture.resize((inner_w, inner_h), PillowImage.Resampling.BILINEAR)
            image_HWC = np.asarray(resized, dtype=np.uint8)
        if (inner_h, inner_w) == (self.height_px, self.width_px):
            return image_HWC
        fitted = np.empty((self.height_px, self.width_px, 3), dtype=np.uint8)
        fitted[:] = [round(255 * m) for m in self.mean]
        top, left = (self.height_px - inner_h) // 2, (self.width_px - inner_w) // 2
        fitted[top : top + inner_h, left : left + inner_w] = image_HWC
        return fitted

    def normalise(self, images_NHWC: Image) -> Floats:
        """Normalise fitted pictures, uint8 (N, H, W, 3) → float32 (N, 3, H, W)."""
        # A table of 256 values a channel: exact, and no float copy in the wrong layout on the way.
        levels = np.arange(256, dtype=np.float32) / np.float32(255)
        out = np.empty((images_NHWC.shape[0], 3, *images_NHWC.shape[1:3]), dtype=np.float32)
        for channel, (mean, std) in enumerate(zip(self.mean, self.std, strict=True)):
            table = (levels - np.float32(mean)) / np.float32(std)
            out[:, channel] = table[images_NHWC[..., channel]]
        return out

    def __call__(self, images: Sequence[Image]) -> Floats:
        """Fit and normalise pictures of any size, N × uint8 (H, W, 3) → float32 (N, 3, H', W')."""
        return self.normalise(np.stack([self.fit(image) for image in images]))
