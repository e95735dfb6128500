"""MQTT: events with QoS 1 that count as told on the broker's PUBACK, a status with last will, Home Assistant.

Topics: `{topic}/incident`, `{topic}/fault`, `{topic}/test` carry events (not retained), `{topic}/status` is
`online` or `offline` (retained), and home.py has the rest. The client reconnects by itself, 1 to 30 s apart.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from jikimi.alert.broker import Broker, parse_broker
from jikimi.alert.deadline import LIMIT_S
from jikimi.alert.home import Retained, Standing, discovery, sensors
from jikimi.alert.message import Message
from jikimi.alert.wording import Language
from jikimi.errors import AlertError, RefusedError
from jikimi.settings import Target

logger = logging.getLogger(__name__)

# A broker takes us for dead after 1.5 times this long, and then speaks our last will (MQTT 3.1.1, 3.1.2.10).
KEEPALIVE_S = 15

# How much of a send's limit may pass until there is a connection.
_CONNECT_SHARE = 0.4

# The client does not say whether it was the network, the name or, with mqtts, the certificate.
_NO_CONNECTION = (
    "no connection to the broker; check that it runs and can be reached, with mqtts also its certificate"
)

_REFUSED = {
    "Bad user name or password": "the broker refuses the user name or password; check the url",
    "Not authorized": "the broker refuses the user name or password; check the url and the broker's rights",
}


class MqttChannel:
    """One broker. The connection is made in the background and kept until `close`."""

    def __init__(
        self,
        target: Target,
        *,
        cameras: Sequence[str] = (),
        standing: Standing | None = None,
        site: str = "Jikimi",
        language: Language = "ko",
        announce: bool = True,
        on_connected: Callable[[], None] | None = None,
        limit_s: float = LIMIT_S,
    ) -> None:
        """Take a target of kind `mqtt` and begin to connect.

        `standing` is what goes on already, from the store. `announce` False sends events and nothing else: no
        status, last will or discovery, for a try beside the channel that is running. `on_connected` is called
        in a thread of the client's.

        Raises:
            RefusedError: its url or topic cannot be used.
        """
        self._name, self._topic, self._discovery = target.name, target.topic, target.discovery
        self._cameras, self._site, self._language = tuple(cameras), site, language
        self._standing = standing or Standing()
        self._announce, self._on_connected, self._limit_s = announce, on_connected, limit_s
        self._trouble = _NO_CONNECTION
        self._changed = threading.Condition()
        self._stating = threading.Lock()  # no state may overtake a newer one
        self._connected = self._refused = False
        self._pending: dict[str, list[paho.MQTTMessageInfo]] = {}
        try:
            broker = parse_broker(target.url.get_secret_value())
            _check_topic(target.topic)
        except RefusedError as error:
            raise RefusedError(f"target {target.name!r}: {error}") from None
        self._client = self._make_client(broker)
        self._client.connect_async(broker.host, broker.port, keepalive=KEEPALIVE_S)
        self._client.loop_start()

    def __repr__(self) -> str:
        return f"MqttChannel({self._name!r})"

    def send(self, message: Message, *, key: str) -> None:
        """Publish the event, and the state it leads to, and wait for the broker's word that it has both.

        Raises:
            AlertError: no connection, or no PUBACK in time. The client goes on to send what it has begun; the
                next try with the same key waits for that instead of sending it again.
        """
        end_s = time.monotonic() + self._limit_s
        self._await_connection(end_s - self._limit_s * (1 - _CONNECT_SHARE))
        if key not in self._pending:
            self._pending[key] = self._publish_event(message, key)
        for info in self._pending[key]:
            if not _acknowledged(info, end_s):
                raise AlertError(f"target {self._name!r}: the broker does not acknowledge; check its load")
        del self._pending[key]

    def close(self) -> None:
        """Say `offline` and leave; at most a few seconds, whatever the broker does."""
        end_s = time.monotonic() + 2.0
        if self._announce and self._connected:
            _acknowledged(self._publish(f"{self._topic}/status", b"offline", retain=True), end_s)
        self._client.disconnect()
        # loop_stop waits for the client's thread, which may be in a name look-up.
        stopper = threading.Thread(target=self._client.loop_stop, name="mqtt-stop", daemon=True)
        stopper.start()
        stopper.join(timeout=3.0)

    def _make_client(self, broker: Broker) -> paho.Client:
        client = paho.Client(CallbackAPIVersion.VERSION2)
        client.suppress_exceptions = True  # a callback must never end the client's thread
        client.connect_timeout = self._limit_s / 2
        client.reconnect_delay_set(min_delay=1, max_delay=30)
        if broker.user is not None:
            client.username_pw_set(broker.user, broker.password)
        if broker.tls:
            client.tls_set()
        if self._announce:
            client.will_set(f"{self._topic}/status", "offline", qos=1, retain=True)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_connect_fail = self._on_connect_fail
        return client

    def _on_connect(
        self, client: paho.Client, userdata: Any, flags: Any, reason: ReasonCode, properties: Any
    ) -> None:
        if reason.is_failure:
            words = _REFUSED.get(str(reason), f"the broker refuses the connection ({reason})")
            self._set(connected=False, refused=True, trouble=words)
            logger.warning("target %r: %s", self._name, words)
            return
        with self._stating:
            for kept in self._introduction():
                self._publish(kept.topic, kept.payload.encode(), retain=True)
        self._set(connected=True, refused=False, trouble="")
        if self._on_connected is not None:
            self._on_connected()

    def _on_disconnect(
        self, client: paho.Client, userdata: Any, flags: Any, reason: ReasonCode, properties: Any
    ) -> None:
        if self._connected:
            self._set(connected=False, refused=False, trouble="the broker is gone; check that it runs")

    def _on_connect_fail(self, client: paho.Client, userdata: Any) -> None:
        self._set(connected=False, refused=False, trouble=_NO_CONNECTION)

    def _set(self, *, connected: bool, refused: bool, trouble: str) -> None:
        with self._changed:
            self._connected, self._refused, self._trouble = connected, refused, trouble
            self._changed.notify_all()

    def _await_connection(self, end_s: float) -> None:
        with self._changed:
            wait_s = max(end_s - time.monotonic(), 0.0)
            self._changed.wait_for(lambda: self._connected or self._refused, timeout=wait_s)
            if not self._connected:
                raise AlertError(f"target {self._name!r}: {self._trouble}")

    def _introduction(self) -> list[Retained]:
        """What the broker keeps of us: status, what Home Assistant finds, and every state as it is now."""
        if not self._announce:
            return []
        kept = [Retained(f"{self._topic}/status", "online")]
        if self._discovery:
            kept += discovery(
                prefix=self._discovery,
                topic=self._topic,
                cameras=self._cameras,
                site=self._site,
                language=self._language,
            )
        shown = sensors(self._cameras)
        return kept + [self._standing.state(self._topic, camera, sensor) for camera, sensor in shown]

    def _publish_event(self, message: Message, key: str) -> list[paho.MQTTMessageInfo]:
        subject = message.payload.get("subject", "test")
        infos = [self._publish(f"{self._topic}/{subject}", message.body(key), retain=False)]
        with self._stating:
            sensor = self._standing.apply(message.payload)
            if self._announce and sensor is not None:
                camera = str(message.payload.get("camera", ""))
                kept = self._standing.state(self._topic, camera, sensor)
                infos.append(self._publish(kept.topic, kept.payload.encode(), retain=True))
        return infos

    def _publish(self, topic: str, payload: bytes, *, retain: bool) -> paho.MQTTMessageInfo:
        info = self._client.publish(topic, payload, qos=1, retain=retain)
        if info.rc == paho.MQTT_ERR_NO_CONN:
            info.rc = paho.MQTT_ERR_SUCCESS  # it is queued and sent after reconnecting; rc alone says "never"
        return info


def _acknowledged(info: paho.MQTTMessageInfo, end_s: float) -> bool:
    try:
        info.wait_for_publish(timeout=max(end_s - time.monotonic(), 0.01))
        return info.is_published()
    except (ValueError, RuntimeError):  # not queued at all
        return False


def _check_topic(topic: str) -> None:
    if not topic or topic.startswith(("$", "/")) or any(sign in topic for sign in "+#\0"):
        raise RefusedError("topic must not be empty, begin with '$' or '/', or hold '+' or '#'")
