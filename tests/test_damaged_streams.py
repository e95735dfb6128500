"""Damaged input: flipped bits, cuts, swapped headers. Nobody hangs, nobody takes what is broken for quiet.

`JIKIMI_DAMAGED=1000` makes it the long run whose outcome is in docs/benchmarks.md. The reading process may
crash in native code: that is what it is apart for. It may not hang, and what it could not see it must say.
"""

import json
import logging
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sites import shop_floor
from videos import write_video

log = logging.getLogger(__name__)

DAMAGED = int(os.environ.get("JIKIMI_DAMAGED", "60"))
FPS, SECONDS = 12, 3

# Reading three seconds of a small video takes a tenth of a second; a busy machine may take longer.
HANGS_S = 20.0

READER = """
import json, sys, threading
from pathlib import Path
from jikimi.address import Address
from jikimi.watch.camera import CameraReader, View
from jikimi.watch.recorder import Keep
from jikimi.watch.sources import Camera
from jikimi.watch.health import is_torn

for line in sys.stdin:
    path = line.strip()
    camera = Camera("x", Address(path), live=False)
    reader = CameraReader(camera, View(8.0, 48, paced=False, keep=Keep()), None, threading.Event())
    ticks = good = 0
    for tick in reader.ticks():
        ticks += tick.count
        good += not (tick.frame.damaged or is_torn(tick.frame.image_HWC))
    decoder = reader.decoder
    print(json.dumps({"ticks": ticks, "good": good, "problem": reader.problem,
                      "errors": 0 if decoder is None else decoder.errors}), flush=True)
"""

KINDS = ("mp4", "ts", "mkv", "avi")
CODECS = ("libx264", "libx265", "mjpeg", "mpeg4")


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The same pictures in several codecs and containers."""
    folder, found = tmp_path_factory.mktemp("sound"), []
    for kind in KINDS:
        for codec in CODECS:
            if (kind, codec) in {("ts", "mjpeg"), ("avi", "libx265")}:
                continue
            pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            draw = shop_floor(0, 0)
            path = folder / f"{codec}.{kind}"
            found.append(
                write_video(
                    path, seconds=SECONDS, fps=FPS, size=(96, 64), codec=codec, pix_fmt=pixels, draw=draw
                )
            )
    return found


def damage(data: bytes, other: bytes, chance: random.Random) -> bytes:
    """Flip bits, cut pieces out, cut the end off, or put another file's header before it."""
    how = chance.choice(("flips", "burst", "hole", "end", "header", "zeros", "twice"))
    changed, size = bytearray(data), len(data)
    at = chance.randrange(size)
    if how == "flips":
        for _ in range(chance.choice((1, 10, 200))):
            changed[chance.randrange(size)] ^= 1 << chance.randrange(8)
    elif how == "burst":
        piece = chance.randbytes(min(size - at, chance.randrange(1, 4000)))
        changed[at : at + len(piece)] = piece
    elif how == "hole":
        del changed[at : at + chance.randrange(1, 4000)]
    elif how == "end":
        del changed[at:]
    elif how == "header":
        n = chance.randrange(1, 600)
        changed[:n] = other[:n]
    elif how == "zeros":
        changed[at : at + 2000] = bytes(len(changed[at : at + 2000]))
    else:
        changed[at:at] = data[: chance.randrange(1, size)]
    return bytes(changed)


@contextmanager
def reader() -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, "-c", READER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_damaged_streams_neither_hang_nor_pass_for_quiet(sources: list[Path], tmp_path: Path) -> None:
    chance = random.Random(4)
    outcomes: Counter[str] = Counter()
    left = list(range(DAMAGED))
    while left:
        with reader() as process:
            while left:
                source, other = chance.choice(sources), chance.choice(sources)
                path = tmp_path / f"x{source.suffix}"
                path.write_bytes(damage(source.read_bytes(), other.read_bytes(), chance))
                answer = ask(process, path)
                left.pop()
                if answer is None:
                    outcomes["crashed apart"] += 1
                    break
                outcomes[judge(answer)] += 1
    log.info("damaged streams: %s", dict(outcomes))
    assert sum(outcomes.values()) == DAMAGED
    assert outcomes["silently blind"] == 0
    assert outcomes["crashed apart"] <= DAMAGED / 50


def ask(process: "subprocess.Popen[str]", path: Path) -> dict[str, Any] | None:
    """Have a file read → what came of it; None: the reading process died of it. A hang fails the test."""
    import select

    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(f"{path}\n")
    process.stdin.flush()
    ready, _, _ = select.select([process.stdout], [], [], HANGS_S)
    assert ready, f"reading a damaged {path.suffix} hangs"
    line = process.stdout.readline()
    return json.loads(line) if line else None


def judge(answer: dict[str, Any]) -> str:
    """Seen whole, seen in part and said so, or nothing seen and nothing said: the one that must not be."""
    torn = answer["ticks"] - answer["good"]  # from a fifth of the pictures on, the camera is `damaged`
    if answer["problem"] or answer["errors"] or torn > 0.2 * answer["ticks"]:
        return "told"
    return "seen" if answer["good"] else "silently blind"
