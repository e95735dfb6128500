"""Training in processes of their own that die for good, by SIGKILL, at a chosen moment.

The processes are forked from a server that has imported torch once and never computed anything with it.
"""

import io
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any, Literal

import lightning as L
import torch

from jikimi.train import checkpoint, features, fit, learner
from jikimi.train.recipes import Recipe

Moment = Literal["step", "best-written", "last-written", "metrics-written", "encoding", "never"]
"""Where a process dies: in a training step; with best.pth, then last.pth written but not renamed; with an
epoch wholly recorded; while features are encoded."""


def context() -> ForkServerContext:
    """Where processes come from."""
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(["jikimi.train.fit", "torch.utils.tensorboard"])
    return found


def train_and_die(
    data: Path, out: Path, recipe: Recipe, *, at: Moment = "never", count: int = 1, resume: bool = False
) -> int:
    """Train in a process that kills itself at the `count`-th such moment; returns its exit code."""
    process = context().Process(target=_run, args=(data, out, recipe, at, count, resume))
    process.start()
    process.join(120)
    if process.exitcode is None:
        process.kill()
        raise TimeoutError(f"training in {out} hangs")
    code = process.exitcode
    process.close()
    return code


def _run(data: Path, out: Path, recipe: Recipe, at: Moment, count: int, resume: bool) -> None:
    torch.set_num_threads(1)
    sys.stderr = io.StringIO()
    _arm(at, count)
    fit.fit(data, out, recipe, device="cpu", resume=resume)


def _arm(at: Moment, count: int) -> None:
    """Put the end of the process where it is wanted."""
    homes: dict[str, tuple[Any, str, bool]] = {
        "step": (learner.Learner, "training_step", False),
        "best-written": (checkpoint.torch, "save", True),
        "last-written": (L.Trainer, "save_checkpoint", True),
        "metrics-written": (fit.Records, "write_metrics", True),
        "encoding": (features.FeatureCache, "write", False),
    }
    if at == "never":
        return
    home, name, after = homes[at]
    before: Callable[..., Any] = getattr(home, name)
    left = [count]

    def deadly(*args: Any, **options: Any) -> Any:
        if at == "best-written" and ".best.pth" not in str(args[1]):
            return before(*args, **options)
        left[0] -= 1
        if left[0] == 0 and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = before(*args, **options)
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(home, name, deadly)
