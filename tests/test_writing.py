"""Videos we encode: whole or absent, with the times they were given."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from jikimi.errors import VideoError
from jikimi.frame import Image
from jikimi.video import Decoder, VideoWriter, info, iter_packets, open_input
from videos import moving_square

DRAW = moving_square()


def picture(index: int) -> Image:
    return DRAW(index, 160, 120)


def writer(path: Path, *, fps: float | Fraction = 10, bit_rate_kbps: int = 300) -> VideoWriter:
    return VideoWriter(path, width_px=160, height_px=120, fps=fps, bit_rate_kbps=bit_rate_kbps, gop_frames=10)


def write(path: Path, times_s: list[float | None], **options: float) -> Path:
    with writer(path, **options) as out:  # type: ignore[arg-type]
        for index, t_s in enumerate(times_s):
            out.write(picture(index), t_s)
    return path


def read_back(path: Path) -> tuple[list[float], list[Image]]:
    times_s, images = [], []
    with open_input(path) as container:
        decoder = Decoder(container.streams.video[0])
        for packet in iter_packets(container, container.streams.video[0], decoder):
            for frame, t_s in decoder.decode(packet):
                times_s.append(t_s)
                images.append(frame.to_ndarray(format="rgb24"))
        assert decoder.errors == 0
    return times_s, images


@pytest.mark.parametrize("fps", [8, 10, 15, Fraction(30000, 1001)])
def test_pictures_come_at_the_rate_asked_for(tmp_path: Path, fps: float | Fraction) -> None:
    with writer(tmp_path / "a.mp4", fps=fps) as out:
        for index in range(20):
            out.write(picture(index))
    times_s, images = read_back(tmp_path / "a.mp4")
    assert times_s == pytest.approx([index / float(fps) for index in range(20)], abs=1e-4)
    assert np.abs(images[7].astype(int) - picture(7)).mean() < 15


def test_a_lost_picture_leaves_a_gap(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4", [0.0, 0.1, None, 0.75, None, 1.0])
    times_s, _ = read_back(tmp_path / "a.mp4")
    assert times_s == pytest.approx([0.0, 0.1, 0.2, 0.75, 0.85, 1.0], abs=1e-4)


def test_header_says_what_was_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", [None] * 20)
    with open_input(path) as container:
        said = info(container.streams.video[0])
    assert (said.width_px, said.height_px, said.codec) == (160, 120, "h264")
    assert said.fps == pytest.approx(10)
    assert said.duration_s == pytest.approx(2.0, abs=0.11)


def test_keyframes_come_once_a_group(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", [None] * 25)
    with open_input(path) as container:
        packets = [packet for packet in container.demux(container.streams.video[0]) if packet.size]
        keys = [index for index, packet in enumerate(packets) if packet.is_keyframe]
        assert all(packet.pts == packet.dts for packet in packets), "no B-frames"
    assert keys == [0, 10, 20]


def test_bit_rate_is_kept(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 255, (40, 120, 160, 3), dtype=np.uint8)
    for rate_kbps in (100, 400):
        path = tmp_path / f"{rate_kbps}.mp4"
        with writer(path, bit_rate_kbps=rate_kbps) as out:
            for image in noise:
                out.write(image)
        assert path.stat().st_size * 8 / 1000 / 4.0 == pytest.approx(rate_kbps, rel=0.4)


def test_same_pictures_give_same_bytes(tmp_path: Path) -> None:
    first, second = write(tmp_path / "a.mp4", [None] * 12), write(tmp_path / "b.mp4", [None] * 12)
    assert first.read_bytes() == second.read_bytes()


def test_nothing_has_the_name_before_the_end_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with writer(path) as out:
        out.write(picture(0))
        assert not path.exists()
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_nothing_and_keeps_the_older_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", [None] * 3)
    older = path.read_bytes()
    with pytest.raises(RuntimeError, match="scene"), writer(path) as out:
        out.write(picture(0))
        raise RuntimeError("scene fell over")
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == older


def test_a_video_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="no picture"), writer(tmp_path / "a.mp4"):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("t_s", [0.5, 0.4, -1.0])
def test_time_must_go_on(tmp_path: Path, t_s: float) -> None:
    with pytest.raises(VideoError, match="not after"):
        write(tmp_path / "a.mp4", [0.5, t_s])
    assert not list(tmp_path.iterdir())


def test_wrong_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="takes uint8"), writer(tmp_path / "a.mp4") as out:
        out.write(picture(0)[:100])
    with pytest.raises(VideoError, match="even sides"):
        VideoWriter(tmp_path / "a.mp4", width_px=161, height_px=120, fps=10, bit_rate_kbps=300, gop_frames=10)
    assert not list(tmp_path.iterdir())


def test_missing_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(VideoError, match=r"file.*cannot be written"):
        writer(tmp_path / "file" / "a.mp4")
    with pytest.raises(VideoError, match=r"away.*cannot be written"):
        writer(tmp_path / "away" / "a.mp4")
