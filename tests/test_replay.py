"""Replay: everything a camera sends, for a while, as films that can be cut and joined."""

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jikimi.errors import VideoError
from jikimi.frame import Image
from jikimi.incident import Incident
from jikimi.settings import Settings
from jikimi.video import (
    Decoder,
    EvidenceFile,
    Joined,
    StoredPacket,
    StreamCopy,
    iter_packets,
    join,
    open_input,
)
from jikimi.watch import replay as replay_module
from jikimi.watch.recorder import Keep, Recorder
from jikimi.watch.replay import Replay, Shelf, begun_at, films, pieces, spans, stamp
from jikimi.watch.replay_room import finish_left_behind, shelf_of, sweep_replay
from sites import wait_for
from store_values import camera
from videos import write_video

INCIDENT = Incident("fall-down", opened_s=8.0, peak=0.9)
FPS = 12
NOON = datetime(2026, 7, 1, 3, 0, tzinfo=UTC)


def grey(index: int, width: int, height: int) -> Image:
    """A picture that says by its brightness which second it is."""
    return np.full((height, width, 3), 10 + 8 * (index // FPS), np.uint8)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 s, a keyframe each second."""
    return write_video(tmp_path_factory.mktemp("source") / "s.mp4", seconds=20, fps=FPS, gop=FPS, draw=grey)


@dataclass
class Clock:
    """A clock that tests set; `NOON` is when it stands at 0."""

    t_s: float = 0.0

    def __call__(self) -> float:
        return self.t_s

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.t_s)


def play(
    source: Path, shelf: Shelf, *, at_s: float = 0.0, finish: bool = True, lost: range = range(0)
) -> Replay:
    """Feed replay with a film as a camera would send it from `at_s` on, but for the frames `lost`."""
    clock = Clock(at_s)
    with open_input(source) as container:
        stream = container.streams.video[0]
        replay = Replay(shelf, StreamCopy(stream), segment_s=4.0, clock=clock, now=clock.now)
        last = None
        for number, packet in enumerate(container.demux(stream)):
            if packet.size and number not in lost:
                last = StoredPacket.of(packet, stream, after=last)
                clock.t_s = at_s + last.shown_s
                replay.feed(last)
                wait_for(replay._waiting.empty, every_s=0.0005)
    if finish:
        replay.finish()
    return replay


def pictures(path: Path) -> list[tuple[float, int]]:
    """(time, second it shows) of every picture."""
    with av.open(str(path)) as container:
        frames = [(float(f.time), f.to_ndarray(format="rgb24").mean()) for f in container.decode(video=0)]
    return [(t_s, round((mean - 10) / 8)) for t_s, mean in frames]


def cut(folder: Path, start_s: float, end_s: float) -> list[Joined]:
    """Cut a span of seconds after noon out of `folder`/replay; times of what is made are after noon, too."""
    found = pieces(folder / "replay", start=later(start_s), end=later(end_s))
    noon_s = NOON.timestamp()
    made = join(found, start_s=noon_s + start_s, end_s=noon_s + end_s, name=lambda n: folder / f"{n}.mp4")
    return [replace(one, start_s=one.start_s - noon_s, end_s=one.end_s - noon_s) for one in made]


def later(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def test_everything_is_kept_in_films_that_begin_at_keyframes(source: Path, tmp_path: Path) -> None:
    play(source, Shelf(tmp_path / "replay"))
    found = [pictures(path) for _, path in films(tmp_path / "replay")]
    assert [len(film) for film in found] == [4 * FPS] * 5
    assert [second for film in found for _, second in film] == [n // FPS for n in range(20 * FPS)]
    assert all(film[0][0] == 0.0 for film in found)


def test_a_span_over_several_films_is_joined_without_a_seam(source: Path, tmp_path: Path) -> None:
    play(source, Shelf(tmp_path / "replay"))
    (made,) = cut(tmp_path, 6.5, 13.0)
    shown = pictures(made.path)[: 7 * FPS]  # then those that were sent before 13 s for later
    assert made.path == tmp_path / "0.mp4" and made.start_s == pytest.approx(6.0, abs=0.1)
    assert made.end_s == pytest.approx(13.0, abs=0.5)
    assert [second for _, second in shown] == [n // FPS for n in range(6 * FPS, 13 * FPS)]
    assert [t_s for t_s, _ in shown] == pytest.approx([n / FPS for n in range(7 * FPS)], abs=0.002)


def test_films_are_named_by_when_they_begin(source: Path, tmp_path: Path) -> None:
    play(source, Shelf(tmp_path / "replay"), at_s=30.0)
    begun_s = [(at - NOON).total_seconds() for at, _ in films(tmp_path / "replay")]
    assert begun_s == pytest.approx([30.0, 34.0, 38.0, 42.0, 46.0], abs=0.2)


def test_a_film_that_is_being_written_is_cut_too(source: Path, tmp_path: Path) -> None:
    replay = play(source, Shelf(tmp_path / "replay"), finish=False)
    (part,) = (path for _, path in films(tmp_path / "replay") if path.name.endswith(".part"))
    (made,) = cut(tmp_path, 14.0, 18.0)
    replay.finish()
    assert part.name.startswith(".") and not part.exists()
    assert {second for _, second in pictures(made.path)} >= {14, 15, 16, 17}


def test_where_the_camera_was_away_another_film_begins(source: Path, tmp_path: Path) -> None:
    play(source, Shelf(tmp_path / "replay"))
    play(source, Shelf(tmp_path / "replay"), at_s=25.0)
    made = cut(tmp_path, 18.0, 27.0)
    assert [(one.start_s, one.end_s) for one in made] == [
        pytest.approx((18.0, 19.9), abs=0.2),
        pytest.approx((25.0, 27.0), abs=0.5),
    ]
    assert [second for _, second in pictures(made[1].path)][: 2 * FPS] == [n // FPS for n in range(2 * FPS)]


def test_nothing_is_made_of_a_time_of_which_there_is_nothing(source: Path, tmp_path: Path) -> None:
    play(source, Shelf(tmp_path / "replay"))
    assert cut(tmp_path, 40.0, 50.0) == [] == cut(tmp_path, -20.0, -10.0)
    assert not list(tmp_path.glob("*.mp4")) and not list(tmp_path.glob(".*.part"))
    assert pieces(tmp_path / "nowhere", start=later(0), end=later(1)) == []


def test_evidence_is_the_same_with_and_without_replay(source: Path, tmp_path: Path) -> None:
    shown = []
    for name, keep in (("with", Keep(2, 2, replay=Shelf(tmp_path / "replay"))), ("without", Keep(2, 2))):
        with open_input(source) as container:
            stream = container.streams.video[0]
            decoder = Decoder(stream)
            recorder = Recorder(tmp_path / name, decoder, keep)
            for packet in iter_packets(container, stream, decoder):
                if decoder.decode(packet) and recorder._last and 8 <= recorder._last.shown_s < 8.05:
                    recorder.open(INCIDENT, stem="t_fall-down")
                if packet.size:
                    recorder.feed(packet)
            recorder.close(replace(INCIDENT, closed_s=12.0))
            recorder.finish()
        (kept,) = recorder.outcomes()
        assert kept.path is not None and not kept.problem
        shown.append(pictures(kept.path))
    assert shown[0] == shown[1] and len(shown[0]) > 5 * FPS
    assert sum(len(pictures(path)) for _, path in films(tmp_path / "replay")) == 20 * FPS


def test_what_a_killed_process_was_writing_is_finished_and_can_be_cut(source: Path, tmp_path: Path) -> None:
    code = (
        "import os, signal, sys, time; from pathlib import Path; sys.path.insert(0, sys.argv[3]);"
        "from test_replay import play; from jikimi.watch.replay import Shelf;"
        "play(Path(sys.argv[1]), Shelf(Path(sys.argv[2])), finish=False);"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    script = [sys.executable, "-c", code, str(source), str(tmp_path / "replay"), str(Path(__file__).parent)]
    assert subprocess.run(script, check=False).returncode == -signal.SIGKILL
    assert [second for _, second in pictures(cut(tmp_path, 16.5, 18.5)[0].path)][:FPS] == [16] * FPS
    finish_left_behind(Settings.model_validate({"site": {"data": tmp_path}}))
    found = films(tmp_path / "replay")
    assert len(found) == 5 and not any(path.name.startswith(".") for _, path in found)
    assert {second for _, second in pictures(found[-1][1])} >= {16, 17, 18}


def test_a_disk_that_takes_its_time_costs_replay_and_never_waiting(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()

    class Slow(EvidenceFile):
        def write(self, stored: StoredPacket) -> None:
            go_on.wait(10)
            super().write(stored)

    monkeypatch.setattr(replay_module, "EvidenceFile", Slow)
    monkeypatch.setattr(replay_module, "_QUEUE_BYTES", 4096)
    began = time.monotonic()
    with open_input(source) as container:
        stream = container.streams.video[0]
        replay = Replay(Shelf(tmp_path / "replay"), StreamCopy(stream))
        last = None
        for number, packet in enumerate(container.demux(stream)):
            if packet.size:
                last = StoredPacket.of(packet, stream, after=last)
                replay.feed(last)
            if number == 15 * FPS:
                assert replay._waiting_bytes <= 4096 and replay._gaps
                go_on.set()
                wait_for(replay._waiting.empty)
    assert time.monotonic() - began < 5
    replay.finish()
    seconds = [[second for _, second in pictures(path)] for _, path in films(tmp_path / "replay")]
    assert seconds[0][0] == 0 and seconds[-1][-1] == 19
    assert all(film.count(film[0]) == FPS for film in seconds)  # each begins at a keyframe


def test_a_disk_that_refuses_is_left_alone_and_tried_again(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(EvidenceFile):
        def write(self, stored: StoredPacket) -> None:
            if 5.0 <= stored.shown_s < 6.0:
                raise VideoError("no space left on device")
            super().write(stored)

    monkeypatch.setattr(replay_module, "EvidenceFile", Full)
    play(source, Shelf(tmp_path / "replay"))
    seconds = [second for _, path in films(tmp_path / "replay") for _, second in pictures(path)]
    assert seconds == [n // FPS for n in [*range(5 * FPS), *range(11 * FPS, 20 * FPS)]]


def test_a_stream_without_keyframes_does_not_grow_one_film_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay_module, "_LONGEST_S", 5.0)
    endless = write_video(tmp_path / "s.mp4", seconds=12, fps=FPS, gop=1000, draw=grey)
    play(endless, Shelf(tmp_path / "replay"))
    (film,) = films(tmp_path / "replay")
    assert {second for _, second in pictures(film[1])} >= {0, 1, 2, 3, 4} and len(pictures(film[1])) < 6 * FPS


def test_without_room_nothing_is_written(source: Path, tmp_path: Path) -> None:
    play(source, Shelf(tmp_path / "replay", min_free_bytes=1 << 60))
    assert films(tmp_path / "replay") == []


def test_pictures_that_mp4_cannot_carry_are_not_kept(tmp_path: Path) -> None:
    odd = write_video(tmp_path / "odd.avi", seconds=2, fps=FPS, codec="ffv1")
    play(odd, Shelf(tmp_path / "replay"))
    assert films(tmp_path / "replay") == []


def test_names_of_other_files_are_no_films(tmp_path: Path) -> None:
    for name in ("holiday.mp4", "20261399T000000.000Z.mp4", "20260701T030000.000Z.jpg"):
        (tmp_path / name).write_bytes(b"x")
    assert films(tmp_path) == []
    name = "20260701T030000.250Z-2.mp4"
    assert begun_at(tmp_path / name) == later(0.25) == begun_at(tmp_path / f".{name}.part")


@given(st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)))
def test_a_film_begins_when_its_name_says(moment: datetime) -> None:
    moment = moment.replace(tzinfo=UTC)
    found = begun_at(Path(f"{stamp(moment)}.mp4"))
    assert found is not None and timedelta() <= moment - found < timedelta(milliseconds=1)


@pytest.fixture(scope="module")
def kept(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the replay of 20 s from noon on."""
    folder = tmp_path_factory.mktemp("kept")
    play(source, Shelf(folder / "replay"))
    return folder


@settings(max_examples=25, deadline=None)
@given(start_s=st.floats(0, 18), length_s=st.floats(0.5, 20))
def test_any_span_is_cut_whole_from_the_keyframe_before(kept: Path, start_s: float, length_s: float) -> None:
    (made,) = cut(kept, start_s, start_s + length_s)
    shown = [made.start_s + t_s for t_s, _ in pictures(made.path)]
    made.path.unlink()
    end_s = min(20.0, start_s + length_s)
    assert start_s - 1.3 <= shown[0] <= start_s + 0.1 and shown[-1] >= end_s - 0.2
    within = [t_s for t_s in shown if start_s <= t_s < end_s]
    assert len(within) == pytest.approx((end_s - start_s) * FPS, abs=3)
    assert all(0.05 < after - before < 0.12 for before, after in pairwise(within))


# --- how much there may be


def sized(data: Path, name: str, *, minutes_ago: float, size: int = 1000) -> Path:
    path = data / "replay" / "press-3" / f"{name}.mp4"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    at_s = NOON.timestamp() - 60 * minutes_ago
    os.utime(path, (at_s, at_s))
    return path


def limits(data: Path, **evidence: float) -> Settings:
    values = {"min_free_gb": 0, "replay_minutes": 60} | evidence
    return Settings.model_validate({"site": {"data": data}, "evidence": values})


def test_films_go_when_they_are_too_old_or_too_much_the_oldest_first(tmp_path: Path) -> None:
    names = [stamp(later(-60.0 * minutes)) for minutes in (90, 50, 20, 1)]
    paths = [
        sized(tmp_path, name, minutes_ago=minutes)
        for name, minutes in zip(names, (89, 49, 19, 0), strict=True)
    ]
    other = tmp_path / "replay" / "press-3" / "notes.mp4"
    other.write_bytes(b"somebody else's")
    now = NOON.timestamp()
    assert sweep_replay(limits(tmp_path), now=now) == 1000
    assert [path.exists() for path in paths] == [False, True, True, True]
    sweep_replay(limits(tmp_path, max_gb=2e-6), now=now)
    assert [path.exists() for path in paths] == [False, False, True, True]
    sweep_replay(limits(tmp_path, min_free_gb=1e9), now=now)
    assert not any(path.exists() for path in paths) and other.exists()


def test_replay_switched_off_keeps_nothing(tmp_path: Path) -> None:
    path = sized(tmp_path, stamp(later(-60)), minutes_ago=1)
    off = limits(tmp_path, replay_minutes=0)
    sweep_replay(off, now=NOON.timestamp())
    assert not path.exists() and shelf_of(off, camera()) is None
    assert shelf_of(limits(tmp_path), camera()) == Shelf(tmp_path / "replay" / "press-3", 200 << 20)


def test_what_cannot_be_finished_goes_by_age(tmp_path: Path) -> None:
    folder = tmp_path / "replay" / "press-3"
    folder.mkdir(parents=True)
    old, new = (folder / f".{stamp(datetime.now(UTC) - timedelta(minutes=m))}.mp4.part" for m in (61, 5))
    head = b"\0\0\0\x08moov" + b"\0\0\0\x08moof" + b"\0\0\0\x08mdat"  # whole, and shows nothing
    for path in (old, new):
        path.write_bytes(head)
    finish_left_behind(limits(tmp_path))
    assert not old.exists() and new.exists()


def test_what_is_held_is_told_as_spans_without_the_gaps(tmp_path: Path) -> None:
    assert spans(tmp_path / "none") == []
    for begins_s, written_s in ((0, 60), (60.5, 120), (300, 330), (331, 500), (400, 410)):
        film = tmp_path / f"{stamp(NOON + timedelta(seconds=begins_s))}.mp4"
        film.touch()
        at_s = (NOON + timedelta(seconds=written_s)).timestamp()
        os.utime(film, (at_s, at_s))
    (tmp_path / "notes.txt").touch()
    held = [((start - NOON).total_seconds(), (end - NOON).total_seconds()) for start, end in spans(tmp_path)]
    # A film that a killed process left was finished later than it ends: the next one says when at the latest.
    assert held == [(0, 120), (300, 410)]
