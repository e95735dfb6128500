"""What children do in tests. A light module: each child imports it anew."""

import time
from multiprocessing.connection import Connection

from jikimi.watch.child import Beat, send


def beats(pipe: Connection, word: str = "") -> None:
    """Beat until told to end; then say a last word."""
    while not pipe.poll(0.02):
        send(pipe, Beat(word or None))
    send(pipe, "last word")


def raises(_pipe: Connection) -> None:
    raise ValueError("rtsp://admin:S3cret@10.0.0.5/live is no good")


def floods(pipe: Connection) -> None:
    while send(pipe, b"x" * 100_000):
        pass


def never_beats(_pipe: Connection) -> None:
    time.sleep(60)
