"""Strips of frames for a report: what a clip shows, and where the model looked when it decided."""

import base64
import io
from dataclasses import dataclass

import numpy as np
from PIL import Image as PillowImage

from jikimi import sampling
from jikimi.bundle import Card
from jikimi.data.manifest import Manifest, ManifestRow
from jikimi.metrics import window_weights
from jikimi.sampling import Indices
from jikimi.train.dataset import read_frame
from jikimi.train.score import ClipScores

FRAMES = 8
HEIGHT_PX = 108  # of a thumbnail: eight of 16:9 fill the width of the page on a dense screen


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """One frame of a strip: picture as a data URI, moment, and whether it is what decided or the event."""

    uri: str
    t_s: float
    deciding: bool
    event: bool


def deciding_end(scores: ClipScores, normal_index: int) -> int:
    """Index of the last frame of the window that weighs most in the clip's prediction."""
    return int(scores.ends[window_weights(scores.logits_WC, normal_index).argmax()])


def strip(manifest: Manifest, row: ManifestRow, scores: ClipScores, card: Card) -> tuple[Thumbnail, ...]:
    """Eight frames evenly over the clip, one of them from the deciding window.

    Raises:
        DataError: a frame is missing or damaged.
    """
    last = deciding_end(scores, card.normal_index)
    # An even model decides on the whole clip: nothing to mark.
    first = last - card.window + 1 if card.sampling == "timed" else last + 1
    shown = _with_one_of(sampling.evenly(row.n_frames, FRAMES), first=first, last=last)
    return tuple(
        Thumbnail(
            uri=data_uri(_jpeg(manifest, row, index), "image/jpeg"),
            t_s=index / row.rate_hz,
            deciding=first <= index <= last,
            event=row.event is not None and row.event.start_s <= index / row.rate_hz < row.event.end_s,
        )
        for index in dict.fromkeys(shown.tolist())
    )


def _with_one_of(indices: Indices, *, first: int, last: int) -> Indices:
    """Indices in order, the nearest replaced by `last` where none lies in `[first, last]`."""
    if first > last or ((first <= indices) & (indices <= last)).any():
        return indices
    moved = indices.copy()
    moved[np.abs(indices - last).argmin()] = last
    return np.sort(moved)


def _jpeg(manifest: Manifest, row: ManifestRow, index: int) -> bytes:
    picture = PillowImage.fromarray(read_frame(manifest, row, index))
    picture.thumbnail((HEIGHT_PX * 4, HEIGHT_PX))
    buffer = io.BytesIO()
    picture.save(buffer, format="JPEG", quality=80)
    return buffer.getvalue()


def data_uri(content: bytes, media_type: str) -> str:
    """Content as a URI that a page may hold instead of a file."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"
