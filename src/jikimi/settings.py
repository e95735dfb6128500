"""What a site's settings can say. Every value checks itself: what is wrong is told before anything starts.

`settings_file` reads them from `jikimi.toml` and the environment.
"""

import re
from datetime import time
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SecretStr,
    ValidationError,
    model_validator,
)

from jikimi.address import Address

Point = tuple[Annotated[float, Field(ge=0, le=1)], Annotated[float, Field(ge=0, le=1)]]
"""(x, y) as shares of the picture's width and height, from its upper left corner."""

Polygon = Annotated[tuple[Point, ...], Field(min_length=3), AfterValidator(lambda value: _has_area(value))]

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

Role = Literal["admin", "operator", "viewer"]

# The number after which an address would be longer than any camera's.
_MAX_ADDRESS = 2048


class _Section(BaseModel):
    """A table of the file: an unknown key is a mistake and never ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def first_problem(error: ValidationError) -> tuple[str, str]:
    """What is wrong first → where, with dots, and what; the value, which may be a secret, is not quoted."""
    found = error.errors(include_input=False, include_url=False)[0]
    return ".".join(map(str, found["loc"])), found["msg"].removeprefix("Value error, ")


def _address(value: Any) -> Any:
    if isinstance(value, Address):
        return value
    if not isinstance(value, str) or not value.strip() or len(value) > _MAX_ADDRESS:
        raise ValueError("an address, a file or a device is expected")
    return Address(value)


def _clock(value: Any) -> Any:
    if isinstance(value, str) and re.fullmatch(r"24:00", value):
        return time.max
    return value


def _clock_text(value: time) -> str:
    return "24:00" if value == time.max else value.isoformat("minutes" if not value.second else "auto")


def _https(value: SecretStr) -> SecretStr:
    if not re.match(r"https?://[^/\s]", value.get_secret_value()):
        raise ValueError("an http:// or https:// address is expected")
    return value


def _naive(value: time) -> time:
    if value.tzinfo is not None:
        raise ValueError("a time of the plant's own clock is expected, as 08:00, without a zone")
    return value


def _has_area(value: tuple[Point, ...]) -> tuple[Point, ...]:
    twice = sum(x * y2 - x2 * y for (x, y), (x2, y2) in zip(value, (*value[1:], value[0]), strict=True))
    if abs(twice) < 2e-4:  # a hundredth of a hundredth of the picture
        raise ValueError("a polygon encloses something: give three corners or more, not on a line")
    return value


Clock = Annotated[
    time,
    BeforeValidator(_clock),
    AfterValidator(_naive),
    PlainSerializer(_clock_text, return_type=str, when_used="json"),
]
Source = Annotated[Address, BeforeValidator(_address)]
Url = Annotated[SecretStr, AfterValidator(_https)]
Name = Annotated[str, Field(min_length=1, max_length=80, pattern=r"^[^\x00-\x1f/\\]+$")]


class Hours(_Section):
    """When something holds: on `days`, from `start` to `end` local time; past midnight where end ≤ start."""

    days: tuple[Day, ...] = DAYS
    start: Clock = time(0)
    end: Clock = time.max


class Zone(_Section):
    """A part of the picture that is cropped and scored as a view of its own."""

    name: Name
    polygon: Polygon


class Mask(_Section):
    """A part of the picture: `ignore` hides it from the model, `blacken` from whoever is shown it, too."""

    polygon: Polygon
    kind: Literal["ignore", "blacken"] = "ignore"


class CameraSettings(_Section):
    """One camera of a site. `sub` is analysed where there is one; `address` is recorded."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, arbitrary_types_allowed=True)

    name: Name
    address: Source
    sub: Source | None = None
    transport: Literal["tcp", "udp"] = "tcp"
    enabled: bool = True
    behaviors: tuple[str, ...] | None = None
    theta_on: dict[str, Annotated[float, Field(gt=0, le=1)]] = {}
    zones: Annotated[tuple[Zone, ...], Field(alias="zone")] = ()
    masks: Annotated[tuple[Mask, ...], Field(alias="mask")] = ()
    hours: tuple[Hours, ...] = ()
    pre_roll_s: Annotated[float, Field(ge=0, le=60)] | None = None
    post_roll_s: Annotated[float, Field(ge=0, le=600)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _long_names(cls, raw: Any) -> Any:
        """Take `zones` and `masks` as well as the file's `[[camera.zone]]` and `[[camera.mask]]`."""
        if not isinstance(raw, dict):
            return raw
        short = {"zones": "zone", "masks": "mask"}
        return {short.get(key, key): value for key, value in raw.items()}

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        names = [zone.name for zone in self.zones]
        if twice := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"zone {twice[0]!r} occurs twice")
        return self


class SiteSection(_Section):
    """The plant: its name in alerts, the language of what people read, and where everything is kept."""

    name: Name = "Jikimi"
    language: Literal["ko", "en"] = "ko"
    data: Path = Path("jikimi-data")
    time_zone: Annotated[str, Field(max_length=80)] | None = None

    @model_validator(mode="after")
    def _known_zone(self) -> Self:
        if self.time_zone is not None:
            try:
                ZoneInfo(self.time_zone)
            except (ZoneInfoNotFoundError, ValueError, OSError) as error:
                raise ValueError(
                    f"time_zone {self.time_zone!r} is not known; for example Asia/Seoul"
                ) from error
        return self


class ModelSection(_Section):
    """What watches. No bundle: the one that was promoted, or that Jikimi carries. `threads` 0: every core."""

    bundle: Path | None = None
    threads: Annotated[int, Field(ge=0, le=256)] = 0
    batch_wait_ms: Annotated[float, Field(ge=0, le=1000)] = 20


class StoreSection(_Section):
    """Where incidents are kept: SQLite in the data folder, or another database by URL."""

    url: SecretStr | None = None
    key_file: Path | None = None


def _network(value: str) -> str:
    try:
        ip_network(value, strict=False)
    except ValueError:
        raise ValueError(
            "an IP address or network of proxies is expected, as 10.0.0.2 or 10.0.0.0/24"
        ) from None
    return value


class ServeSection(_Section):
    """Where dashboard and API listen, and how.

    Of `trusted_proxies` it is believed for whom they ask. With `local_cameras` those of this machine may
    be added, as behind a relay that runs here; with `local_targets` targets, as a broker that runs here.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8710
    tls_cert: Path | None = None
    tls_key: Path | None = None
    trusted_proxies: tuple[Annotated[str, AfterValidator(_network)], ...] = ()
    local_cameras: bool = False
    local_targets: bool = False

    @model_validator(mode="after")
    def _both_or_neither(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("tls_cert and tls_key go together; give both, or neither")
        return self

    @property
    def tls(self) -> tuple[Path, Path] | None:
        """Certificate and key; None: without TLS."""
        return None if self.tls_cert is None or self.tls_key is None else (self.tls_cert, self.tls_key)

    @property
    def scheme(self) -> Literal["http", "https"]:
        """What is spoken on the port."""
        return "https" if self.tls_cert is not None else "http"


class EvidenceSection(_Section):
    """What is kept around an incident, and for how long; `replay_minutes` of everything, 0: of nothing."""

    pre_roll_s: Annotated[float, Field(ge=0, le=60)] = 10
    post_roll_s: Annotated[float, Field(ge=0, le=600)] = 10
    keep_days: Annotated[float, Field(gt=0, le=36_500)] = 30
    max_gb: Annotated[float, Field(gt=0, le=1e9)] = 50
    min_free_gb: Annotated[float, Field(ge=0, le=1e9)] = 1
    replay_minutes: Annotated[float, Field(ge=0, le=10_080)] = 60


class HealthSection(_Section):
    """How soon a camera's trouble is told."""

    offline_s: Annotated[float, Field(gt=0, le=3600)] = 10
    frozen_s: Annotated[float, Field(gt=0, le=3600)] = 10


class Target(_Section):
    """Somebody to alert. `url` is Apprise's, the broker's (`mqtt://user:pass@host:1883`) or the webhook's."""

    name: Name
    kind: Literal["apprise", "mqtt", "webhook"]
    url: SecretStr
    secret: SecretStr | None = None
    topic: str = "jikimi"
    discovery: str | None = "homeassistant"
    faults: bool = True

    @model_validator(mode="after")
    def _fits(self) -> Self:
        url = self.url.get_secret_value()
        if self.kind == "webhook" and not re.match(r"https?://[^/\s]", url):
            raise ValueError("url: a webhook takes an http:// or https:// address")
        if self.kind == "webhook" and self.secret is None:
            raise ValueError("secret: a webhook is signed; give it a secret")
        if self.kind == "mqtt" and not re.match(r"mqtts?://[^/\s]", url):
            raise ValueError("url: a broker is mqtt://host:1883 or mqtts://host:8883")
        return self


class AlertsSection(_Section):
    """Who is told first, and who next when nobody acknowledges. No lists: every target at once."""

    lists: tuple[tuple[str, ...], ...] = ()
    escalate_after_s: Annotated[float, Field(gt=0, le=86_400)] = 120


class PulseSection(_Section):
    """A sign of life outwards: an address to ping; a missing ping means that this box is dead."""

    url: Url | None = None
    every_s: Annotated[float, Field(ge=1)] = 30


class Shift(_Section):
    """A shift, for coverage by shift."""

    name: Name
    hours: Hours


class Token(_Section):
    """Who may use the API, by the SHA-256 of the token. `cameras` None: all of them."""

    name: Name
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    role: Role = "viewer"
    cameras: tuple[str, ...] | None = None


class Settings(_Section):
    """Everything `jikimi.toml` can say."""

    site: SiteSection = SiteSection()
    model: ModelSection = ModelSection()
    store: StoreSection = StoreSection()
    serve: ServeSection = ServeSection()
    evidence: EvidenceSection = EvidenceSection()
    health: HealthSection = HealthSection()
    alerts: AlertsSection = AlertsSection()
    pulse: PulseSection = PulseSection()
    cameras: Annotated[tuple[CameraSettings, ...], Field(alias="camera")] = ()
    targets: Annotated[tuple[Target, ...], Field(alias="target")] = ()
    shifts: Annotated[tuple[Shift, ...], Field(alias="shift")] = ()
    tokens: Annotated[tuple[Token, ...], Field(alias="token")] = ()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for what, names in {
            "camera": [camera.name for camera in self.cameras],
            "target": [target.name for target in self.targets],
            "shift": [shift.name for shift in self.shifts],
            "token": [token.name for token in self.tokens],
        }.items():
            if twice := [name for name in names if names.count(name) > 1]:
                raise ValueError(f"{what} {twice[0]!r} occurs twice; rename one")
        known = {target.name for target in self.targets}
        for row in self.alerts.lists:
            if unknown := [name for name in row if name not in known]:
                raise ValueError(f"alerts.lists names {unknown[0]!r}, which is no [[target]]")
        return self

    @property
    def alert_lists(self) -> tuple[tuple[str, ...], ...]:
        """Names of targets, list by list in order of escalation."""
        return self.alerts.lists or ((tuple(target.name for target in self.targets),) if self.targets else ())

    @property
    def store_url(self) -> str:
        """The database's URL, with its password."""
        if self.store.url is not None:
            return self.store.url.get_secret_value()
        return f"sqlite:///{(self.site.data / 'jikimi.db').absolute()}"

    @property
    def key_file(self) -> Path:
        """Where the key lies that encrypts cameras' addresses."""
        return self.store.key_file or self.site.data / "jikimi.key"

    @property
    def evidence_folder(self) -> Path:
        """Where evidence is kept."""
        return self.site.data / "evidence"

    @property
    def replay_folder(self) -> Path:
        """Where everything that cameras send is kept for a while."""
        return self.site.data / "replay"

    @property
    def models_folder(self) -> Path:
        """Where bundles lie that were added while the site ran."""
        return self.site.data / "models"

    def zone(self) -> ZoneInfo | None:
        """The plant's time zone; None is the machine's."""
        return ZoneInfo(self.site.time_zone) if self.site.time_zone else None
