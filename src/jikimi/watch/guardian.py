"""What starts the parts of a site and starts them again when they hang or die: it does nothing else.

Watching, delivering and serving are processes apart: each may die alone, and is back within seconds.
"""

import logging
import threading
from collections.abc import Mapping, Sequence

from jikimi.watch.child import Child, Program

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 0.05

# A part that does not beat for this long hangs. All that a part's loop does takes milliseconds.
_SILENT_S = 2.0

# SIGTERM to end (the 5 s): cameras finish their evidence within 3, queues within 1.5.
_END_S = 4.9


def guard(parts: Mapping[str, Sequence[str]], stop: threading.Event) -> dict[str, int]:
    """Keep `parts` running until `stop` is set → how often each was started again.

    Each is a name and the arguments of `python -m jikimi`; the first one ends first.
    """
    children = {
        name: Child(name, Program(arguments), silent_s=_SILENT_S) for name, arguments in parts.items()
    }
    try:
        while not stop.wait(_LOOK_EVERY_S):
            for child in children.values():
                child.poll()
    finally:
        first = True
        for child in children.values():
            child.let_go(_END_S if first else 0.5)
            first = False
    return {name: child.restarts for name, child in children.items()}
