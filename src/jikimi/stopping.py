"""Ending in good order when a signal asks for it."""

import queue
import signal
import threading


def stop_on_signals() -> threading.Event:
    """Return an event that Ctrl-C and SIGTERM set. Called from the main thread."""
    stop = threading.Event()
    # A handler runs inside whatever the main thread does: were that `stop.wait`, which holds the event's lock
    # for some microseconds, `stop.set` would wait for it for ever. This queue is made for handlers.
    signals: queue.SimpleQueue[int] = queue.SimpleQueue()

    def wait() -> None:
        signals.get()
        stop.set()

    threading.Thread(target=wait, name="signals", daemon=True).start()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _frame: signals.put(number))
    return stop
