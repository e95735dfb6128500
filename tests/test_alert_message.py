"""What alerts say, in both languages, and what they never say."""

import json
import string
from dataclasses import replace
from datetime import timedelta
from typing import get_args
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alert_servers import OPENED, incident, target
from jikimi.alert import wording
from jikimi.alert.message import (
    FAULT_KEYS,
    INCIDENT_KEYS,
    Plant,
    fault_message,
    incident_message,
    message_of,
    trial_message,
)
from jikimi.alert.notices import fault_targets, notices_for_fault, notices_for_incident
from jikimi.alert.wording import Language
from jikimi.behaviors import BEHAVIORS
from jikimi.errors import SettingsError
from jikimi.store.records import FaultRecord

SEOUL = ZoneInfo("Asia/Seoul")
KOREAN = Plant(site="2공장", language="ko", zone=SEOUL, base_url="https://watch.example/")
ENGLISH = replace(KOREAN, language="en")
FAULT = FaultRecord("flt-1", "press-3", "offline", "camera 'press-3': no frame for 5 s", OPENED)
LANGUAGES: tuple[Language, ...] = get_args(Language)


@pytest.mark.parametrize("table", ["TITLES", "LEADS", "LABELS", "SEVERITIES", "FAULTS", "WHOLE_SITE"])
def test_every_text_is_there_in_every_language(table: str) -> None:
    texts = getattr(wording, table)
    assert set(texts) == set(LANGUAGES)
    if table != "WHOLE_SITE":
        assert texts["ko"].keys() == texts["en"].keys()
        assert all(texts[language][key] for language in LANGUAGES for key in texts[language])


@pytest.mark.parametrize("table", ["TITLES", "LEADS"])
def test_texts_take_the_same_values_in_every_language(table: str) -> None:
    def fields(text: str) -> set[str]:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name}

    texts = getattr(wording, table)
    assert all(fields(texts["ko"][key]) == fields(texts["en"][key]) for key in texts["ko"])


def test_every_accident_type_of_the_label_set_has_an_english_name() -> None:
    assert {each.accident_type for each in BEHAVIORS if each.accident_type} <= set(wording.ACCIDENT_TYPES)


def test_korean_alert_names_what_where_when_and_how_grave() -> None:
    message = incident_message(incident(zone="투입구"), "opened", KOREAN)
    assert message.title == "[2공장] 끼임 감지 · press-3 / 투입구"
    for part in (
        "끼임",
        "3/3 (생명 위험)",
        "press-3",
        "투입구",
        "2026-03-04 14:06:07 KST",
        "0.91",
        "m1",
        "inc-1",
    ):
        assert part in message.text
    assert "https://watch.example/incidents/inc-1" in message.text


def test_english_alert_translates_behaviour_and_accident_type() -> None:
    message = incident_message(incident(), "opened", ENGLISH)
    assert message.title == "[2공장] jam detected · press-3"
    assert "Accident type: caught in or between" in message.text


def test_escalation_says_how_long_nobody_acknowledged() -> None:
    words = {"ko": "120초 동안 아무도 확인하지 않았습니다", "en": "Nobody has acknowledged this for 120 s"}
    for plant in (KOREAN, ENGLISH):
        message = incident_message(incident(), "escalated", plant, level=1, waited_s=120.4)
        assert words[plant.language] in message.text
        assert (message.payload["level"], message.payload["waited_s"]) == (1, 120)


def test_passed_on_alert_names_who_did_it() -> None:
    told = incident_message(incident(), "escalated", KOREAN, level=1, waited_s=8, by="김안전")
    assert (
        told.title == "[2공장] 확인 요청: 끼임 · press-3" and "김안전님이 이 사고를 넘겼습니다" in told.text
    )
    assert (told.payload["event"], told.payload["by"]) == ("escalated", "김안전")
    assert "lee has passed this on" in incident_message(incident(), "escalated", ENGLISH, by="lee").text
    assert incident_message(incident(), "opened", KOREAN).payload["by"] == ""


def test_closed_alert_says_until_when() -> None:
    closed = incident(closed_at=OPENED + timedelta(seconds=9))
    assert "종료 시각: 2026-03-04 14:06:16 KST" in incident_message(closed, "closed", KOREAN).text


def test_payload_is_flat_json_with_the_promised_keys() -> None:
    told = incident_message(incident(), "opened", KOREAN)
    assert set(told.payload) == set(INCIDENT_KEYS)
    assert set(fault_message(FAULT, "opened", KOREAN).payload) == set(FAULT_KEYS)
    body = json.loads(told.body("inc-1:opened:phone"))
    assert body["key"] == "inc-1:opened:phone"
    assert body["opened_at"] == "2026-03-04T05:06:07.000+00:00"
    assert not any(isinstance(value, (dict, list)) for value in body.values())


def test_unknown_behaviour_is_told_under_its_key_as_the_gravest() -> None:
    message = incident_message(incident(behavior="Slip On Oil"), "opened", ENGLISH)
    assert "Slip On Oil detected" in message.title
    assert message.payload["severity"] == 3


def test_fault_is_told_when_it_begins_and_when_it_ends() -> None:
    ended = replace(FAULT, ended_at=OPENED + timedelta(minutes=1))
    assert fault_message(FAULT, "opened", KOREAN).title == "[2공장] 고장: 연결 끊김 · press-3"
    assert fault_message(ended, "closed", ENGLISH).title == "[2공장] Recovered: camera offline · press-3"


def test_fault_of_the_site_names_no_camera() -> None:
    site = replace(FAULT, camera="", kind="disk-full")
    assert fault_message(site, "opened", KOREAN).title == "[2공장] 고장: 저장 공간 부족 · 현장 전체"
    assert "카메라:" not in fault_message(site, "opened", KOREAN).text


@given(secret=st.text(st.characters(exclude_categories=["Cs"]), min_size=4))
def test_fault_message_never_shows_an_address(secret: str) -> None:
    marked = f"Zq{secret}qZ"
    fault = replace(FAULT, message=f"camera: rtsp://admin:{marked}@10.0.0.9/live: no answer")
    said = fault_message(fault, "opened", ENGLISH)
    assert marked not in said.text
    assert marked not in str(said.payload["message"])
    assert "10.0.0.9" not in said.text


def test_titles_are_one_line_whatever_a_model_calls_its_behaviours() -> None:
    assert "\n" not in incident_message(incident(behavior="a\nb"), "opened", KOREAN).title


def test_trial_alert_says_that_it_is_one() -> None:
    assert "시험 알림" in trial_message(KOREAN, uid="t", at=OPENED).title
    assert "Test alert" in trial_message(ENGLISH, uid="t", at=OPENED).title


def test_notices_have_the_same_keys_whenever_they_are_made() -> None:
    made = notices_for_incident(incident(), "opened", ["a", "b", "a"], KOREAN)
    assert [each.key for each in made] == ["inc-1:opened:a", "inc-1:opened:b"]
    assert made == notices_for_incident(incident(), "opened", ["a", "b"], KOREAN)


def test_escalations_have_keys_of_their_own_level() -> None:
    made = [notices_for_incident(incident(), "escalated", ["a"], KOREAN, level=level) for level in (1, 2)]
    assert [rows[0].key for rows in made] == ["inc-1:escalated-1:a", "inc-1:escalated-2:a"]


def test_notice_gives_back_its_message() -> None:
    made = notices_for_fault(FAULT, "opened", ["a"], KOREAN)[0]
    assert message_of(made) == fault_message(FAULT, "opened", KOREAN)
    assert (made.key, made.subject) == ("flt-1:opened:a", "fault")


def test_only_those_who_want_faults_are_told_of_them() -> None:
    wants = target("webhook", "http://x", name="a")
    assert fault_targets([wants, target("webhook", "http://x", name="b", faults=False)]) == ("a",)


def test_dashboard_address_with_a_password_is_refused() -> None:
    with pytest.raises(SettingsError, match="must not hold"):
        Plant(base_url="https://me:secret@watch.example")
