"""Programs run to be measured: wall clock, CPU time and peak memory of a whole process."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

# How often the peak memory is looked up; the kernel keeps the peak, so only the last moments can be missed.
_POLL_S = 0.05


class ProcessFailedError(Exception):
    """A measured program ended badly: its figures would mean nothing."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a program took. `cpu_s` counts its finished children, `peak_mb` (VmHWM) only itself.

    `lines` are those of its standard output, each with the seconds from start to its arrival.
    """

    wall_s: float
    cpu_s: float
    peak_mb: float
    lines: tuple[tuple[float, str], ...]

    @property
    def text(self) -> str:
        """The whole standard output."""
        return "\n".join(line for _, line in self.lines)


def jikimi(*arguments: str | Path) -> list[str]:
    """A command line of this environment's `jikimi`."""
    return [sys.executable, "-m", "jikimi", *map(str, arguments)]


def script(name: str, *arguments: str | Path) -> list[str]:
    """A command line that runs a file of this folder with this environment's Python."""
    return [sys.executable, str(Path(__file__).resolve().parent / name), *map(str, arguments)]


def run(
    command: Sequence[str | Path], *, cores: Sequence[int] | None = None, env: Mapping[str, str] | None = None
) -> Outcome:
    """Run a program to its end and measure it; `cores` pins it, children and threads included.

    Raises:
        ProcessFailedError: it ended with another code than 0.
    """
    prefix = [] if cores is None else ["taskset", "-c", ",".join(map(str, cores))]
    started = time.monotonic()
    with subprocess.Popen(
        [*prefix, *map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **(env or {})},
    ) as process:
        peak = _Peak(process.pid)
        peak.start()
        errors = _drain(process)
        assert process.stdout is not None
        lines = tuple((time.monotonic() - started, line.rstrip("\n")) for line in process.stdout)
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.monotonic() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        peak.join()
        errors.thread.join()
    if process.returncode != 0:
        raise ProcessFailedError(
            f"{' '.join(map(str, command))}: exit code {process.returncode}\n{''.join(errors.lines)[-2000:]}"
        )
    return Outcome(wall_s, usage.ru_utime + usage.ru_stime, peak.mb, lines)


class _Peak(threading.Thread):
    """Reads VmHWM until the process is gone (rusage would count the parent's memory at the fork too)."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.status = Path(f"/proc/{pid}/status")
        self.mb = 0.0

    def run(self) -> None:
        while (kilobytes := self._read()) is not None:
            self.mb = kilobytes * 1024 / 1e6
            time.sleep(_POLL_S)

    def _read(self) -> int | None:
        try:
            rows = self.status.read_text(encoding="utf-8").splitlines()
        except OSError:
            return None
        return next((int(row.split()[1]) for row in rows if row.startswith("VmHWM:")), None)


@dataclass(slots=True)
class _Drained:
    thread: threading.Thread
    lines: list[str] = field(default_factory=list)


def _drain(process: "subprocess.Popen[str]") -> _Drained:
    """Read standard error aside, so that a talkative program cannot block."""
    drained = _Drained(threading.Thread(target=lambda: drained.lines.extend(_stderr(process)), daemon=True))
    drained.thread.start()
    return drained


def _stderr(process: "subprocess.Popen[str]") -> Iterator[str]:
    assert process.stderr is not None
    yield from process.stderr
