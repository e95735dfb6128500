"""Frames in memory: read once, and never more than there is room for."""

import numpy as np

from jikimi.train.memory import FrameMemory


def test_frame_is_read_once() -> None:
    memory, reads = FrameMemory(1000), []

    def read() -> np.ndarray:
        reads.append(1)
        return np.full((10, 10, 1), 7, np.uint8)

    first = memory.get(("a", 0, False), read)
    assert memory.get(("a", 0, False), read) is first and len(reads) == 1
    memory.get(("a", 0, True), read)
    assert len(reads) == 2 and memory.held_bytes == 200


def test_budget_is_kept_and_what_came_first_stays() -> None:
    memory = FrameMemory(250)
    for index in range(20):
        memory.get(("a", index % 4, False), lambda: np.zeros((10, 10, 1), np.uint8))
        assert memory.held_bytes <= 250
    reads = []
    for index in range(4):
        memory.get(("a", index, False), lambda: reads.append(1) or np.zeros((10, 10, 1), np.uint8))
    assert memory.held_bytes == 200 and len(reads) == 2
