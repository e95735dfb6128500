"""A whole site to measure: cameras on a local RTSP server, started and looked at as in the tests."""

import subprocess
import sys
from pathlib import Path

import psutil

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))

from bundles import make_bundle
from cameras import CameraServer, Film, write_film
from sites import Receiver, RunningSite, shop_floor, wait_for

__all__ = [
    "CameraServer",
    "Film",
    "Receiver",
    "RunningSite",
    "cpu_s",
    "film",
    "film_of",
    "make_bundle",
    "memory_mb",
    "shop_floor",
    "wait_for",
    "write_film",
]


def film(path: Path, *, size: str, rate: int, seconds: int, megabits: float) -> Film:
    """Write noisy, moving pictures as a camera sends them: H.264 without B-frames, a keyframe each 2 s."""
    picture = f"testsrc2=size={size}:rate={rate},noise=alls=14:allf=t+u"
    command = ["ffmpeg", "-nostdin", "-v", "error", "-y", "-f", "lavfi", "-i", picture, "-t", str(seconds)]
    command += ["-c:v", "libx264", "-preset", "veryfast", "-bf", "0", "-g", str(2 * rate)]
    command += ["-pix_fmt", "yuv420p", "-x264-params", "aud=1:scenecut=0"]
    command += ["-b:v", f"{megabits}M", "-maxrate", f"{megabits}M", "-bufsize", f"{megabits}M"]
    subprocess.run([*command, "-f", "h264", str(path)], check=True)
    return Film(path, rate)


def film_of(folder: Path) -> Film:
    """A floor on which nothing happens, with a keyframe each second."""
    return write_film(folder / "f.h264", seconds=10, fps=15, size=(320, 192), draw=shop_floor(0, 0))


def memory_mb(pid: int) -> float:
    """What a process takes, MB: its own pages and its share of those it shares (PSS)."""
    return float(psutil.Process(pid).memory_full_info().pss) / 1e6


def cpu_s(pid: int) -> float:
    """Seconds of processor time a process and its descendants have used."""
    total = 0.0
    for process in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
        try:
            times = process.cpu_times()
            total += times.user + times.system
        except psutil.NoSuchProcess:
            continue
    return total
