"""A picture with its time, checked where it is made."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
"""RGB picture, uint8 (H, W, 3)."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Frame:
    """One decoded picture, uint8 RGB (H, W, 3), and its stream time in seconds from the first frame.

    `damaged` marks a picture that the decoder itself reported as corrupt.
    """

    image_HWC: Image
    t_s: float
    damaged: bool = False

    def __post_init__(self) -> None:
        image = self.image_HWC
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(f"a frame is uint8 (H, W, 3), not {image.dtype} {image.shape}")
