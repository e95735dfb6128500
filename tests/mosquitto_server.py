"""A real MQTT broker for tests: Debian's mosquitto on a free port, to be killed at will, and a listener."""

import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

MOSQUITTO = shutil.which("mosquitto") or "/usr/sbin/mosquitto"


@dataclass(slots=True)
class Mosquitto:
    """A broker in a process of its own."""

    folder: Path
    port: int = 0
    login: tuple[str, str] | None = None
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start it, or start it again on the same port; what it kept, it keeps, killed or not."""
        self.port = self.port or free_port()
        rows = [f"listener {self.port} 127.0.0.1", "user root"]
        rows += ["persistence true", f"persistence_location {self.folder}/"]
        rows += ["autosave_on_changes true", "autosave_interval 1"]
        if self.login is None:
            rows.append("allow_anonymous true")
        else:
            passwords = self.folder / "passwords"
            passwords.touch(mode=0o600)
            made = ["mosquitto_passwd", "-b", str(passwords), *self.login]
            subprocess.run(made, check=True, capture_output=True)
            rows += ["allow_anonymous false", f"password_file {passwords}"]
        settings = self.folder / "mosquitto.conf"
        settings.write_text("\n".join(rows) + "\n")
        self.process = subprocess.Popen([MOSQUITTO, "-c", str(settings)], stderr=subprocess.DEVNULL)
        wait_until(self._answers)
        return self

    def kill(self) -> None:
        """Kill it at once; whoever is connected notices by the connection's end."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def url(self, login: tuple[str, str] | None = None) -> str:
        """Its address as a target's url."""
        return f"mqtt://{':'.join(login) + '@' if login else ''}127.0.0.1:{self.port}"

    def _answers(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@pytest.fixture
def mosquitto(need: Callable[[str, bool], None], tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker that lets everybody in."""
    need("mqtt", Path(MOSQUITTO).exists())
    broker = Mosquitto(tmp_path).start()
    yield broker
    broker.kill()


@pytest.fixture
def guarded_mosquitto(need: Callable[[str, bool], None], tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker that wants user `plant` and password `p@ss/w#rd:1`."""
    need("mqtt", Path(MOSQUITTO).exists())
    broker = Mosquitto(tmp_path, login=("plant", "p@ss/w#rd:1")).start()
    yield broker
    broker.kill()


@dataclass(slots=True)
class Listener:
    """Hears everything that a broker passes on; what comes while the broker or it is away, it hears later."""

    broker: Mosquitto
    login: tuple[str, str] | None = None
    heard: list[tuple[str, str]] = field(default_factory=list)
    _client: paho.Client = field(init=False)
    _ready: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id="listener", clean_session=False)
        if self.login is not None:
            self._client.username_pw_set(*self.login)
        self._client.on_connect = lambda client, *rest: client.subscribe("#", qos=1)
        self._client.on_subscribe = lambda *rest: self._ready.set()
        self._client.on_message = self._on_message
        self._client.reconnect_delay_set(1, 1)
        self._client.connect("127.0.0.1", self.broker.port)
        self._client.loop_start()
        assert self._ready.wait(5)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def on(self, topic: str) -> list[str]:
        """What came on a topic, in order."""
        return [payload for heard, payload in list(self.heard) if heard == topic]

    def events(self, topic: str) -> list[dict[str, Any]]:
        """What came on a topic, as JSON."""
        return [json.loads(payload) for payload in self.on(topic)]

    def _on_message(self, client: paho.Client, userdata: object, message: paho.MQTTMessage) -> None:
        self.heard.append((message.topic, message.payload.decode()))


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(true: Callable[[], object], *, timeout_s: float = 10.0) -> None:
    """Wait until something holds, and fail when it does not come to."""
    end_s = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < end_s, "it did not come to that in time"
        time.sleep(0.02)
