"""Evidence on a disk that fails: killed writers, full disks, what is recovered, and stills."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image as Pillow

from jikimi.errors import VideoError
from jikimi.video import (
    Decoder,
    EvidenceFile,
    StoredPacket,
    StreamCopy,
    iter_packets,
    open_input,
    recover,
    still,
    strip,
)
from jikimi.video.fragments import whole_bytes
from videos import write_video

# Writes evidence for ever so many packets, says so, and waits to be killed.
WRITER = """
import sys, time
from pathlib import Path
from jikimi.video import Decoder, EvidenceFile, StoredPacket, StreamCopy, iter_packets, open_input
with open_input({source!r}) as container:
    stream = container.streams.video[0]
    decoder, file, last = Decoder(stream), EvidenceFile(Path({out!r}), StreamCopy(stream)), None
    for number, packet in enumerate(iter_packets(container, stream, decoder)):
        decoder.decode(packet)
        last = StoredPacket.of(packet, stream, after=last)
        file.write(last)
        if number == {n_packets}:
            print("written", flush=True)
            time.sleep(60)
"""


def half_written(source: Path, part: Path, *, n_packets: int) -> EvidenceFile:
    """Evidence that is still being written, after so many packets."""
    with open_input(source) as container:
        stream = container.streams.video[0]
        decoder, file, last = Decoder(stream), EvidenceFile(part, StreamCopy(stream)), None
        for packet, _ in zip(iter_packets(container, stream, decoder), range(n_packets), strict=False):
            decoder.decode(packet)
            last = StoredPacket.of(packet, stream, after=last)
            file.write(last)
    return file


def times_of(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        return [float(frame.time or 0.0) for frame in container.decode(video=0)]


@pytest.mark.parametrize("gop", [12, 250])
def test_killed_writer_loses_about_a_second_and_is_recovered(tmp_path: Path, gop: int) -> None:
    source, part = write_video(tmp_path / "v.mp4", seconds=8, gop=gop), tmp_path / ".e.mp4.part"
    code = WRITER.format(source=str(source), out=str(part), n_packets=150)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None and writer.stdout.readline() == b"written\n"
        assert recover(tmp_path) == [] and part.exists()  # it lives
        os.kill(writer.pid, signal.SIGKILL)
    assert recover(tmp_path) == [tmp_path / "e.mp4"] and not part.exists()
    times = times_of(tmp_path / "e.mp4")
    assert times[0] == 0.0 and times[-1] > 150 / 24 - 1.5


@pytest.mark.parametrize("share", [0.3, 0.55, 0.9, 0.999])
def test_file_cut_anywhere_plays_to_its_last_whole_fragment(tmp_path: Path, share: float) -> None:
    part = tmp_path / "door" / ".e.mp4.part"
    part.parent.mkdir()
    half_written(write_video(tmp_path / "v.mp4", seconds=6), part, n_packets=200).close()
    os.truncate(part, int(part.stat().st_size * share))
    assert recover(tmp_path) == [part.parent / "e.mp4"]
    times = times_of(part.parent / "e.mp4")
    assert times == sorted(times) and len(times) % 12 == 0 and times[0] == 0.0


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"\0\0\0\x08moov\0\0\0\x10moof"])
def test_part_without_a_whole_fragment_is_removed(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ".e.mp4.part").write_bytes(content)
    assert recover(tmp_path) == [] and list(tmp_path.iterdir()) == []


def test_recovering_never_overwrites(tmp_path: Path) -> None:
    half_written(write_video(tmp_path / "v.mp4"), tmp_path / ".e.mp4.part", n_packets=40).close()
    (tmp_path / "e.mp4").write_text("another incident")
    assert recover(tmp_path) == [tmp_path / "e-2.mp4"]
    assert (tmp_path / "e.mp4").read_text() == "another incident"


def test_file_that_this_process_writes_is_left_alone(tmp_path: Path) -> None:
    file = half_written(write_video(tmp_path / "v.mp4"), tmp_path / ".e.mp4.part", n_packets=40)
    assert recover(tmp_path) == []
    file.close(tmp_path / "e.mp4")
    assert len(times_of(tmp_path / "e.mp4")) == 40


def test_finished_evidence_is_whole_fragments_to_its_last_second(tmp_path: Path) -> None:
    half_written(write_video(tmp_path / "v.mp4"), tmp_path / "e.mp4", n_packets=40).close()
    content = (tmp_path / "e.mp4").read_bytes()
    assert content.count(b"moof") >= 3 and content[whole_bytes(tmp_path / "e.mp4") + 4 :][:4] == b"mfra"


def test_abandoned_evidence_is_gone(tmp_path: Path) -> None:
    half_written(write_video(tmp_path / "v.mp4"), tmp_path / ".e.mp4.part", n_packets=40).abandon()
    assert [path.name for path in tmp_path.iterdir()] == ["v.mp4"]


# --- stills


@pytest.mark.parametrize("moment_s", [0.0, 0.5, 1.3])
def test_still_shows_its_moment(tmp_path: Path, moment_s: float) -> None:
    source = write_video(tmp_path / "v.mp4", seconds=2.0)
    still(source, moment_s, tmp_path / "s.jpg")
    with av.open(str(source)) as container:
        frames = [f for f in container.decode(video=0) if float(f.time or 0.0) <= moment_s + 1e-6]
    with Pillow.open(tmp_path / "s.jpg") as found:
        difference = np.asarray(found).astype(int) - frames[-1].to_ndarray(format="rgb24")
    assert np.abs(difference).mean() < 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s.jpg", "v.mp4"]


def test_still_of_a_moment_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="no picture at 9 s"):
        still(write_video(tmp_path / "v.mp4"), 9.0, tmp_path / "s.jpg")
    assert not (tmp_path / "s.jpg").exists()


def test_strip_shows_every_picture_in_order(tmp_path: Path) -> None:
    images = [np.full((30, 40, 3), 40 * number, np.uint8) for number in range(6)]
    strip(images, tmp_path / "s.jpg")
    with Pillow.open(tmp_path / "s.jpg") as found:
        sheet = np.asarray(found)
    assert sheet.shape == (64, 172, 3)
    assert [int(sheet[15 + 34 * (n // 4), 20 + 44 * (n % 4), 0]) for n in range(6)] == pytest.approx(
        [40 * n for n in range(6)], abs=3
    )


def test_strip_of_nothing_or_of_two_sizes_is_refused(tmp_path: Path) -> None:
    for images in ([], [np.zeros((8, 8, 3), np.uint8), np.zeros((8, 9, 3), np.uint8)]):
        with pytest.raises(VideoError, match="all of one size"):
            strip(images, tmp_path / "s.jpg")


def test_still_that_cannot_be_written_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="still cannot be written"):
        strip([np.zeros((8, 8, 3), np.uint8)], tmp_path / "none" / "s.jpg")
