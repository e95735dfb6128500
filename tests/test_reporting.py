"""Reports get their films: cut, blackened, hashed, locked, and honest about what is missing."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import av
import pytest

from jikimi.archive import Limits, Manifest, sweep, verify
from jikimi.errors import VideoError
from jikimi.settings import CameraSettings, Settings
from jikimi.store import ReportEvidence, ReportRecord, Store
from jikimi.watch import reporting
from jikimi.watch.archivist import HEAD
from jikimi.watch.following import Wanted
from jikimi.watch.naming import safe_name
from jikimi.watch.replay import Shelf
from jikimi.watch.reporting import Reporter
from jikimi.watch.scribe import Scribe
from sites import wait_for
from store_values import camera
from test_archivist import BLACK, brightest
from test_replay import FPS, grey, later, pictures, play
from videos import write_video

pytest_plugins = ("store_fixtures",)

R = "ab" * 16


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 s, a keyframe each second; each second as bright as its number."""
    return write_video(
        tmp_path_factory.mktemp("source") / "s.mp4", seconds=20, fps=FPS, gop=FPS, size=(96, 64), draw=grey
    )


@dataclass
class Desk:
    """A reporter, its store, and a camera that has sent 20 s from noon on."""

    settings: Settings
    store: Store
    scribe: Scribe
    cameras: dict[str, CameraSettings]
    now_s: float = 100.0
    reporter: Reporter = field(init=False)

    def __post_init__(self) -> None:
        self.reporter = Reporter(
            self.settings,
            self.store,
            self.scribe,
            lambda: {name: Wanted(one) for name, one in self.cameras.items()},
            now=lambda: later(self.now_s),
        )

    @property
    def folder(self) -> Path:
        return self.settings.evidence_folder

    def report(self, start_s: float, end_s: float, uid: str = R, **more: Any) -> None:
        values: dict[str, Any] = {"kind": "missed", "behavior": "fall-down", "camera": "press 3"} | more
        record = ReportRecord(
            uid=uid, start_at=later(start_s), end_at=later(end_s), by="kim", at=later(end_s + 1), **values
        )
        self.store.add_report(record)

    def settle(self, start_s: float, end_s: float, **more: Any) -> ReportRecord:
        self.report(start_s, end_s, **more)
        self.reporter.look()
        return self.store.report(more.get("uid", R))

    def videos(self, uid: str = R) -> list[ReportEvidence]:
        return [file for file in self.store.report_evidence(uid) if file.kind == "video"]

    def seconds(self, uid: str = R) -> list[list[int]]:
        """Which seconds each film shows."""
        return [sorted({s for _, s in pictures(self.folder / one.path)}) for one in self.videos(uid)]

    def hidden(self) -> list[Path]:
        return [path for path in self.folder.rglob(".*") if path.is_file()]


@pytest.fixture
def desk(sqlite_store: Store, source: Path, tmp_path: Path) -> Iterator[Desk]:
    settings = Settings.model_validate(
        {"site": {"data": tmp_path}, "evidence": {"pre_roll_s": 2, "post_roll_s": 1, "min_free_gb": 0}}
    )
    play(source, Shelf(settings.replay_folder / safe_name("press 3")))
    scribe = Scribe(sqlite_store, tmp_path / "spool")
    scribe.start()
    yield Desk(settings, sqlite_store, scribe, {"press 3": camera("press 3")})
    scribe.finish(5)


def test_a_report_gets_its_film_with_what_was_before_and_after(desk: Desk) -> None:
    found = desk.settle(7.5, 10.0)
    assert found.cut_at == later(100) and not found.problem
    (video,) = desk.videos()
    assert desk.seconds()[0][:6] == [5, 6, 7, 8, 9, 10]
    assert video.start_s == pytest.approx(-2.5, abs=0.2) and video.end_s == pytest.approx(3.5, abs=0.5)
    assert video.complete and video.path.parent.name == safe_name("press 3")
    assert {file.kind for file in desk.store.report_evidence(R)} == {"video", "still"}


def test_it_is_evidence_like_any_other_and_locked(desk: Desk) -> None:
    desk.settle(7.5, 10.0)
    listed = Manifest(desk.folder).listed()
    files = desk.store.report_evidence(R)
    assert {file.path.as_posix(): file.sha256 for file in files} == {p: r.sha256 for p, r in listed.items()}
    assert desk.store.locked_paths() == {file.path for file in files}
    assert verify(desk.folder).intact and not desk.hidden()
    wait_for(lambda: desk.store.meta(HEAD) == Manifest(desk.folder).head())
    with av.open(str(desk.folder / files[0].path)) as container:
        assert container.streams.video[0].codec_context.name == "h264"


def test_film_goes_by_age_once_the_report_is_taken_back(desk: Desk) -> None:
    desk.settle(7.5, 10.0)

    def swept() -> int:
        paths = {path.as_posix() for path in desk.store.locked_paths()}
        now = datetime.now(UTC) + timedelta(days=40)
        return len(sweep(desk.folder, Limits(30), now=now, is_locked=lambda one: one.path in paths).deleted)

    assert swept() == 0
    desk.store.withdraw_report(R, at=later(200))
    assert swept() == 2


def test_nothing_is_cut_before_what_comes_after_is_recorded(desk: Desk) -> None:
    desk.now_s = 10.5
    assert desk.settle(7.5, 10.0).cut_at is None
    desk.now_s = 14.5
    desk.reporter.look()
    assert desk.store.report(R).cut_at == later(14.5)


def test_what_is_missing_is_said(desk: Desk) -> None:
    assert "no footage" in desk.settle(50.0, 60.0, uid="1" * 32).problem
    assert desk.settle(15.0, 25.0, uid="2" * 32).problem == "of 10 s there is footage of 5 s"
    assert not desk.videos("2" * 32)[0].complete
    assert desk.videos("1" * 32) == []


def test_where_the_camera_was_away_in_between_there_are_two_films(desk: Desk, source: Path) -> None:
    play(source, Shelf(desk.settings.replay_folder / safe_name("press 3")), at_s=25.0)
    found = desk.settle(17.0, 28.0)
    assert found.problem == "of 11 s there is footage of 6 s"
    assert [one[0] for one in desk.seconds()] == [15, 0]
    assert len(desk.store.report_evidence(R)) == 4 and verify(desk.folder).intact


def test_what_masks_hide_is_not_to_be_seen(desk: Desk) -> None:
    desk.cameras["press 3"] = camera("press 3", masks=BLACK)
    assert not desk.settle(12.0, 14.0).problem
    (video,) = desk.videos()
    assert brightest(desk.folder / video.path, inside=True) < 16
    assert brightest(desk.folder / video.path, inside=False) > 60
    assert video.sha256 == Manifest(desk.folder).listed()[video.path.as_posix()].sha256


def test_film_that_cannot_be_blackened_is_not_kept(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, _polygons: object) -> None:
        raise VideoError(f"{path}: cannot be blackened")

    monkeypatch.setattr(reporting, "blacken", refuse)
    desk.cameras["press 3"] = camera("press 3", masks=BLACK)
    desk.report(12.0, 14.0)
    for _ in range(reporting._TRIES - 1):
        desk.reporter.look()
        assert desk.store.report(R).cut_at is None
    desk.reporter.look()
    assert "cannot be kept" in desk.store.report(R).problem
    assert not [path for path in desk.folder.rglob("*") if path.is_file()]


def test_a_report_that_cannot_be_cut_holds_up_no_other(desk: Desk) -> None:
    ages = datetime.min.replace(tzinfo=UTC)
    desk.store.add_report(
        ReportRecord(R, "normal", "press 3", ages, ages + timedelta(seconds=1), "kim", ages)
    )
    assert not desk.settle(7.5, 10.0, uid="9" * 32).problem
    for _ in range(reporting._TRIES):
        desk.reporter.look()
    assert "cannot be kept" in desk.store.report(R).problem


def test_of_a_camera_that_is_gone_nothing_is_shown(desk: Desk) -> None:
    del desk.cameras["press 3"]
    found = desk.settle(12.0, 14.0)
    assert "watched no more" in found.problem and desk.store.report_evidence(R) == []


def test_own_rolls_of_a_camera_hold_up_to_a_minute(desk: Desk) -> None:
    desk.cameras["press 3"] = camera("press 3", pre_roll_s=60, post_roll_s=600)
    assert desk.reporter._rolls("press 3") == (60, 60) and desk.reporter._rolls("x") == (2, 1)


def test_film_entered_before_a_kill_is_not_cut_again(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.report(7.5, 10.0)
    with monkeypatch.context() as patch:
        patch.setattr(desk.store, "report_cut", lambda *_a, **_k: None)
        desk.reporter.look()
    assert desk.store.uncut_reports()
    shutil.rmtree(desk.settings.replay_folder)
    before = Manifest(desk.folder).lines()
    desk.reporter.look()
    assert Manifest(desk.folder).lines() == before and verify(desk.folder).intact
    (video,) = desk.videos()
    assert video.start_s == pytest.approx(-2.5, abs=0.2) and video.end_s == pytest.approx(3.5, abs=0.5)
    assert not desk.store.report(R).problem


def test_what_a_killed_run_left_unentered_is_made_anew(desk: Desk) -> None:
    folder = desk.folder / safe_name("press 3")
    folder.mkdir(parents=True)
    (folder / f"20260701T030005.000Z_fall-down_{R}_report.mp4").write_bytes(b"whole, and not entered")
    (folder / f".{R}-0.report.tmp").write_bytes(b"half")
    (folder / f"..{R}-0.report.tmp.part").write_bytes(b"half")
    reporting.clean(desk.folder)
    assert not desk.hidden()
    assert not desk.settle(7.5, 10.0).problem and verify(desk.folder).intact


def test_report_of_normal_work_has_a_film_too(desk: Desk) -> None:
    assert not desk.settle(2.0, 12.0, kind="normal", behavior="").problem
    assert "_normal_" in desk.videos()[0].path.name


def test_taken_back_before_it_was_cut_nothing_is_cut(desk: Desk) -> None:
    desk.report(7.5, 10.0)
    desk.store.withdraw_report(R, at=later(50))
    desk.reporter.look()
    assert desk.store.report_evidence(R) == [] and not desk.folder.exists()


def test_a_report_in_the_store_is_found_within_two_seconds(desk: Desk) -> None:
    desk.reporter.start()
    try:
        desk.report(7.5, 10.0)
        wait_for(lambda: desk.store.report(R).cut_at, within_s=5)
    finally:
        desk.reporter.finish(5)
