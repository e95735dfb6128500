"""Logs: one line of JSON each, and no password in any."""

import json
import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jikimi import logs
from jikimi.logs import redacted

PASSWORD = "S3cr3t"


@pytest.fixture(autouse=True)
def told(capsys: pytest.CaptureFixture[str]) -> Iterator[pytest.CaptureFixture[str]]:
    """What is logged. Each test sets logging up itself: pytest takes it over when the test begins."""
    root, raises = logging.getLogger(), logging.raiseExceptions
    before, level = root.handlers[:], root.level
    yield capsys
    root.handlers[:], logging.raiseExceptions = before, raises
    root.setLevel(level)


def lines(told: pytest.CaptureFixture[str]) -> list[dict[str, str]]:
    return [json.loads(line) for line in told.readouterr().err.splitlines()]


def test_line_is_json_with_moment_level_and_part(told: pytest.CaptureFixture[str]) -> None:
    logs.set_up("camera 'press-3'")
    logging.getLogger("jikimi.watch.feed").warning("넘어짐 %d\nnext line", 3)
    (line,) = lines(told)
    assert line["level"] == "warning" and line["logger"] == "jikimi.watch.feed"
    assert line["part"] == "camera 'press-3'" and line["message"] == "넘어짐 3\nnext line"
    assert line["at"].endswith("+00:00")


def test_trace_is_part_of_the_line_and_shows_no_password(told: pytest.CaptureFixture[str]) -> None:
    logs.set_up("camera 'press-3'")
    try:
        raise ValueError(f"rtsp://admin:{PASSWORD}@10.0.0.5/live is no good")
    except ValueError as error:
        logging.getLogger("x").error("failed: %s", error, exc_info=True)
    text = told.readouterr().err
    assert PASSWORD not in text and "admin" not in text
    (line,) = [json.loads(text)]
    assert "Traceback" in line["trace"] and "10.0.0.5/live is no good" in line["message"]


ADDRESSES = [
    "rtsp://admin:{}@10.0.0.5:554/live",
    "'rtsp://admin:{}@10.0.0.5/live': cannot be opened",
    "rtsp://admin:a@{}@10.0.0.5/live",
    "rtsp://admin:my {}@10.0.0.5/live",
    "rtsp://admin:a/{}@10.0.0.5/live",
    "http://10.0.0.5/video.cgi?user=admin&password={}",
    "http://10.0.0.5/video.cgi?pwd={}&channel=1: refused",
    "rtsp://10.0.0.5/user=admin_password={}_channel=1",
    "two: rtsp://a:{0}@h/x and http://h/?token={0}",
    "mqtt://user:{}@broker:1883",
    "postgresql://jikimi:{}@db/jikimi",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_no_password_is_ever_logged(told: pytest.CaptureFixture[str], address: str) -> None:
    logs.set_up("camera 'press-3'")
    logging.getLogger("x").info("look: %s", address.format(PASSWORD))
    logging.getLogger("x").info(f"look: {address.format(PASSWORD)}")
    logging.getLogger("x").info("look: %d", address.format(PASSWORD))  # arguments that do not fit
    text = told.readouterr().err
    assert PASSWORD not in text and len(text.splitlines()) == 3
    assert "look: " in text


def test_terminal_gets_plain_lines_without_passwords(
    monkeypatch: pytest.MonkeyPatch, told: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    logs.set_up("site")
    logging.getLogger("x").warning("rtsp://admin:%s@10.0.0.5/live", PASSWORD)
    assert told.readouterr().err == "WARNING x: rtsp://***@10.0.0.5/live\n"


def test_chatty_libraries_are_quiet(told: pytest.CaptureFixture[str]) -> None:
    logs.set_up("camera 'press-3'")
    logging.getLogger("httpx").info("GET https://10.0.0.5")
    logging.getLogger("jikimi").debug("detail")
    assert told.readouterr().err == ""
    logs.set_up("site", debug=True)
    logging.getLogger("jikimi").debug("detail")
    assert lines(told)[0]["message"] == "detail"


def test_words_without_addresses_stay_as_they_are() -> None:
    for text in ("camera 'a': no packet for 2 s", "ratio 3:4, mail a@b.c", "rtsp://10.0.0.5/live stalled"):
        assert redacted(text) == text


letters = st.characters(exclude_characters="@:/", exclude_categories=["Z", "C"])
words = st.text(letters, min_size=1)


@given(words, words)
def test_log_in_of_any_letters_is_hidden(user: str, password: str) -> None:
    shown = redacted(f"camera: rtsp://{user}:{password}@host/live failed")
    assert "@host/live failed" in shown or shown.startswith("camera: rtsp://***")
    assert f"{user}:{password}" not in shown


def test_line_with_half_a_letter_is_logged_all_the_same() -> None:
    code = "import logging; from jikimi import logs; logs.set_up('x'); logging.error('half \\udc80 letter')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "half" in json.loads(done.stderr)["message"]
