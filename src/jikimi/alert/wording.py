"""The words of alerts in Korean and English. Every key is in both languages; a test holds them to it."""

from collections.abc import Mapping
from typing import Literal

Language = Literal["ko", "en"]

# `{name}` is the behaviour or the fault, `{where}` the camera or the site.
TITLES: Mapping[Language, Mapping[str, str]] = {
    "ko": {
        "incident.opened": "[{site}] {name} 감지 · {where}",
        "incident.closed": "[{site}] {name} 종료 · {where}",
        "incident.escalated": "[{site}] 미확인 {name} · {where}",
        "incident.passed-on": "[{site}] 확인 요청: {name} · {where}",
        "fault.opened": "[{site}] 고장: {name} · {where}",
        "fault.closed": "[{site}] 복구: {name} · {where}",
        "fault.escalated": "[{site}] 미확인 고장: {name} · {where}",
        "test.test": "[{site}] 시험 알림",
    },
    "en": {
        "incident.opened": "[{site}] {name} detected · {where}",
        "incident.closed": "[{site}] {name} is over · {where}",
        "incident.escalated": "[{site}] Unacknowledged: {name} · {where}",
        "incident.passed-on": "[{site}] You are asked to look: {name} · {where}",
        "fault.opened": "[{site}] Fault: {name} · {where}",
        "fault.closed": "[{site}] Recovered: {name} · {where}",
        "fault.escalated": "[{site}] Unacknowledged fault: {name} · {where}",
        "test.test": "[{site}] Test alert",
    },
}

LEADS: Mapping[Language, Mapping[str, str]] = {
    "ko": {
        "incident.opened": "사고가 의심됩니다. 현장을 확인하십시오.",
        "incident.closed": "상황이 끝났습니다.",
        "incident.escalated": "{waited_s}초 동안 아무도 확인하지 않았습니다. 지금 확인하십시오.",
        "incident.passed-on": "{by}님이 이 사고를 넘겼습니다. 지금 확인하십시오.",
        "fault.opened": "감시가 제대로 되지 않고 있습니다.",
        "fault.closed": "다시 감시하고 있습니다.",
        "fault.escalated": "{waited_s}초 동안 아무도 고장을 확인하지 않았습니다.",
        "test.test": "시험 알림입니다. 이 글이 보이면 알림이 잘 도착하는 것입니다.",
    },
    "en": {
        "incident.opened": "This may be an accident. Look at the place now.",
        "incident.closed": "The situation is over.",
        "incident.escalated": "Nobody has acknowledged this for {waited_s} s. Look now.",
        "incident.passed-on": "{by} has passed this on. Look now.",
        "fault.opened": "Watching is impaired.",
        "fault.closed": "Watching works again.",
        "fault.escalated": "Nobody has acknowledged this fault for {waited_s} s.",
        "test.test": "This is a test alert. Reading it means that alerts arrive here.",
    },
}

LABELS: Mapping[Language, Mapping[str, str]] = {
    "ko": {
        "behavior": "행동",
        "accident_type": "사고 유형",
        "severity": "심각도",
        "camera": "카메라",
        "zone": "구역",
        "opened_at": "발생 시각",
        "closed_at": "종료 시각",
        "score": "점수",
        "model": "모델",
        "uid": "번호",
        "link": "링크",
        "fault": "고장",
        "message": "내용",
        "began_at": "시작 시각",
        "ended_at": "복구 시각",
        "time": "시각",
    },
    "en": {
        "behavior": "Behaviour",
        "accident_type": "Accident type",
        "severity": "Severity",
        "camera": "Camera",
        "zone": "Zone",
        "opened_at": "Since",
        "closed_at": "Until",
        "score": "Score",
        "model": "Model",
        "uid": "Number",
        "link": "Link",
        "fault": "Fault",
        "message": "Details",
        "began_at": "Since",
        "ended_at": "Until",
        "time": "Time",
    },
}

# A behaviour's severity, from `Behavior.severity`.
SEVERITIES: Mapping[Language, Mapping[int, str]] = {
    "ko": {0: "정상", 1: "주의", 2: "부상 위험", 3: "생명 위험"},
    "en": {0: "normal", 1: "attention", 2: "injury likely", 3: "life at risk"},
}

# KOSHA's types of occupational accident (발생형태). A type that is not here stays as the model names it.
ACCIDENT_TYPES: Mapping[str, str] = {
    "부딪힘": "struck against",
    "넘어짐": "fall on the level",
    "떨어짐": "fall from height",
    "물체에 맞음": "struck by an object",
    "끼임": "caught in or between",
    "깔림·뒤집힘": "crushed or overturned",
    "무너짐": "collapse",
    "절단·베임·찔림": "cut or stab",
    "감전": "electric shock",
    "화재·폭발·파열": "fire or explosion",
    "이상온도 접촉": "burn or frostbite",
    "화학물질 누출·접촉": "chemical exposure",
    "산소결핍": "lack of oxygen",
    "빠짐·익사": "drowning",
    "불균형 및 무리한 동작": "overexertion",
    "사업장 내 교통사고": "traffic on the premises",
}

# `FaultRecord.kind`. A kind that is not here is shown as it is.
FAULTS: Mapping[Language, Mapping[str, str]] = {
    "ko": {
        "offline": "연결 끊김",
        "frozen": "화면 멈춤",
        "dark": "화면 어두움",
        "covered": "카메라 가림",
        "moved": "카메라 방향 바뀜",
        "out-of-focus": "초점 흐림",
        "stale-stamps": "영상 지연",
        "not-recording": "녹화 안 됨",
        "process": "카메라 프로세스 멈춤",
        "settings": "카메라 설정 오류",
        "site": "감시 중단",
        "damaged": "영상 손상",
        "cannot-open": "열 수 없음",
        "broke-off": "영상 끊김",
        "gap": "영상 공백",
        "evidence": "증거 저장 실패",
        "inference": "모델 오류",
        "self-test": "자체 점검 실패",
        "overload": "과부하",
        "disk-full": "저장 공간 부족",
        "disk-low": "디스크 가득 참",
        "store": "데이터베이스 오류",
        "detector": "감지기 멈춤",
        "undelivered": "알림 전달 실패",
    },
    "en": {
        "offline": "camera offline",
        "frozen": "picture frozen",
        "dark": "picture dark",
        "covered": "camera covered",
        "moved": "camera moved",
        "out-of-focus": "camera out of focus",
        "stale-stamps": "video late",
        "not-recording": "not recorded",
        "process": "camera process stopped",
        "settings": "camera settings unusable",
        "site": "nothing is watched",
        "damaged": "video damaged",
        "cannot-open": "cannot be opened",
        "broke-off": "video broke off",
        "gap": "gap in the video",
        "evidence": "evidence not written",
        "inference": "model failed",
        "self-test": "self-test failed",
        "overload": "overload",
        "disk-full": "no room for evidence",
        "disk-low": "disk full",
        "store": "database failed",
        "detector": "detector stopped",
        "undelivered": "alert not delivered",
    },
}

WHOLE_SITE: Mapping[Language, str] = {"ko": "현장 전체", "en": "whole site"}


def accident_type(korean: str, language: Language) -> str:
    """Return an accident type in the language, or as the model names it where there is no translation."""
    return korean if language == "ko" else ACCIDENT_TYPES.get(korean, korean)


def fault_name(kind: str, language: Language) -> str:
    """Return a fault's kind in words."""
    return FAULTS[language].get(kind, kind)
