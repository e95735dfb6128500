"""Pictures → network input: the one piece of code that training and watching share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage

from jikimi.frame import Floats, Image

# Mean and deviation of ImageNet's training pictures in RGB, as torchvision and timm use them.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

# Weights of red, green and blue in brightness (ITU-R BT.601), as Pillow's mode L has them.
LUMA = (0.299, 0.587, 0.114)

# A difference of brightness that counts as 1: a worker who moves differs from the floor by about this much.
MOTION_SCALE = 0.15

Inputs = Literal["rgb", "motion", "rgb+motion"]
"""`rgb`: the picture. `motion`: its brightness and how that changed. `rgb+motion`: colours and the change."""


@dataclass(frozen=True, slots=True)
class Preprocess:
    """How a stream of pictures becomes network input: letterboxed to `height_px × width_px`, then normalised.

    The whole picture is kept in its own aspect ratio, since an accident at the edge of the view counts as
    much as one in the middle; bars are filled with the mean colour, which normalises to about zero.

    With motion, a frame's input has one more channel for each of `lags`: the signed difference of brightness
    to the frame so many frames back. Before the first frame there is the first frame, as in
    `sampling.window_ending_at`; nothing depends on later frames.
    """

    height_px: int
    width_px: int
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    inputs: Inputs = "rgb"
    lags: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if min(self.height_px, self.width_px) < 16:
            raise ValueError(f"{self.height_px}×{self.width_px} px is too small for an encoder")
        if min(self.std) <= 0:
            raise ValueError(f"std {self.std} must be above 0")
        if self.inputs not in ("rgb", "motion", "rgb+motion"):
            raise ValueError(f"inputs {self.inputs!r}: give rgb, motion or rgb+motion")
        if (self.inputs == "rgb") != (not self.lags):
            raise ValueError(f"inputs {self.inputs!r} with lags {self.lags}: motion needs lags, rgb has none")
        if any(lag < 1 for lag in self.lags):
            raise ValueError(f"lags {self.lags}: each must be at least one frame")

    @property
    def channels(self) -> int:
        """Channels of a fitted picture: 3, or 1 where only brightness counts."""
        return 1 if self.inputs == "motion" else 3

    @property
    def depth(self) -> int:
        """Channels of the network's input."""
        return self.channels + len(self.lags)

    @property
    def history(self) -> int:
        """How many frames back a frame's input reaches; 0 where it depends on the frame alone."""
        return max(self.lags, default=0)

    def inner(self, height: int, width: int) -> tuple[int, int]:
        """Height and width that a picture of this size has between the bars."""
        scale = min(self.height_px / height, self.width_px / width)
        inner_h = max(1, min(self.height_px, round(height * scale)))
        return inner_h, max(1, min(self.width_px, round(width * scale)))

    def fit(self, image_HWC: Image) -> Image:
        """Resize and letterbox one picture, uint8 (H, W, 3) → uint8 (height_px, width_px, channels)."""
        height, width = image_HWC.shape[:2]
        inner_h, inner_w = self.inner(height, width)
        image_HWC = self.colours(image_HWC)
        if (inner_h, inner_w) != (height, width):
            image_HWC = _resize(image_HWC, (inner_w, inner_h))
        if (inner_h, inner_w) == (self.height_px, self.width_px):
            return image_HWC
        fitted = np.empty((self.height_px, self.width_px, self.channels), dtype=np.uint8)
        fitted[:] = self.bar
        top, left = (self.height_px - inner_h) // 2, (self.width_px - inner_w) // 2
        fitted[top : top + inner_h, left : left + inner_w] = image_HWC
        return fitted

    def colours(self, image_HWC: Image) -> Image:
        """What of a picture's colours is kept, uint8 (H, W, 3) → uint8 (H, W, channels)."""
        return image_HWC if self.channels == 3 else brightness(image_HWC)

    @property
    def bar(self) -> tuple[int, ...]:
        """Colour of the bars."""
        return tuple(round(255 * mean) for mean, _ in self._statistics())

    def _statistics(self) -> list[tuple[float, float]]:
        """Mean and deviation of each channel of a fitted picture."""
        if self.channels == 3:
            return list(zip(self.mean, self.std, strict=True))
        return [(float(np.dot(LUMA, self.mean)), float(np.dot(LUMA, self.std)))]

    def normalise(self, images_NHWC: Image, earlier: Sequence[Image] = ()) -> Floats:
        """Fitted pictures and those of each lag before them → network input, float32 (N, depth, H, W).

        All are uint8 (N, H, W, channels); `earlier[k]` holds the pictures `lags[k]` frames before.
        """
        # A table of 256 values a channel: exact, and no float copy in the wrong layout on the way.
        levels = np.arange(256, dtype=np.float32) / np.float32(255)
        out = np.empty((images_NHWC.shape[0], self.depth, *images_NHWC.shape[1:3]), dtype=np.float32)
        for channel, (mean, std) in enumerate(self._statistics()):
            table = (levels - np.float32(mean)) / np.float32(std)
            out[:, channel] = table[images_NHWC[..., channel]]
        if self.lags:
            now = _grey(images_NHWC)
            for channel, before in zip(range(self.channels, self.depth), earlier, strict=True):
                np.subtract(now, _grey(before), out=out[:, channel])
            out[:, self.channels :] *= np.float32(1 / (255 * MOTION_SCALE))
        return out

    def compose(self, run_NHWC: Image, *, before: int = 0) -> Floats:
        """Consecutive fitted pictures, uint8 (before + N, H, W, channels) → float32 (N, depth, H, W).

        The first `before` pictures are only looked back at.
        """
        places = np.arange(before, len(run_NHWC))
        return self.normalise(run_NHWC[before:], [run_NHWC[np.maximum(places - lag, 0)] for lag in self.lags])

    def __call__(self, images: Sequence[Image], *, before: Sequence[Image] = ()) -> Floats:
        """Consecutive pictures of any size, N × uint8 (H, W, 3) → network input, float32 (N, depth, H', W').

        `before` holds the pictures that came before them; those within `history` count.
        """
        past = self.tail(before)
        return self.compose(np.stack([self.fit(image) for image in (*past, *images)]), before=len(past))

    def tail(self, images: Sequence[Image]) -> Sequence[Image]:
        """The pictures that the frame after them looks back at: the last `history`."""
        return images[len(images) - min(self.history, len(images)) :]

    def step(self, image_HWC: Image, past_PHWC: Image | None = None) -> tuple[Floats, Image | None]:
        """The next picture of a stream → its input, float32 (1, depth, H', W'), and the next one's past.

        A past is up to `history` fitted pictures, uint8 (P, H', W', channels); None before the first frame.
        """
        run = self.fit(image_HWC)[None]
        if self.history and past_PHWC is not None:
            run = np.concatenate([past_PHWC, run])
        return self.compose(run, before=len(run) - 1), run[-self.history :] if self.history else None


def brightness(image_HWC: Image) -> Image:
    """Brightness of a picture, uint8 (H, W, 3) → uint8 (H, W, 1); one that is grey already stays as it is."""
    if image_HWC.shape[2] == 1:
        return image_HWC
    return np.asarray(PillowImage.fromarray(image_HWC).convert("L"), dtype=np.uint8)[..., None]


def _resize(image_HWC: Image, size: tuple[int, int]) -> Image:
    picture = PillowImage.fromarray(image_HWC[..., 0] if image_HWC.shape[2] == 1 else image_HWC)
    resized = np.asarray(picture.resize(size, PillowImage.Resampling.BILINEAR), dtype=np.uint8)
    return resized.reshape(size[1], size[0], image_HWC.shape[2])


def _grey(images_NHWC: Image) -> npt.NDArray[np.float32]:
    """Brightness of fitted pictures in levels of 0 to 255, float32 (N, H, W)."""
    if images_NHWC.shape[-1] == 1:
        return images_NHWC[..., 0].astype(np.float32)
    return images_NHWC.astype(np.float32) @ np.asarray(LUMA, dtype=np.float32)
