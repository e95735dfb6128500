"""What a reader makes of a source: clips, what it had to leave out, and remarks for the summary."""

import os
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jikimi.behaviors import Behavior
from jikimi.clip import Clip


@dataclass(frozen=True, slots=True)
class Rejection:
    """A file or folder that could not be used, and why. `behavior` is empty where it is not known."""

    source: Path
    behavior: str
    reason: str


@dataclass(slots=True)
class Ingested:
    """Everything a reader found. Nothing it saw is in none of the three."""

    layout: str
    clips: list[Clip] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def reject(self, source: Path, behavior: str, reason: str) -> None:
        """Leave a file or folder out, with its reason."""
        self.rejections.append(Rejection(source, behavior, reason))


def same_name(text: str) -> str:
    """Bring a name into the form names are compared in: NFC, lower case, `_` and spaces as `-`, no `01.`."""
    text = unicodedata.normalize("NFC", text).strip().lower()
    return re.sub(r"[\s_]+", "-", re.sub(r"^\d+[.)_\-\s]+(?=\D)", "", text))


def absolute(path: Path) -> Path:
    """Make a path absolute as it is written: a link keeps its own name, which may name a behaviour."""
    return Path(os.path.abspath(path))  # noqa: PTH100  resolve() would follow links


def plain(text: str) -> str:
    """Make text storable as UTF-8: half characters, as a label's `\\ud800` gives, are written out."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


class BehaviorNames:
    """Finds the behaviour a folder, a column or a label names: by key, Korean, English or accident type."""

    def __init__(self, behaviors: Sequence[Behavior]) -> None:
        self.keys = tuple(behavior.key for behavior in behaviors)
        self.normal = next(behavior.key for behavior in behaviors if behavior.is_normal)
        self._by_name: dict[str, str] = {}
        for behavior in behaviors:
            for name in (behavior.key, behavior.korean, behavior.english, behavior.accident_type):
                if name:
                    self._by_name.setdefault(same_name(name), behavior.key)

    def find(self, name: str) -> str | None:
        """Return the key of the behaviour with this name, None where no behaviour has it."""
        return self._by_name.get(same_name(name))

    @property
    def listed(self) -> str:
        """The keys as they are told to the user."""
        return ", ".join(self.keys)
