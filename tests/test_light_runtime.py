"""A plain install watches: without torch and the rest of the training half, and soon after its start."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bundles import accident_between, make_bundle
from videos import write_video

HEAVY = [
    "torch",
    "torchvision",
    "timm",
    "lightning",
    "mujoco",
    "ray",
    "onnx",
    "sklearn",
    "polars",
    "matplotlib",
]

WATCH = """
import json, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {heavy!r}:
            raise ImportError(f"{{name}} is not part of a plain install")

sys.meta_path.insert(0, Blocked())
import jikimi
from pathlib import Path

bundle = jikimi.load_bundle({model!r})
jikimi.watch(
    [{video!r}], bundle=bundle, out=Path({out!r}), emit=lambda event: print(json.dumps(event.as_json()))
)
loaded = sorted(set(sys.modules) & {{"rich", "typer", *{heavy!r}}})
print(json.dumps({{"loaded": loaded}}))
"""


def test_watching_needs_nothing_heavy(tmp_path: Path) -> None:
    model = make_bundle(tmp_path / "x.jikimi")
    video = write_video(tmp_path / "v.mp4", seconds=10, fps=12, size=(96, 64), draw=accident_between(36, 60))
    code = WATCH.format(heavy=HEAVY, model=str(model), video=str(video), out=str(tmp_path / "out"))
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    *events, last = [json.loads(line) for line in done.stdout.splitlines()]
    assert [e["event"] for e in events] == ["started", "opened", "closed", "evidence", "ended"]
    assert Path(events[3]["evidence"]).is_file()
    assert last["loaded"] == []


@pytest.mark.parametrize("name", ["numpy", "av", "onnxruntime", "pydantic", "PIL"])
def test_importing_the_package_loads_nothing(name: str) -> None:
    code = f"import sys, jikimi; sys.exit({name!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0


def test_names_are_found_before_and_after_their_module_is_loaded() -> None:
    code = (
        "import jikimi; assert callable(jikimi.watch); import jikimi.watch.pipeline; "
        "assert callable(jikimi.watch) and jikimi.watch.pipeline.watch; from jikimi import watch, Detector"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0
