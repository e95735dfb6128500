"""Hard clips from long recordings: what a model takes for an accident, and the accidents themselves.

Of clips, half show accidents; of an hour at work, next to none does. What a model wrongly alarms at in hours
of normal work is what it has to see while it is tuned (hard negative mining, Sung & Poggio, 1998).

    OUT/<behaviour>/<recording>-<ms>.mp4, OUT/annotations.csv     a folder that `prepare` reads
"""

import csv
import os
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jikimi.bundle import load_bundle
from jikimi.data.annotations import FILE
from jikimi.errors import DataError
from jikimi.frame import Floats
from jikimi.metrics import Doubles
from jikimi.stream_metrics import Truth
from jikimi.train.score import score_stream
from jikimi.train.truth import StreamSet
from jikimi.video import VideoWriter, open_input, read_frames
from jikimi.video import info as video_info

# A window ends with the decision it made: most of a clip lies before it, some after it.
BEFORE_S, AFTER_S = 4.0, 2.0

# Around an accident nothing is normal for sure: it may be seen early, and still be seen when it is over.
EARLY_S, LATE_S = 3.0, 10.0

# An accident is shown with what led to it, and its end; of one that lasts minutes, the beginning.
LEAD_S, TRAIL_S, LONGEST_S = 3.0, 2.0, 12.0

_KBPS = 1500
_COLUMNS = ("path", "behavior", "event_start_s", "event_end_s", "group", "mined", "score")


@dataclass(frozen=True, slots=True)
class Cut:
    """A stretch `[start_s, end_s)` of a recording worth learning from; the event within it, if any.

    `score` is the probability of an accident that the model gave a normal stretch, None for an event.
    """

    start_s: float
    end_s: float
    behavior: str
    event: Truth | None = None
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Mined:
    """What was cut: clips by behaviour, from so many hours."""

    out: Path
    counts: dict[str, int]
    hours: float

    def lines(self) -> list[str]:
        """What to tell the user."""
        found = ", ".join(f"{count} {behavior}" for behavior, count in sorted(self.counts.items()))
        return [f"{found or 'nothing'} cut from {self.hours:.1f} h", f"clips: {self.out}"]


def hard_moments(
    times_s: Doubles, accident_N: Floats, *, busy: Sequence[tuple[float, float]], above: float, limit: int
) -> list[tuple[float, float]]:
    """Moments and scores (t_s, score), the highest first, whose clips neither overlap nor touch `busy`."""
    order = np.argsort(-accident_N, kind="stable")
    taken: list[tuple[float, float]] = []
    for index in order.tolist():
        t_s, score = float(times_s[index]), float(accident_N[index])
        if score < above or len(taken) == limit:
            break
        start_s, end_s = t_s - BEFORE_S, t_s + AFTER_S
        if any(start_s < stop and begin < end_s for begin, stop in busy):
            continue
        if all(abs(t_s - other) >= BEFORE_S + AFTER_S for other, _ in taken):
            taken.append((t_s, score))
    return taken


def cuts_of(
    times_s: Doubles,
    accident_N: Floats,
    truths: Sequence[Truth],
    *,
    normal: str,
    duration_s: float,
    above: float,
    per_hour: float,
) -> list[Cut]:
    """What to cut from one recording, by time: all accidents, and normal work scored `above` or higher."""
    events = [
        Cut(
            max(0.0, truth.start_s - LEAD_S),
            min(duration_s, truth.end_s + TRAIL_S, truth.start_s - LEAD_S + LONGEST_S),
            truth.behavior,
            event=truth,
        )
        for truth in truths
    ]
    busy = [(truth.start_s - EARLY_S, truth.end_s + LATE_S) for truth in truths]
    moments = hard_moments(
        times_s, accident_N, busy=busy, above=above, limit=round(per_hour * duration_s / 3600)
    )
    normals = [
        Cut(max(0.0, t_s - BEFORE_S), min(duration_s, t_s + AFTER_S), normal, score=score)
        for t_s, score in moments
    ]
    return sorted([*events, *normals], key=lambda cut: cut.start_s)


def mine(
    model: Path,
    streams: StreamSet,
    out: Path,
    *,
    above: float = 0.1,
    per_hour: float = 300.0,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Mined:
    """Cut the hard clips of recordings whose accidents are known.

    Raises:
        DataError: `out` holds something else already, or a worker process died.
        BundleError, VideoError: the model or a recording cannot be read.
    """
    if out.exists() and any(out.iterdir()):
        raise DataError(f"{out}: is not empty; give another folder")
    load_bundle(model)  # before hours are spent
    for path in streams.files.values():
        with open_input(path):
            pass
    rows: list[dict[str, str]] = []
    hours = 0.0
    with ProcessPoolExecutor(workers) as pool:
        jobs = [
            pool.submit(_mine_one, model, path, truths_of(streams, camera), out, above, per_hour)
            for camera, path in streams.files.items()
        ]
        try:
            for done, job in enumerate(as_completed(jobs), start=1):
                found, seconds = job.result()
                rows += found
                hours += seconds / 3600
                if progress is not None:
                    progress(done, len(jobs))
        except BrokenProcessPool as error:
            raise DataError(f"{out}: a worker died, short of memory perhaps; use fewer --workers") from error
        finally:
            pool.shutdown(cancel_futures=True)
    rows.sort(key=lambda row: row["path"])
    _write_table(out, rows)
    return Mined(out, dict(Counter(row["behavior"] for row in rows)), hours)


def truths_of(streams: StreamSet, camera: str) -> tuple[Truth, ...]:
    """The accidents of one recording."""
    return tuple(truth for truth in streams.truths if truth.camera == camera)


def _mine_one(
    model: Path, video: Path, truths: tuple[Truth, ...], out: Path, above: float, per_hour: float
) -> tuple[list[dict[str, str]], float]:
    """Score one recording on one core and cut it: rows of the table, seconds watched."""
    bundle = load_bundle(model, threads=1)
    card = bundle.card
    scores = score_stream(bundle, video)
    normal = card.behaviors[card.normal_index].key
    probabilities = card.probabilities(scores.logits_NC) if len(scores.logits_NC) else scores.logits_NC
    cuts = cuts_of(
        scores.times_s,
        1 - probabilities[:, card.normal_index],
        truths,
        normal=normal,
        duration_s=scores.duration_s,
        above=above,
        per_hour=per_hour,
    )
    return _cut(video, cuts, out), scores.duration_s


def _cut(video: Path, cuts: Sequence[Cut], out: Path) -> list[dict[str, str]]:
    """Write the stretches of one recording, decoding it once; rows of the table."""
    with open_input(video) as container:
        known = video_info(container.streams.video[0])
    fps = known.fps or 8.0
    rows, waiting = [], list(cuts)
    running: list[tuple[Cut, VideoWriter, ExitStack]] = []
    with ExitStack() as all_files:
        for frame in read_frames(video, rate_hz=fps, short_side_px=min(known.width_px, known.height_px)):
            height, width = (side // 2 * 2 for side in frame.image_HWC.shape[:2])
            while waiting and waiting[0].start_s <= frame.t_s:
                cut = waiting.pop(0)
                path = out / cut.behavior / f"{video.stem}-{round(cut.start_s * 1000):08d}.mp4"
                path.parent.mkdir(parents=True, exist_ok=True)
                file = all_files.enter_context(ExitStack())
                writer = file.enter_context(
                    VideoWriter(
                        path, width_px=width, height_px=height, fps=fps,
                        bit_rate_kbps=_KBPS, gop_frames=round(fps),
                    )
                )  # fmt: skip
                running.append((cut, writer, file))
                rows.append(_row(cut, path, start_s=frame.t_s, out=out, group=video.stem))
            for cut, writer, file in running:
                if frame.t_s < cut.end_s:
                    writer.write(np.ascontiguousarray(frame.image_HWC[:height, :width]))
                else:
                    file.close()
            running = [entry for entry in running if frame.t_s < entry[0].end_s]
            if not waiting and not running:
                break
    return rows


def _row(cut: Cut, path: Path, *, start_s: float, out: Path, group: str) -> dict[str, str]:
    times = ("", "")
    if cut.event is not None:
        end_s = min(cut.event.end_s, cut.end_s)
        times = (f"{max(0.0, cut.event.start_s - start_s):.3f}", f"{end_s - start_s:.3f}")
    score = "" if cut.score is None else f"{cut.score:.4f}"
    values = (path.relative_to(out).as_posix(), cut.behavior, *times, group, "1", score)
    return dict(zip(_COLUMNS, values, strict=True))


def _write_table(out: Path, rows: Sequence[dict[str, str]]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    temporary = out / f".{FILE}.{os.getpid()}.tmp"
    with temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, _COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    temporary.replace(out / FILE)
