"""What operators said becomes clips: which, of what, and an export that `prepare` reads."""

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bundles import make_bundle
from jikimi.archive import Manifest
from jikimi.behaviors import BEHAVIORS
from jikimi.data.manifest import read_manifest
from jikimi.data.prepare import PrepareSettings, prepare
from jikimi.errors import DataError
from jikimi.feedback import Choice, Exported, choose, export
from jikimi.feedback.choosing import event_in
from jikimi.frame import Image
from jikimi.store import (
    EvidenceRecord,
    IncidentRecord,
    ReportEvidence,
    ReportRecord,
    Store,
    open_box,
    open_store,
)
from store_values import NOON, evidence, later
from test_cli_site import Jikimi, jikimi
from videos import moving_square, write_video

__all__ = ["jikimi"]

pytest_plugins = ("store_fixtures",)

SEOUL = ZoneInfo("Asia/Seoul")


@dataclass
class Said:
    """A store and an evidence folder; every camera shows a place of its own, by its seed."""

    store: Store
    data: Path
    number: int = 0

    @property
    def folder(self) -> Path:
        return self.data / "evidence"

    def film(self, name: str, seed: int, seconds: float = 3.0) -> Path:
        moving, before = moving_square(seed), 5 * self.number  # no two films are the same

        def draw(index: int, width: int, height: int) -> Image:
            return moving(index + before, width, height)

        return write_video(self.folder / name, seconds=seconds, fps=12, size=(96, 64), draw=draw)

    def uid(self) -> str:
        self.number += 1
        return f"{self.number:032x}"

    def incident(
        self,
        answer: str | None,
        *,
        camera: str = "press 1",
        seed: int = 0,
        at_s: float = 0.0,
        behavior: str = "fall-down",
        really: str = "",
        film: bool = True,
    ) -> str:
        """An incident of two seconds that was answered; its film begins a second before it."""
        uid = self.uid()
        self.store.open_incident(IncidentRecord(uid, camera, behavior, later(at_s), 0.9), [])
        self.store.close_incident(uid, at=later(at_s + 2), peak=0.9, score=0.1)
        if answer is not None:
            self.store.answer(uid, answer=answer, at=later(at_s + 60), by="kim", behavior=really)  # type: ignore[arg-type]
        if film:
            path = self.film(f"{camera}/{uid}.mp4", seed)
            record = Manifest(self.folder).add(path, camera=camera, incident=uid, kind="video")
            self.store.add_evidence(
                EvidenceRecord(
                    uid, "video", Path(record.path), record.sha256, record.size_bytes, NOON, -1.0, 2.0
                )
            )
        return uid

    def report(
        self, kind: str, behavior: str = "", *, camera: str = "press 1", seed: int = 0, at_s: float = 0.0,
        film: bool = True,
    ) -> str:  # fmt: skip
        """A report of a second, with a second before and one after."""
        uid = self.uid()
        self.store.add_report(
            ReportRecord(
                uid, kind, camera, later(at_s), later(at_s + 1), "kim", later(at_s + 60), behavior  # type: ignore[arg-type]
            )
        )  # fmt: skip
        if film:
            path = self.film(f"{camera}/{uid}_report.mp4", seed)
            record = Manifest(self.folder).add(path, camera=camera, incident="", kind="video")
            kept = ReportEvidence(
                uid, "video", Path(record.path), record.sha256, record.size_bytes, NOON, -1.0, 2.0
            )
            self.store.report_cut(uid, at=later(at_s + 70), files=[kept])
        return uid

    def choose(self, **wanted: Any) -> Choice:
        return choose(self.store, BEHAVIORS, **wanted)

    def export(self, out: Path, *, force: bool = False, **wanted: Any) -> Exported:
        about = {"site": "시험 공장"}
        return export(
            self.choose(**wanted), evidence=self.folder, out=out, zone=SEOUL, about=about, force=force
        )


@pytest.fixture
def said(sqlite_store: Store, tmp_path: Path) -> Said:
    return Said(sqlite_store, tmp_path)


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "annotations.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def contents(out: Path) -> dict[str, bytes]:
    return {str(p.relative_to(out)): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}


# --- which


def test_answers_say_what_a_film_shows_or_why_it_is_left_out(said: Said) -> None:
    said.incident("correct")
    said.incident("other-behavior", really="jam")
    said.incident("false-alarm")
    said.report("missed", "hit")
    said.report("normal")
    said.incident("unsure")
    said.incident(None)
    said.incident("other-behavior")
    said.incident("other-behavior", really="dance")
    said.incident("correct", film=False)
    said.report("missed", "hit", film=False)
    said.report("missed", "dance")
    choice = said.choose()
    assert [(one.source, one.behavior, one.event) for one in choice.clips] == [
        ("incident", "fall-down", (1.0, 3.0)),
        ("incident", "jam", (1.0, 3.0)),
        ("incident", "no-accident", None),
        ("report", "hit", (1.0, 2.0)),
        ("report", "no-accident", None),
    ]
    assert choice.left_out == {
        "unanswered": 1,
        "unsure": 1,
        "unnamed": 1,
        "unknown-behavior": 2,
        "waiting": 1,
        "no-video": 1,
    }


def test_choice_narrows_by_camera_and_time(said: Said) -> None:
    first = said.incident("correct", at_s=0)
    second = said.incident("correct", at_s=100, camera="gate")
    third = said.report("normal", at_s=200)

    def uids(**wanted: Any) -> list[str]:
        return [clip.uid for clip in said.choose(**wanted).clips]

    assert uids() == [first, second, third]
    assert uids(camera=["press 1"]) == [first, third]
    assert uids(since=later(50), until=later(200)) == [second] and uids(camera=[]) == []


def test_what_was_deleted_or_taken_back_is_not_chosen(said: Said) -> None:
    uid, report = said.incident("correct"), said.report("normal")
    said.store.withdraw_report(report, at=later(100))
    said.store.evidence_deleted(said.store.evidence(uid)[0].path, at=later(100))
    assert said.choose() == Choice((), {"no-video": 1})


def test_of_several_films_the_one_with_the_beginning_is_taken(said: Said) -> None:
    uid = said.incident("correct", film=False)
    for name, start_s, end_s in (("a", 5.0, 9.0), ("b", -2.0, 1.0), ("c", -9.0, -8.0)):
        record = EvidenceRecord(uid, "video", Path(name), "ab" * 32, 1, NOON, start_s, end_s)
        said.store.add_evidence(record)
    (clip,) = said.choose().clips
    assert clip.path == Path("b") and clip.event == (2.0, 3.0)


@pytest.mark.parametrize(
    ("start_s", "end_s", "lasted_s", "event"),
    [
        (-5.0, 10.0, 3.0, (5.0, 8.0)),
        (-5.0, 10.0, 300.0, (5.0, 15.0)),
        (-5.0, 10.0, None, (5.0, 15.0)),
        (2.0, 10.0, 4.0, (0.0, 2.0)),
        (2.0, 10.0, 1.0, None),
        (0.0, 0.0, 3.0, None),
    ],
)
def test_an_event_lies_within_its_film(
    start_s: float, end_s: float, lasted_s: float | None, event: tuple[float, float] | None
) -> None:
    film = EvidenceRecord("i1", "video", Path("a"), "", 1, NOON, start_s, end_s)
    assert event_in(film, lasted_s) == event


# --- the export


def test_export_is_what_was_said_with_what_is_left_out(said: Said, tmp_path: Path) -> None:
    uid = said.incident("correct")
    said.incident("unsure")
    late = said.report("normal", at_s=13 * 3600)  # the next day in Seoul
    done = said.export(tmp_path / "out")
    assert done.clips == {"fall-down": 1, "no-accident": 1} and done.left_out == {"unsure": 1}
    assert rows(tmp_path / "out") == [
        {
            "path": f"clips/fall-down/{uid}.mp4", "behavior": "fall-down", "event_start_s": "1.0",
            "event_end_s": "3.0", "group": "press 1 2026-07-01", "camera": "press 1", "source": "incident",
            "uid": uid, "at": NOON.isoformat(),
        },
        {
            "path": f"clips/no-accident/{late}.mp4", "behavior": "no-accident", "event_start_s": "",
            "event_end_s": "", "group": "press 1 2026-07-02", "camera": "press 1", "source": "report",
            "uid": late, "at": (NOON + timedelta(hours=13)).isoformat(),
        },
    ]  # fmt: skip
    summary = json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8"))
    assert summary["clips"] == done.clips and summary["left_out"] == done.left_out
    assert summary["site"] == "시험 공장" and "unsure" in (tmp_path / "out" / "README.md").read_text()
    film = said.store.evidence(uid)[0].path
    assert (tmp_path / "out" / f"clips/fall-down/{uid}.mp4").read_bytes() == (said.folder / film).read_bytes()


def test_prepare_reads_the_same_clips_labels_events_and_groups(said: Said, tmp_path: Path) -> None:
    for seed in range(4):
        camera = f"press {seed}"
        said.incident("correct", camera=camera, seed=seed, at_s=seed)
        said.incident("false-alarm", camera=camera, seed=seed, at_s=30 + seed)
        said.report("missed", "hit", camera=camera, seed=seed, at_s=60 + seed)
    said.export(tmp_path / "out")
    prepare([tmp_path / "out"], tmp_path / "data", PrepareSettings(workers=1))
    found = read_manifest(tmp_path / "data").rows
    told = {
        (
            Path(row.source).stem, row.behavior, row.group.strip(),
            None if row.event is None else (row.event.start_s, row.event.end_s),
        )
        for row in found
    }  # fmt: skip
    assert told == {
        (
            row["uid"], row["behavior"], row["group"],
            (float(row["event_start_s"]), float(row["event_end_s"])) if row["event_start_s"] else None,
        )
        for row in rows(tmp_path / "out")
    }  # fmt: skip
    assert len(found) == 12
    sides: dict[str, set[str]] = {}
    for row in found:
        sides.setdefault(row.group, set()).add(row.split)
    assert len(sides) == 4 and all(len(split) == 1 for split in sides.values())


def test_doing_it_again_changes_nothing_and_more_needs_force(said: Said, tmp_path: Path) -> None:
    said.incident("correct")
    said.export(tmp_path / "out")
    before = contents(tmp_path / "out")
    said.incident(None)
    again = said.export(tmp_path / "out")
    assert again.unchanged and again.left_out == {"unanswered": 1} and contents(tmp_path / "out") == before
    said.incident("false-alarm")
    with pytest.raises(DataError, match="--force"):
        said.export(tmp_path / "out")
    assert contents(tmp_path / "out") == before
    assert said.export(tmp_path / "out", force=True).clips == {"fall-down": 1, "no-accident": 1}
    assert len(rows(tmp_path / "out")) == 2 and not list(tmp_path.glob(".out.*"))


def test_an_export_that_lost_a_clip_is_made_anew(said: Said, tmp_path: Path) -> None:
    uid = said.incident("correct")
    said.export(tmp_path / "out")
    (tmp_path / "out" / f"clips/fall-down/{uid}.mp4").unlink()
    assert not said.export(tmp_path / "out", force=True).unchanged


def test_films_that_are_not_what_was_recorded_are_left_out(said: Said, tmp_path: Path) -> None:
    good, changed, missing = said.incident("correct"), said.incident("correct"), said.incident("correct")
    (said.folder / said.store.evidence(changed)[0].path).write_bytes(b"another film")
    (said.folder / said.store.evidence(missing)[0].path).unlink()
    outside = said.incident("correct", film=False)
    said.store.add_evidence(evidence("../jikimi.db", outside))
    done = said.export(tmp_path / "out")
    assert done.left_out == {"missing": 2, "changed": 1} and [
        row["uid"] for row in rows(tmp_path / "out")
    ] == [good]
    assert said.export(tmp_path / "out").left_out == {"missing": 2, "changed": 1}
    (said.folder / said.store.evidence(good)[0].path).unlink()
    with pytest.raises(DataError, match="3 missing"):
        said.export(tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_folders_of_others_are_left_alone(said: Said, tmp_path: Path) -> None:
    said.incident("correct")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    with pytest.raises(DataError, match="choose another"):
        said.export(tmp_path / "mine", force=True)
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="choose another"):
        said.export(tmp_path / "file", force=True)
    (tmp_path / "empty").mkdir()
    assert said.export(tmp_path / "empty").clips and said.export(tmp_path / "deep" / "er").clips


def test_nothing_to_export_says_why(said: Said, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nobody has answered"):
        said.export(tmp_path / "out")
    said.incident(None)
    with pytest.raises(DataError, match="1 unanswered"):
        said.export(tmp_path / "out")


def test_a_killed_export_leaves_nothing_that_the_next_one_minds(said: Said, tmp_path: Path) -> None:
    said.incident("correct")
    dead = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    dead.send_signal(signal.SIGKILL)
    dead.wait()
    left = [tmp_path / f".out.{dead.pid}.{ending}" for ending in ("tmp", "old")]
    others = [tmp_path / f".out.{os.getppid()}.tmp", tmp_path / ".output.1.tmp"]
    for path in (*left, *others):
        path.mkdir()
        (path / "half.mp4").write_bytes(b"half")
    said.export(tmp_path / "out")
    assert not any(path.exists() for path in left) and all(path.exists() for path in others)


# --- the command


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[Said, Path]]:
    """A site's folder with its jikimi.toml, and what operators said there."""
    bundle = make_bundle(tmp_path / "colours.jikimi")
    config = tmp_path / "jikimi.toml"
    config.write_text(
        f'[site]\ndata = "data"\ntime_zone = "Asia/Seoul"\n[model]\nbundle = {json.dumps(str(bundle))}\n',
        encoding="utf-8",
    )
    data = tmp_path / "data"
    data.mkdir()
    url = f"sqlite:///{data / 'jikimi.db'}"
    with open_store(url, box=open_box(data / "jikimi.key", None)) as store:
        yield Said(store, data), config


def test_the_command_exports_and_says_what(
    jikimi: Jikimi, site: tuple[Said, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said, config = site
    said.incident("correct")
    said.incident("correct", camera="gate", at_s=86_400)
    said.incident("unsure")
    monkeypatch.chdir(tmp_path)
    done = jikimi("feedback", "export", "--out", "said", "--config", config)
    assert done.code == 0 and "2 clips" in done.out and "unsure" in done.out
    assert len(rows(tmp_path / "said")) == 2
    assert said.store.audit_trail()[0].what == "exported feedback"
    assert "nothing to do" in jikimi("feedback", "export", "--out", "said", "--config", config).out
    narrow = ("feedback", "export", "--out", "said", "--config", config, "--since", "2026-07-02")
    assert "--force" in jikimi(*narrow).line
    assert jikimi(*narrow, "--force").code == 0 and [r["camera"] for r in rows(tmp_path / "said")] == ["gate"]
    assert jikimi(*narrow, "--force", "--camera", "press 1").line.startswith("jikimi: nothing to export")
    assert "--until" in jikimi(*narrow, "--until", "yesterday").line
    assert len(rows(tmp_path / "said")) == 1
