"""What of a picture is looked at: zones are cropped and scored as views of their own, masks hide parts."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage
from PIL import ImageDraw

from jikimi.frame import Image
from jikimi.preprocess import IMAGENET_MEAN
from jikimi.settings import Mask, Point, Zone

WHOLE = ""
"""The name of the view that is the whole picture."""

# What hides a masked part from the model: the colour of letterbox bars, which normalises to about zero.
_HIDDEN = tuple(round(255 * mean) for mean in IMAGENET_MEAN)

# A zone is cropped with this much around it (of its own size): people reach over its border.
_MARGIN = 0.1


@dataclass(frozen=True, slots=True)
class _Crop:
    """A zone on a picture of one size: rows and columns, and what lies outside the polygon within them."""

    rows: slice
    columns: slice
    outside: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Drawn:
    """Zones and masks on a picture of one size, bool (H, W) where something is hidden or blackened."""

    size: tuple[int, ...]
    hidden: npt.NDArray[np.bool_] | None
    black: npt.NDArray[np.bool_] | None
    crops: dict[str, _Crop]


@dataclass(slots=True)
class Regions:
    """Zones and masks of one camera, drawn once for each size of picture that comes.

    May be used by two threads at once: a reader that was left behind may still hold a picture.
    """

    zones: Sequence[Zone] = ()
    masks: Sequence[Mask] = ()
    _drawn: _Drawn | None = field(default=None, init=False)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the views: the zones, or the whole picture where there are none."""
        return tuple(zone.name for zone in self.zones) or (WHOLE,)

    def views(self, image_HWC: Image) -> dict[str, Image]:
        """Split a picture, uint8 (H, W, 3), into what the model is shown: view → uint8 (h, w, 3)."""
        drawn = self._draw(image_HWC.shape[:2])
        image_HWC = _filled(image_HWC, drawn.hidden, _HIDDEN)
        if not self.zones:
            return {WHOLE: image_HWC}
        return {name: self._cropped(image_HWC, crop) for name, crop in drawn.crops.items()}

    def shown(self, image_HWC: Image) -> Image:
        """The picture as people may see it, uint8 (H, W, 3): blackened where it must be."""
        return _filled(image_HWC, self._draw(image_HWC.shape[:2]).black, (0, 0, 0))

    def place(self, view: str, image_HWC: Image) -> tuple[slice, slice]:
        """Rows and columns of a picture that a view shows."""
        if view == WHOLE and not self.zones:
            return slice(0, image_HWC.shape[0]), slice(0, image_HWC.shape[1])
        crop = self._draw(image_HWC.shape[:2]).crops[view]
        return crop.rows, crop.columns

    @staticmethod
    def _cropped(image_HWC: Image, crop: _Crop) -> Image:
        return _filled(image_HWC[crop.rows, crop.columns], crop.outside, _HIDDEN)

    def _draw(self, size: tuple[int, ...]) -> _Drawn:
        drawn = self._drawn
        if drawn is None or drawn.size != size:
            height, width = size
            drawn = self._drawn = _Drawn(
                size,
                hidden=_union([mask.polygon for mask in self.masks], height, width),
                black=_union([m.polygon for m in self.masks if m.kind == "blacken"], height, width),
                crops={zone.name: _crop(zone, height, width) for zone in self.zones},
            )
        return drawn


def _filled(image_HWC: Image, where: npt.NDArray[np.bool_] | None, colour: tuple[int, ...]) -> Image:
    if where is None or not where.any():
        return image_HWC
    image_HWC = image_HWC.copy()
    image_HWC[where] = colour
    return image_HWC


def _union(polygons: Sequence[Sequence[Point]], height: int, width: int) -> npt.NDArray[np.bool_] | None:
    """The pixels inside any of the polygons, bool (H, W); None where there are no polygons."""
    if not polygons:
        return None
    canvas = PillowImage.new("1", (width, height))
    for polygon in polygons:
        corners = [(round(x * (width - 1)), round(y * (height - 1))) for x, y in polygon]
        ImageDraw.Draw(canvas).polygon(corners, fill=1)
    return np.asarray(canvas, dtype=np.bool_)


def _crop(zone: Zone, height: int, width: int) -> _Crop:
    xs, ys = [x for x, _ in zone.polygon], [y for _, y in zone.polygon]
    columns, rows = _span(min(xs), max(xs), width), _span(min(ys), max(ys), height)
    grown = [(_grown(x, xs), _grown(y, ys)) for x, y in zone.polygon]
    inside = _union([grown], height, width)
    assert inside is not None
    return _Crop(rows, columns, ~inside[rows, columns])


def _grown(value: float, values: Sequence[float]) -> float:
    """Move a corner outwards from the middle by the margin."""
    middle = (min(values) + max(values)) / 2
    return min(1.0, max(0.0, middle + (value - middle) * (1 + 2 * _MARGIN)))


def _span(low: float, high: float, size: int) -> slice:
    """Pixels from `low` to `high` (shares of `size`) with the margin; at least 16 of them."""
    margin = (high - low) * _MARGIN
    start = max(0, round((low - margin) * size))
    stop = min(size, max(round((high + margin) * size), start + 16))
    return slice(max(0, min(start, stop - 16)), stop)
