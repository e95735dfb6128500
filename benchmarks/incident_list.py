"""How soon the API answers over many incidents: the list by any filters, the overview, an export.

uv run --all-extras python benchmarks/incident_list.py [--incidents 100000] [--postgres URL]

A store of a year of incidents, each with its changes and two alerts, is asked through the application as a
dashboard asks: combinations of filters drawn at random, with the total, first and following pages. Without
--postgres, SQLite alone. The database that --postgres names is filled, and should be empty.
"""

import asyncio
import hashlib
import random
import resource
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import insert

from figures import Report, arguments
from jikimi.in_force import Followed
from jikimi.serve import Backend, create_app
from jikimi.settings import Settings
from jikimi.store import Store, open_store
from jikimi.store.tables import (
    Base,
    CoverageRow,
    FaultRow,
    IncidentRow,
    OutboxRow,
    TransitionRow,
)

GOAL_MS = 300.0
CAMERAS = [f"cam-{number:02}" for number in range(16)]
BEHAVIORS = ("bump", "fall-down", "fall-off", "hit", "jam")
ANSWERS = ("correct", "false-alarm", "other-behavior", "unsure")
UNTIL = datetime(2026, 11, 1, tzinfo=UTC)
SINCE = UNTIL - timedelta(days=365)
SECRET = "benchmark"
SHIFTS: list[dict[str, Any]] = [
    {"name": "early", "hours": {"start": "06:00", "end": "14:00"}},
    {"name": "late", "hours": {"start": "14:00", "end": "22:00"}},
    {"name": "night", "hours": {"start": "22:00", "end": "06:00"}},
    {"name": "odd", "hours": {"days": ["mon", "wed"], "start": "06:07", "end": "13:41"}},
]


def incidents(count: int, chance: random.Random) -> Iterator[dict[str, Any]]:
    """A year of incidents: most acknowledged, half answered, few locked, none but the last ones open."""
    span_s = (UNTIL - SINCE).total_seconds()
    for number in range(count):
        opened = SINCE + timedelta(seconds=span_s * number / count + chance.random())
        acknowledged = chance.random() < 0.8
        answer = chance.choice(ANSWERS) if acknowledged and chance.random() < 0.6 else None
        seen_at = opened + timedelta(seconds=chance.lognormvariate(4, 1.2)) if acknowledged else None
        yield {
            "uid": f"{chance.getrandbits(128):032x}", "camera": chance.choice(CAMERAS), "zone": "",
            "behavior": chance.choice(BEHAVIORS), "model": "edge-simulated-1", "peak": chance.random(),
            "opened_at": opened,
            "closed_at": opened + timedelta(seconds=20) if number < count - 5 else None,
            "acknowledged_at": seen_at, "acknowledged_by": "kim" if acknowledged else "",
            "answer": answer, "answered_by": "kim" if answer else "",
            "answer_behavior": "jam" if answer == "other-behavior" else "",
            "answer_note": chance.choice(("", "지게차 지나감", "Checked on site")) if answer else "",
            "locked": chance.random() < 0.01, "escalations": 0, "escalated_at": None,
        }  # fmt: skip


def changes(one: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What happened to an incident."""
    base = {"incident": one["uid"], "score": 0.8, "by": "", "details": {}}
    yield base | {"kind": "opened", "at": one["opened_at"]}
    for second in (1, 2, 3):
        yield base | {"kind": "updated", "at": one["opened_at"] + timedelta(seconds=second)}
    if one["closed_at"]:
        yield base | {"kind": "closed", "at": one["closed_at"]}
    if one["acknowledged_at"]:
        yield base | {"kind": "acknowledged", "at": one["acknowledged_at"]}
    if one["answer"]:
        yield base | {"kind": "answered", "at": one["acknowledged_at"] + timedelta(seconds=90)}


def alerts(one: dict[str, Any], chance: random.Random) -> Iterator[dict[str, Any]]:
    """Who was told of an incident, with a payload as long as ours are."""
    for target in ("control-room", "broker"):
        took_s = chance.lognormvariate(-1.5, 0.6)
        yield {
            "key": f"{one['uid']}:opened:{target}", "target": target, "subject": "incident",
            "uid": one["uid"], "kind": "opened", "payload": {"text": "x" * 700}, "state": "delivered",
            "attempts": 1, "next_at": one["opened_at"], "created_at": one["opened_at"],
            "delivered_at": one["opened_at"] + timedelta(seconds=took_s), "last_error": "",
        }  # fmt: skip


def fill(store: Store, count: int) -> None:
    """A year of everything."""
    chance = random.Random(5)
    rows = list(incidents(count, chance))
    hours = [SINCE + timedelta(hours=hour) for hour in range(365 * 24)]
    tables: list[tuple[type[Base], Sequence[dict[str, Any]]]] = [
        (IncidentRow, rows),
        (TransitionRow, [change for one in rows for change in changes(one)]),
        (OutboxRow, [alert for one in rows for alert in alerts(one, chance)]),
        (CoverageRow, [
            {"camera": camera, "hour": hour, "seen_s": 3550.0, "due_s": 3600.0}
            for camera in CAMERAS for hour in hours
        ]),
        (FaultRow, [
            {
                "uid": f"f{number}", "camera": chance.choice(CAMERAS), "kind": "offline", "message": "",
                "began_at": (began := chance.choice(hours)), "ended_at": began + timedelta(minutes=7),
            }
            for number in range(2000)
        ]),
    ]  # fmt: skip
    for table, values in tables:
        for start in range(0, len(values), 5000):
            with store._writing() as session:
                session.execute(insert(table), list(values[start : start + 5000]))


def queries(count: int, chance: random.Random) -> list[str]:
    """Filters by themselves, then several at once, as people click them together."""
    since = SINCE + timedelta(days=chance.randrange(300))
    parts = {
        "camera": lambda: "&".join(f"camera={name}" for name in chance.sample(CAMERAS, chance.randint(1, 4))),
        "behavior": lambda: f"behavior={chance.choice(BEHAVIORS)}",
        "answer": lambda: f"answer={chance.choice((*ANSWERS, 'unanswered'))}",
        "acknowledged": lambda: f"acknowledged={chance.choice(('true', 'false'))}",
        "open": lambda: f"open={chance.choice(('true', 'false'))}",
        "locked": lambda: f"locked={chance.choice(('true', 'false'))}",
        "range": lambda: (
            f"since={since:%Y-%m-%dT%H:%M:%SZ}&until={since + timedelta(days=30):%Y-%m-%dT%H:%M:%SZ}"
        ),
        "shift": lambda: f"shift={chance.choice([shift['name'] for shift in SHIFTS])}",
        "peak": lambda: f"min_peak={chance.choice((0.5, 0.9, 0.9999))}",
        "note": lambda: f"note={chance.choice(('지게차', 'SITE', 'nowhere'))}",
    }
    found = ["", *(make() for make in parts.values() for _ in range(3))]
    while len(found) < count:
        chosen = chance.sample(sorted(parts), chance.randint(2, 5))
        found.append("&".join(parts[name]() for name in chosen))
    return found[:count]


def between(since: datetime, until: datetime) -> str:
    """A range as the API takes it."""
    return f"since={since:%Y-%m-%dT%H:%M:%SZ}&until={until:%Y-%m-%dT%H:%M:%SZ}"


def settings(folder: Path) -> Settings:
    """A plant with shifts and one token."""
    token = {"name": "bench", "sha256": hashlib.sha256(SECRET.encode()).hexdigest(), "role": "admin"}
    site = {"data": folder, "time_zone": "Asia/Seoul"}
    return Settings.model_validate({"site": site, "shift": SHIFTS, "token": [token]})


async def ask(store: Store, folder: Path, paths: Sequence[str]) -> list[tuple[float, float]]:
    """Milliseconds to each answer: by the clock, and of this process's processor time."""
    backend = Backend(
        Followed(settings(folder), store), store, folder / "status.json", check_camera=lambda _: None,
        try_target=lambda _: 0.0, try_camera=lambda _: {},
    )  # fmt: skip
    transport = httpx.ASGITransport(app=create_app(backend))
    headers = {"Authorization": f"Bearer {SECRET}"}
    found = []
    async with httpx.AsyncClient(transport=transport, base_url="http://plant", headers=headers) as client:
        for path in paths:
            start, used = time.perf_counter(), processor_s()
            answer = await client.get(f"/api/v1{path}")
            answer.raise_for_status()
            found.append((1000 * (time.perf_counter() - start), 1000 * (processor_s() - used)))
    return found


def processor_s() -> float:
    """Seconds of processor this process has used."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def p95(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=20, method="inclusive")[-1]


def measure(report: Report, kind: str, store: Store, folder: Path, options: Any) -> None:
    """All that is asked of one database."""
    lists = [f"/incidents?count=true&{query}" for query in queries(options.queries, random.Random(6))]
    asyncio.run(ask(store, folder, lists[:5]))
    found = asyncio.run(ask(store, folder, lists))
    walls = [wall for wall, _ in found]
    report.add(f"{kind}: list with total, p95", p95(walls), "ms", goal=GOAL_MS, better="lower")
    report.add(f"{kind}: list with total, median", statistics.median(walls), "ms")
    report.add(f"{kind}: list with total, slowest", max(walls), "ms")
    report.add(f"{kind}: processor of this process, p95", p95([used for _, used in found]), "ms")
    slowest = sorted(zip(walls, lists, strict=True), reverse=True)
    report.raw[kind] = [(round(wall, 1), path) for wall, path in slowest]
    for wall, path in slowest[:8]:
        print(f"  {kind}: {wall:6.0f} ms {path}", flush=True)
    month, year = between(UNTIL - timedelta(days=30), UNTIL), between(SINCE, UNTIL)
    for name, path in {
        "overview of 30 days": f"/overview?{month}",
        "overview of a year": f"/overview?{year}",
        "report of a month": "/report?month=2026-10",
        "export of a year": f"/incidents.csv?{year}",
    }.items():
        times = [wall for wall, _ in asyncio.run(ask(store, folder, [path] * options.rounds))]
        report.add(f"{kind}: {name}", statistics.median(times), "ms")


def main() -> None:
    parser = arguments(__doc__ or "", rounds=3)
    parser.add_argument("--incidents", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=150, help="combinations of filters")
    parser.add_argument("--postgres", default=None, help="URL of an empty database")
    options = parser.parse_args()
    about = {"incidents": options.incidents, "queries": options.queries, "rounds": options.rounds}
    report = Report("incident_list", "The API's answers over a year of incidents", about)
    with tempfile.TemporaryDirectory(prefix="jikimi-bench-") as name:
        folder = Path(name)
        urls = {"SQLite": f"sqlite:///{folder / 'jikimi.db'}"}
        if options.postgres is not None:
            urls["PostgreSQL"] = options.postgres
        for kind, url in urls.items():
            with open_store(url) as store:
                start = time.monotonic()
                fill(store, options.incidents)
                print(f"  {kind}: filled in {time.monotonic() - start:.0f} s", flush=True)
                measure(report, kind, store, folder, options)
    report.publish(options.json)


if __name__ == "__main__":
    main()
