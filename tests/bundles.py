"""A small real bundle, made by hand without torch: it sees colours, so a test knows what it must answer."""

from pathlib import Path
from typing import Literal

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from jikimi.behaviors import BEHAVIORS
from jikimi.bundle import Card, default_rule, save_bundle
from jikimi.frame import Image
from jikimi.incident import Rule
from jikimi.preprocess import Preprocess
from videos import Draw

GREY, YELLOW, GREEN = (128, 128, 128), (255, 255, 0), (0, 255, 0)

COLOURS = Preprocess(height_px=32, width_px=48, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))

# Features of a picture: red, green and blue of its four quarters.
FEATURES = 12


def make_bundle(
    path: Path,
    *,
    window: int = 8,
    warm_up: int = 4,
    sampling: Literal["timed", "even"] = "timed",
    rate_hz: float = 8.0,
    rule: Rule | None = None,
    preprocess: Preprocess | None = None,
    name: str = "colours",
) -> Path:
    """Write a bundle that calls yellow or red `fall-down`, green `jam` and everything else normal.

    Encoder: mean colour of each quarter, (N, 3, H, W) → (N, 12). Head: linear on the window, later frames
    weigh more, (N, T, 12) → (N, 6). Any `preprocess` of three channels will do; motion at two lags has three.
    """
    preprocess = preprocess or COLOURS
    card = Card(
        name=name,
        behaviors=BEHAVIORS,
        preprocess=preprocess,
        short_side_px=48,
        rate_hz=rate_hz,
        window=window,
        warm_up=warm_up,
        sampling=sampling,
        feature_dim=FEATURES,
        temperature=1.0,
        rule=rule or default_rule(BEHAVIORS),
    )
    save_bundle(path, card, encoder=_encoder(preprocess), head=_head(window))
    return path


def _encoder(preprocess: Preprocess) -> bytes:
    height, width = preprocess.height_px, preprocess.width_px
    half = [height // 2, width // 2]
    nodes = [
        helper.make_node("AveragePool", ["pictures"], ["quarters"], kernel_shape=half, strides=half),
        helper.make_node("Flatten", ["quarters"], ["features"]),
    ]
    return _model(nodes, {"pictures": ["N", 3, height, width]}, {"features": ["N", FEATURES]}, {})


def _head(window: int) -> bytes:
    recency = np.arange(1, window + 1, dtype=np.float32)
    weights = np.einsum("t,dc->tdc", recency / recency.sum(), _colour_weights())
    tables = {
        "weights": weights.reshape(window * FEATURES, len(BEHAVIORS)),
        "bias": np.array([-3, 0, -3, -3, 0, 3], dtype=np.float32),
    }
    nodes = [
        helper.make_node("Flatten", ["windows"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weights", "bias"], ["logits"]),
    ]
    return _model(nodes, {"windows": ["N", window, FEATURES]}, {"logits": ["N", len(BEHAVIORS)]}, tables)


def _colour_weights() -> np.ndarray:
    """Weights of one frame, float32 (12, 6). Features are channel by channel, four quarters each."""
    weights = np.zeros((3, 4, len(BEHAVIORS)), dtype=np.float32)
    red, green, blue = 0, 1, 2
    weights[red, :, 1], weights[blue, :, 1] = 1.5 / 4, -1.5 / 4
    weights[green, :, 4], weights[red, :, 4] = 1.5 / 4, -1.5 / 4
    return weights.reshape(FEATURES, len(BEHAVIORS))


def _model(
    nodes: list[onnx.NodeProto],
    inputs: dict[str, list[int | str]],
    outputs: dict[str, list[int | str]],
    tables: dict[str, np.ndarray],
) -> bytes:
    graph = helper.make_graph(
        nodes,
        "colours",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(table.astype(np.float32), name) for name, table in tables.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def accident_between(start_frame: int, end_frame: int, colour: tuple[int, int, int] = YELLOW) -> Draw:
    """A grey picture with a moving mark that shows `colour` for frames `[start_frame, end_frame)`."""

    def draw(index: int, width: int, height: int) -> Image:
        image = np.empty((height, width, 3), np.uint8)
        image[:] = colour if start_frame <= index < end_frame else GREY
        left = (index * 3) % max(1, width - 8)
        image[:8, left : left + 8] = 255
        return image

    return draw
