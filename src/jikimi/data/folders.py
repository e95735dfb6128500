"""Reads class folders: SRC/…/<behaviour>/…/clip.mp4, or a folder of pictures in place of the video."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jikimi.clip import Clip, Modality
from jikimi.data.grouping import Named, names_of, recording_groups
from jikimi.data.pictures import DEFAULT_FPS
from jikimi.data.source import BehaviorNames, Ingested, same_name
from jikimi.data.walk import Folder, walk

# AI Hub's folder is `rgb`; how it spells the thermal one is not known, so all usual words are.
_RGB = frozenset({"rgb", "visible", "color", "colour"})
_THERMAL = frozenset({"thermal", "therm", "ir", "tir", "lwir", "infrared", "thermo"})
_BESIDE = frozenset({"cctv", "camera", "cam", "image", "images", "video", "videos"})
_THERMAL_KOREAN = ("열화상", "적외선", "열영상")


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a tree a folder is: its behaviour and modality, and the folders below that are neither."""

    behavior: str
    modality: Modality
    inner: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A video, or a folder of pictures, under a behaviour's folder. `stem` is its name without ending."""

    source: Path
    place: Place
    stem: str
    pictures: tuple[Path, ...] = ()

    @property
    def folders(self) -> tuple[str, ...]:
        """The folders between behaviour and clip. One that only repeats the clip's name says nothing."""
        inner = self.place.inner[:-1] if self.pictures else self.place.inner
        return tuple(name for name in inner if name != self.stem)


def modality_named(name: str) -> Modality | None:
    """The modality a folder's name tells, None for any other folder, if a modality is part of its name."""
    name = same_name(name)
    words = set(name.split("-"))
    if any(word in name for word in _THERMAL_KOREAN):
        return "thermal"
    if not words <= _RGB | _THERMAL | _BESIDE:
        return None  # a sequence's folder, such as human-accident_jam_rgb_0004_cctv1
    return "thermal" if words & _THERMAL else "rgb" if words & _RGB else None


def place_of(parts: Sequence[str], names: BehaviorNames) -> Place | None:
    """Find the behaviour in the names from the root's own downwards; the root's counts last."""
    order = [*range(1, len(parts)), 0]
    found = next((index for index in order if names.find(parts[index])), None)
    if found is None:
        return None
    told = [modality for part in parts[1:] if (modality := modality_named(part))]
    inner = tuple(part for part in parts[found + 1 :] if not modality_named(part))
    return Place(str(names.find(parts[found])), told[-1] if told else "rgb", inner)


def candidates(folder: Folder, place: Place, into: Ingested) -> list[Candidate]:
    """The clips of one folder; what is none goes to the rejections."""
    for path, reason in folder.problems:
        into.reject(path, place.behavior, reason)
    found = [Candidate(path, place, path.stem) for path in folder.videos]
    count = len(folder.pictures)
    if not count:
        return found
    if found:
        into.reject(folder.path, place.behavior, f"{count} pictures beside a video: the video is used")
    elif not place.inner:
        into.reject(
            folder.path,
            place.behavior,
            f"{count} loose pictures: put the frames of each clip into a folder of its own",
        )
    else:
        found.append(Candidate(folder.path, place, place.inner[-1], tuple(folder.pictures)))
    return found


def group_all(found: Sequence[Candidate]) -> list[str]:
    """Groups by name, one for each candidate."""
    return recording_groups([Named(one.place.behavior, names_of(one.folders, one.stem)) for one in found])


class Unplaced:
    """Counts what lies outside every behaviour's folder, one rejection for each folder below the root."""

    def __init__(self, root: Path, names: BehaviorNames) -> None:
        self.root, self.names = root, names
        self._counts: Counter[Path] = Counter()

    def add(self, folder: Folder, into: Ingested) -> None:
        """Take note of a folder without a behaviour."""
        for path, reason in folder.problems:
            into.reject(path, "", reason)
        media = len(folder.videos) + bool(folder.pictures)
        if media:
            self._counts[folder.path] += media

    def tell(self, into: Ingested) -> None:
        """Reject what was counted."""
        tops: Counter[Path] = Counter()
        for path, media in self._counts.items():
            below = path.relative_to(self.root).parts
            tops[self.root.joinpath(*below[:1])] += media
        for top, media in sorted(tops.items()):
            name = top.name if top != self.root else ""
            what = f"unknown behaviour {name!r}" if name else "in no behaviour's folder"
            into.reject(top, name, f"{what}: {media} clips left out; known are {self.names.listed}")


def read_folders(root: Path, names: BehaviorNames) -> Ingested:
    """Read a tree of class folders."""
    into = Ingested("folders")
    unplaced = Unplaced(root, names)
    found: list[Candidate] = []
    labels = 0
    for folder in walk(root):
        labels += len(folder.labels)
        place = place_of(folder.parts, names)
        if place is None:
            unplaced.add(folder, into)
        else:
            found += candidates(folder, place, into)
    unplaced.tell(into)
    if labels:
        into.remarks.append(f"{labels} .json files are not read in this layout")
    for one, group in zip(found, group_all(found), strict=True):
        into.clips.append(_clip(one, group))
    return into


def _clip(one: Candidate, group: str) -> Clip:
    return Clip(
        source=one.source,
        behavior=one.place.behavior,
        group=group,
        modality=one.place.modality,
        source_fps=DEFAULT_FPS if one.pictures else None,
        notes=assumed_rate(DEFAULT_FPS) if one.pictures else "",
    )


def assumed_rate(fps: float) -> str:
    """The note on a folder of pictures whose rate nothing tells."""
    return f"frames taken to be {fps:g} a second"
