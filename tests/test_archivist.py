"""Evidence after it is written: manifest, still, store, masks, retention, full disks, killed runs."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image as Pillow

from jikimi.archive import Manifest, verify
from jikimi.errors import VideoError
from jikimi.settings import CameraSettings, Settings
from jikimi.store import EvidenceRecord, Store
from jikimi.video import blacken
from jikimi.watch import archivist as archivist_module
from jikimi.watch import replay_room
from jikimi.watch.archivist import HEAD, Archivist
from jikimi.watch.keeping import stem
from jikimi.watch.messages import EvidenceKept
from jikimi.watch.naming import safe_name
from jikimi.watch.scribe import Scribe
from sites import wait_for
from store_values import NOON, camera, incident, later
from videos import write_video

pytest_plugins = ("store_fixtures",)

A, B = "a" * 32, "b" * 32
MASKED = ((0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75))
BLACK = [{"polygon": MASKED, "kind": "blacken"}]


@dataclass
class Archive:
    """An archivist at work on a store of its own."""

    settings: Settings
    store: Store
    archivist: Archivist

    @property
    def folder(self) -> Path:
        return self.settings.evidence_folder

    def video(self, uid: str, *, name: str = "press-3", at_s: float = 0.0, seconds: float = 2.0) -> Path:
        folder = self.folder / safe_name(name)
        path = folder / f"{stem('fall-down', uid, later(at_s))}.mp4"
        return write_video(path, seconds=seconds, fps=12, size=(96, 64))

    def put(
        self, uid: str, path: Path | None, *, settings: CameraSettings | None = None, problem: str = ""
    ) -> None:
        kept = EvidenceKept(uid, "video", path, start_s=-1.0, end_s=1.0, problem=problem)
        self.archivist.put(settings or self.settings.cameras[0], kept)

    def rows(self, uid: str = A) -> list[EvidenceRecord]:
        return self.store.evidence(uid)

    def troubles(self) -> list[tuple[str, bool]]:
        return [(kind, on) for kind, on, _ in self.archivist.troubles()]


@contextmanager
def archiving(
    store: Store,
    data: Path,
    *,
    cameras: list[CameraSettings] | None = None,
    incidents: tuple[str, ...] = (A, B),
    sweep_every_s: float = 0.1,
    orphans_s: float = 60.0,
    **evidence: float,
) -> Iterator[Archive]:
    settings = Settings.model_validate(
        {
            "site": {"data": data},
            "evidence": {"min_free_gb": 0.0001} | evidence,
            "camera": cameras or [camera()],
        }
    )
    for uid in incidents:
        store.open_incident(incident(uid), [])
    scribe = Scribe(store, data / "spool")
    scribe.start()
    archivist = Archivist(settings, store, scribe, sweep_every_s=sweep_every_s, orphans_s=orphans_s)
    archivist.start()
    try:
        yield Archive(settings, store, archivist)
    finally:
        archivist.finish(10)
        scribe.finish(5)


@pytest.fixture
def archive(sqlite_store: Store, tmp_path: Path) -> Iterator[Archive]:
    with archiving(sqlite_store, tmp_path) as found:
        yield found


def test_file_is_hashed_given_a_still_and_entered(archive: Archive) -> None:
    path = archive.video(A)
    archive.put(A, path)
    wait_for(lambda: len(archive.rows()) == 2)
    video, still = sorted(archive.rows(), key=lambda row: row.kind, reverse=True)
    assert (video.kind, still.kind) == ("video", "still")
    assert archive.folder / video.path == path and (video.start_s, video.end_s) == (-1.0, 1.0)
    listed = Manifest(archive.folder).listed()
    assert {row.path.as_posix(): row.sha256 for row in archive.rows()} == {
        p: r.sha256 for p, r in listed.items()
    }
    assert all(record.camera == "press-3" and record.incident == A for record in listed.values())
    with Pillow.open(archive.folder / still.path) as image:
        assert image.size == (96, 64)
    wait_for(lambda: archive.store.meta(HEAD) == Manifest(archive.folder).head())
    assert verify(archive.folder, expected=archive.store.meta(HEAD)).intact
    assert archive.archivist.evidence_bytes > 0 and not archive.troubles()


def brightest(path: Path, *, inside: bool) -> int:
    """The brightest level that any picture shows within the masked part, or outside of it."""
    with av.open(str(path)) as container:
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(pictures) >= 20
    mask = np.zeros(pictures[0].shape[:2], bool)
    mask[16:48, 24:72] = True
    return max(int(picture[mask if inside else ~mask].max()) for picture in pictures)


def test_masked_part_is_black_in_what_is_kept(sqlite_store: Store, tmp_path: Path) -> None:
    with archiving(sqlite_store, tmp_path, cameras=[camera(masks=BLACK)]) as archive:
        path = archive.video(A)
        assert brightest(path, inside=True) > 100
        archive.put(A, path)
        wait_for(lambda: len(archive.rows()) == 2)
        assert brightest(path, inside=True) < 16 and brightest(path, inside=False) > 100
        still = next(row for row in archive.rows() if row.kind == "still")
        with Pillow.open(archive.folder / still.path) as image:
            assert np.asarray(image)[18:46, 26:70].max() < 24
        assert verify(archive.folder).intact


def test_file_that_cannot_be_blackened_is_not_entered(sqlite_store: Store, tmp_path: Path) -> None:
    with archiving(sqlite_store, tmp_path, cameras=[camera(masks=BLACK)]) as archive:
        path = archive.video(A)
        path.write_bytes(path.read_bytes()[:300])
        archive.put(A, path)
        wait_for(lambda: ("evidence", True) in archive.troubles())
        assert not archive.rows() and not Manifest(archive.folder).listed()


def test_damage_in_a_file_does_not_keep_it_from_being_blackened(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", seconds=3, fps=12, size=(96, 64))
    data = bytearray(path.read_bytes())
    middle = data.find(b"mdat") + 2500
    data[middle : middle + 200] = b"\xff" * 200
    path.write_bytes(bytes(data))
    blacken(path, [MASKED])
    assert brightest(path, inside=True) < 16
    with av.open(str(path)) as container:
        times_s = [frame.time for frame in container.decode(video=0)]
    assert times_s[0] == 0.0 and times_s == sorted(set(times_s))


def test_file_that_is_no_video_stays_as_it_was_when_blackening_fails(tmp_path: Path) -> None:
    path = tmp_path / "v.mp4"
    path.write_bytes(b"no video")
    with pytest.raises(VideoError):
        blacken(path, [MASKED])
    assert path.read_bytes() == b"no video" and list(tmp_path.iterdir()) == [path]


def test_evidence_that_could_not_be_kept_is_told_until_some_is_again(archive: Archive) -> None:
    archive.put(A, None, problem="the disk refuses")
    assert wait_for(archive.troubles) == [("evidence", True)]
    archive.put(B, archive.video(B))
    assert wait_for(archive.troubles) == [("evidence", False)]


def scores(archive: Archive, uid: str) -> EvidenceKept:
    path = archive.folder / safe_name("press-3") / f"{stem('fall-down', uid, NOON)}.scores.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{}")
    return EvidenceKept(uid, "scores", path, start_s=-3.0, end_s=2.0)


def test_scores_are_evidence_like_the_video_and_go_like_it(sqlite_store: Store, tmp_path: Path) -> None:
    with archiving(sqlite_store, tmp_path) as archive:
        archive.archivist.put(archive.settings.cameras[0], scores(archive, A))
        wait_for(archive.rows)
        (row,) = archive.rows()
        assert (row.kind, row.start_s, row.end_s, row.size_bytes) == ("scores", -3.0, 2.0, 2)
        assert verify(archive.folder).intact and not archive.troubles()
    with archiving(sqlite_store, tmp_path, keep_days=1e-9) as archive:
        wait_for(lambda: archive.rows()[0].deleted_at is not None)
        assert verify(archive.folder).intact and not list(archive.folder.rglob("*.json"))


def test_scores_that_are_kept_do_not_hide_that_the_video_was_not(archive: Archive) -> None:
    archive.put(A, None, problem="the disk refuses")
    assert wait_for(archive.troubles) == [("evidence", True)]
    archive.archivist.put(archive.settings.cameras[0], scores(archive, A))
    wait_for(archive.rows)
    assert archive.troubles() == []
    archive.put(B, archive.video(B))
    assert wait_for(archive.troubles) == [("evidence", False)]


def test_scores_that_could_not_be_kept_are_told(archive: Archive) -> None:
    kept = EvidenceKept(A, "scores", None, problem="the disk refuses")
    archive.archivist.put(archive.settings.cameras[0], kept)
    assert wait_for(archive.troubles) == [("evidence", True)]


def test_scores_of_a_killed_run_are_taken_over(sqlite_store: Store, tmp_path: Path) -> None:
    with archiving(sqlite_store, tmp_path, orphans_s=0.2) as archive:
        wait_for(lambda: archive.archivist._passes == 1)
        path = scores(archive, A).path
        assert path is not None
        os.utime(path, (time.time() - 60, time.time() - 60))
        wait_for(archive.rows)
        assert archive.rows()[0].kind == "scores" and "died" in archive.rows()[0].problem


def test_still_that_cannot_be_made_costs_the_video_nothing(archive: Archive) -> None:
    path = archive.video(A)
    archive.archivist.put(archive.settings.cameras[0], EvidenceKept(A, "video", path, start_s=-99.0))
    wait_for(lambda: ("evidence", True) in archive.troubles())
    assert [row.kind for row in archive.rows()] == ["video"]
    archive.put(B, archive.video(B))
    wait_for(lambda: len(archive.rows(B)) == 2)


def test_nothing_ends_the_thread(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_args: object) -> None:
        raise RuntimeError("a bug")

    with monkeypatch.context() as patch:
        patch.setattr(archivist_module, "still", fails)
        archive.put(A, archive.video(A))
        wait_for(lambda: ("evidence", True) in archive.troubles())
    archive.put(B, archive.video(B))
    wait_for(lambda: len(archive.rows(B)) == 2)


def test_too_much_goes_oldest_first_and_what_is_locked_stays(sqlite_store: Store, tmp_path: Path) -> None:
    with archiving(sqlite_store, tmp_path) as archive:
        archive.put(A, archive.video(A))
        wait_for(lambda: len(archive.rows(A)) == 2)
        archive.put(B, archive.video(B, at_s=60))
        wait_for(lambda: len(archive.rows(B)) == 2)
    sqlite_store.lock(A, locked=True, at=NOON, by="kim")
    kept_bytes = sum(row.size_bytes for row in archive.rows(A))
    with archiving(sqlite_store, tmp_path, max_gb=(kept_bytes + 100) / 1e9) as archive:
        wait_for(lambda: all(row.deleted_at is not None for row in archive.rows(B)))
        assert all(row.deleted_at is None for row in archive.rows(A))
        assert not any((archive.folder / row.path).exists() for row in archive.rows(B))
        assert all((archive.folder / row.path).exists() for row in archive.rows(A))
        wait_for(lambda: archive.store.meta(HEAD) == Manifest(archive.folder).head())
        assert verify(archive.folder, expected=archive.store.meta(HEAD)).intact
        assert archive.archivist.evidence_bytes == kept_bytes


def test_file_that_the_store_does_not_know_is_deleted_all_the_same(
    sqlite_store: Store, tmp_path: Path
) -> None:
    with archiving(sqlite_store, tmp_path, incidents=()) as archive:
        archive.put(A, archive.video(A))
        wait_for(lambda: len(Manifest(archive.folder).listed()) == 2)
    with archiving(sqlite_store, tmp_path, incidents=(), keep_days=1e-9) as archive:
        wait_for(lambda: not Manifest(archive.folder).listed())
        assert not list(archive.folder.rglob("*.mp4"))


@pytest.fixture
def small_disk(need: Callable[[str, bool], None], tmp_path: Path) -> Iterator[Path]:
    """A disk of 3 MiB. Mounting takes root."""
    folder = tmp_path / "data" / "evidence"
    folder.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "none", str(folder)], capture_output=True, check=False
    )
    need("tmpfs", mounted.returncode == 0)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_full_disk_is_told_and_what_it_refused_is_entered_when_there_is_room(
    small_disk: Path, sqlite_store: Store
) -> None:
    with archiving(sqlite_store, small_disk.parent, min_free_gb=0.0005) as archive:
        wait_for(lambda: archive.archivist._passes)
        path = archive.video(A)
        ballast = small_disk / "film"
        ballast.write_bytes(b"x" * (shutil.disk_usage(small_disk).free - 4096))
        (small_disk / "crumbs").write_bytes(b"x" * shutil.disk_usage(small_disk).free)
        archive.put(A, path)
        told: list[tuple[str, bool]] = []
        wait_for(
            lambda: told.extend(archive.troubles()) or {("disk-full", True), ("evidence", True)} <= set(told)
        )
        assert path.exists() and ("disk-full", False) not in told
        ballast.unlink()
        wait_for(lambda: told.extend(archive.troubles()) or ("disk-full", False) in told)
        wait_for(lambda: len(archive.rows(A)) == 2)
        wait_for(lambda: told.extend(archive.troubles()) or told[-1] == ("evidence", False))


SCRIPT = """
import sys, time, os
from fractions import Fraction
from pathlib import Path
from jikimi.video import Decoder, EvidenceFile, StoredPacket, StreamCopy, iter_packets, open_input
with open_input(Path(sys.argv[1])) as container:
    stream = container.streams.video[0]
    decoder = Decoder(stream)
    file, last = EvidenceFile(Path(sys.argv[2]), StreamCopy(stream)), None
    for packet in iter_packets(container, stream, decoder):
        decoder.decode(packet)
        if packet.size:
            last = StoredPacket.of(packet, stream, after=last)
            file.write(last)
    print("written", flush=True)
    time.sleep(60)
"""


def test_files_of_a_killed_run_are_taken_over_with_their_incidents(
    sqlite_store: Store, tmp_path: Path
) -> None:
    folder = tmp_path / "evidence" / safe_name("press 3")
    folder.mkdir(parents=True)
    source = write_video(tmp_path / "s.mp4", seconds=4, fps=12, size=(96, 64))
    name = f"{stem('fall-down', A, NOON)}.mp4"
    script = [sys.executable, "-c", SCRIPT, str(source), str(folder / f".{name}.part")]
    process = subprocess.Popen(script, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "written\n"
    process.kill()
    process.communicate()
    done = write_video(folder / f"{stem('fall-down', B, NOON)}.mp4", seconds=2, fps=12, size=(96, 64))
    (folder / f".{name}.still.jpg.{process.pid}.tmp").write_bytes(b"half")
    (folder / f".alive.still.jpg.{os.getpid()}.tmp").write_bytes(b"half")
    unknown = [folder / "holiday.mp4", folder / "notes.txt", folder.parent / "readme"]
    for path in unknown:
        path.write_bytes(b"somebody else's")
    cameras = [camera("press 3", masks=BLACK)]
    with archiving(sqlite_store, tmp_path, cameras=cameras) as archive:
        wait_for(lambda: len(archive.rows(A)) == 2 and len(archive.rows(B)) == 2)
        assert brightest(folder / name, inside=True) < 16  # what must not be seen is not seen, now either
        assert brightest(done, inside=True) < 16
        assert "died" in next(row.problem for row in archive.rows(A) if row.kind == "video")
        assert {record.camera for record in Manifest(archive.folder).listed().values()} == {"press 3"}
        assert all(path.read_bytes() == b"somebody else's" for path in unknown)
        assert [path.name.split(".")[1] for path in folder.glob(".*.tmp")] == ["alive"]
    first = Manifest(archive.folder).lines()
    with archiving(sqlite_store, tmp_path, cameras=cameras) as archive:
        wait_for(lambda: archive.archivist._passes)
    assert Manifest(archive.folder).lines() == first  # nothing is entered twice


def test_camera_of_the_store_is_known_with_its_masks(sqlite_store: Store, tmp_path: Path) -> None:
    sqlite_store.put_camera(camera("belt 7", masks=BLACK), at=NOON)
    path = tmp_path / "evidence" / safe_name("belt 7") / f"{stem('jam', A, NOON)}.mp4"
    write_video(path, seconds=2, fps=12, size=(96, 64))
    with archiving(sqlite_store, tmp_path) as archive:
        wait_for(lambda: len(archive.rows(A)) == 2)
        assert brightest(path, inside=True) < 16
        assert {record.camera for record in Manifest(archive.folder).listed().values()} == {"belt 7"}


def test_file_that_a_dead_runs_camera_finishes_later_is_found(sqlite_store: Store, tmp_path: Path) -> None:
    with archiving(sqlite_store, tmp_path, orphans_s=0.5) as archive:
        wait_for(lambda: archive.archivist._passes == 1)
        path = archive.video(A)
        os.utime(path, (time.time() - 60, time.time() - 60))
        wait_for(lambda: len(archive.rows(A)) == 2)


def test_what_only_the_manifest_knows_is_entered_into_the_store(sqlite_store: Store, tmp_path: Path) -> None:
    with archiving(sqlite_store, tmp_path, incidents=()) as archive:
        archive.put(A, archive.video(A))
        wait_for(lambda: len(Manifest(archive.folder).listed()) == 2)
        wait_for(lambda: not archive.archivist.scribe.waiting)
    assert not archive.rows(A)
    with archiving(sqlite_store, tmp_path) as archive:  # the incident came late, from the spool
        wait_for(lambda: len(archive.rows(A)) == 2)
    assert archive.rows(A)[0].created_at < NOON + timedelta(days=4000)


def test_replay_gives_way_before_any_evidence(
    sqlite_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = tmp_path / "replay" / "press-3" / "20260701T030000.000Z.mp4"
    write_video(film, seconds=1, fps=12, size=(96, 64))
    with archiving(sqlite_store, tmp_path) as archive:
        archive.put(A, archive.video(A))
        wait_for(lambda: len(archive.rows(A)) == 2)
        assert film.exists()
        monkeypatch.setattr(replay_room, "_AHEAD_BYTES", 1 << 60)
        wait_for(lambda: not film.exists())
        assert not any(row.deleted_at for row in archive.rows(A)) and archive.troubles() == []


def test_the_film_of_a_report_is_no_orphan_of_an_incident(sqlite_store: Store, tmp_path: Path) -> None:
    """Killed before it was entered: whoever cuts reports makes it anew."""
    path = tmp_path / "evidence" / "press-3" / f"20260701T030000.000Z_jam_{A}_report.mp4"
    write_video(path, seconds=1, fps=12, size=(96, 64))
    told: list[str] = []
    with archiving(sqlite_store, tmp_path, incidents=(B,), orphans_s=0.2) as archive:
        archive.archivist.unknown = lambda _path, uid, _camera: told.append(uid)
        wait_for(lambda: archive.archivist._passes == 2)
        assert not told and not Manifest(archive.folder).listed()


def test_changed_limits_delete_what_is_over_them_at_once(sqlite_store: Store, tmp_path: Path) -> None:
    with archiving(sqlite_store, tmp_path, sweep_every_s=3600.0) as archive:
        archive.put(A, archive.video(A))
        wait_for(lambda: len(archive.rows()) == 2)
        sqlite_store.lock(B, locked=True, at=datetime.now(UTC), by="kim")
        archive.put(B, archive.video(B))
        wait_for(lambda: len(archive.rows(B)) == 2)
        kept = archive.settings.evidence
        less = archive.settings.model_copy(update={"evidence": kept.model_copy(update={"max_gb": 1e-9})})
        archive.archivist.change(less)
        wait_for(lambda: all(row.deleted_at for row in archive.rows(A)))
        assert not any(row.deleted_at for row in archive.rows(B))
