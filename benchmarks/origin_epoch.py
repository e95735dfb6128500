"""One epoch of the origin project (pranoyr/cnn-lstm), timed. Run by train.py in a process of its own.

Its own model, data set class, transforms, loaders, optimiser settings, `train_epoch` and `val_epoch` run
from a checkout of it; nothing of it is copied here. Ours are only the shims that let code of 2020 run:

- `tensorboardX`, which it imports and which has no part in an epoch, is an empty module;
- `collections.Iterable`, gone since Python 3.10, is put back;
- `resnet101(pretrained=True)` gives random weights instead of fetching any;
- with `--steps K`, a loader that ends after K batches.
"""

import argparse
import collections
import collections.abc
import functools
import importlib
import itertools
import json
import sys
import time
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class FirstBatches:
    """A loader that ends after `steps` batches, for epochs too long to wait for."""

    def __init__(self, loader: Any, steps: int) -> None:
        self.loader, self.steps, self.dataset = loader, steps, loader.dataset

    def __len__(self) -> int:
        return min(self.steps, len(self.loader))

    def __iter__(self) -> Iterator[Any]:
        return itertools.islice(iter(self.loader), self.steps)

    @property
    def share(self) -> float:
        """The part of the clips that the batches hold."""
        return min(1.0, float(self.steps * self.loader.batch_size / len(self.dataset)))


def shims() -> None:
    """Make the surroundings look as they did when the origin was written."""
    import torchvision.models

    empty: Any = types.ModuleType("tensorboardX")
    empty.SummaryWriter = object
    sys.modules["tensorboardX"] = empty
    vars(collections).setdefault("Iterable", collections.abc.Iterable)
    for name in ("resnet18", "resnet101"):
        setattr(torchvision.models, name, functools.partial(_untrained, getattr(torchvision.models, name)))


def _untrained(build: Any, pretrained: bool = False) -> Any:
    return build(weights=None)


def origin_options(options: argparse.Namespace) -> list[str]:
    """Its command line: 224 px, batch of 8, Adam at 1e-4, one 16-frame sample a validation clip."""
    pairs = {
        "--dataset": "ucf101",
        "--video_path": options.data / "videos",
        "--annotation_path": options.data / "annotation.json",
        "--sample_size": 224,
        "--sample_duration": 16,
        "--n_classes": options.classes,
        "--n_val_samples": 1,
        "--batch_size": options.batch_size,
        "--lr_rate": 1e-4,
        "--num_workers": options.workers,
    }
    return [str(part) for pair in pairs.items() for part in pair]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--classes", type=int, required=True)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--steps", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    sys.path[0] = str(
        options.peer
    )  # its modules are called train, model, utils: nothing of ours may be found
    shims()
    print(json.dumps(epoch(options)))


def epoch(options: argparse.Namespace) -> dict[str, float]:
    """Seconds of training and of validation, and the share of the clips that were seen."""
    import torch

    sys.argv = ["main.py", *origin_options(options)]
    origin = importlib.import_module("main")  # the main.py of --peer
    opt, device = origin.parse_opts(), torch.device(options.device)
    model = origin.generate_model(opt, device)
    train_loader, val_loader = origin.get_loaders(opt)
    parameters = list(model.parameters())
    optimizer = torch.optim.Adam(parameters, lr=opt.lr_rate, weight_decay=opt.weight_decay)
    criterion = torch.nn.CrossEntropyLoss()
    _warm_up(model, device)
    steps = options.steps or len(train_loader)
    train, val = FirstBatches(train_loader, steps), FirstBatches(val_loader, steps)
    started, started_cpu = time.monotonic(), time.process_time()
    origin.train_epoch(model, train, criterion, optimizer, 1, opt.log_interval, device)
    trained, trained_cpu = time.monotonic(), time.process_time()
    origin.val_epoch(model, val, criterion, device)
    ended, ended_cpu = time.monotonic(), time.process_time()
    return {
        "train_s": (trained - started) / train.share,
        "val_s": (ended - trained) / val.share,
        "epoch_cpu_s": (trained_cpu - started_cpu) / train.share + (ended_cpu - trained_cpu) / val.share,
        "train_clips": len(train_loader.dataset),
        "val_clips": len(val_loader.dataset),
        "share": train.share,
    }


def _warm_up(model: Any, device: Any) -> None:
    """One untimed clip: what libraries set up at first use is not held against the origin."""
    import torch

    model.train()
    model(torch.zeros(1, 16, 3, 224, 224, device=device)).sum().backward()
    model.zero_grad()
    if device.type == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
