"""Barrel distortion: the render's pixels, and the truth's points, to where the camera shows them.

With `r` the distance from the centre in half diagonals, a shown point at `r` is rendered at
`r (1 + k1 r²) / (1 + k1)`: one-parameter radial distortion (Brown 1966) read backwards, scaled so that the
corners stay corners and nothing outside the render is ever shown.
"""

import numpy as np
import numpy.typing as npt

from jikimi.frame import Floats, Image
from jikimi.sim.look import CameraLook

# Newton steps that bring any k1 in 0–1 below a thousandth of a pixel; tests/test_picture.py checks it.
_NEWTON_STEPS = 8

# Positions count sixteenths of a pixel: the weights of four neighbours then add up to 256, and a weighed
# channel just fits 16 bits.
_SIXTEENTHS = 16


def distort_points(look: CameraLook, xy_N2: npt.ArrayLike) -> Floats:
    """Points in pixels of the render → pixels of the picture, float32 (..., 2).

    Pictures are continuous: (0, 0) is the outer corner of the first pixel, whose centre is (0.5, 0.5).
    Points outside the render stay outside.
    """
    render_size = np.array(look.render_size_px, np.float64)
    half = render_size / 2
    offset = np.asarray(xy_N2, np.float64) - half
    k1, target = look.lens.k1, np.hypot(offset[..., 0], offset[..., 1]) / np.hypot(*half)
    radius = np.minimum(target * (1 + k1), np.maximum(target, 1.0))
    for _ in range(_NEWTON_STEPS):
        error = radius * (1 + k1 * radius**2) - target * (1 + k1)
        radius = radius - error / (1 + 3 * k1 * radius**2)
    swell = np.divide(radius, target, out=np.full_like(target, 1 + k1), where=target > 0)
    shown = half + offset * swell[..., None]
    pixels: Floats = (shown * np.array([look.width_px, look.height_px]) / render_size).astype(np.float32)
    return pixels


class Warp:
    """Render, uint8 (H, W, 3) of `render_size_px` → light, float32 (3, height_px, width_px), 0–255.

    One bilinear gather does distortion and resize. A pixel is fetched as one 32-bit word (its fourth byte
    belongs to the next pixel and is left out at the end): three times as fast as its channels one by one.
    """

    def __init__(self, look: CameraLook) -> None:
        self._width, self._height = look.render_size_px
        x, y = _render_positions(look)
        x, y = np.clip(x - 0.5, 0, self._width - 1.001), np.clip(y - 0.5, 0, self._height - 1.001)
        self._index = y.astype(np.intp) * self._width + x.astype(np.intp)
        right, below = np.round((x % 1) * _SIXTEENTHS), np.round((y % 1) * _SIXTEENTHS)
        left, above = _SIXTEENTHS - right, _SIXTEENTHS - below
        self._taps = [
            (0, _for_bytes(left * above)),
            (1, _for_bytes(right * above)),
            (self._width, _for_bytes(left * below)),
            (self._width + 1, _for_bytes(right * below)),
        ]
        pixels = self._width * self._height
        self._bytes = np.zeros(pixels * 3 + 1, np.uint8)
        self._pixels = np.ndarray((pixels,), np.uint32, buffer=self._bytes.data, strides=(3,))
        self._words = np.empty(pixels, np.uint32)
        self._taken = np.empty(self._index.shape, np.uint32)
        self._light = np.empty((3, *self._index.shape), np.float32)
        self._sum, self._part = np.empty((2, *self._index.shape, 4), np.uint16)

    def __call__(self, render_HWC: Image) -> Floats:
        """Return the light that falls on the sensor: one array, which the next call fills anew.

        Raises:
            ValueError: the render has another size than the look asks for.
        """
        if render_HWC.shape != (self._height, self._width, 3) or render_HWC.dtype != np.uint8:
            wanted = f"uint8 ({self._height}, {self._width}, 3)"
            raise ValueError(f"the render is {render_HWC.dtype} {render_HWC.shape}, not {wanted}")
        self._bytes[:-1] = render_HWC.reshape(-1)
        self._words[:] = self._pixels
        self._sum[:] = 0
        for neighbour, weight in self._taps:
            self._words[neighbour:].take(self._index, out=self._taken, mode="clip")
            np.multiply(self._taken.view(np.uint8).reshape(self._part.shape), weight, out=self._part)
            self._sum += self._part
        for channel, plane in enumerate(self._light):
            plane[:] = self._sum[..., channel]
        self._light *= np.float32(1 / _SIXTEENTHS**2)
        return self._light


def _for_bytes(weight_HW: npt.NDArray[np.float64]) -> npt.NDArray[np.uint16]:
    """Weights of pixels → weights of their four bytes, uint16 (H, W, 4)."""
    return np.repeat(weight_HW.astype(np.uint16)[..., None], 4, axis=2)


def _render_positions(look: CameraLook) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Where each pixel of the picture lies in the render, in its pixels, each (height_px, width_px)."""
    width, height = look.render_size_px
    x = (np.arange(look.width_px) + 0.5) * width / look.width_px - width / 2
    y = ((np.arange(look.height_px) + 0.5) * height / look.height_px - height / 2)[:, None]
    squared = (x**2 + y**2) / ((width / 2) ** 2 + (height / 2) ** 2)
    shrink = (1 + look.lens.k1 * squared) / (1 + look.lens.k1)
    return x * shrink + width / 2, y * shrink + height / 2
