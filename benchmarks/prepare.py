"""How fast `jikimi prepare` turns clips into pictures, against `ffmpeg` writing the same pictures.

uv run --all-extras python benchmarks/prepare.py --clips ../shared/real-clips
"""

import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import machine
from figures import Report, arguments, interleave, median, spread
from process import jikimi, run

GOAL_RATIO = 0.9
RATE_HZ, SHORT_SIDE_PX = 8, 256
# ffmpeg's scale from best (1) to worst (31); the one whose pictures are nearest to ours in size is taken.
QUALITIES = (1, 2, 3, 4)
# Clips that decide on the quality.
QUALITY_CLIPS = 8


@dataclass(frozen=True, slots=True)
class Written:
    """Pictures written, their bytes, and the seconds that took: on the clock, and of all processors."""

    pictures: int
    n_bytes: int
    seconds: float
    cpu_s: float

    @property
    def rate(self) -> float:
        """Pictures a second."""
        return self.pictures / self.seconds


def weigh(folder: Path, seconds: float = 0.0, cpu_s: float = 0.0) -> Written:
    """Count what lies under a folder."""
    sizes = [path.stat().st_size for path in folder.rglob("*.jpg")]
    return Written(len(sizes), sum(sizes), seconds, cpu_s)


def fresh(folder: Path) -> Path:
    """An empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def ours(clips: Path, out: Path, workers: int) -> Written:
    """`jikimi prepare` from nothing: the whole process, interpreter start to exit."""
    shutil.rmtree(out, ignore_errors=True)
    outcome = run(jikimi("prepare", clips, "--out", out, "--workers", str(workers)))
    return weigh(out / "frames", outcome.wall_s, outcome.cpu_s)


def again(clips: Path, out: Path, workers: int) -> float:
    """Seconds of a run that finds everything done."""
    return run(jikimi("prepare", clips, "--out", out, "--workers", str(workers))).wall_s


def accepted(out: Path) -> list[Path]:
    """The sources that `jikimi prepare` used, long files first, as it takes them itself."""
    listing = "from jikimi.data.manifest import read_manifest as r; import sys; from pathlib import Path\n"
    listing += "print(*(row.source for row in r(Path(sys.argv[1])).rows), sep='\\n')"
    done = subprocess.run(
        [sys.executable, "-c", listing, str(out)], capture_output=True, text=True, check=True
    )
    return sorted((Path(line) for line in done.stdout.splitlines()), key=lambda path: -path.stat().st_size)


def ffmpeg(sources: Sequence[Path], out: Path, *, workers: int, quality: int, threads: int | None) -> Written:
    """The same pictures from one `ffmpeg` a clip, `workers` at a time; `threads` None leaves them to it."""
    fresh(out)
    with ThreadPoolExecutor(workers) as pool:  # threads only wait for the processes
        started, before_s = time.monotonic(), _children_s()
        jobs = [
            pool.submit(_one, source, out / f"{place:04d}", quality=quality, threads=threads)
            for place, source in enumerate(sources)
        ]
        for job in jobs:
            job.result()
        seconds = time.monotonic() - started
    return weigh(out, seconds, _children_s() - before_s)


def _children_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _one(source: Path, folder: Path, *, quality: int, threads: int | None) -> None:
    folder.mkdir()
    limit = [] if threads is None else ["-threads", str(threads)]
    side = SHORT_SIDE_PX
    # The same averaging when shrinking (flags=area), and the short side whichever it is.
    scale = f"scale='if(gt(iw,ih),-2,{side})':'if(gt(iw,ih),{side},-2)':flags=area"
    filters = f"fps={RATE_HZ},{scale}"
    # Quality 1 has to be allowed first, or it is taken for 2.
    jpeg = ["-pix_fmt", "yuvj420p", "-qmin", "1", "-q:v", str(quality), *limit]
    subprocess.run(
        [
            "ffmpeg",
            "-nostdin",
            "-v",
            "error",
            *limit,
            "-i",
            source,
            "-vf",
            filters,
            *jpeg,
            folder / "%06d.jpg",
        ],
        check=False,  # damaged clips are read as far as they go, on both sides
        stderr=subprocess.DEVNULL,
    )


def matching_quality(
    sources: Sequence[Path], out: Path, *, target: float, workers: int
) -> tuple[int, dict[int, float]]:
    """The ffmpeg quality whose mean picture is nearest to `target` bytes, and the means of all."""
    means = {}
    for quality in QUALITIES:
        found = ffmpeg(sources, out, workers=workers, quality=quality, threads=1)
        means[quality] = found.n_bytes / max(1, found.pictures)
    return min(means, key=lambda quality: abs(means[quality] - target)), means


def bytes_of(sources: Sequence[Path], out: Path) -> float:
    """Mean bytes of our pictures of some clips."""
    listing = "from jikimi.data.manifest import read_manifest as r; import sys; from pathlib import Path\n"
    listing += "m = r(Path(sys.argv[1])); w = set(sys.argv[2:])\n"
    listing += "print(*(m.frame_path(row, 0).parent for row in m.rows if str(row.source) in w), sep='\\n')"
    done = subprocess.run(
        [sys.executable, "-c", listing, str(out), *map(str, sources)],
        capture_output=True,
        text=True,
        check=True,
    )
    found = [weigh(Path(line)) for line in done.stdout.splitlines()]
    return sum(one.n_bytes for one in found) / sum(one.pictures for one in found)


def main() -> None:
    parser = arguments(__doc__ or "", rounds=3)
    parser.add_argument("--clips", type=Path, default=Path("../shared/real-clips"), help="a folder of clips")
    parser.add_argument("--workers", type=int, default=machine.n_cores(), help="processes on either side")
    options = parser.parse_args()
    clips, workers = options.clips.resolve(), options.workers
    with tempfile.TemporaryDirectory(prefix="jikimi-bench-") as name:
        report = measure(clips, Path(name), workers=workers, rounds=options.rounds)
    report.publish(options.json)


def measure(clips: Path, folder: Path, *, workers: int, rounds: int) -> Report:
    """Prepare the clips both ways, in turn."""
    data, peer = folder / "data", folder / "ffmpeg"
    ours(clips, data, workers)  # untimed: fills the file cache for both sides, and tells what is usable
    sources = accepted(data)
    sample = sources[:: max(1, len(sources) // QUALITY_CLIPS)]
    target = bytes_of(sample, data)
    quality, means = matching_quality(sample, peer, target=target, workers=workers)
    sides: dict[str, Callable[[], Written]] = {
        "jikimi": lambda: ours(clips, data, workers),
        "ffmpeg -threads 1": lambda: ffmpeg(sources, peer, workers=workers, quality=quality, threads=1),
        "ffmpeg": lambda: ffmpeg(sources, peer, workers=workers, quality=quality, threads=None),
    }
    found = interleave(sides, rounds=rounds)
    repeats = [again(clips, data, workers) for _ in range(rounds)]
    return report_of(found, repeats, clips=len(sources), workers=workers, quality=quality, means=means)


def report_of(
    found: dict[str, list[Written]],
    repeats: list[float],
    *,
    clips: int,
    workers: int,
    quality: int,
    means: dict[int, float],
) -> Report:
    """Put the measurements together."""
    rates = {side: median(one.rate for one in runs) for side, runs in found.items()}
    best = max((side for side in rates if side != "jikimi"), key=lambda side: rates[side])
    last = {side: runs[-1] for side, runs in found.items()}
    report = Report(
        "prepare",
        "clips → JPEG pictures, whole process, against ffmpeg writing the same pictures",
        {"clips": clips, "processes": workers, "rounds": len(repeats), "ffmpeg -q:v": quality},
    )
    report.add("jikimi prepare", rates["jikimi"], "pictures/s")
    report.add("ffmpeg, one thread a process", rates["ffmpeg -threads 1"], "pictures/s")
    report.add("ffmpeg, threads as it likes", rates["ffmpeg"], "pictures/s")
    report.add(f"jikimi against the faster ({best})", rates["jikimi"] / rates[best], "×", goal=GOAL_RATIO)
    cpu = {side: median(one.cpu_s for one in runs) for side, runs in found.items()}
    report.add("the same by processor time", cpu[best] / cpu["jikimi"], "×")
    report.add("a second run, nothing to do", median(repeats), "s")
    for side in ("jikimi", best):
        report.add(f"mean picture, {side}", last[side].n_bytes / last[side].pictures / 1000, "kB")
    report.notes += [
        f"{side}: {last[side].pictures} pictures; rates {spread([one.rate for one in runs])}"
        for side, runs in found.items()
    ]
    report.raw = {
        "seconds": {side: [one.seconds for one in runs] for side, runs in found.items()},
        "processor seconds": {side: [one.cpu_s for one in runs] for side, runs in found.items()},
        "pictures": {side: one.pictures for side, one in last.items()},
        "bytes": {side: one.n_bytes for side, one in last.items()},
        "bytes a picture by -q:v": means,
        "second run seconds": repeats,
    }
    return report


if __name__ == "__main__":
    main()
