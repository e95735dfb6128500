"""What it costs to be looked at: browsers that show every camera, and decisions with and without them.

uv run --all-extras python benchmarks/live.py [--cameras 8] [--clients 20] [--seconds 30] [--rounds 2]

One site watches all along; spans in which nobody looks, in which everybody does, and in which nobody looks
and a stranger works take turns. Clients show every camera at the model's rate over one connection each. They
run on the same cores, at the lowest priority: in a plant they are elsewhere. Meanwhile incidents are put into
the store: how soon does a client know? The stranger has nothing to do with Jikimi and runs only where nobody
else wants to: as much processor time as being looked at takes, at no other cost than the machine's own.
"""

import argparse
import asyncio
import hashlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from figures import Report, arguments
from jikimi.shipped import shipped_model
from jikimi.status import Histogram, SiteStatus
from jikimi.store import IncidentRecord, Store
from many_cameras import GOAL_AGE_MS, LATE_S
from site_run import CameraServer, RunningSite, film, memory_mb, wait_for

GOAL_NEWS_MS, GOAL_OLDER, RATE_HZ = 500.0, 10.0, 8.0

SECRET = "benchmark"
TOKEN = f'[[token]]\nname = "wall"\nsha256 = "{hashlib.sha256(SECRET.encode()).hexdigest()}"'

# Connections are opened, and the last pictures of the span before have gone.
SETTLE_S = 4.0


@dataclass(slots=True)
class Client:
    """One browser: pictures that came, their ages on arrival, and when it heard of an incident."""

    pictures: int = 0
    ages_s: list[float] = field(default_factory=list)
    heard: dict[str, float] = field(default_factory=dict)
    taken_bytes: int = 0

    async def look(self, port: int, cameras: Sequence[str], seconds: float) -> None:
        """Show these cameras for so long, after a while to settle."""
        url = f"ws://127.0.0.1:{port}/api/v1/live"
        headers = {"Authorization": f"Bearer {SECRET}"}
        async with connect(url, additional_headers=headers, max_size=None, compression=None) as socket:
            await socket.send(json.dumps({"pictures": list(cameras), "rate_hz": RATE_HZ}))
            begins = time.monotonic() + SETTLE_S
            while (left := begins + seconds - time.monotonic()) > 0:
                try:
                    message = await asyncio.wait_for(socket.recv(), left)
                except (TimeoutError, ConnectionClosed):
                    return
                self.take(message, counts=time.monotonic() >= begins)

    def take(self, message: str | bytes, *, counts: bool) -> None:
        """Note what came; pictures only where they count."""
        if isinstance(message, bytes):
            if not counts:
                return
            length = int.from_bytes(message[:4])
            self.pictures += 1
            self.taken_bytes += len(message)
            self.ages_s.append(time.time() - json.loads(message[4 : 4 + length])["at"])
            return
        told = json.loads(message)
        if told["type"] == "incident" and told["change"]["kind"] == "opened":
            self.heard[told["incident"]["uid"]] = time.monotonic()


async def look_on(port: int, cameras: Sequence[str], *, clients: int, seconds: float) -> dict[str, Any]:
    """All the clients at once → what they saw."""
    every = [Client() for _ in range(clients)]
    await asyncio.gather(*(client.look(port, cameras, seconds) for client in every))
    used = psutil.Process().cpu_times()
    return {
        "rates": [client.pictures / seconds / len(cameras) for client in every],
        "ages_s": sorted(age_s for client in every for age_s in client.ages_s),
        "heard": [client.heard for client in every],
        "bytes_per_s": sum(client.taken_bytes for client in every) / seconds,
        "cores": (used.user + used.system) / (seconds + SETTLE_S),
    }


@dataclass(frozen=True, slots=True)
class Span:
    """A span of watching, with or without clients: `*_cores` are mean processor use."""

    ages: Histogram
    decisions: int
    due: int
    api_cores: float
    camera_cores: float
    detector_cores: float
    api_mb: float
    seen: dict[str, Any] | None = None
    news_ms: list[float] = field(default_factory=list)
    incidents: int = 0


def cores(pids: Sequence[int], before: Sequence[float], passed_s: float) -> float:
    """Processor use of these processes since `before`."""
    return (sum(used_s(pids)) - sum(before)) / passed_s


def used_s(pids: Sequence[int]) -> list[float]:
    """Seconds of processor time of each."""
    times = [psutil.Process(pid).cpu_times() for pid in pids]
    return [one.user + one.system for one in times]


def status_of(site: RunningSite) -> SiteStatus:
    status = site.status()
    assert status is not None
    return status


def ages_between(old: SiteStatus, new: SiteStatus) -> Histogram:
    """Ages of the decisions between two statuses."""
    ages = Histogram()
    for before, after in zip(old.cameras, new.cameras, strict=True):
        pairs = zip(before.stages["decided"].counts, after.stages["decided"].counts, strict=True)
        ages.merge(Histogram(counts=[b - a for a, b in pairs]))
    return ages


def put_incidents(store: Store, cameras: Sequence[str], seconds: float) -> dict[str, float]:
    """Two incidents a second → when each was in the store."""
    stored: dict[str, float] = {}
    until = time.monotonic() + seconds
    while (now_s := time.monotonic()) < until:
        uid = uuid.uuid4().hex
        camera = cameras[len(stored) % len(cameras)]
        store.open_incident(IncidentRecord(uid, camera, "fall-down", datetime.now(UTC), 0.9), [])
        stored[uid] = time.monotonic()
        # Not in step with the server's own looks.
        time.sleep(max(0.0, 0.5 + 0.1 * ((len(stored) * 7) % 10) / 10 - (time.monotonic() - now_s)))
    return stored


def span(
    site: RunningSite,
    cameras: Sequence[str],
    *,
    port: int,
    clients: int,
    seconds: float,
    stranger_cores: float = 0.0,
) -> Span:
    """Watch for so long, with so many clients, or a stranger that uses so many cores."""
    looking = _clients(port, cameras, clients=clients, seconds=seconds) if clients else None
    strange = _stranger(stranger_cores, seconds + SETTLE_S) if stranger_cores else None
    time.sleep(SETTLE_S)
    before, pids = status_of(site), site.pids()
    cameras_pids = [pid for name, pid in before.pids.items() if name.startswith("camera")]
    groups = ([pids["api"]], cameras_pids, [before.pids["detector"]])
    used, began = [used_s(group) for group in groups], time.monotonic()
    store = site.store()
    stored = put_incidents(store, cameras, seconds - 1) if clients else {}
    store.close()
    time.sleep(max(0.0, began + seconds - time.monotonic()))
    after, passed_s = status_of(site), time.monotonic() - began
    api, camera, detector = (cores(g, u, passed_s) for g, u in zip(groups, used, strict=True))
    seen = None if looking is None else json.loads(looking.communicate(timeout=60)[0])
    if strange is not None:
        strange.wait(timeout=60)
    return Span(
        ages=ages_between(before, after),
        decisions=sum(b.decisions - a.decisions for a, b in zip(before.cameras, after.cameras, strict=True)),
        due=round((after.at - before.at).total_seconds() * RATE_HZ * len(cameras)),
        api_cores=api,
        camera_cores=camera / len(cameras),
        detector_cores=detector,
        api_mb=memory_mb(pids["api"]),
        seen=seen,
        news_ms=list(news_ms(seen["heard"], stored)) if seen else [],
        incidents=len(stored) * clients,
    )


def _clients(port: int, cameras: Sequence[str], *, clients: int, seconds: float) -> "subprocess.Popen[str]":
    command = [sys.executable, __file__, "--look-on", str(port), "--clients", str(clients)]
    command += ["--seconds", str(seconds), "--cameras", str(len(cameras))]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _stranger(cores: float, seconds: float) -> "subprocess.Popen[str]":
    command = [sys.executable, __file__, "--stranger", str(cores), "--seconds", str(seconds)]
    return subprocess.Popen(command, text=True)


def work_as_stranger(cores: float, seconds: float) -> None:
    """Copy a megabyte again and again, at the rhythm of pictures, when nobody else wants the processor."""
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    megabyte, beat_s, until = bytes(1 << 20), 1 / RATE_HZ, time.monotonic() + seconds
    while (now_s := time.monotonic()) < until:
        used_s = time.process_time()
        while time.process_time() - used_s < beat_s * cores and time.monotonic() - now_s < beat_s:
            bytearray(megabyte)
        time.sleep(max(0.0, now_s + beat_s - time.monotonic()))


def news_ms(heard: Sequence[dict[str, float]], stored: dict[str, float]) -> Iterator[float]:
    """From stored to heard, of every incident that a client heard of."""
    for client in heard:
        for uid, stored_s in stored.items():
            if uid in client:
                yield 1000 * max(0.0, client[uid] - stored_s)


def p95(values: Sequence[float]) -> float | None:
    return statistics.quantiles(values, n=20)[-1] if len(values) > 1 else None


def add_side(report: Report, what: str, spans: Sequence[Span]) -> float | None:
    """What every side has → its decisions' age, p95, in ms."""
    ages = Histogram()
    for one in spans:
        ages.merge(one.ages)
    age_s = ages.quantile(0.95)
    age_ms = None if age_s is None else 1000 * age_s
    report.add(f"{what}: decision age, p95", age_ms, "ms", goal=GOAL_AGE_MS, better="lower")
    report.add(f"{what}: decisions over 0.5 s old", 100 * ages.share_above(LATE_S), "%")
    share = sum(one.decisions for one in spans) / sum(one.due for one in spans)
    report.add(f"{what}: decisions of those due", share, "")
    report.add(f"{what}: the part that serves", statistics.mean(s.api_cores for s in spans), "cores")
    report.add(f"{what}: a camera's process", statistics.mean(s.camera_cores for s in spans), "cores")
    report.add(f"{what}: the detector", statistics.mean(s.detector_cores for s in spans), "cores")
    report.add(f"{what}: memory of the part that serves", max(s.api_mb for s in spans), "MB")
    return age_ms


def add_clients(report: Report, spans: Sequence[Span]) -> None:
    """What clients saw."""
    seen = [one.seen for one in spans if one.seen is not None]
    rates = [rate for one in seen for rate in one["rates"]]
    median = statistics.median(rates)
    report.add("pictures a second of each camera, median client", median, "", goal=RATE_HZ)
    report.add("pictures a second of each camera, worst client", min(rates), "")
    ages_s = [age_s for one in seen for age_s in one["ages_s"]]
    age_s = p95(ages_s)
    report.add("age of a picture at the client, p95", None if age_s is None else 1000 * age_s, "ms")
    report.add("sent to all clients", statistics.mean(s["bytes_per_s"] for s in seen) / 1e6, "MB/s")
    report.add("the clients", statistics.mean(s["cores"] for s in seen), "cores")
    news = [one for s in spans for one in s.news_ms]
    report.add(
        "incident in the store → at the client, p95", p95(news), "ms", goal=GOAL_NEWS_MS, better="lower"
    )
    told = sum(one.incidents for one in spans)
    report.add("incidents that a client was told of", 100 * len(news) / told if told else None, "%")
    report.raw["news_ms"] = (
        {"n": len(news), "median": statistics.median(news), "max": max(news)} if news else {}
    )


def main() -> None:
    parser = arguments(__doc__ or "", rounds=2)
    parser.add_argument("--cameras", type=int, default=8, help="sub-streams that are watched and shown")
    parser.add_argument("--clients", type=int, default=20, help="browsers that show all of them")
    parser.add_argument("--seconds", type=float, default=30.0, help="how long a span is")
    parser.add_argument("--look-on", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--stranger", type=float, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    names = [f"c{i}" for i in range(options.cameras)]
    if options.look_on:
        os.nice(19)
        work = look_on(options.look_on, names, clients=options.clients, seconds=options.seconds)
        print(json.dumps(asyncio.run(work)))
        return
    if options.stranger:
        work_as_stranger(options.stranger, options.seconds)
        return
    settings = {
        "cameras": options.cameras, "clients": options.clients, "seconds": options.seconds,
        "rounds": options.rounds, "model": "edge-simulated at 8 Hz",
    }  # fmt: skip
    report = Report(
        "live", "the live connection of `jikimi serve`: every client shows every camera", settings
    )
    quiet: list[Span] = []
    watched: list[Span] = []
    beside: list[Span] = []
    with tempfile.TemporaryDirectory(prefix="jikimi-bench-") as name:
        folder = Path(name)
        shown = film(folder / "sub.h264", size="640x360", rate=15, seconds=30, megabits=0.7)
        with CameraServer(dict.fromkeys(names, shown)) as server:
            addresses = {name: server.address(name) for name in names}
            with RunningSite(folder, addresses, more=TOKEN, bundle=shipped_model()) as site:
                wait_for(site.watching, within_s=180)
                port = int(wait_for(lambda: re.search(r"serving on port (\d+)", site.log()))[1])
                time.sleep(10)
                for _ in range(options.rounds):
                    quiet.append(span(site, names, port=port, clients=0, seconds=options.seconds))
                    clients = options.clients
                    watched.append(span(site, names, port=port, clients=clients, seconds=options.seconds))
                    taken = watched[-1].api_cores + (watched[-1].seen or {"cores": 0.0})["cores"]
                    beside.append(
                        span(site, names, port=port, clients=0, seconds=options.seconds, stranger_cores=taken)
                    )
    alone_ms = add_side(report, "nobody looks", quiet)
    looked_at_ms = add_side(report, f"{options.clients} look", watched)
    add_side(report, "a stranger works", beside)
    older = None if not alone_ms or looked_at_ms is None else 100 * (looked_at_ms / alone_ms - 1)
    report.add(f"{options.clients} look: decisions are older by", older, "%", goal=GOAL_OLDER, better="lower")
    add_clients(report, watched)
    report.publish(options.json)


if __name__ == "__main__":
    main()
