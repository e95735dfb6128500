"""The newest packets of a stream, kept for evidence of what is about to happen."""

from collections import deque
from dataclasses import dataclass, field

from jikimi.video import StoredPacket


@dataclass(slots=True)
class PacketRing:
    """The newest packets of a stream, whole groups of pictures, bounded in seconds and bytes."""

    keep_s: float
    max_s: float
    max_bytes: int
    size_bytes: int = field(default=0, init=False)
    _packets: deque[StoredPacket] = field(default_factory=deque, init=False)
    _keyframes: deque[StoredPacket] = field(default_factory=deque, init=False)

    def push(self, stored: StoredPacket) -> None:
        """Add the newest packet and drop what is no longer needed."""
        if not self._keyframes and not stored.is_keyframe:
            return  # nothing before the first keyframe can be decoded
        self._packets.append(stored)
        self.size_bytes += stored.size
        if stored.is_keyframe:
            self._keyframes.append(stored)
        newest_s = stored.decoded_s
        while len(self._keyframes) > 1 and self._keyframes[1].shown_s <= newest_s - self.keep_s:
            self._drop_group()
        while self._packets and (
            self.size_bytes > self.max_bytes or newest_s - self._packets[0].decoded_s > self.max_s
        ):
            self._drop_group()

    def clear(self) -> None:
        """Let go of everything."""
        self._packets.clear()
        self._keyframes.clear()
        self.size_bytes = 0

    def _drop_group(self) -> None:
        """Drop the oldest packets up to the next keyframe: what is left of a group cannot be decoded."""
        if self._keyframes and self._packets[0] is self._keyframes[0]:
            self._keyframes.popleft()
        until = self._keyframes[0] if self._keyframes else None
        while self._packets and self._packets[0] is not until:
            self.size_bytes -= self._packets.popleft().size

    def since(self, stamp_s: float) -> list[StoredPacket]:
        """Packets from the last keyframe shown at or before `stamp_s`, else from the first there is."""
        start = next(
            (k for k in reversed(self._keyframes) if k.shown_s <= stamp_s),
            self._keyframes[0] if self._keyframes else None,
        )
        packets = list(self._packets)
        if start is None:
            return []
        return packets[next(i for i, stored in enumerate(packets) if stored is start) :]
