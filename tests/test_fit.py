"""Training runs: what they keep, how they end, and how they go on after being killed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as PillowImage
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

from jikimi.clip import Split
from jikimi.data.manifest import read_manifest
from jikimi.errors import DataError, TrainError
from jikimi.train import devices, records
from jikimi.train import fit as fit_module
from jikimi.train.checkpoint import BEST, LAST, load_checkpoint, read_document
from jikimi.train.dataset import CustomData
from jikimi.train.fit import fit
from jikimi.train.learner import Learner, Material, ValidationClips
from jikimi.train.model import CNNLSTM
from jikimi.train.recipes import Recipe, Stage, baseline, with_options
from jikimi.train.weights import digest
from train_data import BACKBONE, ClipSpec, make_data, staged, timed, tiny
from train_process import Moment, train_and_die


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_data(tmp_path_factory.mktemp("data")).root


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Any:
    """As in the processes that are killed, so that sums come out the same to the last bit."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def run(data: Path, out: Path, recipe: Recipe, **options: Any) -> dict[str, Any]:
    return fit(data, out, recipe, device="cpu", **options)


def metrics(out: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((out / "metrics.json").read_text())
    return document


def learner_of(data: Path, recipe: Recipe) -> Learner:
    manifest = read_manifest(data)
    sides: tuple[Split, Split] = ("train", "val")
    train, val = (CustomData(manifest, manifest.select(side), recipe) for side in sides)
    torch.manual_seed(0)
    model = CNNLSTM(recipe.backbone, n_classes=len(manifest.behaviors), dropout=recipe.dropout)
    material = Material(train, val)
    return Learner(model, recipe, recipe.stages[0], material, first_epoch=0, workers=0)


# --- what a run leaves


@pytest.fixture(scope="module")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str], dict[str, Any]]:
    """A run of six epochs: its folder, what it said, what it returned."""
    out, lines = tmp_path_factory.mktemp("runs") / "finished", []
    best = run(data, out, timed(Stage("head", 6, 3e-3), seed=3), say=lines.append)
    return out, lines, best


def test_run_leaves_what_was_promised(finished: tuple[Path, list[str], dict[str, Any]]) -> None:
    out, lines, _ = finished
    names = {path.name for path in out.iterdir()}
    expected = {BEST, LAST, "metrics.json", "recipe.json", "curves.png", "tensorboard"}
    assert names == expected, "nothing else, no temporary file"
    assert len(lines) == 6 and lines[0].startswith("epoch   1/6")
    with PillowImage.open(out / "curves.png") as picture:
        assert picture.format == "PNG" and picture.width > 600


def test_best_is_the_most_accurate_and_of_equals_the_one_with_less_loss(
    finished: tuple[Path, list[str], dict[str, Any]],
) -> None:
    out, _, best = finished
    rows = metrics(out)["epochs"]
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4, 5, 6]
    wanted = max(rows, key=lambda row: (row["val_accuracy"], -row["val_loss"]))
    assert best == wanted == metrics(out)["best"]
    assert load_checkpoint(out / BEST).metrics == wanted
    assert load_checkpoint(out / LAST).metrics == rows[-1]
    assert metrics(out)["done"] is True


def test_best_answers_as_its_figures_say(
    finished: tuple[Path, list[str], dict[str, Any]], data: Path
) -> None:
    out, _, best = finished
    checkpoint = load_checkpoint(out / BEST)
    learner = learner_of(data, checkpoint.origin.recipe)
    learner.model.load_state_dict(checkpoint.model.state_dict())
    learner.eval()
    clips = ValidationClips(learner.material.val, None, range(3))
    with torch.no_grad():
        for index in range(3):
            learner.validation_step(clips[index], index)
    tally = learner.tally["val"]
    assert tally.count == 3 and tally.correct / 3 == pytest.approx(best["val_accuracy"])
    assert tally.loss / 3 == pytest.approx(best["val_loss"], abs=0.02)  # the cache holds half precision


def test_tensorboard_holds_loss_and_accuracy_of_both_sides(
    finished: tuple[Path, list[str], dict[str, Any]],
) -> None:
    out, _, _ = finished
    events = EventAccumulator(str(out / "tensorboard"))
    events.Reload()
    for figure in ("loss", "accuracy"):
        for side in ("train", "val"):
            scalars = events.Scalars(f"{figure}/{side}")
            wanted = [row[f"{side}_{figure}"] for row in metrics(out)["epochs"]]
            assert [scalar.step for scalar in scalars] == [1, 2, 3, 4, 5, 6]
            assert [scalar.value for scalar in scalars] == pytest.approx(wanted)


def test_recipe_and_data_are_written_down(
    finished: tuple[Path, list[str], dict[str, Any]], data: Path
) -> None:
    document = json.loads((finished[0] / "recipe.json").read_text())
    assert Recipe.from_dict(document["recipe"]) == timed(Stage("head", 6, 3e-3), seed=3)
    assert document["data"] == str(data) and len(document["digest"]) == 64


def test_learning_rate_written_down_is_the_epochs_own(data: Path, tmp_path: Path) -> None:
    recipe = tiny(Stage("head", 4, 1e-3), schedule="cosine", warm_up_epochs=1)
    run(data, tmp_path / "run", recipe)
    rates = [row["lr"] for row in metrics(tmp_path / "run")["epochs"]]
    assert rates == pytest.approx([0.5e-3, 1e-3, 0.75e-3, 0.25e-3])


def test_second_run_reads_the_features_of_the_first(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(data, tmp_path / "first", tiny(Stage("head", 1, 1e-3)))
    encoded = []
    real = fit_module.features.fill
    monkeypatch.setattr(
        fit_module.features, "fill", lambda *args, **options: encoded.append(real(*args, **options))
    )
    run(data, tmp_path / "second", tiny(Stage("head", 1, 1e-4)))
    assert encoded == [0, 0]


def test_behaviours_without_clips_are_said(tmp_path: Path) -> None:
    specs = [
        ClipSpec("jam", "train", "a"),
        ClipSpec("no-accident", "train", "b"),
        ClipSpec("jam", "val", "c"),
    ]
    lines: list[str] = []
    root = make_data(tmp_path / "data", specs).root
    run(root, tmp_path / "run", tiny(Stage("head", 1, 1e-3)), say=lines.append)
    assert lines[0] == "note: no clips to train on of bump"
    assert lines[1] == "note: no clips to validate on of bump, no-accident"


# --- which part of the model moves, and how


def test_every_stage_moves_its_own_part(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, dict[str, torch.Tensor]]] = []
    real = fit_module.Records.on_train_epoch_end

    def spy(self: Any, trainer: Any, learner: Any) -> None:
        state = {key: value.clone() for key, value in learner.model.state_dict().items()}
        seen.append((learner.stage.part, state))
        real(self, trainer, learner)

    starts: list[dict[str, torch.Tensor]] = []
    monkeypatch.setattr(
        Learner,
        "on_train_start",
        lambda self: starts.append({k: v.clone() for k, v in self.model.state_dict().items()}),
    )
    monkeypatch.setattr(fit_module.Records, "on_train_epoch_end", spy)
    recipe = replace(staged(), stages=tuple(Stage(p, 1, 1e-3) for p in ("head", "last", "all")))  # type: ignore[arg-type]
    run(data, tmp_path / "run", recipe)
    assert [part for part, _ in seen] == ["head", "last", "all"]
    moved = {
        part: {key for key in state if not torch.equal(state[key], start[key])}
        for (part, state), start in zip(seen, starts, strict=True)
    }
    assert not {key for key in moved["head"] if key.startswith("encoder.")}
    assert {"project.weight", "lstm.weight_ih_l0", "fc.0.weight"} <= moved["head"]
    last, everything = (
        {key.split(".")[1] for key in moved[part] if key.startswith("encoder.")} for part in ("last", "all")
    )
    assert last == {"layer4"} and {"conv1", "bn1", "layer1", "layer4"} <= everything
    # Each stage goes on from the best epoch before it.
    assert torch.equal(starts[1]["fc.0.weight"], seen[0][1]["fc.0.weight"])


def test_head_stage_leaves_the_encoder_bit_for_bit(data: Path, tmp_path: Path) -> None:
    recipe = tiny(Stage("head", 2, 1e-2))
    run(data, tmp_path / "run", recipe)
    torch.manual_seed(recipe.seed)
    fresh = CNNLSTM(BACKBONE, n_classes=3)
    assert digest(load_checkpoint(tmp_path / "run" / BEST).model.encoder) == digest(fresh.encoder)
    assert digest(load_checkpoint(tmp_path / "run" / LAST).model.encoder) == digest(fresh.encoder)


def test_gradient_of_a_bag_reaches_all_of_its_windows(data: Path) -> None:
    learner = learner_of(data, timed())
    inputs = torch.randn(5, 8, 3, 32, 48, requires_grad=True)
    labels, bags = torch.tensor([1, 1, 1, 2, 2]), torch.tensor([4, 4, 4, 9, 9])
    learner.model.train_part("all")
    logits, targets, classes = learner._predict(inputs, labels, bags)
    assert logits.shape == (2, 3) and classes.tolist() == [1, 2]
    assert targets.tolist() == [[0, 1, 0], [0, 0, 1]]
    nn.functional.cross_entropy(logits, targets).backward()
    assert inputs.grad is not None and (inputs.grad.flatten(1).abs().sum(dim=1) > 0).all()


def test_mixup_softens_targets_and_leaves_bags_whole(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    learner = learner_of(data, timed(mixup=5.0))
    learner.trainer = type("Trainer", (), {"global_step": 0, "current_epoch": 0})()  # type: ignore[assignment]
    inputs, labels = torch.randn(3, 8, 3, 32, 48), torch.tensor([0, 1, 2])
    _, targets, classes = learner._predict(inputs, labels, torch.arange(3))
    assert classes.tolist() == [0, 1, 2] and 0 < float(targets[targets < 1].max()) < 1
    torch.testing.assert_close(targets.sum(dim=1), torch.ones(3))
    _, targets, _ = learner._predict(inputs, labels, torch.tensor([0, 1, 1]))
    assert set(targets.flatten().tolist()) == {0.0, 1.0}


def test_loss_weights_even_out_rare_classes(tmp_path: Path) -> None:
    specs = [ClipSpec("jam", "train", "a", n_frames=40), ClipSpec("jam", "val", "v")]
    specs += [ClipSpec("no-accident", "train", group) for group in "bcd"]
    root = make_data(tmp_path, specs).root
    weights = learner_of(root, timed(balance="loss"))._class_weights()
    assert weights is not None and weights.tolist() == pytest.approx([0, 2, 2 / 3])
    assert learner_of(root, timed(balance="sampler"))._class_weights() is None


@pytest.mark.parametrize("balance", ["none", "loss", "sampler"])
def test_every_way_of_balancing_trains(data: Path, tmp_path: Path, balance: str) -> None:
    best = run(data, tmp_path / "run", timed(Stage("head", 1, 1e-3), balance=balance))
    assert best["epoch"] == 1


def test_windows_are_learned(data: Path, tmp_path: Path) -> None:
    best = run(data, tmp_path / "run", tiny(Stage("head", 25, 3e-3)))
    rows = metrics(tmp_path / "run")["epochs"]
    assert rows[-1]["train_accuracy"] > 0.8 and rows[-1]["train_loss"] < rows[0]["train_loss"] / 2
    assert best["val_accuracy"] > 0.6


# --- stopping early


def test_run_stops_after_epochs_without_a_gain(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    monkeypatch.setattr(records, "_rank", lambda row: (min(row["epoch"], 3), 0.0))
    recipe = tiny(Stage("head", 30, 1e-3), patience=2)
    run(data, tmp_path / "run", recipe, say=lines.append)
    rows = metrics(tmp_path / "run")["epochs"]
    assert metrics(tmp_path / "run")["best"]["epoch"] == 3
    assert len(rows) == 5 and "stopped early" in lines[-1]
    # A run that has ended stays as it is.
    run(data, tmp_path / "run", recipe, resume=True)
    assert metrics(tmp_path / "run")["epochs"] == rows


def test_patience_counts_anew_in_every_stage(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nothing is ever better than the first epoch.
    monkeypatch.setattr(records, "_rank", lambda row: (-row["epoch"], 0.0))
    stages = (Stage("head", 6, 1e-3), Stage("last", 6, 1e-3))
    run(data, tmp_path / "run", timed(*stages, patience=2))
    parts = [row["stage"] for row in metrics(tmp_path / "run")["epochs"]]
    assert parts == ["head"] * 3 + ["last"] * 2


# --- killed, and resumed


CACHED = timed(Stage("head", 3, 1e-3), dropout=0.2, balance="sampler", views=2, seed=5)
WHOLE = timed(Stage("all", 3, 1e-3), augment=True, dropout=0.2, schedule="cosine", max_bag=2)
STAGED = replace(staged(), stages=(Stage("head", 1, 1e-3), Stage("last", 1, 1e-3), Stage("all", 2, 1e-3)))
RUNS = replace(
    WHOLE, inputs="motion", lags=(1, 4), span=10, ema=0.9, schedule="one-cycle", optimizer="adamw",
    pool="catavgmax", lstm_layers=1, warm_up_epochs=1,
)  # fmt: skip
RECIPES = {"cached": CACHED, "whole": WHOLE, "staged": STAGED, "runs": RUNS}


@pytest.fixture(scope="module")
def unbroken(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One run of each recipe that nobody disturbed."""
    outs = {name: tmp_path_factory.mktemp("unbroken") / name for name in RECIPES}
    for name, out in outs.items():
        assert train_and_die(data, out, RECIPES[name]) == 0
    return outs


def weights_of(path: Path) -> dict[str, torch.Tensor]:
    return load_checkpoint(path).model.state_dict()


@pytest.mark.parametrize(
    ("name", "at", "count"),
    [
        ("cached", "encoding", 4),
        ("cached", "step", 1),
        ("cached", "best-written", 1),
        ("cached", "last-written", 2),
        ("cached", "metrics-written", 3),
        ("whole", "step", 8),
        ("whole", "metrics-written", 1),
        ("runs", "step", 5),
        ("runs", "metrics-written", 1),
        ("staged", "metrics-written", 1),
        ("staged", "metrics-written", 2),
        ("staged", "last-written", 4),
    ],
)
def test_killed_run_goes_on_to_the_same_result(
    data: Path, tmp_path: Path, unbroken: dict[str, Path], name: str, at: Moment, count: int
) -> None:
    out = tmp_path / "run"
    if at == "encoding":  # nothing would be left to encode
        data = Path(shutil.copytree(data, tmp_path / "data", ignore=shutil.ignore_patterns("features")))
    assert train_and_die(data, out, RECIPES[name], at=at, count=count) == -signal.SIGKILL
    assert train_and_die(data, out, RECIPES[name], resume=True) == 0
    ours, theirs = metrics(out), metrics(unbroken[name])
    assert ours["epochs"] == theirs["epochs"] and ours["best"] == theirs["best"] and ours["done"]
    for file in (BEST, LAST):
        wanted = weights_of(unbroken[name] / file)
        for key, value in weights_of(out / file).items():
            torch.testing.assert_close(value, wanted[key], rtol=0, atol=1e-6)
    assert not list(out.glob(".*.tmp"))


def test_killed_writing_leaves_the_former_best(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    run(data, out, tiny(Stage("head", 1, 1e-3)))
    kept = (out / BEST).read_bytes()
    recipe = tiny(Stage("head", 2, 1e-3))
    other = tmp_path / "other"
    assert train_and_die(data, other, recipe, at="best-written", count=1) == -signal.SIGKILL
    assert not (other / BEST).exists() and list(other.glob(".best.pth.*.tmp"))
    shutil.copy(out / BEST, other / BEST)
    assert train_and_die(data, other, recipe, at="best-written", count=1, resume=True) == -signal.SIGKILL
    assert (other / BEST).read_bytes() == kept


def test_resuming_needs_no_weights_file(data: Path, tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    torch.manual_seed(1)
    torch.save(CNNLSTM(BACKBONE, n_classes=3).encoder.state_dict(), path)
    recipe = tiny(Stage("head", 2, 1e-3), weights=str(path))
    out = tmp_path / "run"
    assert train_and_die(data, out, recipe, at="metrics-written") == -signal.SIGKILL
    path.unlink()
    run(data, out, recipe, resume=True)
    assert len(metrics(out)["epochs"]) == 2


def test_resuming_a_finished_run_changes_nothing(
    data: Path, tmp_path: Path, unbroken: dict[str, Path]
) -> None:
    out = tmp_path / "run"
    shutil.copytree(unbroken["cached"], out)
    before = {name: (out / name).read_bytes() for name in (BEST, LAST)}
    run(data, out, CACHED, resume=True)
    assert {name: (out / name).read_bytes() for name in before} == before
    assert metrics(out)["epochs"] == metrics(unbroken["cached"])["epochs"]


def refusal(*args: Any, **options: Any) -> str:
    with pytest.raises(TrainError) as refused:
        run(*args, **options)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_occupied_folder_is_refused(data: Path, finished: tuple[Path, list[str], dict[str, Any]]) -> None:
    before = (finished[0] / BEST).read_bytes()
    assert "holds a run already; continue it with --resume" in refusal(data, finished[0], tiny())
    assert (finished[0] / BEST).read_bytes() == before


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"batch_size": 2}, "batch_size = 4, not 2"),
        ({"seed": 8}, "seed = 3, not 8"),
        ({"backbone": "test_vit"}, f"backbone = '{BACKBONE}', not 'test_vit'"),
        ({"stages": (Stage("head", 9, 3e-3),)}, "stages = "),
    ],
)
def test_resuming_with_other_options_is_refused_by_name(
    data: Path, finished: tuple[Path, list[str], dict[str, Any]], changes: dict[str, Any], says: str
) -> None:
    recipe = replace(timed(Stage("head", 6, 3e-3), seed=3), **changes)
    assert says in refusal(data, finished[0], recipe, resume=True)


def test_resuming_on_other_data_is_refused(
    tmp_path: Path, finished: tuple[Path, list[str], dict[str, Any]]
) -> None:
    other = make_data(tmp_path / "other", [ClipSpec("jam", "train", "a"), ClipSpec("jam", "val", "b")]).root
    message = refusal(other, finished[0], timed(Stage("head", 6, 3e-3), seed=3), resume=True)
    assert "other data" in message


def test_resuming_what_is_no_run_is_refused(data: Path, tmp_path: Path) -> None:
    assert "no run to resume" in refusal(data, tmp_path / "nothing", tiny(), resume=True)
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        (LAST, b"torn", "damaged"),
        (LAST, b"", "damaged"),
        (LAST, None, "last.pth is gone"),
        (BEST, None, "No such file"),
        ("recipe.json", b"{", "damaged"),
        ("recipe.json", b"{}", "damaged"),
    ],
)
def test_damaged_run_is_not_resumed(
    data: Path, tmp_path: Path, unbroken: dict[str, Path], name: str, content: bytes | None, says: str
) -> None:
    out = tmp_path / "run"
    shutil.copytree(unbroken["cached"], out)
    (out / name).unlink()
    if content is not None:
        (out / name).write_bytes(content)
    message = refusal(data, out, CACHED, resume=True)
    assert says in message and name in message


def test_folder_that_cannot_be_made_is_refused(data: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert str(tmp_path / "file") in refusal(data, tmp_path / "file" / "run", tiny())
    assert str(tmp_path / "file") in refusal(data, tmp_path / "file", tiny())


# --- by runs


def test_average_is_judged_and_kept(data: Path, unbroken: dict[str, Path]) -> None:
    checkpoint, best = load_checkpoint(unbroken["runs"] / BEST), metrics(unbroken["runs"])["best"]
    manifest = read_manifest(data)
    val = CustomData(manifest, manifest.select("val"), RUNS)
    learner = Learner(checkpoint.model, RUNS, RUNS.stages[0], Material(val, val), first_epoch=0, workers=0)
    learner.eval()
    clips = ValidationClips(val, None, range(3))
    with torch.no_grad():
        for index in range(3):
            learner.validation_step(clips[index], index)
    assert learner.tally["val"].loss / 3 == pytest.approx(best["val_loss"], abs=1e-5)
    last = read_document(unbroken["runs"] / LAST)["state_dict"]
    kept = load_checkpoint(unbroken["runs"] / LAST).model.state_dict()
    assert torch.equal(kept["project.bias"], last["average.project.bias"])
    assert not torch.equal(kept["project.bias"], last["model.project.bias"])


def test_one_cycle_rises_and_falls_within_the_epochs(unbroken: dict[str, Path]) -> None:
    # 3 steps an epoch, rates as each epoch begins.
    rates = [row["lr"] for row in metrics(unbroken["runs"])["epochs"]]
    assert rates == pytest.approx([0.25e-3, 1e-3, 0.5e-3])


def test_runs_learn(data: Path, tmp_path: Path) -> None:
    recipe = timed(
        Stage("all", 8, 2e-3), span=12, ema=0.5, batch_size=3, optimizer="adamw", lstm_layers=1,
        draws_per_clip=2,
    )  # fmt: skip
    run(data, tmp_path / "run", recipe)
    rows = metrics(tmp_path / "run")["epochs"]
    assert rows[-1]["train_loss"] < 0.6 * rows[0]["train_loss"]


# --- trouble


@pytest.mark.parametrize("stage", [Stage("head", 4, 1e30), Stage("all", 4, 1e30)])
def test_loss_that_is_no_number_ends_the_run_and_spoils_nothing(
    data: Path, tmp_path: Path, stage: Stage
) -> None:
    message = refusal(data, tmp_path / "run", tiny(stage, batch_size=9))
    assert "the loss became" in message and "epoch 1" in message and "lower --lr" in message
    assert not (tmp_path / "run" / LAST).exists() and not (tmp_path / "run" / BEST).exists()


def break_at(monkeypatch: pytest.MonkeyPatch, count: int, error: BaseException) -> None:
    """Let the `count`-th training step fail."""
    calls = [0]
    real = Learner.training_step

    def step(self: Learner, batch: Any, batch_idx: int) -> Any:
        calls[0] += 1
        if calls[0] == count:
            raise error
        return real(self, batch, batch_idx)

    monkeypatch.setattr(Learner, "training_step", step)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory"),
        MemoryError(),
    ],
)
def test_out_of_memory_is_said_and_leaves_the_epochs_before(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    recipe = tiny(Stage("head", 2, 1e-3))  # 9 clips in batches of 4: 3 steps
    break_at(monkeypatch, 5, error)
    message = refusal(data, tmp_path / "run", recipe)
    assert message.startswith("out of memory; last.pth is intact") and "--batch-size" in message
    assert load_checkpoint(tmp_path / "run" / LAST).metrics["epoch"] == 1
    monkeypatch.undo()
    run(data, tmp_path / "run", recipe, resume=True)
    assert len(metrics(tmp_path / "run")["epochs"]) == 2


def test_other_faults_are_not_taken_for_a_lack_of_memory(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_at(monkeypatch, 1, RuntimeError("shapes differ"))
    with pytest.raises(RuntimeError, match="shapes differ"):
        run(data, tmp_path / "run", tiny())


def test_interrupted_run_says_how_to_go_on(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = signal.getsignal(signal.SIGINT)
    break_at(monkeypatch, 5, KeyboardInterrupt())
    try:
        message = refusal(data, tmp_path / "run", tiny())
    finally:
        signal.signal(signal.SIGINT, handler)
    assert "interrupted after 1 whole epochs; continue with --resume" in message
    assert load_checkpoint(tmp_path / "run" / LAST).metrics["epoch"] == 1


def test_full_disk_is_said_and_leaves_the_epoch_before(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = fit_module.L.Trainer.save_checkpoint
    calls = [0]

    def full(self: Any, path: Path, *args: Any, **options: Any) -> None:
        calls[0] += 1
        if calls[0] == 2:
            Path(path).write_bytes(b"half")
            raise OSError(28, "No space left on device")
        real(self, path, *args, **options)

    monkeypatch.setattr(fit_module.L.Trainer, "save_checkpoint", full)
    message = refusal(data, tmp_path / "run", tiny())
    assert "No space left on device" in message and "last.pth" in message
    assert load_checkpoint(tmp_path / "run" / LAST).metrics["epoch"] == 1
    assert not list((tmp_path / "run").glob(".*"))


@pytest.mark.parametrize("workers", [0, 1])
def test_damaged_frame_is_named_in_one_line(tmp_path: Path, workers: int) -> None:
    manifest = make_data(tmp_path / "data")
    row = manifest.select("train")[1]
    manifest.frame_path(row, 10).write_bytes(b"torn")
    with pytest.raises(DataError, match=r"000011\.jpg: frame is missing or damaged") as refused:
        run(manifest.root, tmp_path / "run", timed(Stage("all", 1, 1e-3), batch_size=20), workers=workers)
    assert "\n" not in str(refused.value)


def test_workers_change_nothing(data: Path, tmp_path: Path) -> None:
    for workers in (0, 2):
        recipe = timed(Stage("all", 1, 1e-3), augment=True, batch_size=20, max_bag=1)
        run(data, tmp_path / str(workers), recipe, workers=workers)
    assert metrics(tmp_path / "0")["epochs"] == metrics(tmp_path / "2")["epochs"]


@pytest.mark.parametrize(
    ("specs", "says"),
    [
        ([], "holds no clips"),
        ([ClipSpec("jam", "train", "a")], "no clips"),
        ([ClipSpec("jam", "val", "a")], "no clips"),
    ],
)
def test_data_set_without_a_side_is_refused(tmp_path: Path, specs: list[ClipSpec], says: str) -> None:
    root = tmp_path / "data"
    root.mkdir()
    assert says in refusal(make_data(root, specs).root, tmp_path / "run", tiny())


def test_folder_that_is_no_data_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="jikimi prepare"):
        run(tmp_path, tmp_path / "run", tiny())


def test_encoder_that_cannot_train_a_later_stage_is_refused_before_the_first(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(_encoder: nn.Module) -> Any:
        raise TrainError("no stages that can be told apart")

    monkeypatch.setattr(fit_module, "last_stage", none)
    assert "no stages" in refusal(data, tmp_path / "run", staged())
    assert not (tmp_path / "run" / "metrics.json").exists()


def test_device_that_the_machine_lacks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(TrainError, match=r"--device cuda: .*--device auto"):
        devices.check_device("cuda")
    devices.check_device("auto")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert devices.torch_device("auto") == torch.device("cpu")


# --- two processes


def torchrun(data: Path, out: Path, *options: str) -> "subprocess.Popen[str]":
    """`jikimi train` in two processes on the CPU."""
    command = [
        sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "0",
        "--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0",
        "-m", "jikimi", "train", str(data), "--out", str(out), "--weights", "none", "--backbone", BACKBONE,
        "--epochs", "4", "--batch-size", "3", "--lr", "1e-3", "--device", "cpu", *options,
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


def descendants(pid: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(status.parent.name))
    found = list(children.get(pid, []))
    for child in found:
        found += children.get(child, [])
    return found


def test_two_processes_killed_and_resumed_do_as_one_does(data: Path, tmp_path: Path) -> None:
    alone, together = tmp_path / "alone", tmp_path / "together"
    recipe = with_options(baseline(weights="none", backbone=BACKBONE), epochs=4, lr=1e-3, batch_size=3)
    run(data, alone, recipe)

    first = torchrun(data, together)
    assert first.stdout is not None
    while not (together / "metrics.json").exists():
        assert first.poll() is None, first.communicate()[1]
        time.sleep(0.02)
    for pid in [first.pid, *descendants(first.pid)]:
        os.kill(pid, signal.SIGKILL)
    said, _ = first.communicate()
    assert said.count("epoch   1/4") == 1
    assert (together / LAST).is_file() and not metrics(together)["done"]

    output, errors = torchrun(data, together, "--resume").communicate(timeout=200)
    assert "Traceback" not in errors, errors
    assert output.count("epoch   4/4") == 1 and output.count("best epoch") == 1
    rows, wanted = metrics(together)["epochs"], metrics(alone)["epochs"]
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4] and metrics(together)["done"]
    for row, other in zip(rows, wanted, strict=True):
        # Three clips to validate on, in two processes: one counted twice would show in both figures.
        for figure in ("train_loss", "val_loss", "train_accuracy", "val_accuracy"):
            assert row[figure] == pytest.approx(other[figure], abs=2e-4), figure
    for key, value in weights_of(together / LAST).items():
        np.testing.assert_allclose(value, weights_of(alone / LAST)[key], atol=1e-3)
