"""What goes wrong with cameras, done to pictures: each takes uint8 RGB (H, W, 3) and gives the same."""

from collections.abc import Callable
from functools import cache, partial

import numpy as np
from PIL import Image as Pillow
from PIL import ImageFilter

from jikimi.frame import Floats, Image

Ailment = Callable[[Image], Image]


def light(image: Image, *, gain: float = 1.0, gamma: float = 1.0) -> Image:
    """More or less light."""
    return np.clip(255 * gain * (image / 255) ** gamma, 0, 255).astype(np.uint8)


def light_from_the_side(image: Image) -> Image:
    """A third of the light at the left, a third more at the right."""
    return np.clip(image * np.linspace(0.35, 1.3, image.shape[1])[None, :, None], 0, 255).astype(np.uint8)


def noise(image: Image, *, sigma: float, seed: int | None = None) -> Image:
    """Sensor noise: a field made once and laid elsewhere each time, for drawing it anew is slow."""
    rng = np.random.default_rng(seed)
    height, width, _ = image.shape
    top, left = rng.integers(0, 64, 2)
    field = _noise(height + 64, width + 64)[top : top + height, left : left + width]
    return np.clip(image + np.rint(field * np.float32(sigma)), 0, 255).astype(np.uint8)


@cache
def _noise(height: int, width: int) -> Floats:
    return np.random.default_rng(0).standard_normal((height, width, 3), np.float32)


def lights_out(image: Image) -> Image:
    """4 % of the light, and the sensor's noise."""
    return noise(light(image, gain=0.04), sigma=2)


def blurred(image: Image, *, share: float) -> Image:
    """Out of focus: a Gaussian of that share of the width."""
    blur = ImageFilter.GaussianBlur(share * image.shape[1])
    return np.asarray(Pillow.fromarray(image).filter(blur))


def shifted(image: Image, *, share: float) -> Image:
    """The camera turned sideways by that share of the width."""
    by = round(share * image.shape[1])
    return np.ascontiguousarray(np.pad(image, ((0, 0), (by, 0), (0, 0)), mode="reflect")[:, : image.shape[1]])


def turned(image: Image, *, degrees: float) -> Image:
    """The camera tilted about its axis."""
    height, width = image.shape[:2]
    around = np.pad(image, ((height // 3,) * 2, (width // 3,) * 2, (0, 0)), mode="reflect")
    found = np.asarray(Pillow.fromarray(around).rotate(degrees, Pillow.Resampling.BILINEAR))
    return np.ascontiguousarray(found[height // 3 :, width // 3 :][:height, :width])


def zoomed(image: Image, *, factor: float) -> Image:
    """The lens set to a longer focal length."""
    height, width = image.shape[:2]
    left, top = width * (1 - 1 / factor) / 2, height * (1 - 1 / factor) / 2
    box = (round(left), round(top), round(width - left), round(height - top))
    return np.asarray(Pillow.fromarray(image).crop(box).resize((width, height)))


def behind(
    image: Image, *, share: float = 1.2, colour: tuple[int, int, int] = (90, 60, 50), sigma: float = 1.0
) -> Image:
    """Something close before the lens, out of focus, over that share of the width from the left."""
    height, width = image.shape[:2]
    mask = np.repeat((np.arange(width) < share * width)[None] * np.uint8(255), height, axis=0)
    soft = np.asarray(Pillow.fromarray(mask).filter(ImageFilter.GaussianBlur(width * 0.04)))[..., None] / 255
    shade = 1 + 0.3 * np.sin(np.linspace(0, 3, height))[:, None, None]
    mixed = image * (1 - soft) + np.array(colour) * shade * soft
    return noise(np.clip(mixed, 0, 255).astype(np.uint8), sigma=sigma)


HARMLESS: dict[str, Ailment] = {
    "as it is": lambda image: image,
    "noise of 4": partial(noise, sigma=4.0),
    "half the lamps": partial(light, gain=0.4),
    "brighter": partial(light, gain=1.3),
    "gamma 2": partial(light, gamma=2.0),
    "light from the side": light_from_the_side,
}

ILL: dict[str, tuple[str, Ailment]] = {
    "lights out": ("dark", lights_out),
    "hand on the lens": ("covered", behind),
    "bag over four fifths": ("covered", partial(behind, share=0.8, colour=(40, 42, 45))),
    "white paint": ("covered", partial(behind, colour=(225, 225, 220))),
    "defocus of 1.2 %": ("out-of-focus", partial(blurred, share=0.012)),
    "defocus of 2.5 %": ("out-of-focus", partial(blurred, share=0.025)),
    "shift of 4 %": ("moved", partial(shifted, share=0.04)),
    "shift of 15 %": ("moved", partial(shifted, share=0.15)),
    "turn by 6°": ("moved", partial(turned, degrees=6.0)),
    "zoom of 1.2": ("moved", partial(zoomed, factor=1.2)),
}
