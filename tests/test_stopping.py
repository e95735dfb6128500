"""A signal ends what runs, whatever it was doing."""

import subprocess
import sys

import pytest

IN_MID_WAIT = """
import signal
from jikimi.stopping import stop_on_signals

stop = stop_on_signals()
with stop._cond:  # as the main thread holds it for a moment in each `stop.wait`
    signal.raise_signal(signal.{name})
assert stop.wait(5)
print("ended")
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_signal_in_mid_wait_is_heard(name: str) -> None:
    command = [sys.executable, "-c", IN_MID_WAIT.format(name=name)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert (run.stdout, run.stderr) == ("ended\n", "")
