"""A whole site for tests: settings, a bundle that sees colours, cameras, and somebody who is alerted."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import numpy as np
import psutil

from bundles import YELLOW, make_bundle
from jikimi.frame import Image
from jikimi.running import run_folder
from jikimi.settings import Settings
from jikimi.status import SiteStatus, read_status
from jikimi.store import IncidentRecord, Store, open_box, open_store
from videos import Draw

SECRET = "quite secret"


def shop_floor(start_frame: int, end_frame: int) -> Draw:
    """A textured floor that a mark crosses; yellow, which the bundle calls `fall-down`, for those frames."""
    tiles = np.random.default_rng(7).integers(80, 120, size=(32, 48, 1), dtype=np.uint8)
    floor = np.repeat(np.kron(tiles, np.ones((8, 8, 1), np.uint8)), 3, axis=2)

    def draw(index: int, width: int, height: int) -> Image:
        if start_frame <= index < end_frame:
            image = np.full((height, width, 3), YELLOW, np.uint8)
        else:
            image = floor[:height, :width].copy()
        left = (index * 3) % max(1, width - 8)
        image[:8, left : left + 8] = 255
        return np.ascontiguousarray(image)

    return draw


def wait_for(what: Callable[[], Any], *, within_s: float = 20.0, every_s: float = 0.05) -> Any:
    """Return what `what` gives once it is true. Raises AssertionError after `within_s`."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        if found := what():
            return found
        time.sleep(every_s)
    raise AssertionError(f"did not come true within {within_s} s")


@dataclass
class Receiver:
    """A webhook's other end. `told` are (monotonic seconds, key, body); it refuses while `refuses`."""

    told: list[tuple[float, str, dict[str, Any]]] = field(default_factory=list)
    refuses: bool = False
    port: int = 0
    _server: ThreadingHTTPServer | None = None

    def __enter__(self) -> Self:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if not receiver.refuses:
                    receiver.told.append((time.monotonic(), self.headers["Jikimi-Key"], json.loads(body)))
                self.send_response(503 if receiver.refuses else 200)
                self.end_headers()

            def log_message(self, *_args: object) -> None:
                """Keep quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()

    def keys(self) -> list[str]:
        return [key for _, key, _ in self.told]

    def incidents(self) -> list[dict[str, Any]]:
        return [body for _, _, body in self.told if body.get("behavior")]


@dataclass
class RunningSite:
    """`jikimi serve` on a folder. Stopped by `with`; `stop` and `kill` may be called before.

    `chosen`: no bundle in jikimi.toml, but the one that the store says.
    """

    folder: Path
    cameras: Mapping[str, str]
    hook: Receiver | None = None
    more: str = ""
    camera_more: str = ""
    bundle: Path | None = None
    chosen: bool = False
    url: str | None = None
    evidence: str = ""
    threads: int = 1
    serve: str = "port = 0"
    environment: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[str] | None = field(default=None, init=False)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def write(self) -> Path:
        lines = [
            '[site]\nname = "시험 공장"\ndata = "data"',
            f"[model]\n{self._bundle()}threads = {self.threads}",
            f"[evidence]\npre_roll_s = 3\npost_roll_s = 1\n{self.evidence}",
            "[health]\noffline_s = 3",
            f"[serve]\n{self.serve}",
        ]
        if self.url is not None:
            lines.append(f"[store]\nurl = {json.dumps(self.url)}")
        lines.append(self.more)
        for name, address in self.cameras.items():
            camera = f"[[camera]]\nname = {json.dumps(name)}\naddress = {json.dumps(address)}"
            lines.append(f"{camera}\n{self.camera_more}")
        if self.hook is not None:
            url = f"http://127.0.0.1:{self.hook.port}/alarm"
            lines.append(f'[[target]]\nname = "hook"\nkind = "webhook"\nurl = "{url}"\nsecret = "{SECRET}"')
        path = self.folder / "jikimi.toml"
        path.write_text("\n\n".join(lines) + "\n", encoding="utf-8")
        return path

    @property
    def _settings(self) -> Settings:
        return Settings.model_validate({"site": {"data": self.data}})

    def _bundle(self) -> str:
        if self.chosen:
            return ""
        return f"bundle = {json.dumps(str(self.bundle or make_bundle(self.folder / 'colours.jikimi')))}\n"

    def start(self) -> Self:
        config = self.write()
        with (self.folder / "log.txt").open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "jikimi", "serve", "--config", str(config)],
                stdout=log,
                stderr=log,
                text=True,
                start_new_session=True,
                env={**os.environ, **self.environment},
            )
        return self

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_error: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.stop()

    def stop(self, *, within_s: float = 10.0) -> float:
        """Send SIGTERM and wait → seconds that it took."""
        assert self.process is not None
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(within_s)
        finally:
            self.kill_everything()
        return time.monotonic() - began

    def pids(self) -> dict[str, int]:
        """Processes by what they are: guardian, site, dispatch, api, …"""
        assert self.process is not None
        found = {"guardian": self.process.pid}
        for child in psutil.Process(self.process.pid).children():
            try:
                words = child.cmdline()
            except psutil.NoSuchProcess:  # nor a zombie
                continue
            if "part" in words and "site" not in words:
                found[words[words.index("part") + 1]] = child.pid
        status = self.status()  # beside the part that watches there is its stand-in
        return found | ({"site": status.pids["site"]} if status is not None else {})

    def family(self) -> list[psutil.Process]:
        """Every process of the site."""
        assert self.process is not None
        try:
            me = psutil.Process(self.process.pid)
            return [me, *me.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def kill_everything(self) -> None:
        """SIGKILL for every process at once, as when power fails; the disk keeps what was written."""
        for process in self.family():
            try:
                os.kill(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        if self.process is not None:
            self.process.wait()

    def status(self) -> SiteStatus | None:
        return read_status(run_folder(self._settings) / "status.json")

    def watching(self) -> bool:
        status = self.status()
        return status is not None and status.age_s() < 2 and status.watching and bool(status.cameras)

    def store(self) -> Store:
        url = self.url or f"sqlite:///{self.data / 'jikimi.db'}"
        return open_store(url, box=open_box(self.data / "jikimi.key", None))

    def incidents(self) -> list[IncidentRecord]:
        store = self.store()
        try:
            return store.incidents(limit=100_000)
        finally:
            store.close()

    def log(self) -> str:
        return (self.folder / "log.txt").read_text()
