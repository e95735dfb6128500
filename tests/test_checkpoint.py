"""`best.pth` and `last.pth`: whole, or refused in one line."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from jikimi.errors import TrainError
from jikimi.train.checkpoint import (
    BEST,
    LAST,
    Origin,
    TorchScorer,
    load_checkpoint,
    read_document,
    save_best,
    write_atomically,
)
from jikimi.train.model import CNNLSTM
from test_weights import TEXTS, Bomb
from train_data import BACKBONE, LABELS, timed

ORIGIN = Origin(timed(), LABELS, rate_hz=8.0, short_side_px=64, training={"data": "somewhere", "digest": "d"})


@pytest.fixture
def model() -> CNNLSTM:
    torch.manual_seed(0)
    return CNNLSTM(BACKBONE, n_classes=3).eval()


@pytest.fixture
def path(tmp_path: Path, model: CNNLSTM) -> Path:
    save_best(tmp_path / BEST, ORIGIN, model, {"epoch": 4, "val_accuracy": 0.5})
    return tmp_path / BEST


def refusal(path: Path) -> str:
    with pytest.raises(TrainError) as refused:
        load_checkpoint(path)
    message = str(refused.value)
    assert str(path) in message and "\n" not in message
    return message


def test_checkpoint_is_complete_in_itself(path: Path, model: CNNLSTM) -> None:
    found = load_checkpoint(path)
    assert found.origin == ORIGIN and found.metrics == {"epoch": 4, "val_accuracy": 0.5}
    frames = torch.randn(1, 8, 3, 32, 48)
    with torch.no_grad():
        torch.testing.assert_close(found.model(frames), model(frames))
    assert not any(module.training for module in found.model.modules())


def test_last_of_a_frozen_encoder_takes_it_from_best(path: Path, model: CNNLSTM) -> None:
    state = {f"model.{key}": value for key, value in model.state_dict().items() if "encoder" not in key}
    state["model.fc.0.bias"] = torch.ones_like(model.fc[0].bias)  # type: ignore[arg-type]
    torch.save({"jikimi": ORIGIN.as_dict(), "state_dict": state}, path.with_name(LAST))
    found = load_checkpoint(path.with_name(LAST)).model.state_dict()
    encoder = {key: value for key, value in model.state_dict().items() if key.startswith("encoder.")}
    assert all(torch.equal(found[key], value) for key, value in encoder.items())
    assert (found["fc.0.bias"] == 1).all()


def test_card_names_the_data_and_not_where_it_lay() -> None:
    training = {"data": "/home/me/clips", "start": {"data": "/home/me/before", "digest": "e"}}
    card = Origin(timed(), LABELS, rate_hz=8.0, short_side_px=64, training=training).card(
        name="x", metrics={}
    )
    assert card.training == {"data": "clips", "start": {"data": "before", "digest": "e"}}
    assert training["data"] == "/home/me/clips"


def test_scorer_gives_the_models_own_answers(path: Path, model: CNNLSTM) -> None:
    scorer = TorchScorer(load_checkpoint(path))
    pictures = np.random.default_rng(0).normal(size=(8, 3, 32, 48)).astype(np.float32)
    logits = scorer.classify(scorer.encode(pictures)[None])
    with torch.no_grad():
        expected = model(torch.from_numpy(pictures)[None]).numpy()
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, expected, atol=1e-5)


def test_card_says_what_the_recipe_says(path: Path) -> None:
    card = TorchScorer(load_checkpoint(path)).card
    assert (card.window, card.warm_up, card.sampling, card.rate_hz) == (8, 4, "timed", 8.0)
    assert card.keys == ("bump", "jam", "no-accident") and card.temperature == 1.0
    assert (card.preprocess.height_px, card.preprocess.width_px) == (32, 48)
    assert card.training == ORIGIN.training and set(card.rule.theta_on) == {"bump", "jam"}


@pytest.mark.parametrize("content", TEXTS)
def test_file_that_is_no_checkpoint_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / BEST).write_bytes(content)
    assert "checkpoint" in refusal(tmp_path / BEST)


@pytest.mark.parametrize("cut", [1, 100, 10_000])
def test_torn_checkpoint_is_refused(path: Path, cut: int) -> None:
    path.write_bytes(path.read_bytes()[:-cut])
    assert "damaged" in refusal(path)


def test_code_in_a_checkpoint_is_never_run(tmp_path: Path) -> None:
    torch.save({"jikimi": Bomb(tmp_path / "ran")}, tmp_path / BEST)
    refusal(tmp_path / BEST)
    (tmp_path / "old.pth").write_bytes(pickle.dumps({"jikimi": Bomb(tmp_path / "ran")}))
    refusal(tmp_path / "old.pth")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({"state_dict": {}}, "not made by Jikimi"),
        ([1, 2], "not made by Jikimi"),
        ({"jikimi": {"format": 2}}, "format 2, this Jikimi reads 1"),
        ({"jikimi": {"format": 1}}, "does not fit this version"),
        ({"jikimi": {**ORIGIN.as_dict(), "recipe": {"name": "x"}}, "model": {}}, "does not fit this version"),
        ({"jikimi": ORIGIN.as_dict(), "model": {}}, "does not fit this version"),
        ({"jikimi": ORIGIN.as_dict()}, "does not fit this version"),
    ],
)
def test_foreign_checkpoint_is_refused_by_what_is_wrong(tmp_path: Path, document: Any, says: str) -> None:
    torch.save(document, tmp_path / BEST)
    assert says in refusal(tmp_path / BEST)


def test_missing_checkpoint_and_folder_are_refused(tmp_path: Path) -> None:
    assert "No such file" in refusal(tmp_path / BEST)
    assert "directory" in refusal(tmp_path)


def test_write_that_fails_leaves_the_former_file(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_text("former")

    def full(path: Path) -> None:
        path.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(TrainError, match="No space left"):
        write_atomically(target, full)
    assert target.read_text() == "former" and list(tmp_path.iterdir()) == [target]


def test_interrupted_write_leaves_the_former_file(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_text("former")

    def interrupted(path: Path) -> None:
        path.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(target, interrupted)
    assert target.read_text() == "former" and list(tmp_path.iterdir()) == [target]


def test_document_keeps_what_resuming_needs(path: Path) -> None:
    assert set(read_document(path)) == {"jikimi", "model"}
