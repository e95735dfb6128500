"""Which clips show the same scene: a small picture of each clip's background, and how alike two are."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage

from jikimi.frame import Floats, Image

# Size of a background picture: what is left of a room when people are too small to matter.
WIDTH_PX, HEIGHT_PX = 32, 18

# Two backgrounds at least this alike are one scene. Measured (docs/decisions.md, "same scene"): a camera that
# never moved gives 0.66 and more, different real scenes reach 0.33, made-up rooms of plain blocks 0.56.
SAME_SCENE = 0.6

# Grey levels of contrast under which a picture shows nothing to compare: dark, covered or blank.
MIN_CONTRAST = 2.0

# Rows compared at once: 256 × 20,000 similarities are 20 MB.
_CHUNK = 256


def thumbnail(image_HWC: Image) -> Image:
    """Shrink a picture to grey, uint8 (H, W, 3) → uint8 (HEIGHT_PX, WIDTH_PX)."""
    grey = PillowImage.fromarray(image_HWC).resize((WIDTH_PX, HEIGHT_PX), PillowImage.Resampling.BOX)
    return np.asarray(grey.convert("L"), dtype=np.uint8)


def background(thumbnails: Sequence[Image]) -> bytes:
    """Median over time of thumbnails, as HEIGHT_PX × WIDTH_PX bytes: what stands still is kept."""
    median = np.median(np.stack(thumbnails), axis=0).astype(np.uint8)
    return bytes(median.data)


def signatures(backgrounds: Sequence[bytes]) -> Floats:
    """Backgrounds → unit vectors, float32 (N, D), whose products tell how alike two scenes are, −1 to 1.

    The mean of two correlations, of grey levels and of steps between neighbouring pixels: rooms lit from
    above agree in levels, plain ones by chance in steps, different ones hardly in both. A background
    without contrast becomes zeros, like nothing else.
    """
    raw = np.frombuffer(b"".join(backgrounds), dtype=np.uint8).astype(np.float32)
    grey_NHW = raw.reshape(len(backgrounds), HEIGHT_PX, WIDTH_PX)
    levels, steps = _units(grey_NHW.reshape(len(backgrounds), -1)), _units(_steps(grey_NHW))
    both = np.concatenate([levels, steps], axis=1) * np.float32(0.5**0.5)
    both[grey_NHW.std(axis=(1, 2)) < MIN_CONTRAST] = 0
    return both


def _steps(grey_NHW: Floats) -> Floats:
    """Steps between neighbouring pixels, float32 (N, H, W) → (N, D), at most one standard deviation high.

    What a whole row or column has in common is taken out: else the black bars of two letterboxed films
    would make them one scene.
    """
    across, down = np.diff(grey_NHW, axis=2)[:, :-1], np.diff(grey_NHW, axis=1)[:, :, :-1]
    across = across - np.median(across, axis=1, keepdims=True)
    down = down - np.median(down, axis=2, keepdims=True)
    steps = np.concatenate([across, down], axis=1).reshape(len(grey_NHW), -1)
    limits = steps.std(axis=1, keepdims=True)
    return np.asarray(np.clip(steps, -limits, limits), dtype=np.float32)


def _units(rows_ND: Floats) -> Floats:
    """Rows less their mean, at length one: products become correlation coefficients."""
    rows = rows_ND - rows_ND.mean(axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6), dtype=np.float32)


def join_same_scene(
    groups: Sequence[str], backgrounds: Sequence[bytes], *, threshold: float = SAME_SCENE
) -> list[str]:
    """Join groups that share a scene: one name for each connected component, the first of its groups'.

    Two groups are connected when a clip of one has a background like a clip of the other.
    """
    if not groups:
        return []
    names, component = np.unique(np.array(groups), return_inverse=True)
    component = component.astype(np.int64)
    units = signatures(backgrounds)
    for start in range(0, len(units), _CHUNK):
        alike_MN = units[start : start + _CHUNK] @ units.T >= threshold
        for row, alike_N in enumerate(alike_MN, start=start):
            _join(component, row, alike_N)
    # A component is numbered by its smallest group, and `names` are sorted: deterministic.
    return [str(names[index]) for index in component]


def _join(component: npt.NDArray[np.int64], row: int, alike_N: npt.NDArray[np.bool_]) -> None:
    touched = component[alike_N]
    if (touched == component[row]).all():
        return
    members = np.unique(np.append(touched, component[row]))
    component[np.isin(component, members)] = members[0]
