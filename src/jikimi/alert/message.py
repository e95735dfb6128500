"""What an alert says: an incident, a fault or a test → title, text and payload. Pure.

The payload is the body of webhooks and of MQTT messages: one flat JSON object. Its keys are a promise; new
ones may be added under the same `version`. Moments are ISO 8601 in UTC; what does not apply is null or "".

    version, subject (incident | fault | test), event (opened | closed | escalated | test), site, language,
    uid, title, text, link, local_time
    incident: camera, zone, behavior, behavior_name, accident_type, severity (0-3), score (0-1), model,
              opened_at, closed_at, level (list of escalation, from 0), waited_s, by (who passed it on)
    fault:    camera, fault, fault_name, message, began_at, ended_at
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit
from zoneinfo import ZoneInfo

from jikimi.address import HIDDEN
from jikimi.alert.wording import LABELS, LEADS, SEVERITIES, TITLES, WHOLE_SITE, Language, fault_name
from jikimi.alert.wording import accident_type as type_name
from jikimi.behaviors import BEHAVIORS, Behavior
from jikimi.errors import SettingsError
from jikimi.store.records import FaultRecord, IncidentRecord, Notice, NoticeKind

VERSION = 1

COMMON_KEYS = (
    "version", "subject", "event", "site", "language", "uid", "title", "text", "link", "local_time",
)  # fmt: skip
INCIDENT_KEYS = (
    *COMMON_KEYS, "camera", "zone", "behavior", "behavior_name", "accident_type", "severity", "score",
    "model", "opened_at", "closed_at", "level", "waited_s", "by",
)  # fmt: skip
FAULT_KEYS = (*COMMON_KEYS, "camera", "fault", "fault_name", "message", "began_at", "ended_at")

# What a fault's message may quote: an address up to its last '@', since a password may hold anything.
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)(?:.*@)?\S*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Message:
    """What one target is told; `payload` is flat and holds title and text too."""

    title: str
    text: str
    payload: Mapping[str, Any]

    def body(self, key: str) -> bytes:
        """Return payload and idempotency key as one JSON object, UTF-8."""
        return json.dumps({"key": key, **self.payload}, ensure_ascii=False, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Plant:
    """What every message needs to know of the place: its name, what its people read, its time, its pages.

    `zone` None is the machine's time zone. `base_url` is where the dashboard is reached, without credentials.
    """

    site: str = "Jikimi"
    language: Language = "ko"
    zone: ZoneInfo | None = None
    base_url: str | None = None
    behaviors: tuple[Behavior, ...] = BEHAVIORS

    def __post_init__(self) -> None:
        if self.base_url is not None and "@" in urlsplit(self.base_url).netloc:
            raise SettingsError("the dashboard's address in alerts must not hold a user or password")

    def behavior(self, key: str) -> Behavior:
        """Return what is known of a behaviour; of an unknown one, its key and the highest severity."""
        for behavior in self.behaviors:
            if behavior.key == key:
                return behavior
        return Behavior(re.sub(r"[^a-z0-9-]", "-", key.lower()).strip("-") or "accident", key, key, "", 3)

    def local(self, moment: datetime | None) -> str:
        """Return a moment in the plant's time zone for people, empty for None."""
        return "" if moment is None else f"{moment.astimezone(self.zone):%Y-%m-%d %H:%M:%S %Z}".rstrip()

    def link(self, kind: str, uid: str) -> str:
        """Return where to look, or nothing where no dashboard is known."""
        return f"{self.base_url.rstrip('/')}/{kind}/{quote(uid, safe='')}" if self.base_url else ""


def incident_message(
    incident: IncidentRecord,
    kind: NoticeKind,
    plant: Plant,
    *,
    level: int = 0,
    waited_s: float | None = None,
    by: str = "",
) -> Message:
    """Word an incident; `level` is the list of escalation it goes to, `waited_s` how long nobody answered.

    `by` is who passed it on; empty: it went there by itself.
    """
    behavior = plant.behavior(incident.behavior)
    name = behavior.korean if plant.language == "ko" else behavior.english
    facts = _incident_facts(incident, plant, name=name, behavior=behavior)
    facts |= {"level": level, "waited_s": None if waited_s is None else round(waited_s), "by": by}
    shown = {
        "behavior": name,
        "accident_type": facts["accident_type"],
        "severity": f"{behavior.severity}/3 ({SEVERITIES[plant.language][behavior.severity]})",
        "camera": incident.camera,
        "zone": incident.zone,
        "opened_at": facts["local_time"],
        "closed_at": plant.local(incident.closed_at),
        "score": f"{incident.peak:.2f}",
        "model": incident.model,
        "uid": incident.uid,
        "link": facts["link"],
    }
    names = {"name": name, "where": _where(incident), "waited_s": str(facts["waited_s"] or 0), "by": by}
    word = "incident.passed-on" if by else f"incident.{kind}"
    about = ("incident", kind, incident.uid)
    return _compose(plant, about, word=word, names=names, shown=shown, facts=facts)


def fault_message(fault: FaultRecord, kind: NoticeKind, plant: Plant) -> Message:
    """Word a fault that began (`opened`) or ended (`closed`); addresses its message may quote are hidden."""
    name = fault_name(fault.kind, plant.language)
    facts: dict[str, Any] = {
        "camera": fault.camera,
        "fault": fault.kind,
        "fault_name": name,
        "message": _ADDRESS.sub(rf"\1{HIDDEN}", fault.message),
        "began_at": _iso(fault.began_at),
        "ended_at": _iso(fault.ended_at),
        "link": plant.link("faults", fault.uid),
        "local_time": plant.local(fault.began_at),
    }
    shown = {
        "fault": name,
        "camera": fault.camera,
        "message": facts["message"],
        "began_at": facts["local_time"],
        "ended_at": plant.local(fault.ended_at),
        "uid": fault.uid,
        "link": facts["link"],
    }
    names = {"name": name, "where": fault.camera or WHOLE_SITE[plant.language], "waited_s": "0"}
    about, word = ("fault", kind, fault.uid), f"fault.{kind}"
    return _compose(plant, about, word=word, names=names, shown=shown, facts=facts)


def trial_message(plant: Plant, *, uid: str, at: datetime) -> Message:
    """Word a test alert ("시험 알림")."""
    time = plant.local(at)
    facts = {"link": "", "local_time": time}
    shown = {"time": time, "uid": uid}
    return _compose(plant, ("test", "test", uid), word="test.test", names={}, shown=shown, facts=facts)


def message_of(notice: Notice) -> Message:
    """Return the message that an outbox row holds."""
    payload = notice.payload
    return Message(str(payload.get("title", notice.uid)), str(payload.get("text", "")), payload)


def _compose(
    plant: Plant,
    about: tuple[str, str, str],
    *,
    word: str,
    names: Mapping[str, str],
    shown: Mapping[str, str],
    facts: Mapping[str, Any],
) -> Message:
    subject, event, uid = about
    title = " ".join(TITLES[plant.language][word].format(site=plant.site, **names).split())  # one line
    labels = LABELS[plant.language]
    lines = [f"{labels[key]}: {value}" for key, value in shown.items() if value]
    text = "\n".join([LEADS[plant.language][word].format(**names), *lines])
    common = {"version": VERSION, "subject": subject, "event": event, "site": plant.site}
    said = {"language": plant.language, "uid": uid, "title": title, "text": text}
    return Message(title, text, {**common, **said, **facts})


def _incident_facts(
    incident: IncidentRecord, plant: Plant, *, name: str, behavior: Behavior
) -> dict[str, Any]:
    return {
        "camera": incident.camera,
        "zone": incident.zone,
        "behavior": incident.behavior,
        "behavior_name": name,
        "accident_type": type_name(behavior.accident_type, plant.language),
        "severity": behavior.severity,
        "score": round(incident.peak, 4),
        "model": incident.model,
        "opened_at": _iso(incident.opened_at),
        "closed_at": _iso(incident.closed_at),
        "link": plant.link("incidents", incident.uid),
        "local_time": plant.local(incident.opened_at),
    }


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="milliseconds")


def _where(incident: IncidentRecord) -> str:
    return f"{incident.camera} / {incident.zone}" if incident.zone else incident.camera
