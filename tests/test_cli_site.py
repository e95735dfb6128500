"""The commands of a site as a user runs them: cameras, evidence, tokens, targets, and starting at all."""

import hashlib
import io
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundles import make_bundle
from cameras import CameraServer, rtsp, write_film
from jikimi import cli
from jikimi.address import Address
from jikimi.archive import Manifest
from jikimi.checking import check_site
from jikimi.cli_token import quoted
from jikimi.errors import CameraError, VideoError
from jikimi.running import alone
from jikimi.settings import CameraSettings, Mask, Settings
from jikimi.settings_file import load_settings
from jikimi.status import CameraStatus, SiteStatus, write_status
from jikimi.store import IncidentRecord, SettingRecord, Store, open_box, open_store
from jikimi.watch.archivist import HEAD
from jikimi.watch.trying import try_camera
from sites import Receiver, RunningSite, shop_floor, wait_for
from store_values import NOON, target
from videos import write_video

__all__ = ["rtsp"]

PASSWORD = "S3cr@et"


@dataclass
class Said:
    """What a command said, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def line(self) -> str:
        """The one line of a failure."""
        assert self.code == 1 and self.err.startswith("jikimi: ") and self.err.count("\n") == 1, self
        return self.err.strip()


Jikimi = Callable[..., Said]


@pytest.fixture
def jikimi(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Jikimi:
    """Run a command here."""

    def run(*arguments: object, stdin: str = "") -> Said:
        monkeypatch.setattr(sys, "argv", ["jikimi", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        capsys.readouterr()
        try:
            cli.main()
            code: Any = 0
        except SystemExit as end:
            code = end.code or 0
        captured = capsys.readouterr()
        assert PASSWORD not in captured.out + captured.err
        return Said(code, captured.out, captured.err)

    return run


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

    def write(self, more: str = "") -> None:
        head = f'[site]\ndata = "data"\n[model]\nbundle = {json.dumps(str(self.bundle))}\nthreads = 1\n'
        self.config.write_text(head + "[serve]\nport = 0\n" + more, encoding="utf-8")

    def store(self) -> Store:
        self.data.mkdir(exist_ok=True)
        url = f"sqlite:///{self.data / 'jikimi.db'}"
        return open_store(url, box=open_box(self.data / "jikimi.key", None))

    def cameras(self) -> dict[str, CameraSettings]:
        with self.store() as store:
            return {stored.settings.name: stored.settings for stored in store.cameras()}

    def audit(self) -> list[tuple[str, str]]:
        with self.store() as store:
            return [(record.what, record.about) for record in store.audit_trail()]


@pytest.fixture
def place(tmp_path: Path, colours: Path) -> Place:
    made = Place(tmp_path, colours)
    made.write()
    return made


@pytest.fixture(scope="module")
def server(rtsp: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CameraServer]:
    """A camera with a main stream and a small one in another codec."""
    folder = tmp_path_factory.mktemp("films")
    films = {
        "main": write_film(folder / "m.h264", seconds=4, fps=15, size=(320, 240)),
        "sub": write_film(folder / "s.mjpeg", seconds=2, fps=8, codec="mjpeg"),
    }
    with CameraServer(films) as running:
        yield running


# --- camera


def test_camera_test_tells_what_both_streams_send(server: CameraServer) -> None:
    settings = CameraSettings(name="a", address=server.address("main"), sub=server.address("sub"))  # type: ignore[arg-type]
    facts = try_camera(settings)
    assert facts.sub is not None
    assert (facts.main.codec, facts.main.width_px, facts.main.height_px) == ("h264", 320, 240)
    assert (facts.sub.codec, facts.sub.width_px, facts.sub.height_px) == ("mjpeg", 96, 64)
    assert facts.main.fps == pytest.approx(15, rel=0.3) and facts.sub.fps == pytest.approx(8, rel=0.3)
    assert facts.main.keyframe_s == pytest.approx(1.0, abs=0.3)
    assert 0 < facts.main.first_picture_s < 5
    assert facts.main.picture_HWC is not None and facts.main.picture_HWC.shape == (270, 360, 3)
    assert PASSWORD not in json.dumps(facts.as_json()) and "127.0.0.1" in facts.main.address


def test_picture_of_a_camera_that_is_tried_is_blackened_where_its_masks_say(server: CameraServer) -> None:
    everywhere = Mask(polygon=((0, 0), (1, 0), (1, 1), (0, 1)), kind="blacken")
    settings = CameraSettings(name="a", address=server.address("sub"), masks=(everywhere,))  # type: ignore[arg-type]
    picture = try_camera(settings).main.picture_HWC
    assert picture is not None and not picture.any()


def test_camera_is_added_listed_tested_shelved_and_removed(
    server: CameraServer, jikimi: Jikimi, place: Place
) -> None:
    at = ("--config", place.config)
    main, sub = server.address("main"), server.address("sub")
    added = jikimi("camera", "add", "프레스 3", "-", "--sub", "-", *at, stdin=f"{main}\n{sub}\n")
    assert (added.code, added.err) == (0, "")
    assert "main stream: h264 320x240, " in added.out and "sub stream:  mjpeg 96x64" in added.out
    assert added.out.endswith("camera '프레스 3' added\n")
    stored = place.cameras()["프레스 3"]
    assert stored.address.reveal() == main and stored.sub is not None and stored.sub.reveal() == sub
    tried = jikimi("camera", "test", "프레스 3", *at)
    assert re.search(r"fps, first picture after [\d.]+ s, keyframe every [\d.]+ s$", tried.out, re.MULTILINE)
    facts = json.loads(jikimi("camera", "test", "프레스 3", "--json", *at).out)
    assert facts["main"]["codec"] == "h264" and facts["sub"]["codec"] == "mjpeg"
    (row,) = json.loads(jikimi("camera", "list", "--json", *at).out)
    assert row["address"] == f"rtsp://***@127.0.0.1:{server.port}/main" and row["from"] == "store"
    assert (row["state"], row["shelved_until"]) == (None, None)
    assert "raises nothing until" in jikimi("camera", "shelve", "프레스 3", "--minutes", 5, *at).out
    listed = jikimi("camera", "list", *at).out
    assert "not running, shelved" in listed
    assert (
        jikimi("camera", "shelve", "프레스 3", "--minutes", 0, *at).out == "camera '프레스 3' raises again\n"
    )
    assert jikimi("camera", "remove", "프레스 3", *at).out == "camera '프레스 3' removed\n"
    assert place.cameras() == {}
    assert [what for what, _ in place.audit()] == ["removed camera", "unshelved", "shelved", "put camera"]


def test_camera_that_cannot_be_opened_is_not_added(
    server: CameraServer, jikimi: Jikimi, place: Place
) -> None:
    wrong = server.address("other")
    failed = jikimi("camera", "add", "a", wrong, "--config", place.config)
    assert "404" in failed.line and "the camera knows no such path" in failed.line
    assert place.cameras() == {}
    added = jikimi("camera", "add", "a", wrong, "--no-test", "--disabled", "--config", place.config)
    assert added.out == "camera 'a' added, disabled\n" and not place.cameras()["a"].enabled


def test_what_is_wrong_with_a_camera_is_told_apart(server: CameraServer) -> None:
    for address, cause in ((server.address("other"), "path"), ("rtsp://127.0.0.1:9/x", "refused")):
        with pytest.raises(CameraError) as failed:
            try_camera(CameraSettings(name="a", address=address), within_s=5)  # type: ignore[arg-type]
        assert failed.value.cause == cause


def test_sub_stream_that_fails_is_named(server: CameraServer, jikimi: Jikimi, place: Place) -> None:
    main, sub = server.address("main"), server.address("none")
    failed = jikimi("camera", "add", "a", main, "--sub", sub, "--config", place.config)
    assert failed.line.startswith("jikimi: camera 'a', sub-stream: rtsp://***@127.0.0.1")


def test_address_itself_can_be_tested(server: CameraServer, jikimi: Jikimi) -> None:
    assert "h264 320x240" in jikimi("camera", "test", server.address("main"), "--transport", "udp").out
    assert "h264 320x240" in jikimi("camera", "test", "-", stdin=server.address("main") + "\n").out


def test_camera_that_falls_silent_fails_in_time(rtsp: None, tmp_path: Path) -> None:
    film = write_film(tmp_path / "f.h264", seconds=2)
    with CameraServer({"a": film}) as running:
        running.send(signal.SIGSTOP)
        settings = CameraSettings(name="a", address=running.address("a"))  # type: ignore[arg-type]
        began = datetime.now(UTC)
        with pytest.raises(VideoError, match="camera 'a': rtsp://"):
            try_camera(settings, within_s=2)
        assert datetime.now(UTC) - began < timedelta(seconds=3)
        running.send(signal.SIGCONT)


def test_recording_serves_as_a_camera_and_its_path_is_absolute(
    jikimi: Jikimi, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_video(place.folder / "v.mp4", seconds=2, fps=10, gop=10)
    monkeypatch.chdir(place.folder)
    added = jikimi("camera", "add", "film", "v.mp4")
    assert added.code == 0 and "h264 160x120, 10 fps" in added.out
    assert place.cameras()["film"].address.reveal() == str(place.folder / "v.mp4")
    assert "h264 160x120" in jikimi("camera", "test", "v.mp4").out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("add", "a", "ftp://admin:S3cr@et@host/x"), "ftp:// is not watched; use http, https"),
        (("add", "a", "concat:/etc/passwd|x"), "no such file or device"),
        (("add", "a", "/nowhere/at/all"), "no such file or device"),
        (("add", "a", ""), "address: an address, a file or a device is expected"),
        (("add", "a/b", "rtsp://h/x"), "name: String should match pattern"),
        (("add", "a", "rtsp://h/x", "--behaviors", "fly"), "behaviour 'fly' is not known to model 'colours'"),
        (("add", "a", "rtsp://h/x", "--behaviors", ","), "behaviors is empty"),
        (("add", "fixed", "rtsp://h/x"), "camera 'fixed' is in jikimi.toml; change it there"),
        (("remove", "fixed"), "camera 'fixed' is in jikimi.toml; change it there"),
        (("remove", "nobody"), "camera 'nobody': there is none of that name"),
        (("shelve", "nobody", "--minutes", 3), "camera 'nobody': there is none of that name"),
        (("test", "nobody"), "no camera of that name, no address and no file"),
    ],
)
def test_wrong_camera_is_one_line(
    jikimi: Jikimi, place: Place, arguments: tuple[object, ...], words: str
) -> None:
    place.write('[[camera]]\nname = "fixed"\naddress = "rtsp://h/y"\n')
    assert words in jikimi("camera", *arguments, "--config", place.config).line
    assert place.cameras() == {}


def test_second_camera_of_a_name_is_refused(jikimi: Jikimi, place: Place) -> None:
    add = ("camera", "add", "a", "rtsp://h/x", "--no-test", "--behaviors", "jam, fall-down")
    assert jikimi(*add, "--config", place.config).code == 0
    assert place.cameras()["a"].behaviors == ("jam", "fall-down")
    assert "there is one; choose another name" in jikimi(*add, "--config", place.config).line


@pytest.mark.parametrize("minutes", [-1, 7 * 24 * 60 + 1, "nan", "soon"])
def test_shelving_for_no_time_or_ever_is_wrong_usage(jikimi: Jikimi, place: Place, minutes: object) -> None:
    assert jikimi("camera", "shelve", "a", "--minutes", minutes, "--config", place.config).code == 2


def test_list_shows_a_running_site_and_says_when_there_is_nothing(jikimi: Jikimi, place: Place) -> None:
    assert jikimi("camera", "list", "--config", place.config).out.startswith("no camera yet")
    place.write('[[camera]]\nname = "press"\naddress = "rtsp://admin:S3cr@et@h/y"\n')
    now = datetime.now(UTC)
    camera = CameraStatus(name="press", state="backing-off", why="no route", faults=["offline"])
    (place.data / "run").mkdir(exist_ok=True)
    write_status(place.data / "run" / "status.json", SiteStatus(at=now, started_at=now, cameras=[camera]))
    assert "backing-off (offline)  rtsp://***@h/y" in jikimi("camera", "list", "--config", place.config).out
    old = SiteStatus(at=now - timedelta(minutes=1), started_at=now, cameras=[camera])
    write_status(place.data / "run" / "status.json", old)
    assert "not running" in jikimi("camera", "list", "--config", place.config).out


# --- evidence


@pytest.fixture
def archive(place: Place) -> Path:
    """Three files of evidence that are entered as the archivist does."""
    folder = place.data / "evidence" / "a"
    folder.mkdir(parents=True)
    with place.store() as store:
        for number in range(3):
            file = folder / f"{number}.mp4"
            file.write_bytes(b"picture" * (number + 1))
            record = Manifest(folder.parent).add(file, camera="a", incident=f"{number:032x}", kind="video")
            store.set_meta(HEAD, record.hash)
    return folder.parent


def test_untouched_archive_is_as_it_was(jikimi: Jikimi, place: Place, archive: Path) -> None:
    verified = jikimi("evidence", "verify", "--config", place.config)
    assert verified.code == 0 and "3 files, 3 records: as they were written, nothing cut off" in verified.out
    assert f"head {Manifest(archive).head()}" in verified.out
    assert "as they were written" in jikimi("evidence", "verify", archive).out


def _change(archive: Path) -> None:
    (archive / "a" / "1.mp4").write_bytes(b"another")


def _remove(archive: Path) -> None:
    (archive / "a" / "1.mp4").unlink()


def _add(archive: Path) -> None:
    (archive / "a" / "9.mp4").write_bytes(b"planted")


def _cut(archive: Path) -> None:
    manifest = archive / "manifest.jsonl"
    manifest.write_bytes(b"".join(manifest.read_bytes().splitlines(keepends=True)[:-1]))
    (archive / "a" / "2.mp4").unlink()


def _forge(archive: Path) -> None:
    manifest = archive / "manifest.jsonl"
    manifest.write_bytes(manifest.read_bytes().replace(b'"camera":"a"', b'"camera":"b"', 1))


@pytest.mark.parametrize(
    ("tamper", "line"),
    [
        (_change, "changed: a/1.mp4: is not the file that was recorded"),
        (_remove, "missing: a/1.mp4: is gone"),
        (_add, "unlisted: a/9.mp4: no record tells of this file"),
        (_cut, "truncated: manifest.jsonl: the record"),
        (_forge, "record: manifest.jsonl:1: this record was changed"),
    ],
)
def test_tampering_is_found_and_named(
    jikimi: Jikimi, place: Place, archive: Path, tamper: Callable[[Path], None], line: str
) -> None:
    tamper(archive)
    verified = jikimi("evidence", "verify", "--config", place.config)
    assert line in verified.out and "somebody has" in verified.line


def test_archive_without_its_store_is_verified_by_itself(jikimi: Jikimi, place: Place, archive: Path) -> None:
    (place.data / "jikimi.db").write_bytes(b"no database at all, " * 100)
    verified = jikimi("evidence", "verify", "--config", place.config)
    assert verified.code == 0 and "nothing cut off" not in verified.out
    assert "whether records were cut off the end is not known" in verified.err
    assert "no such folder" in jikimi("evidence", "verify", place.folder / "none").line


def test_removed_evidence_folder_is_noticed(jikimi: Jikimi, place: Place, archive: Path) -> None:
    archive.rename(place.folder / "stolen")
    assert "truncated" in jikimi("evidence", "verify", "--config", place.config).out


def test_half_written_file_is_finished_and_entered(jikimi: Jikimi, place: Place, archive: Path) -> None:
    uid = "ab" * 16
    with place.store() as store:
        store.open_incident(IncidentRecord(uid, "a", "jam", datetime.now(UTC), 0.9), [])
    whole = write_fragmented(archive / "a" / f".20260101T000000Z_jam_{uid}.mp4.part")
    recovered = jikimi("evidence", "recover", "--config", place.config)
    assert recovered.code == 0 and "1 files finished, 1 entered into the manifest" in recovered.out
    assert not whole.exists()
    with place.store() as store:
        (record,) = store.evidence(uid)
    assert (archive / record.path).is_file() and "had died" in record.problem
    assert jikimi("evidence", "verify", "--config", place.config).code == 0
    assert "0 files finished, 0 entered" in jikimi("evidence", "recover", "--config", place.config).out


def test_recovering_beside_a_running_site_is_refused(jikimi: Jikimi, place: Place) -> None:
    (place.data / "run").mkdir(parents=True)
    with alone(place.data / "run", "site"):
        assert "another jikimi runs" in jikimi("evidence", "recover", "--config", place.config).line


def test_other_folders_are_only_finished(jikimi: Jikimi, tmp_path: Path) -> None:
    write_fragmented(tmp_path / "out" / ".x.mp4.part")
    assert "1 files finished" in jikimi("evidence", "recover", tmp_path / "out").out
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["x.mp4"]


def write_fragmented(path: Path) -> Path:
    """A file as a killed process leaves it: whole fragments and a torn one."""
    import av

    source = write_video(path.with_name("source.mp4"), seconds=3, fps=10, gop=10)
    with av.open(str(source)) as read, av.open(str(path), "w", format="mp4", options=FRAGMENTED) as written:
        template = read.streams.video[0]
        stream = written.add_stream_from_template(template)
        for packet in read.demux(template):
            if packet.dts is not None:
                packet.stream = stream
                written.mux(packet)
    source.unlink()
    path.write_bytes(path.read_bytes() + b"\x00\x00\x10\x00moof torn")
    return path


FRAGMENTED = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}


# --- tokens and targets


def test_token_is_shown_once_and_its_table_holds_the_hash(jikimi: Jikimi) -> None:
    made = jikimi("token", '관제 "1"', "--role", "operator", "--cameras", "press 3, 용접")
    secret, _, table = made.out.partition("\n")
    (row,) = Settings.model_validate(tomllib.loads(table)).tokens
    assert row.sha256 == hashlib.sha256(secret.encode()).hexdigest() and secret not in table + made.err
    assert (row.name, row.role, row.cameras) == ('관제 "1"', "operator", ("press 3", "용접"))
    assert len(secret) >= 43 and jikimi("token", "b").out.partition("\n")[0] != secret
    (all_of_them,) = Settings.model_validate(
        tomllib.loads(jikimi("token", "b").out.partition("\n")[2])
    ).tokens
    assert (all_of_them.role, all_of_them.cameras) == ("viewer", None)
    assert "token: name:" in jikimi("token", "a/b").line
    assert jikimi("token", "a", "--role", "god").code == 2


def test_target_is_added_listed_told_and_removed(jikimi: Jikimi, place: Place) -> None:
    place.write(HOOK.format(kind="webhook", url="http://127.0.0.1:9/"))
    listed = jikimi("target", "list", "--config", place.config).out.splitlines()
    assert [line.split() for line in listed[1:]] == [["t", "webhook", "yes", "1", "jikimi.toml"]]
    add = ("target", "add", "lamp", "webhook", "-", "--secret", "-", "--no-faults", "--config", place.config)
    with Receiver() as hook:
        given_ = f"http://127.0.0.1:{hook.port}/{PASSWORD}\n{PASSWORD}\n"
        hook.refuses = True
        assert "HTTP 503" in jikimi(*add, stdin=given_).line
        assert [row["name"] for row in targets_of(jikimi, place)] == ["t"]
        hook.refuses = False
        added = jikimi(*add, stdin=given_)
        assert added.code == 0 and "told in 0." in added.out and "target 'lamp' added" in added.out
        assert jikimi("target", "test", "lamp", "--config", place.config).code == 0
        assert [body["event"] for _, _, body in hook.told] == ["test", "test"]
    assert targets_of(jikimi, place)[0] == {
        "name": "lamp", "kind": "webhook", "faults": False, "lists": [1], "from": "store", "problem": "",
    }  # fmt: skip
    assert "there is one" in jikimi(*add, stdin=given_).line
    for name in ("add", "remove"):
        rest = ("webhook", "http://127.0.0.1:9/", "--secret", PASSWORD) if name == "add" else ()
        assert "change it there" in jikimi("target", name, "t", *rest, "--config", place.config).line
    with place.store() as store:
        assert [row.what for row in store.audit_trail()] == ["put target"]
        assert PASSWORD not in repr(store.audit_trail())
    assert jikimi("target", "remove", "lamp", "--config", place.config).code == 0
    assert "none of that name" in jikimi("target", "remove", "lamp", "--config", place.config).line


def targets_of(jikimi: Jikimi, place: "Place") -> Any:
    return json.loads(jikimi("target", "list", "--json", "--config", place.config).out)


@pytest.mark.parametrize(
    ("rest", "words"),
    [
        (("webhook", "http://h/"), "secret: a webhook is signed"),
        (("webhook", "ftp://S3cr@et/", "--secret", "x"), "url: a webhook takes"),
        (("mqtt", "mqtt://S3cr@et:99999"), "the url's port"),
        (("mqtt", "mqtt://h", "--topic", "a/#"), "topic"),
        (("apprise", "nosuch://S3cr@et"), "Apprise does not understand"),
    ],
)
def test_target_that_cannot_be_is_refused_without_its_secret(
    jikimi: Jikimi, place: Place, rest: tuple[str, ...], words: str
) -> None:
    line = jikimi("target", "add", "a", *rest, "--no-test", "--config", place.config).line
    assert words in line and "S3cr" not in line
    assert targets_of(jikimi, place) == []


def test_target_in_both_places_is_refused_at_the_start_and_put_right(jikimi: Jikimi, place: Place) -> None:
    with place.store() as store:
        store.put_target(target("t"), at=NOON)
    place.write(HOOK.format(kind="webhook", url="http://127.0.0.1:9/"))
    assert "target 't' is in jikimi.toml and in the store; keep one" in refusal(place)
    assert jikimi("target", "remove", "t", "--config", place.config).code == 0
    check_site(load_settings(place.config), serving=True)


def test_target_in_the_lists_is_not_removed(jikimi: Jikimi, place: Place) -> None:
    with place.store() as store:
        store.put_target(target("lamp"), at=NOON)
        store.put_setting(SettingRecord("alerts.lists", [["lamp"]], NOON, "kim"))
    assert "in the lists" in jikimi("target", "remove", "lamp", "--config", place.config).line
    assert jikimi("settings", "reset", "alerts.lists", "--config", place.config).code == 0
    assert jikimi("target", "remove", "lamp", "--config", place.config).code == 0


def test_values_are_listed_with_their_source_and_given_back(
    jikimi: Jikimi, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.write("[evidence]\nkeep_days = 30\n")
    monkeypatch.setenv("JIKIMI_HEALTH__FROZEN_S", "7")
    with place.store() as store:
        store.put_setting(SettingRecord("evidence.keep_days", 90, NOON, "kim"))
    listed = jikimi("settings", "list", "--config", place.config).out.splitlines()
    rows = {line.split()[0]: line.split() for line in listed}
    assert rows["evidence.keep_days"] == [
        "evidence.keep_days",
        "90.0",
        "stored",
        "30.0",
        "(jikimi.toml)",
        "kim",
    ]
    assert rows["evidence.max_gb"][1:3] == ["50.0", "default"]
    assert rows["health.frozen_s"][1:3] == ["7.0", "environment"]
    lines = check_site(load_settings(place.config), serving=True)
    assert any("keep_days: 90 holds, stored by kim" in line for line in lines)
    held = json.loads(jikimi("settings", "list", "--json", "--config", place.config).out)
    assert {row["key"]: row["value"] for row in held}["evidence.keep_days"] == 90
    reset = jikimi("settings", "reset", "evidence.keep_days", "--config", place.config)
    assert reset.out == "evidence.keep_days: 30.0 holds (jikimi.toml)\n"
    assert (
        "nothing is stored"
        in jikimi("settings", "reset", "evidence.keep_days", "--config", place.config).line
    )
    assert "none of that name" in jikimi("settings", "reset", "serve.port", "--config", place.config).line
    with place.store() as store:
        (noted,) = store.audit_trail()
    assert (noted.what, dict(noted.details)) == ("reset setting", {"from": 90.0, "to": 30.0})


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_any_name_is_quoted_for_toml(text: str) -> None:
    assert tomllib.loads(f"x = {quoted(text)}") == {"x": text}


def test_target_is_told(jikimi: Jikimi, place: Place) -> None:
    with Receiver() as hook:
        url = f"http://127.0.0.1:{hook.port}/{PASSWORD}"
        target = f'[[target]]\nname = "hook"\nkind = "webhook"\nurl = "{url}"\nsecret = "{PASSWORD}"\n'
        place.write(target)
        tried = jikimi("target", "test", "hook", "--config", place.config)
        assert tried.code == 0 and tried.out.startswith("target 'hook': told in 0.")
        assert hook.told[0][2]["subject"] == "test"
        hook.refuses = True
        assert "HTTP 503" in jikimi("target", "test", "hook", "--config", place.config).line
    assert "there are: hook" in jikimi("target", "test", "phone", "--config", place.config).line


# --- before anything starts


def stopped(place: Place, *arguments: str) -> str:
    """The one line with which `jikimi serve` refuses to start."""
    command = [sys.executable, "-m", "jikimi", *(arguments or ("serve",)), "--config", str(place.config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=dict(os.environ))
    assert done.returncode == 1 and done.stdout == "", done
    assert done.stderr.count("\n") == 1 and done.stderr.startswith(f"jikimi: {place.config}: "), done.stderr
    assert PASSWORD not in done.stderr and "S3cr" not in done.stderr
    return done.stderr


def refusal(place: Place) -> str:
    """The same without a process of its own."""
    from jikimi.checking import check_site

    with pytest.raises(Exception) as caught:
        check_site(load_settings(place.config), serving=True, file=place.config)
    words = str(caught.value)
    assert isinstance(caught.value, cli.JikimiError) and words.startswith(f"{place.config}: "), words
    assert "\n" not in words and PASSWORD not in words and "S3cr" not in words
    return words


CAMERA = '[[camera]]\nname = "a"\naddress = "rtsp://admin:S3cr@et@h/x"\n'
HOOK = '[[target]]\nname = "t"\nkind = "{kind}"\nurl = "{url}"\nsecret = "S3cr@et"\n'


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (CAMERA + "speed = 3\n", "camera 'a'.speed: no such setting"),
        (CAMERA + 'pre_roll_s = "10 min"\n', "camera 'a'.pre_roll_s: Input should be a valid number"),
        (CAMERA + CAMERA, "camera 'a' occurs twice; rename one"),
        (CAMERA + 'behaviors = ["fly"]\n', "camera 'a': behaviour 'fly' is not known to model 'colours'"),
        (CAMERA.replace("rtsp", "ftp"), "camera 'a': address: ftp://***@h/x: ftp:// is not watched"),
        (CAMERA + 'sub = "gopher://h/x"\n', "camera 'a': sub: gopher://h/x: gopher:// is not watched"),
        ('[store]\nurl = "sqlite:////nowhere/at/all.db"\n', "[store] url: database /nowhere/at/all.db"),
        ('[store]\nurl = "postgresql://u:S3cr@et@h/x"\n', "[store] url: write '@' in a user or password"),
        ('[store]\nurl = "postgresql://u:S3cret@127.0.0.1:9/x"\n', "[store] url: database postgresql://u@"),
        ('[store]\nurl = "mysql://u:S3cret@h/x"\n', "[store] url: sqlite:///FILE or postgresql://"),
        (HOOK.format(kind="webhook", url="http://h:S3cr@et:x/"), "[[target]] target 't': "),
        (HOOK.format(kind="mqtt", url="mqtt://u:S3cret@h:99999"), "[[target]] target 't': the url's port"),
        (HOOK.format(kind="apprise", url="nosuch://S3cret"), "[[target]] target 't': Apprise does not"),
        ('[pulse]\nurl = "http://[::S3cret/x"\n', "[pulse] url: the url is not an http://"),
    ],
)
def test_what_is_wrong_is_told_in_one_line_before_anything_starts(
    place: Place, more: str, words: str
) -> None:
    place.write(more)
    assert words in refusal(place)


def test_serve_itself_refuses_in_one_line_and_watch_does_too(place: Place) -> None:
    place.write('[store]\nurl = "postgresql://u:S3cret@127.0.0.1:9/x"\n')
    assert "[store] url: database postgresql://u@127.0.0.1:9/x" in stopped(place)
    place.bundle = place.folder / "x.jikimi"
    place.bundle.write_bytes(b"PK but no bundle")
    place.write()
    assert "[model] bundle: bundle" in stopped(place, "watch") and "not a Jikimi bundle" in stopped(place)


def test_camera_in_the_file_and_in_the_store_is_told(place: Place) -> None:
    with place.store() as store:
        settings = CameraSettings(name="a", address=Address("rtsp://h/x"))
        store.put_camera(settings, at=datetime.now(UTC))
    place.write(CAMERA)
    assert "camera 'a' is in jikimi.toml and in the store; keep one: jikimi camera remove 'a'" in refusal(
        place
    )


def test_camera_in_both_places_is_removed_from_the_store(jikimi: Jikimi, place: Place) -> None:
    with place.store() as store:
        store.put_camera(CameraSettings(name="a", address=Address("rtsp://h/x")), at=datetime.now(UTC))
    place.write(CAMERA)
    assert jikimi("camera", "remove", "a", "--config", place.config).code == 0
    assert place.cameras() == {}


def test_folder_that_cannot_be_written_is_told(place: Place, jikimi: Jikimi) -> None:
    (place.folder / "data").write_text("a file in its place")
    assert "[site] data: " in refusal(place) and "choose another folder" in refusal(place)
    place.data.unlink()
    place.config.write_text('[site]\ndata = "/sys/jikimi"\n')  # read-only, for root too
    assert "[site] data: /sys/jikimi cannot be written" in refusal(place)


def test_port_in_use_and_foreign_host_are_told(place: Place) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        place.write()
        text = place.config.read_text()
        place.config.write_text(text.replace("port = 0", f"port = {port}"))
        assert f"[serve] port: {port} is in use by another program; stop that one" in refusal(place)
    place.config.write_text(text.replace("port = 0", 'host = "192.0.2.1"'))
    assert "[serve] host: '192.0.2.1' is no address of this machine" in refusal(place)
    place.config.write_text(text.replace("port = 0", 'host = "no such host"'))
    assert "[serve] host: 'no such host' is not known" in refusal(place)


def test_second_jikimi_on_the_same_folder_is_refused(place: Place) -> None:
    (place.data / "run").mkdir(parents=True)
    with alone(place.data / "run", "site"):
        assert "another jikimi runs with this data folder; stop it" in refusal(place)


def test_database_of_a_newer_jikimi_is_refused(place: Place) -> None:
    place.store().close()
    with sqlite3.connect(place.data / "jikimi.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    database.close()
    assert "of a newer Jikimi" in refusal(place)


def test_what_is_odd_is_said_and_does_not_stop(place: Place) -> None:
    from jikimi.checking import check_site

    place.write('[[camera]]\nname = "usb"\naddress = "/dev/video77"\n')
    lines = check_site(load_settings(place.config), serving=True)
    assert any("'usb': /dev/video77 is not there now" in line for line in lines)
    assert any(line.startswith("nobody is alerted") for line in lines)


# --- watching a site without its API


def test_watch_takes_a_site_or_sources_and_never_both(jikimi: Jikimi, place: Place) -> None:
    for wrong in ((), ("v.mp4", "--config", place.config), ("--json", "--config", place.config)):
        said = jikimi("watch", *wrong)
        assert said.code == 2 and said.err.startswith("Usage: jikimi watch")


def test_watch_with_settings_watches_the_site_headless(rtsp: None, jikimi: Jikimi, tmp_path: Path) -> None:
    film = write_film(tmp_path / "f.h264", seconds=8, fps=15, draw=shop_floor(30, 60))
    with Receiver() as hook, CameraServer({"a": film}) as camera:
        site = RunningSite(tmp_path, {"press": camera.address("a")}, hook)
        at = ("--config", site.write())
        with (tmp_path / "log.txt").open("w") as log:
            command = [sys.executable, "-m", "jikimi", "watch", *map(str, at)]
            site.process = subprocess.Popen(command, stderr=log, text=True, start_new_session=True)
        try:
            wait_for(hook.incidents, within_s=40)
            assert set(site.pids()) == {"guardian", "site", "dispatch"}
            wait_for(site.watching)
            wait_for(lambda: (site.data / "evidence" / "manifest.jsonl").exists(), within_s=20)
            listed = jikimi("camera", "list", *at).out
            verified = jikimi("evidence", "verify", *at)
            examined = json.loads(jikimi("doctor", "--json", *at).out)
        finally:
            took_s = site.stop()
    assert took_s < 5.5
    assert " live " in listed and "rtsp://***@127.0.0.1" in listed
    assert verified.code == 0 and "nothing cut off the end" in verified.out
    levels = {row["what"]: (row["level"], row["found"]) for row in examined}
    assert levels["site"][0] == "ok" and "1 of 1 cameras live" in levels["site"][1]
    assert levels["camera press"][0] == "ok" and levels["target hook"][0] == "ok"
    assert "port" not in levels
