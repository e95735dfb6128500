"""Writes the bundle of a randomly initialised model: speed does not depend on what was learned.

python fresh_bundle.py OUT.jikimi --recipe edge
"""

import argparse
from pathlib import Path


def write_bundle(out: Path, recipe_name: str) -> Path:
    """Build the recipe's model from nothing and export it the way `jikimi export` does."""
    import torch

    from jikimi.behaviors import BEHAVIORS
    from jikimi.bundle import save_bundle
    from jikimi.train.checkpoint import Checkpoint, Origin
    from jikimi.train.export import to_onnx
    from jikimi.train.recipes import RECIPES

    torch.manual_seed(0)
    recipe = RECIPES[recipe_name](weights="none")
    origin = Origin(
        recipe, BEHAVIORS, rate_hz=8.0, short_side_px=256, training={"data": "none: random weights"}
    )
    checkpoint = Checkpoint(out, origin, origin.build().eval(), {})
    onnx = to_onnx(checkpoint)
    save_bundle(out, origin.card(name=out.stem, metrics={}), encoder=onnx.encoder, head=onnx.head)
    return out


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--recipe", default="edge", choices=("edge", "baseline"))
    options = parser.parse_args()
    write_bundle(options.out, options.recipe)
