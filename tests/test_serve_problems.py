"""What is wrong: each has one code, words in both languages, and the API's English is those words."""

import re
import string
from pathlib import Path
from typing import get_args

import pytest

from jikimi import serve
from jikimi.errors import (
    BundleError,
    CameraCause,
    CameraError,
    ConflictError,
    NotFoundError,
    PasswordError,
    SettingsError,
    StoreBusyError,
    VideoError,
)
from jikimi.serve.problems import PROBLEMS, Refusal, Unusable, camera_code, problem, refusal_of
from test_serve_plant import open_plant

HANGUL = re.compile("[가-힣]")
RAISED = re.compile(r"""\b(?:Refusal|problem)\(\s*[\w.]+,\s*"([a-z-]+)"|Unusable\(\s*"([a-z-]+)\"""")


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("code", PROBLEMS)
def test_every_code_has_words_in_both_languages(code: str) -> None:
    korean, english = PROBLEMS[code]
    assert HANGUL.search(korean) and english and not HANGUL.search(english)
    assert fields(korean) <= fields(english) | {"place", "least", "most"}


def test_every_code_that_is_raised_has_words_and_no_words_are_left_over() -> None:
    sources = [path.read_text("utf-8") for path in Path(serve.__file__).parent.glob("*.py")]
    raised = {a or b for source in sources for a, b in RAISED.findall(source)}
    made = {camera_code(CameraError("", cause=cause)) for cause in get_args(CameraCause)}
    made |= {camera_code(VideoError("")), *(refusal_of(error)[1] for error in ERRORS)}
    assert len(raised) > 60
    assert raised | made == set(PROBLEMS)


ERRORS = (
    *(NotFoundError("none"), ConflictError("the last admin"), BundleError("damaged")),
    *(StoreBusyError("locked"), SettingsError("no"), PasswordError("short", least=10, most=200)),
    *(Unusable("address-hidden", address="rtsp://x"), VideoError("dark")),
)


def test_no_other_way_to_refuse_is_used() -> None:
    for path in Path(serve.__file__).parent.glob("*.py"):
        source = path.read_text("utf-8")
        assert path.name == "problems.py" or not re.search(r"raise HTTPException|\{\"detail\":", source), path


def test_words_that_lack_a_value_are_noticed_where_they_are_raised() -> None:
    with pytest.raises(KeyError):
        Refusal(404, "no-camera")
    with pytest.raises(KeyError):
        Refusal(404, "no-such-code")


def test_the_api_says_code_values_and_the_english_of_them(tmp_path: Path) -> None:
    with open_plant(tmp_path) as plant:
        answer = plant.get("/cameras/none")
        assert answer.json() == {
            "detail": "camera 'none': there is none of that name; see the list of cameras",
            "code": "no-camera",
            "values": {"name": "none"},
        }
        unread = plant.put("/cameras/x", {"address": "rtsp://10.0.0.5/", "zones": [{"name": "a"}]}).json()
        assert unread["code"] == "invalid" and unread["values"]["place"] == "body.zones.0.polygon"
        assert plant.get("/nothing").json() == {
            "detail": "Not Found",
            "code": "other",
            "values": {"detail": "Not Found"},
        }


def test_values_lose_log_ins() -> None:
    told = bytes(problem(502, "camera-fails", detail="rtsp://u:pw@cam/x: no").body).decode()
    assert "pw" not in told and "rtsp://***@cam/x" in told
