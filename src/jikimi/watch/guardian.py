"""What starts the parts of a site and starts them again when they hang or die: it does nothing else.

Watching, delivering and serving are processes apart: each may die alone, and is back within seconds. The part
that watches has a stand-in that has loaded everything already: a whole site that is blind is the worst case.
"""

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from multiprocessing.reduction import send_handle

from jikimi.watch.child import Child, Program, Running

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 0.05

# A part that does not beat for this long hangs. All that a part's loop does takes milliseconds; but the one
# that serves builds pages, gives way to the others, and nobody is blind without it.
_SILENT_S, _SERVING_SILENT_S = 2.0, 8.0

# SIGTERM to end (the 5 s): cameras finish their evidence within 3, queues within 1.5.
_END_S = 4.9

# A stand-in loads for two seconds of a core: not while the part itself is starting.
_STAND_IN_AFTER_S = 5.0


@dataclass(slots=True)
class Warm:
    """Launches a part from its stand-in, which waits with everything loaded; afresh where there is none."""

    program: Program
    _process: Running | None = field(default=None, init=False)
    _control: Connection | None = field(default=None, init=False)
    _due_at: float = field(default=0.0, init=False)

    def __call__(self, pipe: Connection) -> Running:
        """Start it: the stand-in is handed the pipe, and becomes the part."""
        process, control, self._process, self._control = self._process, self._control, None, None
        self._due_at = time.monotonic() + _STAND_IN_AFTER_S
        if process is None or control is None or process.pid is None:
            return self.program(pipe)
        try:
            send_handle(control, pipe.fileno(), process.pid)
        except OSError as error:
            log.warning("the stand-in cannot be used: %s", error.strerror)
            process.kill()
            return self.program(pipe)
        finally:
            control.close()
        return process

    def look(self) -> None:
        """Keep a stand-in waiting."""
        if self._process is not None and self._process.exit_code() is not None:
            log.warning("the stand-in has ended")
            self.end()
        if self._process is None and time.monotonic() >= self._due_at:
            try:
                self._prepare()
            except OSError as error:
                log.error("no stand-in can be started: %s", error.strerror)
                self._due_at = time.monotonic() + _STAND_IN_AFTER_S

    def _prepare(self) -> None:
        self._control, theirs = Pipe()
        with theirs:
            self._process = Program([*self.program.arguments, "--standby"])(theirs)

    def end(self) -> None:
        """Let the stand-in go."""
        self._due_at = time.monotonic() + _STAND_IN_AFTER_S
        if self._process is not None:
            self._process.kill()
        if self._control is not None:
            self._control.close()
        self._process, self._control = None, None


def guard(parts: Mapping[str, Sequence[str]], stop: threading.Event, *, serving: str = "") -> dict[str, int]:
    """Keep `parts` running until `stop` is set → how often each was started again.

    Each is a name and the arguments of `python -m jikimi`; the first has a stand-in, and ends first.
    `serving` is the one that serves pages.
    """
    programs = {name: Program(arguments) for name, arguments in parts.items()}
    first = next(iter(parts))
    warm = Warm(programs[first])
    children = {
        name: Child(
            name,
            warm if name == first else program,
            silent_s=_SERVING_SILENT_S if name == serving else _SILENT_S,
        )
        for name, program in programs.items()
    }
    try:
        while not stop.wait(_LOOK_EVERY_S):
            for child in children.values():
                child.poll()
            warm.look()
    finally:
        warm.end()
        for name, child in children.items():
            child.let_go(_END_S if name == first else 0.5)
    return {name: child.restarts for name, child in children.items()}
