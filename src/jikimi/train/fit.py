"""A training run: data set and recipe in, `best.pth`, `last.pth`, curves and figures out.

RUN/best.pth      highest validation accuracy (the lower loss decides between equals)
RUN/last.pth      the epoch that ended last, with all that --resume needs
RUN/recipe.json   what was trained, on what
RUN/metrics.json  loss and accuracy of both sides by epoch, the best, the time it took
RUN/curves.png, RUN/tensorboard/
"""

import logging
import os
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.loggers import TensorBoardLogger

from jikimi.data.manifest import Manifest, ManifestRow, read_manifest
from jikimi.errors import JikimiError, TrainError
from jikimi.train import features
from jikimi.train.checkpoint import (
    BEST,
    LAST,
    META,
    Checkpoint,
    Origin,
    load_checkpoint,
    read_document,
)
from jikimi.train.dataset import CustomData
from jikimi.train.devices import Device, is_main_process, torch_device, wait_for_all
from jikimi.train.learner import Learner, Material, epochs_before
from jikimi.train.model import Model, check_pictures, last_stage, to_device
from jikimi.train.places import is_mined, is_simulated
from jikimi.train.recipes import Recipe, Stage
from jikimi.train.records import Records, Say
from jikimi.train.run_folder import check_run
from jikimi.train.weights import load_weights

log = logging.getLogger(__name__)

# Room for the frames of 2000 clips of 4 s: 64 000 of 320×240 px in brightness take 4.9 GB.
MEMORY_BYTES = 6_000_000_000

# What a CPU allocator says when memory is gone: torch has an exception of its own only for accelerators.
_CPU_OUT_OF_MEMORY = ("DefaultCPUAllocator", "can't allocate memory", "not enough memory")


def fit(
    data: Path,
    out: Path,
    recipe: Recipe,
    *,
    device: Device = "auto",
    resume: bool = False,
    start: Path | None = None,
    workers: int = 0,
    say: Say = log.info,
    progress: features.Progress | None = None,
) -> dict[str, Any]:
    """Train `recipe` on the prepared set `data` into `out`; returns the best epoch's figures.

    With `start` a trained model goes on learning; what it was trained on is never validated on.

    Raises:
        TrainError: the run cannot start (a side of the split is empty, the folder holds another run), or
            cannot go on (out of memory, NaN); what was written until then is intact.
    """
    manifest = read_manifest(data)
    if not manifest.rows:
        raise TrainError(f"{manifest.root}: holds no clips; prepare it again")
    begun = load_checkpoint(start) if start is not None else None
    train, val = manifest.select("train"), manifest.select("val")
    if begun is not None:
        train, val = _apart(train, val, begun)
    origin = Origin(
        recipe=recipe,
        behaviors=manifest.behaviors,
        rate_hz=manifest.rows[0].rate_hz,
        short_side_px=int(manifest.settings["short_side_px"]),
        training=_summary(manifest, recipe, train=train, val=val, start=begun),
    )
    resume = check_run(out, origin, resume=resume)
    # Worker processes are started anew every epoch, and would forget.
    held = MEMORY_BYTES if recipe.span and not workers else 0
    train = _repeated(train, recipe.real_repeats)
    material = Material(
        CustomData(manifest, train, recipe, memory_bytes=held * 3 // 4),
        CustomData(manifest, val, recipe, memory_bytes=held // 4),
    )
    _note_missing(material, say)
    model = _build(origin, resume=resume, start=begun)
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


# A trained model is tuned for so many epochs, at this share of its first learning rate.
TUNE_EPOCHS, TUNE_LR, TUNE_REAL_REPEATS = 4, 1 / 6, 8


def recipe_to_tune(start: Path) -> Recipe:
    """The recipe of a trained model, for a few more epochs at a lower rate, everything trained at once.

    Classes are drawn as often as they occur: of normal work, where a trained model still errs, there is more.

    Raises:
        TrainError: it is no checkpoint.
    """
    recipe = load_checkpoint(start).origin.recipe
    stage = Stage("all", TUNE_EPOCHS, recipe.stages[0].lr * TUNE_LR)
    return replace(
        recipe,
        name=f"{recipe.name} tuned",
        stages=(stage,),
        weights="none",
        balance="none",
        real_repeats=TUNE_REAL_REPEATS,
    )


def _apart(
    train: tuple[ManifestRow, ...], val: tuple[ManifestRow, ...], start: Checkpoint
) -> tuple[tuple[ManifestRow, ...], tuple[ManifestRow, ...]]:
    """Train on the groups that a model has been trained on already: they can say nothing of it."""
    known = set(_groups_of(start.origin.training))
    seen = tuple(row for row in val if row.group in known)
    if len(seen) == len(val):
        raise TrainError(
            f"{start.path}: was trained on every group to validate on; prepare with --like its data set"
        )
    return train + seen, tuple(row for row in val if row.group not in known)


def _groups_of(training: Mapping[str, Any]) -> Iterator[str]:
    """Groups that a model was trained on, and those of the model that it began as."""
    yield from training.get("train", {}).get("groups", ())
    if "start" in training:
        yield from _groups_of(training["start"])


def _repeated(train: tuple[ManifestRow, ...], times: int) -> tuple[ManifestRow, ...]:
    """Real clips among simulated ones, so many times each: there are ever few of them, unlike mined ones."""
    real = tuple(row for row in train if not is_simulated(row) and not is_mined(row))
    return train + real * (times - 1) if any(map(is_simulated, train)) else train


def _build(origin: Origin, *, resume: bool, start: Checkpoint | None = None) -> Model:
    """The model to start from. What a later stage would stumble over is refused now."""
    recipe = origin.recipe
    torch.manual_seed(recipe.seed)
    model = origin.build()
    check_pictures(model, recipe.preprocess)
    if any(stage.part == "last" for stage in recipe.stages):
        list(last_stage(model.encoder))
    # One memory layout for all stages: a run resumed in a later one must sum in the same order.
    to_device(model, torch.device("cpu"))
    if start is not None and start.origin.behaviors != origin.behaviors:
        raise TrainError(f"{start.path}: knows other behaviours than the data set; train a new model on it")
    if not resume:  # a run that goes on has all of its weights, wherever they came from
        load_weights(model.encoder, recipe.backbone, recipe.weights)
        if start is not None:
            _take_over(model, start)
    return model


def _take_over(model: Model, start: Checkpoint) -> None:
    try:
        model.load_state_dict(start.model.state_dict())
    except RuntimeError as error:
        raise TrainError(
            f"{start.path}: is of another shape; give the options that it was made with"
        ) from error


def _note_missing(material: Material, say: Say) -> None:
    """Say which behaviours have no clips: the model cannot learn, or cannot be judged on, them."""
    for data, side in ((material.train, "train on"), (material.val, "validate on")):
        have = {row.behavior for row in data.rows}
        lacking = [b.key for b in data.manifest.behaviors if b.key not in have]
        if lacking:
            say(f"note: no clips to {side} of {', '.join(lacking)}")


def _summary(
    manifest: Manifest,
    recipe: Recipe,
    *,
    train: Sequence[ManifestRow],
    val: Sequence[ManifestRow],
    start: Checkpoint | None,
) -> dict[str, Any]:
    sides: dict[str, Any] = {}
    for split, rows in (("train", train), ("val", val)):
        sides[split] = {
            "clips": len(rows),
            "groups": sorted({row.group for row in rows}),
            "by_behavior": dict(sorted(Counter(row.behavior for row in rows).items())),
        }
    if start is not None:
        sides["start"] = start.origin.training
    return {"data": str(manifest.root), "digest": manifest.digest(), "recipe": recipe.name, **sides}


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
    model: Model,
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
    elif recipe.settle:
        features.settle(model, material.train, device=torch_device(device))
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
    model: Model, material: Material, *, device: Device, fresh: bool, progress: features.Progress | None
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
    wait_for_all(world, device)
    train, val = ({job.position: features.must_read(cache, job) for job in todo} for _, todo in sides)
    if fresh:
        seen = np.concatenate([clip.features_VNF.reshape(-1, model.backbone_dim) for clip in train.values()])
        features.fit_norm(model, seen)
    return Material(material.train, material.val, cached=(train, val))


def _trainer(records: Records, *, device: Device, epochs: int) -> L.Trainer:
    kind = torch_device(device).type
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    world = int(os.environ.get("WORLD_SIZE", "1"))
    half = kind == "cuda" and torch.cuda.is_bf16_supported()
    return L.Trainer(
        gradient_clip_val=records.origin.recipe.clip_norm or None,
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
        for message in (
            "does not have many workers",
            "exists and is not empty",
            "num_workers",
            "in eval mode",
        ):
            warnings.filterwarnings("ignore", message=f".*{message}.*")
        # Lightning 2.6 on a torch that has moved on: nothing a user could do about.
        warnings.filterwarnings("ignore", message=".*LeafSpec.*is deprecated", category=FutureWarning)
        yield
