"""The behaviours a model tells apart: key, names, accident type, severity."""

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jikimi.errors import SettingsError

_KEY = re.compile(r"[a-z0-9][a-z0-9-]*")


@dataclass(frozen=True, slots=True)
class Behavior:
    """One class of worker behaviour.

    `accident_type` is the Korean occupational accident type (KOSHA's 발생형태), empty for the normal
    behaviour. `severity` runs from 0 (normal) to 3 (a life is at risk).
    """

    key: str
    korean: str
    english: str
    accident_type: str
    severity: int

    def __post_init__(self) -> None:
        if not _KEY.fullmatch(self.key):
            raise SettingsError(f"behaviour key {self.key!r}: use a-z, 0-9 and '-'")
        if not 0 <= self.severity <= 3:
            raise SettingsError(f"behaviour {self.key!r}: severity {self.severity} is not 0 to 3")

    @property
    def is_normal(self) -> bool:
        """Whether this is the absence of an accident."""
        return self.severity == 0


# The six of AI Hub 71679 in the order every model and report keeps.
BEHAVIORS: tuple[Behavior, ...] = (
    Behavior("bump", "충돌", "bump", "부딪힘", 2),
    Behavior("fall-down", "넘어짐", "fall down", "넘어짐", 2),
    Behavior("fall-off", "추락", "fall off", "떨어짐", 3),
    Behavior("hit", "물체에 맞음", "hit by object", "물체에 맞음", 3),
    Behavior("jam", "끼임", "jam", "끼임", 3),
    Behavior("no-accident", "정상", "no accident", "", 0),
)


def keys(behaviors: Sequence[Behavior]) -> tuple[str, ...]:
    """Return the keys in order."""
    return tuple(behavior.key for behavior in behaviors)


def normal_index(behaviors: Sequence[Behavior]) -> int:
    """Return the position of the one normal behaviour."""
    return next(i for i, behavior in enumerate(behaviors) if behavior.is_normal)


def check(behaviors: Sequence[Behavior], *, where: str) -> tuple[Behavior, ...]:
    """Return the behaviours as a tuple when they make a usable label set.

    Raises:
        SettingsError: fewer than two behaviours, a key twice, or not exactly one normal behaviour.
    """
    names = keys(behaviors)
    if len(names) < 2:
        raise SettingsError(f"{where}: a label set needs at least two behaviours")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SettingsError(f"{where}: behaviour {twice[0]!r} occurs twice")
    normal = [behavior.key for behavior in behaviors if behavior.is_normal]
    if len(normal) != 1:
        found = ", ".join(normal) or "none"
        raise SettingsError(f"{where}: exactly one behaviour has severity 0 (normal); found {found}")
    return tuple(behaviors)


def load_behaviors(path: Path) -> tuple[Behavior, ...]:
    """Read a label set from TOML: `[[behavior]]` tables with the fields of `Behavior`.

    Raises:
        SettingsError: the file cannot be read or does not describe a label set.
    """
    try:
        rows = tomllib.loads(path.read_text(encoding="utf-8-sig")).get("behavior")
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"behaviours file {path}: {error}") from error
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise SettingsError(f"behaviours file {path}: write one [[behavior]] table for each")
    return check([_from_row(row, where=str(path)) for row in rows], where=str(path))


def _from_row(row: dict[str, Any], *, where: str) -> Behavior:
    key = row.get("key")
    severity = row.get("severity")
    if not isinstance(key, str) or not isinstance(severity, int):
        raise SettingsError(f"behaviours file {where}: each [[behavior]] needs key and severity")
    return Behavior(
        key=key,
        korean=str(row.get("korean", key)),
        english=str(row.get("english", key)),
        accident_type=str(row.get("accident_type", "")),
        severity=severity,
    )
