"""Camera-like footage made on the fly, so that none has to be shipped."""

import subprocess
from pathlib import Path


def write_footage(path: Path, *, seconds: float, megabits: float = 4.0) -> Path:
    """Write 1080p at 30 pictures a second in H.264 as cameras send it: no B-frames, a keyframe each 2 s.

    The picture moves all over and is noisy; the rate is held at `megabits` a second.
    """
    picture = "testsrc2=size=1920x1080:rate=30,noise=alls=14:allf=t+u"
    rate = f"{megabits}M"
    command = ["ffmpeg", "-nostdin", "-v", "error", "-y", "-f", "lavfi", "-i", picture, "-t", str(seconds)]
    command += ["-c:v", "libx264", "-preset", "veryfast", "-bf", "0", "-g", "60", "-pix_fmt", "yuv420p"]
    command += ["-b:v", rate, "-maxrate", rate, "-bufsize", rate, str(path)]
    subprocess.run(command, check=True)
    return path


def megabits_of(path: Path, *, seconds: float) -> float:
    """What the file came to, Mbit/s."""
    return path.stat().st_size * 8 / seconds / 1e6
