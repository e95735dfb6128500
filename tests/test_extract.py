"""One clip → frames: on the grid, of the right size, and whatever the source holds, an answer."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from aihub_tree import damage
from jikimi.data.extract import JPEG_QUALITY, Extracted, ExtractTask, Refused, Unwritable, extract, to_jpeg
from jikimi.data.pictures import pictures_of
from jikimi.frame import Image
from videos import moving_square, write_video


def run(
    source: Path, target: Path, *, rate_hz: float = 8, fps: float | None = None
) -> Extracted | Refused | Unwritable:
    return extract(ExtractTask(source, target, rate_hz=rate_hz, short_side_px=256, source_fps=fps))


def done(source: Path, target: Path, *, rate_hz: float = 8, fps: float | None = None) -> Extracted:
    outcome = run(source, target, rate_hz=rate_hz, fps=fps)
    assert isinstance(outcome, Extracted), outcome
    return outcome


def refused(source: Path, target: Path, *, fps: float | None = None) -> str:
    outcome = run(source, target, fps=fps)
    assert isinstance(outcome, Refused), outcome
    return outcome.reason


def sizes(folder: Path) -> set[tuple[int, ...]]:
    return {read(path).shape[1::-1] for path in folder.iterdir()}


def read(path: Path) -> Image:
    with PillowImage.open(path) as picture:
        return np.asarray(picture, dtype=np.uint8)


def test_frames_lie_on_the_grid_with_the_short_side_asked_for(tmp_path: Path) -> None:
    source = write_video(tmp_path / "a.mp4", seconds=2, fps=30, size=(640, 360))
    outcome = done(source, tmp_path / "out")
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == [f"{i:06d}.jpg" for i in range(1, 17)]
    assert sizes(tmp_path / "out") == {(456, 256)}
    assert outcome.n_frames == 16
    assert outcome.n_bytes == sum(path.stat().st_size for path in (tmp_path / "out").iterdir())
    assert outcome.duration_s == pytest.approx(2.0, abs=0.01)
    assert (outcome.width_px, outcome.height_px, outcome.fps) == (640, 360, 30.0)
    assert outcome.notes == ()


def test_same_source_gives_the_same_bytes(tmp_path: Path) -> None:
    source = write_video(tmp_path / "a.mp4")
    assert done(source, tmp_path / "1") == done(source, tmp_path / "2")
    for path in (tmp_path / "1").iterdir():
        assert path.read_bytes() == (tmp_path / "2" / path.name).read_bytes()


def test_frames_of_an_attempt_that_died_are_gone(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "000999.jpg").write_bytes(b"old")
    outcome = done(write_video(tmp_path / "a.mp4"), tmp_path / "out")
    assert len(list((tmp_path / "out").iterdir())) == outcome.n_frames


@pytest.mark.parametrize(
    ("name", "codec", "size"),
    [
        ("한국어 이름 #1.mp4", "libx264", (160, 120)),
        ("portrait.mkv", "libx264", (90, 160)),
        ("odd.avi", "mjpeg", (161, 91)),
        ("old.mpg", "mpeg2video", (160, 120)),
    ],
)
def test_any_ordinary_video_works(tmp_path: Path, name: str, codec: str, size: tuple[int, int]) -> None:
    pix_fmt = "yuvj444p" if codec == "mjpeg" else "yuv420p"
    source = write_video(tmp_path / name, seconds=1, fps=25, codec=codec, size=size, pix_fmt=pix_fmt)
    outcome = done(source, tmp_path / "out")
    assert outcome.n_frames == 8
    assert all(min(size) == 256 for size in sizes(tmp_path / "out"))


def test_one_frame_is_a_clip(tmp_path: Path) -> None:
    outcome = done(write_video(tmp_path / "a.mp4", seconds=0.04, fps=25), tmp_path / "out")
    assert outcome.n_frames == 1
    assert outcome.duration_s > 0


def test_variable_rate_is_sampled_by_time(tmp_path: Path) -> None:
    times = [0.0, 0.04, 0.08, 0.12, 1.0, 1.5, 2.0]
    outcome = done(write_video(tmp_path / "a.mkv", times_s=times), tmp_path / "out")
    assert outcome.n_frames == 17  # ticks 0 to 2 s at 8 Hz


def test_rotated_video_is_upright(tmp_path: Path) -> None:
    source = write_video(tmp_path / "a.mp4", seconds=0.5, size=(160, 90))
    turned = tmp_path / "turned.mp4"
    command = ["ffmpeg", "-v", "error", "-display_rotation", "90", "-i", source, "-c", "copy", turned]
    if subprocess.run(command, check=False, capture_output=True).returncode:  # FFmpeg 5 spells it otherwise
        rotate = ["ffmpeg", "-v", "error", "-i", source, "-c", "copy", "-metadata:s:v", "rotate=90", turned]
        subprocess.run(rotate, check=True)
    done(turned, tmp_path / "out")
    assert sizes(tmp_path / "out") == {(256, 456)}


def test_damaged_video_gives_what_decodes_and_says_so(tmp_path: Path) -> None:
    source = write_video(tmp_path / "a.mkv", seconds=3, size=(320, 240))
    damage(source)
    outcome = done(source, tmp_path / "out")
    assert outcome.n_frames >= 1
    assert any(note.startswith("damaged: ") for note in outcome.notes)
    assert str(tmp_path) not in "".join(outcome.notes)


def test_truncated_video_gives_its_beginning(tmp_path: Path) -> None:
    source = write_video(tmp_path / "a.mkv", seconds=3, size=(320, 240))
    source.write_bytes(source.read_bytes()[: source.stat().st_size // 2])
    assert 1 <= done(source, tmp_path / "out").n_frames < 24


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"this is text\n" * 50,
        bytes(5000),
        b"#EXTM3U\nfile:///etc/passwd\n",
        b"\x00\x00\x00\x18ftypmp42" + bytes(99),
    ],
)
def test_file_that_is_no_video_is_refused_with_a_reason(tmp_path: Path, content: bytes) -> None:
    source = tmp_path / "a.mp4"
    source.write_bytes(content)
    reason = refused(source, tmp_path / "out")
    assert reason
    assert str(tmp_path) not in reason


def test_sound_without_a_picture_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "a.mp4"
    tone = ["-f", "lavfi", "-i", "sine=duration=0.2", "-c:a", "aac"]
    subprocess.run(["ffmpeg", "-v", "error", *tone, source], check=True)
    assert refused(source, tmp_path / "out") == "holds no video stream"


def test_missing_source_is_refused_not_raised(tmp_path: Path) -> None:
    assert "No such file" in refused(tmp_path / "a.mp4", tmp_path / "out")


def test_full_disk_is_no_fault_of_the_clip(tmp_path: Path) -> None:
    source = write_video(tmp_path / "a.mp4")
    (tmp_path / "file").touch()
    outcome = run(source, tmp_path / "file" / "out")
    assert isinstance(outcome, Unwritable)
    assert outcome.reason == "Not a directory"


# --- folders of pictures --------------------------------------------------------------------------------


def write_pictures(folder: Path, count: int, *, mode: str = "RGB", suffix: str = "jpg") -> Path:
    folder.mkdir()
    draw = moving_square()
    for index in range(count):
        PillowImage.fromarray(draw(index, 160, 90)).convert(mode).save(folder / f"frame_{index + 1}.{suffix}")
    return folder


def test_pictures_are_taken_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "seq", 12)
    assert [path.name for path in pictures_of(folder)] == [f"frame_{i}.jpg" for i in range(1, 13)]


def test_folder_of_pictures_is_sampled_by_its_rate(tmp_path: Path) -> None:
    outcome = done(write_pictures(tmp_path / "seq", 30), tmp_path / "out", fps=30)
    assert (outcome.n_frames, outcome.duration_s, outcome.fps) == (8, pytest.approx(1.0), 30)
    assert sizes(tmp_path / "out") == {(455, 256)}


@pytest.mark.parametrize(("mode", "suffix"), [("L", "png"), ("RGBA", "png"), ("P", "png"), ("CMYK", "jpg")])
def test_pictures_of_any_mode_work(tmp_path: Path, mode: str, suffix: str) -> None:
    assert (
        done(write_pictures(tmp_path / "seq", 2, mode=mode, suffix=suffix), tmp_path / "out", fps=8).n_frames
        == 2
    )


def test_sixteen_bit_thermal_pictures_keep_their_contrast(tmp_path: Path) -> None:
    folder = tmp_path / "seq"
    folder.mkdir()
    ramp = np.tile(np.linspace(0, 65535, 64, dtype=np.uint16), (48, 1))
    PillowImage.fromarray(ramp).save(folder / "1.png")
    done(folder, tmp_path / "out", fps=8)
    frame = read(tmp_path / "out" / "000001.jpg")
    assert frame.min() < 10 and frame.max() > 245 and 100 < frame.mean() < 155


def test_damaged_picture_is_left_out_and_the_next_one_stands_in(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "seq", 16)
    for name in ("frame_1.jpg", "frame_5.jpg"):
        (folder / name).write_bytes(b"nothing")
    outcome = done(folder, tmp_path / "out", fps=30)
    assert outcome.n_frames == 5
    assert outcome.notes == ("damaged: 2 errors in decoding (frame_5.jpg: not a picture, or damaged)",)


def test_folder_whose_pictures_are_all_damaged_is_refused(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "seq", 2)
    for path in folder.iterdir():
        path.write_bytes(path.read_bytes()[:30])
    assert refused(folder, tmp_path / "out", fps=30).startswith("no picture could be decoded (frame_2.jpg")


def test_empty_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "seq").mkdir()
    assert refused(tmp_path / "seq", tmp_path / "out", fps=30) == "holds no pictures"


def test_jpeg_keeps_the_picture(tmp_path: Path) -> None:
    image = moving_square(3)(0, 320, 240)
    image = np.asarray(PillowImage.fromarray(image).resize((160, 120)).resize((320, 240)))
    (tmp_path / "a.jpg").write_bytes(to_jpeg(image))
    again = read(tmp_path / "a.jpg").astype(float)
    psnr = 10 * np.log10(255**2 / ((again - image) ** 2).mean())
    assert psnr > 35
    assert JPEG_QUALITY >= 90


def test_workers_import_lightly() -> None:
    """A process for each core starts at once: none may load the whole training stack."""
    code = "import sys, jikimi.data.extract, jikimi.data.pool; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"polars", "torch", "pydantic", "sklearn", "onnxruntime"} & set(loaded)
