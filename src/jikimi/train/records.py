"""What a run keeps of every epoch: `best.pth`, `last.pth`, figures, TensorBoard."""

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Checkpoint as CheckpointCallback
from lightning.pytorch.loggers import TensorBoardLogger

from jikimi.errors import TrainError
from jikimi.train.checkpoint import BEST, LAST, META, Origin, save_best, write_atomically
from jikimi.train.curves import draw_curves
from jikimi.train.learner import LOWER_LR, Learner
from jikimi.train.run_folder import METRICS, write_text

Say = Callable[[str], None]


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
                save_best(self.out / BEST, self.origin, pl_module.judged, _plain(row))
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
        write_atomically(self.out / METRICS, lambda path: write_text(path, text))
        if done:
            write_atomically(self.out / "curves.png", lambda path: draw_curves(self.history, path))


def _rank(row: dict[str, Any]) -> tuple[float, float]:
    return row["val_accuracy"], -row["val_loss"]


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value.item() if hasattr(value, "item") else value for key, value in row.items()}
