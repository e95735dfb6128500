"""Where people are: boxes that simulated clips carry, as cells of the encoder's map."""

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from jikimi.data.manifest import ManifestRow
from jikimi.errors import DataError
from jikimi.preprocess import Preprocess
from jikimi.sampling import TICK_SLACK_S, Indices
from jikimi.train.located import N_JOINTS

Floats = npt.NDArray[np.float64]
Cells = npt.NDArray[np.int64]

# The victim's place shows the accident from when it can be seen until well after it: a fall of 0.4 s too.
SEEN_AFTER_S, LINGERS_S, AT_LEAST_S = 0.15, 0.3, 1.5


@dataclass(frozen=True, slots=True)
class Boxes:
    """Boxes and joints of everybody in a clip, in shares of the picture; NaN where unseen.

    Boxes (T, P, 4) are left, top, right, bottom, joints (T, P, J, 2) x and y. `victim` is the person
    whom the accident happens to, None where there is none.
    """

    boxes_TP4: Floats
    joints_TPJ2: Floats
    victim: int | None


class Places(NamedTuple):
    """What a run shows, cell by cell of the encoder's map.

    `cells_NHW` int64: a class, `nothing`, or -1 where it is not known; `victim_NHW` bool: whose cell it is;
    `joints_NJHW` float32 (N, 2 J, h, w): x and y of the joints of whom it shows, in cells from its middle,
    NaN where it shows nobody.
    """

    cells_NHW: Cells
    victim_NHW: npt.NDArray[np.bool_]
    joints_NJHW: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Geometry:
    """Where shares of a picture are in network input: `start + share * size`, x and y; mirrored: size < 0."""

    start_x: float
    size_x: float
    start_y: float
    size_y: float

    @classmethod
    def fitted(cls, preprocess: Preprocess, *, height: int, width: int) -> "Geometry":
        """As `Preprocess.fit` puts a picture of this size."""
        inner_h, inner_w = preprocess.inner(height, width)
        left, top = (preprocess.width_px - inner_w) // 2, (preprocess.height_px - inner_h) // 2
        return cls(left, inner_w, top, inner_h)

    def apply(self, boxes: Floats) -> Floats:
        """Boxes (…, 4) in shares → pixels of the input."""
        x = self.start_x + boxes[..., [0, 2]] * self.size_x
        y = self.start_y + boxes[..., [1, 3]] * self.size_y
        return np.stack([x.min(-1), y.min(-1), x.max(-1), y.max(-1)], axis=-1)

    def points(self, points: Floats) -> Floats:
        """Points (…, 2), x and y in shares → pixels of the input."""
        return points * [self.size_x, self.size_y] + [self.start_x, self.start_y]


def boxes_of(row: ManifestRow) -> Boxes | None:
    """The boxes of a clip, or None where it carries none.

    Raises:
        DataError: it names a truth that is missing or damaged.
    """
    return _read(row.source, row.extra, row.n_frames, row.rate_hz)


def is_simulated(row: ManifestRow) -> bool:
    """Whether a clip comes from the simulator, as its truth tells."""
    return bool(json.loads(row.extra).get("truth"))


def is_mined(row: ManifestRow) -> bool:
    """Whether a clip was cut from a longer recording because a model was wrong there, as `mine` notes."""
    return bool(json.loads(row.extra).get("mined"))


@lru_cache(maxsize=50_000)
def _read(source: str, extra: str, n_frames: int, rate_hz: float) -> Boxes | None:
    name = json.loads(extra).get("truth")
    if not name:
        return None
    path = next((p / name for p in Path(source).parents if (p / name).is_file()), None)
    if path is None:
        raise DataError(f"{source}: its truth {name} is missing; simulate and prepare it again")
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        pictures, size = document["pictures"], np.array(document["size_px"] * 2, dtype=float)
        times = np.array([picture["t_s"] for picture in pictures])
        names = sorted({person for picture in pictures for person in picture["workers"]})
        found = np.full((n_frames, len(names), 4), np.nan)
        joints = np.full((n_frames, len(names), N_JOINTS, 2), np.nan)
        for frame in range(n_frames):
            place = min(len(times) - 1, int(np.searchsorted(times, frame / rate_hz - TICK_SLACK_S)))
            for person, seen in pictures[place]["workers"].items():
                found[frame, names.index(person)] = np.array(seen["box"]) / size
                joints[frame, names.index(person)] = np.array(seen["joints"]) / size[:2]
        victim = document["victim"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: is damaged ({error}); simulate and prepare it again") from error
    return Boxes(found, joints, names.index(victim) if victim in names else None)


def places_of(
    row: ManifestRow, frames_N: Indices, geometry: Geometry, *, grid: tuple[int, int], cell_px: int,
    label: int, normal: int, nothing: int,
) -> Places:  # fmt: skip
    """What each cell of the map shows in some frames of a clip."""
    count = len(frames_N)
    places = Places(
        np.full((count, *grid), nothing, dtype=np.int64),
        np.zeros((count, *grid), dtype=bool),
        np.full((count, 2 * N_JOINTS, *grid), np.nan, dtype=np.float32),
    )
    known = boxes_of(row)
    if known is None:
        places.cells_NHW[:] = -1
        return places
    boxes = geometry.apply(known.boxes_TP4[frames_N])
    joints = geometry.points(known.joints_TPJ2[frames_N]) / cell_px - 0.5
    people = [p for p in range(boxes.shape[1]) if p != known.victim]
    for place, frame in enumerate(frames_N.tolist()):
        for person in [*people, *([] if known.victim is None else [known.victim])]:
            if np.isnan(boxes[place, person]).any():
                continue
            rows, columns = (np.array(side) for side in _covered(boxes[place, person], grid, cell_px))
            if not len(rows):
                continue
            at = np.ix_(rows, columns)
            its = person == known.victim
            places.victim_NHW[place][at] = its
            places.cells_NHW[place][at] = label if its and _shows(row, frame) else normal
            x, y = (joints[place, person, :, axis][:, None, None] for axis in (0, 1))
            x, y = np.broadcast_arrays(x - columns[None, None, :], y - rows[None, :, None])
            places.joints_NJHW[place][:, rows[:, None], columns] = np.concatenate([x, y])
    return places


def _shows(row: ManifestRow, frame: int) -> bool:
    event = row.event
    if event is None:
        return False
    t_s = (frame + 1) / row.rate_hz
    return event.start_s + SEEN_AFTER_S <= t_s <= max(event.end_s + LINGERS_S, event.start_s + AT_LEAST_S)


def _covered(box: Floats, grid: tuple[int, int], cell_px: int) -> tuple[list[int], list[int]]:
    """Rows and columns whose middle a box covers, or the nearest; none where it lies outside."""
    sides = []
    for low, high, count in ((box[1], box[3], grid[0]), (box[0], box[2], grid[1])):
        if high < 0 or low > count * cell_px:
            return [], []
        middles = (np.arange(count) + 0.5) * cell_px
        inside = np.flatnonzero((middles >= low) & (middles <= high)).tolist()
        nearest = int(np.clip((low + high) / 2 // cell_px, 0, count - 1))
        sides.append(inside or [nearest])
    return sides[0], sides[1]
