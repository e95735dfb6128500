"""A miniature of AI Hub 71679, as far as its shape is known: names, depths, labels with a byte order mark."""

import json
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from videos import moving_square, write_video

TITLE = "스마트 제조 시설 안전 감시를 위한 데이터"
SIX = ("bump", "fall-down", "fall-off", "hit", "jam", "no-accident")

Film = Callable[[Path, int], None]


def film(path: Path, seed: int) -> None:
    """A second of film; the seed picks its background, so its scene."""
    write_video(path, seconds=1.0, fps=30, size=(96, 54), draw=moving_square(seed))


def stub(path: Path, seed: int) -> None:
    """A file that only has a film's name, for tests that decode nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(f"no film {seed}".encode())


@dataclass(frozen=True)
class AihubTree:
    """Writes clips and labels where the data set has them. `form` is how Korean names are composed."""

    root: Path
    film: Film = film
    form: str = "NFC"
    thermal: str = "thermal"

    def _folder(self, tree: str, *parts: str) -> Path:
        path = self.root
        for part in (TITLE, "Sample", tree, *parts):
            path = path / unicodedata.normalize(self.form, part)
        return path

    def sources(self, *parts: str) -> Path:
        return self._folder("01.원천데이터", *parts)

    def labels(self, *parts: str) -> Path:
        return self._folder("02.라벨링데이터", *parts)

    def stem(self, behavior: str, recording: int, camera: int = 1, modality: str = "rgb") -> str:
        return f"human-accident_{behavior}_{modality}_{recording:04d}_cctv{camera}"

    def video(
        self, behavior: str, recording: int, *, camera: int = 1, modality: str = "rgb", seed: int = 0
    ) -> Path:
        folder = self.thermal if modality == "thermal" else modality
        stem = self.stem(behavior, recording, camera, modality)
        path = self.sources("human-accident", behavior, folder) / f"{stem}.mp4"
        self.film(path, seed)
        return path

    def frames(self, behavior: str, recording: int, *, count: int = 20, seed: int = 0) -> Path:
        stem = self.stem(behavior, recording)
        folder = self.sources("human-accident", behavior, "rgb") / stem
        folder.mkdir(parents=True)
        draw = moving_square(seed)
        for index in range(count):
            Image.fromarray(draw(index, 96, 54)).save(folder / f"{stem}_{index + 1}.png")
        return folder

    def label(self, behavior: str, stem: str, *, event: Any = None, **fields: Any) -> Path:
        document = {
            "meta_information": {
                "file_name": f"{stem}.mp4",
                "category": "human-accident",
                "event": behavior if event is None else event,
                "environment": "공장",
                **fields,
            },
            "object_information_human": {"id": "h0001", "gender": "male"},
            "object_information_facility": {"facility_name": "프레스"},
        }
        path = self.labels("human-accident", behavior, "rgb") / f"{stem}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8-sig")
        return path


def miniature(root: Path, *, film: Film = film, form: str = "NFC") -> AihubTree:
    """Six behaviours, four recordings each: labelled films, one as pictures, one seen by two cameras."""
    tree = AihubTree(root, film=film, form=form)
    for number, behavior in enumerate(SIX):
        for recording in range(1, 4):
            seed = 10 * number + recording
            tree.video(behavior, recording, seed=seed)
            tree.label(behavior, tree.stem(behavior, recording))
        tree.video(behavior, 1, camera=2, seed=100 + number)
        tree.frames(behavior, 4, seed=10 * number + 4)
        tree.label(behavior, tree.stem(behavior, 4), fps=20)
    tree.video("bump", 1, modality="thermal", seed=200)
    film(
        tree.sources("rule-violation", "no-helmet", "rgb") / "rule-violation_no-helmet_rgb_0001_cctv1.mp4", 1
    )
    return tree


def damage(path: Path, *, seed: int = 0) -> None:
    """Overwrite pieces in the middle of a film, as broken archives do: its head and tail stay."""
    content = bytearray(path.read_bytes())
    rng = np.random.default_rng(seed)
    for start in range(len(content) // 3, 2 * len(content) // 3, 200):
        content[start : start + 40] = rng.bytes(40)
    path.write_bytes(bytes(content))
