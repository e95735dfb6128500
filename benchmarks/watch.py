"""What watching one 1080p30 camera costs on one core beyond decoding it, and how old decisions get.

uv run --all-extras python benchmarks/watch.py [--bundle X.jikimi] [--seconds 60]
"""

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import machine
from figures import Report, arguments, interleave, median, spread
from footage import megabits_of, write_footage
from process import Outcome, jikimi, run, script

GOAL_SHARE_PERCENT = 40.0
GOAL_AGE_MS = 150.0

DECODE, READ, WATCH = "decode", "decode and scale", "watch"


@dataclass(frozen=True, slots=True)
class Watched:
    """One run: what the process took, and what the `ended` event says (nothing when only decoding)."""

    outcome: Outcome
    ended: dict[str, Any]


def watch(video: Path, bundle: Path, core: int) -> Watched:
    """`jikimi watch --realtime` on one core, the whole process."""
    command = jikimi("watch", video, "--model", bundle, "--realtime", "--json", "--threads", "1")
    outcome = run(command, cores=[core])
    events = [json.loads(line) for _, line in outcome.lines]
    return Watched(outcome, next(event for event in events if event["event"] == "ended"))


def decode(video: Path, core: int, *options: str) -> Watched:
    """Our own reader without a model, paced the same way, on the same core."""
    return Watched(run(script("watch_decode.py", video, *options), cores=[core]), {})


def main() -> None:
    parser = arguments(__doc__ or "", rounds=3)
    parser.add_argument("--bundle", type=Path, default=None, help="default: a random model of recipe edge")
    parser.add_argument("--video", type=Path, default=None, help="default: made on the fly")
    parser.add_argument("--seconds", type=float, default=60.0, help="length of what is made on the fly")
    parser.add_argument("--core", type=int, default=machine.n_cores() - 1, help="the core to pin to")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="jikimi-bench-") as name:
        folder = Path(name)
        bundle = options.bundle
        if bundle is None:
            bundle = folder / "edge.jikimi"
            run(script("fresh_bundle.py", bundle, "--recipe", "edge"))
        video = options.video or write_footage(folder / "camera.mp4", seconds=options.seconds)
        report = measure(video, bundle, core=options.core, rounds=options.rounds)
    report.publish(options.json)


def measure(video: Path, bundle: Path, *, core: int, rounds: int) -> Report:
    """Decode and watch, in turn."""
    sides: dict[str, Callable[[], Watched]] = {
        DECODE: lambda: decode(video, core),
        READ: lambda: decode(video, core, "--rate", "8"),
        WATCH: lambda: watch(video, bundle, core),
    }
    found = interleave(sides, rounds=rounds)
    stream_s = float(found[WATCH][-1].ended["stream_s"])
    return report_of(found, stream_s=stream_s, megabits=megabits_of(video, seconds=stream_s))


def report_of(found: dict[str, list[Watched]], *, stream_s: float, megabits: float) -> Report:
    """Put the measurements together; shares are of one core over the length of the stream."""
    shares = {
        side: median(one.outcome.cpu_s for one in runs) / stream_s * 100 for side, runs in found.items()
    }
    ended = [one.ended for one in found[WATCH]]
    report = Report(
        "watch",
        "one 1080p30 H.264 camera in real time, the process pinned to one core, one thread for the model",
        {"stream": f"{stream_s:.0f} s at {megabits:.1f} Mbit/s", "rounds": len(ended)},
    )
    report.add("decoding alone", shares[DECODE], "% of a core")
    report.add("decoding and scaling 8 pictures a second", shares[READ], "% of a core")
    report.add("watching, all of it", shares[WATCH], "% of a core")
    beyond = shares[WATCH] - shares[DECODE]
    report.add("watching beyond decoding", beyond, "% of a core", goal=GOAL_SHARE_PERCENT, better="lower")
    p95_ms = median(float(one["age_p95_s"]) for one in ended) * 1000
    report.add("age of a decision, p95", p95_ms, "ms", goal=GOAL_AGE_MS, better="lower")
    report.add("age of a decision, median", median(float(one["age_p50_s"]) for one in ended) * 1000, "ms")
    report.add("decisions", median(one["decisions"] for one in ended) / stream_s, "a second")
    report.add("pictures dropped", median(one["dropped_frames"] for one in ended), "")
    report.add("peak memory (VmHWM)", max(one.outcome.peak_mb for one in found[WATCH]), "MB")
    report.notes.append("shares count the whole process: interpreter, imports and loading the model too")
    report.notes += [
        f"{side}: {spread([one.outcome.cpu_s for one in runs])} s of processor time"
        for side, runs in found.items()
    ]
    report.raw = {
        side: [
            {"cpu_s": one.outcome.cpu_s, "wall_s": one.outcome.wall_s, "peak_mb": one.outcome.peak_mb}
            | {"ended": one.ended}
            for one in runs
        ]
        for side, runs in found.items()
    }
    return report


if __name__ == "__main__":
    main()
