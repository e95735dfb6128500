"""Clips that come as a folder of numbered pictures."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageOps

from jikimi.errors import VideoError
from jikimi.frame import Frame, Image
from jikimi.sampling import TickGrid
from jikimi.video import DecodeReport, VideoInfo

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})

# AI Hub 71679 was filmed at this rate; used where neither a label nor a column says better.
DEFAULT_FPS = 30.0

_DIGITS = re.compile(r"(\d+)")


def is_picture(path: Path) -> bool:
    """Whether the file's name is that of a picture. Hidden files are not."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def pictures_of(folder: Path) -> list[Path]:
    """The pictures of a folder in their numbers' order: 2.jpg before 10.jpg."""
    return sorted((path for path in folder.iterdir() if is_picture(path)), key=_by_number)


def _by_number(path: Path) -> tuple[list[tuple[int, str]], str]:
    parts = [(int(part), "") if part.isdecimal() else (-1, part) for part in _DIGITS.split(path.name)]
    return parts, path.name


def read_pictures(
    folder: Path, *, fps: float, rate_hz: float, short_side_px: int, report: DecodeReport
) -> Iterator[Frame]:
    """Yield a folder's frames on the grid `k / rate_hz`, as `video.read_frames` does for a video.

    Picture `i` shows the moment `i / fps`. Only those that answer a tick are opened; a damaged one is
    counted in `report` and the next answers in its place.

    Raises:
        VideoError: the folder holds no pictures.
    """
    paths = pictures_of(folder)
    if not paths:
        raise VideoError(f"{folder}: holds no pictures")
    grid = TickGrid(rate_hz)
    for index, path in enumerate(paths):
        t_s = index / fps
        report.last_t_s = t_s
        if not grid.wants(t_s):
            continue
        image = _open(path, short_side_px=short_side_px, fps=fps, report=report)
        if image is None:
            continue
        first = grid.next_tick
        for tick in range(first, first + grid.due(t_s)):
            yield Frame(image, t_s=tick / rate_hz)


def _open(path: Path, *, short_side_px: int, fps: float, report: DecodeReport) -> Image | None:
    try:
        with PillowImage.open(path) as picture:
            rgb = _to_rgb(ImageOps.exif_transpose(picture))
    except (OSError, SyntaxError, ValueError, PillowImage.DecompressionBombError) as error:
        # Pillow says SyntaxError for a damaged PNG.
        report.errors += 1
        report.last_error = f"{path.name}: {_reason(error)}"
        return None
    report.decoded += 1
    if report.info is None:
        report.info = VideoInfo(rgb.width, rgb.height, codec="pictures", fps=fps, duration_s=None)
    scale = short_side_px / min(rgb.size)
    size = (max(1, round(rgb.width * scale)), max(1, round(rgb.height * scale)))
    method = PillowImage.Resampling.BOX if scale < 1 else PillowImage.Resampling.BILINEAR
    return np.asarray(rgb.resize(size, method), dtype=np.uint8)


def _reason(error: BaseException) -> str:
    # Pillow's own words name the path, which notes must not: they say the same wherever the data lies.
    return getattr(error, "strerror", None) or ("not a picture, or damaged" if str(error) else "damaged")


def _to_rgb(picture: PillowImage.Image) -> PillowImage.Image:
    if picture.mode.startswith("I;16"):  # thermal cameras: 16 bits a pixel, which convert("RGB") would clip
        return PillowImage.fromarray((np.asarray(picture) >> 8).astype(np.uint8)).convert("RGB")
    return picture.convert("RGB")
