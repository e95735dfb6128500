"""Checkpoint → bundle: through the gates, or not at all."""

import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from jikimi import selftest
from jikimi.bundle import ENCODER, HEAD, Bundle, Card, load_bundle
from jikimi.data.manifest import Manifest
from jikimi.errors import ExportError
from jikimi.metrics import clip_report
from jikimi.train import export as export_module
from jikimi.train.checkpoint import BEST, Checkpoint, Origin, TorchScorer, load_checkpoint, save_best
from jikimi.train.dataset import CustomData, validation_windows
from jikimi.train.export import Onnx, _check_int8, export
from jikimi.train.model import CNNLSTM
from train_data import BACKBONE, LABELS, make_data, timed


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return make_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory, manifest: Manifest) -> Checkpoint:
    """A model with BatchNorm statistics of its own and answers that are not all alike."""
    torch.manual_seed(4)
    model = CNNLSTM(BACKBONE, n_classes=3)
    for _ in range(3):
        model.train()(torch.randn(2, 8, 3, 32, 48))
    path = tmp_path_factory.mktemp("run") / BEST
    training = {"data": str(manifest.root), "digest": manifest.digest()}
    save_best(path, Origin(timed(), LABELS, 8.0, 64, training), model, {"epoch": 1, "val_accuracy": 0.5})
    return load_checkpoint(path)


@pytest.fixture(scope="module")
def exported(
    tmp_path_factory: pytest.TempPathFactory, checkpoint: Checkpoint, manifest: Manifest
) -> tuple[Path, Card, list[str]]:
    """Through the real graphs, from beginning to end."""
    path, lines = tmp_path_factory.mktemp("bundles") / "model.jikimi", []
    card = export(checkpoint, manifest, path, name="model", say=lines.append)
    return path, card, lines


@pytest.fixture
def same_graphs(monkeypatch: pytest.MonkeyPatch, exported: tuple[Path, Card, list[str]]) -> None:
    """Saves making the graphs anew where it is what comes after them that is tested."""
    with zipfile.ZipFile(exported[0]) as bundle:
        graphs = Onnx(bundle.read(ENCODER), bundle.read(HEAD))
    monkeypatch.setattr(export_module, "to_onnx", lambda _checkpoint: graphs)


def test_bundle_loads_and_says_what_it_is(
    exported: tuple[Path, Card, list[str]], checkpoint: Checkpoint, manifest: Manifest
) -> None:
    path, card, lines = exported
    bundle = load_bundle(path)
    assert bundle.card == card and card.name == "model" and card.precision == "float32"
    selftest.check(bundle)
    assert len(card.known_answer) == len(card.behaviors)
    training = checkpoint.origin.training
    # The name of its data, not where it lies here.
    assert card.training == {**training, "data": Path(training["data"]).name}
    assert card.metrics["epoch"] == 1 and card.metrics["parity"] <= 1e-3
    assert card.metrics["validation"]["clips"] == 3
    assert any("largest difference" in line for line in lines)
    assert list(path.parent.iterdir()) == [path]


def test_calibration_travels_in_the_card(exported: tuple[Path, Card, list[str]], manifest: Manifest) -> None:
    _, card, _ = exported
    assert card.calibration["dataset"] == manifest.digest() and card.calibration["clips"] == 3
    assert card.temperature == card.calibration["temperature"] != 1.0
    assert set(card.rule.theta_on) == {"bump", "jam"}
    assert card.calibration["theta_on"] in card.rule.theta_on.values()
    assert card.calibration["also_used_for"] == "choosing best.pth"


def test_bundle_answers_as_torch_does_on_real_windows(
    exported: tuple[Path, Card, list[str]], checkpoint: Checkpoint, manifest: Manifest
) -> None:
    bundle, ours = load_bundle(exported[0]), TorchScorer(checkpoint)
    data = CustomData(manifest, manifest.rows, checkpoint.origin.recipe)
    for row in data.rows:
        windows = validation_windows(row, data.recipe)
        pictures = np.concatenate([data.load_frames(row, window, seed=None).numpy() for window in windows])
        logits = [
            scorer.classify(scorer.encode(pictures).reshape(len(windows), 8, -1)) for scorer in (ours, bundle)
        ]
        np.testing.assert_allclose(logits[1], logits[0], atol=1e-3)


def test_model_of_motion_with_its_own_sizes_goes_through(manifest: Manifest, tmp_path: Path) -> None:
    recipe = timed(
        inputs="motion", lags=(1, 4), pool="catavgmax", feature_dim=24, hidden_dim=16, lstm_layers=1, fc_dim=8
    )
    origin = Origin(recipe, LABELS, 8.0, 64, {"digest": manifest.digest()})
    torch.manual_seed(2)
    model = origin.build()
    model.train()(torch.randn(2, 8, 3, 32, 48))
    save_best(tmp_path / BEST, origin, model, {"epoch": 1, "val_accuracy": 0.5})
    card = export(load_checkpoint(tmp_path / BEST), manifest, tmp_path / "motion.jikimi", name="motion")
    assert load_bundle(tmp_path / "motion.jikimi").card == card
    assert (card.preprocess.inputs, card.preprocess.lags, card.feature_dim) == ("motion", (1, 4), 24)


def test_ranges_of_eight_bits_come_from_what_the_encoder_gets(manifest: Manifest, tmp_path: Path) -> None:
    recipe = timed(inputs="rgb+motion", lags=(2,))
    origin = Origin(recipe, LABELS, 8.0, 64, {"digest": manifest.digest()})
    save_best(tmp_path / BEST, origin, origin.build(), {})
    pictures = export_module._Pictures(load_checkpoint(tmp_path / BEST), manifest)
    first = pictures.get_next()
    assert first is not None and first["input"].shape == (1, 4, 32, 48)
    moves = [batch["input"][:, 3].any() for batch in iter(pictures.get_next, None)]
    assert any(moves)


@pytest.mark.usefixtures("same_graphs")
def test_graph_that_answers_otherwise_is_refused_with_the_number(
    checkpoint: Checkpoint, manifest: Manifest, tmp_path: Path
) -> None:
    state = {key: value.clone() for key, value in checkpoint.model.state_dict().items()}
    state["fc.3.bias"] += 0.01
    other = CNNLSTM(BACKBONE, n_classes=3).eval()
    other.load_state_dict(state)
    with pytest.raises(ExportError, match=r"differ by 1\.0.e-02, more than 1e-03; not exported"):
        export(replace(checkpoint, model=other), manifest, tmp_path / "x.jikimi", name="x")
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("same_graphs")
def test_graph_that_answers_nan_is_refused(
    checkpoint: Checkpoint, manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nan(self: Bundle, windows: np.ndarray) -> np.ndarray:
        return np.full((len(windows), 3), np.nan, np.float32)

    monkeypatch.setattr(Bundle, "classify", nan)
    with pytest.raises(ExportError, match="differ by nan"):
        export(checkpoint, manifest, tmp_path / "x.jikimi", name="x")


@pytest.mark.usefixtures("same_graphs")
def test_eight_bits_pass_the_gate_or_are_refused_with_the_number(
    checkpoint: Checkpoint, manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    monkeypatch.setattr(export_module, "INT8_LOSS", 1.0)
    path = tmp_path / "small.jikimi"
    card = export(checkpoint, manifest, path, name="small", int8=True, say=lines.append)
    assert card.precision == "int8" == load_bundle(path).card.precision
    assert any(line.startswith("INT8 macro-F1 ") for line in lines)
    monkeypatch.setattr(export_module, "INT8_LOSS", -1.1)
    with pytest.raises(ExportError, match=r"INT8 loses .* of macro-F1 \(.* to .*\), .*without --int8"):
        export(checkpoint, manifest, tmp_path / "refused.jikimi", name="x", int8=True)
    assert not (tmp_path / "refused.jikimi").exists()


@pytest.mark.parametrize(("wrong", "passes"), [(0, True), (1, False)])
def test_gate_of_eight_bits_is_one_point(wrong: int, passes: bool) -> None:
    labels = [0, 1] * 10
    right = np.eye(2)[labels] * 4
    worse = right.copy()
    worse[:wrong] = worse[:wrong, ::-1]
    plain, quantised = (
        clip_report(logits, labels, behaviors=("a", "b"), groups=["g"] * 20) for logits in (right, worse)
    )
    if passes:
        assert _check_int8(plain, quantised, print) is quantised
    else:
        with pytest.raises(ExportError, match=r"INT8 loses 0\.050 of macro-F1 \(1\.000 to 0\.950\)"):
            _check_int8(plain, quantised, print)


@pytest.mark.usefixtures("same_graphs")
def test_data_without_clips_to_calibrate_on_is_refused(
    checkpoint: Checkpoint, manifest: Manifest, tmp_path: Path
) -> None:
    train = replace(manifest, rows=manifest.select("train"))
    with pytest.raises(ExportError, match="--calibration DATA"):
        export(checkpoint, train, tmp_path / "x.jikimi", name="x")
