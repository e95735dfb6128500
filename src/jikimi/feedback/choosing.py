"""Answers and reports → which films show which behaviour, and what is left out for which reason."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Literal, get_args

from jikimi.behaviors import Behavior, keys, normal_index
from jikimi.store import (
    EvidenceRecord,
    IncidentFilter,
    IncidentRecord,
    ReportEvidence,
    ReportRecord,
    Store,
)

Reason = Literal[
    "unanswered", "unsure", "unnamed", "unknown-behavior", "waiting", "no-video", "missing", "changed"
]
"""Why something is left out.

`unnamed`: another behaviour, it was not said which. `unknown-behavior`: one that the model does not tell
apart. `waiting`: a report whose film is being cut. `no-video`: none was kept, or it was deleted by age. Only
an export sees `missing` (not where the manifest says) and `changed` (not what was recorded).
"""

REASONS: tuple[Reason, ...] = get_args(Reason)

# Rows that are asked for at once: no question to the database is long, watching writes meanwhile.
_PAGE = 500

_MOST_COUNTED = 1_000_000


@dataclass(frozen=True, slots=True)
class Chosen:
    """A film and what it shows. `path` is relative to the evidence folder.

    `event` is [start, end) in seconds from the film's beginning; None: nothing happens, or nobody knows when.
    """

    uid: str
    source: Literal["incident", "report"]
    camera: str
    behavior: str
    at: datetime
    path: Path
    event: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """What would be exported, and how many were left out for which reason."""

    clips: tuple[Chosen, ...]
    left_out: Mapping[Reason, int]


def choose(
    store: Store,
    behaviors: Sequence[Behavior],
    *,
    camera: Collection[str] | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Choice:
    """Read what was answered and reported of [since, until), oldest first. Raises StoreError."""
    left_out: Counter[Reason] = Counter()
    unanswered = IncidentFilter(answered=False, camera=camera, since=since, until=until)
    left_out["unanswered"] = store.count(unanswered, most=_MOST_COUNTED)
    clips: list[Chosen] = []
    for found in chain(
        _of_incidents(store, behaviors, replace(unanswered, answered=True)),
        _of_reports(store, behaviors, camera=camera, since=since, until=until),
    ):
        if isinstance(found, Chosen):
            clips.append(found)
        else:
            left_out[found] += 1
    clips.sort(key=lambda clip: (clip.at, clip.uid))
    return Choice(tuple(clips), {reason: left_out[reason] for reason in REASONS if left_out[reason]})


def label_of(incident: IncidentRecord, behaviors: Sequence[Behavior]) -> tuple[str, Reason | None]:
    """The behaviour that an answer says an incident was, or why there is none. Pure."""
    if incident.answer is None:
        return "", "unanswered"
    if incident.answer == "unsure":
        return "", "unsure"
    if incident.answer == "false-alarm":
        return behaviors[normal_index(behaviors)].key, None
    key = incident.behavior if incident.answer == "correct" else incident.answer_behavior
    if not key:
        return "", "unnamed"
    return (key, None) if key in keys(behaviors) else ("", "unknown-behavior")


def _of_incidents(
    store: Store, behaviors: Sequence[Behavior], wanted: IncidentFilter
) -> Iterator[Chosen | Reason]:
    before: tuple[datetime, str] | None = None
    normal = behaviors[normal_index(behaviors)].key
    while page := store.page(wanted, before=before, limit=_PAGE):
        before = page[-1].opened_at, page[-1].uid
        films: dict[str, list[EvidenceRecord]] = {}
        for film in store.videos([incident.uid for incident in page]):
            films.setdefault(film.incident, []).append(film)
        for incident in page:
            behavior, reason = label_of(incident, behaviors)
            if reason is not None:
                yield reason
            elif incident.uid not in films:
                yield "no-video"
            else:
                yield _answered(incident, films[incident.uid], behavior, is_normal=behavior == normal)


def _of_reports(
    store: Store,
    behaviors: Sequence[Behavior],
    *,
    camera: Collection[str] | None,
    since: datetime | None,
    until: datetime | None,
) -> Iterator[Chosen | Reason]:
    before: tuple[datetime, str] | None = None
    normal = behaviors[normal_index(behaviors)].key
    while page := store.reports(camera=camera, since=since, until=until, before=before, limit=_PAGE):
        before = page[-1].start_at, page[-1].uid
        films: dict[str, list[ReportEvidence]] = {}
        for film in store.report_videos([report.uid for report in page]):
            films.setdefault(film.report, []).append(film)
        for report in page:
            behavior = normal if report.kind == "normal" else report.behavior
            if behavior not in keys(behaviors):
                yield "unknown-behavior"
            elif report.cut_at is None:
                yield "waiting"
            elif report.uid not in films:
                yield "no-video"
            else:
                yield _reported(report, films[report.uid], behavior, is_normal=behavior == normal)


def _answered(
    incident: IncidentRecord, films: Sequence[EvidenceRecord], behavior: str, *, is_normal: bool
) -> Chosen:
    """The film that has the incident's beginning: after a lost connection there are several."""
    film = min(films, key=lambda one: (not one.start_s <= 0 < one.end_s, one.start_s))
    event = None if is_normal else event_in(film, _lasted_s(incident))
    return Chosen(incident.uid, "incident", incident.camera, behavior, incident.opened_at, film.path, event)


def _reported(
    report: ReportRecord, films: Sequence[ReportEvidence], behavior: str, *, is_normal: bool
) -> Chosen:
    """The film that has the most of what was reported."""
    span_s = (report.end_at - report.start_at).total_seconds()
    film = max(films, key=lambda one: min(one.end_s, span_s) - max(one.start_s, 0.0))
    event = None if is_normal else event_in(film, span_s)
    return Chosen(report.uid, "report", report.camera, behavior, report.start_at, film.path, event)


def _lasted_s(incident: IncidentRecord) -> float | None:
    """Seconds from opening to closing; None: it lasts, or nobody saw it end."""
    if incident.closed_at is None:
        return None
    return (incident.closed_at - incident.opened_at).total_seconds()


def event_in(film: EvidenceRecord | ReportEvidence, lasted_s: float | None) -> tuple[float, float] | None:
    """[start, end) of what begins at the film's own 0 and lasts so long, in seconds from its beginning. Pure.

    None where the film's times are not known, or it has nothing of it.
    """
    length_s = film.end_s - film.start_s
    start_s = max(0.0, -film.start_s)
    end_s = length_s if lasted_s is None else min(length_s, lasted_s - film.start_s)
    return (round(start_s, 3), round(end_s, 3)) if round(end_s, 3) > round(start_s, 3) else None
