"""How often and how soon each ailment of a camera is found on real footage, and what healthy footage gives.

uv run --all-extras python benchmarks/ailing.py --clips CLIPS [--every 1]
"""

import copy
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path

from figures import Report, arguments, median, spread
from jikimi.frame import Image
from jikimi.video import read_frames
from jikimi.watch.health import HealthKind, HealthMonitor

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))
from ailments import HARMLESS, ILL, noise

RATE_HZ = 2.0
SHORT_SIDE_PX = 160
HEALTHY_S, ILL_S = 120.0, 24.0

GOAL_FOUND, GOAL_MS = 0.95, 3.0

# A drone's footage: its camera does move.
NOT_FIXED = frozenset({"degirum__aerial_crossing_pedestrians"})

Feed = Iterator[Image]


@dataclass(slots=True)
class Outcome:
    """What one ailment came to: seconds until it was found, by clip, and what else was said."""

    found_s: dict[str, float] = field(default_factory=dict)
    missed: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Player:
    """One camera: a clip run to and fro without an end, with the noise of a live sensor."""

    monitor: HealthMonitor
    feed: Feed
    t_s: float = 0.0
    cost_ms: list[float] = field(default_factory=list)

    def play(
        self, seconds: float, ail: Callable[[Image], Image], *, clock: float = 1.0, damaged: bool = False
    ) -> dict[HealthKind, float]:
        """Show so many seconds through an ailment → ailments that began, with the seconds each took."""
        began: dict[HealthKind, float] = {}
        start_s = self.t_s
        for image in islice(self.feed, round(seconds * RATE_HZ)):
            seen, at = ail(image), time.perf_counter()
            stamp_s = start_s + (self.t_s - start_s) * clock
            changes = self.monitor.update(seen, self.t_s, stamp_s, damaged)
            self.cost_ms.append((time.perf_counter() - at) * 1000)
            for change in changes:
                if change.begins:
                    began.setdefault(change.kind, self.t_s - start_s)
            self.t_s += 1 / RATE_HZ
        return began


def live(images: list[Image]) -> Feed:
    """Pictures to and fro, none like another: compressed clips have lost the noise of the sensor."""
    for number, image in enumerate(cycle(images + images[-2:0:-1])):
        yield noise(image, sigma=0.6, seed=number)


def load(clips: Path, every: int) -> dict[str, list[Image]]:
    """Pictures of each clip on a fixed camera, at most 40 s."""
    files = [path for path in sorted(clips.rglob("*")) if path.suffix in {".mp4", ".gif", ".avi"}]
    return {
        path.stem: [
            frame.image_HWC
            for frame in islice(read_frames(path, rate_hz=RATE_HZ, short_side_px=SHORT_SIDE_PX), 80)
        ]
        for path in files[::every]
        if path.stem not in NOT_FIXED
    }


def measure_clip(name: str, images: list[Image], outcomes: dict[str, Outcome], costs: list[float]) -> float:
    """Play a clip healthy, then through each ailment from there → healthy seconds played."""
    player = Player(HealthMonitor(name), live(images), cost_ms=costs)
    healthy = outcomes.setdefault("as it is, from the start", Outcome())
    healthy.others += player.play(HEALTHY_S, HARMLESS["as it is"])
    for ailment, ail in HARMLESS.items():
        began = branch(player, images).play(ILL_S, ail)
        outcomes.setdefault(ailment, Outcome()).others += began
    for ailment, (kind, ail) in ILL.items():
        note(outcomes.setdefault(ailment, Outcome()), name, kind, branch(player, images).play(ILL_S, ail))
    still = images[0]
    for ailment, kind, began in (
        ("frozen picture", "frozen", branch(player, images).play(ILL_S, lambda _: still)),
        ("stream clock stands", "stale-stamps", branch(player, images).play(ILL_S, _same, clock=0.0)),
        ("every picture damaged", "damaged", branch(player, images).play(ILL_S, _same, damaged=True)),
    ):
        note(outcomes.setdefault(ailment, Outcome()), name, kind, began)
    return HEALTHY_S + len(HARMLESS) * ILL_S


def branch(player: Player, images: list[Image]) -> Player:
    """The same camera from here on, in another future."""
    return Player(copy.deepcopy(player.monitor), live(images), player.t_s, player.cost_ms)


def note(outcome: Outcome, clip: str, kind: str, began: dict[HealthKind, float]) -> None:
    """Write down whether the ailment was found, and what else began."""
    times = {str(name): seconds for name, seconds in began.items()}
    if kind in times:
        outcome.found_s[clip] = times.pop(kind)
    else:
        outcome.missed.append(clip)
    outcome.others += times


def report_of(outcomes: dict[str, Outcome], *, healthy_s: float, costs: list[float], n_clips: int) -> Report:
    """Put the measurements together."""
    report = Report(
        "ailing",
        "ailments of cameras done to real footage, each clip run to and fro at 2 pictures a second",
        {"clips": n_clips, "short side": f"{SHORT_SIDE_PX} px", "each ailment": f"{ILL_S:g} s"},
    )
    false = 0
    for name, outcome in outcomes.items():
        n_judged = len(outcome.found_s) + len(outcome.missed)
        if not n_judged:
            false += len(outcome.others)
            report.add(f"healthy, {name}: said", len(outcome.others), "ailments", goal=0, better="lower")
            continue
        report.add(f"{name}: found", len(outcome.found_s) / n_judged, "of clips", goal=GOAL_FOUND)
        times = list(outcome.found_s.values())
        report.add(f"{name}: after", median(times) if times else None, "s")
        if times:
            others = f"; also said: {', '.join(sorted(outcome.others))}" if outcome.others else ""
            report.notes.append(f"{name}: {spread(times)} s{others}")
    report.add(
        "false ailments an hour of healthy video", false / healthy_s * 3600, "", goal=0, better="lower"
    )
    report.add("healthy video", healthy_s / 3600, "h")
    report.add("cost of a picture", median(costs), "ms", goal=GOAL_MS, better="lower")
    report.raw = {
        name: {"found_s": one.found_s, "missed": one.missed, "others": one.others}
        for name, one in outcomes.items()
    }
    return report


def main() -> None:
    parser = arguments(__doc__ or "", rounds=1)
    parser.add_argument("--clips", type=Path, required=True, help="a folder of footage from fixed cameras")
    parser.add_argument("--every", type=int, default=1, help="take every so many-th clip")
    options = parser.parse_args()
    outcomes: dict[str, Outcome] = {}
    costs: list[float] = []
    clips = load(options.clips, options.every)
    healthy_s = 0.0
    for name, images in clips.items():
        healthy_s += measure_clip(name, images, outcomes, costs)
        print(f"  {name} done", flush=True)
    report_of(outcomes, healthy_s=healthy_s, costs=costs, n_clips=len(clips)).publish(options.json)


def _same(image: Image) -> Image:
    return image


if __name__ == "__main__":
    main()
