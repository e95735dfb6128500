"""Reads AI Hub 71679: …/01.원천데이터/human-accident/<behaviour>/<modality>/… and its labels.

The tree is found by names at any depth. The behaviour is the folder's; a label or a file name that says
another one gets the clip rejected, since either may be wrong.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from jikimi.clip import Clip, Modality
from jikimi.data.folders import (
    Candidate,
    Place,
    Unplaced,
    assumed_rate,
    candidates,
    group_all,
    modality_named,
    place_of,
)
from jikimi.data.labels import FILE_NAME, Labels, LabelText, read_labels
from jikimi.data.pictures import DEFAULT_FPS
from jikimi.data.source import BehaviorNames, Ingested, plain, same_name
from jikimi.data.walk import Folder, walk

CATEGORY = "human-accident"

# What the trees of sources and of labels are called, less their numbers.
TREES = ("원천데이터", "라벨링데이터")


def is_aihub(parts: Sequence[str]) -> bool:
    """Whether a folder's names are those of this data set."""
    names = [same_name(part) for part in parts]
    return any(CATEGORY in name or any(tree in name for tree in TREES) for name in names)


def read_aihub(root: Path, names: BehaviorNames) -> Ingested:
    """Read the data set, or any part of it, from the tree under `root`."""
    into = Ingested("aihub")
    folders = _of_category(list(walk(root)), into)
    labels = Labels()
    found: list[Candidate] = []
    unplaced = Unplaced(root, names)
    for folder, below in folders:
        place = place_of(below, names)
        if place is None:
            unplaced.add(folder, into)
            continue
        for path in folder.labels:
            labels.add(place.behavior, place.modality, path)
        found += candidates(folder, place, into)
    unplaced.tell(into)
    for one, group in zip(found, group_all(found), strict=True):
        _read_clip(one, group, labels, names, into)
    if labels.unused:
        into.remarks.append(f"{labels.unused} labels belong to no clip found here")
    return into


def _of_category(folders: list[Folder], into: Ingested) -> list[tuple[Folder, tuple[str, ...]]]:
    """Keep what lies under human-accident, with the names from there; count the categories beside it."""
    starts = [_category_index(folder.parts) for folder in folders]
    if all(start is None for start in starts):
        return [(folder, folder.parts) for folder in folders]
    above = {
        folder.parts[:depth]
        for folder, start in zip(folders, starts, strict=True)
        if start is not None
        for depth in range(start + 1)
    }
    kept: list[tuple[Folder, tuple[str, ...]]] = []
    beside: Counter[str] = Counter()
    for folder, start in zip(folders, starts, strict=True):
        if start is not None:
            kept.append((folder, folder.parts[start:]))
        elif folder.parts in above:
            kept.append((folder, folder.parts))
        else:
            first = next(d for d in range(1, len(folder.parts) + 1) if folder.parts[:d] not in above)
            beside[folder.parts[first - 1]] += len(folder.videos) + bool(folder.pictures)
    into.remarks += [
        f"{name}: {count} clips of another category ignored" for name, count in beside.items() if count
    ]
    return kept


def _category_index(parts: Sequence[str]) -> int | None:
    return next((index for index, part in enumerate(parts) if CATEGORY in same_name(part)), None)


def _read_clip(one: Candidate, group: str, labels: Labels, names: BehaviorNames, into: Ingested) -> None:
    text = _labels_of(one, labels)
    doubt = _disagreement(one, text, names)
    if doubt:
        into.reject(one.source, one.place.behavior, doubt)
        return
    notes = [*text.problems, *_unknown_events(text, names)]
    if labels and not text.documents and not text.problems:
        notes.append("no label")
    fps = text.fps() if one.pictures else None
    if one.pictures and fps is None:
        notes.append(assumed_rate(DEFAULT_FPS))
    into.clips.append(
        Clip(
            source=one.source,
            behavior=one.place.behavior,
            group=_recording(one, text) or group,
            modality=_modality(one),
            source_fps=(fps or DEFAULT_FPS) if one.pictures else None,
            extra=text.extra(),
            notes="; ".join(notes),
        )
    )


def _modality(one: Candidate) -> Modality:
    """The folder's, unless the file's own name is the only one that says thermal."""
    match = FILE_NAME.fullmatch(one.stem)
    return (match and modality_named(match["modality"])) or one.place.modality


def _labels_of(one: Candidate, labels: Labels) -> LabelText:
    place: Place = one.place
    stems = [one.stem, *(path.stem for path in one.pictures if path.stem != one.stem)]
    paths = [path for stem in stems for path in labels.find(place.behavior, place.modality, stem)]
    return read_labels(paths)


def _disagreement(one: Candidate, text: LabelText, names: BehaviorNames) -> str:
    told = [("its label", event) for event in text.events()]
    match = FILE_NAME.fullmatch(one.stem)
    if match:
        told.append(("its file name", match["event"]))
    for who, event in told:
        behavior = names.find(event)
        if behavior is not None and behavior != one.place.behavior:
            return f"the folder says {one.place.behavior!r}, {who} says {plain(event)!r}"
    return ""


def _unknown_events(text: LabelText, names: BehaviorNames) -> list[str]:
    return [
        f"the label's event {plain(e)!r} is no known behaviour" for e in text.events() if not names.find(e)
    ]


def _recording(one: Candidate, text: LabelText) -> str | None:
    """The recording by the label, else by the data set's file names: one take, seen by several cameras."""
    told = text.recording()
    if told is not None:
        return told
    match = FILE_NAME.fullmatch(one.stem)
    return f"{match['event']}_{match['recording']}" if match else None
