"""A site among failing things: receivers, database, disk. Watching goes on, and no alert is lost.

`JIKIMI_AWAY_S=180` keeps things away for minutes; its outcome is in docs/benchmarks.md.
"""

import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bundles import make_bundle
from cameras import CameraServer, rtsp, write_film
from jikimi.incident import Rule
from mosquitto_server import Listener, Mosquitto, mosquitto
from sites import Receiver, RunningSite, shop_floor, wait_for

if TYPE_CHECKING:
    from postgres_server import Postgres

pytest_plugins = ("postgres_server",)

__all__ = ["mosquitto", "rtsp"]

AWAY_S = float(os.environ.get("JIKIMI_AWAY_S", "8"))
FPS = 15

# An accident every four seconds, each an incident of its own.
RULE = Rule(theta_on={"fall-down": 0.5, "jam": 0.5}, close_after=4, cooldown_s=0.2)


@pytest.fixture(scope="module")
def address(rtsp: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A camera that shows an accident every four seconds."""
    folder = tmp_path_factory.mktemp("film")
    film = write_film(folder / "f.h264", seconds=4, fps=FPS, draw=shop_floor(FPS, 2 * FPS + 8))
    with CameraServer({"a": film}) as server:
        yield server.address("a")


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


Make = Callable[..., RunningSite]


@pytest.fixture
def make(address: str, hook: Receiver, tmp_path: Path) -> Make:
    """A site that is not started yet."""

    def made(folder: Path = tmp_path, **more: object) -> RunningSite:
        bundle = make_bundle(tmp_path / "quick.jikimi", rule=RULE)
        return RunningSite(folder, {"a": address}, hook, bundle=bundle, **more)  # type: ignore[arg-type]

    return made


def untold(site: RunningSite, hook: Receiver) -> set[str]:
    return {f"{incident.uid}:opened:hook" for incident in site.incidents()} - set(hook.keys())


def test_nothing_is_lost_while_webhook_and_broker_are_away(
    make: Make, hook: Receiver, mosquitto: Mosquitto
) -> None:
    more = f'[[target]]\nname = "broker"\nkind = "mqtt"\nurl = "{mosquitto.url()}"'
    with Listener(mosquitto) as listener, make(more=more) as site:
        wait_for(hook.incidents, within_s=60)
        hook.refuses = True
        mosquitto.kill()
        before = len(site.incidents())
        time.sleep(AWAY_S)
        assert site.watching()
        assert len(site.incidents()) > before
        assert untold(site, hook)
        hook.refuses = False
        mosquitto.start()
        wait_for(lambda: not untold(site, hook), within_s=60)

        def on_broker() -> set[str]:
            return {event["uid"] for event in listener.events("jikimi/incident")}

        wait_for(lambda: {incident.uid for incident in site.incidents()} <= on_broker(), within_s=60)
        keys = [key for _, key, _ in hook.told if ":opened:" in key]
        assert len({key.split(":")[0] for key in keys}) == len(set(keys))


def test_nothing_is_lost_while_another_program_locks_the_database(make: Make, hook: Receiver) -> None:
    with make() as site:
        wait_for(hook.incidents, within_s=60)
        with closing(sqlite3.connect(site.data / "jikimi.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            told = len(hook.incidents())
            time.sleep(AWAY_S + 4)
            status = site.status()
            assert status is not None and status.watching and status.waiting_for_store
            assert list((site.data / "spool").glob("incident-*.json"))
            other.execute("ROLLBACK")
        wait_for(lambda: len(hook.incidents()) >= told + 2, within_s=30)
        wait_for(lambda: not untold(site, hook), within_s=30)
        store = site.store()
        kinds = {fault.kind for fault in store.faults()}
        store.close()
        assert "store" in kinds


def test_full_disk_stops_neither_watching_nor_alerting(
    need: Callable[[str, bool], None], make: Make, hook: Receiver, tmp_path: Path
) -> None:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256m", "none", str(folder)], check=False)
    need("tmpfs", mounted.returncode == 0)
    try:
        with make(folder, more="", evidence="min_free_gb = 0.01") as site:
            wait_for(hook.incidents, within_s=60)
            wait_for(lambda: (site.data / "room-for-alerts").exists(), within_s=10)
            fill(folder / "film")
            told = len(hook.incidents())
            wait_for(lambda: len(hook.incidents()) >= told + 2, within_s=60)
            status = wait_for(site.status)
            assert status.watching and not (site.data / "room-for-alerts").exists()
            wait_for(lambda: "disk-low" in site.status().faults, within_s=20)  # type: ignore[union-attr]
            (folder / "film").unlink()
            wait_for(lambda: "disk-low" not in site.status().faults, within_s=20)  # type: ignore[union-attr]
            wait_for(lambda: not untold(site, hook), within_s=30)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(path: Path) -> None:
    """Write until the disk is full."""
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * (1 << 20))
        except OSError:
            return


def test_site_that_cannot_start_again_is_told(make: Make, hook: Receiver) -> None:
    with make() as site:
        wait_for(hook.incidents, within_s=60)
        config = site.folder / "jikimi.toml"
        sound = config.read_text()
        config.write_text("[site]\nnonsense = 1\n")
        os.kill(site.pids()["site"], signal.SIGKILL)

        def told(event: str) -> bool:
            return any(body.get("fault") == "site" and body["event"] == event for _, _, body in hook.told)

        wait_for(lambda: told("opened"), within_s=60)
        config.write_text(sound)
        wait_for(lambda: told("closed"), within_s=90)
        wait_for(site.watching, within_s=60)


def test_site_on_postgresql_survives_its_restart(make: Make, hook: Receiver, postgres: "Postgres") -> None:
    with postgres.database() as url, make(url=url) as site:
        wait_for(hook.incidents, within_s=90)
        postgres.stop()
        time.sleep(AWAY_S)
        status = site.status()
        assert status is not None and status.watching
        told = len(hook.incidents())
        postgres.start()
        wait_for(lambda: len(hook.incidents()) >= told + 2, within_s=60)
        wait_for(lambda: not untold(site, hook), within_s=30)
        assert "p@ss" not in site.log()
        site.stop()
