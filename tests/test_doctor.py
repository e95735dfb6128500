"""The doctor: what it finds on a machine and in a site, what it says to do, and what it never says."""

import json
import os
import socket
import sqlite3
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from alert_servers import web_server
from bundles import make_bundle
from cameras import CameraServer, rtsp, write_film
from jikimi import cli
from jikimi.address import Address
from jikimi.doctor import Finding, examine, machine, outside, site
from jikimi.settings import CameraSettings, Settings
from jikimi.settings_file import load_settings
from jikimi.status import CameraStatus, SiteStatus, write_status
from jikimi.store import SettingRecord, Store, open_box, open_store
from jikimi.store.tables import SCHEMA
from jikimi.watch.trying import CameraFacts, StreamFacts
from mosquitto_server import Mosquitto, free_port, guarded_mosquitto, mosquitto
from store_values import NOON
from store_values import target as stored_target

pytest_plugins = ("postgres_server",)

__all__ = ["guarded_mosquitto", "mosquitto", "rtsp"]


@pytest.fixture(scope="session")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("bundle") / "colours.jikimi")


@dataclass
class Place:
    """A folder with a jikimi.toml."""

    folder: Path
    bundle: Path

    @property
    def config(self) -> Path:
        return self.folder / "jikimi.toml"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def write(self, more: str = "", *, site: str = "") -> None:
        head = (
            f'[site]\ndata = "data"\n{site}\n[model]\nbundle = {json.dumps(str(self.bundle))}\nthreads = 1\n'
        )
        self.config.write_text(head + more, encoding="utf-8")

    def store(self) -> Store:
        self.data.mkdir(exist_ok=True)
        url = f"sqlite:///{self.data / 'jikimi.db'}"
        return open_store(url, box=open_box(self.data / "jikimi.key", None))

    def findings(self) -> dict[str, Finding]:
        return {one.what: one for one in examine(self.config)}


@pytest.fixture
def place(tmp_path: Path, colours: Path) -> Place:
    made = Place(tmp_path, colours)
    made.write()
    return made


def camera(name: str, address: str, *, sub: str | None = None) -> str:
    rows = [f"name = {json.dumps(name)}", f"address = {json.dumps(address, ensure_ascii=False)}"]
    rows += [f"sub = {json.dumps(sub, ensure_ascii=False)}"] if sub is not None else []
    return "\n".join(["[[camera]]", *rows, ""])


def target(name: str, kind: str, url: str) -> str:
    secret = 'secret = "s3cr3t-s3cr3t"\n' if kind == "webhook" else ""
    return (
        f'[[target]]\nname = "{name}"\nkind = "{kind}"\nurl = {json.dumps(url, ensure_ascii=False)}\n{secret}'
    )


# --- the machine


def test_healthy_machine_has_no_problem_and_nothing_is_made(place: Place) -> None:
    found = place.findings()
    machine_ = ("python", "decoder h264", "decoder hevc", "decoder mjpeg", "gpu", "model", "key")
    assert {found[what].level for what in machine_} == {"ok"}
    assert "self-test" in found["model"].found and "ms a picture" in found["model"].found
    assert found["site"].found == "does not run now" and found["database"].level == "ok"
    assert not place.data.exists()


def test_every_warning_and_problem_says_what_to_do(place: Place) -> None:
    place.bundle = place.folder / "none.jikimi"
    place.write(camera("a", "/nowhere") + target("w", "webhook", "http://127.0.0.1:9/"))
    for one in place.findings().values():
        assert one.level == "ok" or one.cure, one
        assert "\n" not in one.found + one.cure


def test_missing_decoder_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_DECODERS", {"no-such-codec": "Nothing"})
    (finding,) = machine.decoders()
    assert finding.level == "problem" and "pip install" in finding.cure


def test_little_memory_and_one_core_are_warnings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_CAMERA_BYTES", 10**15)
    cameras = [{"name": "a", "address": "rtsp://h/x"}]
    assert machine.memory(Settings.model_validate({"camera": cameras})).level == "warning"
    assert machine.memory(Settings()).level == "ok"
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0})
    assert machine.processor().level == "warning"


@pytest.mark.parametrize(
    ("said", "level", "words"),
    [("yes", "ok", ", by NTP"), ("no", "warning", ", not by NTP"), ("", "ok", "cannot be told here")],
)
def test_clock_is_asked_of_timedatectl(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, level: str, words: str
) -> None:
    program = tmp_path / "timedatectl"
    program.write_text(f"#!/bin/sh\necho {said}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    finding = machine.clock(Settings())
    assert finding.level == level and finding.found.endswith(words)


def test_clock_of_another_age_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_EARLIEST", datetime(9000, 1, 1, tzinfo=UTC))
    assert machine.clock(Settings()).level == "problem"


def test_disk_that_is_full_small_or_cannot_be_written_is_told(place: Place) -> None:
    place.write("[evidence]\nmin_free_gb = 1e9\n")
    assert place.findings()["disk"].level == "problem"
    place.write("[evidence]\nmax_gb = 1e9\n")
    assert "lower [evidence] max_gb" in place.findings()["disk"].cure
    place.write("[evidence]\nmax_gb = 0.001\nmin_free_gb = 0\n")
    assert place.findings()["disk"].level == "ok"
    place.data.write_text("a file in its place")
    finding = place.findings()["disk"]
    assert finding.level == "problem" and "cannot be written" in finding.found


def test_data_of_somebody_else_is_told(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.data.mkdir()
    assert "owner" not in place.findings()
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert place.findings()["owner"].cure == "run jikimi as the user of its data folder"


def test_folder_that_may_not_be_entered_is_a_problem(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_path: Path, **_more: object) -> None:
        raise PermissionError(13, "Permission denied", "/closed")

    monkeypatch.setattr(Path, "stat", refuse)
    (finding,) = examine(place.config)
    assert (finding.level, finding.found) == ("problem", "/closed: Permission denied")


# --- settings, model, database, key


def test_settings_that_cannot_be_read_are_a_problem(place: Place) -> None:
    place.config.write_text("[serve]\nport = 'many'\n")
    found = place.findings()
    assert found["settings"].level == "problem" and "serve.port" in found["settings"].found
    assert "database" not in found and "python" in found


def test_no_settings_and_nobody_alerted_are_warnings(
    place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert place.findings()["settings"].cure == "add a [[target]]"
    monkeypatch.chdir(tmp_path_factory.mktemp("empty"))
    settings = {one.what: one for one in examine(None)}["settings"]
    assert settings.level == "warning" and "docs/operations.md" in settings.cure


def test_damaged_bundle_is_a_problem(place: Place) -> None:
    place.bundle = place.folder / "x.jikimi"
    place.bundle.write_bytes(b"PK")
    place.write()
    assert "not a Jikimi bundle" in place.findings()["model"].found


def test_more_cameras_than_the_model_can_serve_are_a_warning(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site, "_frame_ms", lambda _bundle: 40.0)
    finding, card = site.look_at_model(load_settings(place.config), 4)
    assert card is not None and finding.level == "warning" and "4 cameras keep it busy 128%" in finding.cure
    assert site.look_at_model(load_settings(place.config), 1)[0].level == "ok"


def test_database_is_looked_at_and_not_changed(place: Place) -> None:
    place.store().close()
    database = place.data / "jikimi.db"
    assert place.findings()["database"] == Finding("database", "ok", f"SQLite, schema {SCHEMA}")
    assert place.findings()["key"].found.endswith("opens 0 cameras of the database")
    _execute(database, "UPDATE alembic_version SET version_num = '9999'")
    finding = place.findings()["database"]
    assert (finding.level, finding.cure) == ("problem", "it is newer: update Jikimi")
    database.write_bytes(b"no database at all, " * 100)
    assert place.findings()["database"].level == "problem"


def test_another_programs_database_is_a_problem(place: Place) -> None:
    place.data.mkdir()
    _execute(place.data / "jikimi.db", "CREATE TABLE invoices (id INTEGER)")
    finding = place.findings()["database"]
    assert (finding.level, finding.cure) == ("problem", "give Jikimi a database of its own")


def _execute(path: Path, sql: str) -> None:
    with sqlite3.connect(path) as database:
        database.execute(sql)
    database.close()


def test_postgresql_is_looked_at_and_its_password_is_not_shown(
    place: Place, request: pytest.FixtureRequest
) -> None:
    postgres = request.getfixturevalue("postgres")
    with postgres.database() as url:
        place.write(f"[store]\nurl = {json.dumps(url)}\n")
        assert place.findings()["database"].found == "PostgreSQL, empty; filled at the first start"
        place.data.mkdir()
        open_store(url, box=open_box(place.data / "jikimi.key", None)).close()
        assert place.findings()["database"].found == f"PostgreSQL, schema {SCHEMA}"
    place.write(f"[store]\nurl = {json.dumps(postgres.url('x', password='wrong pass'))}\n")
    finding = place.findings()["database"]
    assert finding.level == "problem" and "wrong" not in finding.found and "%20" not in finding.found


def test_key_that_others_read_is_lost_or_another_is_a_problem(place: Place) -> None:
    with place.store() as store:
        store.put_camera(CameraSettings(name="a", address=Address("/nowhere")), at=datetime.now(UTC))
    key = place.data / "jikimi.key"
    assert place.findings()["key"].found.endswith("opens 1 cameras of the database")
    key.chmod(0o644)
    finding = place.findings()["key"]
    assert finding.level == "problem" and finding.cure.startswith("run: chmod 600")
    key.unlink()
    assert "lost" in place.findings()["key"].found


# --- what was stored while the site ran


def test_stored_values_and_targets_are_told_with_the_way_back(place: Place) -> None:
    place.write("[evidence]\nkeep_days = 30\n" + target("hook", "webhook", "http://127.0.0.1:9/"))
    with place.store() as store:
        store.put_setting(SettingRecord("evidence.keep_days", 90, NOON, "kim"))
        store.put_setting(SettingRecord("site.language", "de", NOON, "kim"))
        store.put_target(stored_target("lamp", url="http://127.0.0.1:9/l4mp"), at=NOON)
        store.put_target(stored_target("hook"), at=NOON)
    found = place.findings()
    keep = found["setting evidence.keep_days"]
    assert keep.level == "ok" and "90 holds, stored by kim" in keep.found and "says 30" in keep.found
    assert "jikimi settings reset evidence.keep_days" in keep.found
    told = [one for one in examine(place.config) if one.what == "stored settings"]
    assert [one.level for one in told] == ["warning", "warning"]
    assert "jikimi target remove 'hook'" in told[0].cure and "site.language" in told[1].found
    assert found["target lamp"].level == "problem"  # nobody listens there
    assert not [word for word in ("l4mp", "s3cr3t") if word in str(examine(place.config))]


def test_stored_target_is_somebody_who_is_alerted(place: Place) -> None:
    assert place.findings()["settings"].level == "warning"
    with place.store() as store:
        store.put_target(stored_target("lamp", url="http://127.0.0.1:9/"), at=NOON)
    assert place.findings()["settings"].level == "ok"


def test_target_under_a_lost_key_is_told(place: Place) -> None:
    with place.store() as store:
        store.put_target(stored_target("lamp"), at=NOON)
    (place.data / "jikimi.key").unlink()
    told = [one for one in examine(place.config) if one.what == "stored settings"]
    assert told[0].level == "warning" and "key file" in told[0].found + told[0].cure


# --- cameras and targets


@pytest.fixture(scope="module")
def server(rtsp: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CameraServer]:
    folder = tmp_path_factory.mktemp("films")
    films = {
        "main": write_film(folder / "m.h264", seconds=4, fps=10, size=(1920, 1080)),
        "sub": write_film(folder / "s.h264", seconds=4, fps=10),
    }
    with CameraServer(films) as running:
        yield running


def test_cameras_are_tried_all_at_once(server: CameraServer, place: Place) -> None:
    main, sub = server.address("main"), server.address("sub")
    with place.store() as store:
        stored = CameraSettings(name="stored", address=Address(sub))
        store.put_camera(stored, at=datetime.now(UTC))
        off = CameraSettings(name="off", address=Address(sub), enabled=False)
        store.put_camera(off, at=datetime.now(UTC))
    silent = socket.create_server(("127.0.0.1", 0))
    port = silent.getsockname()[1]
    hanging = [camera(f"hangs {number}", f"rtsp://admin:S3cr@et@127.0.0.1:{port}/x") for number in range(3)]
    place.write(
        camera("both", main, sub=sub) + camera("large", main) + camera("gone", server.address("x"))
        + "".join(hanging)
    )  # fmt: skip
    began = time.monotonic()
    found = place.findings()
    assert time.monotonic() - began < 2 * outside.LIMIT_S
    silent.close()
    assert (found["camera both"].level, found["camera stored"].level) == ("ok", "ok")
    assert "h264 96x64, " in found["camera both"].found
    assert found["camera large"].cure.startswith("give it a sub-stream")
    assert found["camera off"].found == "disabled, not tried"
    assert "404" in found["camera gone"].found
    assert found["camera hangs 2"].level == "problem"
    assert "S3cr" not in repr(found)


def test_rare_keyframes_are_a_warning() -> None:
    seen = StreamFacts("rtsp://h/x", "h264", 640, 480, 15.0, 0.4, None, 9.0)
    finding = outside._judged("camera a", CameraFacts("a", seen))
    assert finding.level == "warning" and "from 9 s: evidence begins at a keyframe" in finding.cure


def test_camera_in_both_places_and_unknown_behaviours_are_problems(place: Place) -> None:
    with place.store() as store:
        store.put_camera(CameraSettings(name="a", address=Address("/nowhere")), at=datetime.now(UTC))
    place.write(camera("b", "/nowhere") + 'behaviors = ["fly"]\n' + camera("a", "/nowhere"))
    levels = [(one.what, one.found) for one in examine(place.config) if one.level == "problem"]
    assert ("camera a", "is in jikimi.toml and in the database") in levels
    assert any(what == "camera b" and "'fly' is not known" in found for what, found in levels)


def test_targets_are_reached_without_sending_anything(guarded_mosquitto: Mosquitto, place: Place) -> None:
    login = ("plant", "p@ss/w#rd:1")
    with web_server() as web:
        place.write(
            target("hook", "webhook", web.url + "/s3cr3t-path")
            + target("gone", "webhook", f"http://127.0.0.1:{free_port()}/")
            + target("nohost", "webhook", "https://no-such-host.invalid/")
            + target("broker", "mqtt", guarded_mosquitto.url(login))
            + target("wrong", "mqtt", guarded_mosquitto.url(("plant", "wrong-password")))
            + target("notmqtt", "mqtt", web.url.replace("http", "mqtt"))
            + target("off", "mqtt", f"mqtt://127.0.0.1:{free_port()}")
            + target("mail", "apprise", "mailtos://user:s3cr3t-pw@mail.invalid")
            + target("odd", "apprise", "nosuch://s3cr3t-pw")
        )
        found = place.findings()
        assert web.requests == []
    assert found["target hook"] == Finding("target hook", "ok", "its host answers")
    assert "no connection" in found["target gone"].found
    assert "name is not known" in found["target nohost"].found
    assert found["target broker"] == Finding("target broker", "ok", "the broker lets us in")
    assert "the broker refuses" in found["target wrong"].found
    assert found["target notmqtt"].level == "problem" and found["target off"].level == "problem"
    assert "jikimi target test mail" in found["target mail"].found
    assert found["target odd"].level == "problem"
    shown = repr(found)
    assert not any(secret in shown for secret in ("s3cr3t", "p@ss", "wrong-password"))


# --- the running site


def test_running_site_is_told_with_its_faults(place: Place) -> None:
    now = datetime.now(UTC)
    cameras = [CameraStatus(name="a", state="live"), CameraStatus(name="b", state="backing-off")]
    status = SiteStatus(
        at=now, started_at=now, version="1.0", detector="running", watching=True, cameras=cameras
    )
    (place.data / "run").mkdir(parents=True)

    def found(**changes: object) -> Finding:
        changed = status.model_copy(update={"at": datetime.now(UTC), **changes})
        write_status(place.data / "run" / "status.json", changed)
        return place.findings()["site"]

    assert found().found == "watching: version 1.0, 1 of 2 cameras live, detector running"
    assert found(watching=False).level == "warning"
    ill = CameraStatus(name="b", state="backing-off", faults=["offline"])
    assert "b: offline" in found(cameras=[ill]).cure and found(cameras=[ill]).level == "warning"
    assert found(faults=["disk-full"]).level == "problem"
    assert "it last said something" in found(at=datetime(2026, 1, 1, tzinfo=UTC)).found


def test_taken_port_is_a_problem(place: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place.write(f"[serve]\nport = {taken.getsockname()[1]}\n")
        assert "in use by another program" in place.findings()["port"].found


# --- the command


def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: object
) -> tuple[int, str]:
    monkeypatch.setattr(sys, "argv", ["jikimi", "doctor", *map(str, arguments)])
    capsys.readouterr()
    try:
        cli.main()
        code: object = 0
    except SystemExit as end:
        code = end.code
    captured = capsys.readouterr()
    assert captured.err == ""
    return int(str(code or 0)), captured.out


def test_command_prints_a_table_or_json_and_fails_on_problems(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], place: Place
) -> None:
    place.write(camera("프레스 3", "/nowhere/at/all"))
    code, out = run(monkeypatch, capsys, "--config", place.config)
    assert code == 1 and "problem  camera 프레스 3  " in out and "→ check the path" in out
    assert "1 problems," in out.splitlines()[-1]
    code, out = run(monkeypatch, capsys, "--config", place.config, "--json")
    levels = {row["what"]: row["level"] for row in json.loads(out)}
    assert code == 1 and levels["camera 프레스 3"] == "problem" and levels["python"] == "ok"
    place.write()
    assert run(monkeypatch, capsys, "--config", place.config)[0] == 0


# Passwords as people and machines make them: separators of URLs, blanks, other scripts, quotes.
# Each begins and ends with a mark, so that a part of it is found too and no ordinary word is taken for it.
NASTY = st.text(
    st.one_of(st.sampled_from("@/:?#&=%+;, '\"\\$[]<>"), st.characters(codec="utf-8", categories=["L", "N"])),
    max_size=16,
).map(lambda text: f"Zq7{text}Kx9")


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes time and tells nothing of secrets: everything outside refuses at once (port 9)."""
    monkeypatch.setattr(machine, "_synchronised", lambda: True)
    monkeypatch.setattr(site, "_frame_ms", lambda _bundle: 1.0)


@given(secret=NASTY, where=st.sampled_from(["%s", "quoted"]))
@hypothesis_settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_secret_is_ever_shown(hasty: None, place: Place, secret: str, where: str) -> None:
    placed = quote(secret, safe="") if where == "quoted" else secret
    place.write(
        f"[store]\nurl = {json.dumps(f'postgresql://u:{placed}@127.0.0.1:9/x', ensure_ascii=False)}\n"
        f"[pulse]\nurl = {json.dumps(f'https://127.0.0.1:9/{placed}', ensure_ascii=False)}\n"
        + camera(
            "c", f"rtsp://admin:{placed}@127.0.0.1:9/x", sub=f"http://127.0.0.1:9/v?user=u&password={placed}"
        )
        + target("m", "mqtt", f"mqtt://u:{placed}@127.0.0.1:9")
        + target("w", "webhook", f"http://127.0.0.1:9/{placed}")
        + target("a", "apprise", f"json://u:{placed}@127.0.0.1:9")
    )
    shown = json.dumps([(one.what, one.found, one.cure) for one in examine(place.config)], ensure_ascii=False)
    assert "Zq7" not in shown and "Kx9" not in shown
