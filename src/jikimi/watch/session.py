"""One camera's incidents: decisions → events, evidence and numbers."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jikimi.bundle import Card
from jikimi.errors import InferenceError
from jikimi.frame import Floats
from jikimi.incident import IncidentTracker, Transition
from jikimi.watch.camera import CameraReader, Tick
from jikimi.watch.event import AgeHistogram, CameraSummary, EventKind, FaultKind, WatchEvent
from jikimi.watch.recorder import Evidence

Emit = Callable[[WatchEvent], None]
OnScores = Callable[[str, float, Floats], None]


def utc_now() -> datetime:
    """Return the present moment."""
    return datetime.now(UTC)


@dataclass(slots=True)
class Session:
    """The scoring side of one camera. Used by one thread; the reader may run in another.

    Events leave in order: `started`, then what happens, `ended` last, whatever goes wrong.
    """

    reader: CameraReader
    card: Card
    emit: Emit
    on_scores: OnScores | None = None
    ages: AgeHistogram = field(default_factory=AgeHistogram, init=False)
    dropped: int = field(default=0, init=False)
    _tracker: IncidentTracker = field(init=False)
    _t_s: float = field(default=0.0, init=False)
    _ticks: int = field(default=0, init=False)
    _decisions: int = field(default=0, init=False)
    _inference_errors: int = field(default=0, init=False)
    _incidents: int = field(default=0, init=False)
    _evidence_files: int = field(default=0, init=False)
    _faults: int = field(default=0, init=False)
    _started: bool = field(default=False, init=False)
    _told: set[FaultKind] = field(default_factory=set, init=False)

    def __post_init__(self) -> None:
        self._tracker = IncidentTracker(self.card.keys, self.card.rule)

    @property
    def name(self) -> str:
        """The camera's name."""
        return self.reader.camera.name

    def moments(self, tick: Tick) -> list[float]:
        """Stream times at which a tick's picture is scored: each it answers, or after a gap only the last."""
        self._ticks += tick.count
        gap_s = tick.count / self.card.rate_hz
        last = tick.first + tick.count - 1
        if gap_s > self.card.rule.max_gap_s:
            message = f"camera {self.name!r}: no picture for {gap_s:.1f} s; check the camera and the load"
            self.fault("gap", message)
            return [last / self.card.rate_hz]
        return [index / self.card.rate_hz for index in range(tick.first, last + 1)]

    def decided(self, t_s: float, scores: Floats | None, *, arrived_s: float) -> None:
        """Take the answer for stream time `t_s`; None is "not yet known" and leaves this moment blind."""
        self._t_s = t_s
        self._told.discard("inference")
        if scores is None:
            return
        self._decisions += 1
        self._told.discard("gap")
        transitions = self._tracker.update(t_s, [float(score) for score in scores])
        self.ages.add(time.monotonic() - arrived_s)
        if self.on_scores is not None:
            self.on_scores(self.name, t_s, scores)
        self._report(transitions)

    def failed(self, t_s: float, error: InferenceError) -> None:
        """Take a failure of the model at stream time `t_s`: a fault, told once until it answers again."""
        self._t_s = t_s
        self._inference_errors += 1
        self.fault("inference", f"camera {self.name!r}: {error}")

    def fault(
        self, kind: FaultKind, message: str, *, evidence: Path | None = None, t_s: float | None = None
    ) -> None:
        """Report what impairs watching; the same kind again only after it was over."""
        if kind in self._told:
            return
        self._told.add(kind)
        self._faults += 1
        self._send("fault", self._t_s if t_s is None else t_s, evidence=evidence, fault=kind, message=message)

    def poll(self) -> None:
        """Report what the reading side has come to since the last call."""
        found = self.reader.info
        if found is not None and not self._started:
            self._started = True
            self._send("started", 0.0, **asdict(found))
        decoder = self.reader.decoder
        if decoder is not None and decoder.errors and not decoder.broke_off:
            damage = decoder.last_error or "torn pictures"
            self.fault("damaged", f"camera {self.name!r}: damaged video: {damage}")
        if self.reader.recorder is not None:
            for evidence in self.reader.recorder.outcomes():
                self._report_evidence(evidence)

    def halt(self) -> None:
        """Make the reader end soon."""
        self.reader.stop.set()

    def release(self) -> None:
        """Finish what is being written, however watching ended. May be called again."""
        if self.reader.recorder is not None:
            self.reader.recorder.finish()

    def end(self) -> CameraSummary:
        """Close what is open, finish its evidence and report the numbers."""
        self._report(self._tracker.finish(self._t_s))
        self.release()
        self.poll()
        if self.reader.problem:
            kind: FaultKind = "broke-off" if self._started else "cannot-open"
            self.fault(kind, f"camera {self.name!r}: {self.reader.problem}")
        summary = self._summary()
        numbers = {key: value for key, value in asdict(summary).items() if key != "camera"}
        self._send("ended", summary.stream_s, **numbers, stopped=self.reader.stop.is_set())
        return summary

    def _report(self, transitions: list[Transition]) -> None:
        for transition in transitions:
            incident = transition.incident
            self._send(
                transition.kind,
                transition.t_s,
                behavior=incident.behavior,
                score=transition.score,
                opened_s=incident.opened_s,
            )
            self._incidents += transition.kind == "opened"
            recorder = self.reader.recorder
            if recorder is not None and transition.kind == "opened":
                recorder.open(incident, stem=f"{self._when(incident.opened_s)}_{incident.behavior}")
            if recorder is not None and transition.kind == "closed":
                recorder.close(incident)

    def _when(self, t_s: float) -> str:
        """When an incident opened, as evidence is named: UTC for a camera, stream time for a recording."""
        return f"{utc_now():%Y%m%dT%H%M%SZ}" if self.reader.camera.live else f"t{t_s:09.3f}s"

    def _report_evidence(self, evidence: Evidence) -> None:
        incident = evidence.incident
        if evidence.problem:
            self._told.discard("evidence")  # each lost file is told
            message = f"camera {self.name!r}: {evidence.problem}"
            self.fault("evidence", message, evidence=evidence.path, t_s=incident.opened_s)
        if evidence.path is None:
            return
        self._evidence_files += 1
        self._send(
            "evidence",
            evidence.end_s,
            behavior=incident.behavior,
            score=incident.peak,
            evidence=evidence.path,
            opened_s=incident.opened_s,
            start_s=round(evidence.start_s, 3),
            end_s=round(evidence.end_s, 3),
            reencoded=evidence.reencoded,
            complete=evidence.complete,
        )

    def _send(
        self,
        event: EventKind,
        t_s: float,
        *,
        behavior: str | None = None,
        score: float | None = None,
        evidence: Path | None = None,
        **details: Any,
    ) -> None:
        now = f"{utc_now().isoformat(timespec='milliseconds').removesuffix('+00:00')}Z"
        self.emit(WatchEvent(event, self.name, t_s, now, behavior, score, evidence, details))

    def _summary(self) -> CameraSummary:
        decoder = self.reader.decoder
        return CameraSummary(
            camera=self.name,
            stream_s=round(self.reader.last_t_s, 3),
            frames_decoded=decoder.decoded if decoder is not None else 0,
            decode_errors=decoder.errors if decoder is not None else 0,
            clock_jumps=decoder.jumps if decoder is not None else 0,
            dropped_frames=self.dropped,
            decisions=self._decisions,
            inference_errors=self._inference_errors,
            blind_s=round((self._ticks - self._decisions) / self.card.rate_hz, 3),
            incidents=self._incidents,
            evidence_files=self._evidence_files,
            faults=self._faults,
            age_p50_s=self.ages.quantile(0.5),
            age_p95_s=self.ages.quantile(0.95),
        )
