"""A picture with its time, checked where it is made."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
"""RGB picture, uint8 (H, W, 3); fitted for a model that looks at brightness alone, (H, W, 1)."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture, uint8 RGB (H, W, 3) or brightness (H, W, 1), and its stream time in seconds.

    `damaged` marks a picture that the decoder itself reported as corrupt.
    """

    image_HWC: Image
    t_s: float
    damaged: bool = False

    def __post_init__(self) -> None:
        image = self.image_HWC
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in (1, 3):
            raise ValueError(f"a frame is uint8 (H, W, 3) or (H, W, 1), not {image.dtype} {image.shape}")
