"""Truth of every picture: a box and the joints of each worker, in pixels of the picture."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from jikimi.sim.body import LANDMARKS
from jikimi.sim.folder import write_text
from jikimi.sim.lens import distort_points
from jikimi.sim.look import CameraLook
from jikimi.sim.render import Projection
from jikimi.sim.stage import Stage

# A body reaches about this far beyond its joints, in m.
_GIRTH_M = 0.1


@dataclass(slots=True)
class Witness:
    """Notes where everybody is, picture by picture."""

    projection: Projection
    look: CameraLook
    pictures: list[dict[str, object]] = field(default_factory=list)

    def note(self, stage: Stage, t_s: float) -> None:
        """Note one picture."""
        people = {
            worker.name: person
            for worker in stage.workers.values()
            if stage.on_stage(worker) and (person := self._person(stage.landmarks(worker))) is not None
        }
        self.pictures.append({"t_s": round(t_s, 4), "workers": people})

    def _person(self, marks_L3: np.ndarray) -> dict[str, list[object]] | None:
        pixels = self.projection(marks_L3)
        if np.isnan(pixels).any():
            return None
        around = np.concatenate([marks_L3 + offset for offset in np.eye(3) * _GIRTH_M])
        around = np.concatenate([around, marks_L3 - (0, 0, _GIRTH_M)])
        outline = distort_points(self.look, self.projection(around))
        size = np.array([self.look.width_px, self.look.height_px])
        box = np.concatenate([outline.min(axis=0), outline.max(axis=0)])
        clipped = np.clip(box, 0, np.concatenate([size, size]))
        if (clipped[2:] - clipped[:2] < 1).any():
            return None
        joints = distort_points(self.look, pixels)
        return {"box": np.round(clipped, 1).tolist(), "joints": np.round(joints, 1).tolist()}


def write_truth(path: Path, witness: Witness, *, camera: str, seed: int, victim: str | None) -> None:
    """Write the notes as one JSON file; `victim` is the worker whom the accident happens to."""
    look = witness.look
    document = {
        "camera": camera,
        "seed": seed,
        "size_px": [look.width_px, look.height_px],
        "victim": victim,
        "joints": list(LANDMARKS),
        "pictures": witness.pictures,
    }
    write_text(path, json.dumps(document, separators=(",", ":")))
