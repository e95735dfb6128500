"""Home Assistant: what it finds by itself at the broker, and the states it shows. Pure.

Each camera is a device with two binary sensors: `accident` (device class safety: on while an incident is
open) and `problem` (on while a fault lasts). The site is a device with `problem`. All
follow the status topic.
Topics: `{topic}/camera/{slug}/accident` and `…/problem`, `{topic}/site/problem`: `ON` or `OFF`, retained.
"""

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from jikimi.alert.wording import Language
from jikimi.store.records import FaultRecord, IncidentRecord

SENSORS: Mapping[Language, Mapping[str, str]] = {
    "ko": {"accident": "사고", "problem": "고장"},
    "en": {"accident": "Accident", "problem": "Problem"},
}
_CLASSES = {"accident": "safety", "problem": "problem"}


@dataclass(frozen=True, slots=True)
class Retained:
    """A message that the broker keeps."""

    topic: str
    payload: str


def slug(name: str) -> str:
    """Turn a name into a part of topics and ids: a-z, 0-9, '-'; a changed name ends with a mark of it."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    safe = re.sub(r"[^a-z0-9-]+", "-", plain).strip("-")
    if safe == name and safe != "site":
        return safe
    mark = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{safe or 'camera'}-{mark}"


def place(camera: str) -> str:
    """Return the topic below the main one where a camera's states are; "" is the site."""
    return f"camera/{slug(camera)}" if camera else "site"


@dataclass(slots=True)
class Standing:
    """What is going on now: uids of open incidents and lasting faults, camera by camera ("" is the site)."""

    incidents: dict[str, set[str]] = field(default_factory=dict)
    faults: dict[str, set[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, incidents: Iterable[IncidentRecord], faults: Iterable[FaultRecord]) -> "Standing":
        """Begin with what the store holds; closed incidents and ended faults do not count."""
        standing = cls()
        for incident in incidents:
            if incident.closed_at is None:
                standing.incidents.setdefault(incident.camera, set()).add(incident.uid)
        for fault in faults:
            if fault.ended_at is None:
                standing.faults.setdefault(fault.camera, set()).add(fault.uid)
        return standing

    def apply(self, payload: Mapping[str, Any]) -> str | None:
        """Take a message in; return the sensor it concerns. Told twice, it changes nothing."""
        subject, event = payload.get("subject"), payload.get("event")
        if subject not in ("incident", "fault"):
            return None
        kinds = self.incidents if subject == "incident" else self.faults
        uids = kinds.setdefault(str(payload.get("camera", "")), set())
        if event == "closed":
            uids.discard(str(payload.get("uid")))
        elif event == "opened":
            uids.add(str(payload.get("uid")))
        return "accident" if subject == "incident" else "problem"

    def state(self, topic: str, camera: str, sensor: str) -> Retained:
        """Return one sensor's state."""
        kinds = self.incidents if sensor == "accident" else self.faults
        return Retained(f"{topic}/{place(camera)}/{sensor}", "ON" if kinds.get(camera) else "OFF")


def sensors(cameras: Iterable[str]) -> list[tuple[str, str]]:
    """Return (camera, sensor) of everything that is shown; camera "" is the site."""
    pairs = [(camera, sensor) for camera in cameras for sensor in _CLASSES]
    return [*pairs, ("", "problem")]


def discovery(
    *, prefix: str, topic: str, cameras: Iterable[str], site: str, language: Language
) -> list[Retained]:
    """Return Home Assistant's retained configurations, `{prefix}/binary_sensor/{node}/{sensor}/config`."""
    return [
        _sensor(prefix, topic, camera=camera, sensor=sensor, site=site, language=language)
        for camera, sensor in sensors(cameras)
    ]


def _sensor(prefix: str, topic: str, *, camera: str, sensor: str, site: str, language: Language) -> Retained:
    node = f"{slug(topic)}_{slug(camera) if camera else 'site'}"
    config = {
        "name": SENSORS[language][sensor],
        "unique_id": f"jikimi_{node}_{sensor}",
        "device_class": _CLASSES[sensor],
        "state_topic": f"{topic}/{place(camera)}/{sensor}",
        "payload_on": "ON",
        "payload_off": "OFF",
        "availability_topic": f"{topic}/status",
        "payload_available": "online",
        "payload_not_available": "offline",
        "device": {
            "identifiers": [f"jikimi_{node}"],
            "name": f"{site} {camera}".strip(),
            "manufacturer": "Jikimi",
        },
    }
    return Retained(f"{prefix}/binary_sensor/{node}/{sensor}/config", json.dumps(config, ensure_ascii=False))
