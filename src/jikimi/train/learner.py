"""The LightningModule: one stage of training, on pictures or on cached features."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset

from jikimi import behaviors as behaviors_
from jikimi.errors import TrainError
from jikimi.train.augment import mix_up
from jikimi.train.average import averaged, follow
from jikimi.train.cells import CellLSTM
from jikimi.train.checkpoint import ENCODER_PREFIX
from jikimi.train.dataset import CustomData, validation_windows
from jikimi.train.epoch import (
    Draw,
    Draws,
    EpochSampler,
    RunBatch,
    RunDraws,
    collate_runs,
    expected_draws,
    run_refs,
)
from jikimi.train.features import ClipFeatures
from jikimi.train.located import joint_loss, place_loss
from jikimi.train.model import CHUNK, Model, pool_windows
from jikimi.train.recipes import Recipe, Stage

Batch = tuple[Tensor, Tensor, Tensor]
"""Inputs (B, T, …), class indices (B,), bags (B,)."""

ClipBatch = tuple[Tensor, Tensor, int]
"""Frames of a clip (N, …), windows as places among them (W, T), class index."""


# What a single frame shows, and postures, guide the encoder; what counts comes after the LSTM.
GUIDE_WEIGHT, JOINT_WEIGHT = 0.5, 0.5

LOWER_LR = "what last.pth held before is intact; try a lower --lr"

ByPosition = Mapping[int, ClipFeatures]
"""Features of clips by their place among the rows of their side."""


@dataclass(frozen=True, slots=True)
class Material:
    """What is trained on. `cached` holds the features of every row where the encoder is frozen."""

    train: CustomData
    val: CustomData
    cached: tuple[ByPosition, ByPosition] | None = None


class CachedDraws(Dataset[tuple[Tensor, int, int]]):
    """Like `Draws`, but features from the cache: the draw's seed picks the view."""

    def __init__(self, data: CustomData, clips: ByPosition) -> None:
        self.data, self.clips = data, clips

    def __getitem__(self, draw: Draw) -> tuple[Tensor, int, int]:
        window = self.data.windows[draw.index]
        clip = self.clips[window.row]
        view = (draw.seed or 0) % clip.features_VNF.shape[0]
        return torch.from_numpy(clip.window(window.indices, view=view)), window.label, draw.bag


class ValidationClips(Dataset[ClipBatch]):
    """Whole clips: each frame is encoded once however many windows it is in."""

    def __init__(self, data: CustomData, clips: ByPosition | None, rows: Sequence[int]) -> None:
        self.data, self.clips, self.rows = data, clips, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> ClipBatch:
        position = self.rows[index]
        row = self.data.rows[position]
        windows = validation_windows(row, self.data.recipe)
        used = sorted({frame for window in windows for frame in window})
        place = {frame: i for i, frame in enumerate(used)}
        places = torch.tensor([[place[frame] for frame in window] for window in windows])
        if self.clips is not None:
            frames = torch.from_numpy(self.clips[position].window(used, view=0))
        else:
            frames = self.data.load_frames(row, used, seed=None)
        return frames, places, self.data.manifest.class_index(row)


class Learner(L.LightningModule):
    """Trains one stage of a recipe."""

    def __init__(
        self,
        model: Model,
        recipe: Recipe,
        stage: Stage,
        material: Material,
        *,
        first_epoch: int,
        workers: int,
    ) -> None:
        super().__init__()
        self.model, self.recipe, self.stage, self.material = model, recipe, stage, material
        self.first_epoch, self.workers = first_epoch, workers
        self.normal = behaviors_.normal_index(material.train.manifest.behaviors)
        self.n_classes = len(material.train.manifest.behaviors)
        self.by_runs = recipe.span > 0 and material.cached is None
        # What an epoch draws from: windows one by one, or clips to take runs of.
        self.drawable = run_refs(material.train) if self.by_runs else material.train.windows
        self.drawn = expected_draws(self.drawable, recipe, n_classes=self.n_classes)
        self.tally: dict[str, Tally] = {"train": Tally(), "val": Tally()}
        model.train_part(stage.part)
        self.average = averaged(model) if recipe.ema and material.cached is None else None
        if stage.part == "head":
            # last.pth then holds what changes, not 170 MB that do not; resuming fills in the rest.
            self.strict_loading = False

    @property
    def epoch(self) -> int:
        """Epoch counted over all stages, from 0."""
        return self.first_epoch + self.current_epoch

    @property
    def judged(self) -> Model:
        """The model that is validated and kept: the average where there is one."""
        return self.model if self.average is None else self.average

    def on_save_checkpoint(self, checkpoint: dict[str, object]) -> None:
        """Leave a frozen encoder out."""
        state = checkpoint["state_dict"]
        assert isinstance(state, dict)
        if self.stage.part == "head":
            checkpoint["state_dict"] = {k: v for k, v in state.items() if f"model.{ENCODER_PREFIX}" not in k}

    # --- what is read

    def train_dataloader(self) -> DataLoader[Any]:
        """Batches of this epoch; Lightning asks anew for each."""
        train = self.material.train
        cached = self.material.cached is not None
        sampler = self._sampler(self.epoch)
        if self.by_runs:
            return self._loader(RunDraws(train), cached=False, batch_sampler=sampler, collate_fn=collate_runs)
        data: Dataset[tuple[Tensor, int, int]]
        data = (
            CachedDraws(train, self.material.cached[0]) if self.material.cached is not None else Draws(train)
        )
        return self._loader(data, cached=cached, batch_sampler=sampler)

    def _sampler(self, epoch: int) -> EpochSampler:
        return EpochSampler(
            self.drawable,
            len(self.material.train.rows),
            self.recipe,
            epoch=epoch,
            augmented=self.by_runs or self.recipe.augment or self.recipe.views > 1,
            rank=self.global_rank,
            world=self.trainer.world_size,
        )

    def val_dataloader(self) -> DataLoader[ClipBatch]:
        """Clips of this process: each clip is in exactly one."""
        val = self.material.val
        clips = self.material.cached[1] if self.material.cached is not None else None
        rows = range(self.global_rank, len(val.rows), self.trainer.world_size)
        data = ValidationClips(val, clips, list(rows))
        return self._loader(data, cached=clips is not None, batch_size=None)

    def _loader(self, data: Dataset[Any], *, cached: bool, **options: Any) -> DataLoader[Any]:
        generator = torch.Generator().manual_seed(self.recipe.seed)
        return DataLoader(data, num_workers=0 if cached else self.workers, generator=generator, **options)

    # --- what is learned

    def on_train_epoch_start(self) -> None:
        """Seed dropout by epoch, so that a resumed run continues as an unbroken one."""
        torch.manual_seed(self.recipe.seed * 100_003 + self.epoch)

    def on_train_batch_start(self, batch: Batch | RunBatch, batch_idx: int) -> None:
        """Lightning puts modules in train mode itself: freeze again what is frozen."""
        self.model.train()
        if self.average is not None:
            self.average.eval()

    def on_train_batch_end(self, outputs: Any, batch: Batch | RunBatch, batch_idx: int) -> None:
        """The average follows each step."""
        if self.average is not None:
            follow(self.average, self.model, decay=self.recipe.ema, step=self.global_step)

    def _logits(self, inputs: Tensor) -> Tensor:
        if self.material.cached is None:
            logits: Tensor = self.model(inputs)
            return logits
        return self.model.classify(self.model.project_features(inputs))

    def training_step(self, batch: Batch | RunBatch, batch_idx: int) -> Tensor:
        """Cross-entropy over bags; by runs each run counts the same, however many bags it has."""
        if isinstance(batch, RunBatch):
            logits, targets, classes, shares, located = self._predict_runs(batch)
        else:
            logits, targets, classes = self._predict(*batch)
            shares = torch.ones(len(classes), device=logits.device)
            located = torch.zeros((), device=logits.device)
        losses = functional.cross_entropy(
            logits.float(), targets, weight=self._class_weights(), reduction="none",
            label_smoothing=self.recipe.label_smoothing,
        )  # fmt: skip
        total = (losses * shares).sum() + located * shares.sum()
        if not torch.isfinite(total):
            raise TrainError(
                f"the loss became {total.item()} in epoch {self.epoch + 1}, step {batch_idx + 1}; {LOWER_LR}"
            )
        self.tally["train"].add(losses.detach(), logits.argmax(dim=1) == classes)
        # Processes may hold unequal parts of the batch: weigh by its global size, not by the part's.
        size = self._global_size(round(float(shares.sum())))
        return total * self.trainer.world_size / max(1, size)

    def _predict_runs(self, batch: RunBatch) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Logits and targets of bags (B, C), classes (B,), shares of their runs (B,), loss of places."""
        if isinstance(self.model, CellLSTM):
            windows_WC, located = self._look(self.model, batch)
        else:
            features = self.model.encode(batch.frames_NCHW)
            located = torch.zeros((), device=features.device)
            windows_WC = self.model.classify(features[batch.places_WT])
        first = _first_of_each(batch.bags_W)
        classes, runs = batch.labels_W[first], batch.runs_W[first]
        logits = windows_WC
        if len(first) < len(batch.bags_W):
            parts = torch.split(windows_WC, torch.bincount(batch.bags_W).tolist())
            logits = torch.stack([pool_windows(part, self.normal) for part in parts])
        targets = functional.one_hot(classes, self.n_classes).float()
        return logits, targets, classes, 1 / torch.bincount(runs)[runs], located

    def _look(self, model: CellLSTM, batch: RunBatch) -> tuple[Tensor, Tensor]:
        """Logits of windows (W, C), and the loss of what each cell shows: in a frame, after it, and joints.

        The LSTM passes over each run once; a window is what it remembers at the window's end.
        """
        features, cells, joints = model.guided(batch.frames_NCHW)
        runs = pad_sequence(list(torch.split(features, batch.lengths_R.tolist())), batch_first=True)
        ends = batch.places_WT[:, -1]
        firsts = torch.cumsum(batch.lengths_R, 0) - batch.lengths_R
        after = model.look(model.remember(runs)[batch.runs_W, ends - firsts[batch.runs_W]])
        shown = torch.where(batch.victim_NHW[ends], batch.labels_W[:, None, None], batch.cells_NHW[ends])
        loss = place_loss(after, shown, normal=self.normal)
        loss = loss + GUIDE_WEIGHT * place_loss(cells, batch.cells_NHW, normal=self.normal)
        return model.pool(after), loss + JOINT_WEIGHT * joint_loss(joints, batch.joints_NJHW)

    def _predict(self, inputs: Tensor, labels: Tensor, bags: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        ids, inverse = torch.unique_consecutive(bags, return_inverse=True)
        classes = torch.stack([labels[inverse == i][0] for i in range(len(ids))])
        one_each = len(ids) == len(bags)
        targets = functional.one_hot(classes, self.n_classes).float()
        if one_each and self.recipe.mixup > 0 and len(ids) > 1:
            rng = np.random.default_rng([self.recipe.seed, self.epoch, self.global_step])
            inputs, targets = mix_up(inputs, targets, alpha=self.recipe.mixup, rng=rng)
        logits = self._logits(inputs)
        if not one_each:
            logits = torch.stack([pool_windows(logits[inverse == i], self.normal) for i in range(len(ids))])
        return logits, targets, classes

    def _class_weights(self) -> Tensor | None:
        if self.recipe.balance != "loss":
            return None
        counts = torch.tensor(self.drawn, dtype=torch.float32)
        present = counts > 0
        weights = torch.zeros(self.n_classes)
        weights[present] = counts.sum() / (present.sum() * counts[present])  # 1 on average over an epoch
        return weights.to(self.device)

    def _global_size(self, own: int) -> int:
        if self.trainer.world_size == 1:
            return own
        size = torch.tensor(own, device=self.device)
        torch.distributed.all_reduce(size)
        return int(size)

    def on_validation_start(self) -> None:
        """Judge the model that is saved: each process has BatchNorm statistics of its own otherwise."""
        if self.trainer.world_size > 1:
            for buffer in self.judged.buffers():
                torch.distributed.broadcast(buffer, 0)

    def validation_step(self, batch: ClipBatch, batch_idx: int) -> None:
        """One prediction a clip, pooled over its windows."""
        frames, places, label = batch
        model = self.judged
        if self.material.cached is None:
            features = torch.cat([model.encode(part) for part in torch.split(frames, CHUNK)])
        else:
            features = model.project_features(frames)
        logits = pool_windows(model.classify(features[places]).float(), self.normal)
        target = torch.tensor(label, device=logits.device)
        self.tally["val"].add(
            functional.cross_entropy(logits, target)[None], (logits.argmax() == target)[None]
        )

    def figures(self) -> dict[str, float]:
        """Loss and accuracy of both sides over this epoch and all processes; starts the next count."""
        found: dict[str, float] = {}
        for side, tally in self.tally.items():
            loss, correct, count = tally.totals(self)
            found |= {f"{side}_loss": loss / max(count, 1), f"{side}_accuracy": correct / max(count, 1)}
            tally.clear()
        return found

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """The recipe's optimiser over what this stage trains, its rate set by epoch or by step."""
        recipe, stage = self.recipe, self.stage
        trained = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        kind = torch.optim.AdamW if recipe.optimizer == "adamw" else torch.optim.Adam
        optimizer = kind(trained, lr=stage.lr, weight_decay=recipe.weight_decay)
        if recipe.schedule == "constant":
            return optimizer
        by_step = recipe.schedule == "one-cycle"
        each = len(self._sampler(self.first_epoch)) if by_step else 1

        def factor(tick: int) -> float:
            warm, ticks = recipe.warm_up_epochs * each, stage.epochs * each
            if tick < warm:
                return (tick + 1) / (warm + 1)
            return 0.5 * (1 + math.cos(math.pi * (tick - warm) / max(1, ticks - warm)))

        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        interval = "step" if by_step else "epoch"
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": interval}}


def _first_of_each(bags_W: Tensor) -> Tensor:
    """Place of the first window of each bag, (B,); bags are in order."""
    return torch.nonzero(torch.diff(bags_W, prepend=bags_W.new_full((1,), -1)))[:, 0]


class Tally:
    """Sums of loss and hits over an epoch."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Start anew."""
        self.loss, self.correct, self.count = 0.0, 0, 0

    def add(self, losses: Tensor, hits: Tensor) -> None:
        """Count predictions: losses (N,), hits bool (N,)."""
        self.loss += float(losses.sum())
        self.correct += int(hits.sum())
        self.count += len(hits)

    def totals(self, learner: L.LightningModule) -> tuple[float, int, int]:
        """Sums over all processes."""
        sums = torch.tensor([self.loss, self.correct, self.count], dtype=torch.float64)
        if learner.trainer.world_size > 1:
            sums = sums.to(learner.device, dtype=torch.float32 if learner.device.type == "mps" else None)
            torch.distributed.all_reduce(sums)
        loss, correct, count = sums.tolist()
        return loss, int(correct), int(count)


def epochs_before(stages: Sequence[Stage]) -> Iterator[int]:
    """The number of epochs before each stage."""
    total = 0
    for stage in stages:
        yield total
        total += stage.epochs
