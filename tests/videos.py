"""Small videos made on the fly, so that no footage lives in the repository."""

from collections.abc import Callable
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import numpy as np

from jikimi.frame import Image

Draw = Callable[[int, int, int], Image]


def moving_square(seed: int = 0) -> Draw:
    """A square that crosses a textured background of its own; the seed picks the background."""

    @cache
    def background(width: int, height: int) -> Image:
        rng = np.random.default_rng(seed)
        coarse = rng.integers(30, 200, size=(6, 8, 3), dtype=np.uint8)
        return np.kron(coarse, np.ones((height // 6 + 1, width // 8 + 1, 1), np.uint8))[:height, :width]

    def draw(index: int, width: int, height: int) -> Image:
        image = background(width, height).copy()
        side = max(2, min(height, width) // 5)
        left = (index * 4) % max(1, width - side)
        image[height // 2 : height // 2 + side, left : left + side] = (255, 255, 0)
        return np.ascontiguousarray(image)

    return draw


def write_video(
    path: Path,
    *,
    seconds: float = 2.0,
    fps: int = 24,
    size: tuple[int, int] = (160, 120),
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    gop: int = 12,
    draw: Draw | None = None,
    times_s: list[float] | None = None,
) -> Path:
    """Write a video of `size` (width, height). `times_s` gives each frame its own time (variable rate)."""
    draw = draw or moving_square()
    width, height = size
    times = times_s if times_s is not None else [i / fps for i in range(round(seconds * fps))]
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=fps)
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        stream.codec_context.gop_size = gop
        stream.codec_context.time_base = Fraction(1, 1000) if times_s is not None else Fraction(1, fps)
        for index, t_s in enumerate(times):
            frame = av.VideoFrame.from_ndarray(draw(index, width, height), format="rgb24")
            frame.time_base = stream.codec_context.time_base
            frame.pts = round(t_s / frame.time_base)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
