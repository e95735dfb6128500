"""The site's side of a challenger: a second detector, what it would raise, and how long both have watched.

Nothing here alerts, keeps evidence or says how watching goes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from multiprocessing.context import ForkServerContext
from pathlib import Path

from jikimi.errors import JikimiError
from jikimi.settings import CameraSettings, ModelSection
from jikimi.store import BothRecord, ShadowRecord, Store
from jikimi.watch.analysis import camera_rule
from jikimi.watch.child import Child, Forked
from jikimi.watch.choosing import Chosen
from jikimi.watch.detecting import DetectorConfig, run_challenger
from jikimi.watch.messages import Rival, ShadowChanged
from jikimi.watch.scribe import Action, Scribe
from jikimi.watch.watched import Watch

# It may starve while the champion is busy, and is in no hurry to come back.
_SILENT_S, _START_S, _PAUSE_S = 5.0, 120.0, 30.0

# Below this share of the champion's time, a challenger's counts say little: it is too slow for this machine.
_BEHIND = 0.5

# Coverage is counted by the minute: a challenger that began in the middle of one is not judged by it.
_JUDGED_AFTER_S = 70.0


@dataclass(slots=True)
class Rivalry:
    """Follows the challenger that is wanted. Used by the site's thread.

    `settings` are those of the model: threads and waiting. `rival` is the challenger that runs.
    """

    scribe: Scribe
    context: ForkServerContext
    settings: ModelSection
    clock: Callable[[], float]
    rival: Rival | None = field(default=None, init=False)
    _chosen: Chosen = field(default_factory=Chosen, init=False)
    _child: Child | None = field(default=None, init=False)
    _watch: Watch | None = field(default=None, init=False)
    _open: dict[str, ShadowRecord] = field(default_factory=dict, init=False)
    _unfit: dict[str, str] = field(default_factory=dict, init=False)
    _runs_since_s: float | None = field(default=None, init=False)
    _behind: bool = field(default=False, init=False)

    @property
    def name(self) -> str:
        """The challenger's name; empty: there is none."""
        return self.rival.card.name if self.rival is not None else ""

    @property
    def children(self) -> list[Child]:
        """Its process."""
        return [] if self._child is None else [self._child]

    @property
    def running(self) -> bool:
        """Whether its detector answers."""
        return self._child is not None and self._child.running

    def follow(self, chosen: Chosen) -> bool:
        """Start the challenger that is wanted, end the one before → whether it is another now."""
        if chosen is self._chosen:
            return False
        self._chosen = chosen
        if chosen.rival == self.rival:
            return False
        self.end()
        self.rival = chosen.rival
        if chosen.rival is not None and chosen.bundle is not None:
            self._launch(chosen.rival, chosen.bundle)
        return True

    def _launch(self, rival: Rival, bundle: Path) -> None:
        config = DetectorConfig(
            bundle,
            rival.detector,
            threads=self.settings.threads,
            batch_wait_s=self.settings.batch_wait_ms / 1000,
            card=rival.card,
        )
        launch = Forked(self.context, "challenger", run_challenger, (config,))
        self._child = Child(
            "challenger", launch, silent_s=_SILENT_S, start_s=_START_S, least_pause_s=_PAUSE_S
        )
        self._watch = Watch(self._child, self.clock)

    def rival_for(self, camera: CameraSettings) -> Rival | None:
        """The challenger, where it can judge a camera."""
        self._unfit.pop(camera.name, None)
        if self.rival is None:
            return None
        try:
            camera_rule(self.rival.card, camera)
        except JikimiError as error:
            self._unfit[camera.name] = str(error)
            return None
        return self.rival

    def poll(self) -> str:
        """Take what its detector says, and start it again where it must → what is wrong; empty: nothing."""
        if self._child is None or self._watch is None:
            return self._chosen.problem
        self._child.poll()
        if not self._child.running:
            self._runs_since_s = None
        elif self._runs_since_s is None:
            self._runs_since_s = self.clock()
        if trouble := self._watch.trouble():
            return f"the challenger does not run: {trouble}; watching is not touched, see the log"
        if self._unfit:
            return f"the challenger leaves a camera out: {next(iter(self._unfit.values()))}"
        if self._behind:
            return "the challenger is too slow for this machine; its counts say little, end the challenge"
        return ""

    def take(self, camera: str, message: ShadowChanged) -> None:
        """Enter what it would have raised; an earlier challenger's is left out."""
        change = message.change
        if self.rival is None or message.model != self.rival.model:
            return
        if change.kind == "opened":
            shadow = ShadowRecord(
                change.uid,
                message.model,
                camera,
                change.behavior,
                change.at,
                change.peak,
                zone=change.zone,
            )
            self._open[change.uid] = shadow
            self.scribe.put(Action(lambda store: store.open_shadow(shadow)))
        elif change.uid in self._open:
            self._open[change.uid] = replace(self._open[change.uid], peak=change.peak)
            if change.kind == "closed":
                self._close(change.uid, change.at)

    def forget(self, camera: str) -> None:
        """A camera is watched no more."""
        self._unfit.pop(camera, None)
        self.close_all(camera)

    def close_all(self, camera: str) -> None:
        """Close what a camera's process left open when it was lost."""
        for uid in [uid for uid, shadow in self._open.items() if shadow.camera == camera]:
            self._close(uid, datetime.now(UTC))

    def _close(self, uid: str, at: datetime) -> None:
        shadow = self._open.pop(uid)
        at = max(at, shadow.opened_at)
        self.scribe.put(Action(lambda store: store.close_shadow(uid, at=at, peak=shadow.peak)))

    def count(self, both_s: Mapping[str, float], *, seen_s: float, hour: datetime) -> None:
        """Note for how long both have watched each camera, of `seen_s` that the champion has watched."""
        if self.rival is None:
            return
        rows = [BothRecord(self.rival.model, name, hour, each) for name, each in both_s.items() if each > 0]
        if self._runs_since_s is not None and self.clock() - self._runs_since_s >= _JUDGED_AFTER_S:
            self._behind = sum(both_s.values()) < _BEHIND * seen_s
        if rows:

            def write(store: Store) -> None:
                store.add_both(rows)

            self.scribe.put(Action(write))

    def end(self) -> None:
        """End its process, and close what it would have raised."""
        if self._child is not None:
            self._child.kill()
        for uid in list(self._open):
            self._close(uid, datetime.now(UTC))
        self._child, self._watch, self._runs_since_s, self._behind = None, None, None, False
        self._unfit.clear()
