"""Watching over HTTP, and what of a camera's log-in shows when things go wrong."""

import io
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from PIL import Image as PillowImage

from bundles import GREY, YELLOW, make_bundle
from jikimi.bundle import Bundle, load_bundle
from jikimi.errors import SettingsError
from jikimi.watch import camera as camera_module
from watching import accident_video, run


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return load_bundle(make_bundle(tmp_path_factory.mktemp("bundle") / "x.jikimi"), threads=1)


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves files without a word."""

    def log_message(self, format: str, *args: object) -> None:
        del format, args


class MotionJpegHandler(QuietHandler):
    """A camera that sends 6 pictures a second and no times: grey, then yellow."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=next")
        self.end_headers()
        try:
            for index in range(24):
                picture = io.BytesIO()
                PillowImage.new("RGB", (96, 64), YELLOW if index >= 6 else GREY).save(picture, "JPEG")
                head = f"--next\r\nContent-Type: image/jpeg\r\nContent-Length: {picture.tell()}\r\n\r\n"
                self.wfile.write(head.encode() + picture.getvalue() + b"\r\n")
                time.sleep(1 / 6)
        except OSError:
            return  # it is opened twice: first to see what it sends


@contextmanager
def served(handler: Callable[..., SimpleHTTPRequestHandler]) -> Iterator[int]:
    """Serve on a free port of this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_port
        finally:
            server.shutdown()


def test_motion_jpeg_camera_is_timed_by_when_its_pictures_come(bundle: Bundle, tmp_path: Path) -> None:
    with served(MotionJpegHandler) as port:
        watched = run([f"http://admin:S3cret@127.0.0.1:{port}/video"], bundle, tmp_path / "out")
    assert watched.kinds() == ["started", "opened", "closed", "evidence", "fault", "ended"]
    assert watched.summary.cameras[0].stream_s > 2.5  # at the 25 fps its header claims: 0.9 s
    assert watched.of("evidence")[0].details["reencoded"] is False


def test_recording_over_http_is_watched_at_its_own_speed(bundle: Bundle, tmp_path: Path) -> None:
    accident_video(tmp_path / "v.mp4", seconds=3, start_s=1, end_s=3)
    with served(partial(QuietHandler, directory=str(tmp_path))) as port:
        started_s = time.monotonic()
        watched = run([f"http://127.0.0.1:{port}/v.mp4?token=S3cret"], bundle)
    assert time.monotonic() - started_s > 2.5
    assert watched.kinds() == ["started", "opened", "closed", "ended"]
    assert watched.summary.cameras[0].camera == f"127.0.0.1-{port}-v.mp4"


def test_camera_that_is_not_there_is_a_fault_without_its_password(
    bundle: Bundle, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        watched = run(["rtsp://admin:S3cr@et9@127.0.0.1:9/live"], bundle)
    assert watched.kinds() == ["fault", "ended"]
    everything = json.dumps([e.as_json() for e in watched.events]) + caplog.text + repr(watched.summary)
    assert "S3cr" not in everything and "et9" not in everything and "admin" not in everything


def test_recordings_and_cameras_are_not_mixed_unpaced(bundle: Bundle) -> None:
    with pytest.raises(SettingsError, match="need --realtime"):
        run(["rtsp://cam/1", __file__], bundle)


def test_reader_that_crashes_is_a_fault_and_logged_without_password(
    bundle: Bundle, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = "rtsp://admin:S3cr@et9@cam/1"

    def crash(source: str, **options: object) -> None:
        raise RuntimeError(f"no reader for {source}")

    monkeypatch.setattr(camera_module, "open_input", crash)
    watched = run([address], bundle)
    assert watched.kinds() == ["fault", "ended"]
    message = watched.of("fault")[0].details["message"]
    assert "reading failed" in message and "Traceback" in caplog.text
    assert "S3cr" not in caplog.text + message and "et9" not in caplog.text + message
