"""MQTT at a real broker: told only when acknowledged, back by itself, and gone with its last will."""

import json
import logging
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alert_servers import OPENED, incident, target
from jikimi.alert.broker import parse_broker
from jikimi.alert.home import Standing, discovery, slug
from jikimi.alert.message import Message, Plant, fault_message, incident_message
from jikimi.alert.mqtt import MqttChannel
from jikimi.errors import AlertError, RefusedError
from jikimi.store.records import FaultRecord
from mosquitto_server import Listener, Mosquitto, free_port, wait_until
from mosquitto_server import guarded_mosquitto as guarded_mosquitto
from mosquitto_server import mosquitto as mosquitto

PLANT = Plant()
FAULT = FaultRecord("flt-1", "press-3", "offline", "no frame", OPENED)
ACCIDENT, PROBLEM = f"jikimi/camera/{slug('press-3')}/accident", f"jikimi/camera/{slug('press-3')}/problem"


def opened(uid: str = "inc-1", camera: str = "press-3") -> Message:
    return incident_message(incident(uid, camera=camera), "opened", PLANT)


def closed(uid: str = "inc-1") -> Message:
    return incident_message(incident(uid, closed_at=OPENED), "closed", PLANT)


def test_incident_arrives_with_its_key_and_sets_the_camera_s_state(mosquitto: Mosquitto) -> None:
    with Listener(mosquitto) as listener:
        channel = MqttChannel(target("mqtt", mosquitto.url()), cameras=["press-3"])
        channel.send(opened(), key="k1")
        channel.send(closed(), key="k2")
        channel.close()
        wait_until(lambda: listener.on("jikimi/status") == ["online", "offline"])
    assert [event["key"] for event in listener.events("jikimi/incident")] == ["k1", "k2"]
    assert listener.on(ACCIDENT) == ["OFF", "ON", "OFF"]


def test_fault_sets_the_problem_state(mosquitto: Mosquitto) -> None:
    with Listener(mosquitto) as listener:
        channel = MqttChannel(target("mqtt", mosquitto.url()), cameras=["press-3"])
        channel.send(fault_message(FAULT, "opened", PLANT), key="k1")
        wait_until(lambda: listener.on(PROBLEM) == ["OFF", "ON"])
        channel.close()
    assert listener.events("jikimi/fault")[0]["fault"] == "offline"


def test_accident_state_stays_on_until_the_last_incident_closes() -> None:
    standing = Standing.of([incident("a"), incident("b"), incident("c", closed_at=OPENED)], [FAULT])
    standing.apply(closed("a").payload)
    assert standing.state("t", "press-3", "accident").payload == "ON"
    for _ in range(2):  # told twice changes nothing
        standing.apply(closed("b").payload)
    assert standing.state("t", "press-3", "accident").payload == "OFF"
    assert standing.state("t", "press-3", "problem").payload == "ON"


def test_restart_shows_what_is_still_going_on(mosquitto: Mosquitto) -> None:
    standing = Standing.of([incident("a")], [])
    with Listener(mosquitto) as listener:
        channel = MqttChannel(target("mqtt", mosquitto.url()), cameras=["press-3"], standing=standing)
        wait_until(lambda: listener.on(ACCIDENT))
        channel.close()
    assert listener.on(ACCIDENT) == ["ON"]


def test_home_assistant_finds_every_camera_once(mosquitto: Mosquitto) -> None:
    cameras = ["press-3", "프레스 3", "프레스-3", "site", "a/b+#"]
    with Listener(mosquitto) as listener:
        channel = MqttChannel(target("mqtt", mosquitto.url()), cameras=cameras, site="2공장")
        wait_until(lambda: len(listener.heard) >= 23)  # status, 11 configurations, 11 states
        channel.close()
    found = {topic: json.loads(said) for topic, said in listener.heard if topic.startswith("homeassistant/")}
    assert len(found) == len({config["unique_id"] for config in found.values()}) == 11
    states = {topic for topic, _ in listener.heard}
    for topic, config in found.items():
        assert topic.isascii() and topic.endswith("/config") and len(topic.split("/")) == 5
        assert config["state_topic"] in states
        assert config["device_class"] in ("safety", "problem")
        assert config["availability_topic"] == "jikimi/status"


def test_discovery_is_left_out_where_nobody_wants_it(mosquitto: Mosquitto) -> None:
    with Listener(mosquitto) as listener:
        channel = MqttChannel(target("mqtt", mosquitto.url(), discovery=None), cameras=["press-3"])
        channel.send(opened(), key="k")
        channel.close()
    assert not any(topic.startswith("homeassistant") for topic, _ in listener.heard)


def test_two_plants_at_one_broker_have_ids_of_their_own() -> None:
    both = [
        json.loads(kept.payload)["unique_id"]
        for topic in ("plant1", "plant2")
        for kept in discovery(prefix="ha", topic=topic, cameras=["a"], site="S", language="en")
    ]
    assert len(set(both)) == len(both)


@given(st.lists(st.text(min_size=1, max_size=20), unique=True, max_size=8))
def test_slugs_are_safe_and_differ(names: list[str]) -> None:
    slugs = [slug(name) for name in names]
    assert len(set(slugs)) == len(names)
    assert all(made and set(made) <= set("abcdefghijklmnopqrstuvwxyz0123456789-") for made in slugs)


def test_broker_that_was_away_gets_everything_with_the_same_key(mosquitto: Mosquitto) -> None:
    back = threading.Event()
    channel = MqttChannel(
        target("mqtt", mosquitto.url()), cameras=["press-3"], on_connected=back.set, limit_s=2.0
    )
    channel.send(opened("a"), key="a")
    mosquitto.kill()
    back.clear()
    with pytest.raises(AlertError, match="broker"):
        channel.send(opened("b"), key="b")
    mosquitto.start()
    with Listener(mosquitto) as listener:
        assert back.wait(10)
        channel.send(opened("b"), key="b")
        channel.close()
        wait_until(lambda: listener.on("jikimi/incident"))
    assert {event["key"] for event in listener.events("jikimi/incident")} == {"b"}
    assert listener.on(ACCIDENT)[-1] == "ON"


def test_broker_that_stops_answering_is_left_in_time_and_gets_the_message_once(mosquitto: Mosquitto) -> None:
    assert mosquitto.process is not None
    channel = MqttChannel(target("mqtt", mosquitto.url()), limit_s=1.0)
    with Listener(mosquitto) as listener:
        channel.send(opened("a"), key="a")
        os.kill(mosquitto.process.pid, signal.SIGSTOP)
        start_s = time.monotonic()
        with pytest.raises(AlertError, match="acknowledge"):
            channel.send(opened("b"), key="b")
        assert time.monotonic() - start_s < 2.0
        os.kill(mosquitto.process.pid, signal.SIGCONT)
        channel.send(opened("b"), key="b")
        channel.send(opened("c"), key="c")
        channel.close()
        wait_until(lambda: len(listener.on("jikimi/incident")) == 3)
    assert [event["key"] for event in listener.events("jikimi/incident")] == ["a", "b", "c"]


def test_message_under_way_when_the_broker_died_arrives_once(mosquitto: Mosquitto) -> None:
    assert mosquitto.process is not None
    back = threading.Event()
    with Listener(mosquitto) as listener:
        channel = MqttChannel(target("mqtt", mosquitto.url()), on_connected=back.set, limit_s=1.0)
        channel.send(opened("a"), key="a")
        wait_until(lambda: listener.on("jikimi/incident"))
        back.clear()
        os.kill(mosquitto.process.pid, signal.SIGSTOP)
        with pytest.raises(AlertError, match="acknowledge"):
            channel.send(opened("b"), key="b")
        mosquitto.kill()
        mosquitto.start()
        assert back.wait(15)
        channel.send(opened("b"), key="b")
        channel.close()
        wait_until(lambda: listener.events("jikimi/incident")[-1]["key"] == "b")
    keys = [event["key"] for event in listener.events("jikimi/incident")]
    assert set(keys) == {"a", "b"}  # the broker may repeat "a", of which it forgot our receipt
    assert keys.count("b") == 1


def test_dead_broker_holds_nobody_up() -> None:
    channel = MqttChannel(target("mqtt", f"mqtt://127.0.0.1:{free_port()}"), limit_s=1.0)
    start_s = time.monotonic()
    with pytest.raises(AlertError, match="no connection to the broker"):
        channel.send(opened(), key="k")
    channel.close()
    assert time.monotonic() - start_s < 3.0


def test_wrong_password_is_told_at_once(guarded_mosquitto: Mosquitto) -> None:
    channel = MqttChannel(target("mqtt", guarded_mosquitto.url(("plant", "wrong"))))
    start_s = time.monotonic()
    with pytest.raises(AlertError, match="refuses the user name or password"):
        channel.send(opened(), key="k")
    assert time.monotonic() - start_s < 3.0
    channel.close()


@pytest.mark.parametrize("password", ["p@ss/w#rd:1", "p%40ss%2Fw%23rd%3A1"])
def test_password_with_any_signs_opens_the_broker(guarded_mosquitto: Mosquitto, password: str) -> None:
    channel = MqttChannel(target("mqtt", guarded_mosquitto.url(("plant", password))))
    channel.send(opened(), key="k")
    channel.close()


# paho leaves the socket of a failed handshake to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_broker_without_tls_is_no_mqtts_broker(mosquitto: Mosquitto) -> None:
    url = mosquitto.url().replace("mqtt://", "mqtts://")
    channel = MqttChannel(target("mqtt", url), limit_s=1.0)
    with pytest.raises(AlertError, match="no connection"):
        channel.send(opened(), key="k")
    channel.close()


def test_killed_process_is_told_by_its_last_will(mosquitto: Mosquitto) -> None:
    script = f"""
        import time
        from jikimi.alert.mqtt import MqttChannel
        from jikimi.settings import Target
        MqttChannel(Target(name="a", kind="mqtt", url="{mosquitto.url()}"))
        time.sleep(60)
    """
    with Listener(mosquitto) as listener:
        process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)])
        wait_until(lambda: listener.on("jikimi/status") == ["online"], timeout_s=30)
        process.kill()
        process.wait()
        wait_until(lambda: listener.on("jikimi/status") == ["online", "offline"])


@given(password=st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=4, max_size=30))
@settings(max_examples=200)
def test_password_is_taken_whole_and_never_shown(password: str) -> None:
    secret = f"Zq{password.replace('%', '%25')}qZ"
    broker = parse_broker(f"mqtts://plant:{secret}@broker.example:8884/")
    assert (broker.host, broker.port, broker.tls, broker.user) == ("broker.example", 8884, True, "plant")
    assert broker.password == secret.replace("%25", "%")
    assert secret not in repr(broker)


@given(password=st.text(st.characters(exclude_categories=["Cs"]), min_size=4, max_size=30))
@settings(max_examples=50, deadline=None)
def test_bad_broker_address_is_refused_without_quoting_it(password: str) -> None:
    secret = f"Zq{password}qZ"
    for url in (f"mqtt://u:{secret}@", f"mqtt://u:{secret}@host:99999", f"mqtt://u:{secret}@a..b"):
        with pytest.raises(RefusedError, match="target 'phone'") as raised:
            MqttChannel(target("mqtt", url))
        assert secret not in f"{raised.value!r} {raised.value.__cause__!r}"


@pytest.mark.parametrize("topic", ["", "a/+", "a#", "$SYS", "/a"])
def test_topic_that_no_broker_takes_is_refused(topic: str) -> None:
    with pytest.raises(RefusedError, match="topic"):
        MqttChannel(target("mqtt", "mqtt://127.0.0.1", topic=topic))


def test_wrong_password_is_not_logged(guarded_mosquitto: Mosquitto, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        channel = MqttChannel(target("mqtt", guarded_mosquitto.url(("plant", "wr0ngw0rd"))))
        with pytest.raises(AlertError):
            channel.send(opened(), key="k")
        channel.close()
    assert "wr0ngw0rd" not in caplog.text + repr(channel)
