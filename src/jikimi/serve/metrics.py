"""`/metrics` for Prometheus: the status and the outbox, read when somebody asks."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from jikimi.serve.backend import is_fresh
from jikimi.status import BUCKETS_S, CameraStatus, Histogram, SiteStatus
from jikimi.store.records import OutboxState

_COUNTERS = {
    "pictures": "Pictures decoded.",
    "damaged": "Pictures or packets that were damaged.",
    "dropped": "Pictures dropped because a newer one had come.",
    "decisions": "Decisions made.",
    "unanswered": "Pictures without a decision: faults of the detector.",
    "reconnects": "Times the camera was opened anew.",
    "restarts": "Times the camera's process was started anew.",
    "incidents": "Incidents opened.",
    "clock_jumps": "Times the stream's clock jumped.",
}
_SECONDS = {"seen_s": "Seconds watched.", "due_s": "Seconds that were to be watched."}

STATES = ("connecting", "live", "stalled", "backing-off", "disabled")

Counts = Mapping[tuple[str, OutboxState], int]


# People acknowledge in minutes, not milliseconds.
_WAITS_S = (5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0)


class SiteCollector(Collector):
    """Turns one status into metrics."""

    def __init__(
        self,
        status: SiteStatus | None,
        outbox: Counts,
        deliveries: Mapping[str, Histogram],
        waits_s: Sequence[float],
    ) -> None:
        self._status, self._outbox, self._deliveries = status, outbox, deliveries
        self._waits_s = waits_s

    def collect(self) -> Iterator[Metric]:
        """Yield every metric."""
        up = GaugeMetricFamily("jikimi_up", "Whether the watching half is alive.")
        up.add_metric([], float(self._status is not None and is_fresh(self._status)))
        yield up
        yield self._outbox_metric()
        yield _histograms("jikimi_delivery_seconds", "From stored to told.", "target", self._deliveries)
        yield self._acknowledged()
        if self._status is not None:
            yield from _site(self._status)
            yield from _cameras(self._status.cameras)

    def _acknowledged(self) -> Metric:
        metric = HistogramMetricFamily(
            "jikimi_acknowledged_seconds", "From opening to acknowledgement, incidents of the last day."
        )
        counts = [(f"{bound:g}", float(sum(wait <= bound for wait in self._waits_s))) for bound in _WAITS_S]
        metric.add_metric([], [*counts, ("+Inf", float(len(self._waits_s)))], sum_value=sum(self._waits_s))
        return metric

    def _outbox_metric(self) -> Metric:
        metric = GaugeMetricFamily(
            "jikimi_outbox", "Notices by target and state.", labels=["target", "state"]
        )
        for (target, state), count in self._outbox.items():
            metric.add_metric([target, state], count)
        return metric


def render(
    status: SiteStatus | None,
    outbox: Counts,
    deliveries: Mapping[str, Histogram],
    waits_s: Sequence[float] = (),
) -> bytes:
    """The text that Prometheus reads; `waits_s` are seconds from opening to acknowledgement."""
    registry = CollectorRegistry()
    registry.register(SiteCollector(status, outbox, deliveries, waits_s))
    return generate_latest(registry)


def _site(status: SiteStatus) -> Iterator[Metric]:
    for name, words, value in (
        ("watching", "Whether every camera that is due is being decided on.", status.watching),
        ("incidents_open", "Incidents that have not closed.", status.open_incidents),
        ("store_waiting", "Entries that wait for the store.", status.waiting_for_store),
        ("disk_free_bytes", "Free space where evidence is kept.", status.free_bytes),
        ("evidence_bytes", "What evidence takes.", status.evidence_bytes),
    ):
        gauge = GaugeMetricFamily(f"jikimi_{name}", words)
        gauge.add_metric([], float(value))
        yield gauge
    for name, words, value in (
        ("store_retries", "Times the store had to be asked again.", status.store_retries),
        ("detector_restarts", "Times the detector was started anew.", status.detector_restarts),
    ):
        counter = CounterMetricFamily(f"jikimi_{name}", words)
        counter.add_metric([], float(value))
        yield counter
    yield _histograms("jikimi_stage_seconds", "Site-wide stages.", "stage", status.stages)


def _cameras(cameras: Iterable[CameraStatus]) -> Iterator[Metric]:
    cameras = list(cameras)
    for key, words in (_COUNTERS | _SECONDS).items():
        name = f"jikimi_camera_{key.removesuffix('_s')}" + ("_seconds" if key in _SECONDS else "")
        counter = CounterMetricFamily(name, words, labels=["camera"])
        for camera in cameras:
            counter.add_metric([camera.name], float(getattr(camera, key)))
        yield counter
    state = GaugeMetricFamily("jikimi_camera_state", "1 for the state it is in.", labels=["camera", "state"])
    fault = GaugeMetricFamily("jikimi_camera_fault", "1 for each fault it has.", labels=["camera", "fault"])
    picture = GaugeMetricFamily(
        "jikimi_camera_picture_age_seconds", "Since its last picture.", labels=["camera"]
    )
    decided = GaugeMetricFamily(
        "jikimi_camera_decision_age_seconds", "Since its last decision.", labels=["camera"]
    )
    memory = GaugeMetricFamily("jikimi_camera_memory_bytes", "Its process's memory.", labels=["camera"])
    for camera in cameras:
        for one in STATES:
            state.add_metric([camera.name, one], float(camera.state == one))
        for kind in camera.faults:
            fault.add_metric([camera.name, kind], 1.0)
        if camera.picture_age_s is not None:
            picture.add_metric([camera.name], camera.picture_age_s)
        if camera.decided_age_s is not None:
            decided.add_metric([camera.name], camera.decided_age_s)
        memory.add_metric([camera.name], float(camera.memory_bytes))
    yield from (state, fault, picture, decided, memory)
    for stage in ("decided", "noticed"):
        rows = {camera.name: camera.stages[stage] for camera in cameras if stage in camera.stages}
        words = {"decided": "From picture to decision.", "noticed": "From picture to incident."}[stage]
        yield _histograms(f"jikimi_{stage}_seconds", words, "camera", rows)


def _histograms(name: str, words: str, label: str, rows: Mapping[str, Histogram]) -> Metric:
    metric = HistogramMetricFamily(name, words, labels=[label])
    for key, histogram in rows.items():
        total, buckets = 0, []
        for bound, count in zip((*map(str, BUCKETS_S), "+Inf"), histogram.counts, strict=True):
            total += count
            buckets.append((bound, float(total)))
        metric.add_metric([key], buckets, sum_value=histogram.sum_s)
    return metric
