"""From incident to webhook, and whether evidence holds, while things are harmed.

uv run --all-extras python benchmarks/alerts.py [--incidents 100]

Eight cameras show an accident every eight seconds, each its own moment. Latency runs from the arrival of
the picture that decided to the webhook's receipt, with nothing harmed. Then every few seconds something is
harmed (a camera's process, the detector, the camera server, the whole site), and every incident's file is
looked at: does it play, and does it show the moment that the incident opened?
"""

import os
import random
import signal
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from figures import Report, arguments
from jikimi.errors import VideoError
from jikimi.incident import Rule
from jikimi.store import EvidenceRecord, IncidentRecord
from jikimi.video import check_evidence
from site_run import CameraServer, Film, Receiver, RunningSite, make_bundle, shop_floor, wait_for, write_film

GOAL_MS = 500.0
CAMERAS, FPS, EVERY_S = 8, 15, 8

# Each accident is an incident of its own.
RULE = Rule(theta_on={"fall-down": 0.5, "jam": 0.5}, close_after=4, cooldown_s=0.5)


def films(folder: Path) -> dict[str, Film]:
    """Cameras whose accidents come one after the other."""
    found = {}
    for n in range(CAMERAS):
        start = FPS * (1 + n % (EVERY_S - 3))
        draw = shop_floor(start, start + round(1.6 * FPS))
        found[f"c{n}"] = write_film(
            folder / f"c{n}.h264", seconds=EVERY_S, fps=FPS, size=(320, 192), draw=draw
        )
    return found


def latencies_ms(hook: Receiver) -> list[float]:
    """From the deciding picture's arrival to the receipt, of every incident that opened."""
    offset = time.time() - time.monotonic()
    return [
        1000 * (received_s + offset - datetime.fromisoformat(body["opened_at"]).timestamp())
        for received_s, key, body in hook.told
        if ":opened:" in key and body.get("behavior")
    ]


def harm(site: RunningSite, server: CameraServer, chance: random.Random) -> str:
    """Do something bad → what."""
    status = site.status()
    pids = dict(status.pids) if status is not None else {}
    what = chance.choice(("camera SIGKILL", "camera SIGSEGV", "camera SIGSTOP", "detector", "server", "site"))
    victims = [name for name in pids if name.startswith("camera")]
    try:
        if what.startswith("camera") and victims:
            os.kill(pids[chance.choice(victims)], getattr(signal, what.split()[1]))
        elif what == "detector" and "detector" in pids:
            os.kill(pids["detector"], signal.SIGKILL)
        elif what == "site" and "site" in pids:
            os.kill(pids["site"], signal.SIGKILL)
        elif what == "server":
            server.kill()
            time.sleep(1.0)
            server.start()
    except ProcessLookupError:
        return f"{what}: gone already"
    return what


def verdict(folder: Path, files: Sequence[EvidenceRecord]) -> str:
    """What an incident's videos come to: the best of them."""
    videos = [file for file in files if file.kind == "video"]
    if not videos:
        return "none"
    for video in videos:
        try:
            check_evidence(folder / video.path, moment_s=max(0.0, -video.start_s))
        except VideoError:
            continue
        return "holds"
    return "does not hold"


def looked_at(site: RunningSite) -> Counter[str]:
    """The evidence of every incident that has been over for a while: of the others it is being written."""
    store = site.store()
    try:
        until = datetime.now(UTC) - timedelta(seconds=20)
        incidents: list[IncidentRecord] = store.incidents(until=until, limit=100_000)
        return Counter(verdict(site.data / "evidence", store.evidence(one.uid)) for one in incidents)
    finally:
        store.close()


def main() -> None:
    parser = arguments(__doc__ or "", rounds=1)
    parser.add_argument("--incidents", type=int, default=100, help="how many, quiet and again harmed")
    options = parser.parse_args()
    wanted = options.incidents
    report = Report("alerts", "Incident to webhook, and evidence among faults", {"incidents": wanted})
    with tempfile.TemporaryDirectory(prefix="jikimi-bench-") as name, Receiver() as hook:
        folder = Path(name)
        chance = random.Random(3)
        with CameraServer(films(folder)) as server:
            addresses = {camera: server.address(camera) for camera in server.films}
            bundle = make_bundle(folder / "quick.jikimi", rule=RULE)
            with RunningSite(folder, addresses, hook, bundle=bundle) as site:
                wait_for(site.watching, within_s=120)
                quiet(report, hook, wanted)
                harmed(report, site, server, chance, wanted)
    report.publish(options.json)


def quiet(report: Report, hook: Receiver, wanted: int) -> None:
    """Latency with nothing harmed."""
    hook.told.clear()
    wait_for(lambda: len(latencies_ms(hook)) >= wanted, within_s=600)
    found = sorted(latencies_ms(hook))
    p95 = found[round(0.95 * (len(found) - 1))]
    report.add("picture to webhook, p95", p95, "ms", goal=GOAL_MS, better="lower")
    report.add("picture to webhook, median", statistics.median(found), "ms")
    report.raw["latencies_ms"] = found


def harmed(
    report: Report, site: RunningSite, server: CameraServer, chance: random.Random, wanted: int
) -> None:
    """Evidence and alerts while things are harmed."""
    before = len(site.incidents())
    done: Counter[str] = Counter()
    while len(site.incidents()) < before + wanted:
        time.sleep(chance.uniform(2.0, 6.0))
        done[harm(site, server, chance)] += 1
    time.sleep(30)  # what was harmed last is back, and all evidence is entered
    wait_for(site.watching, within_s=60)
    found = looked_at(site)
    total = sum(found.values())
    report.add("incidents", total, "")
    report.add("their video plays and holds the event", found["holds"] / total, "", goal=1.0)
    report.add("incidents without a video", found["none"], "")
    report.raw["evidence"], report.raw["harms"] = dict(found), dict(done)
    report.raw["at"] = datetime.now(UTC).isoformat()


if __name__ == "__main__":
    main()
