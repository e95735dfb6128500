"""Sources → clips: picks the reader for each source and puts together what they found."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from jikimi.behaviors import Behavior
from jikimi.data.aihub import is_aihub, read_aihub
from jikimi.data.annotations import FILE as ANNOTATIONS
from jikimi.data.annotations import read_annotations
from jikimi.data.folders import read_folders
from jikimi.data.source import BehaviorNames, Ingested, absolute
from jikimi.data.walk import walk
from jikimi.data.workspace import is_prepared
from jikimi.errors import DataError

Layout = Literal["auto", "aihub", "folders", "csv"]
ModalityChoice = Literal["rgb", "thermal", "all"]


def check_sources(sources: Sequence[Path]) -> list[Path]:
    """Return the sources as absolute paths.

    Raises:
        DataError: none is given, or one is missing, no folder and no CSV, or a prepared data set.
    """
    if not sources:
        raise DataError("no source given; name a folder of clips or a CSV")
    roots = []
    for source in sources:
        root = absolute(source)
        if not root.exists():
            raise DataError(f"{source}: no such file or folder")
        if not root.is_dir() and root.suffix.lower() != ".csv":
            raise DataError(f"{source}: neither a folder nor a CSV; give the folder it lies in")
        if root.is_dir() and is_prepared(root):
            raise DataError(f"{source}: a data set already prepared; give what it was prepared from")
        roots.append(root)
    return list(dict.fromkeys(roots))


def ingest(
    roots: Sequence[Path],
    *,
    layout: Layout,
    annotations: Path | None,
    modality: ModalityChoice,
    behaviors: Sequence[Behavior],
) -> Ingested:
    """Read all sources. `roots` are as `check_sources` returns them; `annotations` covers them all.

    Raises:
        DataError: annotations cannot be read, or the layout asked for needs some.
    """
    names = BehaviorNames(behaviors)
    if annotations is not None and layout not in ("auto", "csv"):
        raise DataError(f"layout {layout!r} takes no annotations; leave one of the two out")
    if annotations is not None:
        folders = [root for root in roots if root.is_dir()]
        found = [read_annotations(absolute(annotations), folders, names)]
    else:
        found = [_read(root, layout, names) for root in roots]
    return _chosen(_together(found), modality)


def _read(root: Path, layout: Layout, names: BehaviorNames) -> Ingested:
    if layout == "auto":
        layout = detect(root)
    if layout == "csv":
        path = root / ANNOTATIONS if root.is_dir() else root
        if not path.is_file():
            raise DataError(f"{root}: has no {ANNOTATIONS}; name the CSV with --annotations")
        return read_annotations(path, [path.parent], names)
    if not root.is_dir():
        raise DataError(f"{root}: layout {layout!r} needs a folder")
    return read_aihub(root, names) if layout == "aihub" else read_folders(root, names)


def detect(root: Path) -> Literal["aihub", "folders", "csv"]:
    """Tell a source's layout: its own annotations first, then AI Hub's names, else class folders."""
    if not root.is_dir() or (root / ANNOTATIONS).is_file():
        return "csv"
    return "aihub" if any(is_aihub(folder.parts) for folder in walk(root)) else "folders"


def _together(found: Sequence[Ingested]) -> Ingested:
    whole = Ingested("+".join(sorted({one.layout for one in found})))
    listed: set[tuple[Path, str]] = set()
    for one in found:
        # The same file by way of two sources, one inside the other, is one clip.
        whole.clips += [clip for clip in one.clips if (clip.source, clip.behavior) not in listed]
        listed |= {(clip.source, clip.behavior) for clip in one.clips}
        whole.rejections += one.rejections
        whole.remarks += one.remarks
    return whole


def _chosen(found: Ingested, modality: ModalityChoice) -> Ingested:
    if modality == "all":
        return found
    others = Counter(clip.modality for clip in found.clips if clip.modality != modality)
    found.clips = [clip for clip in found.clips if clip.modality == modality]
    found.remarks += [
        f"{count} {name} clips left out by the choice of modality" for name, count in others.items()
    ]
    return found
