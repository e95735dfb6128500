"""Checkpoint → bundle, through gates: ONNX must answer as torch does, INT8 nearly as well as float."""

import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from onnxruntime import quantization
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import nn

from jikimi import selftest
from jikimi.bundle import Bundle, Card, load_bundle, save_bundle
from jikimi.data.manifest import Manifest, ManifestRow
from jikimi.errors import ExportError
from jikimi.frame import Floats
from jikimi.metrics import ClipReport, clip_report, pool_windows
from jikimi.train.calibrate import (
    GOAL_PER_HOUR,
    Calibration,
    Progress,
    calibrate_on_clips,
    calibrate_on_streams,
)
from jikimi.train.checkpoint import Checkpoint, TorchScorer
from jikimi.train.dataset import CustomData, validation_windows
from jikimi.train.model import EncoderPart, HeadPart
from jikimi.train.score import class_index, score_clip
from jikimi.train.truth import StreamSet

log = logging.getLogger(__name__)

Say = Callable[[str], None]

# The largest difference between torch and ONNX that still counts as the same model (cli.md).
PARITY = 1e-3
# What INT8 may cost: one point of macro-F1 (evaluation.md).
INT8_LOSS = 0.01
# Pictures that fix the ranges of INT8 activations, taken evenly from the training clips.
RANGE_PICTURES = 128
# Windows that torch and ONNX are compared on, one from each of this many clips at most.
PARITY_CLIPS = 8


@dataclass(frozen=True, slots=True)
class Onnx:
    """The two graphs of a bundle."""

    encoder: bytes
    head: bytes


def export(
    checkpoint: Checkpoint,
    manifest: Manifest,
    out: Path,
    *,
    name: str,
    int8: bool = False,
    streams: StreamSet | None = None,
    max_false_alarms_per_hour: float = GOAL_PER_HOUR,
    say: Say = log.info,
    progress: Progress | None = None,
) -> Card:
    """Write the bundle of a checkpoint, calibrated on the data set's validation clips; returns its card.

    With `streams` only the temperature is fitted on clips, and the rule chosen on the streams.

    Raises:
        ExportError: ONNX and torch differ by more than 1e-3, or INT8 loses more than a point of macro-F1.
        DataError: the data set lacks what calibrating needs.
    """
    rows = manifest.select("val")
    if not rows:
        raise ExportError(f"{manifest.root}: no validation clips to calibrate on; give --calibration DATA")
    card = checkpoint.origin.card(name=name, metrics=checkpoint.metrics)
    onnx = to_onnx(checkpoint)
    bundle = Bundle(card, onnx.encoder, onnx.head)
    difference = _check_parity(checkpoint, bundle, manifest, rows)
    say(f"ONNX answers as torch does: largest difference {difference:.1e} (bound {PARITY:.0e})")
    report = report_clips(bundle, manifest, rows)
    if int8:
        onnx = Onnx(quantise(onnx.encoder, checkpoint, manifest), onnx.head)
        card = card.model_copy(update={"precision": "int8"})
        bundle = Bundle(card, onnx.encoder, onnx.head)
        report = _check_int8(report, report_clips(bundle, manifest, rows), say)
    calibration = _calibrate(
        bundle, manifest, rows, streams, bound=max_false_alarms_per_hour, progress=progress
    )
    card = card.model_copy(
        update={
            "temperature": calibration.temperature,
            "rule": calibration.rule,
            "calibration": {**calibration.summary, "also_used_for": "choosing best.pth"},
            "metrics": {**card.metrics, "validation": report.as_dict(), "parity": difference},
            "known_answer": tuple(map(float, selftest.answer(bundle))),
        }
    )
    card = save_bundle(out, card, encoder=onnx.encoder, head=onnx.head)
    load_bundle(out)
    return card


def _calibrate(
    bundle: Bundle,
    manifest: Manifest,
    rows: Sequence[ManifestRow],
    streams: StreamSet | None,
    *,
    bound: float,
    progress: Progress | None,
) -> Calibration:
    on_clips = calibrate_on_clips(bundle, manifest, rows, max_false_alarms_per_hour=bound, progress=progress)
    if streams is None:
        return on_clips
    # Half of all clips are accidents. What is fitted on them may sharpen scores until all that matters in
    # hours of normal work lies within rounding of 1, so here it may only soften.
    temperature = max(1.0, on_clips.temperature)
    bundle.card = bundle.card.model_copy(update={"temperature": temperature})
    found = calibrate_on_streams(bundle, streams, max_false_alarms_per_hour=bound, progress=progress)
    clips = {"temperature_from": on_clips.summary["source"], "clips": on_clips.summary["clips"]}
    return Calibration(found.temperature, found.rule, found.summary | clips)


def report_clips(scorer: Bundle, manifest: Manifest, rows: Sequence[ManifestRow]) -> ClipReport:
    """Clip metrics of a bundle on some rows of a data set."""
    normal = scorer.card.normal_index
    pooled = [pool_windows(score_clip(scorer, manifest, row).logits_WC, normal) for row in rows]
    labels = [class_index(scorer.card, row) for row in rows]
    groups = [row.group for row in rows]
    return clip_report(np.stack(pooled), labels, behaviors=scorer.card.keys, groups=groups)


def to_onnx(checkpoint: Checkpoint) -> Onnx:
    """Both halves of a model as ONNX graphs whose batch size is free."""
    model, size = checkpoint.model.eval().cpu(), checkpoint.origin.recipe.preprocess
    pictures = torch.zeros(2, size.depth, size.height_px, size.width_px)
    windows = torch.zeros(2, checkpoint.origin.recipe.window, model.feature_dim)
    return Onnx(_graph(EncoderPart(model), pictures), _graph(HeadPart(model), windows))


def _graph(module: nn.Module, example: torch.Tensor) -> bytes:
    with tempfile.TemporaryDirectory() as folder, _quiet():
        path = Path(folder) / "model.onnx"
        program = torch.onnx.export(
            module.eval(),
            (example,),
            dynamo=True,
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            input_names=["input"],
            output_names=["output"],
            verbose=False,
        )
        assert program is not None
        program.save(path, external_data=False)
        return path.read_bytes()


@contextmanager
def _quiet() -> Iterator[None]:
    """Exporting warns of its own internals; what counts is checked by the gates."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _check_parity(
    checkpoint: Checkpoint, bundle: Bundle, manifest: Manifest, rows: Sequence[ManifestRow]
) -> float:
    """The largest difference of logits between torch and ONNX on real windows.

    Raises:
        ExportError: it is above the gate.
    """
    recipe, ours = checkpoint.origin.recipe, TorchScorer(checkpoint)
    data = CustomData(manifest, rows[:PARITY_CLIPS], recipe)
    worst = 0.0
    for row in data.rows:
        window = validation_windows(row, recipe)[-1]
        pictures: Floats = data.load_frames(row, window, seed=None).numpy()
        logits = [scorer.classify(scorer.encode(pictures)[None]) for scorer in (ours, bundle)]
        worst = float(np.maximum(worst, np.abs(logits[0] - logits[1]).max()))  # keeps NaN, as max does not
    if not worst <= PARITY:
        raise ExportError(f"ONNX and torch differ by {worst:.2e}, more than {PARITY:.0e}; not exported")
    return worst


class _Pictures(quantization.CalibrationDataReader):  # type: ignore[misc]
    """Training pictures, one at a time, for the ranges of INT8 activations."""

    def __init__(self, checkpoint: Checkpoint, manifest: Manifest) -> None:
        rows = manifest.select("train")
        data = CustomData(manifest, rows, checkpoint.origin.recipe)
        each = -(-RANGE_PICTURES // len(rows))
        chosen = [(row, np.linspace(0, row.n_frames - 1, each).round().astype(int)) for row in rows]
        self._pictures = iter(
            data.load_frames(row, [int(index)], seed=None).numpy()
            for row, indices in chosen[:RANGE_PICTURES]
            for index in indices
        )

    def get_next(self) -> dict[str, Any] | None:
        """The next picture, float32 (1, depth, H, W), or None at the end."""
        picture = next(self._pictures, None)
        return None if picture is None else {"input": picture}


def quantise(encoder: bytes, checkpoint: Checkpoint, manifest: Manifest) -> bytes:
    """The encoder in static INT8: QDQ, signed, a scale for each channel of the weights."""
    with tempfile.TemporaryDirectory() as folder, _quiet():
        plain, prepared, out = (Path(folder) / name for name in ("plain.onnx", "prepared.onnx", "int8.onnx"))
        plain.write_bytes(encoder)
        quant_pre_process(plain, prepared)
        quantization.quantize_static(
            prepared,
            out,
            _Pictures(checkpoint, manifest),
            quant_format=quantization.QuantFormat.QDQ,
            activation_type=quantization.QuantType.QInt8,
            weight_type=quantization.QuantType.QInt8,
            per_channel=True,
            reduce_range=True,  # processors without VNNI saturate 8-bit products otherwise
        )
        return out.read_bytes()


def _check_int8(plain: ClipReport, quantised: ClipReport, say: Say) -> ClipReport:
    before, after = plain.macro_f1.value or 0.0, quantised.macro_f1.value or 0.0
    if before - after > INT8_LOSS:
        raise ExportError(
            f"INT8 loses {before - after:.3f} of macro-F1 ({before:.3f} to {after:.3f}), "
            f"more than {INT8_LOSS}; export without --int8"
        )
    say(f"INT8 macro-F1 {after:.3f}, float {before:.3f} (may lose {INT8_LOSS})")
    return quantised
