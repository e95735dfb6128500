"""Eight cameras that come and go, for minutes: nothing grows, and all is watched again in the end.

`JIKIMI_SOAK_S=3600` makes it the hour whose outcome is in docs/benchmarks.md.
"""

import os
import random
import signal
import statistics
import time
from contextlib import ExitStack
from pathlib import Path

import psutil

from cameras import CameraServer, rtsp, write_film
from sites import Receiver, RunningSite, shop_floor, wait_for

__all__ = ["rtsp"]

SOAK_S = float(os.environ.get("JIKIMI_SOAK_S", "180"))
CAMERAS = 8
FPS = 10

# Caches, allocators and the first reconnects of each camera fill up in this share of the time.
WARM_UP = 0.4
MOST_GROWTH = 1.05


def test_flapping_cameras_neither_grow_memory_nor_leave_handles(rtsp: None, tmp_path: Path) -> None:
    film = write_film(tmp_path / "f.h264", seconds=20, fps=FPS, draw=shop_floor(40, 70))
    chance = random.Random(8)
    with ExitStack() as stack:
        servers = [stack.enter_context(CameraServer({"c": film})) for _ in range(CAMERAS)]
        hook = stack.enter_context(Receiver())
        cameras = {f"c{i}": server.address("c") for i, server in enumerate(servers)}
        site = stack.enter_context(RunningSite(tmp_path, cameras, hook))
        wait_for(site.watching, within_s=120)
        memory_mb, handles = flap(site, servers, chance)
        wait_for(site.watching, within_s=60)
        log = site.log()
    early, late = halves(memory_mb)
    assert late <= MOST_GROWTH * early, (early, late, memory_mb)
    early, late = halves(handles)
    assert late <= early + CAMERAS, (early, late, handles)
    assert "Traceback" not in log and '"trace"' not in log, log[-3000:]


def flap(
    site: RunningSite, servers: list[CameraServer], chance: random.Random
) -> tuple[list[float], list[float]]:
    """Take cameras away and bring them back → memory in MB and handles, measured while all are there."""
    memory_mb, handles = [], []
    until = time.monotonic() + SOAK_S
    while time.monotonic() < until:
        server = chance.choice(servers)
        if chance.random() < 0.5:
            server.kill()
            time.sleep(chance.uniform(0.5, 4.0))
            server.start()
        else:
            server.send(signal.SIGSTOP)
            time.sleep(chance.uniform(0.5, 4.0))
            server.send(signal.SIGCONT)
        time.sleep(2.0)
        members = [process for process in site.family() if process.status() != psutil.STATUS_ZOMBIE]
        memory_mb.append(sum(process.memory_full_info().pss for process in members) / 1e6)
        handles.append(float(sum(process.num_fds() for process in members)))
    return memory_mb, handles


def halves(values: list[float]) -> tuple[float, float]:
    """The median soon after the warm-up, and at the end."""
    kept = values[round(WARM_UP * len(values)) :]
    third = max(1, len(kept) // 3)
    return statistics.median(kept[:third]), statistics.median(kept[-third:])
