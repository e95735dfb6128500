"""How soon the dashboard can be used, and how soon an incident takes over its screen, in a real browser.

uv run --all-extras python benchmarks/dashboard.py [--rounds 10]

One site watches four cameras, with 1,000 incidents in its store. Each opening is a browser without cache; a
page is usable when every camera has a tile that shows a picture. An incident counts from the moment its
transaction is committed until the alarm is on the screen and its first tone has been asked for.
"""

import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from figures import Report, arguments
from jikimi.passwords import Passwords
from jikimi.store import IncidentRecord, Store, UserRecord
from site_run import CameraServer, RunningSite, film_of, wait_for  # also puts tests/ on the path

from browser import ARGUMENTS, CHROMIUM, Visit, visit  # isort: skip
from mosquitto_server import free_port  # isort: skip

GOAL_OPEN_S, GOAL_ALARM_MS = 2.0, 500.0
CAMERAS, STORED = 4, 1000
NAME, PASSWORD = "bench", "a long password"

SHOWN = "[...document.querySelectorAll('.j-tile')].filter((tile) => Number(tile.dataset.pictures) > 0)"
USABLE = f"{SHOWN}.length === {CAMERAS}"
HEARD = "Number(document.documentElement.dataset.sounded ?? 0)"


def fill(store: Store) -> None:
    """A month of answered incidents, and somebody who looks."""
    now = datetime.now(UTC)
    store.add_user(UserRecord(NAME, Passwords().hash(PASSWORD), "admin", now, now))
    for number in range(STORED):
        at = now - timedelta(minutes=40 * (number + 1))
        uid = uuid.uuid4().hex
        store.open_incident(IncidentRecord(uid, f"c{number % CAMERAS}", "fall-down", at, 0.9), [])
        store.acknowledge(uid, at=at + timedelta(seconds=20), by=NAME)
        store.close_incident(uid, at=at + timedelta(seconds=9), peak=0.9, score=0.1)


def openings(chromium: Browser, base: str, rounds: int) -> list[float]:
    """Seconds from asking for the page to all of it, each time in a browser that has seen nothing."""
    found = []
    with visit(chromium, base) as first:
        first.log_in(NAME, PASSWORD)
        cookies = first.context.cookies()
    for _ in range(rounds):
        with visit(chromium, base) as fresh:
            fresh.context.add_cookies(cookies)
            began = time.monotonic()
            fresh.page.goto(f"{base}/live", wait_until="commit")
            fresh.page.wait_for_function(USABLE, polling=20)
            found.append(time.monotonic() - began)
            print(f"  usable after {found[-1]:.2f} s", flush=True)
    return found


def alarms(shown: Visit, store: Store, rounds: int) -> list[float]:
    """Milliseconds from an incident's commit to its alarm, on the page that is open."""
    found = []
    for _ in range(rounds):
        uid, now = uuid.uuid4().hex, datetime.now(UTC)
        store.open_incident(IncidentRecord(uid, "c0", "fall-down", now, 0.9), [])
        stored_ms = time.time() * 1000
        shown.page.wait_for_function(f"{HEARD} > {stored_ms - 5}", polling="raf")
        found.append(shown.page.evaluate(HEARD) - stored_ms)
        print(f"  heard after {found[-1]:.0f} ms", flush=True)
        store.acknowledge(uid, at=datetime.now(UTC), by=NAME)
        shown.page.wait_for_selector(".j-alarm", state="hidden")
        time.sleep(0.4)
    return found


def p95(values: list[float]) -> float:
    """The value that 95 % do not exceed."""
    return sorted(values)[min(len(values) - 1, round(0.95 * len(values)))]


@contextmanager
def watched(folder: Path) -> Iterator[tuple[str, Store]]:
    """A site that watches, with a month of incidents: where it serves, and its store."""
    names, port = [f"c{i}" for i in range(CAMERAS)], free_port()
    (folder / "site").mkdir()
    with CameraServer(dict.fromkeys(names, film_of(folder))) as server:
        addresses = {each: server.address(each) for each in names}
        with RunningSite(folder / "site", addresses, serve=f"port = {port}") as site:
            wait_for(site.watching, within_s=90)
            wait_for(lambda: "serving on port" in site.log(), within_s=60)
            store = site.store()
            fill(store)
            yield f"http://127.0.0.1:{port}", store
            store.close()


def main() -> None:
    options = arguments(__doc__ or "", rounds=10).parse_args()
    report = Report("dashboard", "The dashboard in Chromium", {"rounds": options.rounds, "incidents": STORED})
    with (
        tempfile.TemporaryDirectory(prefix="jikimi-bench-") as name,
        watched(Path(name)) as (base, store),
        sync_playwright() as driver,
    ):
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        opened = openings(chromium, base, options.rounds)
        with visit(chromium, base) as shown:
            shown.log_in(NAME, PASSWORD)
            shown.page.wait_for_function(USABLE)
            heard = alarms(shown, store, 2 * options.rounds)
        chromium.close()
    report.add("first page usable, cold, worst", max(opened), "s", goal=GOAL_OPEN_S, better="lower")
    report.add("incident stored → seen and heard, p95", p95(heard), "ms", goal=GOAL_ALARM_MS, better="lower")
    report.raw = {"opened_s": opened, "heard_ms": heard}
    report.publish(options.json)


if __name__ == "__main__":
    main()
