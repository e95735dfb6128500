"""One camera's health: pictures in, changes out. It knows no clock and no disk."""

from typing import Final

from jikimi.frame import Image
from jikimi.watch.health.clocks import DamageShare, StampLag, Stillness
from jikimi.watch.health.latch import Latch
from jikimi.watch.health.reference import Likeness, Reference
from jikimi.watch.health.settings import HealthSettings
from jikimi.watch.health.torn import is_torn
from jikimi.watch.health.view import View, view_of
from jikimi.watch.health.words import HealthChange, HealthKind, change

Levels = dict[HealthKind, float | None]

# What is judged by the picture itself, and keeps it out of the reference.
_SEEN: Final[tuple[HealthKind, ...]] = ("dark", "covered", "out-of-focus", "moved")


class HealthMonitor:
    """Judges the pictures of one camera, about two a second, as `update` brings them.

    By day and by infrared a camera has a reference each: switching is no move.
    """

    def __init__(self, camera: str, settings: HealthSettings | None = None) -> None:
        self.camera = camera
        self.settings = settings = settings or HealthSettings()
        self._latches: dict[HealthKind, Latch] = {
            "frozen": Latch(settings.frozen),
            "dark": Latch(settings.dark),
            "covered": Latch(settings.covered),
            "out-of-focus": Latch(settings.out_of_focus),
            "moved": Latch(settings.moved),
            "stale-stamps": Latch(settings.stale_stamps),
            "damaged": Latch(settings.damaged),
        }
        self._stillness, self._lag = Stillness(settings), StampLag(settings)
        self._damage = DamageShare(settings.damaged_window_s)
        self._references: dict[bool, Reference] = {}
        self._before: View | None = None
        self._last_s: float | None = None
        self._quiet_since_s: float | None = None
        self._offline = False

    @property
    def ailments(self) -> frozenset[HealthKind]:
        """What the camera suffers from now."""
        on: set[HealthKind] = {kind for kind, latch in self._latches.items() if latch.on}
        return frozenset(on | {"offline"} if self._offline else on)

    def update(
        self, image_HWC: Image, t_s: float, stamp_s: float, damaged: bool = False
    ) -> list[HealthChange]:
        """Take a picture, uint8 RGB (H, W, 3), seen at `t_s` monotonic seconds.

        `stamp_s` is its time by the stream's own clock in seconds; `damaged` what the decoder said of it.

        Raises:
            ValueError: `t_s` runs backwards.
        """
        if self._last_s is not None and t_s < self._last_s:
            raise ValueError(f"health of '{self.camera}': {t_s} s comes after {self._last_s} s")
        changes = self._back(t_s)
        dt_s = 0.0 if self._last_s is None else min(t_s - self._last_s, self.settings.step_max_s)
        levels = self._levels(image_HWC, t_s, stamp_s, damaged=damaged, dt_s=dt_s)
        self._last_s = t_s
        for kind, latch in self._latches.items():
            if latch.update(levels[kind], dt_s):
                changes.append(change(self.camera, kind, begins=latch.on, t_s=t_s))
        return changes

    def silent(self, t_s: float) -> list[HealthChange]:
        """Say that no picture has come until `t_s`: too long after the last (or the first call), offline."""
        since_s = self._last_s if self._last_s is not None else self._quiet_since_s
        if since_s is None:
            self._quiet_since_s = since_s = t_s
        if self._offline or t_s - since_s < self.settings.offline_s:
            return []
        self._offline = True
        return [change(self.camera, "offline", begins=True, t_s=t_s)]

    def relearn(self) -> None:
        """Adopt what the camera shows now: somebody has looked at it and accepts it."""
        self._references.clear()

    def _back(self, t_s: float) -> list[HealthChange]:
        """A picture has come: offline ends, and what is measured over time begins anew."""
        if not self._offline:
            return []
        self._offline = False
        self._stillness.forget()
        self._lag.forget()
        return [change(self.camera, "offline", begins=False, t_s=t_s)]

    def _levels(self, image: Image, t_s: float, stamp_s: float, *, damaged: bool, dt_s: float) -> Levels:
        """How ill the camera is by each measure; None: this picture does not tell."""
        damaged = damaged or is_torn(image)
        levels: Levels = dict.fromkeys(_SEEN)
        levels["frozen"] = self._stillness.level(image, t_s)
        levels["stale-stamps"] = self._lag.lag_s(t_s, stamp_s)
        levels["damaged"] = self._damage.share(t_s, damaged=damaged)
        if damaged:
            return levels
        view = view_of(image)
        levels["dark"] = darkness = 1 - view.bright / 255
        if self._latches["dark"].on or darkness > self.settings.dark.end_below:
            levels["frozen"] = None  # black is black: nothing in it could move
            self._stillness.forget()
        else:
            levels |= self._beside_reference(view, dt_s)
        self._before = view
        return levels

    def _beside_reference(self, view: View, dt_s: float) -> Levels:
        """Judge a picture that is not dark by the reference for its light; learn from it where it is well."""
        reference = self._references.setdefault(view.mono, Reference(self.settings))
        if not reference.ready:
            return self._beside_other_light(reference, view, dt_s)
        found = reference.compare(view, self._before or view)
        if found.bare and not found.covered:
            del self._references[view.mono]  # the cover it started with is off
        elif self._is_well(found):
            reference.learn(view, dt_s)
        if self._latches["covered"].on or (found.covered or 0) > self.settings.covered.end_below:
            return {"covered": found.covered}  # what it shows is not what the camera looks at
        return {"covered": found.covered, "out-of-focus": found.blurred, "moved": found.moved}

    def _beside_other_light(self, reference: Reference, view: View, dt_s: float) -> Levels:
        """Learn a light not seen before. What is on by the other light stays on; only a cover can be told."""
        other = self._references.get(not view.mono)
        if other is None or not other.ready:
            reference.learn(view, dt_s)
            return dict.fromkeys(_SEEN[1:], 0.0)
        covered = other.compare(view, view).covered
        if not self.ailments and (covered or 0) <= self.settings.covered.end_below:
            reference.learn(view, dt_s)
        return {"covered": covered}

    def _is_well(self, found: Likeness) -> bool:
        settings = self.settings
        return (
            not self.ailments
            and not (found.covered or 0) > settings.covered.end_below
            and not (found.blurred or 0) > settings.out_of_focus.end_below
            and not (found.moved or 0) > settings.moved.end_below
        )
