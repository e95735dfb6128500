"""The origin's entry point: `python main.py --root VIDEOS` prepares a folder and trains the baseline."""

import argparse
import sys
from pathlib import Path

from jikimi.cli import main as jikimi


def parse(arguments: list[str]) -> argparse.Namespace:
    """The origin's flags and their defaults."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", required=True, type=Path, help="folder of labelled clips")
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--lr", type=float, default=1e-4)
    parser.add_argument("--num-workers", type=int, default=2, help="clips decoded at once while preparing")
    parser.add_argument("--train-ratio", type=float, default=0.7)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--num-classes", type=int, default=6, help="only 6; others: jikimi --behaviors")
    parser.add_argument("--weights", default="imagenet", help="imagenet, none, or a file")
    parser.add_argument("--data", type=Path, default=Path("data"), help="where the data set goes")
    parser.add_argument("--out", type=Path, default=Path("runs/baseline"), help="where the run goes")
    options = parser.parse_args(arguments)
    if options.num_classes != 6:
        parser.error("the label set has 6 behaviours; for another use jikimi prepare --behaviors FILE")
    if not 0 < options.train_ratio < 1:
        parser.error(f"--train-ratio {options.train_ratio} must lie between 0 and 1")
    return options


def main() -> None:
    """Run `jikimi prepare` and `jikimi train` one after the other."""
    options = parse(sys.argv[1:])
    # Rounded: 1 - 0.7 is 0.30000000000000004, which would be another data set than 0.3.
    val_ratio = round(1 - options.train_ratio, 6)
    steps = (
        ["prepare", options.root, "--out", options.data, "--val-ratio", val_ratio, "--seed", options.seed,
         "--workers", max(1, options.num_workers)],
        ["train", options.data, "--out", options.out, "--recipe", "baseline", "--weights", options.weights,
         "--epochs", options.epochs, "--batch-size", options.batch_size, "--lr", options.lr,
         "--seed", options.seed],
    )  # fmt: skip
    for step in steps:
        sys.argv = ["jikimi", *map(str, step)]
        try:
            jikimi()
        except SystemExit as end:
            if end.code:
                raise


if __name__ == "__main__":
    main()
