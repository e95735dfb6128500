"""Watches a file until the first decision and prints the monotonic time of it. Run by install.py.

It is run by the Python of the environment that is measured, and uses only the public API.
"""

import json
import sys
import threading
import time
from typing import Any

import jikimi


def main(video: str, model: str) -> None:
    """Stop at the first scores."""
    stop = threading.Event()
    first: list[float] = []

    def decided(_camera: str, _t_s: float, _scores: Any) -> None:
        if not first:
            first.append(time.monotonic())
            stop.set()

    bundle = jikimi.load_bundle(model)
    jikimi.watch([video], bundle=bundle, emit=lambda _event: None, on_scores=decided, stop=stop)
    torch = "torch" in sys.modules
    print(json.dumps({"first_decision": first[0], "torch": torch}))


if __name__ == "__main__":
    main(*sys.argv[1:3])
