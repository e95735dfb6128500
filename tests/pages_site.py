"""A site for tests of the dashboard: its cameras, its users, and the first admin's window."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser

from browser import Visit, visit
from cameras import CameraServer, write_film
from jikimi.passwords import Passwords
from jikimi.store import UserRecord
from mosquitto_server import free_port
from sites import Receiver, RunningSite, shop_floor, wait_for

PASSWORD = "안전제일 2026 프레스"
FPS = 15

# Whom an incident goes to next, by hand: by itself it does not within a test.
LISTS = """
[alerts]
lists = [["hook"], ["boss"]]
escalate_after_s = 3600

[[target]]
name = "boss"
kind = "webhook"
url = "http://127.0.0.1:%d/boss"
secret = "boss's"
"""


@dataclass
class Plant:
    """A running site; on `belt` nothing happens."""

    site: RunningSite
    server: CameraServer
    base: str


@pytest.fixture(scope="module")
def plant(rtsp: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    folder = tmp_path_factory.mktemp("plant")
    accident = write_film(folder / "a.h264", seconds=12, fps=FPS, draw=shop_floor(4 * FPS, 6 * FPS))
    quiet = write_film(folder / "b.h264", seconds=10, fps=FPS, draw=shop_floor(0, 0))
    with CameraServer({"a": accident, "b": quiet}) as server, Receiver() as hook:
        cameras = {"프레스 3": server.address("a"), "belt": server.address("b")}
        port = free_port()
        site = RunningSite(
            folder, cameras, hook, serve=f"port = {port}\nlocal_cameras = true", more=LISTS % hook.port
        )
        with site:
            wait_for(site.watching, within_s=60)
            wait_for(lambda: "serving on port" in site.log(), within_s=60)
            yield Plant(site, server, f"http://127.0.0.1:{port}")


def users(plant: Plant) -> None:
    """Everybody but the first admin, whom the first test makes."""
    kept = Passwords(passes=1, memory_kib=8).hash(PASSWORD)
    store, now = plant.site.store(), datetime.now(UTC)
    store.add_user(UserRecord("hand", kept, "operator", now, now))
    store.add_user(UserRecord("eye", kept, "viewer", now, now, cameras=("belt",)))
    store.close()


@pytest.fixture(scope="module")
def admin(plant: Plant, chromium: Browser) -> Iterator[Visit]:
    """The first admin's window, who was made with the code that `jikimi serve` showed."""
    with visit(chromium, plant.base) as found:
        page = found.open("/")
        code = re.findall(r"set-up code ([A-Z0-9-]+)", plant.site.log())[-1]
        page.fill("input[name=code]", code)
        page.fill("input[name=name]", "김안전")
        page.fill("input[name=password]", PASSWORD)
        page.click("button[type=submit]")
        page.wait_for_url("**/live")
        users(plant)
        yield found


def shelve(plant: Plant, minutes: float) -> None:
    """Let the camera with the accident rest, so that no alarm comes while a test looks at something else."""
    store = plant.site.store()
    store.shelve(
        "프레스 3", until=datetime.now(UTC) + timedelta(minutes=minutes) if minutes else None, by="test"
    )
    store.close()


def one_with_evidence(plant: Plant) -> str:
    """The uid of an incident that is over, with all its evidence. Nothing more happens after it."""
    store = plant.site.store()
    try:
        wait_for(lambda: any(len(store.evidence(one.uid)) >= 4 for one in store.incidents()), within_s=90)
        shelve(plant, 60)
        wait_for(lambda: not store.open_incidents(), within_s=60)
        return next(one.uid for one in store.incidents() if len(store.evidence(one.uid)) >= 4)
    finally:
        store.close()


def acknowledge_all(plant: Plant) -> None:
    """No alarm covers a page from now on."""
    store = plant.site.store()
    for one in store.incidents():
        store.acknowledge(one.uid, at=datetime.now(UTC), by="test")
    store.close()
