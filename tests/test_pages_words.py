"""The words of the pages: both languages, whole, and every key that is used is there."""

import re
import string
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from jikimi.behaviors import BEHAVIORS
from jikimi.serve import pages
from jikimi.serve.pages.values import _LABELS
from jikimi.serve.pages.words import DEEDS, FIELD_PROBLEMS, WORDS, Words, preferred

HANGUL = re.compile("[가-힣]")
FOLDER = Path(pages.__file__).parent
SOURCES = [*FOLDER.glob("*.py"), *(FOLDER / "static").glob("*.js")]

# Keys that are put together from what the API says.
MADE = {
    *(
        "correct",
        "false-alarm",
        "other-behavior",
        "unsure",
        "connecting",
        "stalled",
        "backing-off",
        "disabled",
    ),
    *("opened", "updated", "closed", "acknowledged", "escalated", "answered", "locked", "unlocked"),
    *("due", "delivered", "given-up", "role-viewer", "role-operator", "role-admin"),
    *("kind-webhook", "kind-mqtt", "kind-apprise", "retention", "camera-health", "cameras-anew"),
    *("next-incident", *_LABELS.values()),
    *("region-zone", "region-ignore", "region-blacken", "mon", "tue", "wed", "thu", "fri", "sat", "sun"),
}


@pytest.mark.parametrize("key", WORDS)
def test_every_key_is_in_both_languages_with_the_same_values(key: str) -> None:
    korean, english = WORDS[key]
    assert korean and english
    assert HANGUL.search(english) is None or key == "language"
    assert fields(korean) == fields(english)


def fields(text: str) -> set[str | None]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def test_every_key_that_is_used_is_there() -> None:
    used = {
        key
        for path in SOURCES
        for key in re.findall(
            r"""(?:words|text|self|self\.words)\(\s*["']([a-z][a-z0-9-]*)["']""", path.read_text("utf-8")
        )
    }
    assert len(used) > 80
    assert used | MADE <= set(WORDS)


def test_korean_problems_are_korean_and_what_the_api_says() -> None:
    said = "".join(path.read_text("utf-8") for path in FOLDER.parents[1].rglob("*.py"))
    assert all(HANGUL.search(korean) for korean in FIELD_PROBLEMS.values())
    assert Words("en").field_problem("missing; give it a value") == "missing; give it a value"
    for english in FIELD_PROBLEMS:
        assert said.count(english.partition("; ")[0].removeprefix("it ")) >= 2, english


def test_every_deed_that_is_noted_has_korean_words() -> None:
    package = FOLDER.parents[1]
    sources = "\n".join(path.read_text("utf-8") for path in package.rglob("*.py"))
    noted = set(re.findall(r'_?note\((?:[\w.]+, )+"([a-z][a-z -]+)"', sources))
    noted |= set(re.findall(r'AuditRecord\([^"\n]+"jikimi", "([a-z ]+)"', sources))
    assert len(noted) > 25
    assert noted <= set(DEEDS)


def test_korean_deeds_are_korean() -> None:
    assert all(HANGUL.search(korean) and not HANGUL.search(english) for english, korean in DEEDS.items())
    assert Words("ko").deed("something new") == "something new"


@pytest.mark.parametrize(
    ("accepted", "expected"),
    [
        ("ko-KR,ko;q=0.9,en;q=0.8", "ko"),
        ("en-GB", "en"),
        ("de-DE,en;q=0.5,ko;q=0.7", "ko"),
        ("de", "ko"),
        ("", "ko"),
        ("en;q=oops,ko;q=0.1", "ko"),
    ],
)
def test_language_is_the_one_that_the_browser_prefers(accepted: str, expected: str) -> None:
    assert preferred(accepted) == expected


def test_behaviours_have_names_and_unknown_ones_keep_their_key() -> None:
    assert Words("ko", behaviors=BEHAVIORS).behavior("jam") == "끼임"
    assert Words("en", behaviors=BEHAVIORS).behavior("jam") == "jam"
    assert Words("en", behaviors=BEHAVIORS).behavior("slip") == "slip"


def test_refusals_are_told_in_the_readers_language() -> None:
    korean, english = Words("ko"), Words("en")
    assert korean.problem("no-camera", {"name": "press-3"}).startswith(
        "카메라 press-3을(를) 찾을 수 없습니다."
    )
    assert english.problem("no-camera", {"name": "press-3"}).startswith("Camera 'press-3': there is none")
    wrong = {"place": "body.zones.0.polygon, body.x", "detail": "body.zones.0.polygon: too short"}
    assert korean.problem("invalid", wrong) == "쓸 수 없는 값입니다: 구역 1 꼭짓점 (3개 이상), x"
    assert english.problem("invalid", wrong) == "body.zones.0.polygon: too short"
    role = {"name": "eye", "role": "viewer", "needed": "operator"}
    assert korean.problem("role", role) == "eye의 역할(보기)로는 할 수 없습니다. 운영자 역할이 필요합니다."
    with pytest.raises(KeyError):
        korean.problem("no-such-code", {})


def test_moments_are_the_plants_wherever_the_browser_is() -> None:
    seoul = Words("ko", ZoneInfo("Asia/Seoul"))
    assert seoul.local("2026-07-01T03:00:00Z") == "2026-07-01T12:00:00"
    assert seoul.offset() == timedelta(hours=9)
