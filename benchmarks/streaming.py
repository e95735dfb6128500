"""What one streaming decision costs, against encoding the whole window again for it.

uv run --all-extras python benchmarks/streaming.py [--bundle X.jikimi]
"""

import gc
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from figures import Report, arguments, median
from jikimi.bundle import Bundle, load_bundle
from jikimi.frame import Floats, Frame, Image
from jikimi.watch.detector import Detector, DetectorState
from process import run, script

GOAL_RATIO = 12.0
CAMERA = "camera"

STREAMING = "streaming decision (encode one, head)"
AT_ONCE = "window as one batch (encode 16, head)"
ONE_BY_ONE = "window one by one (encode 16 times, head)"
ENCODER, HEAD, PREPARING = "encoder, a picture", "head, a decision", "preparing a picture"
STEP, WHOLE = "detector step, preparing included", "window, preparing included"


@dataclass(slots=True)
class Stream:
    """One camera's pictures, moving noise as a camera's reader hands them out, and the detector's state."""

    bundle: Bundle
    rng: np.random.Generator
    detector: Detector
    states: dict[str, DetectorState]
    pictures: list[Image]
    tick: int = 0

    @classmethod
    def start(cls, bundle: Bundle) -> "Stream":
        """A stream whose ring of features is full."""
        rng = np.random.default_rng(0)
        side = bundle.card.short_side_px
        pictures = [
            rng.integers(0, 256, (side, round(side * 16 / 9), 3), dtype=np.uint8)
            for _ in range(2 * bundle.card.window)
        ]
        stream = cls(bundle, rng, Detector(bundle), {}, pictures)
        for _ in range(bundle.card.window):
            stream.step()
        return stream

    def step(self) -> None:
        """A streaming decision: one new picture prepared and encoded, the head on the ring."""
        picture = self.pictures[self.tick % len(self.pictures)]
        frame = Frame(picture, t_s=self.tick / self.bundle.card.rate_hz)
        _, self.states = self.detector.step({CAMERA: frame}, self.states)
        self.tick += 1

    def whole(self) -> None:
        """The same decision without a ring: every picture of the window prepared and encoded again."""
        pictures = self.bundle.card.preprocess(self.pictures[: self.bundle.card.window])
        features_TD = np.concatenate([self.bundle.encode(picture[None]) for picture in pictures])
        self.bundle.card.probabilities(self.bundle.classify(features_TD[None]))


def decisions(bundle: Bundle) -> dict[str, Callable[[], object]]:
    """A decision of the model alone, pictures prepared and ring filled beforehand, and its parts."""
    stream, card = Stream.start(bundle), bundle.card
    pictures = card.preprocess(stream.pictures[: card.window])
    one, ring_NTD = pictures[:1], bundle.encode(pictures)[None]

    def streaming() -> Floats:
        return bundle.classify(np.concatenate([ring_NTD[:, 1:], bundle.encode(one)[None]], axis=1))

    def at_once() -> Floats:
        return bundle.classify(bundle.encode(pictures)[None])

    def one_by_one() -> Floats:
        features = [bundle.encode(picture[None]) for picture in pictures]
        return bundle.classify(np.concatenate(features)[None])

    return {
        STREAMING: streaming,
        AT_ONCE: at_once,
        ONE_BY_ONE: one_by_one,
        ENCODER: lambda: bundle.encode(one),
        HEAD: lambda: bundle.classify(ring_NTD),
        PREPARING: lambda: card.preprocess(stream.pictures[:1]),
        STEP: stream.step,
        WHOLE: stream.whole,
    }


@dataclass(frozen=True, slots=True)
class Cost:
    """Median milliseconds of one thing: on the clock, and of all processors."""

    wall_ms: float
    cpu_ms: float


def measure(sides: Mapping[str, Callable[[], object]], *, rounds: int) -> dict[str, Cost]:
    """What each costs, measured in turn."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    for side in sides.values():
        side()
    gc.disable()
    for _ in range(rounds):
        for name, side in sides.items():
            wall_s, cpu_s = time.perf_counter(), time.process_time()
            side()
            found[name].append((time.perf_counter() - wall_s, time.process_time() - cpu_s))
    gc.enable()
    return {
        name: Cost(median(wall for wall, _ in times) * 1000, median(cpu for _, cpu in times) * 1000)
        for name, times in found.items()
    }


def main() -> None:
    parser = arguments(__doc__ or "", rounds=60)
    parser.add_argument("--bundle", type=Path, default=None, help="default: a random model of recipe edge")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="cores for the model")
    parser.add_argument("--large-rounds", type=int, default=5, help="rounds of resnet101; 0: leave it out")
    options = parser.parse_args()
    report = Report(
        "streaming",
        "one new picture and the head on the ring, against the whole window encoded again",
        {"rounds": options.rounds, "rounds of resnet101": options.large_rounds},
    )
    with tempfile.TemporaryDirectory(prefix="jikimi-bench-") as name:
        bundle = options.bundle or _random("edge", Path(name))
        for threads in options.threads:
            found = measure(decisions(load_bundle(bundle, threads=threads)), rounds=options.rounds)
            _add(report, bundle.stem, threads, found, goal=GOAL_RATIO)
        if options.large_rounds:
            large = _random("baseline", Path(name))
            for threads in options.threads:
                found = measure(decisions(load_bundle(large, threads=threads)), rounds=options.large_rounds)
                _add(report, "baseline", threads, found, goal=None)
    report.notes.append("preparing a picture: resize, letterbox, normalise; left out where not named")
    report.publish(options.json)


def _random(recipe: str, folder: Path) -> Path:
    path = folder / f"{recipe}.jikimi"
    run(script("fresh_bundle.py", path, "--recipe", recipe))
    return path


def _add(report: Report, name: str, threads: int, found: dict[str, Cost], *, goal: float | None) -> None:
    where = f"{name}, {threads} thread{'s' if threads > 1 else ''}"
    for what, cost in found.items():
        report.add(f"{where}: {what}", cost.wall_ms, "ms")
    # Whichever way of encoding a window is faster is what streaming is held against.
    window = min(found[AT_ONCE].wall_ms, found[ONE_BY_ONE].wall_ms)
    report.add(f"{where}: streaming is cheaper by", window / found[STREAMING].wall_ms, "×", goal=goal)
    processors = min(found[AT_ONCE].cpu_ms, found[ONE_BY_ONE].cpu_ms)
    report.add(f"{where}: the same by processor time", processors / found[STREAMING].cpu_ms, "×")
    prepared = found[WHOLE].wall_ms / found[STEP].wall_ms
    report.add(f"{where}: the same with preparing pictures", prepared, "×")
    report.raw[where] = {what: asdict(cost) for what, cost in found.items()}


if __name__ == "__main__":
    main()
