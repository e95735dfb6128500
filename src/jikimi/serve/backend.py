"""What the routes stand on: settings, store, status, and what they may have done by others."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from fastapi import Request

from jikimi.behaviors import BEHAVIORS, Behavior
from jikimi.bundle import Card
from jikimi.errors import NotFoundError
from jikimi.in_force import Followed
from jikimi.passwords import Passwords
from jikimi.serve.access import Caller
from jikimi.serve.addresses import Resolve, look_up
from jikimi.settings import CameraSettings, Mask, Settings, Target, Zone
from jikimi.status import BUCKETS_S, Histogram, SiteStatus, read_status
from jikimi.store import AuditRecord, IncidentRecord, Store

# The status is written twice a second; older than this, the watching half has hung or died.
FRESH_S = 3.0


@dataclass(frozen=True, slots=True)
class Sight:
    """What of an incident is to be explained: a behaviour in a view of its camera, at a moment of a video."""

    uid: str
    video: Path
    moment_s: float
    behavior: str
    zone: str
    zones: tuple[Zone, ...]
    masks: tuple[Mask, ...]


@dataclass(frozen=True, slots=True)
class Heat:
    """Where the model looked, as a JPEG, and the score of what it saw."""

    jpeg: bytes
    score: float


def _no_model(sight: Sight) -> Heat:
    raise NotFoundError(f"incident {sight.uid!r}: there is no model here that could explain it")


@dataclass(frozen=True, slots=True)
class Backend:
    """What the routes stand on.

    `followed` are the settings that hold. `check_camera` refuses settings that the model cannot serve
    (SettingsError), `check_target` a target that can never work (RefusedError), `target_hosts` are those that
    its url leads to. `try_camera` opens a camera → what `TrialAnswer` says of it; `try_target` sends a test
    → seconds; `explain` makes a heat map. All three may take seconds and raise any JikimiError. `replay` is
    what is held of a camera: from when to when. `next_targets` are those whom an incident goes to next, and
    `pass_on` tells them at once, in somebody's name; False: they were told meanwhile. `check_bundle` opens
    and tests one of somebody else (BundleError; seconds), `check_rule` refuses a camera that a model cannot
    serve (SettingsError). `deliveries` are latencies by target, `behaviors` and thresholds
    `theta_on` the watching model's. `allow_loopback` lets cameras be on this machine,
    `allow_local_targets` targets. `passwords` hash.
    """

    followed: Followed
    store: Store
    status_file: Path
    check_camera: Callable[[CameraSettings], None]
    try_target: Callable[[Target], float]
    try_camera: Callable[[CameraSettings], Mapping[str, object]]
    deliveries: Mapping[str, Histogram] = field(default_factory=dict)
    theta_on: Callable[[], Mapping[str, float]] = dict
    behaviors: Callable[[], tuple[Behavior, ...]] = lambda: BEHAVIORS
    check_bundle: Callable[[Path], None] = lambda _path: None
    check_rule: Callable[[Card, CameraSettings], None] = lambda _card, _camera: None
    allow_loopback: bool = False
    allow_local_targets: bool = False
    check_target: Callable[[Target], None] = lambda _target: None
    target_hosts: Callable[[Target], Sequence[str]] = lambda _target: ()
    resolve: Resolve = look_up
    passwords: Passwords = field(default_factory=Passwords)
    explain: Callable[[Sight], Heat] = _no_model
    replay: Callable[[CameraSettings], Sequence[tuple[datetime, datetime]]] = lambda _camera: ()
    next_targets: Callable[[IncidentRecord], Sequence[str]] = lambda _incident: ()
    pass_on: Callable[[IncidentRecord, str], bool] = lambda _incident, _by: False

    @property
    def settings(self) -> Settings:
        """What holds now: jikimi.toml, and over it what was stored."""
        return self.followed.now.settings

    @property
    def media_folder(self) -> Path:
        """The only folder of which the API takes files for cameras."""
        return self.settings.site.data / "media"

    def status(self) -> SiteStatus | None:
        """The watching half as it last said, however long ago; None where there is none or it is damaged."""
        status = read_status(self.status_file)
        return status if status is not None and _sound(status) else None

    def note(self, caller: Caller, what: str, about: str, **details: object) -> None:
        """Write into the audit log who did what. Raises StoreError."""
        self.store.audit(AuditRecord(datetime.now(UTC), caller.name, what, about, details))


def backend_of(request: Request) -> Backend:
    """What the routes stand on."""
    backend: Backend = request.app.state.backend
    return backend


def is_fresh(status: SiteStatus) -> bool:
    """Whether the watching half said this just now.

    A status of the future is as bad as an old one: after the clock was set back, a site that has died would
    seem to live for as long.
    """
    return abs(status.age_s(datetime.now(UTC))) < FRESH_S


def _sound(status: SiteStatus) -> bool:
    """Whether what was read can be shown: a moment with its zone, histograms of our buckets."""
    stages: Iterable[Histogram] = [
        *status.stages.values(),
        *(one for camera in status.cameras for one in camera.stages.values()),
    ]
    aware = status.at.tzinfo is not None and status.started_at.tzinfo is not None
    return aware and all(len(stage.counts) == len(BUCKETS_S) + 1 for stage in stages)
