"""Clean renders → what a CCTV camera would show: one pass over each picture, with explicit state."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from jikimi.frame import Floats, Image
from jikimi.sim.caption import CaptionWriter
from jikimi.sim.lens import Warp, distort_points
from jikimi.sim.look import CameraLook, Light, Sensor, draw_look

__all__ = ["CameraLook", "Picture", "PictureState", "distort_points", "draw_look"]

# A camera meters the scene and makes up for part of it, slowly: shares by eye, levels of 0–255.
_METER_LEVEL = 112.0
_METER_SHARE = 0.7
_METER_TIME_S = 2.0
_METER_EVERY_PX = 12
_GAIN_RANGE = (0.4, 2.5)

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
_INFRARED = (0.6, 0.25, 0.15)  # dyes are pale near infrared, red ones most: a guess that greys differently

# From the sensor on, levels count in eighths: 16-bit sums take a third of the time of floating point.
Steps = npt.NDArray[np.int16]
_STEPS = 8
_FULL_LEVELS = 350.0  # a full pixel holds no more; it also keeps the sums inside 16 bits

# A rolling shutter reads the rows one after the other, in about a thirtieth of a second.
_READOUT_S = 1 / 30


@dataclass(frozen=True, slots=True)
class PictureState:
    """What a camera carries from picture to picture; the one it starts with is `PictureState()`."""

    index: int = 0
    t_s: float = 0.0
    metered: float | None = None
    light_CHW: Steps | None = None
    shown_HWC: Image | None = None


class Picture:
    """A camera's look, made ready: `frame, state = picture.develop(render, state, t_s=...)`.

    The same look, seed, renders and times give the same bytes. Not for two threads at once.
    """

    def __init__(self, look: CameraLook, *, seed: int) -> None:
        self.look = look
        self._seed = seed
        self._warp = Warp(look)
        self._shade = _shade(look)
        self._channels = 1 if look.mode == "ir" else 3
        rng = np.random.default_rng([seed, 0])
        shape = (self._channels, look.height_px, look.width_px)
        self._scratch = np.empty(shape, np.float32)  # fresh memory costs as much as the sums in it
        self._levels = np.empty(shape, np.int16)
        self._offset = _steps(_glare(look) + _pattern(look.sensor, shape=shape, rng=rng))
        self._noise = _steps(_noise(look.sensor, shape=shape, rng=rng))
        self._tone = _tone_table(look.light)
        self._caption = CaptionWriter(look.caption) if look.caption is not None else None

    @property
    def render_size_px(self) -> tuple[int, int]:
        """(width, height) that the renderer should produce."""
        return self.look.render_size_px

    def develop(self, render_HWC: Image, state: PictureState, *, t_s: float) -> tuple[Image, PictureState]:
        """Turn a render, uint8 (H, W, 3), into the picture at stream time `t_s`, uint8 of the look's size.

        A lost picture returns the one before, and is the same array.

        Raises:
            ValueError: the render has another size than `render_size_px`.
        """
        rng = np.random.default_rng([self._seed, state.index + 1])
        if state.shown_HWC is not None and rng.random() < self.look.stream.drop_probability:
            return state.shown_HWC, PictureState(
                state.index + 1, state.t_s, state.metered, state.light_CHW, state.shown_HWC
            )
        metered = _meter(render_HWC, state, t_s=t_s)
        light = self._expose(render_HWC, metered, t_s=t_s)
        if state.light_CHW is not None and self.look.sensor.linger_share:
            np.subtract(state.light_CHW, light, out=self._levels)
            self._levels *= np.int16(round(self.look.sensor.linger_share * 32))
            self._levels >>= 5
            light += self._levels
        shown = self._read_out(light, rng)
        if self._caption is not None:
            self._caption.write(shown, t_s=t_s)
        shown.flags.writeable = False
        return shown, PictureState(state.index + 1, t_s, metered, light, shown)

    def _expose(self, render_HWC: Image, metered: float, *, t_s: float) -> Steps:
        """Render → light on the sensor in eighths of a level, (C, H, W): lens, exposure, lamps, colour."""
        light = self._warp(render_HWC)
        if self._channels == 1:
            light = _weigh(light, _INFRARED)[None]
        _soften(light, self.look.lens.blur_sigma_px, self._scratch)
        gain = (_METER_LEVEL / max(metered, 1.0)) ** _METER_SHARE
        gain = float(np.clip(gain, *_GAIN_RANGE)) * self.look.light.exposure_gain
        light *= self._shade * (gain * _flicker(self.look, t_s))
        if self._channels == 3:
            _colour(light, self.look.light)
        np.clip(light, 0, np.float32(_FULL_LEVELS), out=light)
        light *= np.float32(_STEPS)
        return light.astype(np.int16)

    def _read_out(self, light: Steps, rng: np.random.Generator) -> Image:
        """Light in eighths of a level, (C, H, W) → picture, uint8 (H, W, 3): noise, sharpening, tone."""
        levels, start = self._levels, int(rng.integers(self._noise.size - light.size + 1))
        np.add(light, self._noise[start : start + light.size].reshape(light.shape), out=levels)
        levels += self._offset
        if self.look.sensor.sharpening:
            _sharpen(levels, self.look.sensor.sharpening)
        levels >>= _STEPS.bit_length() - 1
        np.clip(levels, 0, 255, out=levels)
        toned = np.frombuffer(levels.astype(np.uint8).tobytes().translate(self._tone), np.uint8)
        shown = np.empty((*light.shape[1:], 3), np.uint8)
        for channel, plane in enumerate(np.broadcast_to(toned.reshape(light.shape), (3, *light.shape[1:]))):
            shown[..., channel] = plane
        return shown


def _meter(render_HWC: Image, state: PictureState, *, t_s: float) -> float:
    """The scene's brightness in levels, as the exposure has followed it."""
    now = float(render_HWC[::_METER_EVERY_PX, ::_METER_EVERY_PX].mean())
    if state.metered is None:
        return now
    share = float(np.exp(-max(0.0, t_s - state.t_s) / _METER_TIME_S))
    return share * state.metered + (1 - share) * now


def _weigh(light: Floats, weights: tuple[float, float, float]) -> Floats:
    """Light (3, H, W) → one grey plane (H, W)."""
    red, green, blue = (np.float32(weight) for weight in weights)
    grey: Floats = light[0] * red
    grey += light[1] * green
    grey += light[2] * blue
    return grey


def _colour(light: Floats, look: Light) -> None:
    """Saturation and colour cast of (3, H, W), in place."""
    grey = _weigh(light, _LUMA)
    light -= grey
    light *= np.float32(look.saturation)
    light += grey
    light[0] *= np.float32(look.red_gain)
    light[2] *= np.float32(look.blue_gain)


def _soften(light: Floats, sigma_px: float, scratch: Floats) -> None:
    """Blur (C, H, W) in place to about a Gaussian: taps at distance 1, and at 2 for what variance remains."""
    near, far = min(sigma_px**2 / 2, 0.25), min((sigma_px**2 - 0.5) / 8, 0.25)
    if near > 0:
        _three_taps(light, near, 1, scratch)
    if far > 0:
        _three_taps(light, far, 2, scratch)


def _three_taps(planes: Floats, side: float, step: int, scratch: Floats) -> None:
    """Weigh (side, 1 - 2 side, side) at distance `step` along both axes, in place; the border is left."""
    left, right = planes[..., :step].copy(), planes[..., -step:].copy()
    # Along rows as one long line, which is faster; it runs over the rows' ends, so those are put back.
    for line in (planes.reshape(1, -1), planes.reshape(planes.shape[0], -1)):
        reach = step if len(line) == 1 else step * planes.shape[2]
        sides = scratch.reshape(-1)[: line[:, 2 * reach :].size].reshape(len(line), -1)
        np.add(line[:, : -2 * reach], line[:, 2 * reach :], out=sides)
        sides *= np.float32(side)
        line[:, reach:-reach] *= np.float32(1 - 2 * side)
        line[:, reach:-reach] += sides
    planes[..., :step], planes[..., -step:] = left, right


def _sharpen(levels: Steps, amount: float) -> None:
    """Unsharp mask of the green, in place: the rims that cheap cameras draw round things, 2 px wide."""
    grey = levels[len(levels) // 2]  # most of the brightness, and the only plane of an IR picture
    detail = grey[2:-2, 2:-2] << 2
    for around in (grey[2:-2, :-4], grey[2:-2, 4:], grey[:-4, 2:-2], grey[4:, 2:-2]):
        detail -= around
    np.right_shift(detail, 3, out=detail)  # room for the product: 16 bits
    detail *= np.int16(round(amount * 16))
    detail >>= 3
    levels[:, 2:-2, 2:-2] += detail


def _flicker(look: CameraLook, t_s: float) -> Floats:
    """The lamps' brightness as each row is read, float32 (H, 1)."""
    rows_s = np.arange(look.height_px) / look.height_px * _READOUT_S
    wave = np.sin(2 * np.pi * look.light.flicker_hz * (t_s + rows_s))
    return (1 + look.light.flicker_share * wave).astype(np.float32)[:, None]


def _shade(look: CameraLook) -> Floats:
    """How much light the lens lets through, or the IR lamp gives, float32 (H, W)."""
    x = (np.arange(look.width_px) + 0.5) / look.width_px - look.lens.lamp_x
    y = (np.arange(look.height_px) + 0.5) / look.height_px - look.lens.lamp_y
    squared = 2 * (x**2 + y[:, None] ** 2)  # 1 in a corner
    if look.mode == "ir":  # a beam, bright in the middle
        return (1 - look.lens.vignette + 1.1 * look.lens.vignette * np.exp(-2.2 * squared)).astype(np.float32)
    return (1 - look.lens.vignette * np.minimum(squared, 1.3)).astype(np.float32)


def _glare(look: CameraLook) -> Floats:
    """The bright soft spot in levels, float32 (1, H, W)."""
    x = (np.arange(look.width_px) + 0.5) / look.width_px - look.light.glare_x
    y = (np.arange(look.height_px) + 0.5) / look.height_px - look.light.glare_y
    squared = x**2 + (y[:, None] * look.height_px / look.width_px) ** 2
    reach = squared / look.light.glare_radius**2
    spot = 0.8 * np.exp(-2 * reach) + 0.2 / (1 + 2 * reach)  # a core, and the veil a dirty dome spreads
    return (look.light.glare_levels * spot).astype(np.float32)[None]


def _pattern(sensor: Sensor, *, shape: tuple[int, int, int], rng: np.random.Generator) -> Floats:
    """What the sensor adds to every picture, float32 `shape`: uneven pixels and columns."""
    pixels = rng.standard_normal(shape, np.float32)
    columns = rng.standard_normal((1, 1, shape[2]), np.float32)
    return np.float32(sensor.pattern_levels) * (0.9 * pixels + 0.4 * columns)


def _noise(sensor: Sensor, *, shape: tuple[int, int, int], rng: np.random.Generator) -> Floats:
    """Noise of two pictures, flat: a picture takes a stretch of it from anywhere."""
    long = (shape[0], 2 * shape[1], shape[2])
    grey = rng.standard_normal((1, *long[1:]), np.float32)
    own = rng.standard_normal(long, np.float32)
    noise = np.float32(1 - sensor.colour_noise) * grey + np.float32(sensor.colour_noise) * own
    _three_taps(noise, sensor.grain, 1, np.empty_like(noise))
    noise *= np.float32(sensor.noise_levels) / noise.std()
    return noise.reshape(-1)


def _steps(levels: Floats) -> Steps:
    return np.round(levels * _STEPS).astype(np.int16)


def _tone_table(light: Light) -> bytes:
    """Gamma, then contrast about the middle of the lower half: 256 levels."""
    level = (np.arange(256) / 255) ** light.gamma
    toned = 0.4 + (level - 0.4) * light.contrast
    return bytes(np.clip(np.round(toned * 255), 0, 255).astype(np.uint8))
