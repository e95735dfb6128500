"""Which cameras are wanted, while the store changes or is away; and one camera as the site sees it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any, cast

import pytest

from jikimi.errors import SettingsError, StoreBusyError
from jikimi.settings import CameraSettings
from jikimi.status import CameraStatus, SiteStatus
from jikimi.store import Store
from jikimi.watch import following as following_module
from jikimi.watch.child import Child
from jikimi.watch.following import Following
from jikimi.watch.messages import Shelve, TroubleChanged
from jikimi.watch.watched import WatchedCamera
from sites import wait_for
from store_values import NOON, camera

pytest_plugins = ("store_fixtures",)


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following_module, "_LOOK_EVERY_S", 0.05)


def names(following: Following) -> list[str]:
    return sorted(following.wanted)


def test_cameras_of_file_and_store_are_wanted_and_followed(sqlite_store: Store) -> None:
    following = Following(sqlite_store, [camera("a")])
    following.start()
    assert names(following) == ["a"]
    sqlite_store.put_camera(camera("b"), at=NOON)
    wait_for(lambda: names(following) == ["a", "b"])
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    for name in ("a", "b"):
        sqlite_store.shelve(name, until=until, by="kim")
    wait_for(lambda: all(wish.shelved_until == until for wish in following.wanted.values()))
    sqlite_store.put_camera(camera("b", "rtsp://10.0.0.9/other"), at=NOON)
    wait_for(lambda: following.wanted["b"].settings.address.reveal().endswith("other"))
    sqlite_store.remove_camera("b")
    wait_for(lambda: names(following) == ["a"])
    following.stop()


def test_camera_that_is_in_both_is_refused_at_the_start_and_the_files_counts_later(
    sqlite_store: Store,
) -> None:
    following = Following(sqlite_store, [camera("a")])
    following.start()
    sqlite_store.put_camera(camera("a", "rtsp://10.0.0.9/other"), at=NOON)
    sqlite_store.put_camera(camera("b"), at=NOON)
    wait_for(lambda: names(following) == ["a", "b"])
    assert following.wanted["a"].settings == camera("a")
    following.stop()
    with pytest.raises(SettingsError, match=r"'a' is in jikimi\.toml and in the store"):
        Following(sqlite_store, [camera("a")]).look()


@dataclass
class Away:
    """A store that may be away, or broken."""

    store: Store
    error: Exception | None = None
    asked: int = 0

    def cameras_version(self) -> str:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return self.store.cameras_version()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)


@pytest.mark.parametrize("error", [StoreBusyError("database x: is away"), RuntimeError("a bug")])
def test_store_that_is_away_leaves_everything_as_it_is(sqlite_store: Store, error: Exception) -> None:
    away = Away(sqlite_store)
    following = Following(cast(Store, away), [camera("a")])
    following.start()
    away.error = error
    asked = away.asked
    wait_for(lambda: away.asked > asked + 2)
    assert names(following) == ["a"]
    sqlite_store.put_camera(camera("b"), at=NOON)
    away.error = None
    wait_for(lambda: names(following) == ["a", "b"])
    following.stop()


@dataclass
class FakeChild:
    """A camera's process as its parent sees it."""

    said: list[Any] = field(default_factory=list)
    told: list[Any] = field(default_factory=list)
    restarts: int = 0
    running: bool = True
    problem: str = ""
    pipe: Connection | None = None

    def poll(self) -> list[Any]:
        said, self.said = self.said, []
        return said

    def tell(self, message: Any) -> bool:
        self.told.append(message)
        return True


@pytest.fixture
def child() -> FakeChild:
    return FakeChild(pipe=Pipe()[0])


def watched(child: FakeChild, clock: Callable[[], float] = time.monotonic, **more: Any) -> WatchedCamera:
    settings = CameraSettings.model_validate({"name": "a", "address": "rtsp://10.0.0.5/x"})
    return WatchedCamera(settings, cast(Child, child), clock, **more)


def status(**counts: Any) -> CameraStatus:
    return CameraStatus(name="a", state="live", **counts)


def test_trouble_that_was_just_told_is_not_over_because_the_status_before_it_lacks_it(
    child: FakeChild,
) -> None:
    one = watched(child)
    child.said = [status()]
    one.poll()
    assert one.heard() is not None
    trouble = TroubleChanged("frozen", True, "camera 'a': frozen")
    child.said = [status(), trouble]
    assert one.poll() == [trouble]
    assert one.heard() is None
    child.said = [status(faults=["frozen"])]
    one.poll()
    heard = one.heard()
    assert heard is not None and heard.faults == ["frozen"]


def test_new_process_is_told_until_when_its_camera_is_shelved_now(child: FakeChild) -> None:
    """It is given what was wished when the camera was added: a shelf taken back would silence it still."""
    one = watched(child, shelved_until=NOON)
    one.poll()
    assert child.told == [Shelve(NOON)]
    one.poll()
    assert len(child.told) == 1
    one.shelved_until, child.pipe = None, Pipe()[0]
    one.poll()
    assert child.told[1:] == [Shelve(None)]


def test_counters_go_on_over_a_process_that_is_lost(child: FakeChild) -> None:
    one = watched(child)
    for said in (status(decisions=10, due_s=60.0, seen_s=50.0), status(due_s=0.0), status(due_s=2.0)):
        child.said = [said]
        one.poll()
    now = one.status()
    assert (now.decisions, now.due_s, now.seen_s) == (10, 62.0, 50.0)


def test_time_of_a_camera_that_sends_nothing_is_due_all_the_same(child: FakeChild) -> None:
    one = watched(child)
    for due_s in (100.0, 0.0, 5.0):  # no counter but time tells the processes apart
        child.said = [status(due_s=due_s)]
        one.poll()
    assert one.status().due_s == 105.0


def test_time_without_a_process_is_due_and_not_seen(child: FakeChild) -> None:
    now = [0.0]
    one = watched(child, lambda: now[0])
    child.running = False
    for now[0] in (0.0, 1.0, 2.0):
        one.count_idle(due=True)
    now[0] = 10.0
    one.count_idle(due=False)
    assert one.status().due_s == 2.0 and one.status().state == "connecting"


def test_ages_grow_while_nothing_is_heard(child: FakeChild) -> None:
    now = [0.0]
    one = watched(child, lambda: now[0])
    child.said = [status(decided_age_s=0.1, picture_age_s=0.05)]
    one.poll()
    now[0] = 7.0
    told = one.status()
    assert (told.decided_age_s, told.picture_age_s) == (7.1, 7.05)


def test_process_that_is_away_or_lost_again_and_again_is_a_trouble(child: FakeChild) -> None:
    now = [0.0]
    one = watched(child, lambda: now[0])
    child.running = False
    assert one.watch.trouble() == ""  # the first start may take its time
    child.restarts, child.problem = 1, "camera 'a' ended by SIGSEGV"
    assert one.watch.trouble() == "" and one.lost() and not one.lost()
    now[0] = 4.0
    assert "SIGSEGV" in one.watch.trouble()
    child.running = True
    assert one.watch.trouble() == ""
    child.restarts = 3
    assert "3 times" in one.watch.trouble()
    now[0] = 400.0
    assert one.watch.trouble() == ""


def test_status_of_before_the_clock_was_put_back_is_old() -> None:
    told = SiteStatus(at=NOON, started_at=NOON)
    assert told.age_s(NOON + timedelta(seconds=2)) == 2
    assert told.age_s(NOON - timedelta(hours=1)) == 3600
