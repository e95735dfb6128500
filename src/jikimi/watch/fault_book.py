"""Which faults are open, camera by camera: each is told once when it begins and once when it ends."""

import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from jikimi.alert.message import Plant
from jikimi.alert.notices import notices_for_fault
from jikimi.store import FaultRecord, Store
from jikimi.watch.scribe import Action, BegunFault, Scribe

SITE = ""
"""The camera of faults that concern the whole site."""


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class FaultBook:
    """Faults by camera and kind. Used by the site's thread."""

    scribe: Scribe
    plant: Plant
    targets: Collection[str]
    now: Callable[[], datetime] = _now
    _open: dict[tuple[str, str], FaultRecord] = field(default_factory=dict, init=False)

    def set(self, camera: str, kind: str, on: bool, message: str) -> None:
        """Say whether a fault is there now; `message` says what, where and what to do."""
        if on:
            self.begin(camera, kind, message)
        else:
            self.end(camera, kind)

    def begin(self, camera: str, kind: str, message: str) -> None:
        """A fault is there; nothing happens when it was."""
        if (camera, kind) in self._open:
            return
        fault = FaultRecord(uuid.uuid4().hex, camera, kind, message, self.now())
        self._open[camera, kind] = fault
        notices = notices_for_fault(fault, "opened", self.targets, self.plant)
        self.scribe.put(BegunFault(fault, notices))

    def end(self, camera: str, kind: str) -> None:
        """A fault is over; nothing happens when it was not there."""
        fault = self._open.pop((camera, kind), None)
        if fault is None:
            return
        at = max(self.now(), fault.began_at)  # the clock may have been put back
        ended = FaultRecord(fault.uid, camera, kind, fault.message, fault.began_at, at)
        notices = notices_for_fault(ended, "closed", self.targets, self.plant)

        def write(store: Store) -> None:
            store.end_fault(fault.uid, at=at, notices=notices)

        self.scribe.put(Action(write))

    def end_earlier(self, fault: FaultRecord, store: Store) -> None:
        """End a fault that an earlier run had begun. Raises StoreError."""
        ended = replace(fault, ended_at=max(self.now(), fault.began_at))
        notices = notices_for_fault(ended, "closed", self.targets, self.plant)
        store.end_fault(fault.uid, at=ended.ended_at or self.now(), notices=notices)

    def forget(self, camera: str) -> None:
        """End everything of a camera that is watched no more."""
        for kind in self.kinds(camera):
            self.end(camera, kind)

    def kinds(self, camera: str) -> list[str]:
        """The kinds of a camera's open faults."""
        return sorted(kind for name, kind in self._open if name == camera)
