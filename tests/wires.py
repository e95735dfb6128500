"""What lies between a camera and whoever watches: a wire that can be cut, and cameras of other kinds."""

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Self

import pytest
from PIL import Image as Pillow

from videos import moving_square


@dataclass
class Wire:
    """A TCP proxy to a camera: it lets through, stands still, is cut, or its door is shut."""

    to: int
    port: int = 0
    still: threading.Event = field(default_factory=threading.Event)
    visits: int = 0
    _ends: list[socket.socket] = field(default_factory=list)
    _listener: socket.socket | None = None

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_error: object) -> None:
        self.shut()

    def open(self) -> None:
        listener = self._listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        self.port = listener.getsockname()[1]
        listener.listen(16)
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def shut(self) -> None:
        """Nobody is let in, and who was in is thrown out."""
        assert self._listener is not None
        for one in (self._listener, *self._ends):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
            finally:
                one.close()
        self._ends.clear()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                visitor, _ = listener.accept()
            except OSError:
                return
            camera = socket.create_connection(("127.0.0.1", self.to))
            self._ends += [visitor, camera]
            self.visits += 1
            for a, b in ((visitor, camera), (camera, visitor)):
                threading.Thread(target=self._carry, args=(a, b), daemon=True).start()

    def _carry(self, a: socket.socket, b: socket.socket) -> None:
        try:
            while data := a.recv(1 << 16):
                while self.still.is_set():
                    time.sleep(0.02)
                b.sendall(data)
            b.shutdown(socket.SHUT_WR)
        except OSError:
            return


@pytest.fixture
def mjpeg() -> Iterator[str]:
    """A camera that sends JPEGs over HTTP, ten a second, without saying when they were taken."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            draw = moving_square()
            try:
                for index in range(10_000):
                    data = BytesIO()
                    Pillow.fromarray(draw(index, 96, 64)).save(data, format="JPEG")
                    head = "--frame\r\nContent-Type: image/jpeg\r\n"
                    head += f"Content-Length: {data.tell()}\r\n\r\n"
                    self.wfile.write(head.encode() + data.getvalue() + b"\r\n")
                    time.sleep(0.1)
            except OSError:
                return

        def log_message(self, *_args: object) -> None:
            """Keep quiet."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    threading.Thread(target=http.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{http.server_port}/video"
    http.shutdown()
    http.server_close()


@dataclass
class Refusing:
    """An RTSP camera that lets nobody in: everything is answered 401. `asked` are the methods."""

    asked: list[str] = field(default_factory=list)
    port: int = 0
    _listener: socket.socket | None = None

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, args=(self._listener,), daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        assert self._listener is not None
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self, listener: socket.socket) -> None:
        while True:
            try:
                visitor, _ = listener.accept()
                threading.Thread(target=self._refuse, args=(visitor,), daemon=True).start()
            except OSError:
                return

    def _refuse(self, visitor: socket.socket) -> None:
        with visitor, visitor.makefile("rb") as lines:
            number = b"1"
            try:
                for line in lines:
                    if line.endswith(b"RTSP/1.0\r\n"):
                        self.asked.append(line.decode().split()[0])
                    if line.lower().startswith(b"cseq:"):
                        number = line.split(b":")[1].strip()
                    if line == b"\r\n":
                        realm = b'WWW-Authenticate: Basic realm="camera"'
                        visitor.sendall(
                            b"RTSP/1.0 401 Unauthorized\r\nCSeq: %s\r\n%s\r\n\r\n" % (number, realm)
                        )
            except OSError:
                return
