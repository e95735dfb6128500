"""How long 50 epochs of the baseline recipe take, against the origin's own loop on the same clips.

    uv run --all-extras python benchmarks/train.py --data DATA --peer PATH

DATA is a prepared set (or, with --clips, made first). PATH is a checkout of github.com/pranoyr/cnn-lstm.
Ours is the whole `jikimi train` process, encoding from an empty feature cache included. The origin's is one
epoch of training and validation, times the epochs; its start-up is not counted.
"""

import argparse
import hashlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import machine
from figures import Report, arguments, interleave, median, spread
from jikimi import sampling
from jikimi.data.manifest import Manifest, read_manifest
from process import jikimi, run, script

GOAL_RATIO = 40.0
WINDOW = 16
BATCH_SIZE = 8


@dataclass(frozen=True, slots=True)
class Side:
    """Seconds of the epochs asked for, and what they are made of."""

    seconds: float
    detail: dict[str, float]


def ours(data: Path, folder: Path, options: argparse.Namespace, *, views: int) -> Side:
    """`jikimi train` from nothing: no features, no run."""
    run_dir, copy = folder / "run", folder / "data"
    shutil.rmtree(run_dir, ignore_errors=True)
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir(parents=True)
    for name in ("manifest.parquet", "dataset.json"):
        shutil.copy(data / name, copy / name)
    (copy / "frames").symlink_to(data / "frames")  # the features land beside it, not in the user's data set
    command = jikimi("train", copy, "--out", run_dir, "--recipe", "baseline", "--weights", "none")
    command += ["--epochs", str(options.epochs), "--views", str(views), "--batch-size", str(BATCH_SIZE)]
    command += ["--device", options.device, "--num-workers", str(options.workers)]
    outcome = run(command)
    metrics = json.loads((run_dir / "metrics.json").read_text(encoding="utf-8"))
    return Side(
        outcome.wall_s, {"cpu_s": outcome.cpu_s, "peak_mb": outcome.peak_mb, "fit_s": metrics["seconds"]}
    )


def origin(tree: Path, options: argparse.Namespace, *, classes: int) -> Side:
    """One epoch of the origin, scaled to the epochs asked for."""
    command = script("origin_epoch.py", "--peer", options.peer.resolve(), "--data", tree)
    command += ["--classes", str(classes), "--batch-size", str(BATCH_SIZE), "--device", options.device]
    command += ["--workers", str(options.peer_workers), "--steps", str(options.peer_steps)]
    outcome = run(command)
    detail = json.loads(outcome.lines[-1][1])
    return Side((detail["train_s"] + detail["val_s"]) * options.epochs, detail)


def lay_out(manifest: Manifest, tree: Path) -> Path:
    """The 16 pictures a clip that ours uses too, linked the way the origin's UCF101 reader looks for them."""
    database = {}
    for row in [*manifest.select("train"), *manifest.select("val")]:
        folder = tree / "videos" / row.behavior / row.clip_id
        folder.mkdir(parents=True)
        for place, index in enumerate(sampling.evenly(row.n_frames, WINDOW).tolist(), start=1):
            (folder / f"image_{place:05d}.jpg").symlink_to(manifest.frame_path(row, index))
        (folder / "n_frames").write_text(str(WINDOW), encoding="utf-8")
        subset = "training" if row.split == "train" else "validation"
        database[row.clip_id] = {"subset": subset, "annotations": {"label": row.behavior}}
    document = {"labels": [behavior.key for behavior in manifest.behaviors], "database": database}
    (tree / "annotation.json").write_text(json.dumps(document), encoding="utf-8")
    return tree


def peer_version(peer: Path) -> str:
    """The commit of the checkout, or a digest of the code that runs where it has no history."""
    command = ["git", "-C", str(peer), "rev-parse", "--short=12", "HEAD"]
    top = subprocess.run(
        [*command[:3], "rev-parse", "--show-cdup"], capture_output=True, text=True, check=False
    )
    if top.returncode == 0 and not top.stdout.strip():
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    code = b"".join((peer / name).read_bytes() for name in ("train.py", "validation.py", "models/cnnlstm.py"))
    return f"sha256 {hashlib.sha256(code).hexdigest()[:12]} of train.py, validation.py, models/cnnlstm.py"


def main() -> None:
    parser = arguments(__doc__ or "", rounds=3)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", type=Path, help="a prepared data set")
    source.add_argument("--clips", type=Path, help="a folder of clips to prepare first (not timed)")
    parser.add_argument("--peer", type=Path, required=True, help="a checkout of github.com/pranoyr/cnn-lstm")
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--views", type=int, nargs="+", default=[1, 4], help="the first is held to the goal")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--workers", type=int, default=0, help="processes that read pictures, ours")
    parser.add_argument("--peer-workers", type=int, default=0, help="the same, the origin's (its default: 4)")
    parser.add_argument("--peer-steps", type=int, default=0, help="batches an epoch, scaled; 0: all")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="jikimi-bench-") as name:
        folder = Path(name)
        data = options.data
        if data is None:
            data = folder / "prepared"
            run(jikimi("prepare", options.clips, "--out", data))
        report = measure(data.resolve(), folder, options)
    report.publish(options.json)


def measure(data: Path, folder: Path, options: argparse.Namespace) -> Report:
    """Train both ways, in turn."""
    manifest = read_manifest(data)
    tree = lay_out(manifest, folder / "origin")
    classes = len(manifest.behaviors)
    sides: dict[str, Callable[[], Side]] = {"origin": lambda: origin(tree, options, classes=classes)}
    for views in options.views:
        sides[_views(views)] = partial(ours, data, folder, options, views=views)
    found = interleave(sides, rounds=options.rounds)
    clips = {split: len(manifest.select(split)) for split in ("train", "val")}
    return report_of(found, options, clips=clips)


def _views(views: int) -> str:
    return f"jikimi, {views} view{'s' if views > 1 else ''}"


def report_of(found: dict[str, list[Side]], options: argparse.Namespace, *, clips: dict[str, int]) -> Report:
    """Put the measurements together."""
    where = "" if options.device == "cpu" else f"-{options.device}"
    report = Report(
        f"train{where}",
        f"{options.epochs} epochs of the baseline recipe on {options.device}, against the origin's loop",
        {
            "clips": f"{clips['train']} to train, {clips['val']} to validate, {WINDOW} frames each, 224 px",
            "batch": BATCH_SIZE,
            "rounds": options.rounds,
            "cores": machine.n_cores(),
            "origin": peer_version(options.peer),
            "origin, share of an epoch measured": _seen(found["origin"]),
        },
    )
    peer_s = median(side.seconds for side in found["origin"])
    peer_cpu_s = median(side.detail["epoch_cpu_s"] for side in found["origin"]) * options.epochs
    report.add("origin, one epoch", peer_s / options.epochs, "s")
    report.add(f"origin, {options.epochs} epochs (scaled)", peer_s, "s")
    for place, views in enumerate(options.views):
        seconds = median(side.seconds for side in found[_views(views)])
        report.add(f"{_views(views)}, {options.epochs} epochs, whole process", seconds, "s")
        report.add(f"{_views(views)}: faster by", peer_s / seconds, "×", goal=None if place else GOAL_RATIO)
        cpu_s = median(side.detail["cpu_s"] for side in found[_views(views)])
        report.add(f"{_views(views)}: the same by processor time", peer_cpu_s / cpu_s, "×")
    report.notes += [f"{name}: {spread([side.seconds for side in sides])} s" for name, sides in found.items()]
    report.raw = {name: [{"seconds": s.seconds, **s.detail} for s in sides] for name, sides in found.items()}
    return report


def _seen(sides: Sequence[Side]) -> str:
    return f"{min(side.detail['share'] for side in sides):.0%}"


if __name__ == "__main__":
    main()
