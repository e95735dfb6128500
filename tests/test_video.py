"""Reading real files, whole and damaged, and writing MP4."""

from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jikimi.errors import VideoError
from jikimi.video import (
    MAX_JUMP_S,
    Decoder,
    DecodeReport,
    EvidenceFile,
    Scaler,
    StoredPacket,
    StreamClock,
    StreamCopy,
    check_evidence,
    info,
    iter_packets,
    open_input,
    read_frames,
)
from videos import moving_square, write_video


def remux(source: Path, out: Path, *, skip: int = 0) -> list[bytes]:
    """Copy a file's packets from number `skip` on into evidence; returns the payloads of all packets."""
    payloads = []
    with open_input(source) as container:
        stream = container.streams.video[0]
        decoder, file, last = Decoder(stream), EvidenceFile(out, StreamCopy(stream)), None
        for packet in iter_packets(container, stream, decoder):
            decoder.decode(packet)
            if not packet.size:
                continue
            payloads.append(bytes(packet))
            last = StoredPacket.of(packet, stream, after=last)
            if len(payloads) > skip:
                file.write(last)
        file.close()
    return payloads


def packets_of(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


def times_of(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        assert len(container.streams.audio) == 0
        return [float(frame.time or 0.0) for frame in container.decode(video=0)]


def units(payload: bytes, *, length_prefixed: bool) -> list[bytes]:
    """The NAL units of a packet, however it frames them."""
    if not length_prefixed:
        return [part.rstrip(b"\0") for part in payload.split(b"\0\0\1") if part.rstrip(b"\0")]
    found = []
    while payload:
        size = int.from_bytes(payload[:4], "big")
        found.append(payload[4 : 4 + size].rstrip(b"\0"))
        payload = payload[4 + size :]
    return found


# --- the clock


@given(st.lists(st.floats(-100.0, 1e6, allow_nan=False), min_size=1, max_size=60))
def test_stream_time_starts_at_nought_and_never_runs_back(stamps_s: list[float]) -> None:
    clock = StreamClock()
    times = [clock.stream_time(stamp_s) for stamp_s in stamps_s]
    assert times[0] == 0.0
    assert all(0 <= b - a <= MAX_JUMP_S + 1e-3 for a, b in pairwise(times))


def test_broken_clock_loses_no_time() -> None:
    clock = StreamClock()
    times = [clock.stream_time(s) for s in (5.0, 5.5, 95_000.0, 95_000.5, 3.0, 3.5)]
    assert times == [0.0, 0.5, 0.5, 1.0, 1.0, 1.5]
    assert clock.jumps == 2
    assert clock.stamp_at(1.5) == 3.5


# --- reading


@pytest.mark.parametrize("fps", [5, 8, 10, 24, 25, 30, 60])
def test_frame_k_shows_moment_k(tmp_path: Path, fps: int) -> None:
    def brightness(index: int, width: int, height: int) -> np.ndarray:
        return np.full((height, width, 3), round(index / (3 * fps) * 250), np.uint8)

    path = write_video(tmp_path / "v.mp4", seconds=3, fps=fps, draw=brightness)
    frames = list(read_frames(path, rate_hz=8, short_side_px=32))
    assert [f.t_s for f in frames] == [k / 8 for k in range(len(frames))]
    assert len(frames) == int((3 - 1 / fps + 2e-3) * 8) + 1
    for frame in frames:
        shown_s = frame.image_HWC.mean() / 250 * 3
        assert -0.06 <= shown_s - frame.t_s <= 1 / fps + 0.06


def test_variable_rate_is_sampled_by_time(tmp_path: Path) -> None:
    times = [0.0, 0.1, 0.2, 1.2, 1.3, 2.0]
    path = write_video(tmp_path / "v.mkv", times_s=times)
    report = DecodeReport()
    frames = list(read_frames(path, rate_hz=4, short_side_px=60, report=report))
    assert len(frames) == 9 and report.decoded == 6
    assert frames[1].image_HWC is frames[4].image_HWC  # the picture that ended the gap


@pytest.mark.parametrize("size", [(160, 120), (120, 160), (322, 180), (64, 64)])
def test_short_side_is_scaled_and_the_aspect_kept(tmp_path: Path, size: tuple[int, int]) -> None:
    path = write_video(tmp_path / "v.mp4", seconds=0.2, size=size)
    image = next(read_frames(path, rate_hz=8, short_side_px=48)).image_HWC
    width, height = size
    assert min(image.shape[:2]) == 48
    assert image.shape[1] / image.shape[0] == pytest.approx(width / height, rel=0.03)


def test_report_tells_what_was_read(tmp_path: Path) -> None:
    report = DecodeReport()
    list(read_frames(write_video(tmp_path / "v.mp4"), rate_hz=8, short_side_px=48, report=report))
    assert (report.decoded, report.errors, report.jumps) == (48, 0, 0)
    assert report.info is not None
    assert (report.info.codec, report.info.fps, report.info.width_px) == ("h264", 24.0, 160)
    assert report.info.duration_s == pytest.approx(2.0)
    assert report.last_t_s == pytest.approx(47 / 24)


def test_stamps_that_jump_back_mid_stream_run_on(tmp_path: Path) -> None:
    first = write_video(tmp_path / "a.ts", seconds=2)
    second = write_video(tmp_path / "b.ts", seconds=2, draw=moving_square(5))
    joined = tmp_path / "joined.ts"
    joined.write_bytes(first.read_bytes() + second.read_bytes())
    report = DecodeReport()
    frames = list(read_frames(joined, rate_hz=8, short_side_px=48, report=report))
    assert report.jumps == 1
    assert len(frames) == 32
    assert report.last_t_s == pytest.approx(4.0, abs=0.15)


def test_picture_size_may_change_mid_stream(tmp_path: Path) -> None:
    first = write_video(tmp_path / "a.ts", seconds=1, size=(160, 120))
    second = write_video(tmp_path / "b.ts", seconds=1, size=(320, 180))
    joined = tmp_path / "joined.ts"
    joined.write_bytes(first.read_bytes() + second.read_bytes())
    shapes = [f.image_HWC.shape[:2] for f in read_frames(joined, rate_hz=8, short_side_px=48)]
    assert shapes[0] == (48, 64) and shapes[-1] == (48, 86)  # sides are even


def test_damage_is_counted_and_the_rest_is_used(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.avi", seconds=4, codec="mpeg4", draw=moving_square(3))
    data = bytearray(path.read_bytes())
    rng = np.random.default_rng(0)
    for at in rng.integers(6000, len(data) - 6000, 40):
        data[at] ^= 0xFF
    path.write_bytes(bytes(data))
    report = DecodeReport()
    frames = list(read_frames(path, rate_hz=8, short_side_px=48, report=report))
    assert frames and report.decoded > 20
    assert report.errors > 0 or any(f.damaged for f in frames)


def test_truncated_stream_gives_what_is_there(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.ts", seconds=4)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    frames = list(read_frames(path, rate_hz=8, short_side_px=48))
    assert 8 <= len(frames) <= 20


@pytest.mark.parametrize("content", [b"", b"\0" * 5000, b"this is no video at all" * 50])
def test_file_that_is_no_video_is_one_clear_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.mp4"
    path.write_bytes(content)
    with pytest.raises(VideoError, match=r"x\.mp4") as refused:
        list(read_frames(path, rate_hz=8, short_side_px=48))
    assert "\n" not in str(refused.value)


def test_codec_that_nobody_knows_is_said(tmp_path: Path) -> None:
    video = write_video(tmp_path / "v.mp4", seconds=1)
    video.write_bytes(video.read_bytes().replace(b"avc1", b"zzzz"))
    with pytest.raises(VideoError, match="codec that is not known"), open_input(video):
        pytest.fail("it was opened")


def test_missing_file_and_file_without_pictures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="No such file"), open_input(tmp_path / "none.mp4"):
        pass
    sound = tmp_path / "sound.wav"
    with av.open(str(sound), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
    with pytest.raises(VideoError, match="no video stream"), open_input(sound):
        pass


def test_password_of_an_address_stays_out_of_error_and_trace() -> None:
    with (
        pytest.raises(VideoError, match=r"rtsp://\*\*\*@127.0.0.1:9/x") as refused,
        open_input("rtsp://admin:S3cr@et9@127.0.0.1:9/x", timeout=(2.0, 2.0)),
    ):
        pass
    assert "S3cr" not in str(refused.getrepr(style="long", showlocals=False, chain=True).reprcrash)
    assert refused.value.__cause__ is None and refused.value.__suppress_context__


def test_frame_threads_decode_the_same_pictures(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", seconds=2)
    one = list(read_frames(path, rate_hz=8, short_side_px=48))
    two = list(read_frames(path, rate_hz=8, short_side_px=48, threads=2))
    assert [f.t_s for f in one] == [f.t_s for f in two]
    assert all(np.array_equal(a.image_HWC, b.image_HWC) for a, b in zip(one, two, strict=True))


def test_picture_turned_by_its_file_is_turned_upright(tmp_path: Path, real_clips: Path) -> None:
    clip = next(iter(sorted(real_clips.rglob("*.mp4"))))
    with open_input(clip) as container:
        frame = next(container.decode(video=0))
        image = Scaler(48)(frame)
    sideways = frame.rotation in (90, -90, 270)
    assert (image.shape[0] > image.shape[1]) == ((frame.height > frame.width) != sideways)


def test_real_clips_decode_on_the_grid(real_clips: Path) -> None:
    clips = sorted(real_clips.glob("*/*.mp4"))
    clips += sorted(real_clips.glob("*/*.gif"))
    for clip in clips[:: max(1, len(clips) // 4)]:
        report = DecodeReport()
        frames = list(read_frames(clip, rate_hz=8, short_side_px=48, report=report))
        assert [f.t_s for f in frames] == [k / 8 for k in range(len(frames))]
        assert len(frames) == int((report.last_t_s + 2e-3) * 8) + 1


# --- writing


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"),
    [
        ("v.mp4", "libx264", "yuv420p"),
        ("v.mkv", "libx264", "yuv420p"),
        ("v.avi", "mpeg4", "yuv420p"),
        ("m.avi", "mjpeg", "yuvj420p"),
        ("v.ts", "mpeg2video", "yuv420p"),
        ("v.webm", "libvpx-vp9", "yuv420p"),
    ],
)
def test_packets_are_copied_bit_by_bit(tmp_path: Path, name: str, codec: str, pix_fmt: str) -> None:
    source = write_video(tmp_path / name, codec=codec, pix_fmt=pix_fmt)
    payloads = remux(source, tmp_path / "out.mp4", skip=12)
    assert packets_of(tmp_path / "out.mp4") == payloads[12:]
    times = times_of(tmp_path / "out.mp4")
    assert times[0] == 0.0 and len(times) == 36
    np.testing.assert_allclose(np.diff(times), 1 / 24, atol=2e-3)


def test_pictures_of_a_copy_are_the_originals(tmp_path: Path) -> None:
    source = write_video(tmp_path / "v.mkv")  # its first decoding times are missing
    remux(source, tmp_path / "out.mp4")
    with av.open(str(source)) as a, av.open(str(tmp_path / "out.mp4")) as b:
        for before, after in zip(a.decode(video=0), b.decode(video=0), strict=True):
            np.testing.assert_array_equal(before.to_ndarray(), after.to_ndarray())
            assert before.time == pytest.approx(after.time, abs=2e-3)


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_transport_stream_becomes_mp4_with_the_same_units(tmp_path: Path, codec: str) -> None:
    source = write_video(tmp_path / "v.ts", codec=codec)
    payloads = remux(source, tmp_path / "out.mp4")
    copied = packets_of(tmp_path / "out.mp4")
    assert len(copied) == len(payloads) == 48
    for before, after in zip(payloads, copied, strict=True):
        wanted = units(before, length_prefixed=False)
        kept = units(after, length_prefixed=True)
        assert all(unit in wanted for unit in kept)
        assert len(wanted) - len(kept) <= 1  # MP4 has no use for the access unit delimiter
    assert len(times_of(tmp_path / "out.mp4")) == 48


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"),
    [
        ("v.gif", "gif", "rgb8"),
        ("v.avi", "rawvideo", "yuv420p"),
        ("b.avi", "libx264", "yuv420p"),
        ("v.mkv", "ffv1", "yuv420p"),
    ],
)
def test_what_mp4_cannot_carry_is_encoded(tmp_path: Path, name: str, codec: str, pix_fmt: str) -> None:
    source = write_video(tmp_path / name, codec=codec, pix_fmt=pix_fmt)
    remux(source, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.video[0].codec_context.name == "h264"
    times = times_of(tmp_path / "out.mp4")
    assert times[0] == 0.0 and len(times) == 48
    assert times[-1] == pytest.approx(47 / 24, abs=0.1)
    assert all(b > a for a, b in pairwise(times))


def test_copy_begins_at_a_keyframe(tmp_path: Path) -> None:
    source = write_video(tmp_path / "v.mp4", gop=12)
    payloads = remux(source, tmp_path / "out.mp4", skip=5)
    assert packets_of(tmp_path / "out.mp4") == payloads[12:]


def test_leading_pictures_of_an_open_group_are_left_out(tmp_path: Path) -> None:
    source = write_video(tmp_path / "v.mp4", codec="libx265", gop=12)
    remux(source, tmp_path / "out.mp4", skip=1)
    times = times_of(tmp_path / "out.mp4")
    with open_input(tmp_path / "out.mp4") as container:
        stream = container.streams.video[0]
        assert info(stream).codec == "hevc" and stream.start_time == 0
    assert times[0] == 0.0 and len(times) == len(packets_of(tmp_path / "out.mp4"))


def test_finished_evidence_is_checked(tmp_path: Path) -> None:
    source = write_video(tmp_path / "v.mp4")
    check_evidence(source, moment_s=1.0)
    with pytest.raises(VideoError, match="before its event"):
        check_evidence(source, moment_s=5.0)
    source.write_bytes(source.read_bytes()[:-100])
    with pytest.raises(VideoError):
        check_evidence(source, moment_s=1.0)


def test_evidence_where_nothing_can_be_written_is_one_clear_line(tmp_path: Path) -> None:
    with open_input(write_video(tmp_path / "v.mp4")) as container:
        stream = container.streams.video[0]
        decoder = Decoder(stream)
        with pytest.raises(VideoError, match="evidence cannot be written"):
            file = EvidenceFile(tmp_path / "none" / "out.mp4", StreamCopy(stream))
            for packet in iter_packets(container, stream, decoder):
                file.write(StoredPacket.of(packet, stream, after=None))
