"""Which incidents are open, camera by camera: each change goes to the store, with whom to tell of it."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from jikimi.alert.message import Plant
from jikimi.alert.notices import notices_for_incident
from jikimi.settings import Settings
from jikimi.store import IncidentRecord, Store
from jikimi.watch.messages import IncidentChanged
from jikimi.watch.scribe import Action, OpenedIncident, Scribe

# Evidence without an incident that is older was not lost by the last run.
_LATE = timedelta(hours=24)


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class IncidentBook:
    """The site's open incidents, by uid. Used by the site's thread; `model` names the bundle that noticed."""

    scribe: Scribe
    plant: Plant
    settings: Settings
    model: str
    now: Callable[[], datetime] = _now
    _open: dict[str, IncidentRecord] = field(default_factory=dict, init=False)

    def __len__(self) -> int:
        return len(self._open)

    def take(self, camera: str, change: IncidentChanged) -> None:
        """Enter what a camera has noticed."""
        if change.kind == "opened":
            self._opened(camera, change)
        elif change.uid in self._open:
            incident = replace(self._open[change.uid], peak=change.peak)
            if change.kind == "updated":
                self._updated(incident, change)
            else:
                self._closed(incident, change.at, score=change.score)

    def close_all(self, camera: str) -> None:
        """Close what a camera's process left open when it was lost."""
        for incident in [one for one in self._open.values() if one.camera == camera]:
            self._closed(incident, self.now(), score=0.0)

    def close_earlier(self, incident: IncidentRecord, store: Store) -> None:
        """Close an incident that an earlier run had opened. Raises StoreError."""
        closed = replace(incident, closed_at=max(self.now(), incident.opened_at))
        notices = notices_for_incident(closed, "closed", self._listeners(), self.plant)
        at = closed.closed_at or self.now()
        store.close_incident(closed.uid, at=at, peak=closed.peak, score=0.0, notices=notices)

    def found_late(self, path: Path, uid: str, camera: str) -> None:
        """Tell of an incident of which the site died before it heard: its evidence's name tells."""
        stamp, _, rest = path.name.partition("_")
        try:
            at = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        except ValueError:
            return
        if abs(self.now() - at) > _LATE:
            return  # a new database beside an old archive
        incident = IncidentRecord(uid, camera, rest.rpartition("_")[0], at, 0.0, model=self.model)
        lists = self.settings.alert_lists
        notices = notices_for_incident(incident, "opened", lists[0] if lists else (), self.plant)
        self.scribe.put(OpenedIncident(incident, notices))
        self.scribe.put(Action(lambda store: self.close_earlier(incident, store)))

    def _opened(self, camera: str, change: IncidentChanged) -> None:
        incident = IncidentRecord(
            change.uid,
            camera,
            change.behavior,
            change.at,
            change.peak,
            zone=change.zone,
            model=self.model,
        )
        self._open[change.uid] = incident
        lists = self.settings.alert_lists
        notices = notices_for_incident(incident, "opened", lists[0] if lists else (), self.plant)
        self.scribe.put(OpenedIncident(incident, notices, change.noticed_s))

    def _updated(self, incident: IncidentRecord, change: IncidentChanged) -> None:
        self._open[incident.uid] = incident

        def write(store: Store) -> None:
            store.update_incident(incident.uid, at=change.at, peak=incident.peak, score=change.score)

        self.scribe.put(Action(write))

    def _closed(self, incident: IncidentRecord, at: datetime, *, score: float) -> None:
        del self._open[incident.uid]
        closed = replace(incident, closed_at=at)
        notices = notices_for_incident(closed, "closed", self._listeners(), self.plant)

        def write(store: Store) -> None:
            store.close_incident(closed.uid, at=at, peak=closed.peak, score=score, notices=notices)

        self.scribe.put(Action(write))

    def _listeners(self) -> list[str]:
        """Targets that follow how long an incident lasts: programs, and not people's telephones."""
        lists = self.settings.alert_lists
        first = set(lists[0]) if lists else set()
        told = {name for row in lists for name in row}
        return [
            target.name
            for target in self.settings.targets
            if (target.kind == "mqtt" and target.name in told)
            or (target.kind == "webhook" and target.name in first)
        ]
