"""Cameras for tests: real RTSP servers on loopback that can be killed, stopped and brought back."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import av
import pytest

from videos import Draw, moving_square

SYSTEM_PYTHON = "/usr/bin/python3"
SERVER = Path(__file__).with_name("camera_server.py")
PROBE = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"

# Access unit delimiters let the server cut the stream without parsing it.
_OPTIONS = {
    "libx264": {"x264-params": "aud=1:bframes=0:scenecut=0", "preset": "veryfast"},
    "libx265": {
        "x265-params": "aud=1:bframes=0:scenecut=0:repeat-headers=1:log-level=none",
        "preset": "ultrafast",
    },
    "mjpeg": {},
}
_FORMATS = {"libx264": "h264", "libx265": "hevc", "mjpeg": "mjpeg"}
_NAMES = {"libx264": "h264", "libx265": "h265", "mjpeg": "mjpeg"}


@pytest.fixture(scope="session")
def rtsp(need: Callable[[str, bool], None]) -> None:
    """A machine that can serve RTSP."""
    probe = [SYSTEM_PYTHON, "-c", PROBE]
    present = Path(SYSTEM_PYTHON).exists() and subprocess.run(probe, capture_output=True).returncode == 0
    need("rtsp", present)


@dataclass(frozen=True)
class Film:
    """What a camera shows, over and over."""

    path: Path
    fps: int
    codec: str = "libx264"

    @property
    def spec(self) -> str:
        return f"{self.path}@{self.fps}@{_NAMES[self.codec]}"


def write_film(
    path: Path,
    *,
    seconds: float,
    fps: int = 15,
    size: tuple[int, int] = (96, 64),
    codec: str = "libx264",
    draw: Draw | None = None,
) -> Film:
    """Write a bare stream with a keyframe each second."""
    draw = draw or moving_square()
    width, height = size
    with av.open(str(path), "w", format=_FORMATS[codec]) as container:
        stream = container.add_stream(codec, rate=fps, options=_OPTIONS[codec])
        stream.width, stream.height = width, height
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.codec_context.gop_size = fps
        for index in range(round(seconds * fps)):
            frame = av.VideoFrame.from_ndarray(draw(index, width, height), format="rgb24")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return Film(path, fps, codec)


@dataclass
class CameraServer:
    """An RTSP server with one camera a film. It keeps its port when it comes back."""

    films: Mapping[str, Film]
    port: int = 0
    host: str = "127.0.0.1"
    prefix: Sequence[str] = ()
    process: subprocess.Popen[str] | None = field(default=None, init=False)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.kill()

    def address(self, name: str, *, login: str = "admin:S3cr@et") -> str:
        return f"rtsp://{login}@{self.host}:{self.port}/{name}"

    def start(self) -> None:
        specs = [f"{name}={film.spec}" for name, film in self.films.items()]
        self.process = subprocess.Popen(
            [*self.prefix, SYSTEM_PYTHON, str(SERVER), f"{self.host}:{self.port}", *specs],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def send(self, number: signal.Signals) -> None:
        assert self.process is not None
        os.kill(self.process.pid, number)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None


def children(pid: int) -> Iterator[int]:
    """Every process that descends from one."""
    import psutil

    for child in psutil.Process(pid).children(recursive=True):
        yield child.pid


__all__ = ["CameraServer", "Film", "children", "rtsp", "write_film"]
