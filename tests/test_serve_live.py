"""The live connection: pictures, status and events of the caller's cameras, from a real server."""

import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image as Pillow
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from jikimi.errors import StoreBusyError
from jikimi.frame import Image
from jikimi.picture_wire import picture_socket
from jikimi.serve import access, callers, live, live_routes, onlooker, running
from jikimi.serve.access import Caller, is_same_origin
from jikimi.serve.callers import memory_of
from jikimi.serve.live_pictures import LivePicture, LivePictures
from jikimi.serve.news import News
from jikimi.serve.onlooker import Onlooker
from jikimi.store import FaultRecord, Notice, Store
from jikimi.watch.showing import Showing
from live_cameras import BLUE, GREEN, RED, Page, ShownCamera, near, page
from sites import wait_for
from test_serve_plant import NOON, Plant, incident, open_plant
from test_serve_running import served, stopped_after_s


class Served:
    """A plant on a port."""

    def __init__(self, plant: Plant, port: int, stop: threading.Event, thread: threading.Thread) -> None:
        self.plant, self.port, self.stop, self.thread = plant, port, stop, thread

    def page(self, role: str = "viewer", **headers: str) -> "Iterator[Page]":
        return page(self.port, f"secret-{role}", **headers)  # type: ignore[return-value]

    def connected(self) -> int:
        return len(self.plant.app.state.live._onlookers)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Served]:
    with open_plant(tmp_path) as plant, served(plant.app) as (port, stop, thread):
        yield Served(plant, port, stop, thread)


@pytest.fixture
def cameras(site: Served) -> Iterator[dict[str, ShownCamera]]:
    with ExitStack() as stack:
        names = {"press-3": RED, "gate": GREEN, "프레스 2": BLUE}
        yield {
            name: stack.enter_context(ShownCamera(site.plant.folder, name, colour))
            for name, colour in names.items()
        }


# --- pictures


def test_pictures_of_the_cameras_that_were_chosen_arrive_over_one_connection(
    site: Served, cameras: dict[str, ShownCamera]
) -> None:
    with site.page() as shown:
        shown.choose("press-3", "프레스 2", "none")
        assert shown.until("choice")["pictures"] == ["press-3", "프레스 2", "none"]
        for name, colour in (("press-3", RED), ("프레스 2", BLUE)):
            found = shown.seen(10, name)
            assert all(near(one.colour, colour) for one in found)
            numbers = [one.head["seq"] for one in found]
            assert numbers == sorted(set(numbers))
            assert all(0 <= one.head["age_s"] < 5 for one in found)
            assert abs(found[-1].head["at"] - time.time()) < 10
        assert {one.head["camera"] for one in shown.pictures} == {"press-3", "프레스 2"}
        shown.choose("gate")
        shown.until("choice")
        shown.seen(3, "gate")
        shown.pictures.clear()
        assert {one.head["camera"] for one in shown.seen(10)} == {"gate"}
        shown.choose()
        shown.until("choice")
        shown.pictures.clear()
        shown.read_for(0.5)
        assert shown.pictures == []


def test_a_client_gets_no_more_than_the_rate_it_asked_for(
    site: Served, cameras: dict[str, ShownCamera]
) -> None:
    with site.page() as quick, site.page() as slow:
        quick.choose("gate", rate_hz=25)
        slow.choose("gate", rate_hz=1)
        began = time.monotonic()
        quick.seen(40)
        slow.read_for(0.1)
        passed_s = time.monotonic() - began
    assert 1 <= len(slow.pictures) <= passed_s / 0.8 + 2


def test_twenty_clients_share_one_connection_to_a_camera(
    site: Served, cameras: dict[str, ShownCamera]
) -> None:
    with ExitStack() as stack:
        pages = [stack.enter_context(site.page()) for _ in range(20)]  # type: ignore[arg-type]
        for shown in pages:
            shown.choose("gate", "press-3")
        for shown in pages:
            shown.seen(3)
        assert cameras["gate"].showing.watched == 1
        pictures = site.plant.app.state.live.pictures
        assert pictures.encoded <= cameras["gate"].shown + cameras["press-3"].shown
    wait_for(lambda: site.connected() == 0)
    wait_for(lambda: cameras["gate"].showing.watched == 0)


def noise(seed: int) -> Image:
    return np.random.default_rng(seed).integers(0, 255, (360, 480, 3), np.uint8)


def test_a_browser_that_does_not_read_gets_the_newest_when_it_does_and_slows_nobody(site: Served) -> None:
    stop, sizes = threading.Event(), [noise(seed) for seed in range(4)]
    showing = Showing(picture_socket(site.plant.folder, "gate"))
    showing.start()
    wait_for(showing.path.exists)

    def show() -> None:
        number = 0
        while not stop.wait(0.04):
            number += 1
            showing.show(sizes[number % 4], time.monotonic())

    thread = threading.Thread(target=show)
    thread.start()
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
    narrow.connect(("127.0.0.1", site.port))
    headers = {"Authorization": "Bearer secret-viewer"}
    url = f"ws://127.0.0.1:{site.port}/api/v1/live"
    try:
        with (
            connect(
                url, sock=narrow, additional_headers=headers, compression=None, max_size=None, max_queue=1
            ) as one,
            site.page() as quick,
        ):
            slow = Page(one)
            for shown in (slow, quick):
                shown.choose("gate")
            quick.seen(60)  # meanwhile the slow one takes nothing
            stood_still = time.time()
            late = [picture for picture in slow.seen(12) if picture.head["at"] < stood_still]
            assert len(late) <= 8  # what lies in sockets on the way, and not the 50 that were not taken
            assert slow.seen(12)[-1].head["at"] > stood_still
    finally:
        stop.set()
        thread.join()
        showing.stop()


def test_pictures_of_a_camera_whose_process_is_started_again_go_on(site: Served) -> None:
    with site.page() as shown:
        shown.choose("gate")
        with ShownCamera(site.plant.folder, "gate", RED):
            shown.seen(3)
        with ShownCamera(site.plant.folder, "gate", BLUE):
            wait_for(lambda: shown.read(10) or (shown.pictures and near(shown.pictures[-1].colour, BLUE)))
    numbers = [one.head["seq"] for one in shown.pictures]
    assert numbers == sorted(numbers)


def test_one_picture_is_had_without_a_connection(site: Served, cameras: dict[str, ShownCamera]) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{site.port}/api/v1") as client:
        headers = {"Authorization": "Bearer secret-limited"}
        answer = client.get("/cameras/press-3/picture", headers=headers)
        assert answer.status_code == 200 and answer.headers["Content-Type"] == "image/jpeg"
        pixels = np.asarray(Pillow.open(BytesIO(answer.content)))
        assert near(tuple(pixels.reshape(-1, 3).mean(axis=0)), RED)
        assert 0 <= float(answer.headers["Jikimi-Age"]) < 2
        assert datetime.fromisoformat(answer.headers["Jikimi-At"]).tzinfo is not None
        for name in ("gate", "none", "프레스 2"):
            other = client.get(f"/cameras/{name}/picture", headers=headers)
            assert other.status_code == 404


def test_a_camera_that_shows_nothing_is_503_and_so_is_one_that_stands_still(site: Served) -> None:
    away = site.plant.get("/cameras/gate/picture")
    assert away.status_code == 503 and int(away.headers["Retry-After"]) > 0
    showing = Showing(picture_socket(site.plant.folder, "gate"))
    showing.start()
    wait_for(showing.path.exists)
    showing.show(noise(1), time.monotonic() - 60)
    assert site.plant.get("/cameras/gate/picture").status_code == 503
    showing.stop()
    with ShownCamera(site.plant.folder, "gate"):
        assert site.plant.get("/cameras/gate/picture").status_code == 200


# --- what has happened


def test_a_connection_begins_with_how_things_are(site: Served) -> None:
    store = site.plant.store
    store.open_incident(incident("over", "gate", 5), [])
    store.close_incident("over", at=NOON + timedelta(seconds=9), peak=0.9, score=0.1)
    store.acknowledge("over", at=NOON, by="kim")
    with site.page() as shown:
        found = shown.until("snapshot")
        assert [row["uid"] for row in found["incidents"]] == ["i2", "i1"]
        assert {row["uid"] for row in found["faults"]} == {"f0", "f1", "f2"}
        assert "s3cr3t" not in str(found)
        assert [camera["name"] for camera in found["status"]["cameras"]] == ["press-3", "gate", "프레스 2"]
        told = found["status"]
        while not told["watching"]:  # on a machine that took three seconds for this, what was said is stale
            site.plant.say()
            told = shown.until("status")["status"]
        assert told["detector"] == "running" and "stages" not in told
        camera = told["cameras"][0]
        assert camera["state"] == "live" and camera["decided_age_s"] == 0.1 and "stages" not in camera
        assert "f1xed" not in str(told)
        site.plant.say(detector="starting", watching=False)
        while shown.until("status")["status"]["watching"]:
            pass


def test_what_happens_to_an_incident_is_told_within_a_moment(site: Served) -> None:
    store = site.plant.store
    with site.page() as first, site.page("operator") as second:
        for shown in (first, second):
            shown.until("snapshot")
        store.open_incident(incident("new", "gate"), [Notice("k", "hook", "incident", "new", "opened")])
        for shown in (first, second):
            told = shown.until("incident")
            assert told["change"]["kind"] == "opened" and told["incident"]["uid"] == "new"
            assert told["incident"]["camera"] == "gate" and told["incident"]["closed_at"] is None
        store.update_incident("new", at=NOON, peak=0.95, score=0.95)
        store.escalate("new", level=1, at=NOON, notices=[])
        assert site.plant.ask("operator", "POST", "/api/v1/incidents/new/acknowledge").status_code == 200
        store.close_incident("new", at=NOON, peak=0.95, score=0.1)
        site.plant.put("/incidents/new/answer", {"answer": "correct"}, "operator")
        kinds = [first.until("incident") for _ in range(5)]
        assert [told["change"]["kind"] for told in kinds] == [
            "updated", "escalated", "acknowledged", "closed", "answered",
        ]  # fmt: skip
        assert kinds[-1]["incident"]["answer"] == "correct" and kinds[-1]["change"]["by"] == "operator"
        ids = [told["id"] for told in kinds]
        assert ids == sorted(ids)


def test_faults_are_told_as_they_begin_and_end(site: Served) -> None:
    store, now = site.plant.store, datetime.now(UTC)
    with site.page() as shown:
        shown.until("snapshot")
        store.begin_fault(FaultRecord("f9", "gate", "offline", "no answer of rtsp://u:pw@h/x", now), [])
        told = shown.until("fault")
        assert told["kind"] == "began" and told["fault"]["uid"] == "f9" and "pw" not in str(told)
        store.end_fault("f9", at=now + timedelta(seconds=1))
        told = shown.until("fault")
        assert told["kind"] == "ended" and told["fault"]["ended_at"] is not None
        store.begin_fault(FaultRecord("f10", "", "disk-low", "no room", now), [])
        assert shown.until("fault")["fault"]["camera"] == ""


def test_a_caller_of_some_cameras_learns_nothing_of_others(
    site: Served, cameras: dict[str, ShownCamera]
) -> None:
    store, now = site.plant.store, datetime.now(UTC)
    with site.page("limited") as shown:
        found = shown.until("snapshot")
        assert [row["uid"] for row in found["incidents"]] == ["i1"]
        assert [row["uid"] for row in found["faults"]] == ["f1"]
        shown.choose("gate", "press-3", "프레스 2")
        assert shown.until("choice")["pictures"] == ["press-3"]
        store.open_incident(incident("n1", "gate"), [])
        store.acknowledge("i2", at=NOON, by="kim")
        store.begin_fault(FaultRecord("n2", "프레스 2", "dark", "dark", now), [])
        store.begin_fault(FaultRecord("n3", "", "disk-low", "no room", now), [])
        store.open_incident(incident("n4", "press-3"), [])
        assert shown.until("incident")["incident"]["uid"] == "n4"
        shown.seen(10)
        shown.read_for(0.5)
        assert {one.head["camera"] for one in shown.pictures} == {"press-3"}
        assert not [text for text in shown.texts if text["type"] in ("incident", "fault")]
        status = shown.until("status")["status"]
        assert [camera["name"] for camera in status["cameras"]] == ["press-3"]
        assert status["faults"] is None and status["open_incidents"] is None
        words = str([found, *shown.texts])
        assert "프레스 2" not in words and "gate" not in words and "no room" not in words
        assert cameras["gate"].showing.watched == 0


class Trouble:
    """A store that fails while it is told to."""

    def __init__(self, store: Store) -> None:
        self.store, self.away = store, True

    def __getattr__(self, name: str) -> object:
        if self.away:
            raise StoreBusyError("database: locked")
        return getattr(self.store, name)


def test_store_trouble_ends_nothing_and_nothing_is_missed(
    site: Served, cameras: dict[str, ShownCamera], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "_AGAIN_S", 0.1)
    monkeypatch.setattr(live_routes, "_AGAIN_S", 0.1)
    shared, store = site.plant.app.state.live, site.plant.store
    trouble = Trouble(store)
    shared.backend = replace(shared.backend, store=trouble)
    with site.page() as shown:
        shown.choose("gate")
        shown.seen(3)
        shown.until("status")
        assert not [text for text in shown.texts if text["type"] == "snapshot"]
        trouble.away = False
        shown.until("snapshot")
        trouble.away = True
        store.open_incident(incident("meanwhile", "gate"), [])
        shown.texts.clear()
        shown.until("status")
        assert not [text for text in shown.texts if text["type"] == "incident"]
        trouble.away = False
        assert shown.until("incident")["incident"]["uid"] == "meanwhile"


def test_a_change_that_is_stored_late_under_a_lower_number_is_not_missed(tmp_path: Path) -> None:
    with open_plant(tmp_path) as plant:
        now_s, hidden = [0.0], [0]  # hidden as in PostgreSQL until its transaction ends
        changes = plant.store.changes
        store = Trouble(plant.store)
        store.away = False
        store.changes = lambda after: [row for row in changes(after=after) if row.id not in hidden]  # type: ignore[attr-defined]
        news = News(store, lambda: now_s[0])  # type: ignore[arg-type]
        assert news.look() == []
        hidden[0] = plant.store.last_change() + 1
        plant.store.open_incident(incident("late"), [])
        plant.store.open_incident(incident("early"), [])
        assert ["early" in event.text for event in news.look()] == [True]
        now_s[0] = 3.0
        assert news.look() == []
        hidden[0] = 0
        assert ["late" in event.text for event in news.look()] == [True]
        now_s[0] = 60.0
        for _ in range(3):
            assert news.look() == []
        plant.store.acknowledge("late", at=NOON, by="kim")
        assert len(news.look()) == 1


def test_events_that_are_too_many_for_a_slow_browser_become_a_snapshot() -> None:
    slow = Onlooker(Caller("a", "viewer"), LivePictures(Path))
    assert slow.lost.is_set()
    slow.lost.clear()
    slow.tell_event("before")
    assert slow.next(0) is None  # the snapshot goes first
    slow.tell_snapshot("s1")
    assert [slow.next(0), slow.next(0), slow.next(0)] == ["s1", "before", None]
    for number in range(onlooker.MOST_EVENTS + 5):
        slow.tell_event(f"e{number}")
    assert slow.lost.is_set() and slow.next(0) is None
    slow.lost.clear()
    slow.tell_snapshot("s2")
    told = [slow.next(0) for _ in range(6)]
    assert told == ["s2", "e501", "e502", "e503", "e504", None]


def test_texts_go_before_pictures_and_pictures_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = LivePictures(Path)
    monkeypatch.setattr(pictures.__class__, "look", lambda *_: None)
    numbers = iter(range(1, 100))
    monkeypatch.setattr(
        pictures.__class__, "newest", lambda _, name: LivePicture(name, next(numbers), 0, 0, b"")
    )
    one = Onlooker(Caller("a", "viewer"), pictures)
    one.choose(["a", "b"], 10, {"a", "b"})
    one.tell_picture("a")
    one.tell_status("old")
    one.tell_status("new")
    assert one.next(0.0) == "new"
    names = []
    for turn in range(1, 5):
        for name in ("a", "b"):
            one.tell_picture(name)
        picture = one.next(turn * 1.0)
        assert isinstance(picture, LivePicture)
        names.append(picture.camera)
    assert names == ["a", "b", "a", "b"] or names == ["b", "a", "b", "a"]


# --- who may


@pytest.mark.parametrize("secret", [None, "wrong", ""])
def test_without_a_known_token_there_is_no_connection(site: Served, secret: str | None) -> None:
    with pytest.raises(InvalidStatus) as refused, page(site.port, secret):
        pass
    assert refused.value.response.status_code == 403
    assert site.connected() == 0


def test_a_page_of_another_site_gets_no_connection(site: Served) -> None:
    own = f"http://127.0.0.1:{site.port}"
    with site.page(Origin=own) as shown:
        shown.until("snapshot")
    for origin in ("https://evil.example", "null", f"http://127.0.0.1:{site.port + 1}", "http://[", ""):
        with pytest.raises(InvalidStatus), site.page(Origin=origin):
            pass


def test_an_origin_is_ours_by_its_host_whatever_its_scheme() -> None:
    for origin in ("https://Jikimi.plant", "http://jikimi.plant"):
        assert is_same_origin({"origin": origin, "host": "jikimi.plant"})
    assert is_same_origin({"host": "jikimi.plant"})
    for origin in ("https://jikimi.plant.evil", "https://jikimi.plant@evil", "null"):
        assert not is_same_origin({"origin": origin, "host": "jikimi.plant"})
    assert not is_same_origin({"origin": "null"})


def test_no_secret_of_a_connection_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with (
        open_plant(tmp_path) as plant,
        served(plant.app) as (port, _, _),
        page(port, "secret-viewer", Cookie="jikimi-session=k00kie", query="?token=qu3ry") as shown,
    ):
        shown.until("snapshot")
    mine = [record for record in caplog.records if not record.name.startswith("websockets.client")]
    for record in mine:
        assert not any(word in record.getMessage() for word in ("secret-viewer", "k00kie", "qu3ry"))


def test_who_is_no_longer_known_is_sent_away(site: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_routes, "WHO_EVERY_S", 0.1)
    with site.page() as shown:
        shown.until("snapshot")
        monkeypatch.setattr(access, "find_caller", lambda *_: None)
        with pytest.raises(ConnectionClosed):
            shown.read_for(10)
        assert shown.socket.close_code == access.UNKNOWN
    wait_for(lambda: site.connected() == 0)


def test_a_session_looks_on_until_it_is_logged_out(site: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_routes, "WHO_EVERY_S", 0.1)
    browser = site.plant.log_in("one-eye")
    cookie = f"jikimi-session={browser.cookies['jikimi-session']}"
    with pytest.raises(InvalidStatus), page(site.port, None, Cookie=cookie, Origin="https://evil.example"):
        pass
    with page(site.port, None, Cookie=cookie, Origin=f"http://127.0.0.1:{site.port}") as shown:
        cameras = shown.until("snapshot")["status"]["cameras"]
        assert [camera["name"] for camera in cameras] == ["press-3"]
        shown.read_for(0.5)
        assert browser.ask("DELETE", "/api/v1/me/session").status_code == 204
        with pytest.raises(ConnectionClosed):
            shown.read_for(10)
        assert shown.socket.close_code == access.UNKNOWN


@pytest.mark.parametrize(("name", "stays"), [("hand", False), ("eye", True)])
def test_an_open_page_is_no_use_of_a_session_but_for_a_viewers_wall(
    site: Served, monkeypatch: pytest.MonkeyPatch, name: str, stays: bool
) -> None:
    monkeypatch.setattr(live_routes, "WHO_EVERY_S", 0.1)
    monkeypatch.setattr(callers, "REMEMBERED_S", 0.0)
    store = site.plant.store
    browser = site.plant.log_in(name)
    (kept,) = store.sessions(name)
    long_ago = datetime.now(UTC) - callers.IDLE + timedelta(seconds=1.5)
    store.see_session(kept.key, at=long_ago)
    headers = {"Cookie": f"jikimi-session={browser.cookies['jikimi-session']}"}
    with page(site.port, None, Origin=f"http://127.0.0.1:{site.port}", **headers) as shown:
        shown.until("snapshot")
        if stays:
            shown.read_for(3)
            assert store.sessions(name)[0].seen_at > long_ago
            return
        with pytest.raises(ConnectionClosed):
            shown.read_for(10)
        assert shown.socket.close_code == access.UNKNOWN
    assert store.sessions(name)[0].seen_at == long_ago
    assert browser.get("/me").status_code == 401


def test_pictures_that_a_page_fetches_by_itself_are_no_use_and_requests_are(site: Served) -> None:
    browser, store = site.plant.log_in("hand"), site.plant.store
    (kept,) = store.sessions("hand")
    an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
    store.see_session(kept.key, at=an_hour_ago)
    memory_of(store).forget()
    assert browser.get("/cameras/press-3/picture").status_code == 503  # nothing is shown here
    assert store.sessions("hand")[0].seen_at == an_hour_ago
    assert browser.get("/me").status_code == 200
    assert store.sessions("hand")[0].seen_at > an_hour_ago


def test_looks_at_live_pictures_are_noted_once_an_hour_for_each_camera(
    site: Served, cameras: dict[str, ShownCamera], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_routes, "WHO_EVERY_S", 0.1)
    for _ in range(2):
        with site.page() as shown:
            shown.choose("press-3", "gate")
            shown.read_for(1)
    assert site.plant.get("/cameras/프레스 2/picture").status_code == 200
    assert site.plant.get("/cameras/gate/picture").status_code == 200
    noted = [row for row in site.plant.store.audit_trail() if row.what == "viewed live"]
    assert [(row.who, row.about) for row in noted] == [("viewer", "프레스 2"), ("viewer", "gate, press-3")]
    assert noted[1].details == {"cameras": ["gate", "press-3"]}


def test_who_may_look_sees_also_while_looks_cannot_be_noted(
    site: Served, cameras: dict[str, ShownCamera], monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = list[object]()

    def locked(_store: Store, record: object) -> None:
        tried.append(record)
        raise StoreBusyError("locked")

    monkeypatch.setattr(Store, "audit", locked)
    for _ in range(3):
        assert site.plant.get("/cameras/gate/picture").status_code == 200
    assert len(tried) == 1


def test_while_the_store_is_away_nobody_is_let_in_and_nobody_is_sent_away(
    site: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise StoreBusyError("database: locked")

    monkeypatch.setattr(live_routes, "WHO_EVERY_S", 0.1)
    with site.page() as shown:
        shown.until("snapshot")
        monkeypatch.setattr(access, "find_caller", away)
        with pytest.raises(InvalidStatus), site.page():
            pass
        shown.texts.clear()
        for _ in range(3):
            shown.until("status")


def test_one_caller_has_so_many_connections_and_others_theirs(
    site: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "MOST_OF_ONE", 2)
    with site.page() as one, site.page() as two, site.page("operator") as other, site.page() as over:
        for shown in (one, two, other):
            shown.until("snapshot")
        with pytest.raises(ConnectionClosed):
            over.read(10)
        assert over.socket.close_code == live_routes.TOO_MANY
    wait_for(lambda: site.connected() == 0)
    with site.page() as again:
        again.until("snapshot")


@pytest.mark.parametrize(
    "message",
    [
        *("", "{", "null", "[]", '{"pictures": "gate"}', '{"pictures": [1]}', '{"pictures": [], "x": 1}'),
        *('{"pictures": [], "rate_hz": 0}', '{"pictures": [], "rate_hz": 1e9}', '{"pictures": ["\\ud800"]}'),
        json.dumps({"pictures": ["a"] * 65}),
        b"\x00\xff",
    ],
)
def test_what_cannot_be_understood_is_said_and_the_connection_goes_on(
    site: Served, message: str | bytes
) -> None:
    with site.page() as shown:
        shown.socket.send(message)
        assert "pictures" in shown.until("problem")["detail"]
        shown.choose("gate")
        assert shown.until("choice")["pictures"] == ["gate"]


def test_a_message_that_is_too_large_ends_the_connection(site: Served) -> None:
    with site.page() as shown:
        shown.socket.send("x" * (1 << 17))
        with pytest.raises(ConnectionClosed):
            shown.read_for(10)
        assert shown.socket.close_code == 1009
    assert site.plant.get("/cameras").status_code == 200


# --- the end


def test_connections_do_not_hold_up_a_stop(site: Served, cameras: dict[str, ShownCamera]) -> None:
    with site.page() as one, site.page() as two:
        for shown in (one, two):
            shown.choose("gate")
            shown.seen(1)
        assert stopped_after_s(site.stop, site.thread) < 2
        with pytest.raises(ConnectionClosed):
            one.read_for(10)
        assert one.socket.close_code == 1012


def test_a_browser_that_has_stopped_for_good_is_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "_PING_S", 0.5)
    with (
        open_plant(tmp_path) as plant,
        served(plant.app) as (port, _, _),
        ShownCamera(tmp_path, "gate", size=(480, 640)),
        socket.create_connection(("127.0.0.1", port)) as asking,
    ):
        asking.sendall(
            b"GET /api/v1/live HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer secret-viewer\r\n"
            b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
        )
        shared = plant.app.state.live
        wait_for(lambda: len(shared._onlookers) == 1)
        wait_for(lambda: not shared._onlookers)  # it answers no ping


def test_when_the_last_has_gone_nothing_runs(site: Served, cameras: dict[str, ShownCamera]) -> None:
    with site.page() as shown:
        shown.choose("gate")
        shown.seen(1)
    names = {"live news", "live status", "live pictures"}
    wait_for(lambda: not names & {thread.name for thread in threading.enumerate()})
