"""A challenger on a site: which is wanted, what it would raise, and that its trouble is its own."""

import hashlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np
import pytest

from bundles import make_bundle
from jikimi.bundle import Card, read_card
from jikimi.champion import champion_of, check_rival, check_whole, roll_back
from jikimi.errors import BundleError, SettingsError
from jikimi.frame import Frame
from jikimi.running import ChampionsCard, usable_champion
from jikimi.settings import CameraSettings, ModelSection, Settings
from jikimi.shipped import shipped_model
from jikimi.store import ModelRecord, Store
from jikimi.watch import rivalry as rivalry_module
from jikimi.watch import shadow as shadow_module
from jikimi.watch.camera import CameraReader, Tick
from jikimi.watch.choosing import Choosing, Chosen
from jikimi.watch.messages import IncidentChanged, Rival, ShadowChanged
from jikimi.watch.regions import Regions
from jikimi.watch.rivalry import Rivalry
from jikimi.watch.scribe import Scribe
from jikimi.watch.shadow import Shadow
from jikimi.watch.wire import Look, Verdict, frame_message, pack_verdict
from sites import wait_for
from store_values import NOON, camera
from test_link import FakeDetector

pytest_plugins = ("store_fixtures",)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.model_validate({"site": {"data": tmp_path}})


def add(store: Store, settings: Settings, name: str, **more: Any) -> ModelRecord:
    """A model of the store, its file where its API would have put it."""
    settings.models_folder.mkdir(exist_ok=True)
    made = make_bundle(settings.models_folder / name, name=name, **more)
    sha256 = hashlib.sha256(made.read_bytes()).hexdigest()
    file = made.rename(settings.models_folder / f"{sha256}.jikimi")
    record = ModelRecord(sha256, name, file.name, file.stat().st_size, NOON, "boss")
    assert store.add_model(record)
    return record


# --- which bundle watches


def test_file_goes_before_store_and_store_before_what_jikimi_carries(
    sqlite_store: Store, settings: Settings, tmp_path: Path
) -> None:
    assert champion_of(settings, sqlite_store).origin == champion_of(settings, None).origin == "shipped"
    one = add(sqlite_store, settings, "one")
    sqlite_store.promote(one.sha256, at=NOON)
    found = champion_of(settings, sqlite_store)
    assert found.origin == "store" and found.path == settings.models_folder / one.file
    check_whole(found)
    fixed = settings.model_copy(update={"model": ModelSection(bundle=tmp_path / "x")})
    assert champion_of(fixed, sqlite_store).path == tmp_path / "x"


def test_champions_that_cannot_watch_are_rolled_back_until_one_can(
    sqlite_store: Store, settings: Settings
) -> None:
    good, damaged, picky = (add(sqlite_store, settings, name) for name in ("good", "damaged", "picky"))
    for one in (good, damaged, picky):
        sqlite_store.promote(one.sha256, at=NOON)
    (settings.models_folder / damaged.file).write_bytes(b"x")

    def check(path: Path) -> Card:
        if path.name == picky.file:
            raise SettingsError("camera 'a': behaviour 'x' is not known to model 'picky'")
        return read_card(path)

    champion, card = usable_champion(settings, sqlite_store, check)
    assert card.name == "good" and champion.model is not None and champion.model.sha256 == good.sha256
    states = {one.name: (one.state, one.problem) for one in sqlite_store.models()}
    assert states["damaged"][0] == states["picky"][0] == "failed"
    assert "damaged" in states["damaged"][1] and "not known" in states["picky"][1]
    assert [record.what for record in sqlite_store.audit_trail()] == ["rolled back model"] * 2


def test_below_all_of_them_is_what_jikimi_carries_and_below_that_nothing(
    sqlite_store: Store, settings: Settings
) -> None:
    one = add(sqlite_store, settings, "one")
    sqlite_store.promote(one.sha256, at=NOON)
    (settings.models_folder / one.file).unlink()
    champion, _ = usable_champion(settings, sqlite_store, read_card)
    assert champion.path == shipped_model()

    def refuse(_path: Path) -> Card:
        raise BundleError("it answers otherwise")

    with pytest.raises(BundleError, match="otherwise"):
        usable_champion(settings, sqlite_store, refuse)


def test_who_rolls_back_second_changes_nothing(sqlite_store: Store, settings: Settings) -> None:
    first, second = add(sqlite_store, settings, "first"), add(sqlite_store, settings, "second")
    for one in (first, second):
        sqlite_store.promote(one.sha256, at=NOON)
    for _ in range(2):
        roll_back(sqlite_store, second, "it does not run")
    found = sqlite_store.champion()
    assert found is not None and found.sha256 == first.sha256
    assert len(sqlite_store.audit_trail()) == 1


def test_parts_that_serve_and_deliver_follow_the_champion(
    sqlite_store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jikimi.running._LOOK_EVERY_S", 0.0)
    card = ChampionsCard(settings, sqlite_store)
    assert card().name == read_card(shipped_model()).name
    one = add(sqlite_store, settings, "one")
    sqlite_store.promote(one.sha256, at=NOON)
    assert card().name == "one"
    (settings.models_folder / one.file).write_bytes(b"x")
    assert card().name == "one"
    assert ChampionsCard(settings, sqlite_store)().name == read_card(shipped_model()).name


# --- which challenger is wanted


@pytest.fixture
def choosing(sqlite_store: Store, settings: Settings) -> Choosing:
    champion = add(sqlite_store, settings, "champion")
    sqlite_store.promote(champion.sha256, at=NOON)
    card = read_card(settings.models_folder / champion.file)
    return Choosing(sqlite_store, settings, card, Path("challenger.sock"))


def chosen(choosing: Choosing) -> Chosen:
    choosing.look()
    assert choosing.chosen is not None
    return choosing.chosen


def test_challenger_is_followed_with_its_bundle_and_card(choosing: Choosing, settings: Settings) -> None:
    assert chosen(choosing).rival is None and chosen(choosing) is chosen(choosing)
    rival = add(choosing.store, settings, "rival", window=4)
    choosing.store.challenge(rival.sha256, at=NOON)
    found = chosen(choosing)
    assert found.rival is not None and (found.rival.model, found.rival.card.window) == (rival.sha256, 4)
    assert found.bundle == settings.models_folder / rival.file and not found.problem
    choosing.store.promote(rival.sha256, at=NOON)
    assert chosen(choosing).champion == rival.sha256 and chosen(choosing).rival is None


def test_challenger_that_cannot_run_is_told_and_no_more(choosing: Choosing, settings: Settings) -> None:
    slow = add(choosing.store, settings, "slow", rate_hz=4.0)
    choosing.store.challenge(slow.sha256, at=NOON)
    assert chosen(choosing).rival is None and "4 Hz" in chosen(choosing).problem
    with pytest.raises(SettingsError, match="only a model with the champion's"):
        check_rival(choosing.card, choosing.card.model_copy(update={"short_side_px": 480}))
    gone = add(choosing.store, settings, "gone")
    (settings.models_folder / gone.file).write_bytes(b"x")
    choosing.store.challenge(gone.sha256, at=NOON)
    assert chosen(choosing).rival is None and "damaged" in chosen(choosing).problem


def test_champion_that_was_rolled_back_by_itself_is_told_until_it_is_gone(
    choosing: Choosing, settings: Settings
) -> None:
    bad = add(choosing.store, settings, "bad")
    choosing.store.promote(bad.sha256, at=NOON)
    roll_back(choosing.store, bad, "its detector ended with exit code 1")
    assert "'bad'" in chosen(choosing).failed and "exit code 1" in chosen(choosing).failed
    choosing.store.remove_model(bad.sha256)
    assert chosen(choosing).failed == ""


def test_store_that_is_away_leaves_models_as_they_are(
    choosing: Choosing, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jikimi.watch.choosing._LOOK_EVERY_S", 0.02)
    choosing.start()
    wait_for(lambda: choosing.chosen is not None)
    rival = add(choosing.store, settings, "rival")
    choosing.store.challenge(rival.sha256, at=NOON)
    wait_for(lambda: choosing.chosen is not None and choosing.chosen.rival is not None)
    monkeypatch.setattr(type(choosing.store), "models_version", _away)
    time.sleep(0.1)
    assert choosing.chosen is not None and choosing.chosen.rival is not None
    choosing.stop()


def _away(_store: Store) -> str:
    raise RuntimeError("a bug")


# --- the site's side


@dataclass
class FakeChild:
    """A detector's process as its parent sees it."""

    arguments: tuple[Any, ...]
    options: dict[str, Any]
    restarts: int = 0
    running: bool = True
    problem: str = "challenger ended by SIGSEGV"
    killed: bool = False

    def poll(self) -> list[Any]:
        return []

    def kill(self) -> None:
        self.killed = True


@dataclass
class Side:
    """The site's side of a challenger, with a clock of its own."""

    rivalry: Rivalry
    store: Store
    made: list[FakeChild]
    now_s: float = 0.0

    def written(self) -> Store:
        wait_for(lambda: self.rivalry.scribe.waiting == 0)
        return self.store


@pytest.fixture
def side(
    sqlite_store: Store, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Side]:
    made: list[FakeChild] = []

    def child(*arguments: Any, **options: Any) -> FakeChild:
        made.append(FakeChild(arguments, options))
        return made[-1]

    monkeypatch.setattr(rivalry_module, "Child", child)
    scribe = Scribe(sqlite_store, tmp_path / "spool")
    scribe.start()
    both = Side(Rivalry(scribe, cast(Any, None), ModelSection(), lambda: both.now_s), sqlite_store, made)
    yield both
    assert scribe.finish(5.0)


def wish(side: Side, settings: Settings, name: str = "rival", **more: Any) -> Chosen:
    record = add(side.store, settings, name, **more)
    path = settings.models_folder / record.file
    return Chosen(rival=Rival(record.sha256, read_card(path), Path("x.sock")), bundle=path)


def changed(
    model: str, kind: str, uid: str = "u", *, after_s: float = 0.0, peak: float = 0.9
) -> ShadowChanged:
    at = NOON + timedelta(seconds=after_s)
    return ShadowChanged(model, IncidentChanged(uid, kind, "belt", "jam", at, peak, peak, 1.0, 1.1))  # type: ignore[arg-type]


def test_what_a_challenger_would_raise_is_stored_and_nobody_is_told(side: Side, settings: Settings) -> None:
    wanted = wish(side, settings)
    assert wanted.rival is not None
    model = wanted.rival.model
    assert side.rivalry.follow(wanted) and not side.rivalry.follow(wanted)
    assert side.rivalry.name == "rival" and side.rivalry.running
    for message in (
        changed(model, "opened"),
        changed(model, "updated", after_s=1, peak=0.97),
        changed(model, "closed", after_s=2, peak=0.97),
        changed(model, "opened", "lost"),
        changed("another", "opened", "earlier challenger's"),
        changed(model, "closed", "never opened"),
    ):
        side.rivalry.take("press-3", message)
    side.rivalry.forget("gate")
    side.rivalry.forget("press-3")
    found = {one.uid: one for one in side.written().shadows(model, since=NOON)}
    assert set(found) == {"u", "lost"}
    assert (found["u"].peak, found["u"].closed_at) == (0.97, NOON + timedelta(seconds=2))
    assert found["lost"].closed_at is not None and found["u"].zone == "belt"
    assert side.store.incidents() == []


def test_another_challenger_ends_the_process_and_what_is_open_of_the_one_before(
    side: Side, settings: Settings
) -> None:
    first, second = wish(side, settings), wish(side, settings, "second", window=4)
    assert first.rival is not None
    side.rivalry.follow(first)
    side.rivalry.take("a", changed(first.rival.model, "opened"))
    assert side.rivalry.follow(second) and side.made[0].killed and not side.made[1].killed
    assert side.rivalry.follow(Chosen()) and side.made[1].killed and side.rivalry.children == []
    (found,) = side.written().shadows(first.rival.model, since=NOON)
    assert found.closed_at is not None


def test_its_process_is_restarted_seldom_and_its_trouble_is_told(side: Side, settings: Settings) -> None:
    side.rivalry.follow(wish(side, settings))
    (child,) = side.made
    assert child.options["least_pause_s"] == 30.0
    assert side.rivalry.poll() == ""
    child.restarts, child.running = 1, False
    side.rivalry.poll()
    side.now_s = 10.0
    assert "SIGSEGV" in side.rivalry.poll() and "watching is not touched" in side.rivalry.poll()
    child.running = True
    assert side.rivalry.poll() == ""
    side.rivalry.follow(Chosen(problem="the challenger 'x' does not run: 4 Hz"))
    assert "4 Hz" in side.rivalry.poll()


def test_camera_that_asks_for_what_it_does_not_know_is_left_out_and_told(
    side: Side, settings: Settings
) -> None:
    wanted = wish(side, settings)
    side.rivalry.follow(wanted)
    assert side.rivalry.rival_for(camera("a")) == wanted.rival
    assert side.rivalry.rival_for(camera("b", behaviors=["dance"])) is None
    assert "dance" in side.rivalry.poll()
    side.rivalry.forget("b")
    assert side.rivalry.poll() == ""


def test_time_of_both_is_counted_and_a_slow_one_is_told(side: Side, settings: Settings) -> None:
    hour = NOON.replace(minute=0, second=0, microsecond=0)
    side.rivalry.count({"a": 50.0}, seen_s=60.0, hour=hour)  # of nobody
    wanted = wish(side, settings)
    assert wanted.rival is not None
    side.rivalry.follow(wanted)
    side.rivalry.poll()
    side.rivalry.count({"a": 5.0, "b": 0.0}, seen_s=60.0, hour=hour)
    assert side.rivalry.poll() == ""  # it began in the middle of this minute
    side.now_s = 120.0
    side.rivalry.count({"a": 20.0, "b": 5.0}, seen_s=120.0, hour=hour)
    assert "too slow" in side.rivalry.poll()
    side.rivalry.count({"a": 55.0, "b": 60.0}, seen_s=120.0, hour=hour)
    assert side.rivalry.poll() == ""
    found = side.written().both(wanted.rival.model, since=hour)
    assert [(one.camera, one.both_s) for one in found] == [("a", 80.0), ("b", 65.0)]


def test_detector_is_given_the_challengers_bundle_and_card(side: Side, settings: Settings) -> None:
    wanted = wish(side, settings)
    side.rivalry.follow(wanted)
    (config,) = side.made[0].arguments[1].arguments
    assert wanted.rival is not None
    assert (config.bundle, config.card, config.socket) == (
        wanted.bundle, wanted.rival.card, wanted.rival.detector
    )  # fmt: skip


# --- a camera's side

IMAGE = np.zeros((48, 72, 3), np.uint8)
READER = cast(CameraReader, object())


def jam(looks: list[Look]) -> bytes:
    row = np.array([0, 0, 0, 0, 0.9, 0.1], np.float32)
    return frame_message(pack_verdict(Verdict({one.view: [row for _ in one.moments_s] for one in looks})))


@dataclass
class Seen:
    """A challenger that looks at a camera, and what it was asked."""

    shadow: Shadow
    detector: FakeDetector
    resting: threading.Event
    found: list[IncidentChanged] = field(default_factory=list)
    index: int = 0

    def see(self, count: int = 12) -> None:
        """Pictures as they come, eight a second, faster than time."""
        for _ in range(count):
            asked, now_s = len(self.detector.asked), time.monotonic()
            self.shadow.see(READER, Tick(Frame(IMAGE, t_s=self.index / 8), self.index, 1, now_s))
            self.index += 1
            wait_for(lambda asked=asked: len(self.detector.asked) > asked, every_s=0.005)

    def kinds(self) -> list[str]:
        self.found += self.shadow.poll()
        return [one.kind for one in self.found]


@pytest.fixture
def seen(tmp_path: Path) -> Iterator[Seen]:
    card = read_card(make_bundle(tmp_path / "x"))
    with TemporaryDirectory() as folder:  # a socket's path must be short
        detector = FakeDetector(Path(folder) / "d.sock", jam)
        detector.start()
        resting = threading.Event()
        a = CameraSettings.model_validate({"name": "a", "address": "rtsp://10.0.0.5/x"})
        shadow = Shadow(Rival("m", card, detector.path), a, Regions(), resting.is_set)
        shadow.start()
        yield Seen(shadow, detector, resting)
        shadow.stop()
        detector.stop()


def test_challenger_sees_and_raises_on_its_own(seen: Seen) -> None:
    seen.see()
    wait_for(lambda: "opened" in seen.kinds())
    assert seen.found[0].behavior == "jam" and seen.shadow.decided_s is not None
    assert abs((seen.found[0].at - datetime.now(UTC)).total_seconds()) < 30


def test_it_raises_nothing_while_the_camera_rests_and_anew_afterwards(seen: Seen) -> None:
    seen.resting.set()
    seen.see()
    time.sleep(0.1)
    assert seen.kinds() == []
    seen.resting.clear()
    seen.see()
    wait_for(lambda: "opened" in seen.kinds())


def test_detector_that_hangs_takes_nobodys_time_and_nothing_piles_up(seen: Seen) -> None:
    seen.detector.answer = lambda _looks: None
    began = time.monotonic()
    for index in range(2000):
        seen.shadow.see(READER, Tick(Frame(IMAGE, t_s=index / 8), index, 1, began))
    assert time.monotonic() - began < 5.0
    assert seen.shadow.poll() == [] and len(seen.detector.asked) <= 1


def test_whatever_fails_in_it_ends_it_alone(seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def __init__(self, *_: object) -> None:
            raise RuntimeError("a bug")

    monkeypatch.setattr(shadow_module, "Looking", Broken)
    for index in range(5):
        seen.shadow.see(READER, Tick(Frame(IMAGE, t_s=index / 8), index, 1, 0.0))
        time.sleep(0.02)
    assert seen.shadow.poll() == [] and seen.detector.asked == []
