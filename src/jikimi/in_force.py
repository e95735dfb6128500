"""What a site runs with: `jikimi.toml`, and over it what was stored while it ran.

A target is the file's or the store's, never both. A single value holds by where it was last decided:
the environment, else the store, else the file, else its default. Docs: "Changing settings".
"""

import logging
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from jikimi.errors import SettingsError, StoreError
from jikimi.settings import Settings, Shift, Target, first_problem
from jikimi.store import SettingRecord, Store, StoredTarget

log = logging.getLogger(__name__)

Origin = Literal["environment", "stored", "jikimi.toml", "default"]
Applies = Literal["at-once", "next-incident", "cameras-anew"]

SHIFTS = "shift"

CHANGEABLE: Mapping[str, Applies] = {
    "site.name": "at-once",
    "site.language": "at-once",
    "site.time_zone": "cameras-anew",
    "evidence.pre_roll_s": "next-incident",
    "evidence.post_roll_s": "next-incident",
    "evidence.keep_days": "at-once",
    "evidence.max_gb": "at-once",
    "evidence.min_free_gb": "cameras-anew",
    "evidence.replay_minutes": "cameras-anew",
    "health.offline_s": "cameras-anew",
    "health.frozen_s": "cameras-anew",
    "alerts.lists": "at-once",
    "alerts.escalate_after_s": "at-once",
    SHIFTS: "at-once",
}
"""Which values may be stored, and when a change of one takes effect: nothing here takes a restart.

`cameras-anew`: every camera's process begins anew with it, which takes some two seconds.
"""

_LOOK_EVERY_S = 1.0

_SHIFTS = TypeAdapter(tuple[Shift, ...])


@dataclass(frozen=True, slots=True)
class Value:
    """A value that holds, as JSON has it, and the one that would hold if none were stored."""

    key: str
    value: Any
    origin: Origin
    given: Any
    given_origin: Origin
    changed_at: datetime | None = None
    changed_by: str = ""


@dataclass(frozen=True, slots=True)
class InForce:
    """What holds now. `lost` are stored targets that cannot be opened, with the reason.

    `problems` are what was stored and does not hold, one line each.
    """

    settings: Settings
    values: Mapping[str, Value]
    lost: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    @property
    def notes(self) -> dict[str, str]:
        """Each value that holds against jikimi.toml, by key, in a line for whoever edits that."""
        return {key: _note(value) for key, value in self.values.items() if value.origin == "stored"}


def overlay(
    base: Settings,
    *,
    values: Iterable[SettingRecord] = (),
    targets: Iterable[StoredTarget] = (),
    pinned: frozenset[str] = frozenset(),
) -> InForce:
    """Lay what was stored over what was read. What does not fit is told of and stops no site. Pure."""
    problems: list[str] = []
    settings, lost = _with_targets(base, targets, problems)
    stored = {record.key: record for record in values}
    held: dict[str, Value] = {}
    for key in CHANGEABLE:
        value = _given(base, key, pinned)
        if (record := stored.pop(key, None)) is not None:
            settings, value = _with_record(settings, record, value, lost=lost, problems=problems)
        held[key] = value
    problems += [f"{_shown(key)}: stored by another version, which knew this key" for key in stored]
    return InForce(settings, held, lost, tuple(problems))


def with_value(settings: Settings, key: str, value: Any, *, lost: Iterable[str] = ()) -> Settings:
    """Return the settings with another value, checked as one of the file is; `lost` are targets, too.

    Raises:
        SettingsError: no such key may be changed, or the value does not fit: in one line with the key.
    """
    if key not in CHANGEABLE:
        raise SettingsError(f"{key}: no such setting; those there are: {', '.join(CHANGEABLE)}")
    if isinstance(value, bool):
        raise SettingsError(f"{key}: neither true nor false is expected")
    section, _, name = key.partition(".")
    try:
        if key == SHIFTS:
            changed = settings.model_copy(update={"shifts": _distinct(_SHIFTS.validate_python(value))})
        else:
            before = getattr(settings, section)
            after = type(before).model_validate(before.model_dump() | {name: value})
            changed = settings.model_copy(update={section: after})
    except ValidationError as error:  # its own words are several lines
        raise SettingsError(f"{key}: {_first(error)}") from None
    if key == "alerts.lists":
        _check_lists(changed, {*lost, *(target.name for target in settings.targets)})
    return changed


def json_of(settings: Settings, key: str) -> Any:
    """Return a value as JSON has it."""
    section, _, name = key.partition(".")
    if key == SHIFTS:
        return _SHIFTS.dump_python(settings.shifts, mode="json")
    return getattr(settings, section).model_dump(mode="json", include={name})[name]


class Followed:
    """What holds, while it changes: `now` is looked at, never waited for. Thread-safe.

    Looks into the store in a thread of its own once it is started; a store that is away leaves everything as
    it is.
    """

    def __init__(self, base: Settings, store: Store, *, pinned: frozenset[str] = frozenset()) -> None:
        """Look once. Raises StoreError."""
        self.base, self.pinned = base, pinned
        self._store, self._version = store, ""
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self.now = overlay(base, pinned=pinned)
        self.look()

    def look(self) -> InForce:
        """Read what holds now. Raises StoreError."""
        with self._lock:
            version = self._store.settings_version()
            if version != self._version or self.now.lost:  # a lost key may have been put back
                values, targets = self._store.setting_values(), self._store.targets()
                now = overlay(self.base, values=values, targets=targets, pinned=self.pinned)
                for problem in set(now.problems) - set(self.now.problems):
                    log.warning("%s", problem)
                self.now, self._version = self.now if now == self.now else now, version
            return self.now

    def start(self) -> None:
        """Look again and again."""
        threading.Thread(target=self._run, name="settings", daemon=True).start()

    def stop(self) -> None:
        """Look no more."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(_LOOK_EVERY_S):
            try:
                self.look()
            except StoreError as error:
                log.warning("%s; settings stay as they are", error)
            except Exception:  # the thread's outer edge: nobody would notice that it has ended
                log.error("looking for settings failed; they stay as they are", exc_info=True)


def _with_targets(
    base: Settings, targets: Iterable[StoredTarget], problems: list[str]
) -> tuple[Settings, dict[str, str]]:
    """The settings with the targets that were added, and those that cannot be opened."""
    fixed = {target.name for target in base.targets}
    opened: list[Target] = []
    lost: dict[str, str] = {}
    for stored in targets:
        if stored.name in fixed:
            problems.append(twice(stored.name))
        elif stored.settings is None:
            lost[stored.name] = stored.problem
            problems.append(stored.problem)
        else:
            opened.append(stored.settings)
    return base.model_copy(update={"targets": (*base.targets, *opened)}), lost


def twice(name: str) -> str:
    """What to do about a target that is in the file and in the store."""
    return (
        f"target {name!r} is in jikimi.toml and in the store; keep one: "
        f"jikimi target remove {name!r}, or delete it from the file"
    )


def _given(base: Settings, key: str, pinned: frozenset[str]) -> Value:
    """The value that holds while none is stored."""
    section, _, name = key.partition(".")
    said = base.model_fields_set if key == SHIFTS else getattr(base, section).model_fields_set
    origin: Origin = "jikimi.toml" if (name or "shifts") in said else "default"
    if key in pinned:
        origin = "environment"
    value = json_of(base, key)
    return Value(key, value, origin, value, origin)


def _with_record(
    settings: Settings, record: SettingRecord, given: Value, *, lost: Mapping[str, str], problems: list[str]
) -> tuple[Settings, Value]:
    """The settings with a value that was stored, and where it comes from; as they were where it cannot be."""
    key, value = record.key, record.value
    if given.origin == "environment":
        problems.append(f"{_shown(key)}: {variable(key)} of the environment holds, and not what was stored")
        return settings, given
    if key == "alerts.lists" and isinstance(value, list):
        value = _known_rows(value, {*lost, *(target.name for target in settings.targets)}, problems)
    try:
        settings = with_value(settings, key, value, lost=lost)
    except SettingsError as error:
        problems.append(f"{error}; what was stored does not hold, {_from(given)} does: enter it again")
        return settings, given
    return settings, Value(
        key, json_of(settings, key), "stored", given.value, given.origin, record.changed_at, record.changed_by
    )


def _known_rows(rows: list[Any], known: set[str], problems: list[str]) -> list[Any]:
    """Lists without targets that are gone: whoever is left is told, and nobody is forgotten for it."""
    if not all(isinstance(row, list) and all(isinstance(name, str) for name in row) for row in rows):
        return rows
    problems += [
        f"[alerts] lists: {name!r} is no target any more and is left out; correct the lists"
        for name in dict.fromkeys(name for row in rows for name in row if name not in known)
    ]
    kept = [[name for name in row if name in known] for row in rows]
    return [row for row in kept if row]


def _check_lists(settings: Settings, known: set[str]) -> None:
    for row in settings.alerts.lists:
        if not row:
            raise SettingsError("alerts.lists: each list names a target; take the empty one out")
        if unknown := [name for name in row if name not in known]:
            raise SettingsError(f"alerts.lists: {unknown[0]!r} is no target; add it first, or take it out")


def _distinct(shifts: Sequence[Shift]) -> tuple[Shift, ...]:
    names = [shift.name for shift in shifts]
    if doubled := [name for name in names if names.count(name) > 1]:
        raise SettingsError(f"{SHIFTS}: {doubled[0]!r} occurs twice; rename one")
    return tuple(shifts)


def variable(key: str) -> str:
    """The environment's word for a key."""
    return "JIKIMI_" + key.upper().replace(".", "__")


def _first(error: ValidationError) -> str:
    """The first thing that is wrong, without the value."""
    where, what = first_problem(error)
    within = where.partition(".")[2]
    return f"{within}: {what}" if within else what


def _note(value: Value) -> str:
    given = _from(value) if value.given_origin == "default" else f"{_from(value)} says {_short(value.given)}"
    at = "" if value.changed_at is None else f", {value.changed_at:%Y-%m-%d %H:%M} UTC"
    return (
        f"{_shown(value.key)}: {_short(value.value)} holds, stored by {value.changed_by}{at}; {given}: "
        f"jikimi settings reset {value.key} lets that hold"
    )


def _from(value: Value) -> str:
    if value.given_origin == "default":
        return f"the default is {_short(value.given)}"
    return "jikimi.toml"


def _short(value: Any) -> str:
    if isinstance(value, list):
        return f"{len(value)} entries"
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else f"{value}"


def _shown(key: str) -> str:
    """`[evidence] keep_days` for `evidence.keep_days`."""
    section, _, name = key.partition(".")
    return f"[{section}] {name}" if name else f"[[{section}]]"
