"""The pictures before a moment of a file, without decoding all that comes before them."""

from collections.abc import Iterator
from pathlib import Path

import av
from av.container import InputContainer

from jikimi.errors import VideoError
from jikimi.frame import Image
from jikimi.sampling import TICK_SLACK_S
from jikimi.video.reading import MEDIA_ERRORS, Decoder, Scaler, iter_packets, open_input, reason

# A moment may lie this far after the last picture and still be shown by it: a frame at 2 fps.
_SLACK_S = 0.5


def frames_until(
    path: Path, moment_s: float, *, count: int, rate_hz: float, short_side_px: int
) -> list[Image]:
    """The `count` pictures that end at a moment, `1 / rate_hz` apart, oldest first: uint8 RGB (H, W, 3).

    Each is the first at or after its time, as `sampling.TickGrid` has it; before the video's first picture
    there is only that one. Decoding begins at the keyframe before them.

    Raises:
        VideoError: the file cannot be opened, does not play there, or ends before the moment.
    """
    due_s = [moment_s - k / rate_hz for k in reversed(range(count))]
    scale = Scaler(short_side_px)
    found: list[Image] = []
    last: tuple[av.VideoFrame, float] | None = None
    with open_input(path) as container:
        for picture, t_s in _pictures(container, path, from_s=due_s[0]):
            last = picture, t_s
            answered = sum(t_s + TICK_SLACK_S >= tick_s for tick_s in due_s) - len(found)
            if answered > 0:
                found += [scale(picture)] * answered
            if len(found) == count:
                return found
        if last is None or moment_s - last[1] > _SLACK_S:
            raise VideoError(f"{path}: has no picture at {moment_s:g} s")
        return found + [scale(last[0])] * (count - len(found))


def _pictures(
    container: InputContainer, path: Path, *, from_s: float
) -> Iterator[tuple[av.VideoFrame, float]]:
    """Pictures with their seconds from the file's beginning, from the keyframe before `from_s` on."""
    stream = container.streams.video[0]
    start_s = float((stream.start_time or 0) * (stream.time_base or 0))
    decoder = Decoder(stream)
    try:
        container.seek(round(max(0.0, from_s + start_s) * 1e6))
    except MEDIA_ERRORS as error:
        raise VideoError(f"{path}: does not play at {from_s:g} s: {reason(error)}") from error
    for packet in iter_packets(container, stream, decoder):
        for picture, _ in decoder.decode(packet):
            yield picture, (picture.time or 0.0) - start_s
