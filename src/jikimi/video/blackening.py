"""Evidence whose masked parts nobody may see: decoded, painted black, encoded again."""

import os
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw

from jikimi.errors import VideoError
from jikimi.video.reading import MEDIA_ERRORS, info, open_input, reason

Polygon = Sequence[tuple[float, float]]
"""(x, y) as shares of width and height."""

# As the fallback encoder of evidence: H.264, a size and speed that evidence can afford.
_QUALITY = {"preset": "veryfast", "crf": "23"}

# Fragments as in evidence that was not painted: readable up to where writing stopped.
_MOVFLAGS = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}


def blacken(path: Path, polygons: Sequence[Polygon]) -> None:
    """Paint polygons (x, y as shares of the picture) black in every picture of an MP4, in place.

    Raises:
        VideoError: it cannot be read or written; the file is as it was.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        _rewrite(path, part, polygons)
        part.replace(path)
    except (*MEDIA_ERRORS, ValueError) as error:
        raise VideoError(f"{path}: cannot be blackened: {reason(error)}") from error
    finally:
        part.unlink(missing_ok=True)


def _rewrite(path: Path, part: Path, polygons: Sequence[Polygon]) -> None:
    with open_input(path) as source, av.open(str(part), "w", format="mp4", options=_MOVFLAGS) as target:
        stream = source.streams.video[0]
        rate = round(info(stream).fps or 25) or 1
        out = target.add_stream("libx264", rate=rate, options=_QUALITY)
        out.width, out.height = stream.width // 2 * 2, stream.height // 2 * 2
        out.pix_fmt = "yuv420p"
        assert stream.time_base is not None
        out.codec_context.time_base = stream.time_base
        hidden = _drawn(polygons, width=out.width, height=out.height)
        for frame in source.decode(stream):
            image = frame.to_ndarray(format="rgb24", width=out.width, height=out.height)
            image[hidden] = 0
            painted = av.VideoFrame.from_ndarray(image, format="rgb24")
            painted.pts, painted.time_base = frame.pts, stream.time_base
            target.mux(out.encode(painted))
        target.mux(out.encode(None))


def _drawn(polygons: Sequence[Polygon], *, width: int, height: int) -> np.ndarray:
    canvas = Pillow.new("1", (width, height))
    for polygon in polygons:
        ImageDraw.Draw(canvas).polygon([(x * (width - 1), y * (height - 1)) for x, y in polygon], fill=1)
    return np.asarray(canvas, dtype=np.bool_)
