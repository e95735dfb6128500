"""How many RTSP cameras a machine watches, how old decisions get, and what a camera costs.

uv run --all-extras python benchmarks/many_cameras.py [--cameras 8 16 24] [--main 4 6 8]

Sub-streams are 640×360 at 15 pictures a second; main streams 1080p30, decoded and recorded. The server runs
on the same cores: its share is told, and is what a plant's cameras would do themselves.
"""

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from figures import Report, arguments
from jikimi.shipped import shipped_model
from jikimi.status import Histogram
from process import run
from site_run import CameraServer, Film, RunningSite, cpu_s, film, memory_mb, wait_for

GOAL_AGE_MS, GOAL_MEMORY_MB, GOAL_SUB, GOAL_SHARE = 300.0, 80.0, 24, 0.8

# No decision about a picture that came longer ago than this.
LATE_S = 0.5


@dataclass(frozen=True, slots=True)
class Load:
    """What a number of cameras came to. `ages` are of the decisions; `*_cores` are mean processor use."""

    n: int
    due: int
    decisions: int
    dropped: int
    ages: Histogram
    site_cores: float
    server_cores: float
    camera_mb: float

    @property
    def carried(self) -> bool:
        """All cameras are watched at the model's rate, no picture is dropped, and nothing is decided late."""
        whole = self.decisions >= 0.97 * self.due and self.dropped <= 0.01 * self.due
        return whole and self.ages.share_above(LATE_S) == 0.0


def measure(folder: Path, shown: Film, n: int, *, seconds: float) -> Load:
    """Watch `n` cameras for so long, after they have all been live for a while."""
    names = [f"c{i}" for i in range(n)]
    folder.mkdir()
    with CameraServer(dict.fromkeys(names, shown)) as server:
        addresses = {name: server.address(name) for name in names}
        site = RunningSite(folder, addresses, bundle=shipped_model(), threads=0)
        with site:
            wait_for(site.watching, within_s=180)
            time.sleep(10)
            return _watched(site, server, n, seconds=seconds)


def _watched(site: RunningSite, server: CameraServer, n: int, *, seconds: float) -> Load:
    assert site.process is not None and server.process is not None
    before = site.status()
    assert before is not None
    began, used, served = time.monotonic(), cpu_s(site.process.pid), cpu_s(server.process.pid)
    time.sleep(seconds)
    after = site.status()
    assert after is not None
    passed_s = (after.at - before.at).total_seconds()
    wall_s = time.monotonic() - began
    ages = Histogram()
    for old, new in zip(before.cameras, after.cameras, strict=True):
        pairs = zip(old.stages["decided"].counts, new.stages["decided"].counts, strict=True)
        ages.merge(Histogram(counts=[b - a for a, b in pairs]))
    return Load(
        n=n,
        due=round(passed_s * 8 * n),
        decisions=sum(b.decisions - a.decisions for a, b in zip(before.cameras, after.cameras, strict=True)),
        dropped=sum(b.dropped - a.dropped for a, b in zip(before.cameras, after.cameras, strict=True)),
        ages=ages,
        site_cores=(cpu_s(site.process.pid) - used) / wall_s,
        server_cores=(cpu_s(server.process.pid) - served) / wall_s,
        camera_mb=max(memory_mb(pid) for name, pid in after.pids.items() if name.startswith("camera")),
    )


def decoded_alone(shown: Film) -> float:
    """Streams of this film that `ffmpeg -f null` decodes in real time on all cores, one process a core."""
    cores = psutil.cpu_count() or 1
    began = time.monotonic()
    command = ["ffmpeg", "-nostdin", "-v", "error", "-threads", "1", "-i", str(shown.path), "-f", "null", "-"]
    xargs = ["xargs", "-P", str(cores), "-I{}", *command]
    run(["sh", "-c", f"seq {2 * cores} | {' '.join(xargs)}"])
    seconds = _seconds(shown)
    return 2 * cores * seconds / (time.monotonic() - began)


def _seconds(shown: Film) -> float:
    units = shown.path.read_bytes().count(b"\x00\x00\x00\x01\x09")
    return units / shown.fps


def add(report: Report, what: str, load: Load) -> None:
    """Put one load's figures into the report."""
    p95 = load.ages.quantile(0.95)
    goal = GOAL_AGE_MS if load.n == 8 else None
    report.add(f"{load.n} {what}: decisions of those due", load.decisions / load.due, "")
    age_ms = None if p95 is None else p95 * 1000
    report.add(f"{load.n} {what}: decision age, p95", age_ms, "ms", goal=goal, better="lower")
    report.add(f"{load.n} {what}: pictures dropped", 100 * load.dropped / load.due, "%")
    report.add(f"{load.n} {what}: decisions over 0.5 s old", 100 * load.ages.share_above(LATE_S), "%")
    report.add(f"{load.n} {what}: Jikimi", load.site_cores, "cores")
    report.add(f"{load.n} {what}: the RTSP server", load.server_cores, "cores")
    report.add(
        f"{load.n} {what}: memory of a camera", load.camera_mb, "MB", goal=GOAL_MEMORY_MB, better="lower"
    )


def main() -> None:
    parser = arguments(__doc__ or "", rounds=1)
    parser.add_argument("--cameras", type=int, nargs="*", default=[8, 16, 24], help="numbers of sub-streams")
    parser.add_argument("--main", type=int, nargs="*", default=[4, 6, 8], help="numbers of main streams")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long each is watched")
    options = parser.parse_args()
    settings = {"seconds": options.seconds, "model": "edge-simulated at 8 Hz"}
    report = Report("cameras", "RTSP cameras from a local server, watched by `jikimi serve`", settings)
    with tempfile.TemporaryDirectory(prefix="jikimi-bench-") as name:
        folder = Path(name)
        sub = film(folder / "sub.h264", size="640x360", rate=15, seconds=30, megabits=0.7)
        carried = 0
        for n in options.cameras:
            load = measure(folder / f"sub{n}", sub, n, seconds=options.seconds)
            add(report, "sub-streams", load)
            carried = n if load.carried else carried
        if options.cameras:
            report.add("sub-streams carried", carried, "cameras", goal=GOAL_SUB)
        if options.main:
            main_film = film(folder / "main.h264", size="1920x1080", rate=30, seconds=30, megabits=4)
            alone = decoded_alone(main_film)
            report.add("1080p30 streams that ffmpeg -f null decodes", alone, "cameras")
            carried = 0
            for n in options.main:
                load = measure(folder / f"main{n}", main_film, n, seconds=options.seconds)
                add(report, "main streams", load)
                carried = n if load.carried else carried
            report.add("main streams carried of what ffmpeg decodes", carried / alone, "", goal=GOAL_SHARE)
    report.publish(options.json)


if __name__ == "__main__":
    main()
