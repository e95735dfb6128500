"""The prepared data set: one Parquet row a clip, and the frames it names.

DATA/manifest.parquet                             one row a clip
DATA/dataset.json                                 label set and settings it was prepared with
DATA/frames/<behavior>/<clip_id>/000001.jpg       frame k+1 shows the moment k / rate_hz
DATA/rejected.csv                                 what could not be used, and why
"""

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import polars as pl

from jikimi import behaviors as behaviors_
from jikimi.behaviors import Behavior
from jikimi.clip import EventSpan, Modality, Split
from jikimi.errors import DataError, SettingsError

MANIFEST, DATASET = "manifest.parquet", "dataset.json"
FORMAT = 1

_SCHEMA = pl.Schema(
    {
        "clip_id": pl.String,
        "behavior": pl.String,
        "split": pl.String,
        "group": pl.String,
        "source": pl.String,
        "n_frames": pl.Int64,
        "rate_hz": pl.Float64,
        "duration_s": pl.Float64,
        "event_start_s": pl.Float64,
        "event_end_s": pl.Float64,
        "modality": pl.String,
        "layout": pl.String,
        "width_px": pl.Int64,
        "height_px": pl.Int64,
        "source_fps": pl.Float64,
        "key": pl.String,
        "notes": pl.String,
        "extra": pl.String,
    }
)


@dataclass(frozen=True, slots=True)
class ManifestRow:
    """One prepared clip. `key` is the hash of the source's content and the settings: same key, same frames.

    `width_px` and `height_px` are the source's. `notes` says what was odd about it, `extra` holds every
    label field without a column of its own, as JSON.
    """

    clip_id: str
    behavior: str
    split: Split
    group: str
    source: str
    n_frames: int
    rate_hz: float
    duration_s: float
    event_start_s: float | None
    event_end_s: float | None
    modality: Modality
    layout: str
    width_px: int
    height_px: int
    source_fps: float | None
    key: str
    notes: str
    extra: str

    @property
    def event(self) -> EventSpan | None:
        """The labelled event, None where no time is known."""
        if self.event_start_s is None or self.event_end_s is None:
            return None
        return EventSpan(self.event_start_s, self.event_end_s)


@dataclass(frozen=True, slots=True)
class Manifest:
    """A prepared data set: where it is, its label set, its rows sorted by clip_id."""

    root: Path
    behaviors: tuple[Behavior, ...]
    rows: tuple[ManifestRow, ...]
    settings: dict[str, Any]

    def select(self, split: Split) -> tuple[ManifestRow, ...]:
        """Rows of one split."""
        return tuple(row for row in self.rows if row.split == split)

    def frames_dir(self, row: ManifestRow) -> Path:
        """Folder of a clip's frames."""
        return self.root / "frames" / row.behavior / row.clip_id

    def frame_path(self, row: ManifestRow, index: int) -> Path:
        """File of frame `index`, counted from 0."""
        return self.frames_dir(row) / f"{index + 1:06d}.jpg"

    def class_index(self, row: ManifestRow) -> int:
        """Position of the clip's behaviour in the label set."""
        return behaviors_.keys(self.behaviors).index(row.behavior)

    def digest(self) -> str:
        """Hash of what the data set holds and how it is split, wherever it lies."""
        parts = [f"{row.clip_id}\0{row.behavior}\0{row.split}\0{row.group}\0{row.key}" for row in self.rows]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def write_manifest(manifest: Manifest) -> None:
    """Write `manifest.parquet` and `dataset.json`, each under a temporary name first."""
    rows = sorted((asdict(row) for row in manifest.rows), key=lambda row: str(row["clip_id"]))
    document = {
        "format": FORMAT,
        "behaviors": [asdict(behavior) for behavior in manifest.behaviors],
        "settings": manifest.settings,
    }
    temporary = manifest.root / f".{MANIFEST}.{os.getpid()}.tmp"
    try:
        temporary.write_text(json.dumps(document, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
        temporary.replace(manifest.root / DATASET)
        pl.DataFrame(rows, schema=_SCHEMA).write_parquet(temporary)
        temporary.replace(manifest.root / MANIFEST)
    finally:
        temporary.unlink(missing_ok=True)


def read_manifest(root: Path) -> Manifest:
    """Read a prepared data set.

    Raises:
        DataError: the folder is no prepared data set, or its manifest is damaged.
    """
    root = root.resolve()
    if not (root / MANIFEST).is_file() or not (root / DATASET).is_file():
        raise DataError(f"{root}: no {MANIFEST} here; run: jikimi prepare SRC --out {root}")
    try:
        document = json.loads((root / DATASET).read_text(encoding="utf-8"))
        frame = pl.read_parquet(root / MANIFEST)
        if document["format"] != FORMAT:
            raise DataError(f"{root}: data set format {document['format']}; prepare it again")
        labels = behaviors_.check([Behavior(**row) for row in document["behaviors"]], where=str(root))
        names = [field.name for field in fields(ManifestRow)]
        rows = tuple(ManifestRow(**row) for row in frame.select(names).iter_rows(named=True))
    except (
        OSError,
        json.JSONDecodeError,
        KeyError,
        TypeError,
        SettingsError,
        pl.exceptions.PolarsError,
    ) as e:
        raise DataError(f"{root}: damaged data set ({e}); prepare it again") from e
    _check_labels(rows, behaviors_.keys(labels), where=root)
    return Manifest(root=root, behaviors=labels, rows=rows, settings=document["settings"])


def _check_labels(rows: Iterable[ManifestRow], known: tuple[str, ...], *, where: Path) -> None:
    for row in rows:
        if row.behavior not in known:
            raise DataError(f"{where}: clip {row.clip_id} has the unknown behaviour {row.behavior!r}")
        if row.n_frames < 1:
            raise DataError(f"{where}: clip {row.clip_id} has no frames; prepare it again")
