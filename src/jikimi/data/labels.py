"""AI Hub labels: JSON beside or apart from the clips, matched by the clip's name."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jikimi.clip import Modality
from jikimi.data.source import plain

# The data set's own names: <category>_<event>_<modality>_<recording>_cctv<camera>[_<part>].
FILE_NAME = re.compile(
    r"(?P<category>[a-z\-]+)_(?P<event>[a-z\-]+)_(?P<modality>[a-z]+)_(?P<recording>\d+)_cctv\d+(_\d+)?"
)

# Fields of meta_information that would name a recording. None is documented: all likely ones are tried.
RECORDING_FIELDS = (
    "recording_id",
    "recording",
    "video_id",
    "sequence_id",
    "sequence",
    "scenario_id",
    "scene_id",
)
RATE_FIELDS = ("fps", "frame_rate", "framerate", "frame_per_second")


@dataclass(slots=True)
class Labels:
    """Label files by behaviour and stem, each with the modality of the folder it lies in."""

    _files: dict[tuple[str, str], list[tuple[Modality, Path]]] = field(default_factory=dict)
    _used: set[Path] = field(default_factory=set)

    def add(self, behavior: str, modality: Modality, path: Path) -> None:
        """Take note of a label file."""
        self._files.setdefault((behavior, path.stem), []).append((modality, path))

    def find(self, behavior: str, modality: Modality, stem: str) -> list[Path]:
        """Label files of a clip or picture: of its own modality, else of any."""
        files = self._files.get((behavior, stem), [])
        own = [path for told, path in files if told == modality]
        paths = own or [path for _, path in files]
        self._used.update(paths)
        return paths

    @property
    def unused(self) -> int:
        """How many label files belong to nothing that was found."""
        return sum(len(files) for files in self._files.values()) - len(self._used)

    def __bool__(self) -> bool:
        return bool(self._files)


@dataclass(frozen=True, slots=True)
class LabelText:
    """What a clip's labels say. `documents` are whole, by file name; `problems` tells of unreadable ones."""

    documents: dict[str, dict[str, Any]]
    problems: tuple[str, ...]

    def meta(self) -> Iterator[dict[str, Any]]:
        """The meta_information of each document."""
        for document in self.documents.values():
            meta = document.get("meta_information")
            if isinstance(meta, dict):
                yield meta

    def events(self) -> list[str]:
        """Every event that is named, each once, in order."""
        named = (meta.get("event") for meta in self.meta())
        return list(dict.fromkeys(event for event in named if isinstance(event, str) and event.strip()))

    def fps(self) -> float | None:
        """The frame rate, where a label has one."""
        for document in [*self.meta(), *self.documents.values()]:
            for name in RATE_FIELDS:
                value = document.get(name)
                if isinstance(value, (int, float, str)) and (rate := _rate(value)):
                    return rate
        return None

    def recording(self) -> str | None:
        """What names the recording, where a label has it."""
        for meta in self.meta():
            for name in RECORDING_FIELDS:
                if isinstance(meta.get(name), (str, int)) and str(meta[name]).strip():
                    return plain(str(meta[name]).strip())
        return None

    def extra(self) -> str:
        """Everything the labels hold, as JSON: the document itself, or several by file name."""
        documents = list(self.documents.values())
        content = documents[0] if len(documents) == 1 else self.documents
        return plain(json.dumps(content, ensure_ascii=False, sort_keys=True))


def _rate(value: float | str) -> float | None:
    try:
        rate = float(value)
    except ValueError:
        return None
    return rate if 0 < rate <= 1000 else None


def read_labels(paths: Sequence[Path]) -> LabelText:
    """Read label files: UTF-8, with or without a byte order mark. Unreadable ones are told, not raised."""
    documents: dict[str, dict[str, Any]] = {}
    problems = []
    for path in paths:
        try:
            document = json.loads(path.read_text(encoding="utf-8-sig"))
        except OSError as error:
            problems.append(f"label {path.name} cannot be read ({error.strerror})")
        except (ValueError, RecursionError):
            problems.append(f"label {path.name} is no JSON")
        else:
            if isinstance(document, dict):
                documents[path.name] = document
            else:
                problems.append(f"label {path.name} is no JSON object")
    return LabelText(documents, tuple(plain(problem) for problem in problems))
