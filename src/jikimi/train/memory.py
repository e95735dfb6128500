"""Prepared frames kept in memory: each is decoded once, as long as there is room."""

from collections.abc import Callable
from dataclasses import dataclass, field

from jikimi.frame import Image

Key = tuple[str, int, bool]
"""Clip, frame, and whether the picture is fitted already."""


@dataclass(slots=True)
class FrameMemory:
    """Pictures by key, never more than `budget_bytes` of them.

    What came first stays: an epoch asks for everything once, so that making room for the newest would throw
    out what is asked for next.
    """

    budget_bytes: int
    held_bytes: int = field(default=0, init=False)
    _pictures: dict[Key, Image] = field(default_factory=dict, init=False, repr=False)

    def get(self, key: Key, read: Callable[[], Image]) -> Image:
        """The picture of this key, read where it is not held."""
        held = self._pictures.get(key)
        if held is not None:
            return held
        picture = read()
        if self.held_bytes + picture.nbytes <= self.budget_bytes:
            picture.flags.writeable = False
            self._pictures[key] = picture
            self.held_bytes += picture.nbytes
        return picture
