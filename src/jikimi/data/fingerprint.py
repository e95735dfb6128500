"""What a clip's source holds, as a hash: keys, names and duplicates hang on it."""

import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from jikimi.clip import Clip
from jikimi.data import extract
from jikimi.data.pictures import pictures_of
from jikimi.data.source import Ingested

# A file name may have 255 bytes on most file systems; a Hangul syllable takes 3. Room is left for the hash.
MAX_STEM_BYTES = 120

_UNSAFE = re.compile(r"[^\w\-.]+")


@dataclass(frozen=True, slots=True)
class Hashed:
    """A clip with the hash of its content, and the key its frames are known by."""

    clip: Clip
    content: str
    key: str

    @property
    def clip_id(self) -> str:
        """The source's name, made safe, and the start of the key: readable, and the same wherever it lies."""
        name = self.clip.source.name if self.clip.source_fps is not None else self.clip.source.stem
        stem = _UNSAFE.sub("_", unicodedata.normalize("NFC", name)).strip("._-")
        cut = stem.encode()[:MAX_STEM_BYTES].decode(errors="ignore")
        return f"{cut or 'clip'}-{self.key[:12]}"


def fingerprint(
    found: Ingested, *, rate_hz: float, short_side_px: int, threads: int, step: Callable[[], None]
) -> list[Hashed]:
    """Hash every clip's source, in the order given; what cannot be read goes to the rejections.

    `step` is called after each clip.
    """
    hashed = []
    settings = f"{extract.VERSION} {rate_hz!r} {short_side_px} {extract.JPEG_QUALITY}"
    with ThreadPoolExecutor(threads) as threads_:  # hashing lets go of the interpreter's lock
        for clip, answer in zip(found.clips, threads_.map(_content, found.clips), strict=True):
            step()
            if isinstance(answer, _Unreadable):
                found.reject(clip.source, clip.behavior, answer.reason)
                continue
            key = hashlib.sha256(f"{answer} {settings} {clip.source_fps!r}".encode()).hexdigest()
            hashed.append(Hashed(clip, answer, key))
    return hashed


@dataclass(frozen=True, slots=True)
class _Unreadable:
    reason: str


def _content(clip: Clip) -> str | _Unreadable:
    try:
        if clip.source_fps is None:
            return _sha256(clip.source) if clip.source.stat().st_size else _Unreadable("an empty file")
        # Names are left out: a folder copied under other numbers is the same clip.
        digests = [_sha256(path) for path in pictures_of(clip.source)]
    except OSError as error:
        return _Unreadable(f"cannot be read: {error.strerror or error}")
    if not digests:
        return _Unreadable("a folder without pictures")
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def without_duplicates(
    hashed: Sequence[Hashed], found: Ingested, name: Callable[[Path], str]
) -> list[Hashed]:
    """Keep one of each content. Where labels of the same content disagree, none is kept.

    Of equals, one that is for evaluation only is kept before one that may be trained on: its licence binds.
    """
    by_content: dict[str, list[Hashed]] = {}
    for one in hashed:
        by_content.setdefault(one.content, []).append(one)
    return [kept for same in by_content.values() for kept in _judge(same, found, name)]


def _judge(same: Sequence[Hashed], found: Ingested, name: Callable[[Path], str]) -> Iterator[Hashed]:
    labels = sorted({one.clip.behavior for one in same})
    if len(labels) > 1:
        for one in same:
            other = next(o.clip for o in same if o.clip.behavior != one.clip.behavior)
            reason = f"same content as {name(other.source)}, labelled {other.behavior!r}: the labels disagree"
            found.reject(one.clip.source, one.clip.behavior, reason)
        return
    kept = next((one for one in same if one.clip.evaluation_only), same[0])
    for one in same:
        if one is not kept:
            found.reject(one.clip.source, one.clip.behavior, f"duplicate of {name(kept.clip.source)}")
    yield kept
