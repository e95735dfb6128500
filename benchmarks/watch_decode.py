"""Reads a recording at its own pace without any model: what watching costs before it thinks.

    python watch_decode.py FILE            decode every picture
    python watch_decode.py FILE --rate 8   and scale those the model would look at

The layout is that of `jikimi watch --realtime`: one thread reads, the main thread waits for it.
"""

import argparse
import threading
import time

from jikimi.sampling import TickGrid
from jikimi.video import Decoder, Packet, Scaler, iter_packets, open_input


def read(path: str, *, rate_hz: float | None, short_side_px: int) -> None:
    """Decode a file paced by its time stamps; with a rate, scale the pictures on that grid."""
    scale, grid = Scaler(short_side_px), TickGrid(rate_hz) if rate_hz else None
    started_s, first_s = time.monotonic(), None
    with open_input(path) as container:
        stream = container.streams.video[0]
        decoder = Decoder(stream, threads=1)
        for packet in iter_packets(container, stream, decoder):
            stamp_s = _stamp_s(packet)
            if stamp_s is not None:
                first_s = stamp_s if first_s is None else first_s
                time.sleep(max(0.0, started_s + stamp_s - first_s - time.monotonic()))
            for picture, t_s in decoder.decode(packet):
                if grid is not None and grid.due(t_s):
                    scale(picture)


def _stamp_s(packet: Packet) -> float | None:
    stamp = packet.dts if packet.dts is not None else packet.pts
    return None if stamp is None else float(stamp * packet.time_base)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file")
    parser.add_argument("--rate", type=float, default=None)
    parser.add_argument("--short-side", type=int, default=256)
    options = parser.parse_args()
    settings = {"rate_hz": options.rate, "short_side_px": options.short_side}
    thread = threading.Thread(target=read, args=(options.file,), kwargs=settings)
    thread.start()
    thread.join()
