"""Two models on the same cameras: which incidents both raised, and what people said of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from jikimi.champion import Champion, champion_of
from jikimi.serve.backend import Backend
from jikimi.serve.model_answers import (
    BothHoursAnswer,
    ComparisonAnswer,
    CountAnswer,
    PairAnswer,
    card_answer,
)
from jikimi.store import IncidentFilter, IncidentRecord, ModelRecord, ShadowRecord

# Two models that see the same accident see it within their windows, which are seconds long.
NEAR = timedelta(seconds=10)

# A challenger that raises more than this is none that anybody would promote.
_MOST = 50_000


def comparison(
    backend: Backend, *, since: datetime | None, cameras: Sequence[str] | None
) -> ComparisonAnswer:
    """Champion and challenger since they both are what they are. Raises StoreError."""
    now = datetime.now(UTC)
    champion = champion_of(backend.settings, backend.store)
    rival = next((one for one in backend.store.models() if one.state == "challenger"), None)
    begun = [
        since,
        rival.challenged_at if rival is not None else None,
        champion.model.promoted_at if champion.model is not None else None,
    ]
    answer = ComparisonAnswer(
        champion=_name(champion),
        challenger=rival.name if rival is not None else None,
        challenger_sha256=rival.sha256 if rival is not None else None,
        since=max((at for at in begun if at is not None), default=now),
        until=now,
        hours=0.0,
        cameras=[],
        pairs=[],
    )
    if rival is not None:
        _fill_in(answer, backend, rival, cameras)
    return answer


def _name(champion: Champion) -> str:
    if champion.model is not None:
        return champion.model.name
    card, _ = card_answer(champion.path)
    return card.name if card is not None else ""


def _fill_in(
    answer: ComparisonAnswer, backend: Backend, rival: ModelRecord, cameras: Sequence[str] | None
) -> None:
    """Count what both raised, in hours that both have watched."""
    hours: dict[str, set[datetime]] = {}
    seconds: dict[str, float] = {}
    for row in backend.store.both(rival.sha256, since=_hour_of(answer.since), camera=cameras):
        hours.setdefault(row.camera, set()).add(row.hour)
        seconds[row.camera] = seconds.get(row.camera, 0.0) + row.both_s

    def counts(one: IncidentRecord | ShadowRecord) -> bool:
        hour = _hour_of(one.opened_at)
        return hour in hours.get(one.camera, ()) or hour == _hour_of(answer.until)  # not written down yet

    shadows = backend.store.shadows(rival.sha256, since=answer.since, camera=cameras, limit=_MOST)
    wanted = IncidentFilter(camera=cameras, since=answer.since, until=answer.until)
    incidents = backend.store.page(wanted, limit=_MOST)[::-1]
    answer.pairs = compared(
        [one for one in incidents if counts(one)], [one for one in shadows if counts(one)]
    )
    answer.cameras = [
        BothHoursAnswer(camera=name, hours=round(each / 3600, 3)) for name, each in sorted(seconds.items())
    ]
    answer.hours = round(sum(seconds.values()) / 3600, 3)


def _hour_of(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


@dataclass(frozen=True, slots=True)
class Pair:
    """An incident of the champion and the challenger's of the same moment."""

    champion: IncidentRecord
    challenger: ShadowRecord

    @property
    def same(self) -> bool:
        """Whether both are of one behaviour."""
        return self.champion.behavior == self.challenger.behavior


def paired(champions: Sequence[IncidentRecord], challengers: Sequence[ShadowRecord]) -> list[Pair]:
    """Pair incidents of a camera within 10 s, one to one: those of one behaviour first, the nearest first.

    Both are in the order of their moments.
    """
    found = sorted(_near(champions, challengers), key=lambda pair: (not pair.same, _apart(pair)))
    used, pairs = set[str](), []
    for pair in found:
        if pair.champion.uid not in used and pair.challenger.uid not in used:
            used |= {pair.champion.uid, pair.challenger.uid}
            pairs.append(pair)
    return pairs


def _apart(pair: Pair) -> timedelta:
    return abs(pair.champion.opened_at - pair.challenger.opened_at)


def _near(champions: Sequence[IncidentRecord], challengers: Sequence[ShadowRecord]) -> Iterable[Pair]:
    """Every two that could be one, by a window that slides over the challenger's."""
    by_camera: dict[str, list[ShadowRecord]] = {}
    for shadow in challengers:
        by_camera.setdefault(shadow.camera, []).append(shadow)
    first: dict[str, int] = {}
    for incident in champions:
        row, at = by_camera.get(incident.camera, []), first.get(incident.camera, 0)
        while at < len(row) and row[at].opened_at < incident.opened_at - NEAR:
            at += 1
        first[incident.camera] = at
        while at < len(row) and row[at].opened_at <= incident.opened_at + NEAR:
            yield Pair(incident, row[at])
            at += 1


def compared(champions: Sequence[IncidentRecord], challengers: Sequence[ShadowRecord]) -> list[PairAnswer]:
    """Count both by camera and behaviour. Both are in the order of their moments."""
    rows: dict[tuple[str, str], PairAnswer] = {}

    def row(camera: str, behavior: str) -> PairAnswer:
        fresh = PairAnswer(camera=camera, behavior=behavior, champion=CountAnswer(), challenger=CountAnswer())
        return rows.setdefault((camera, behavior), fresh)

    for incident in champions:
        _count(row(incident.camera, incident.behavior).champion, incident.behavior, incident)
    pairs = paired(champions, challengers)
    answered = {pair.challenger.uid: pair.champion for pair in pairs}
    for shadow in challengers:
        _count(row(shadow.camera, shadow.behavior).challenger, shadow.behavior, answered.get(shadow.uid))
    for pair in pairs:
        each = row(pair.champion.camera, pair.champion.behavior)
        each.both_any += 1
        each.both_same += pair.same
    return [rows[key] for key in sorted(rows)]


def _count(count: CountAnswer, behavior: str, incident: IncidentRecord | None) -> None:
    """Count an incident of some behaviour, by what was said of this one of the champion's."""
    count.incidents += 1
    if incident is None or incident.answer is None:
        return
    truth = {"correct": incident.behavior, "other-behavior": incident.answer_behavior}.get(incident.answer)
    count.correct += truth is not None and truth == behavior
    count.false_alarms += incident.answer == "false-alarm"
