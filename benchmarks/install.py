"""How large a plain install is, and how soon after its start it has its first decision.

    uv run --all-extras python benchmarks/install.py [--bundle X.jikimi]

The wheel is built from this checkout and installed without extras into a new virtual environment.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from figures import Report, arguments, median, spread
from footage import write_footage
from process import run, script

GOAL_MB = 550.0
GOAL_S = 2.5

ROOT = Path(__file__).resolve().parent.parent
# What must never come with a plain install.
HEAVY = ("torch", "torchvision", "timm", "lightning", "polars", "onnx", "sklearn", "mujoco", "ray")
# Long enough for a first decision (8 pictures at 8 Hz) and little more.
CLIP_S = 1.2


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment with the plain install in it."""

    root: Path

    @property
    def python(self) -> Path:
        return self.root / "bin" / "python"

    @property
    def packages(self) -> Path:
        return next((self.root / "lib").glob("python*/site-packages"))

    def heavy(self) -> list[str]:
        """Packages in it that a plain install must not bring."""
        return [name for name in HEAVY if (self.packages / name).exists()]

    def megabytes(self) -> float:
        """Size on disk of the installed packages, as blocks are counted."""
        seen = {(path.lstat().st_ino, path.lstat().st_blocks) for path in self.packages.rglob("*")}
        return sum(blocks for _, blocks in seen) * 512 / 1e6


def install(folder: Path) -> Environment:
    """Build the wheel and install it with what it needs, and nothing else."""
    dist, environment = folder / "dist", Environment(folder / "venv")
    _uv("build", "--wheel", "--out-dir", str(dist), str(ROOT))
    _uv("venv", "--python", sys.executable, str(environment.root))
    (wheel,) = dist.glob("*.whl")
    # Copied, so that the size is that of a machine without uv's cache.
    _uv("pip", "install", "--link-mode", "copy", "--python", str(environment.python), str(wheel))
    return environment


def _uv(*arguments: str) -> None:
    subprocess.run(["uv", *arguments], check=True, capture_output=True, cwd=ROOT)


def forget(*roots: Path) -> None:
    """Ask the kernel to drop these files from its cache, so that the next start reads them from disk."""
    os.sync()
    for root in roots:
        for path in [root] if root.is_file() else root.rglob("*"):
            if path.is_file() and not path.is_symlink():
                descriptor = os.open(path, os.O_RDONLY)
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
                os.close(descriptor)


def command_s(environment: Environment, video: Path, bundle: Path) -> float:
    """Seconds until `jikimi watch` has watched a clip just long enough for its first decision."""
    command: list[str | Path] = [
        environment.root / "bin" / "jikimi",
        "watch",
        video,
        "--model",
        bundle,
        "--json",
    ]
    outcome = run(command, env=_ALONE)
    moment, line = outcome.lines[-1]
    event = json.loads(line)
    if event["event"] != "ended" or not event["decisions"]:
        raise SystemExit(f"no decision was made: {line}")
    return moment


def api_s(environment: Environment, video: Path, bundle: Path) -> float:
    """Seconds from the start of a process until the first scores arrive at its callback."""
    started = time.monotonic()  # the same clock in every process
    outcome = run([environment.python, *script("first_decision.py", video, bundle)[1:]], env=_ALONE)
    answer = json.loads(outcome.text)
    if answer["torch"]:
        raise SystemExit("torch was imported while watching")
    return float(answer["first_decision"]) - started


# Nothing of the surrounding environment may be found by the one that is measured; bytecode is kept.
_ALONE = {"PYTHONPATH": "", "VIRTUAL_ENV": "", "PYTHONDONTWRITEBYTECODE": ""}


def main() -> None:
    parser = arguments(__doc__ or "", rounds=5)
    parser.add_argument("--bundle", type=Path, default=None, help="default: a random model of recipe edge")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="jikimi-bench-") as name:
        report = measure(Path(name), bundle=options.bundle, rounds=options.rounds)
    report.publish(options.json)


def measure(folder: Path, *, bundle: Path | None, rounds: int) -> Report:
    """Install, then start cold and warm."""
    model = folder / "model.jikimi"
    if bundle is None:
        run(script("fresh_bundle.py", model, "--recipe", "edge"))
    else:
        shutil.copy(bundle, model)
    video = write_footage(folder / "camera.mp4", seconds=CLIP_S)
    environment = install(folder)
    installed_mb = environment.megabytes()
    starts: dict[str, Callable[[], float]] = {
        "command": lambda: command_s(environment, video, model),
        "API": lambda: api_s(environment, video, model),
    }

    def cold() -> None:
        forget(environment.root, video, model)

    cold()
    first_s = starts["command"]()  # no bytecode yet: Python compiles every module it imports
    found: dict[str, list[float]] = {f"{how}, {what}": [] for how in ("cold", "warm") for what in starts}
    for _ in range(rounds):
        for what, start in starts.items():
            cold()
            found[f"cold, {what}"].append(start())
            found[f"warm, {what}"].append(start())
    return report_of(environment, installed_mb, first_s, found, rounds=rounds)


def report_of(
    environment: Environment,
    installed_mb: float,
    first_s: float,
    found: dict[str, list[float]],
    *,
    rounds: int,
) -> Report:
    """Put the measurements together."""
    report = Report(
        "install",
        "a plain install in a new environment: its size, and its start until the first decision",
        {"rounds": rounds, "clip": f"1080p30 H.264, {CLIP_S} s"},
    )
    report.add("site-packages as installed", installed_mb, "MB")
    used_mb = environment.megabytes()
    report.add("site-packages after use (with bytecode)", used_mb, "MB", goal=GOAL_MB, better="lower")
    report.add("heavy packages in it", len(environment.heavy()), "", goal=0, better="lower")
    report.add("very first start (no bytecode, nothing cached)", first_s, "s")
    for name, times in found.items():
        goal = GOAL_S if name.endswith("command") else None
        report.add(f"start to first decision, {name}", median(times), "s", goal=goal, better="lower")
    report.notes.append("command: `jikimi watch FILE --model BUNDLE --json` until the clip has been watched")
    report.notes.append("API: a script with `jikimi.watch(on_scores=…)` until its callback is called")
    report.notes.append("cold: the kernel was asked to forget the environment's files; warm: started again")
    report.notes += [f"{name}: {spread(times)} s" for name, times in found.items()]
    if heavy := environment.heavy():
        report.notes.append(f"heavy packages: {', '.join(heavy)}")
    report.raw = {"seconds": found, "first_s": first_s, "largest_mb": _largest(environment.packages)}
    return report


def _largest(packages: Path, count: int = 8) -> dict[str, float]:
    """The largest packages, MB."""
    sizes = {
        entry.name: sum(path.lstat().st_blocks for path in entry.rglob("*")) * 512 / 1e6
        for entry in packages.iterdir()
        if entry.is_dir()
    }
    return {name: round(sizes[name], 1) for name in sorted(sizes, key=lambda name: -sizes[name])[:count]}


if __name__ == "__main__":
    main()
