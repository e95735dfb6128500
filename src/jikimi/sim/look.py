"""What one camera does to every picture, drawn from a seed: lens, light, sensor, stream and caption.

The ranges are judged by eye against CCTV clips of open data sets; none is a measurement of a product.
"""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeVar

import numpy as np

T = TypeVar("T")

Mode = Literal["day", "night", "ir"]
Corner = Literal["top-left", "top-right", "bottom-left", "bottom-right"]

# Rendered larger than shown: the warp then smooths the edges, which the renderer leaves jagged.
RENDER_SCALE = 1.25

_REFERENCE_PX = 320 * 240


@dataclass(frozen=True, slots=True)
class Lens:
    """Distortion and focus. `k1` ≥ 0 is barrel; `vignette` is the light lost in the corners, 0–1.

    `lamp_x`, `lamp_y` (shares of the picture) are where an IR lamp points; the vignette is centred there.
    """

    k1: float
    blur_sigma_px: float
    vignette: float
    lamp_x: float = 0.5
    lamp_y: float = 0.5


@dataclass(frozen=True, slots=True)
class Light:
    """Exposure, tone and colour, and what the lamps in the scene do.

    `flicker_hz` is the lamps' own rate (twice the mains); it shows aliased, as bands that crawl. The glare
    is a bright soft spot: its centre and radius are shares of the width and height, its strength levels.
    """

    exposure_gain: float
    gamma: float
    contrast: float
    saturation: float
    red_gain: float
    blue_gain: float
    flicker_share: float
    flicker_hz: float
    glare_levels: float
    glare_x: float
    glare_y: float
    glare_radius: float


@dataclass(frozen=True, slots=True)
class Sensor:
    """Noise in 8-bit levels before the tone curve, the share of the last picture that lingers, sharpening."""

    noise_levels: float
    pattern_levels: float
    grain: float
    colour_noise: float
    linger_share: float
    sharpening: float


@dataclass(frozen=True, slots=True)
class Stream:
    """How the picture travels: rate, lost pictures (the one before is shown again), compression."""

    fps: int
    drop_probability: float
    bit_rate_kbps: int
    gop_frames: int


@dataclass(frozen=True, slots=True)
class Caption:
    """The clock and camera name burnt into the picture; `pattern` is for `strftime`."""

    name: str
    corner: Corner
    pattern: str
    starts_at: datetime
    boxed: bool


@dataclass(frozen=True, slots=True)
class CameraLook:
    """Everything one camera does to its pictures.

    Raises:
        ValueError: an odd size (H.264 with 4:2:0 has none), a pincushion lens, or a share out of range.
    """

    width_px: int
    height_px: int
    mode: Mode
    lens: Lens
    light: Light
    sensor: Sensor
    stream: Stream
    caption: Caption | None

    def __post_init__(self) -> None:
        if self.width_px % 2 or self.height_px % 2 or min(self.width_px, self.height_px) < 32:
            raise ValueError(f"a look has even sides of 32 px or more, not {self.width_px}x{self.height_px}")
        if not 0.0 <= self.lens.k1 <= 1.0:
            raise ValueError(f"k1 is 0 to 1 (barrel), not {self.lens.k1}")
        # Above these the sums in `picture` leave their 16 bits.
        if not (0.0 <= self.sensor.linger_share <= 0.35 and 0.0 <= self.sensor.sharpening <= 0.9):
            raise ValueError(f"linger_share is 0 to 0.35 and sharpening 0 to 0.9, not {self.sensor}")

    @property
    def render_size_px(self) -> tuple[int, int]:
        """(width, height) that the renderer should produce."""
        return round(self.width_px * RENDER_SCALE), round(self.height_px * RENDER_SCALE)


def draw_look(rng: np.random.Generator) -> CameraLook:
    """Draw a camera: about half 4:3 and half 16:9, six in ten by day."""
    mode: Mode = _pick(rng, {"day": 0.6, "night": 0.22, "ir": 0.18})
    width_px, height_px = _pick(rng, {(320, 240): 0.48, (320, 180): 0.48, (352, 288): 0.04})
    return CameraLook(
        width_px=width_px,
        height_px=height_px,
        mode=mode,
        lens=_draw_lens(rng, mode),
        light=_draw_light(rng, mode),
        sensor=_draw_sensor(rng, mode),
        stream=_draw_stream(rng, width_px * height_px),
        caption=_draw_caption(rng, mode) if rng.random() < 0.75 else None,
    )


def _draw_lens(rng: np.random.Generator, mode: Mode) -> Lens:
    wide = rng.random() < 0.55
    least, most = _pick(rng, {(0.0, 0.0): 0.35, (0.4, 0.7): 0.42, (0.7, 1.3): 0.23})
    return Lens(
        k1=0.4 * float(rng.beta(1.3, 2.5)) if wide else 0.0,
        blur_sigma_px=rng.uniform(least, most),
        vignette=rng.uniform(0.5, 0.8) if mode == "ir" else rng.uniform(0.0, 0.35),
        lamp_x=rng.uniform(0.4, 0.6) if mode == "ir" else 0.5,
        lamp_y=rng.uniform(0.4, 0.65) if mode == "ir" else 0.5,
    )


def _draw_light(rng: np.random.Generator, mode: Mode) -> Light:
    # Night exposures are spread so that one in about twenty is truly dark.
    gain, spread = {"day": (1.0, 0.14), "night": (0.55, 0.2), "ir": (1.15, 0.16)}[mode]
    cast = 0.1 if mode == "night" else 0.05
    flickers = mode != "ir" and rng.random() < 0.45
    glares = rng.random() < (0.2 if mode == "ir" else 0.35)
    return Light(
        exposure_gain=gain * float(np.exp(rng.normal(0.0, spread))),
        gamma=rng.uniform(0.7, 0.95) if mode == "night" else rng.uniform(0.85, 1.15),
        contrast=rng.uniform(0.75, 1.15) if mode == "day" else rng.uniform(0.9, 1.25),
        saturation={"day": rng.uniform(0.5, 1.1), "night": rng.uniform(0.2, 0.7), "ir": 0.0}[mode],
        red_gain=float(np.exp(rng.normal(0.0, cast))),
        blue_gain=float(np.exp(rng.normal(0.0, cast))),
        flicker_share=rng.uniform(0.01, 0.07) if flickers else 0.0,
        # Korea's mains is 60 Hz; a camera's clock is never exactly in step with it.
        flicker_hz=_pick(rng, {120.0: 0.8, 100.0: 0.2}) + rng.uniform(-0.4, 0.4),
        glare_levels=rng.uniform(25.0, 120.0) if glares else 0.0,
        glare_x=rng.uniform(0.05, 0.95),
        glare_y=rng.uniform(-0.05, 0.35),
        glare_radius=rng.uniform(0.06, 0.25),
    )


def _draw_sensor(rng: np.random.Generator, mode: Mode) -> Sensor:
    usual = {"day": 1.3, "night": 4.0, "ir": 3.5}[mode]
    noise_levels = min(8.0, usual * float(np.exp(rng.normal(0.0, 0.4))))
    return Sensor(
        noise_levels=noise_levels,
        pattern_levels=noise_levels * rng.uniform(0.1, 0.35),
        grain=rng.uniform(0.0, 0.25),
        colour_noise=0.0 if mode == "ir" else rng.uniform(0.0, 0.6),
        linger_share=rng.uniform(0.0, 0.2) if mode == "day" else rng.uniform(0.1, 0.35),
        sharpening=rng.uniform(0.1, 0.8) if rng.random() < 0.6 else 0.0,
    )


def _draw_stream(rng: np.random.Generator, pixels: int) -> Stream:
    fps = _pick(rng, {8: 0.25, 10: 0.4, 15: 0.35})
    rate_kbps = math.exp(rng.uniform(math.log(60), math.log(1000)))
    return Stream(
        fps=fps,
        drop_probability=rng.uniform(0.002, 0.06) if rng.random() < 0.35 else 0.0,
        bit_rate_kbps=round(rate_kbps * pixels / _REFERENCE_PX),
        gop_frames=round(fps * rng.uniform(1.0, 4.0)),
    )


def _draw_caption(rng: np.random.Generator, mode: Mode) -> Caption:
    names = ("CAM {:02d}", "CH{}", "IPC-{:02d}", "LINE {} ENTRANCE", "WAREHOUSE {}", "PRESS SHOP {}", "")
    patterns = ("%Y-%m-%d %H:%M:%S", "%m-%d-%Y %a %H:%M:%S", "%d/%m/%Y %H:%M:%S", "%Y/%m/%d %I:%M:%S %p")
    hour = rng.uniform(7.5, 17.5) if mode == "day" else rng.uniform(19.0, 29.0)
    start = datetime(2021, 1, 1) + timedelta(days=int(rng.integers(0, 1500)), seconds=round(hour * 3600))
    return Caption(
        name=names[rng.integers(len(names))].format(int(rng.integers(1, 17))),
        corner=_pick(rng, {"top-left": 0.4, "top-right": 0.3, "bottom-left": 0.15, "bottom-right": 0.15}),
        pattern=patterns[rng.integers(len(patterns))],
        starts_at=start,
        boxed=bool(rng.random() < 0.25),
    )


def _pick(rng: np.random.Generator, shares: dict[T, float]) -> T:
    choices = list(shares)
    return choices[int(rng.choice(len(choices), p=list(shares.values())))]
