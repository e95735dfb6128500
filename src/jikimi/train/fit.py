"""A training run: data set and recipe in, `best.pth`, `last.pth`, curves and figures out.

RUN/best.pth      highest validation accuracy (the lower loss decides between equals)
RUN/last.pth      the epoch that ended last, with all that --resume needs
RUN/recipe.json   what was trained, on what
RUN/metrics.json  loss and accuracy of both sides by epoch, the best, the time it took
RUN/curves.png, RUN/tensorboard/
"""

import json
import logging
import math
import os
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import Checkpoint as CheckpointCallback
from lightning.pytorch.loggers import TensorBoardLogger

from jikimi.data.manifest import Manifest, read_manifest
from jikimi.errors import JikimiError, TrainError
from jikimi.train import features
from jikimi.train.checkpoint import (
    BEST,
    LAST,
    META,
    Origin,
    load_checkpoint,
    read_document,
    save_best,
    write_atomically,
)
from jikimi.train.curves import draw_curves
from jikimi.train.dataset import CustomData
from jikimi.train.learner import LOWER_LR, Learner, Material, epochs_before
from jikimi.train.model import CNNLSTM, check_pictures, last_stage
from jikimi.train.recipes import Recipe
from jikimi.train.weights import first_line, load_weights

log = logging.getLogger(__name__)

Device = Literal["auto", "cpu", "cuda", "mps"]
Say = Callable[[str], None]

METRICS = "metrics.json"

# What a CPU allocator says when memory is gone: torch has an exception of its own only for accelerators.
_CPU_OUT_OF_MEMORY = ("DefaultCPUAllocator", "can't allocate memory", "not enough memory")


@dataclass(eq=False)
class Records(CheckpointCallback):
    """Keeps `best.pth`, `last.pth` and the figures of every epoch. Its state travels in `last.pth`."""

    out: Path
    origin: Origin
    say: Say
    patience: int | None
    history: list[dict[str, Any]] = field(default_factory=list)
    best: dict[str, Any] | None = None
    stage: int = 0
    stopped: bool = False
    rate: float = 0.0
    started: float = field(default_factory=time.monotonic)
    seconds: float = 0.0

    def state_dict(self) -> dict[str, Any]:
        """What resuming needs."""
        return {
            "history": self.history,
            "best": self.best,
            "stage": self.stage,
            "stopped": self.stopped,
            "seconds": self.elapsed(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up where `state_dict` was taken."""
        self.history, self.best = list(state_dict["history"]), state_dict["best"]
        self.stopped = bool(state_dict["stopped"])
        self.seconds, self.started = float(state_dict["seconds"]), time.monotonic()

    def elapsed(self) -> float:
        """Seconds trained, those before an interruption included."""
        return self.seconds + time.monotonic() - self.started

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """A stage that had stopped early before it was resumed stays stopped."""
        trainer.should_stop = self.stopped

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Note the learning rate of this epoch: at its end the schedule has moved on."""
        self.rate = float(trainer.optimizers[0].param_groups[0]["lr"])

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Both sides are measured: write down, keep the best, keep the last."""
        assert isinstance(pl_module, Learner)
        figures = pl_module.figures()
        row: dict[str, Any] = {
            "epoch": pl_module.epoch + 1,
            "stage": pl_module.stage.part,
            "lr": self.rate,
            **figures,
        }
        if not all(math.isfinite(figure) for figure in figures.values()):
            # The last step of the epoch may spoil the weights without any later step to notice it.
            raise TrainError(f"the loss became NaN or infinite in epoch {row['epoch']}; {LOWER_LR}")
        self.history.append(row)
        better = self.best is None or _rank(row) > _rank(self.best)
        if better:
            self.best = row
        if trainer.is_global_zero:
            self._log(trainer, row)
            if better:
                save_best(self.out / BEST, self.origin, pl_module.model, _plain(row))
        # Counted within the stage: the one before may have stopped early, and has its best behind it.
        since = row["epoch"] - max((self.best or row)["epoch"], pl_module.first_epoch)
        self.stopped = self.patience is not None and since >= self.patience
        self._save_last(trainer)
        if trainer.is_global_zero:
            self.write_metrics(done=False)
        if self.stopped:
            self.say(f"stopped early: no better epoch in the last {self.patience}")
            trainer.should_stop = True

    def _save_last(self, trainer: L.Trainer) -> None:
        temporary = self.out / f".{LAST}.tmp"
        try:
            trainer.save_checkpoint(temporary)
            if trainer.is_global_zero:
                temporary.replace(self.out / LAST)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            reason = error.strerror or error
            raise TrainError(
                f"{self.out / LAST}: cannot be written ({reason}); the former is intact"
            ) from error

    def on_save_checkpoint(
        self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Sign the checkpoint as Jikimi's."""
        checkpoint[META] = {**self.origin.as_dict(), "metrics": _plain(self.history[-1]), "stage": self.stage}

    def _log(self, trainer: L.Trainer, row: dict[str, Any]) -> None:
        assert isinstance(trainer.logger, TensorBoardLogger)
        for figure in ("loss", "accuracy"):
            for side in ("train", "val"):
                trainer.logger.experiment.add_scalar(
                    f"{figure}/{side}", row[f"{side}_{figure}"], row["epoch"]
                )
        self.say(
            f"epoch {row['epoch']:>3}/{self.origin.recipe.epochs}  "
            f"train loss {row['train_loss']:.3f} acc {row['train_accuracy']:.3f}  "
            f"val loss {row['val_loss']:.3f} acc {row['val_accuracy']:.3f}"
        )

    def write_metrics(self, *, done: bool) -> None:
        """Write `metrics.json` and `curves.png`."""
        document = {
            "done": done,
            "best": self.best,
            "seconds": round(self.elapsed(), 1),
            "epochs": self.history,
        }
        text = json.dumps(document, indent=2) + "\n"
        write_atomically(self.out / METRICS, lambda path: _write_text(path, text))
        if done:
            write_atomically(self.out / "curves.png", lambda path: draw_curves(self.history, path))


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _rank(row: dict[str, Any]) -> tuple[float, float]:
    return row["val_accuracy"], -row["val_loss"]


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value.item() if hasattr(value, "item") else value for key, value in row.items()}


def fit(
    data: Path,
    out: Path,
    recipe: Recipe,
    *,
    device: Device = "auto",
    resume: bool = False,
    workers: int = 0,
    say: Say = log.info,
    progress: features.Progress | None = None,
) -> dict[str, Any]:
    """Train `recipe` on the prepared set `data` into `out`; returns the best epoch's figures.

    Raises:
        TrainError: the run cannot start (a side of the split is empty, the folder holds another run), or
            cannot go on (out of memory, NaN); what was written until then is intact.
    """
    manifest = read_manifest(data)
    if not manifest.rows:
        raise TrainError(f"{manifest.root}: holds no clips; prepare it again")
    origin = Origin(
        recipe=recipe,
        behaviors=manifest.behaviors,
        rate_hz=manifest.rows[0].rate_hz,
        short_side_px=int(manifest.settings["short_side_px"]),
        training=_summary(manifest, recipe),
    )
    resume = _check_run(out, origin, resume=resume)
    material = Material(
        CustomData(manifest, manifest.select("train"), recipe),
        CustomData(manifest, manifest.select("val"), recipe),
    )
    _note_missing(material, say)
    model = _build(origin, resume=resume)
    records = Records(out, origin, say, recipe.patience)
    with _readable_failures():
        _run_stages(
            model, material, records, device=device, workers=workers, resume=resume, progress=progress
        )
    if is_main_process():
        records.write_metrics(done=True)
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    assert records.best is not None
    return records.best


def _build(origin: Origin, *, resume: bool) -> CNNLSTM:
    """The model to start from. What a later stage would stumble over is refused now."""
    recipe = origin.recipe
    torch.manual_seed(recipe.seed)
    model = origin.build()
    check_pictures(model, recipe.preprocess)
    if any(stage.part == "last" for stage in recipe.stages):
        list(last_stage(model.encoder))
    if not resume:  # a run that goes on has all of its weights, wherever they came from
        load_weights(model.encoder, recipe.backbone, recipe.weights)
    return model


def _note_missing(material: Material, say: Say) -> None:
    """Say which behaviours have no clips: the model cannot learn, or cannot be judged on, them."""
    for data, side in ((material.train, "train on"), (material.val, "validate on")):
        have = {row.behavior for row in data.rows}
        lacking = [b.key for b in data.manifest.behaviors if b.key not in have]
        if lacking:
            say(f"note: no clips to {side} of {', '.join(lacking)}")


def is_main_process() -> bool:
    """Whether this process is the one that writes; under torchrun there are several."""
    return int(os.environ.get("RANK", "0")) == 0


def _summary(manifest: Manifest, recipe: Recipe) -> dict[str, Any]:
    sides: dict[str, Any] = {}
    for split in ("train", "val"):
        rows = manifest.select("train" if split == "train" else "val")
        sides[split] = {
            "clips": len(rows),
            "groups": sorted({row.group for row in rows}),
            "by_behavior": dict(sorted(Counter(row.behavior for row in rows).items())),
        }
    return {"data": str(manifest.root), "digest": manifest.digest(), "recipe": recipe.name, **sides}


def _check_run(out: Path, origin: Origin, *, resume: bool) -> bool:
    """Refuse to overwrite another run, and to resume one that was something else.

    Returns whether there is an epoch to go on from: a run that was ended in its first starts over.
    """
    path = out / "recipe.json"
    wanted = {"recipe": origin.recipe.as_dict(), "digest": origin.training["digest"]}
    wanted = json.loads(json.dumps(wanted))
    if resume:
        if not path.is_file():
            raise TrainError(f"{out}: no run to resume; train without --resume")
        _compare(_read_json(path), wanted, where=path)
        resume = (out / LAST).is_file()
        if not resume and (out / METRICS).exists():
            raise TrainError(f"{out}: {LAST} is gone, the run cannot be resumed; give another --out")
    elif (out / LAST).exists() or (out / BEST).exists():
        raise TrainError(f"{out}: holds a run already; continue it with --resume or give another --out")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainError(f"{out}: {error.strerror}; give another --out") from error
    if is_main_process():
        for torn in out.glob(".*.tmp"):  # what a killed run was about to write
            torn.unlink(missing_ok=True)
        text = json.dumps({**wanted, "data": origin.training["data"]}, indent=2) + "\n"
        write_atomically(path, lambda temporary: _write_text(temporary, text))
    return resume


def _read_json(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return {"digest": document["digest"], "recipe": dict(document["recipe"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainError(f"{path}: damaged ({first_line(error)}); train without --resume") from error


def _compare(found: dict[str, Any], wanted: dict[str, Any], *, where: Path) -> None:
    if found["digest"] != wanted["digest"]:
        raise TrainError(f"{where}: the run was started on other data; prepare it as it was, or start anew")
    for key, value in wanted["recipe"].items():
        if found["recipe"].get(key) != value:
            raise TrainError(
                f"{where}: the run was started with {key} = {found['recipe'].get(key)!r}, not {value!r}; "
                "give the same options, or start anew"
            )


@contextmanager
def _readable_failures() -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise TrainError(f"out of memory; {_SMALLER}") from error
    except MemoryError as error:
        raise TrainError(f"out of memory; {_SMALLER}") from error
    except RuntimeError as error:
        if any(words in str(error) for words in _CPU_OUT_OF_MEMORY):
            raise TrainError(f"out of memory; {_SMALLER}") from error
        raise
    except JikimiError as error:
        if "in DataLoader worker" not in str(error):
            raise
        # A worker hands over its whole trace as the message; what it said itself is the last line.
        raise type(error)(str(error).strip().splitlines()[-1].partition(": ")[2]) from error


_SMALLER = "last.pth is intact: start again with a smaller --batch-size, or --resume on a larger machine"


def _run_stages(
    model: CNNLSTM,
    material: Material,
    records: Records,
    *,
    device: Device,
    workers: int,
    resume: bool,
    progress: features.Progress | None,
) -> None:
    recipe = records.origin.recipe
    resumed = read_document(records.out / LAST)[META]["stage"] if resume else -1
    if resume:
        # Stages that are over left their result in best.pth; a frozen encoder is complete only there.
        model.load_state_dict(load_checkpoint(records.out / BEST).model.state_dict())
    for number, (stage, first) in enumerate(zip(recipe.stages, epochs_before(recipe.stages), strict=True)):
        if number < resumed:
            continue
        records.stage, records.stopped = number, False
        if number > 0 and number != resumed:
            model.load_state_dict(load_checkpoint(records.out / BEST).model.state_dict())
        staged = material
        if stage.part == "head":
            fresh = number == 0 and not resume  # later on the projection has learned
            staged = _cached(model, material, device=device, fresh=fresh, progress=progress)
        with _known_warnings():
            trainer = _trainer(records, device=device, epochs=stage.epochs)
        learner = Learner(model, recipe, stage, staged, first_epoch=first, workers=workers)
        checkpoint = str(records.out / LAST) if number == resumed else None
        with _known_warnings(), _interruptible(records):
            trainer.fit(learner, ckpt_path=checkpoint)
    model.cpu()


@contextmanager
def _interruptible(records: Records) -> Iterator[None]:
    try:
        yield
    except SystemExit as error:  # Lightning's answer to Ctrl-C, without a word
        done = len(records.history)
        raise TrainError(f"interrupted after {done} whole epochs; continue with --resume") from error


def _cached(
    model: CNNLSTM, material: Material, *, device: Device, fresh: bool, progress: features.Progress | None
) -> Material:
    """Encode what the cache lacks, each process its part, and read all of it."""
    recipe = material.train.recipe
    cache = features.FeatureCache.open(material.train.manifest.root, model.encoder, recipe)
    sides = (
        (material.train, features.training_jobs(material.train)),
        (material.val, features.validation_jobs(material.val)),
    )
    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    for data, todo in sides:
        features.fill(cache, model, data, todo[rank::world], device=torch_device(device), progress=progress)
    _wait_for_all(world, device)
    train, val = ({job.position: features.must_read(cache, job) for job in todo} for _, todo in sides)
    if fresh:
        seen = np.concatenate([clip.features_VNF.reshape(-1, model.backbone_dim) for clip in train.values()])
        features.fit_norm(model, seen)
    return Material(material.train, material.val, cached=(train, val))


def _wait_for_all(world: int, device: Device) -> None:
    if world == 1:
        return
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group("nccl" if torch_device(device).type == "cuda" else "gloo")
    torch.distributed.barrier()


def torch_device(device: Device) -> torch.device:
    """The device a name stands for on this machine, in this process."""
    if device == "cuda" or (device == "auto" and torch.cuda.is_available()):
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    if device == "mps" or (device == "auto" and torch.backends.mps.is_available()):
        return torch.device("mps")
    return torch.device("cpu")


def check_device(device: Device) -> None:
    """Refuse a device that this machine lacks. Raises TrainError."""
    missing = (device == "cuda" and not torch.cuda.is_available()) or (
        device == "mps" and not torch.backends.mps.is_available()
    )
    if missing:
        raise TrainError(f"--device {device}: this machine has none that torch can use; use --device auto")


def _trainer(records: Records, *, device: Device, epochs: int) -> L.Trainer:
    kind = torch_device(device).type
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    world = int(os.environ.get("WORLD_SIZE", "1"))
    half = kind == "cuda" and torch.cuda.is_bf16_supported()
    return L.Trainer(
        accelerator=kind,
        devices=local,
        num_nodes=max(1, world // local),
        strategy="ddp" if world > 1 else "auto",
        precision="bf16-mixed" if half else "32-true",
        max_epochs=epochs,
        logger=TensorBoardLogger(records.out, name="tensorboard", version="", default_hp_metric=False),
        callbacks=[records],
        default_root_dir=records.out,
        use_distributed_sampler=False,  # EpochSampler shares out the work itself, without padding
        reload_dataloaders_every_n_epochs=1,
        num_sanity_val_steps=0,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=1,
    )


@contextmanager
def _known_warnings() -> Iterator[None]:
    """Silence what Lightning says about choices made on purpose here."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)  # tips and hardware lists
    with warnings.catch_warnings():
        for message in (".*does not have many workers.*", ".*exists and is not empty.*", ".*num_workers.*"):
            warnings.filterwarnings("ignore", message=message)
        yield
