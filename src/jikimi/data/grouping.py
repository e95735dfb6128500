"""Which recording a clip belongs to, as far as the names of its file and folders tell. Pure.

A name is a hint: `cam1_0003` is the third piece of `cam1`, while `fall_0003` may be the third fall of thirty
that have nothing in common. Backgrounds (`scenes`) catch what names do not.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

# "…_0012", "… (3)", "…-2": a counter at the end. A name that is all counter keeps it.
_COUNTER = re.compile(r"[\s_.\-]*\(?\d+\)?$")

# The same recording seen by the thermal camera has the same name but for this.
_MODALITY = re.compile(r"(?<![a-z])(rgb|thermal|tir|ir)(?![a-z])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Named:
    """A clip's behaviour and the names it may be grouped by, from coarse to fine; at least one."""

    behavior: str
    names: tuple[str, ...]


def names_of(folders: Sequence[str], stem: str) -> tuple[str, ...]:
    """Names from coarse to fine: the folders between behaviour and file, the stem less its counter, the stem.

    >>> names_of(["S1"], "walk_02")
    ('S1', 'S1/walk', 'S1/walk_02')
    """
    stem = re.sub(r"[\s_\-]{2,}", "_", _MODALITY.sub("", stem)).strip(" _-") or stem
    paths = ["/".join(folders[: depth + 1]) for depth in range(len(folders))]
    prefix = _COUNTER.sub("", stem)
    ends = [prefix, stem] if prefix and prefix != stem else [stem]
    return (*paths, *("/".join([*folders, end]) for end in ends))


def recording_groups(clips: Sequence[Named]) -> list[str]:
    """Choose one group name for each clip: the coarsest that tells recordings apart.

    A name that swallows all clips of a behaviour (`fall_…` in the folder of falls) says nothing about
    recordings. Every clip that bears it, of whatever behaviour, is named one step finer, until no such
    name is left.
    """
    depths = [0] * len(clips)
    while True:
        current = [clip.names[depth] for clip, depth in zip(clips, depths, strict=True)]
        vague = _vague(clips, current)
        deeper = [
            name in vague and depth + 1 < len(clip.names)
            for clip, depth, name in zip(clips, depths, current, strict=True)
        ]
        if not any(deeper):
            return current
        depths = [depth + step for depth, step in zip(depths, deeper, strict=True)]


def _vague(clips: Sequence[Named], current: Sequence[str]) -> set[str]:
    bearers: dict[str, list[str]] = {}
    for clip, name in zip(clips, current, strict=True):
        bearers.setdefault(clip.behavior, []).append(name)
    return {names[0] for names in bearers.values() if len(names) > 1 and len(set(names)) == 1}
