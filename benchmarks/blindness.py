"""How long a camera is blind after what happens in plants: servers, cables, processes that die or hang.

uv run --all-extras python benchmarks/blindness.py [--rounds 20]

Blind seconds run from the moment the source is there again (the server is back, the cable is whole, or,
where a process of ours was harmed, from the harm) to the first decision about a picture taken after it. The
others' longest gap between decisions is told beside it. The cable is cut by dropping its packets in a
network namespace.
"""

import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from cable import Cable, cable_possible
from figures import Report, arguments
from jikimi.status import CameraStatus
from site_run import CameraServer, Film, RunningSite, film_of, wait_for

GOAL_S = 3.0

# A gap of the other cameras beyond this would be a loss: two decisions at 8 Hz and a busy machine.
GOAL_OTHERS_S = 1.0

SERVER_AWAY_S = 4.0

# The site's stand-in is there again so long after the last one took over.
STAND_IN_S = 8.0


@dataclass
class Eye:
    """Follows decisions of every camera through the status file, ten times a second."""

    site: RunningSite
    seen: dict[str, list[tuple[float, int]]] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Look until stopped."""
        while not self._stop.wait(0.05):
            status = self.site.status()
            if status is None or status.age_s() > 1.5:
                continue
            for camera in status.cameras:
                decided = time.monotonic() - status.age_s() - (camera.decided_age_s or 1e6)
                rows = self.seen.setdefault(camera.name, [])
                if not rows or decided > rows[-1][0] + 0.01:
                    rows.append((decided, camera.decisions))

    def start(self) -> None:
        """Begin."""
        threading.Thread(target=self.run, daemon=True).start()

    def stop(self) -> None:
        """End."""
        self._stop.set()

    def first_after(self, name: str, moment_s: float, *, within_s: float = 40.0) -> float:
        """Seconds from a moment to the first decision that followed it."""
        found = wait_for(lambda: [t for t, _ in self.seen.get(name, []) if t > moment_s], within_s=within_s)
        return float(found[0]) - moment_s

    def longest_gap(self, name: str, since_s: float) -> float:
        """The longest time between two looks at which decisions had been made."""
        times = [t for t, _ in self.seen.get(name, []) if t >= since_s - 1.0]
        return max((b - a for a, b in pairwise(times)), default=0.0)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One round: blind seconds, and the other camera's longest gap."""

    blind_s: float
    others_s: float


class Stage:
    """Two cameras on servers of their own; `a` suffers."""

    def __init__(self, folder: Path, shown: Film) -> None:
        self.cable = Cable() if cable_possible() else None
        host = self.cable.host if self.cable is not None else "127.0.0.1"
        prefix = self.cable.command if self.cable is not None else ()
        self.a = CameraServer({"a": shown}, host=host, prefix=prefix)
        self.b = CameraServer({"b": shown})
        self.folder = folder

    @contextmanager
    def running(self) -> Iterator[tuple[RunningSite, Eye]]:
        """The site, watching."""
        with self.a, self.b:
            addresses = {"a": self.a.address("a"), "b": self.b.address("b")}
            with RunningSite(self.folder, addresses) as site:
                wait_for(site.watching, within_s=90)
                eye = Eye(site)
                eye.start()
                try:
                    yield site, eye
                finally:
                    eye.stop()
        if self.cable is not None:
            self.cable.remove()


def status_of(site: RunningSite, name: str) -> CameraStatus:
    """What the site says of a camera."""
    status = site.status()
    assert status is not None
    return next(camera for camera in status.cameras if camera.name == name)


def settle(site: RunningSite) -> None:
    """Wait until all is well again, and has been for a moment."""
    wait_for(site.watching, within_s=60)
    time.sleep(2.0)
    wait_for(site.watching, within_s=60)


def rounds(
    site: RunningSite, eye: Eye, harm: Callable[[], float], n: int, *, others: tuple[str, ...] = ("b",)
) -> list[Outcome]:
    """Harm `n` times; `harm` returns the moment from which blindness counts."""
    found = []
    for _ in range(n):
        settle(site)
        began = time.monotonic()
        since = harm()
        blind_s = eye.first_after("a", since)
        time.sleep(0.7)
        others_s = max((eye.longest_gap(name, began) for name in others), default=0.0)
        found.append(Outcome(blind_s, others_s))
        print(f"  blind {blind_s:.2f} s, others {others_s:.2f} s", flush=True)
    return found


def strike(pid: int, number: signal.Signals) -> float:
    """Send a signal → when."""
    os.kill(pid, number)
    return time.monotonic()


def add(report: Report, what: str, outcomes: list[Outcome]) -> None:
    """p95 and median of the blind seconds, and the others' longest gap."""
    blind = sorted(outcome.blind_s for outcome in outcomes)
    p95 = blind[min(len(blind) - 1, round(0.95 * len(blind)))]
    report.add(f"{what}: blind, p95", p95, "s", goal=GOAL_S, better="lower")
    report.add(f"{what}: blind, median", blind[len(blind) // 2], "s")
    others = max(outcome.others_s for outcome in outcomes)
    if others > 0:  # not where everything is harmed
        report.add(f"{what}: the other camera's longest gap", others, "s", goal=GOAL_OTHERS_S, better="lower")
    report.raw[what] = [[outcome.blind_s, outcome.others_s] for outcome in outcomes]


def main() -> None:
    parser = arguments(__doc__ or "", rounds=20)
    parser.add_argument("--only", default="", help="only harms whose name holds this")
    options = parser.parse_args()
    n = options.rounds
    report = Report(
        "blindness", "Blind seconds of one camera of two", {"rounds": n, "model": "colours, 8 Hz"}
    )
    with tempfile.TemporaryDirectory(prefix="jikimi-bench-") as name:
        folder = Path(name)
        shown = film_of(folder)
        (folder / "site").mkdir()
        stage = Stage(folder / "site", shown)
        with stage.running() as (site, eye):
            measure(report, stage, site, eye, n, options.only)
    report.publish(options.json)


def measure(report: Report, stage: Stage, site: RunningSite, eye: Eye, n: int, only: str) -> None:
    """Every harm in turn."""

    def server_killed() -> float:
        stage.a.kill()
        time.sleep(SERVER_AWAY_S)
        stage.a.start()
        return time.monotonic()

    def server_silent() -> float:
        stage.a.send(signal.SIGSTOP)
        time.sleep(SERVER_AWAY_S)
        stage.a.send(signal.SIGCONT)
        return time.monotonic()

    def cable_cut() -> float:
        assert stage.cable is not None
        stage.cable.cut()
        time.sleep(SERVER_AWAY_S)
        stage.cable.mend()
        return time.monotonic()

    def of_ours(name: str, number: signal.Signals) -> Callable[[], float]:
        def harm() -> float:
            status = site.status()
            assert status is not None
            return strike(status.pids[name], number)

        return harm

    def site_harmed(number: signal.Signals) -> Callable[[], float]:
        def harm() -> float:
            time.sleep(STAND_IN_S)
            return strike(site.pids()["site"], number)

        return harm

    harms: dict[str, Callable[[], float]] = {
        "camera server killed and back": server_killed,
        "camera server stopped and going on": server_silent,
    }
    if stage.cable is not None:
        harms["cable cut and mended"] = cable_cut
    for number in (signal.SIGSTOP, signal.SIGSEGV):
        harms[f"decoder {number.name}"] = of_ours("camera 'a'", number)
    for number in (signal.SIGKILL, signal.SIGSTOP):
        harms[f"detector {number.name}"] = of_ours("detector", number)
        harms[f"the whole site {number.name}"] = site_harmed(number)
    for what, harm in harms.items():
        if only in what:
            print(what, flush=True)
            others = ("b",) if "det" not in what and "site" not in what else ()
            add(report, what, rounds(site, eye, harm, n, others=others))


if __name__ == "__main__":
    main()
