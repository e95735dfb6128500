"""Where people are: the boxes of a clip follow the picture through every augmentation, into cells."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from jikimi.behaviors import BEHAVIORS
from jikimi.clip import EventSpan
from jikimi.data.manifest import ManifestRow
from jikimi.errors import DataError, TrainError
from jikimi.preprocess import Preprocess
from jikimi.train.cells import CellLSTM
from jikimi.train.film import film
from jikimi.train.located import N_JOINTS, create_map, joint_loss, place_loss
from jikimi.train.places import Geometry, Places, boxes_of, places_of
from prepared import Take, write_prepared

MOTION = Preprocess(96, 128, inputs="motion", lags=(1, 4))
GRID, CELL_PX, HIT, NORMAL, NOTHING = (6, 8), 16, 3, 5, 6


def row_with(folder: Path, truth: dict[str, Any] | None, *, event: EventSpan | None = None) -> ManifestRow:
    take = Take("clip", "hit" if event else "no-accident", "train", event=event)
    row = write_prepared(folder / "data", [take]).rows[0]
    (folder / "hit").mkdir()
    if truth is not None:
        (folder / "truth").mkdir()
        (folder / "truth" / "clip.json").write_text(json.dumps(truth))
    return replace(
        row, source=str(folder / "hit" / "clip.mp4"), extra=json.dumps({"truth": "truth/clip.json"})
    )


def truth_of(*, victim: str | None, seconds: float = 4.0) -> dict[str, Any]:
    """Two people of a picture of 160×120 px, one left and one right, at 10 pictures a second."""
    people = {
        "w0": {"box": [20, 20, 40, 80], "joints": [[20 + k, 20 + 5 * k] for k in range(N_JOINTS)]},
        "w2": {"box": [120, 60, 140, 108], "joints": [[130, 60 + 4 * k] for k in range(N_JOINTS)]},
    }
    pictures = [{"t_s": k / 10, "workers": people} for k in range(round(seconds * 10))]
    return {"size_px": [160, 120], "victim": victim, "pictures": pictures}


def places(row: ManifestRow, frames: list[int]) -> Places:
    geometry = Geometry.fitted(MOTION, height=120, width=160)
    return places_of(row, np.array(frames), geometry, grid=GRID, cell_px=CELL_PX, label=HIT, normal=NORMAL,
                     nothing=NOTHING)  # fmt: skip


def cells(row: ManifestRow, frames: list[int]) -> np.ndarray:
    return places(row, frames).cells_NHW


def test_boxes_become_cells_and_the_victim_shows_the_accident_while_it_lasts(tmp_path: Path) -> None:
    row = row_with(tmp_path, truth_of(victim="w2"), event=EventSpan(1.0, 2.0))
    before, during, after = cells(row, [2, 12, 30])
    assert set(before[during == HIT]) == {NORMAL} == set(after[during == HIT])
    # w0 spans (16, 16) to (32, 64) px of the input, w2 (96, 48) to (112, 86).
    assert np.argwhere(before == NORMAL).tolist() == [[1, 1], [2, 1], [3, 1], [3, 6], [4, 6]]
    assert np.argwhere(during == HIT).tolist() == [[3, 6], [4, 6]]
    assert (during == NOTHING).sum() == 48 - 5


def test_cells_know_whose_they_are_and_where_the_joints_of_it_lie(tmp_path: Path) -> None:
    found = places(row_with(tmp_path, truth_of(victim="w2"), event=EventSpan(1.0, 2.0)), [2])
    assert np.argwhere(found.victim_NHW[0]).tolist() == [[3, 6], [4, 6]]
    x, y = found.joints_NJHW[0].reshape(2, N_JOINTS, *GRID)
    assert np.isnan(x[:, 0, 0]).all() and np.isfinite(x[:, 4, 6]).all()
    # The first joint of w2 is at (130, 60) of 160x120, so at (104, 48) px: column 6, the upper edge of row 3.
    np.testing.assert_allclose((x[0, 3, 6], y[0, 3, 6], y[0, 4, 6]), (0.0, -0.5, -1.5), atol=1e-6)


def test_nobody_is_a_victim_in_a_normal_clip(tmp_path: Path) -> None:
    found = cells(row_with(tmp_path, truth_of(victim=None)), [0, 31])
    assert set(np.unique(found)) == {NORMAL, NOTHING}


def test_clip_without_boxes_says_nothing_and_a_lost_truth_is_told(tmp_path: Path) -> None:
    manifest = write_prepared(tmp_path / "data", [Take("plain")])
    assert boxes_of(manifest.rows[0]) is None and (cells(manifest.rows[0], [0]) == -1).all()
    with pytest.raises(DataError, match="is missing"):
        boxes_of(row_with(tmp_path, None))
    (tmp_path / "truth").mkdir()
    (tmp_path / "truth" / "clip.json").write_text("{torn")
    lost = replace(
        manifest.rows[0], source=str(tmp_path / "hit" / "clip.mp4"), extra='{"truth": "truth/clip.json"}'
    )
    with pytest.raises(DataError, match="damaged"):
        boxes_of(lost)


@pytest.mark.parametrize("size", [(120, 160), (90, 160)])
def test_geometry_follows_the_picture_through_augmentation(size: tuple[int, int]) -> None:
    height, width = size
    frames = np.full((3, height, width, 1), 90, np.uint8)
    frames[:, 50:58, 100:108] = 255  # a bright mark about (104, 54)
    share = np.array([104 / width, 54 / height] * 2)
    found = 0
    for seed in range(60):
        run, geometry = film(frames, MOTION, np.random.default_rng(seed))
        x, y = geometry.apply(share)[:2]
        picture = run[1, ..., 0].astype(float)
        bright = np.argwhere(picture > picture.max() - 0.3 * (picture.max() - np.median(picture)))
        inside = 6 < x < 122 and 6 < y < 90
        spread = bright.std(axis=0).max() if len(bright) else 99
        if inside and picture.max() - np.median(picture) > 60 and spread < 4:
            row, column = bright.mean(axis=0)
            assert abs(column + 0.5 - x) < 3.5 and abs(row + 0.5 - y) < 3.5, seed
            found += 1
    assert found > 20


def test_cells_learn_what_happens_where_and_another_grid_is_refused() -> None:
    torch.manual_seed(0)
    model = cell_lstm(grid=GRID)
    pictures = torch.zeros(8, 1, 3, *(CELL_PX * side for side in GRID))
    truth = torch.full((8, *GRID), NOTHING)
    for place in range(8):
        pictures[place, :, :, 32:48, place * 16 : place * 16 + 16] = 3.0
        truth[place, 2, place] = HIT
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(60):
        optimizer.zero_grad()
        features, _, _ = model.guided(pictures.flatten(0, 1))
        logits = model.look(model.remember(features.view(8, 1, -1))[:, -1])
        place_loss(logits, truth, normal=NORMAL).backward()
        optimizer.step()
    assert (logits.argmax(1) == truth).float().mean() > 0.97
    assert (model(pictures).argmax(1) == HIT).all(), "the picture is what its clearest cell is"
    unknown = torch.full((8, *GRID), -1)
    assert place_loss(logits, unknown, normal=NORMAL).item() == 0
    with pytest.raises(TrainError, match="cells"):
        place_loss(logits, unknown[:, :3], normal=NORMAL)


def cell_lstm(*, grid: tuple[int, int]) -> CellLSTM:
    return CellLSTM(
        "compact", n_classes=len(BEHAVIORS), normal=NORMAL, grid=grid, depth=3, dropout=0.0, head="lstm",
        cell_dim=8, hidden_dim=12, lstm_layers=1, fc_dim=16,
    )  # fmt: skip


def test_each_cell_remembers_for_itself() -> None:
    model = cell_lstm(grid=(2, 3)).eval()
    features = torch.randn(1, 5, 8, 2, 3)
    said = model.remember(features.flatten(2))
    changed = features.clone()
    changed[:, :3, :, 1, 2] += 1.0
    differs = (model.remember(changed.flatten(2)) != said).any(2)[0]
    assert said.shape == (1, 5, 12, 2, 3)
    assert differs[:, 1, 2].all() and differs.sum() == 5, "and no cell knows of another before the classifier"


def test_a_quiet_picture_is_normal_and_a_loud_cell_is_not() -> None:
    model = cell_lstm(grid=(2, 3))
    cells_ = torch.zeros(2, len(BEHAVIORS) + 1, 2, 3)
    cells_[:, NOTHING] = 5.0
    cells_[1, HIT, 0, 1] = 9.0
    quiet, loud = model.pool(cells_)
    assert quiet.argmax() == NORMAL and quiet[NORMAL] == 0
    assert loud.argmax() == HIT


def test_joints_are_learned_only_where_somebody_is() -> None:
    found = torch.zeros(1, 2, 1, 2)
    assert joint_loss(found, torch.full((1, 2, 1, 2), torch.nan)).item() == 0
    known = torch.tensor([[[[2.0, torch.nan]], [[0.0, torch.nan]]]])
    assert joint_loss(found, known).item() == pytest.approx(0.75)  # smooth L1: (1.5 + 0) / 2


def test_any_encoder_with_a_map_can_be_read_by_cells_and_an_unknown_one_is_refused() -> None:
    encoder = create_map("test_resnet", depth=5)
    assert encoder(torch.zeros(2, 5, 64, 96)).shape[:2] == (2, encoder.num_features)
    with pytest.raises(TrainError, match="did you mean"):
        create_map("test_resnetty", depth=3)
