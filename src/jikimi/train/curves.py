"""`curves.png`: loss and accuracy of both sides over the epochs."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

TRAIN, VAL = "#4c72b0", "#dd8452"


def draw_curves(history: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw the figures of every epoch as a PNG; the best epoch and the stages are marked."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    FigureCanvasAgg(figure)
    epochs = [row["epoch"] for row in history]
    best = max(history, key=lambda row: (row["val_accuracy"], -row["val_loss"]))
    changes = [b["epoch"] - 0.5 for a, b in pairwise(history) if a["stage"] != b["stage"]]
    for axes, name in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        axes.plot(epochs, [row[f"train_{name}"] for row in history], color=TRAIN, label="training")
        axes.plot(epochs, [row[f"val_{name}"] for row in history], color=VAL, label="validation")
        axes.plot(best["epoch"], best[f"val_{name}"], "o", color=VAL, label=f"best (epoch {best['epoch']})")
        for change in changes:
            axes.axvline(change, color="0.7", linestyle=":")
        axes.set(xlabel="epoch", title=name)
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    figure.axes[0].set_ylim(bottom=0)
    figure.axes[1].set_ylim(0, 1.02)
    figure.savefig(path, dpi=120, format="png")
