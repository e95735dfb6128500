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
from jikimi.train.film import film
from jikimi.train.located import Located, place_loss
from jikimi.train.places import Geometry, boxes_of, cells_of
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
    people = {"w0": {"box": [20, 20, 40, 80]}, "w2": {"box": [120, 60, 140, 108]}}
    pictures = [{"t_s": k / 10, "workers": people} for k in range(round(seconds * 10))]
    return {"size_px": [160, 120], "victim": victim, "pictures": pictures}


def cells(row: ManifestRow, frames: list[int]) -> np.ndarray:
    geometry = Geometry.fitted(MOTION, height=120, width=160)
    return cells_of(row, np.array(frames), geometry, grid=GRID, cell_px=CELL_PX, label=HIT, normal=NORMAL,
                    nothing=NOTHING)  # fmt: skip


def test_boxes_become_cells_and_the_victim_shows_the_accident_while_it_lasts(tmp_path: Path) -> None:
    row = row_with(tmp_path, truth_of(victim="w2"), event=EventSpan(1.0, 2.0))
    before, during, after = cells(row, [2, 12, 30])
    assert set(before[during == HIT]) == {NORMAL} == set(after[during == HIT])
    # w0 spans (16, 16) to (32, 64) px of the input, w2 (96, 48) to (112, 86).
    assert np.argwhere(before == NORMAL).tolist() == [[1, 1], [2, 1], [3, 1], [3, 6], [4, 6]]
    assert np.argwhere(during == HIT).tolist() == [[3, 6], [4, 6]]
    assert (during == NOTHING).sum() == 48 - 5


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


def test_located_encoder_learns_a_place_and_refuses_another_grid() -> None:
    torch.manual_seed(0)
    encoder = Located("compact", depth=3, n_classes=len(BEHAVIORS))
    pictures = torch.zeros(8, 3, 96, 128)
    truth = torch.full((8, *GRID), NOTHING)
    for place in range(8):
        pictures[place, :, 32:48, place * 16 : place * 16 + 16] = 3.0
        truth[place, 2, place] = HIT
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=3e-3)
    for _ in range(60):
        optimizer.zero_grad()
        vectors, logits = encoder.look(pictures)
        place_loss(logits, truth, normal=NORMAL).backward()
        optimizer.step()
    assert vectors.shape == (8, encoder.num_features)
    assert (logits.argmax(1) == truth).float().mean() > 0.97
    unknown = torch.full((8, *GRID), -1)
    assert place_loss(logits, unknown, normal=NORMAL).item() == 0
    with pytest.raises(TrainError, match="cells"):
        place_loss(logits, unknown[:, :3], normal=NORMAL)


def test_any_encoder_with_a_map_can_be_located_and_one_without_is_refused() -> None:
    encoder = Located("test_resnet", depth=5, n_classes=6)
    assert encoder(torch.zeros(2, 5, 64, 96)).shape == (2, encoder.num_features)
    with pytest.raises(TrainError, match="gives no map"):
        Located("test_resnetty", depth=3, n_classes=6)
