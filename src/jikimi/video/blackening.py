"""Evidence whose masked parts nobody may see: decoded, painted black, encoded again."""

import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFilter

from jikimi.errors import VideoError
from jikimi.video.fragments import sync_folder
from jikimi.video.reading import MEDIA_ERRORS, info, open_input, reason

log = logging.getLogger(__name__)

Polygon = Sequence[tuple[float, float]]
"""(x, y) as shares of width and height."""

# As the fallback encoder of evidence: H.264, a size and speed that evidence can afford. No picture waits for
# a later one, or the file would begin after 0; one thread, for the other cores watch.
_QUALITY = {"preset": "veryfast", "crf": "23", "bf": "0", "threads": "1"}

# Fragments as in evidence that was not painted: readable up to where writing stopped.
_MOVFLAGS = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}

# Compression smears colours over a block's border: so much around a mask is painted as well.
_AROUND_PX = 2


def blacken(path: Path, polygons: Sequence[Polygon]) -> None:
    """Paint polygons (x, y as shares of the picture) black in every picture of an MP4, in place.

    Raises:
        VideoError: it cannot be read or written; the file is as it was.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        _rewrite(path, part, polygons)
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(path)
        sync_folder(path.parent)
    except (*MEDIA_ERRORS, ValueError) as error:
        raise VideoError(f"{path}: cannot be blackened: {reason(error)}") from error
    finally:
        part.unlink(missing_ok=True)


def _rewrite(path: Path, part: Path, polygons: Sequence[Polygon]) -> None:
    with open_input(path) as source, av.open(str(part), "w", format="mp4", options=_MOVFLAGS) as target:
        stream = source.streams.video[0]
        rate = round(info(stream).fps or 25) or 1
        out = target.add_stream("libx264", rate=rate, options=_QUALITY | {"g": str(rate)})
        out.width, out.height = stream.width // 2 * 2, stream.height // 2 * 2
        out.pix_fmt = "yuv420p"
        assert stream.time_base is not None
        out.codec_context.time_base = stream.time_base
        hidden = _drawn(polygons, width=out.width, height=out.height)
        last: int | None = None
        for frame in _decoded(source, stream):
            if frame.pts is None or (last is not None and frame.pts <= last):
                continue
            last = frame.pts
            image = frame.to_ndarray(format="rgb24", width=out.width, height=out.height)
            image[hidden] = 0
            painted = av.VideoFrame.from_ndarray(image, format="rgb24")
            painted.pts, painted.time_base = last, stream.time_base
            target.mux(out.encode(painted))
        if last is None:
            raise VideoError(f"{path}: cannot be blackened: no picture in it can be decoded")
        target.mux(out.encode(None))


def _decoded(source: InputContainer, stream: VideoStream) -> Iterator[av.VideoFrame]:
    """Pictures in order. Damage costs what it hit: evidence with a torn packet is evidence."""
    for packet in source.demux(stream):
        try:
            yield from packet.decode()
        except MEDIA_ERRORS as error:
            log.info("a packet cannot be decoded: %s", reason(error))


def _drawn(polygons: Sequence[Polygon], *, width: int, height: int) -> np.ndarray:
    canvas = Pillow.new("L", (width, height))
    for polygon in polygons:
        ImageDraw.Draw(canvas).polygon([(x * (width - 1), y * (height - 1)) for x, y in polygon], fill=255)
    return np.asarray(canvas.filter(ImageFilter.MaxFilter(2 * _AROUND_PX + 1))) > 0
