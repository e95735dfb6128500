"""What ONNX Runtime's spinning threads would cost while watching, on every core of the machine.

uv run --all-extras python benchmarks/spinning.py [--bundle X.jikimi] [--seconds 30]
"""

import json
import sys
import tempfile
from pathlib import Path

from figures import Report, arguments, interleave, median
from footage import write_footage
from process import Outcome, jikimi, run, script

# Runs the command line with ONNX Runtime's default restored: threads that spin while they wait.
_SPINNING = """
import sys
import onnxruntime
set_entry = onnxruntime.SessionOptions.add_session_config_entry
def ignoring(self, key, value):
    if key != "session.intra_op.allow_spinning":
        set_entry(self, key, value)
onnxruntime.SessionOptions.add_session_config_entry = ignoring
from jikimi.cli import main
main()
"""


def main() -> None:
    parser = arguments(__doc__ or "", rounds=3)
    parser.add_argument("--bundle", type=Path, default=None, help="default: a random model of recipe edge")
    parser.add_argument("--seconds", type=float, default=30.0, help="length of the stream")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="jikimi-bench-") as name:
        folder = Path(name)
        bundle = options.bundle
        if bundle is None:
            bundle = folder / "edge.jikimi"
            run(script("fresh_bundle.py", bundle, "--recipe", "edge"))
        video = write_footage(folder / "camera.mp4", seconds=options.seconds)
        command = jikimi("watch", video, "--model", bundle, "--realtime", "--json")
        sides = {
            "asleep": lambda: run(command),
            "spinning": lambda: run([sys.executable, "-c", _SPINNING, *command[3:]]),
        }
        found = interleave(sides, rounds=options.rounds)
    report_of(found, rounds=options.rounds).publish(options.json)


def report_of(found: dict[str, list[Outcome]], *, rounds: int) -> Report:
    """Put the measurements together."""
    report = Report("spinning", "watching with threads that wait asleep or spinning", {"rounds": rounds})
    for side, runs in found.items():
        ended = [json.loads(one.lines[-1][1]) for one in runs]
        stream_s = float(ended[-1]["stream_s"])
        report.add(f"{side}: watching", median(one.cpu_s for one in runs) / stream_s * 100, "% of a core")
        report.add(f"{side}: decision age, p95", median(one["age_p95_s"] for one in ended) * 1000, "ms")
        report.raw[side] = [{"cpu_s": one.cpu_s, "ended": end} for one, end in zip(runs, ended, strict=True)]
    return report


if __name__ == "__main__":
    main()
