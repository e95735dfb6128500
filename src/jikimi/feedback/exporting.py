"""Chosen films → a folder that `jikimi prepare` reads: clips, annotations, and what is in it.

The folder appears whole, or not at all. What it holds was compared with the manifest while it was copied.
"""

import csv
import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import tzinfo
from pathlib import Path
from typing import Any

import psutil

from jikimi.archive import Manifest
from jikimi.errors import DataError
from jikimi.feedback.choosing import Choice, Chosen, Reason

# What `jikimi prepare` looks for in a folder.
ANNOTATIONS = "annotations.csv"
SUMMARY, README = "summary.json", "README.md"

_FORMAT, _VERSION = "jikimi-feedback", 1

_COLUMNS = ("path", "behavior", "event_start_s", "event_end_s", "group", "camera", "source", "uid", "at")

_CHUNK_BYTES = 1 << 20

# What is found out while copying.
_REFUSED: tuple[Reason, ...] = ("missing", "changed")


@dataclass(frozen=True, slots=True)
class Exported:
    """What came of it: clips by behaviour, left out by reason. `unchanged`: the folder had it already."""

    clips: Mapping[str, int]
    left_out: Mapping[Reason, int]
    unchanged: bool = False

    def lines(self) -> list[str]:
        """As lines to print."""
        total = sum(self.clips.values())
        head = f"nothing to do: {total} clips are there already" if self.unchanged else f"{total} clips"
        lines = [head, *(f"  {behavior:<14}{count:>6}" for behavior, count in sorted(self.clips.items()))]
        if self.left_out:
            lines += ["left out", *(f"  {reason:<18}{count:>6}" for reason, count in self.left_out.items())]
        return lines


def export(
    choice: Choice,
    *,
    evidence: Path,
    out: Path,
    zone: tzinfo | None,
    about: Mapping[str, object],
    force: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Exported:
    """Copy the films into `out` with their annotations. `about` stands in the summary: site, what was asked.

    `zone` is the plant's: clips of one camera and day are one group, and never straddle the split.

    Raises:
        DataError: there is nothing to export, or `out` is something else, or without `force` an earlier one.
        ArchiveError: the manifest cannot be read. OSError: the disk refuses; `out` is as it was.
    """
    if not choice.clips:
        raise DataError(f"nothing to export: {_told(choice.left_out) or 'nobody has answered anything'}")
    fingerprint = _fingerprint(choice, about)
    if (before := _checked(out, fingerprint, force=force)) is not None:
        refused = {reason: before.left_out[reason] for reason in _REFUSED if reason in before.left_out}
        return replace(before, left_out={**choice.left_out, **refused})
    _remove_left_behind(out)
    part = out.parent / f".{out.name}.{os.getpid()}.tmp"
    try:
        part.mkdir(parents=True)
        done = _fill(part, choice, evidence, zone, progress)
        _describe(part, done, {**about, "fingerprint": fingerprint}, name=out.name)
        _put_in_place(part, out)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return done


def _fill(
    part: Path,
    choice: Choice,
    evidence: Path,
    zone: tzinfo | None,
    progress: Callable[[int, int], None] | None,
) -> Exported:
    """Copy what is as it was recorded, and write its annotations."""
    listed = Manifest(evidence).listed()
    clips: Counter[str] = Counter()
    refused: Counter[Reason] = Counter()
    rows = []
    for number, clip in enumerate(choice.clips):
        name = f"clips/{clip.behavior}/{clip.uid}.mp4"
        record = listed.get(clip.path.as_posix())
        digest = _copied(evidence, clip.path, part / name) if record is not None else None
        if record is None or digest is None:
            refused["missing"] += 1
        elif digest != record.sha256:
            (part / name).unlink()
            refused["changed"] += 1
        else:
            clips[clip.behavior] += 1
            rows.append(_row(clip, name, zone))
        if progress is not None:
            progress(number + 1, len(choice.clips))
    left_out = {**choice.left_out, **refused}
    if not rows:
        raise DataError(f"nothing to export: {_told(left_out)}; jikimi evidence verify says more")
    with (part / ANNOTATIONS).open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, _COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return Exported(dict(clips), left_out)


def _row(clip: Chosen, name: str, zone: tzinfo | None) -> dict[str, object]:
    start_s, end_s = clip.event if clip.event is not None else ("", "")
    return {
        "path": name,
        "behavior": clip.behavior,
        "event_start_s": start_s,
        "event_end_s": end_s,
        "group": f"{clip.camera} {clip.at.astimezone(zone).date().isoformat()}",
        "camera": clip.camera,
        "source": clip.source,
        "uid": clip.uid,
        "at": clip.at.isoformat(),
    }


def _copied(evidence: Path, name: Path, target: Path) -> str | None:
    """Copy a film → the SHA-256 of what was copied; None: there is none, or it lies outside."""
    try:
        source = (evidence / name).resolve(strict=True)
    except FileNotFoundError:
        return None
    if not source.is_relative_to(evidence.resolve()) or not source.is_file():
        return None
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with source.open("rb") as read, target.open("wb") as write:
        while chunk := read.read(_CHUNK_BYTES):
            digest.update(chunk)
            write.write(chunk)
        write.flush()
        os.fsync(write.fileno())
    return digest.hexdigest()


def _describe(part: Path, done: Exported, about: Mapping[str, object], *, name: str) -> None:
    summary = {
        "format": _FORMAT,
        "version": _VERSION,
        "clips": dict(sorted(done.clips.items())),
        "left_out": done.left_out,
        **about,
    }
    text = json.dumps(summary, ensure_ascii=False, indent=2) + "\n"
    (part / SUMMARY).write_text(text, encoding="utf-8")
    (part / README).write_text(
        "# What operators said\n\n"
        "Clips of incidents that were answered and of what was reported, labelled by what people said.\n"
        f"`{ANNOTATIONS}` has a line for each; times are seconds from the clip's beginning. Clips of one\n"
        "camera and day are one group. An incident's event is from where it was raised to where it ended.\n\n"
        f"    jikimi prepare {name} --out data\n\n"
        + "\n".join(f"    {line}" for line in done.lines())
        + "\n\nThese films show people: keep them as you keep evidence.\n",
        encoding="utf-8",
    )


def _checked(out: Path, fingerprint: str, *, force: bool) -> Exported | None:
    """What `out` holds where it is what is asked for; None: it may be written."""
    if out.is_dir() and not any(out.iterdir()):
        return None
    if not out.exists():
        return None
    summary = _summary(out)
    if summary is None:
        raise DataError(f"{out}: is no export of Jikimi and not empty; choose another folder")
    if summary.get("fingerprint") == fingerprint and _is_whole(out):
        return Exported(summary.get("clips", {}), summary.get("left_out", {}), unchanged=True)
    if not force:
        raise DataError(f"{out}: holds another export; choose another folder, or replace it with --force")
    return None


def _summary(out: Path) -> dict[str, Any] | None:
    try:
        found = json.loads((out / SUMMARY).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and found.get("format") == _FORMAT else None


def _is_whole(out: Path) -> bool:
    """Whether every clip of an earlier export is still there."""
    try:
        with (out / ANNOTATIONS).open(encoding="utf-8", newline="") as file:
            return all((out / row["path"]).is_file() for row in csv.DictReader(file))
    except (OSError, KeyError, csv.Error):
        return False


def _put_in_place(part: Path, out: Path) -> None:
    """Rename; where an earlier export is in the way, it goes once the new one is there."""
    old = part.with_suffix(".old")
    if out.exists():
        out.rename(old)
    part.rename(out)
    shutil.rmtree(old, ignore_errors=True)


def _remove_left_behind(out: Path) -> None:
    """Remove what killed exports into this folder left."""
    for path in out.parent.iterdir() if out.parent.is_dir() else ():
        if not path.name.startswith(f".{out.name}."):
            continue
        pid, _, ending = path.name.removeprefix(f".{out.name}.").partition(".")
        if ending in ("tmp", "old") and pid.isdecimal() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(path, ignore_errors=True)


def _fingerprint(choice: Choice, about: Mapping[str, object]) -> str:
    """What says whether two exports hold the same clips."""
    clips = [
        (one.uid, one.source, one.camera, one.behavior, one.at.isoformat(), one.path.as_posix(), one.event)
        for one in choice.clips
    ]
    text = json.dumps([_VERSION, clips, dict(about)], sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _told(left_out: Mapping[Any, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in left_out.items())
