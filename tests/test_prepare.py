"""`prepare` from end to end: real files, real processes, real kills."""

import csv
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import unicodedata
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image as PillowImage

from aihub_tree import SIX, AihubTree, damage, film, miniature
from jikimi.clip import EventSpan
from jikimi.data import extract as extract_
from jikimi.data import workspace as workspace_
from jikimi.data.assemble import within
from jikimi.data.extract import Extracted, ExtractTask, Refused, Unwritable, extract
from jikimi.data.ingest import Layout
from jikimi.data.manifest import Manifest, ManifestRow, read_manifest
from jikimi.data.prepare import PrepareSettings, PrepareSummary, prepare
from jikimi.errors import DataError, SettingsError
from videos import moving_square, write_video

SETTINGS = PrepareSettings(workers=1)


def make(*sources: Path, out: Path, settings: PrepareSettings = SETTINGS) -> PrepareSummary:
    return prepare(sources, out, settings)


def class_folders(
    root: Path, *, behaviors: tuple[str, ...] = ("hit", "no-accident"), groups: int = 3
) -> Path:
    """One film of each behaviour and recording, every recording in a room of its own."""
    for number, behavior in enumerate(behaviors):
        for group in range(groups):
            film(root / behavior / f"cam{group}-{behavior}_1.mp4", 10 * number + group)
    return root


def rejected(out: Path) -> dict[str, str]:
    with (out / "rejected.csv").open(encoding="utf-8", newline="") as file:
        return {row["source"]: row["reason"] for row in csv.DictReader(file)}


def contents(out: Path) -> dict[str, bytes]:
    """Every file of a data set but the lock, which is empty."""
    files = (path for path in out.rglob("*") if path.is_file() and path.name != "lock")
    return {str(path.relative_to(out)): path.read_bytes() for path in files}


def row_named(manifest: Manifest, name: str) -> ManifestRow:
    return next(row for row in manifest.rows if name in row.clip_id)


@pytest.fixture(scope="module")
def aihub(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PrepareSummary]:
    """The miniature AI Hub tree, with damage, prepared once."""
    root = tmp_path_factory.mktemp("aihub")
    tree = miniature(root / "src", form="NFD")
    damage(tree.video("jam", 5, seed=91))
    tree.video("jam", 6, seed=92).write_bytes(b"")
    tree.video("jam", 7, seed=93).write_text("this is no film")
    tree.video("hit", 8, seed=94)
    tree.label("hit", tree.stem("hit", 8), event="jam")
    (tree.sources("human-accident", "jam", "rgb") / "readme.txt").write_text("x")
    return root, prepare([root / "src"], root / "out", replace(SETTINGS, modality="all"))


def test_aihub_tree_becomes_a_data_set(aihub: tuple[Path, PrepareSummary]) -> None:
    root, summary = aihub
    manifest = read_manifest(root / "out")
    assert Counter(row.behavior for row in manifest.rows) == dict.fromkeys(SIX, 5) | {"bump": 6, "jam": 6}
    assert summary.prepared == 32
    assert not summary.unchanged
    for row in manifest.rows:
        assert len(list(manifest.frames_dir(row).iterdir())) == row.n_frames
        with PillowImage.open(manifest.frame_path(row, row.n_frames - 1)) as picture:
            assert min(picture.size) == 256
    assert row_named(manifest, "thermal").modality == "thermal"
    assert (
        json.loads(row_named(manifest, "jam_rgb_0001_cctv1").extra)["meta_information"]["environment"]
        == "공장"
    )


def test_every_file_that_gave_no_clip_has_its_reason(aihub: tuple[Path, PrepareSummary]) -> None:
    root, summary = aihub
    told = {Path(source).name: reason for source, reason in rejected(root / "out").items()}
    assert summary.rejected == len(told) == 4
    assert told["human-accident_jam_rgb_0006_cctv1.mp4"] == "an empty file"
    assert "cannot be opened as video" in told["human-accident_jam_rgb_0007_cctv1.mp4"]
    assert told["human-accident_hit_rgb_0008_cctv1.mp4"] == "the folder says 'hit', its label says 'jam'"
    assert told["readme.txt"] == "not a video (.txt)"


def test_no_take_is_on_both_sides_and_every_behaviour_on_each(aihub: tuple[Path, PrepareSummary]) -> None:
    manifest = read_manifest(aihub[0] / "out")
    sides = {split: {row.group for row in manifest.select(split)} for split in ("train", "val")}
    assert not sides["train"] & sides["val"]
    for split in ("train", "val"):
        assert {row.behavior for row in manifest.select(split)} == set(SIX)
    assert len(manifest.select("val")) / len(manifest.rows) == pytest.approx(0.3, abs=0.08)


def test_summary_tells_groups_and_sizes(aihub: tuple[Path, PrepareSummary]) -> None:
    lines = "\n".join(aihub[1].lines())
    assert "32 clips prepared, 0 reused, 4 rejected" in lines
    assert "bump_0001 (3)" in lines
    assert "rule-violation: 1 clips of another category ignored" in lines


def test_class_folders_with_every_kind_of_trouble(tmp_path: Path) -> None:
    """Each file works or lands in rejected.csv; nothing crashes and nothing is passed over in silence."""
    src = class_folders(tmp_path / "소스 폴더")
    hit = src / "hit"
    draw = moving_square(50)
    write_video(hit / "one frame.mp4", seconds=0.03, fps=30, draw=moving_square(51))
    write_video(hit / "variable.mkv", times_s=[0, 0.1, 0.5, 0.6, 1.4], draw=moving_square(52))
    write_video(hit / "odd.avi", seconds=0.5, size=(97, 55), codec="mjpeg", pix_fmt="yuvj444p", draw=draw)
    write_video(hit / unicodedata.normalize("NFD", "넘어짐 사고.mp4"), seconds=0.5, draw=moving_square(53))
    (hit / "copy.mp4").write_bytes((hit / "one frame.mp4").read_bytes())
    (src / "no-accident" / "other.mp4").write_bytes((hit / "variable.mkv").read_bytes())
    (hit / "link.mp4").symlink_to("gone.mp4")
    (hit / "again").symlink_to(hit)
    (hit / "text.mp4").write_text("text")
    (hit / "empty.mp4").touch()
    tone = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "sine=duration=0.2", hit / "sound.mp4"]
    subprocess.run(tone, check=True)
    make(src, out=tmp_path / "out")
    told = rejected(tmp_path / "out")
    assert told.pop("hit/text.mp4").startswith("cannot be opened as video")
    differ = "same content as {}, labelled {!r}: the labels disagree"
    assert told == {
        "hit/again": "a link to a folder that is read already",
        "hit/empty.mp4": "an empty file",
        "hit/link.mp4": "a broken link",
        "hit/one frame.mp4": "duplicate of hit/copy.mp4",
        "hit/sound.mp4": "holds no video stream",
        "hit/variable.mkv": differ.format("no-accident/other.mp4", "no-accident"),
        "no-accident/other.mp4": differ.format("hit/variable.mkv", "hit"),
    }
    names = {row.clip_id[: row.clip_id.rfind("-")] for row in read_manifest(tmp_path / "out").rows}
    assert {"copy", "odd", "넘어짐_사고"} <= names


def test_files_of_one_name_in_two_folders_are_two_clips(tmp_path: Path) -> None:
    for index, subject in enumerate(("S1", "S2")):
        film(tmp_path / "src" / "hit" / subject / "take.mp4", index)
        film(tmp_path / "src" / "no-accident" / subject / "take.mp4", 10 + index)
    make(tmp_path / "src", out=tmp_path / "out")
    manifest = read_manifest(tmp_path / "out")
    assert len({row.clip_id for row in manifest.rows}) == 4
    assert {row.group for row in manifest.rows} == {"S1", "S2"}


def test_long_korean_name_still_makes_a_folder(tmp_path: Path) -> None:
    src = class_folders(tmp_path / "src", groups=2)
    film(src / "hit" / ("가" * 80 + ".mp4"), 70)
    make(src, out=tmp_path / "out")
    row = row_named(read_manifest(tmp_path / "out"), "가가")
    assert len(row.clip_id.encode()) <= 140


def test_clip_id_and_frames_do_not_depend_on_where_the_source_lies(tmp_path: Path) -> None:
    src = class_folders(tmp_path / "src", groups=2)
    make(src, out=tmp_path / "1")
    src.rename(tmp_path / "moved")
    make(tmp_path / "moved", out=tmp_path / "2")
    one, two = contents(tmp_path / "1"), contents(tmp_path / "2")
    assert {k: v for k, v in one.items() if k != "manifest.parquet"} == {
        k: v for k, v in two.items() if k != "manifest.parquet"
    }
    assert read_manifest(tmp_path / "1").digest() == read_manifest(tmp_path / "2").digest()


# --- again, and again -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def _prepared_once(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("prepared")
    src = class_folders(root / "src", groups=2)
    (src / "hit" / "text.mp4").write_text("text")
    make(src, out=root / "out")
    return src, root / "out"


@pytest.fixture
def prepared(_prepared_once: tuple[Path, Path], tmp_path: Path) -> tuple[Path, Path]:
    """A source of four films and a bad file, and a data set prepared from it for the test's own use."""
    src, out = _prepared_once
    shutil.copytree(out, tmp_path / "out")
    return src, tmp_path / "out"


def test_second_run_does_nothing_and_says_so(prepared: tuple[Path, Path]) -> None:
    src, out = prepared
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    again = make(src, out=out)
    after = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    assert again.unchanged
    assert (again.prepared, again.reused, again.rejected) == (0, 4, 1)
    assert "nothing to do: 4 clips are prepared already" in again.lines()[0]
    assert before == after


def test_number_of_workers_changes_no_byte(tmp_path: Path) -> None:
    src = class_folders(tmp_path / "src")
    for workers in (1, 3):
        make(src, out=tmp_path / str(workers), settings=replace(SETTINGS, workers=workers))
    assert contents(tmp_path / "1") == contents(tmp_path / "3")


def test_only_what_changed_is_done_again_and_what_is_gone_is_removed(tmp_path: Path) -> None:
    src = class_folders(tmp_path / "src")
    make(src, out=tmp_path / "out")
    old = read_manifest(tmp_path / "out")
    film(src / "hit" / "cam0-hit_1.mp4", 77)
    (src / "hit" / "cam1-hit_1.mp4").unlink()
    film(src / "hit" / "cam5-hit_1.mp4", 78)
    summary = make(src, out=tmp_path / "out")
    new = read_manifest(tmp_path / "out")
    assert (summary.prepared, summary.reused) == (2, 4)
    assert {path.name for path in (tmp_path / "out" / "frames").glob("*/*")} == {
        row.clip_id for row in new.rows
    }
    assert not old.frames_dir(row_named(old, "cam1")).exists()
    fresh = tmp_path / "fresh"
    make(src, out=fresh)
    assert contents(fresh) == contents(tmp_path / "out")


def test_other_settings_make_other_frames_and_leave_none_of_the_old(prepared: tuple[Path, Path]) -> None:
    src, out = prepared
    make(src, out=out, settings=replace(SETTINGS, rate_hz=4))
    assert {row.n_frames for row in read_manifest(out).rows} == {4}
    assert len(list((out / "frames").glob("*/*"))) == 4


def test_other_seed_needs_no_decoding(prepared: tuple[Path, Path]) -> None:
    src, out = prepared
    summary = make(src, out=out, settings=replace(SETTINGS, seed=7))
    assert summary.prepared == 0 and not summary.unchanged


def test_harm_to_prepared_frames_is_seen_and_mended(prepared: tuple[Path, Path]) -> None:
    src, out = prepared
    whole = contents(out)
    cut, gone, recorded, _ = read_manifest(out).rows
    frame = read_manifest(out).frame_path(cut, 1)
    frame.write_bytes(frame.read_bytes()[:100])
    read_manifest(out).frame_path(gone, 7).unlink()
    (out / ".prepare" / "records" / f"{recorded.key}.json").write_text("{")
    assert make(src, out=out).prepared == 3
    assert contents(out) == whole


# --- killed ---------------------------------------------------------------------------------------------

# Kills itself before the nth time something is put in place: a folder of frames, a record, a document.
_KILLED = """
import os, signal, sys
from pathlib import Path
from jikimi.data.prepare import PrepareSettings, prepare

moves = 0

def at(nth, move):
    def moved(*args, **kwargs):
        global moves
        moves += 1
        if moves == nth:
            os.kill(os.getpid(), signal.SIGKILL)
        return move(*args, **kwargs)
    return moved

if __name__ == "__main__":
    nth = int(sys.argv[3])
    os.rename, os.replace = at(nth, os.rename), at(nth, os.replace)
    prepare([Path(sys.argv[1])], Path(sys.argv[2]), PrepareSettings(workers=1))
    print("done", moves)
"""


def run_until(moves: int, src: Path, out: Path, script: Path) -> subprocess.CompletedProcess[str]:
    script.write_text(_KILLED)
    command = [sys.executable, script, src, out, str(moves)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, bytes], int]:
    """A source with one bad file, what an unbroken run makes of it, and in how many moves."""
    root = tmp_path_factory.mktemp("unbroken")
    src = class_folders(root / "src", groups=2)
    (src / "hit" / "text.mp4").write_text("text")
    ran = run_until(-1, src, root / "out", root / "run.py")
    assert ran.returncode == 0, ran.stderr
    return src, contents(root / "out"), int(ran.stdout.split()[1])


# Nine moves put clips in place, then come dataset.json, manifest.parquet and rejected.csv.
@pytest.mark.parametrize("nth", [1, 2, 11, 12])
def test_killed_at_any_move_and_run_again_gives_the_same_bytes(
    tmp_path: Path, unbroken: tuple[Path, dict[str, bytes], int], nth: int
) -> None:
    src, expected, moves = unbroken
    assert moves == 12
    killed = run_until(nth, src, tmp_path / "out", tmp_path / "run.py")
    assert killed.returncode == -9
    assert contents(tmp_path / "out") != expected
    make(src, out=tmp_path / "out")
    assert contents(tmp_path / "out") == expected


def test_killed_in_the_middle_of_a_clip_leaves_no_trace(
    tmp_path: Path, unbroken: tuple[Path, dict[str, bytes], int]
) -> None:
    src, expected, _ = unbroken
    script = tmp_path / "run.py"
    script.write_text(_KILLED)
    process = subprocess.Popen([sys.executable, script, src, tmp_path / "out", "-1"], stdout=subprocess.PIPE)
    unfinished = tmp_path / "out" / ".prepare" / "unfinished"
    while not any(unfinished.glob("*/*/*.jpg")) and process.poll() is None:
        time.sleep(0.002)
    process.kill()
    process.communicate()
    make(src, out=tmp_path / "out")
    assert contents(tmp_path / "out") == expected


def test_killed_while_another_data_set_replaces_one_keeps_the_old_one_whole(
    tmp_path: Path, prepared: tuple[Path, Path]
) -> None:
    src, out = prepared
    before = read_manifest(out)
    film(src / "hit" / "cam7-hit_1.mp4", 88)
    try:
        run_until(2, src, out, tmp_path / "run.py")
    finally:
        (src / "hit" / "cam7-hit_1.mp4").unlink()
    assert read_manifest(out) == before
    assert all(len(list(before.frames_dir(row).iterdir())) == row.n_frames for row in before.rows)


# --- refused --------------------------------------------------------------------------------------------


def test_two_prepares_at_once_into_one_folder_are_refused(tmp_path: Path) -> None:
    src = class_folders(tmp_path / "src", groups=2)
    with workspace_.open_workspace(tmp_path / "out"), pytest.raises(DataError, match="another prepare"):
        make(src, out=tmp_path / "out")
    make(src, out=tmp_path / "out")
    with (tmp_path / "out" / ".prepare" / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # it is free again


@pytest.mark.parametrize(
    ("behaviors", "groups", "message"),
    [(("hit",), 3, "found only 'hit'"), (("hit", "no-accident"), 1, "a single group has all of 'hit'")],
)
def test_set_that_cannot_be_split_is_refused_without_a_manifest(
    tmp_path: Path, behaviors: tuple[str, ...], groups: int, message: str
) -> None:
    src = class_folders(tmp_path / "src", behaviors=behaviors, groups=groups)
    with pytest.raises(DataError, match=message):
        make(src, out=tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {".prepare", "frames"}


def test_refusal_leaves_an_earlier_data_set_as_it_was(tmp_path: Path, prepared: tuple[Path, Path]) -> None:
    _, out = prepared
    before = contents(out)
    (tmp_path / "other").mkdir()
    with pytest.raises(DataError, match="found none"):
        make(tmp_path / "other", out=out)
    assert contents(out) == before


def test_refusal_says_when_rejections_may_be_the_cause(tmp_path: Path) -> None:
    src = class_folders(tmp_path / "src", behaviors=("hit",))
    film(src / "no-accident" / "a.mp4", 9)
    (src / "no-accident" / "b.mp4").write_text("text")
    with pytest.raises(
        DataError, match=r"1 files were rejected, such as no-accident/b.mp4: cannot be opened"
    ):
        make(src, out=tmp_path / "out")


def test_one_scene_under_two_names_is_one_group(tmp_path: Path) -> None:
    src = class_folders(tmp_path / "src", groups=3)
    film(src / "hit" / "other_1.mp4", 0)  # the room of cam0-hit, but another file
    write_video(src / "hit" / "other_1.mp4", seconds=1.4, fps=30, size=(96, 54), draw=moving_square(0))
    summary = make(src, out=tmp_path / "out")
    manifest = read_manifest(tmp_path / "out")
    assert row_named(manifest, "other_1").group == row_named(manifest, "cam0-hit").group
    assert "1 groups joined with others whose background looks the same" in summary.remarks


def test_frames_folder_of_another_origin_is_not_touched(tmp_path: Path) -> None:
    precious = tmp_path / "out" / "frames" / "mine" / "a.jpg"
    precious.parent.mkdir(parents=True)
    precious.write_bytes(b"x")
    with pytest.raises(DataError, match="choose another --out"):
        make(class_folders(tmp_path / "src", groups=2), out=tmp_path / "out")
    assert precious.exists()


def crash_on_text(task: ExtractTask) -> Extracted | Refused | Unwritable:
    """Stands in for a decoder that a file kills."""
    if task.source.name == "text.mp4":
        os.kill(os.getpid(), signal.SIGSEGV)
    return extract(task)


def test_clip_that_kills_its_decoder_is_rejected_and_the_others_are_prepared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    src = class_folders(tmp_path / "src", groups=2)
    (src / "hit" / "text.mp4").write_text("text")
    monkeypatch.setattr(extract_, "extract", crash_on_text)
    assert make(src, out=tmp_path / "out").prepared == 4
    assert rejected(tmp_path / "out") == {"hit/text.mp4": "the decoder crashed (SIGSEGV)"}


def test_refusal_says_what_was_left_out_by_choice(tmp_path: Path) -> None:
    film(tmp_path / "src" / "hit" / "thermal" / "a.mp4", 0)
    with pytest.raises(DataError, match=r"found none.*1 thermal clips left out by the choice of modality"):
        make(tmp_path / "src", out=tmp_path / "out")


def test_out_that_is_a_source_is_refused(tmp_path: Path) -> None:
    src = class_folders(tmp_path / "src", groups=2)
    with pytest.raises(DataError, match="is a source itself"):
        make(src, out=src)
    assert {path.name for path in src.iterdir()} == {"hit", "no-accident"}


def test_missing_source_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file or folder"):
        make(tmp_path / "nowhere", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_out_that_cannot_be_made_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot be written"):
        make(class_folders(tmp_path / "src", groups=1), out=tmp_path / "file" / "out")


def test_file_that_may_not_be_read_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    src = class_folders(tmp_path / "src")
    opening = Path.open

    def refuse(path: Path, *args: object, **kwargs: object) -> object:
        if path.name == "cam2-hit_1.mp4":
            raise PermissionError(13, "Permission denied", str(path))
        return opening(path, *args, **kwargs)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", refuse)  # the tests may run as root, whom nothing is denied
    make(src, out=tmp_path / "out")
    assert rejected(tmp_path / "out") == {"hit/cam2-hit_1.mp4": "cannot be read: Permission denied"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"rate_hz": 0},
        {"rate_hz": float("nan")},
        {"short_side_px": 0},
        {"val_ratio": 1.0},
        {"workers": 0},
        {"seed": -1},
    ],
)
def test_settings_check_themselves(wrong: dict[str, float]) -> None:
    with pytest.raises(SettingsError):
        PrepareSettings(**wrong)  # type: ignore[arg-type]


# --- annotations ----------------------------------------------------------------------------------------


def annotated(root: Path, *more: str) -> Path:
    src = class_folders(root)
    lines = ["path,behavior,event_start_s,event_end_s,group,licence_tier"]
    for behavior in ("hit", "no-accident"):
        lines += [f"{behavior}/cam{i}-{behavior}_1.mp4,{behavior},,,room{i}/S{i}," for i in range(3)]
    (src / "annotations.csv").write_text("\n".join([*lines, *more]) + "\n", encoding="utf-8")
    return src


def test_evaluation_only_clips_are_test_and_do_not_count_for_the_split(tmp_path: Path) -> None:
    src = annotated(tmp_path / "src", "jam.mp4,jam,,,elsewhere,B")
    film(src / "jam.mp4", 60)
    make(src, out=tmp_path / "out")
    manifest = read_manifest(tmp_path / "out")
    assert [row.behavior for row in manifest.select("test")] == ["jam"]
    assert len(manifest.select("train")) + len(manifest.select("val")) == 6


def test_evaluation_only_clips_alone_are_no_data_set(tmp_path: Path) -> None:
    src = class_folders(tmp_path / "src")
    rows = [f"{path.relative_to(src)},{path.parent.name},B" for path in src.glob("*/*.mp4")]
    (src / "annotations.csv").write_text("\n".join(["path,behavior,licence_tier", *rows]))
    with pytest.raises(DataError, match="found none"):
        make(src, out=tmp_path / "out")


def test_content_licensed_for_evaluation_somewhere_is_never_trained_on(tmp_path: Path) -> None:
    src = annotated(tmp_path / "src", "copy.mp4,hit,,,elsewhere,B")
    (src / "copy.mp4").write_bytes((src / "hit" / "cam0-hit_1.mp4").read_bytes())
    make(src, out=tmp_path / "out")
    assert rejected(tmp_path / "out") == {"hit/cam0-hit_1.mp4": "duplicate of copy.mp4"}
    assert row_named(read_manifest(tmp_path / "out"), "copy").split == "test"


def test_event_beyond_the_end_is_cut_or_rejected_and_stays_so(tmp_path: Path) -> None:
    src = annotated(
        tmp_path / "src", "a.mp4,hit,0.5,1.9,room1,", "b.mp4,hit,0.5,9,room1,", "c.mp4,hit,3,4,room1,"
    )
    for index, name in enumerate("abc"):
        film(src / f"{name}.mp4", 60 + index)
    make(src, out=tmp_path / "out")
    row = row_named(read_manifest(tmp_path / "out"), "a-")
    assert (row.event_start_s, row.event_end_s) == (0.5, row.duration_s)
    assert "event end 1.9 s cut to the clip's end" in row.notes
    assert set(rejected(tmp_path / "out")) == {"b.mp4", "c.mp4"}
    assert "beyond the clip's end at 1.00 s" in rejected(tmp_path / "out")["b.mp4"]
    assert make(src, out=tmp_path / "out").unchanged


def test_event_that_ends_with_the_clip_is_left_as_it_is() -> None:
    assert within(EventSpan(0.5, 2.0), 2.0) == (EventSpan(0.5, 2.0), "")
    assert within(None, 2.0) == (None, "")


def test_progress_counts_up_to_its_total(tmp_path: Path) -> None:
    src = class_folders(tmp_path / "src", groups=2)
    (src / "hit" / "copy.mp4").write_bytes(next((src / "hit").iterdir()).read_bytes())
    told: list[tuple[int, int]] = []
    prepare([src], tmp_path / "out", SETTINGS, progress=lambda done, total: told.append((done, total)))
    assert [done for done, _ in told] == list(range(1, 10))
    assert told[-1] == (9, 9)


@pytest.mark.parametrize("layout", ["aihub", "folders"])
def test_layout_can_be_said(tmp_path: Path, layout: Layout) -> None:
    src = class_folders(tmp_path / "src", groups=2)
    make(src, out=tmp_path / "out", settings=replace(SETTINGS, layout=layout))
    assert {row.layout for row in read_manifest(tmp_path / "out").rows} == {layout}


def test_thermal_sibling_stays_on_the_side_of_its_take(tmp_path: Path) -> None:
    tree = AihubTree(tmp_path / "src", thermal="열화상")
    for number, behavior in enumerate(("hit", "no-accident")):
        for take in range(3):
            tree.video(behavior, take, seed=10 * number + take)
            tree.video(behavior, take, modality="thermal", seed=100 + 10 * number + take)
    make(tmp_path / "src", out=tmp_path / "out", settings=replace(SETTINGS, modality="all"))
    manifest = read_manifest(tmp_path / "out")
    sides: dict[str, set[str]] = {}
    for row in manifest.rows:
        sides.setdefault(row.group, set()).add(row.split)
    assert len(sides) == 6
    assert all(len(side) == 1 for side in sides.values())


def test_data_set_may_lie_inside_its_source(tmp_path: Path) -> None:
    src = class_folders(tmp_path / "src", groups=2)
    make(src, out=src / "prepared")
    assert make(src, out=src / "prepared").unchanged


def test_relative_paths_are_stored_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class_folders(tmp_path / "src", groups=2)
    monkeypatch.chdir(tmp_path)
    make(Path("src"), out=Path("out"))
    assert all(Path(row.source).is_absolute() for row in read_manifest(Path("out")).rows)


def test_data_set_made_like_another_keeps_its_sides_and_trains_on_what_is_new(tmp_path: Path) -> None:
    src = annotated(tmp_path / "src")
    make(src, out=tmp_path / "first")
    sides = {row.source: row.split for row in read_manifest(tmp_path / "first").rows}
    annotated(tmp_path / "src", "new.mp4,jam,,,room9,", "more.mp4,hit,,,room8,")
    for number, name in enumerate(("new", "more")):
        film(src / f"{name}.mp4", 60 + 15 * number)
    for seed in (1, 2):
        make(
            src,
            out=tmp_path / f"grown{seed}",
            settings=replace(SETTINGS, like=tmp_path / "first", seed=seed, short_side_px=32),
        )
        grown = {row.source: row.split for row in read_manifest(tmp_path / f"grown{seed}").rows}
        assert grown == sides | {str(src / f"{name}.mp4"): "train" for name in ("new", "more")}


def test_data_set_like_one_that_has_nothing_in_common_is_refused(tmp_path: Path) -> None:
    make(annotated(tmp_path / "src"), out=tmp_path / "first")
    with pytest.raises(DataError, match="none of its validation clips"):
        make(
            annotated(tmp_path / "other"),
            out=tmp_path / "second",
            settings=replace(SETTINGS, like=tmp_path / "first"),
        )
