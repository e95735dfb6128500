"""A real RTSP server: an incident with evidence, and a camera that goes away or falls silent."""

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import pytest

from bundles import accident_between, make_bundle
from jikimi.bundle import Bundle, load_bundle
from jikimi.watch.camera import READ_TIMEOUT_S
from jikimi.watch.event import WatchEvent
from jikimi.watch.pipeline import watch
from videos import write_video

SYSTEM_PYTHON = "/usr/bin/python3"
PROBE = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"
FPS = 15


@pytest.fixture(scope="module")
def rtsp(need: Callable[[str, bool], None]) -> None:
    """A machine that can serve RTSP."""
    probe = [SYSTEM_PYTHON, "-c", PROBE]
    present = Path(SYSTEM_PYTHON).exists() and subprocess.run(probe, capture_output=True).returncode == 0
    need("rtsp", present)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return load_bundle(make_bundle(tmp_path_factory.mktemp("bundle") / "x.jikimi"), threads=1)


@contextmanager
def camera(video: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Serve a video as a camera → its address and the server's process."""
    server = subprocess.Popen(
        [SYSTEM_PYTHON, str(Path(__file__).with_name("rtsp_server.py")), str(video)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        yield f"rtsp://admin:S3cr@et@127.0.0.1:{port}/live", server
    finally:
        server.send_signal(signal.SIGCONT)
        server.kill()
        server.communicate()


def test_incident_over_rtsp_leaves_evidence_that_plays(rtsp: None, bundle: Bundle, tmp_path: Path) -> None:
    draw = accident_between(2 * FPS, 4 * FPS)
    video = write_video(tmp_path / "v.mp4", seconds=8, fps=FPS, size=(96, 64), gop=FPS, draw=draw)
    events: list[WatchEvent] = []
    with camera(video) as (address, _):
        summary = watch([address], bundle=bundle, out=tmp_path / "out", emit=events.append, post_roll_s=1.0)
    kinds = [e.event for e in events]
    assert kinds == ["started", "opened", "closed", "evidence", "fault", "ended"]
    assert "S3cr" not in repr(events) + repr(summary) and "admin" not in repr(events)
    (evidence,) = [e for e in events if e.event == "evidence"]
    assert evidence.evidence is not None and not evidence.details["reencoded"]
    assert evidence.evidence.name.endswith("Z_fall-down.mp4")
    with av.open(str(evidence.evidence)) as container:
        frames = list(container.decode(video=0))
    assert frames[0].time == 0.0 and len(frames) >= 5 * FPS
    yellow = [f for f in frames if f.to_ndarray(format="rgb24")[32:, :, 2].mean() < 60]
    assert len(yellow) == 2 * FPS


@pytest.mark.parametrize(
    ("trouble", "within_s"), [(signal.SIGKILL, 8.0), (signal.SIGSTOP, 2 * READ_TIMEOUT_S + 6.0)]
)
def test_camera_that_goes_away_or_falls_silent_is_a_fault_within_seconds(
    rtsp: None, bundle: Bundle, tmp_path: Path, trouble: signal.Signals, within_s: float
) -> None:
    draw = accident_between(0, 60 * FPS)
    video = write_video(tmp_path / "v.mp4", seconds=30, fps=FPS, size=(96, 64), gop=FPS, draw=draw)
    events: list[WatchEvent] = []
    struck_s = [0.0]
    with camera(video) as (address, server):

        def emit(event: WatchEvent) -> None:
            events.append(event)
            if event.event == "opened":
                server.send_signal(trouble)
                struck_s[0] = time.monotonic()

        summary = watch([address], bundle=bundle, out=tmp_path / "out", emit=emit)
        took_s = time.monotonic() - struck_s[0]
    assert took_s < within_s
    assert [e.event for e in events] == ["started", "opened", "closed", "evidence", "fault", "ended"]
    fault = next(e for e in events if e.event == "fault")
    assert fault.details["fault"] == "broke-off"
    assert summary.cameras[0].evidence_files == 1 and not summary.stopped


def test_address_nobody_serves_is_a_fault(rtsp: None, bundle: Bundle, tmp_path: Path) -> None:
    events: list[WatchEvent] = []
    video = write_video(tmp_path / "v.mp4", seconds=1)
    with camera(video) as (address, _):
        watch([address.replace("/live", "/other")], bundle=bundle, emit=events.append)
    assert [e.event for e in events] == ["fault", "ended"]
    assert "404" in events[0].details["message"] or "not found" in events[0].details["message"].lower()
