"""What the site reaches over the network: cameras, and targets as far as it goes without sending anything."""

import re
import socket
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any
from urllib.parse import urlsplit

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from jikimi.alert.broker import parse_broker
from jikimi.alert.channels import open_channel
from jikimi.alert.message import Plant
from jikimi.alert.web import failure_words
from jikimi.bundle import Card
from jikimi.checking import check_camera
from jikimi.doctor.finding import Finding, problem
from jikimi.errors import AlertError, JikimiError
from jikimi.settings import CameraSettings, Target
from jikimi.watch.trying import CameraFacts, try_camera

LIMIT_S = 10.0
_CONNECT_S = 5.0

# A stream of more is decoded at a cost that a sub-stream saves (docs/benchmarks.md, "watch").
_ANALYSED_PX = 1280

# Evidence begins at a keyframe: pictures before it are lost where they are further apart than the ring holds.
_KEYFRAME_S = 5.0

Running = tuple[str, "Future[Finding]"]


def start_cameras(cameras: Sequence[CameraSettings], card: Card | None) -> list[Running]:
    """Begin to try every camera, all at once."""
    return [_begin(f"camera {one.name}", partial(look_at_camera, one, card)) for one in cameras]


def start_targets(targets: Sequence[Target]) -> list[Running]:
    """Begin to reach every target, all at once."""
    return [_begin(f"target {one.name}", partial(look_at_target, one)) for one in targets]


def _begin(what: str, look: "partial[Finding]") -> Running:
    """Look in a thread of its own, which is left behind where it hangs."""
    future: Future[Finding] = Future()

    def run() -> None:
        try:
            future.set_result(look())
        except Exception as error:  # noqa: BLE001 - the thread's outer edge; words of others may quote secrets
            future.set_result(
                Finding(what, "problem", f"cannot be tried ({type(error).__name__})", "see --debug")
            )

    threading.Thread(target=run, name=what, daemon=True).start()
    return what, future


def finished(running: Sequence[Running]) -> Iterator[Finding]:
    """Wait for what was begun, at most a moment longer than each may take."""
    for what, future in running:
        try:
            yield future.result(timeout=LIMIT_S + 1.0)
        except FutureTimeoutError:
            yield Finding(what, "problem", f"no answer in {LIMIT_S:g} s", "check power, cable and address")


def look_at_camera(camera: CameraSettings, card: Card | None) -> Finding:
    """Open a camera and judge what it sends."""
    what = f"camera {camera.name}"
    try:
        if card is not None:
            check_camera(camera, card)
        if not camera.enabled:
            return Finding(what, "ok", "disabled, not tried")
        facts = try_camera(camera, within_s=LIMIT_S)
    except JikimiError as error:
        return problem(what, error, cure="check power, cable and address")
    return _judged(what, facts)


def _judged(what: str, facts: CameraFacts) -> Finding:
    seen = facts.sub or facts.main
    found = f"{seen.codec} {seen.width_px}x{seen.height_px}"
    if seen.fps is not None:
        found += f", {seen.fps:g} fps"
    found += f", first picture after {max(facts.main.first_picture_s, seen.first_picture_s):g} s"
    if facts.sub is None and seen.width_px > _ANALYSED_PX:
        return Finding(what, "warning", found, "give it a sub-stream: this one costs much to decode")
    keyframe_s = facts.main.keyframe_s or facts.main.looked_s
    if keyframe_s > _KEYFRAME_S:
        cure = f"set its keyframe interval to 1 or 2 s, from {keyframe_s:g} s: evidence begins at a keyframe"
        return Finding(what, "warning", found, cure)
    return Finding(what, "ok", found)


def look_at_target(target: Target) -> Finding:
    """Go as far towards a target as can be gone without sending anything."""
    what = f"target {target.name}"
    try:
        found = _reach(target)
    except AlertError as error:
        return problem(what, error, cure="check its url")
    return Finding(what, "ok", found)


def _reach(target: Target) -> str:
    """What was reached. Raises AlertError."""
    if target.kind == "mqtt":
        return _reach_broker(target)
    open_channel(target, plant=Plant(), announce=False).close()
    if target.kind == "webhook":
        return _reach_web(target)
    return f"Apprise understands its url; jikimi target test {target.name} tells whether it arrives"


def _reach_web(target: Target) -> str:
    parts = urlsplit(target.url.get_secret_value())
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), timeout=_CONNECT_S).close()
    except (OSError, UnicodeError) as error:
        raise AlertError(failure_words(error)) from None
    return "its host answers"


def _reach_broker(target: Target) -> str:
    """Connect and log in as Jikimi would, and leave."""
    broker = parse_broker(target.url.get_secret_value())
    client = paho.Client(CallbackAPIVersion.VERSION2)
    said: SimpleQueue[str] = SimpleQueue()

    def on_connect(_client: paho.Client, _data: Any, _flags: Any, reason: ReasonCode, _more: Any) -> None:
        said.put(str(reason) if reason.is_failure else "")

    client.on_connect = on_connect
    client.connect_timeout = _CONNECT_S
    if broker.user is not None:
        client.username_pw_set(broker.user, broker.password)
    try:
        if broker.tls:
            client.tls_set()
        client.connect(broker.host, broker.port, keepalive=15)
        client.loop_start()
        refusal = said.get(timeout=_CONNECT_S)
    except Empty:
        raise AlertError("the broker does not answer; check that the port is MQTT's") from None
    except (OSError, ValueError, UnicodeError) as error:
        raise AlertError(failure_words(error)) from None
    finally:
        client.disconnect()
        client.loop_stop()
    if refusal:
        words = re.sub(r"[^A-Za-z ]", "", refusal).lower()
        raise AlertError(f"the broker refuses ({words}); check user, password and its rights")
    return "the broker lets us in"
