"""Tables for spreadsheets: RFC 4180 in UTF-8, streamed, without cells that a spreadsheet would run."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from jikimi.alert.wording import WHOLE_SITE, accident_type, fault_name
from jikimi.hours import Local
from jikimi.serve.overview_answers import OverviewAnswer
from jikimi.serve.summary import KnownBehaviors
from jikimi.settings import DAYS
from jikimi.store import IncidentRecord

Language = Annotated[
    Literal["ko", "en"] | None, Query(description="Of headings; without it that of the site.")
]
Cell = str | int | float | None

# Excel takes a file for UTF-8 by this alone; without it Korean is garbled.
BOM = "\ufeff"

SHEET: dict[int | str, dict[str, Any]] = {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}}
"""What a route that answers with a table answers."""

# What a spreadsheet takes for the beginning of a formula (OWASP, "CSV Injection"); full-width ones too.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")

# Rows are sent in pieces of about so many characters.
_PIECE = 1 << 15

HEADINGS: Mapping[str, Mapping[str, str]] = {
    "uid": {"ko": "번호", "en": "Number"},
    "opened_at": {"ko": "발생 시각", "en": "Opened"},
    "closed_at": {"ko": "종료 시각", "en": "Closed"},
    "opened_at_utc": {"ko": "발생 시각(UTC)", "en": "Opened (UTC)"},
    "camera": {"ko": "카메라", "en": "Camera"},
    "zone": {"ko": "구역", "en": "Zone"},
    "behavior": {"ko": "행동", "en": "Behaviour"},
    "accident_type": {"ko": "사고 유형", "en": "Accident type"},
    "peak": {"ko": "최고 점수", "en": "Highest score"},
    "acknowledged_at": {"ko": "확인 시각", "en": "Acknowledged"},
    "acknowledged_by": {"ko": "확인자", "en": "Acknowledged by"},
    "answer": {"ko": "답", "en": "Answer"},
    "answered_by": {"ko": "답한 사람", "en": "Answered by"},
    "answer_behavior": {"ko": "실제 행동", "en": "What it was"},
    "answer_note": {"ko": "메모", "en": "Note"},
    "locked": {"ko": "잠금", "en": "Locked"},
    "escalations": {"ko": "상위 알림 횟수", "en": "Escalations"},
    "model": {"ko": "모델", "en": "Model"},
}

ANSWERS: Mapping[str | None, Mapping[str, str]] = {
    "correct": {"ko": "맞음", "en": "correct"},
    "false-alarm": {"ko": "오경보", "en": "false alarm"},
    "other-behavior": {"ko": "다른 행동", "en": "other behaviour"},
    "unsure": {"ko": "모름", "en": "unsure"},
    None: {"ko": "미응답", "en": "unanswered"},
}

OVERVIEW_HEADINGS = {"ko": ("구분", "항목", "값"), "en": ("section", "key", "value")}


def answer_sheet(rows: Iterator[Sequence[Cell]], *, name: str) -> StreamingResponse:
    """Answer with a file; the first piece is made before anything is sent, so that trouble is still told."""
    pieces = sheet(rows)
    first = next(pieces)

    def all_pieces() -> Iterator[bytes]:
        yield first
        yield from pieces

    return StreamingResponse(
        all_pieces(),
        media_type="text/csv; charset=utf-8; header=present",
        headers={"Content-Disposition": f'attachment; filename="{name}.csv"'},
    )


def sheet(rows: Iterable[Sequence[Cell]]) -> Iterator[bytes]:
    """Encode rows, in pieces; there is at least one."""
    text = io.StringIO(BOM)
    text.seek(0, io.SEEK_END)
    writer = csv.writer(text)  # its own dialect is RFC 4180's: CRLF, quotes doubled
    for row in rows:
        writer.writerow([harmless(cell) for cell in row])
        if text.tell() >= _PIECE:
            yield text.getvalue().encode("utf-8", "replace")
            text.seek(0)
            text.truncate()
    yield text.getvalue().encode("utf-8", "replace")


def harmless(cell: Cell) -> Cell:
    """A cell that no spreadsheet takes for a formula: words that would be one begin with an apostrophe."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell


def incident_rows(
    incidents: Iterable[IncidentRecord], *, language: Literal["ko", "en"], names: KnownBehaviors, local: Local
) -> Iterator[list[Cell]]:
    """A heading, then a row each; times are the plant's, as spreadsheets read them."""

    def told(moment: datetime | None) -> str:
        return "" if moment is None else f"{local(moment):%Y-%m-%d %H:%M:%S}"

    yield [heading[language] for heading in HEADINGS.values()]
    for one in incidents:
        yield [
            one.uid,
            told(one.opened_at),
            told(one.closed_at),
            f"{one.opened_at:%Y-%m-%dT%H:%M:%SZ}",
            one.camera,
            one.zone,
            names.name(one.behavior, language),
            accident_type(names.type_of(one.behavior), language),
            round(one.peak, 3),
            told(one.acknowledged_at),
            one.acknowledged_by,
            ANSWERS[one.answer][language],
            one.answered_by,
            names.name(one.answer_behavior, language),
            one.answer_note,
            int(one.locked),
            one.escalations,
            one.model,
        ]


def overview_rows(found: OverviewAnswer, *, language: Literal["ko", "en"]) -> Iterator[Sequence[Cell]]:
    """A heading, then one figure a line: what part of the overview, which figure of it, its value."""
    yield OVERVIEW_HEADINGS[language]
    yield "range", "since", found.since.isoformat()
    yield "range", "until", found.until.isoformat()
    yield "incidents", "all", found.incidents
    yield from _fields("answers", "", found.answers)
    for kind in found.by_behavior:
        yield "by_behavior", kind.korean if language == "ko" else kind.english, kind.incidents
    for type_ in found.by_accident_type:
        name = type_.korean if language == "ko" else type_.english
        yield from _fields("by_accident_type", f"{name or '–'} · ", type_)
    for camera in found.by_camera:
        yield "by_camera", camera.camera, camera.incidents
    yield from (("by_hour", f"{hour:02}:00", count) for hour, count in enumerate(found.by_hour))
    yield from (("by_weekday", day, count) for day, count in zip(DAYS, found.by_weekday, strict=True))
    yield from (("by_day", each.day.isoformat(), each.incidents) for each in found.by_day)
    yield from (("by_week", week.week, week.incidents) for week in found.by_week)
    yield from _fields("false_alarms", "", found.false_alarms)
    for camera in found.by_camera:
        yield from _fields("false_alarms_by_camera", f"{camera.camera} · ", camera.false_alarms)
    yield from _fields("response", "acknowledged · ", found.response.acknowledged)
    yield from _fields("response", "answered · ", found.response.answered)
    for target in found.deliveries:
        yield from _fields("deliveries", f"{target.target} · ", target)
    yield from _fields("coverage", "", found.coverage)
    yield from (("coverage_by_camera", camera.camera, camera.coverage) for camera in found.by_camera)
    for shift in found.coverage_by_shift:
        yield "coverage_by_shift", f"{shift.camera} · {shift.shift}", shift.share
    for fault in found.faults:
        where = fault.camera or WHOLE_SITE[language]
        yield from _fields("faults", f"{where} · {fault_name(fault.kind, language)} · ", fault)


def _fields(section: str, key: str, part: BaseModel) -> Iterator[tuple[str, str, Cell]]:
    """The numbers of a part."""
    for name in type(part).model_fields:
        value = getattr(part, name)
        if value is None or isinstance(value, int | float):
            yield section, key + name, value
