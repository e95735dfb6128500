"""Walking a source: every file is seen once and put in its kind; loops, broken links, odd files are told."""

import os
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from jikimi.data.pictures import is_picture
from jikimi.data.workspace import is_prepared

# Endings FFmpeg knows as video. Others are not tried: FFmpeg would draw a .txt as a film of its letters.
VIDEO_SUFFIXES = frozenset(
    f".{ending}"
    for ending in (
        *("mp4", "m4v", "mov", "avi", "mkv", "webm", "mpg", "mpeg", "mpe", "ts", "m2ts", "mts", "wmv", "asf"),
        *("flv", "f4v", "3gp", "3g2", "gif", "ogv", "vob", "dav", "mxf", "divx", "y4m"),
        *("264", "h264", "265", "h265", "hevc", "mjpg", "mjpeg"),
    )
)
LABEL_SUFFIXES = frozenset({".json"})
ARCHIVE_SUFFIXES = frozenset({".zip", ".tar", ".gz", ".tgz", ".7z", ".rar", ".egg", ".alz", ".part0"})


@dataclass(slots=True)
class Folder:
    """The files of one folder by kind. `parts` are the names from the root's own down to it, in NFC."""

    path: Path
    parts: tuple[str, ...]
    videos: list[Path] = field(default_factory=list)
    pictures: list[Path] = field(default_factory=list)
    labels: list[Path] = field(default_factory=list)
    problems: list[tuple[Path, str]] = field(default_factory=list)


def walk(root: Path) -> Iterator[Folder]:
    """Yield the folders under a root in a fixed order, links to folders after all real ones.

    A folder is entered once, however many links lead to it. Hidden files and folders and prepared data sets
    are passed over.
    """
    seen: set[tuple[int, int]] = set()
    real, links = [root], list[Path]()
    while real or links:
        path = real.pop() if real else links.pop(0)
        folder = Folder(path, _parts(root, path))
        folders = _list(path, folder, seen)
        links += sorted(child for child in folders if child.is_symlink())
        real += sorted((child for child in folders if not child.is_symlink()), reverse=True)
        yield folder


def _list(path: Path, folder: Folder, seen: set[tuple[int, int]]) -> list[Path]:
    try:
        status = path.stat()
        identity = (status.st_dev, status.st_ino)
        if identity in seen:
            folder.problems.append((path, "a link to a folder that is read already"))
            return []
        seen.add(identity)
        entries = sorted(path.iterdir(), key=lambda entry: unicodedata.normalize("NFC", entry.name))
    except OSError as error:
        folder.problems.append((path, f"cannot be read: {error.strerror or error}"))
        return []
    return [entry for entry in entries if not entry.name.startswith(".") and _sort(entry, folder)]


def _sort(entry: Path, folder: Folder) -> bool:
    """Put a file where it belongs; return True for a folder to enter."""
    problem = problem_of(entry)
    if problem:
        folder.problems.append((entry, problem))
    elif entry.is_dir():
        return not is_prepared(entry)
    elif is_picture(entry):
        folder.pictures.append(entry)
    elif entry.suffix.lower() in LABEL_SUFFIXES:
        folder.labels.append(entry)
    else:
        folder.videos.append(entry)
    return False


def problem_of(entry: Path) -> str:
    """Say why a file or link cannot be a source by its name and kind; empty where it may be one."""
    try:
        os.fsencode(entry.name).decode("utf-8")
        if entry.is_symlink() and not entry.exists():
            return "a broken link"
        if not entry.is_dir() and not entry.is_file():
            return "neither a file nor a folder"
    except UnicodeDecodeError:
        return "its name is not valid UTF-8; rename it"
    except OSError as error:  # a link that leads to itself
        return f"cannot be read: {error.strerror or error}"
    suffix = entry.suffix.lower()
    known = suffix in VIDEO_SUFFIXES or suffix in LABEL_SUFFIXES or is_picture(entry)
    if entry.is_dir() or known:
        return ""
    return (
        "an archive; unpack it first"
        if suffix in ARCHIVE_SUFFIXES
        else f"not a video ({suffix or 'no ending'})"
    )


def _parts(root: Path, path: Path) -> tuple[str, ...]:
    names = (root.name, *path.relative_to(root).parts)
    return tuple(unicodedata.normalize("NFC", name) for name in names)
