"""The archive: tampering is found, power failures are tolerated, and the oldest goes first."""

import errno
import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jikimi.archive import ArchiveError, Limits, Manifest, Record, StoredFile, plan, sweep, verify
from jikimi.archive import retention as retention_module
from jikimi.archive.manifest import GENESIS, NAME
from jikimi.errors import SettingsError

START = datetime(2026, 3, 1, tzinfo=UTC)


def fill(folder: Path, n_files: int = 4) -> list[Record]:
    """An archive of small files, a day apart, in folders of two cameras."""
    manifest, records = Manifest(folder), []
    for number in range(n_files):
        path = folder / f"프레스-{number % 2}" / f"e{number}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"pictures of {number}".encode() * 5)
        at = START + timedelta(days=number)
        records.append(manifest.add(path, camera="프레스", incident=f"i{number}", kind="video", at=at))
    return records


def lines_of(folder: Path) -> list[bytes]:
    return (folder / NAME).read_bytes().splitlines(keepends=True)


def kinds(folder: Path, expected: str | None = None) -> set[str]:
    return {problem.kind for problem in verify(folder, expected=expected).problems}


@contextmanager
def archive() -> Iterator[Path]:
    """An archive of four files and a deletion, for hypothesis, whose examples share no fixture."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        records = fill(folder)
        Manifest(folder).delete(records[1], by="kim", at=START)
        (folder / records[1].path).unlink()
        yield folder


def test_untouched_archive_is_intact(tmp_path: Path) -> None:
    records = fill(tmp_path)
    (tmp_path / ".x.mp4.part").write_text("being written")
    report = verify(tmp_path, expected=records[2].hash)
    assert report.intact and report.notes == () and (report.n_records, report.n_files) == (4, 4)
    assert report.head == records[-1].hash == Manifest(tmp_path).head()


def test_folder_without_anything_is_intact(tmp_path: Path) -> None:
    assert verify(tmp_path).intact and Manifest(tmp_path).head() == GENESIS
    assert list(tmp_path.iterdir()) == []


# --- tampering


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_byte_changed_in_any_file_is_found(data: st.DataObject) -> None:
    with archive() as folder:
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        path = data.draw(st.sampled_from(files))
        content = bytearray(path.read_bytes())
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
        path.write_bytes(content)
        assert not verify(folder).intact


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_record_removed_moved_or_repeated_is_found(data: st.DataObject) -> None:
    with archive() as folder:
        head, lines = Manifest(folder).head(), lines_of(folder)
        at = data.draw(st.integers(0, len(lines) - 1))
        line = lines.pop(at)
        if data.draw(st.booleans()):
            other = data.draw(st.integers(0, len(lines)).filter(lambda to: to != at))
            lines.insert(other, line)
        (folder / NAME).write_bytes(b"".join(lines))
        assert not verify(folder, expected=head).intact


def test_each_kind_of_tampering_has_its_name(tmp_path: Path) -> None:
    records = fill(tmp_path)
    (tmp_path / records[0].path).write_bytes(b"other pictures")
    (tmp_path / records[1].path).unlink()
    (tmp_path / "planted.mp4").write_bytes(b"planted")
    assert {(p.kind, p.where) for p in verify(tmp_path).problems} == {
        ("changed", records[0].path),
        ("missing", records[1].path),
        ("unlisted", "planted.mp4"),
    }


def test_record_removed_from_the_middle_is_found_with_its_file(tmp_path: Path) -> None:
    records, lines = fill(tmp_path), lines_of(tmp_path)
    (tmp_path / records[1].path).unlink()
    (tmp_path / NAME).write_bytes(lines[0] + b"".join(lines[2:]))
    assert kinds(tmp_path) == {"order"}


def test_tail_cut_off_with_its_file_is_found_by_the_head(tmp_path: Path) -> None:
    records, lines = fill(tmp_path), lines_of(tmp_path)
    (tmp_path / records[-1].path).unlink()
    (tmp_path / NAME).write_bytes(b"".join(lines[:-1]))
    assert kinds(tmp_path) == set()
    assert kinds(tmp_path, expected=records[-1].hash) == {"truncated"}


def test_manifest_that_is_gone_is_found(tmp_path: Path) -> None:
    fill(tmp_path)
    (tmp_path / NAME).unlink()
    assert kinds(tmp_path) == {"unlisted"} and len(verify(tmp_path).problems) == 4


def test_file_overwritten_and_recorded_again_is_found(tmp_path: Path) -> None:
    records = fill(tmp_path)
    path = tmp_path / records[0].path
    path.write_bytes(b"nicer pictures")
    Manifest(tmp_path).add(path, camera="프레스", incident="i0", kind="video")
    assert kinds(tmp_path) == {"changed"}


def test_file_replaced_by_a_link_is_found(tmp_path: Path) -> None:
    records = fill(tmp_path / "a")
    path = tmp_path / "a" / records[0].path
    path.rename(tmp_path / "elsewhere.mp4")
    path.symlink_to(tmp_path / "elsewhere.mp4")
    assert kinds(tmp_path / "a") == {"changed"}


def test_deletion_with_its_record_is_no_tampering(tmp_path: Path) -> None:
    records = fill(tmp_path)
    Manifest(tmp_path).delete(records[0], by="kim")
    assert kinds(tmp_path) == {"leftover"}  # as a crash before the deletion leaves it
    (tmp_path / records[0].path).unlink()
    assert kinds(tmp_path) == set()


# --- power failure and other writers


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_torn_last_line_is_reported_and_writing_goes_on(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        records, lines = fill(folder), lines_of(folder)
        os.truncate(folder / NAME, sum(map(len, lines)) - data.draw(st.integers(1, len(lines[-1]) - 1)))
        report = verify(folder)
        assert "torn" in report.notes[0] and [p.kind for p in report.problems] == ["unlisted"]
        Manifest(folder).add(folder / records[-1].path, camera="프레스", incident="i3", kind="video")
        report = verify(folder)
        assert report.intact and "cut off" in report.notes[0]


def test_damaged_last_record_stops_writing(tmp_path: Path) -> None:
    records = fill(tmp_path)
    content = bytearray((tmp_path / NAME).read_bytes())
    content[-10] ^= 1
    (tmp_path / NAME).write_bytes(content)
    with pytest.raises(ArchiveError, match="verify the archive"):
        Manifest(tmp_path).delete(records[0], by="kim")


def test_file_outside_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "e.mp4").write_text("x")
    with pytest.raises(ArchiveError, match="outside"):
        Manifest(tmp_path / "a").add(tmp_path / "e.mp4", camera="c", incident="i", kind="still")


def _add_many(folder: Path, writer: int) -> None:
    for number in range(15):
        path = folder / f"{writer}-{number}.jpg"
        path.write_text(f"{writer} {number}")
        Manifest(folder).add(path, camera="c", incident="i", kind="still")


def test_writers_at_the_same_time_make_one_chain(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_add_many, args=(tmp_path, writer)) for writer in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    report = verify(tmp_path)
    assert report.intact and report.n_records == 45


# --- retention

FILES = st.lists(
    st.builds(
        StoredFile,
        path=st.uuids().map(str),
        size_bytes=st.integers(0, 1000),
        written_s=st.integers(0, 100 * 86_400).map(float),
        locked=st.booleans(),
    ),
    max_size=30,
)


@given(
    files=FILES,
    max_age_days=st.none() | st.floats(0, 120),
    max_bytes=st.none() | st.integers(0, 20_000),
    free_bytes=st.integers(0, 5000),
    min_free_bytes=st.integers(0, 10_000),
)
def test_plan_meets_its_limits_oldest_first_and_takes_no_more_than_it_must(
    files: list[StoredFile],
    max_age_days: float | None,
    max_bytes: int | None,
    free_bytes: int,
    min_free_bytes: int,
) -> None:
    now = 100 * 86_400.0
    chosen = plan(
        files,
        now=now,
        max_age_days=max_age_days,
        max_bytes=max_bytes,
        free_bytes=free_bytes,
        min_free_bytes=min_free_bytes,
    )
    kept = [file for file in files if file not in chosen]
    oldest_s = now - max_age_days * 86_400 if max_age_days is not None else -1.0

    def unmet(gone: list[StoredFile]) -> bool:
        freed = sum(file.size_bytes for file in gone)
        left = sum(file.size_bytes for file in files) - freed
        too_old = any(f.written_s < oldest_s for f in files if f not in gone and not f.locked)
        too_large = max_bytes is not None and left > max_bytes
        return too_old or too_large or free_bytes + freed < min_free_bytes

    assert not any(file.locked for file in chosen)
    assert chosen == sorted(chosen, key=lambda file: (file.written_s, file.path))
    free_to_go = [file for file in kept if not file.locked]
    assert not free_to_go or not unmet(chosen)
    assert all(a.written_s <= b.written_s for a in chosen for b in free_to_go)
    assert not chosen or unmet(chosen[:-1])


def test_sweep_deletes_the_oldest_records_it_and_removes_empty_folders(tmp_path: Path) -> None:
    records = fill(tmp_path)
    (tmp_path / "unlisted.mp4").write_text("not ours")
    now = START + timedelta(days=3, hours=1)
    swept = sweep(tmp_path, Limits(max_age_days=1.5), now=now, is_locked=lambda r: r.incident == "i0")
    assert swept.deleted == (records[1].path,) and swept.problems == ()
    assert swept.freed_bytes == records[1].size_bytes
    assert kinds(tmp_path) == {"unlisted"} and verify(tmp_path).n_records == 5
    swept = sweep(tmp_path, Limits(max_bytes=0), now=now, is_locked=lambda r: r.incident == "i0")
    assert len(swept.deleted) == 2 and not (tmp_path / records[1].path).parent.exists()
    assert (tmp_path / records[0].path).exists() and (tmp_path / "unlisted.mp4").exists()


def test_sweep_makes_the_room_that_is_asked_for(tmp_path: Path) -> None:
    records = fill(tmp_path)
    limits = Limits(min_free_bytes=1000)
    swept = sweep(tmp_path, limits, now=START, is_locked=lambda _: False, free_bytes=1000 - 75)
    assert swept.deleted == tuple(record.path for record in records[:2])
    assert sweep(tmp_path, limits, now=START, is_locked=lambda _: False, free_bytes=1000).deleted == ()


def test_disk_without_room_for_the_record_is_swept_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(Manifest):
        def delete(self, record: Record, *, by: str, at: datetime | None = None) -> Record:
            if (self.folder / record.path).exists():
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().delete(record, by=by, at=at)

    records = fill(tmp_path)
    monkeypatch.setattr(retention_module, "Manifest", Full)
    swept = sweep(tmp_path, Limits(max_bytes=0), now=START, is_locked=lambda _: False)
    assert len(swept.deleted) == len(records) and verify(tmp_path).intact


def test_file_that_cannot_be_deleted_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = fill(tmp_path, 2)
    shutil.rmtree(tmp_path / "프레스-0")
    (tmp_path / records[0].path).mkdir(parents=True)  # neither a file, so it is left alone
    (tmp_path / records[1].path).chmod(0o444)

    def refuse(self: Path, missing_ok: bool = False) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "unlink", refuse)
    swept = sweep(tmp_path, Limits(max_bytes=0), now=START, is_locked=lambda _: False)
    monkeypatch.undo()
    assert swept.deleted == () and "check its owner" in swept.problems[0]
    assert "leftover" in kinds(tmp_path)


def test_limits_below_zero_are_refused() -> None:
    with pytest.raises(SettingsError, match="0 or more"):
        Limits(max_age_days=-1.0)
