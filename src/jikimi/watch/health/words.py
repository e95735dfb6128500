"""What is said when a camera falls ill or gets well."""

from dataclasses import dataclass
from typing import Final, Literal

HealthKind = Literal[
    "offline", "frozen", "dark", "covered", "out-of-focus", "moved", "stale-stamps", "damaged"
]

BEGINS: Final[dict[HealthKind, str]] = {
    "offline": "no picture comes; check power, cable and address",
    "frozen": "the same picture comes again and again; restart the camera",
    "dark": "the picture is dark; check the lighting, or take the cap off the lens",
    "covered": "something covers the lens or hides the view; clear or clean it",
    "out-of-focus": "the picture is blurred; focus or wipe the lens",
    "moved": "the camera looks elsewhere than before; turn it back, or accept the new view",
    "stale-stamps": "the stream's clock stands or lags behind; restart the camera or relieve the network",
    "damaged": "many pictures arrive damaged; check the network and the camera's bit rate",
}

ENDS: Final[dict[HealthKind, str]] = {
    "offline": "pictures come again",
    "frozen": "the picture lives again",
    "dark": "the picture is bright again",
    "covered": "the view is clear again",
    "out-of-focus": "the picture is sharp again",
    "moved": "the camera looks where it did",
    "stale-stamps": "the stream's clock keeps up again",
    "damaged": "pictures arrive whole again",
}


@dataclass(frozen=True, slots=True)
class HealthChange:
    """An ailment that begins or ends at `t_s` monotonic seconds. `message`: where, what and what to do."""

    kind: HealthKind
    begins: bool
    t_s: float
    message: str


def change(camera: str, kind: HealthKind, *, begins: bool, t_s: float) -> HealthChange:
    """Put an ailment into words."""
    words = BEGINS if begins else ENDS
    return HealthChange(kind, begins, t_s, f"camera '{camera}': {words[kind]}")
