"""Evidence: what is kept around an incident, and what happens when it cannot be kept."""

import resource
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jikimi.errors import SettingsError
from jikimi.frame import Image
from jikimi.incident import Incident
from jikimi.video import Decoder, StoredPacket, iter_packets, open_input
from jikimi.watch import recorder as recorder_module
from jikimi.watch.naming import reserve, safe_name
from jikimi.watch.recorder import Evidence, Keep, Recorder
from jikimi.watch.ring import PacketRing
from videos import write_video

INCIDENT = Incident("fall-down", opened_s=6.0, peak=0.9)


def noise(index: int, width: int, height: int) -> Image:
    """Pictures that do not compress, so that a file has a size."""
    return np.random.default_rng(index).integers(0, 256, (height, width, 3), dtype=np.uint8)


def record(
    source: Path,
    folder: Path,
    *,
    closed_s: float | None = 8.0,
    opened_s: float = 6.0,
    keep: Keep | None = None,
    changed: Keep | None = None,
) -> list[Evidence]:
    """Feed a file to a recorder, with an incident opened and closed as its pictures come.

    `changed` is what is to be kept from the first packet on.
    """
    opened = replace(INCIDENT, opened_s=opened_s)
    outcomes: list[Evidence] = []
    with open_input(source) as container:
        stream = container.streams.video[0]
        decoder = Decoder(stream)
        recorder = Recorder(folder, decoder, keep or Keep(pre_roll_s=2.0, post_roll_s=2.0))
        is_open = is_closed = False
        for packet in iter_packets(container, stream, decoder):
            pictures = decoder.decode(packet)
            if packet.size:
                recorder.feed(packet)
            if changed is not None:
                recorder.change(changed)
            for _, t_s in pictures:
                if not is_open and t_s >= opened_s:
                    recorder.open(opened, stem="t_fall-down")
                    is_open = True
                if not is_closed and closed_s is not None and t_s >= closed_s:
                    recorder.close(replace(opened, closed_s=closed_s))
                    is_closed = True
            outcomes += recorder.outcomes()
        recorder.finish()
    return outcomes + recorder.outcomes()


def frames_of(path: Path) -> list[av.VideoFrame]:
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


@contextmanager
def files_limited_to(size_bytes: int) -> Iterator[None]:
    """A disk that is full after so many bytes a file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_evidence_covers_the_incident_with_pre_and_post_roll(tmp_path: Path) -> None:
    source = write_video(tmp_path / "v.mp4", seconds=14, gop=24)
    (evidence,) = record(source, tmp_path / "out")
    assert evidence.path == tmp_path / "out" / "t_fall-down.mp4"
    assert evidence.complete and not evidence.reencoded and not evidence.problem
    assert 3.0 < evidence.start_s <= 4.0  # the keyframe at or before 6 - 2 s
    assert evidence.end_s == pytest.approx(10.0, abs=0.2)
    frames = frames_of(evidence.path)
    assert frames[0].time == 0.0 and frames[0].key_frame
    assert frames[-1].time == pytest.approx(evidence.end_s - evidence.start_s, abs=0.1)
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["t_fall-down.mp4"]


def test_changed_rolls_hold_from_the_next_incident_on(tmp_path: Path) -> None:
    source = write_video(tmp_path / "v.mp4", seconds=14, gop=24)
    (evidence,) = record(source, tmp_path / "out", changed=Keep(pre_roll_s=4.5, post_roll_s=4.0))
    assert evidence.complete and 0.5 <= evidence.start_s <= 1.5
    assert evidence.end_s == pytest.approx(12.0, abs=0.2)


def test_packets_and_pictures_are_the_sources(tmp_path: Path) -> None:
    source = write_video(tmp_path / "v.mp4", seconds=14, gop=24)
    (evidence,) = record(source, tmp_path / "out")
    assert evidence.path is not None
    with av.open(str(source)) as container:
        payloads = [bytes(p) for p in container.demux(video=0) if p.size]
    with av.open(str(evidence.path)) as container:
        kept = [bytes(p) for p in container.demux(video=0) if p.size]
    first = payloads.index(kept[0])
    assert kept == payloads[first : first + len(kept)]
    original = next(f for f in frames_of(source) if f.time >= 6.0)
    moment = next(f for f in frames_of(evidence.path) if f.time + evidence.start_s >= 6.0 - 1e-6)
    np.testing.assert_array_equal(original.to_ndarray(), moment.to_ndarray())


@pytest.mark.parametrize("name", ["v.ts", "v.mkv", "v.avi"])
def test_other_containers_keep_the_moment_too(tmp_path: Path, name: str) -> None:
    codec = "mpeg4" if name == "v.avi" else "libx264"
    (evidence,) = record(write_video(tmp_path / name, seconds=12, codec=codec), tmp_path / "out")
    assert evidence.path is not None and evidence.complete and not evidence.problem
    assert len(frames_of(evidence.path)) >= 24 * 6


def test_animated_picture_is_encoded_and_the_evidence_says_so(tmp_path: Path) -> None:
    source = write_video(tmp_path / "v.gif", seconds=10, codec="gif", pix_fmt="rgb8")
    (evidence,) = record(source, tmp_path / "out")
    assert evidence.path is not None and evidence.reencoded
    with av.open(str(evidence.path)) as container:
        assert container.streams.video[0].codec_context.name == "h264"


def test_incident_at_the_end_keeps_what_there_is(tmp_path: Path) -> None:
    source = write_video(tmp_path / "v.mp4", seconds=7)
    (evidence,) = record(source, tmp_path / "out", closed_s=6.9)
    assert evidence.complete and evidence.end_s == pytest.approx(7.0, abs=0.1)


def test_incident_at_the_start_keeps_what_there_is(tmp_path: Path) -> None:
    source = write_video(tmp_path / "v.mp4", seconds=5)
    (evidence,) = record(source, tmp_path / "out", opened_s=0.5, closed_s=1.0)
    assert evidence.complete and evidence.start_s == 0.0


def test_incident_that_never_closes_is_cut_and_marked(tmp_path: Path) -> None:
    source = write_video(tmp_path / "v.mp4", seconds=14)
    keep = Keep(pre_roll_s=1.0, post_roll_s=1.0, evidence_s=3.0)
    (evidence,) = record(source, tmp_path / "out", closed_s=None, keep=keep)
    assert not evidence.complete and evidence.end_s == pytest.approx(9.0, abs=0.2)


def test_pre_roll_that_memory_could_not_hold_is_marked(tmp_path: Path) -> None:
    source = write_video(tmp_path / "v.mp4", seconds=12, gop=6, draw=noise, size=(64, 48))
    keep = Keep(pre_roll_s=5.0, post_roll_s=1.0, ring_bytes=60_000)
    (evidence,) = record(source, tmp_path / "out", keep=keep)
    assert not evidence.complete and 1.5 < evidence.start_s <= 6.0


def test_evidence_never_overwrites(tmp_path: Path) -> None:
    source = write_video(tmp_path / "v.mp4", seconds=8)
    paths = [record(source, tmp_path / "out", closed_s=7.0)[0].path for _ in range(3)]
    assert [p.name for p in paths if p] == ["t_fall-down.mp4", "t_fall-down-2.mp4", "t_fall-down-3.mp4"]


def test_folder_that_cannot_be_made_is_a_problem_and_no_crash(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file where the folder should be")
    (evidence,) = record(write_video(tmp_path / "v.mp4", seconds=8), tmp_path / "out" / "door")
    assert evidence.path is None and "out" in evidence.problem and "\n" not in evidence.problem


@pytest.mark.parametrize("limit_bytes", [0, 500, 4_000])
def test_disk_full_before_a_whole_fragment_is_a_problem_and_leaves_nothing_behind(
    tmp_path: Path, limit_bytes: int
) -> None:
    source = write_video(tmp_path / "v.mp4", seconds=12, draw=noise, size=(64, 48))
    with files_limited_to(limit_bytes):
        (evidence,) = record(source, tmp_path / "out")
    assert evidence.path is None and "cannot be written" in evidence.problem
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("limit_bytes", [20_000, 60_000])
def test_disk_full_in_mid_write_keeps_what_is_there(tmp_path: Path, limit_bytes: int) -> None:
    source = write_video(tmp_path / "v.mp4", seconds=12, draw=noise, size=(64, 48))
    with files_limited_to(limit_bytes):
        (evidence,) = record(source, tmp_path / "out")
    assert evidence.path is not None and not evidence.complete
    assert "cannot be written" in evidence.problem and "kept the first" in evidence.problem
    frames = frames_of(evidence.path)
    assert frames[-1].time == pytest.approx(evidence.end_s - evidence.start_s, abs=0.05)
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["t_fall-down.mp4"]


def test_evidence_that_does_not_show_the_event_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_short(path: Path, *, moment_s: float) -> None:
        original(path, moment_s=moment_s + 100.0)

    original = recorder_module.check_evidence
    monkeypatch.setattr(recorder_module, "check_evidence", cut_short)
    (evidence,) = record(write_video(tmp_path / "v.mp4", seconds=8), tmp_path / "out", closed_s=7.0)
    assert evidence.path is not None and "before its event" in evidence.problem


def test_two_incidents_close_together_get_a_file_each(tmp_path: Path) -> None:
    source = write_video(tmp_path / "v.mp4", seconds=12)
    first, second = INCIDENT, Incident("jam", opened_s=7.5, peak=0.8)
    with open_input(source) as container:
        stream = container.streams.video[0]
        decoder = Decoder(stream)
        recorder = Recorder(tmp_path / "out", decoder, Keep(pre_roll_s=2.0, post_roll_s=2.0))
        steps = [
            (6.0, lambda: recorder.open(first, stem="a")),
            (7.0, lambda: recorder.close(replace(first, closed_s=7.0))),
            (7.5, lambda: recorder.open(second, stem="b")),
            (9.0, lambda: recorder.close(replace(second, closed_s=9.0))),
        ]
        for packet in iter_packets(container, stream, decoder):
            pictures = decoder.decode(packet)
            if packet.size:
                recorder.feed(packet)
            while pictures and steps and pictures[-1][1] >= steps[0][0]:
                steps.pop(0)[1]()
        recorder.finish()
    spans = {e.incident.behavior: (e.start_s, e.end_s) for e in recorder.outcomes()}
    assert spans["fall-down"] == pytest.approx((4.0, 9.0), abs=0.55)
    assert spans["jam"] == pytest.approx((5.5, 11.0), abs=0.55)
    for path in (tmp_path / "out").iterdir():
        assert len(frames_of(path)) > 100


def test_nothing_is_fed_after_the_end(tmp_path: Path) -> None:
    with open_input(write_video(tmp_path / "v.mp4")) as container:
        stream = container.streams.video[0]
        decoder = Decoder(stream)
        recorder = Recorder(tmp_path / "out", decoder)
        recorder.finish()
        for packet in iter_packets(container, stream, decoder):
            recorder.feed(packet)
        recorder.finish()
    assert recorder.outcomes() == [] and not (tmp_path / "out").exists()


@pytest.mark.parametrize("wrong", [{"pre_roll_s": -1.0}, {"pre_roll_s": 1e4}, {"post_roll_s": -0.1}])
def test_rolls_that_cannot_be_kept_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(SettingsError, match="use 0 to"):
        Keep(**wrong)


# --- the ring


def stored(index: int, *, size: int, is_keyframe: bool, fps: int = 10) -> StoredPacket:
    t_s = index / fps
    return StoredPacket(av.Packet(0), index, index, 1, t_s, t_s, size, is_keyframe)


STREAMS = st.lists(st.tuples(st.booleans(), st.integers(1, 400)), min_size=1, max_size=200)


@given(packets=STREAMS, keep_s=st.sampled_from([0.0, 1.0, 3.0]))
def test_ring_stays_within_its_bounds_and_starts_at_a_keyframe(
    packets: list[tuple[bool, int]], keep_s: float
) -> None:
    ring = PacketRing(keep_s, max_s=8.0, max_bytes=5000)
    for index, (is_keyframe, size) in enumerate(packets):
        ring.push(stored(index, size=size, is_keyframe=is_keyframe))
        held = ring.since(-1.0)
        assert ring.size_bytes == sum(p.size for p in held) <= 5000
        if held:
            assert held[0].is_keyframe and index / 10 - held[0].decoded_s <= 8.0
            assert [p.pts for p in held] == list(range(held[0].pts, index + 1))


def test_ring_keeps_the_wanted_seconds_when_it_may() -> None:
    ring = PacketRing(3.0, max_s=60.0, max_bytes=1 << 20)
    for index in range(500):
        ring.push(stored(index, size=10, is_keyframe=index % 20 == 0))
        if index >= 50:
            assert ring.since(index / 10 - 3.0)[0].shown_s <= index / 10 - 3.0
    assert len(ring.since(-1.0)) <= 30 + 20 + 1


def test_ring_without_a_keyframe_holds_nothing() -> None:
    ring = PacketRing(3.0, max_s=60.0, max_bytes=100)
    for index in range(50):
        ring.push(stored(index, size=10, is_keyframe=False))
    assert ring.since(0.0) == [] and ring.size_bytes == 0


# --- names


@given(st.text(min_size=0, max_size=300))
def test_any_camera_name_is_one_safe_directory(name: str) -> None:
    safe = safe_name(name)
    assert safe and "/" not in safe and "\0" not in safe and safe not in (".", "..")
    assert not safe.startswith((".", "-")) or name == safe
    assert len(safe.encode()) <= 130


@given(st.lists(st.text(max_size=30), unique=True, max_size=10))
def test_two_cameras_never_share_a_directory(names: list[str]) -> None:
    assert len({safe_name(name) for name in names}) == len(names)


def test_korean_camera_names_stay_readable() -> None:
    assert safe_name("프레스-3호기") == "프레스-3호기"
    assert safe_name("정문 / 좌측").startswith("정문_좌측_")


def test_a_name_is_reserved_before_it_is_written(tmp_path: Path) -> None:
    temporary, final = reserve(tmp_path, "t_jam")
    again, other = reserve(tmp_path, "t_jam")
    assert temporary != again and final != other
    assert stat.S_ISREG(temporary.stat().st_mode) and not final.exists()


def test_folder_that_retention_removes_meanwhile_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, mkdir = tmp_path / "door", Path.mkdir
    seen: list[Path] = []

    def made_and_removed(self: Path, **options: bool) -> None:
        mkdir(self, **options)
        seen.append(self)
        if len(seen) == 1:
            self.rmdir()

    monkeypatch.setattr(Path, "mkdir", made_and_removed)
    temporary, final = reserve(folder, "t_jam")
    assert temporary.exists() and final == folder / "t_jam.mp4" and len(seen) == 2
