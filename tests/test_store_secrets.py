"""Keys and sealed addresses: what opens them, and that nothing shows them."""

import base64
import json
import logging
import os
import stat
import tempfile
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jikimi.address import Address
from jikimi.store import SecretBox, Store, StoreError, open_box, open_store
from store_values import NOON, camera

pytest_plugins = ("postgres_server", "store_fixtures")

KEYS = st.binary(min_size=32, max_size=32).map(lambda key: base64.b64encode(key).decode())


@settings(deadline=None)
@given(key=KEYS, text=st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_sealed_text_opens_to_itself_and_shows_nothing(key: str, text: str) -> None:
    box = open_box(Path("unused"), key)
    sealed = box.seal(text, about="camera 'a'")
    assert box.open(sealed, about="camera 'a'") == text
    assert sealed.isascii()
    assert sealed != box.seal(text, about="camera 'a'")
    assert key not in repr(box)


def test_sealed_text_opens_only_for_what_it_is_about(box: SecretBox) -> None:
    with pytest.raises(StoreError, match="camera 'b': damaged"):
        box.open(box.seal("x", about="camera 'a'"), about="camera 'b'")


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 200), letter=st.sampled_from("Aa0_-.=$é"))
def test_damaged_text_never_opens_to_something_else(box: SecretBox, place: int, letter: str) -> None:
    sealed = box.seal("rtsp://admin:zq1@10.0.0.5/live", about="camera 'a'")
    place %= len(sealed)
    damaged = sealed[:place] + letter + sealed[place + 1 :]
    try:
        assert box.open(damaged, about="camera 'a'") == "rtsp://admin:zq1@10.0.0.5/live"
    except StoreError as error:
        assert "zq1" not in str(error)


def test_key_file_is_made_when_it_is_needed_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "jikimi.key"
    box = open_box(path, None)
    assert not path.exists()
    sealed = box.seal("x", about="a")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["jikimi.key"]
    assert open_box(path, None).open(sealed, about="a") == "x"


def test_key_file_that_many_make_at_once_is_one(tmp_path: Path) -> None:
    boxes = [open_box(tmp_path / "jikimi.key", None) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        sealed = list(pool.map(lambda box: box.seal("x", about="a"), boxes))
    assert {box.open(each, about="a") for box in boxes for each in sealed} == {"x"}


def test_key_of_the_environment_is_used_instead_of_the_file(tmp_path: Path) -> None:
    key = base64.b64encode(bytes(range(32))).decode()
    sealed = open_box(tmp_path / "no" / "folder", key).seal("x", about="a")
    urlsafe = key.replace("+", "-").replace("/", "_")
    assert open_box(tmp_path / "none", urlsafe).open(sealed, about="a") == "x"
    (tmp_path / "key").touch(mode=0o600)
    (tmp_path / "key").write_text(f"{key}\n")
    assert open_box(tmp_path / "key", None).open(sealed, about="a") == "x"


@pytest.mark.parametrize("key", ["", "zq1", "zq1" * 20, "비밀", base64.b64encode(b"k" * 31).decode()])
def test_key_that_is_none_is_one_line_that_does_not_quote_it(tmp_path: Path, key: str) -> None:
    (tmp_path / "key").touch(mode=0o600)
    (tmp_path / "key").write_text(key, encoding="utf-8")
    for source, given_key in ((f"key file {tmp_path / 'key'}", None), ("JIKIMI_KEY", key)):
        with pytest.raises(StoreError) as told:
            open_box(tmp_path / "key", given_key)
        assert str(told.value).startswith(source)
        assert "\n" not in str(told.value)
        assert not key or key not in str(told.value)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o602])
def test_key_file_that_others_can_read_is_refused_with_the_cure(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "jikimi.key"
    open_box(path, None).seal("x", about="a")
    path.chmod(mode)
    with pytest.raises(StoreError, match=f"others can .*chmod 600 {path}$"):
        open_box(path, None)
    path.chmod(0o600)
    open_box(path, None)


def test_key_file_that_cannot_be_made_or_read_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no folder"):
        open_box(tmp_path / "none" / "key", None)
    with pytest.raises(StoreError, match="cannot be read"):
        open_box(tmp_path, None)
    (tmp_path / "data").mkdir()
    box = open_box(tmp_path / "data" / "key", None)
    (tmp_path / "data").rmdir()
    with pytest.raises(StoreError, match="cannot be made"):
        box.seal("x", about="a")


def test_wrong_key_names_the_camera_and_the_cure(store: Store, tmp_path: Path) -> None:
    store.put_camera(camera(), at=NOON)
    (tmp_path / "jikimi.key").unlink()
    other = open_box(tmp_path / "jikimi.key", None)
    other.seal("x", about="a")
    store._sealer = other
    with pytest.raises(
        StoreError, match=r"camera 'press-3': sealed with another key .* put the right key back"
    ):
        store.cameras()


def test_lost_key_is_told_and_comes_back_with_its_file(store: Store, tmp_path: Path) -> None:
    store.put_camera(camera(), at=NOON)
    (tmp_path / "jikimi.key").rename(tmp_path / "elsewhere")
    store._sealer = open_box(tmp_path / "jikimi.key", None)
    with pytest.raises(StoreError, match=r"jikimi\.key: lost; put it back from a backup"):
        store.cameras()
    assert not (tmp_path / "jikimi.key").exists()
    (tmp_path / "elsewhere").rename(tmp_path / "jikimi.key")
    assert store.cameras()[0].settings == camera()


# Parts that no other text holds, so that any piece of a password that shows is found.
MARKS = ("zqone", "zqtwo", "zqthree")
JOINS = st.sampled_from(
    ["@", ":", "/", "%", "#", "?", "&", " ", "=", "%40", "비밀", "'", '"', "\\", ";", "@@"]
)
PASSWORDS = st.tuples(JOINS, JOINS).map(lambda joins: MARKS[0] + joins[0] + MARKS[1] + joins[1] + MARKS[2])
ADDRESSES = st.one_of(
    PASSWORDS.map(lambda password: f"rtsp://admin:{password}@10.0.0.5:554/live"),
    PASSWORDS.map(lambda password: f"rtsp://10.0.0.5/live?user=admin&password={password}&channel=1"),
    PASSWORDS.map(lambda password: f"rtsp://10.0.0.5/user=admin_password={password}_channel=1"),
    PASSWORDS.map(lambda password: f"http://root:{password}@10.0.0.5/cgi?token={password}"),
)


class Listener(logging.Handler):
    """Keeps every line that anything logs."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture(scope="module")
def listener() -> Iterator[Listener]:
    """Everything that is logged, SQLAlchemy's statements and rows too."""
    heard, root, engine = Listener(), logging.getLogger(), logging.getLogger("sqlalchemy")
    levels = root.level, engine.level
    root.addHandler(heard)
    root.setLevel(logging.DEBUG)
    engine.setLevel(logging.DEBUG)
    yield heard
    root.removeHandler(heard)
    root.setLevel(levels[0])
    engine.setLevel(levels[1])


def troubles(store: Store, folder: Path, address: str) -> Iterator[str]:
    """Everything that errors about this camera say, with what they were caused by."""
    whole = camera(address=address, sub=address)
    nameless = whole.model_copy(update={"name": "\ud800"})
    unfit = whole.model_copy(update={"address": Address(address + "\ud800")})
    stranger = open_box(folder, base64.b64encode(os.urandom(32)).decode())
    with open_store(f"sqlite:///{folder / 'jikimi.db'}", box=stranger) as wrong:
        for call in (
            wrong.cameras,
            lambda: store.put_camera(whole, at=datetime(2026, 7, 1)),
            lambda: store.put_camera(nameless, at=NOON),
            lambda: store.put_camera(unfit, at=NOON),
        ):
            with pytest.raises(StoreError) as told:
                call()
            assert "\n" not in str(told.value)
            yield "".join(traceback.format_exception(told.value))


@settings(deadline=None, max_examples=25)
@given(address=ADDRESSES)
def test_password_of_a_camera_is_nowhere_but_in_the_sealed_address(listener: Listener, address: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with open_store(f"sqlite:///{folder / 'jikimi.db'}", box=open_box(folder / "key", None)) as store:
            store.put_camera(camera(address=address, sub=address), at=NOON)
            (stored,) = store.cameras()
            assert stored.settings.address.reveal() == address
            shown = [repr(store), repr(stored), str(stored), repr(store._engine), repr(store._box)]
            shown += troubles(store, folder, address)
            files = [path.read_bytes().decode(errors="replace") for path in folder.iterdir()]
        files += [path.read_bytes().decode(errors="replace") for path in folder.iterdir()]
    assert len(files) >= 4  # database, its log and index, key
    everything = "\n".join([*shown, *files, *listener.lines])
    listener.lines.clear()
    assert not [mark for mark in MARKS if mark in everything], json.dumps(address)
