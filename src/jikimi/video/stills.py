"""Stills: one moment of a video, or the frames that decided, as a JPEG that is either whole or not there."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from jikimi.errors import VideoError
from jikimi.frame import Image
from jikimi.video.reading import MEDIA_ERRORS, open_input, reason

# As cameras save them: no artefacts that could be taken for something, a 1080p still near 400 kB.
_QUALITY = 90

# A strip of 16 pictures is four rows, and is read on a telephone.
_COLUMNS = 4
_GAP_PX = 4

# A moment may lie this far after the last picture and still be shown by it: a frame at 2 fps.
_SLACK_S = 0.5


def still(path: Path, moment_s: float, out: Path) -> None:
    """Write the picture shown at `moment_s` seconds of a video, upright, in its own size.

    Raises:
        VideoError: the video has no picture there, or the JPEG cannot be written.
    """
    _write(_picture_at(path, moment_s), out)


def strip(images: Sequence[Image], out: Path) -> None:
    """Write pictures, uint8 RGB (H, W, 3) of one size, side by side in rows of four, oldest first.

    Raises:
        VideoError: there is no picture, sizes differ, or the JPEG cannot be written.
    """
    if len({image.shape for image in images}) != 1:
        raise VideoError(f"{out}: a strip takes one picture or more, all of one size")
    height, width, _ = images[0].shape
    columns = min(_COLUMNS, len(images))
    rows = -(-len(images) // columns)
    sheet = np.zeros(
        (rows * (height + _GAP_PX) - _GAP_PX, columns * (width + _GAP_PX) - _GAP_PX, 3), np.uint8
    )
    for number, image in enumerate(images):
        top, left = number // columns * (height + _GAP_PX), number % columns * (width + _GAP_PX)
        sheet[top : top + height, left : left + width] = image
    _write(sheet, out)


def _picture_at(path: Path, moment_s: float) -> Image:
    shown = None
    with open_input(path) as container:
        stream = container.streams.video[0]
        start_s = float((stream.start_time or 0) * (stream.time_base or 0))
        try:
            container.seek(round(max(0.0, moment_s + start_s) * 1e6))
            for frame in container.decode(stream):
                t_s = (frame.time or 0.0) - start_s
                if shown is not None and t_s > moment_s:
                    break
                shown, shown_s = frame, t_s
        except MEDIA_ERRORS as error:
            raise VideoError(f"{path}: does not play at {moment_s:g} s: {reason(error)}") from error
        if shown is None or not -_SLACK_S <= moment_s - shown_s <= _SLACK_S:
            raise VideoError(f"{path}: has no picture at {moment_s:g} s")
        image: Image = shown.to_ndarray(format="rgb24").astype(np.uint8, copy=False)
        return np.ascontiguousarray(np.rot90(image, round(shown.rotation / 90) % 4))


def _write(image: Image, out: Path) -> None:
    part = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        with part.open("wb") as file:
            Pillow.fromarray(image).save(file, format="JPEG", quality=_QUALITY)
            file.flush()
            os.fsync(file.fileno())
        part.replace(out)
    except OSError as error:
        _remove(part)
        raise VideoError(f"{out}: still cannot be written: {reason(error)}; check folder and disk") from error


def _remove(part: Path) -> None:
    try:
        part.unlink(missing_ok=True)
    except OSError:
        return  # neither could it be made
