"""Rows of the outbox: who is told what, under keys that are the same whenever they are made again. Pure."""

from collections.abc import Iterable

from jikimi.alert.message import Plant, fault_message, incident_message
from jikimi.settings import Target
from jikimi.store.records import FaultRecord, IncidentRecord, Notice, NoticeKind


def notices_for_incident(
    incident: IncidentRecord,
    kind: NoticeKind,
    targets: Iterable[str],
    plant: Plant,
    *,
    level: int = 0,
    waited_s: float | None = None,
    by: str = "",
) -> list[Notice]:
    """Make one outbox row a target, keyed `uid:kind:target`, escalations `uid:escalated-LEVEL:target`."""
    payload = incident_message(incident, kind, plant, level=level, waited_s=waited_s, by=by).payload
    word = f"{kind}-{level}" if kind == "escalated" else kind
    return [
        Notice(f"{incident.uid}:{word}:{target}", target, "incident", incident.uid, kind, payload)
        for target in dict.fromkeys(targets)
    ]


def notices_for_fault(
    fault: FaultRecord, kind: NoticeKind, targets: Iterable[str], plant: Plant
) -> list[Notice]:
    """Make one outbox row a target, keyed `uid:kind:target`; `fault_targets` says who is told of faults."""
    payload = fault_message(fault, kind, plant).payload
    return [
        Notice(f"{fault.uid}:{kind}:{target}", target, "fault", fault.uid, kind, payload)
        for target in dict.fromkeys(targets)
    ]


def fault_targets(targets: Iterable[Target]) -> tuple[str, ...]:
    """Return the names of those who want to know of faults."""
    return tuple(target.name for target in targets if target.faults)
