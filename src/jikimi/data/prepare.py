"""Sources → a prepared data set: read, hash, extract, split, write. Killed at any moment, run it again."""

import csv
import io
import math
import os
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jikimi.behaviors import BEHAVIORS, Behavior
from jikimi.data import extract, pool, scenes
from jikimi.data.assemble import Ready, fits, rows_of, with_sides
from jikimi.data.extract import Extracted, ExtractTask, Refused, Unwritable
from jikimi.data.fingerprint import Hashed, fingerprint, without_duplicates
from jikimi.data.ingest import Layout, ModalityChoice, check_sources, ingest
from jikimi.data.manifest import Manifest, ManifestRow, read_manifest, write_manifest
from jikimi.data.source import Ingested, absolute, plain
from jikimi.data.summary import PrepareSummary, summarise
from jikimi.data.workspace import Workspace, open_workspace, write_atomically
from jikimi.errors import DataError, SettingsError

__all__ = ["PrepareSettings", "PrepareSummary", "prepare"]

REJECTED = "rejected.csv"

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareSettings:
    """How to prepare. `workers` processes decode at once; their number changes no byte of the result.

    `like` is a data set whose groups keep their sides.
    """

    layout: Layout = "auto"
    annotations: Path | None = None
    modality: ModalityChoice = "rgb"
    rate_hz: float = 8.0
    short_side_px: int = 256
    val_ratio: float = 0.3
    seed: int = 42
    workers: int = os.cpu_count() or 1
    like: Path | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.rate_hz) and 0 < self.rate_hz <= 1000):
            raise SettingsError(f"rate {self.rate_hz} Hz must lie between 0 and 1000; 8 is usual")
        if not 16 <= self.short_side_px <= 4096:
            raise SettingsError(f"short side {self.short_side_px} px must lie between 16 and 4096")
        if not 0 < self.val_ratio < 1:
            raise SettingsError(f"val_ratio {self.val_ratio} must lie between 0 and 1; 0.3 is usual")
        if self.seed < 0 or self.workers < 1:
            raise SettingsError(f"seed {self.seed} and workers {self.workers} must be at least 0 and 1")

    def recorded(self) -> dict[str, Any]:
        """What the data set's document says of them: all that bears on its content."""
        return {
            "rate_hz": self.rate_hz,
            "short_side_px": self.short_side_px,
            "jpeg_quality": extract.JPEG_QUALITY,
            "modality": self.modality,
            "val_ratio": self.val_ratio,
            "seed": self.seed,
            "same_scene": scenes.SAME_SCENE,
        }


def prepare(
    sources: Sequence[Path],
    out: Path,
    settings: PrepareSettings,
    *,
    behaviors: Sequence[Behavior] = BEHAVIORS,
    progress: Progress | None = None,
) -> PrepareSummary:
    """Prepare a data set under `out`; what is there already and still fits is not done again.

    `progress(done, total)` is called as each clip is hashed and again as its frames are there.

    Raises:
        DataError: a source cannot be read, nothing usable is in it, it cannot be split, or `out` is in use
            or cannot be written. An earlier data set in `out` then stays as it was.
    """
    roots = check_sources(sources)
    if absolute(out) in roots:
        raise DataError(f"{out}: is a source itself; choose another --out")
    with open_workspace(absolute(out)) as workspace:
        found = ingest(
            roots,
            layout=settings.layout,
            annotations=settings.annotations,
            modality=settings.modality,
            behaviors=behaviors,
        )
        run = _Run(workspace, roots, settings, tuple(behaviors), found, progress)
        try:
            return run.all()
        except OSError as error:  # reading sources is caught where they are read: this is about `out`
            raise DataError(f"{out}: cannot be written: {error.strerror or error}") from error


@dataclass(slots=True)
class _Run:
    workspace: Workspace
    roots: Sequence[Path]
    settings: PrepareSettings
    behaviors: tuple[Behavior, ...]
    found: Ingested
    progress: Progress | None
    done: int = 0
    total: int = 0
    prepared: set[str] = field(default_factory=set)
    ready: dict[str, Ready] = field(default_factory=dict)

    def all(self) -> PrepareSummary:
        self.total = 2 * len(self.found.clips)
        hashed = fingerprint(
            self.found,
            rate_hz=self.settings.rate_hz,
            short_side_px=self.settings.short_side_px,
            threads=self.settings.workers,
            step=self.step,
        )
        unique = without_duplicates(hashed, self.found, self.name)
        self.total -= len(self.found.clips) - len(unique)
        self.decode(self.remembered(unique))
        ready = [self.ready[one.key] for one in unique if one.key in self.ready]
        rows = rows_of(ready, self.found, rate_hz=self.settings.rate_hz)
        return self.finish(self.divided(rows), {one.key for one in unique})

    def step(self) -> None:
        self.done += 1
        if self.progress is not None:
            self.progress(self.done, self.total)

    def name(self, source: Path) -> str:
        """A source as the user is told it: below the one root there is, else in full."""
        if len(self.roots) == 1 and source != self.roots[0] and source.is_relative_to(self.roots[0]):
            source = source.relative_to(self.roots[0])
        return os.fsencode(source).decode("utf-8", "backslashreplace")

    def frames_dir(self, one: Hashed) -> Path:
        return self.workspace.frames_dir(one.clip.behavior, one.clip_id)

    def remembered(self, unique: Sequence[Hashed]) -> list[Hashed]:
        """Take note of what earlier runs have done; return what is left to do."""
        missing = []
        for one in unique:
            known = self.workspace.recall(one.key)
            if known is None or not self.in_place(one, known):
                missing.append(one)
            else:
                self.note(one, known)
        return missing

    def in_place(self, one: Hashed, known: Extracted | Refused) -> bool:
        if isinstance(known, Refused) or not fits(one.clip.event, known.duration_s):
            return True  # no frames are kept of these
        return self.workspace.holds(known, self.frames_dir(one))

    def decode(self, missing: list[Hashed]) -> None:
        """Decode clips in worker processes and put their frames in place, one by one as they get done."""
        missing = sorted(missing, key=lambda one: -_size(one.clip.source))  # long ones first: no straggler
        tasks = [self.task(one) for one in missing]
        with closing(pool.run(extract.extract, tasks, workers=self.settings.workers)) as outcomes:
            for index, outcome in outcomes:
                self.settle(missing[index], outcome)

    def settle(self, one: Hashed, outcome: Extracted | Refused | Unwritable | pool.Died) -> None:
        if isinstance(outcome, Unwritable):
            raise DataError(f"{self.workspace.root}: cannot be written: {outcome.reason}")
        if isinstance(outcome, pool.Died):
            outcome = Refused(str(outcome), lasting=False)
        if isinstance(outcome, Extracted):
            self.workspace.keep(one.key, outcome, self.frames_dir(one))
            self.prepared.add(one.key)
        elif outcome.lasting:
            self.workspace.keep_refusal(one.key, outcome)
        self.note(one, outcome)

    def task(self, one: Hashed) -> ExtractTask:
        return ExtractTask(
            source=one.clip.source,
            target=self.workspace.unfinished_dir(one.key),
            rate_hz=self.settings.rate_hz,
            short_side_px=self.settings.short_side_px,
            source_fps=one.clip.source_fps,
        )

    def note(self, one: Hashed, outcome: Extracted | Refused) -> None:
        self.step()
        if isinstance(outcome, Refused):
            self.found.reject(one.clip.source, one.clip.behavior, outcome.reason)
        else:
            self.ready[one.key] = Ready(one, outcome)

    def divided(self, rows: Sequence[ManifestRow]) -> list[ManifestRow]:
        try:
            return with_sides(
                rows,
                self.found,
                val_ratio=self.settings.val_ratio,
                seed=self.settings.seed,
                like=read_manifest(self.settings.like).rows if self.settings.like else (),
            )
        except DataError as error:
            raise DataError(". ".join([str(error), *self.hints()])) from error

    def hints(self) -> list[str]:
        """What was left out or joined may be just what a split lacks."""
        hints = list(self.found.remarks)
        if self.found.rejections:
            first = self.found.rejections[0]
            count, name = len(self.found.rejections), self.name(first.source)
            hints.append(f"{count} files were rejected, such as {name}: {first.reason}")
        return hints

    def finish(self, rows: Sequence[ManifestRow], keys: set[str]) -> PrepareSummary:
        """Write what changed, then remove what the new manifest does not name."""
        root = self.workspace.root
        manifest = Manifest(
            root=root.resolve(),
            behaviors=self.behaviors,
            rows=tuple(sorted(rows, key=lambda row: row.clip_id)),
            settings=self.settings.recorded(),
        )
        rejected = self.rejected()
        wrote = manifest != _present(root)
        if wrote:
            write_manifest(manifest)
        if rejected != _text(root / REJECTED):
            write_atomically(root / REJECTED, rejected)
            wrote = True
        frames = {self.workspace.frames_dir(row.behavior, row.clip_id) for row in rows}
        removed = self.workspace.sweep(frames=frames, keys=keys)
        return summarise(
            manifest,
            prepared=len(self.prepared & {row.key for row in rows}),
            rejected=len(self.found.rejections),
            remarks=self.found.remarks,
            unchanged=not (wrote or removed or self.prepared),
        )

    def rejected(self) -> str:
        """The text of rejected.csv, sorted, so that it does not depend on which clip was done first."""
        lines = sorted(
            (self.name(one.source), one.behavior, plain(one.reason)) for one in self.found.rejections
        )
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([("source", "behavior", "reason"), *lines])
        return text.getvalue()


def _size(source: Path) -> int:
    try:
        return source.stat().st_size
    except OSError:
        return 0  # it vanished a moment ago: decoding will say so


def _present(root: Path) -> Manifest | None:
    try:
        return read_manifest(root)
    except DataError:
        return None  # none yet, or damaged: either way it is written


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
