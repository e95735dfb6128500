"""One clip → JPEG frames on the grid: one sequential decode. Runs in worker processes, so imports little."""

import io
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image as PillowImage

from jikimi.data import scenes
from jikimi.data.pictures import read_pictures
from jikimi.errors import VideoError
from jikimi.frame import Frame, Image
from jikimi.video import DecodeReport, read_frames

# Changes whenever the same source would give other frames.
VERSION = 1

# At 92 with 4:2:0 chroma a frame of 455×256 px takes about 27 kB (docs/decisions.md, "JPEG quality").
JPEG_QUALITY = 92

# How often a frame goes into the background picture: often enough that a passer-by is outvoted.
SCENE_HZ = 2.0

# JPEG cannot hold a longer side.
MAX_SIDE_PX = 65_500


@dataclass(frozen=True, slots=True)
class ExtractTask:
    """What a worker does: write the frames of `source` into the folder `target`.

    `source_fps` is the rate of a folder of pictures, None for a video.
    """

    source: Path
    target: Path
    rate_hz: float
    short_side_px: int
    source_fps: float | None = None


@dataclass(frozen=True, slots=True)
class Extracted:
    """What a clip's frames came to. `background` is for `scenes`, `n_bytes` the size of all frames."""

    n_frames: int
    n_bytes: int
    duration_s: float
    width_px: int
    height_px: int
    fps: float | None
    background: bytes
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a clip has no frames. `lasting`: the same content will be refused again."""

    reason: str
    lasting: bool = True


@dataclass(frozen=True, slots=True)
class Unwritable:
    """The frames could not be written: no fault of the clip's, and reason to stop everything."""

    reason: str


def extract(task: ExtractTask) -> Extracted | Refused | Unwritable:
    """Write a clip's frames as `000001.jpg` and on; never raises for what the source holds."""
    report = DecodeReport()
    writer = _Writer(task.target, task.rate_hz)
    try:
        writer.start()
        for frame in _frames(task, report):
            writer.add(frame)
    except _WriteError as error:
        return Unwritable(str(error))
    except VideoError as error:
        return Refused(str(error).removeprefix(f"{task.source}: "))
    except OSError as error:
        return Refused(f"cannot be read: {error.strerror or error}", lasting=False)
    except Exception as error:  # noqa: BLE001  the process's outer edge: one clip must not stop the others
        return Refused(f"cannot be decoded: {type(error).__name__}: {error}")
    if not writer.n_frames or report.info is None:
        return Refused(f"no picture could be decoded{_because(report)}")
    return Extracted(
        n_frames=writer.n_frames,
        n_bytes=writer.n_bytes,
        duration_s=round(_duration_s(report, task.rate_hz), 6),
        width_px=report.info.width_px,
        height_px=report.info.height_px,
        fps=report.info.fps,
        background=scenes.background(writer.thumbnails),
        notes=_notes(report),
    )


def _frames(task: ExtractTask, report: DecodeReport) -> Iterator[Frame]:
    if task.source_fps is not None:
        return read_pictures(
            task.source,
            fps=task.source_fps,
            rate_hz=task.rate_hz,
            short_side_px=task.short_side_px,
            report=report,
        )
    return read_frames(
        task.source, rate_hz=task.rate_hz, short_side_px=task.short_side_px, report=report, threads=1
    )


class _WriteError(Exception):
    """Kept apart from errors of reading, which are OSErrors too."""


class _Writer:
    """Numbers, compresses and writes frames, and keeps a few thumbnails of them."""

    def __init__(self, target: Path, rate_hz: float) -> None:
        self.target = target
        self.n_frames = self.n_bytes = 0
        self.thumbnails: list[Image] = []
        self._scene_every = max(1, round(rate_hz / SCENE_HZ))
        self._image: Image | None = None
        self._jpeg = b""

    def start(self) -> None:
        """Begin with an empty folder: a process that died may have left some frames in it."""
        try:
            shutil.rmtree(self.target, ignore_errors=True)
            self.target.mkdir(parents=True)
        except OSError as error:
            raise _WriteError(error.strerror or str(error)) from error

    def add(self, frame: Frame) -> None:
        if frame.image_HWC is not self._image:  # a picture that answers several ticks is compressed once
            self._jpeg = to_jpeg(frame.image_HWC)
            self._image = frame.image_HWC
        if self.n_frames % self._scene_every == 0:
            self.thumbnails.append(scenes.thumbnail(frame.image_HWC))
        self.n_frames += 1
        self.n_bytes += len(self._jpeg)
        try:
            (self.target / f"{self.n_frames:06d}.jpg").write_bytes(self._jpeg)
        except OSError as error:
            raise _WriteError(error.strerror or str(error)) from error


def to_jpeg(image_HWC: Image) -> bytes:
    """Compress a picture, uint8 RGB (H, W, 3) → JPEG. The same picture gives the same bytes.

    Raises:
        VideoError: a side is longer than JPEG can hold.
    """
    if max(image_HWC.shape[:2]) > MAX_SIDE_PX:
        raise VideoError(f"a picture of {image_HWC.shape[1]}×{image_HWC.shape[0]} px is too long for JPEG")
    buffer = io.BytesIO()
    PillowImage.fromarray(image_HWC).save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()


def _duration_s(report: DecodeReport, rate_hz: float) -> float:
    """Time from the first frame to the end of the last one, by what was decoded and not by the header."""
    fps = report.info.fps if report.info is not None else None
    return report.last_t_s + 1 / (fps or rate_hz)


def _notes(report: DecodeReport) -> tuple[str, ...]:
    notes = []
    if report.errors:
        notes.append(f"damaged: {report.errors} errors in decoding{_because(report)}")
    if report.jumps:
        notes.append(f"{report.jumps} jumps of the clock left out")
    return tuple(notes)


def _because(report: DecodeReport) -> str:
    return f" ({report.last_error})" if report.last_error else ""
