"""An incident's heat map, from the video that was kept: what the model saw when it opened, and where."""

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

import numpy as np
from PIL import Image as PillowImage

from jikimi.bundle import Bundle, load_bundle
from jikimi.errors import NotFoundError
from jikimi.frame import Image
from jikimi.settings import Mask, Zone
from jikimi.video import frames_until
from jikimi.watch.occlusion import HeatMap, heat_map, painted, shares
from jikimi.watch.regions import Regions

# As stills are: it is looked at closely.
_QUALITY = 90


@dataclass(frozen=True, slots=True)
class Scene:
    """What to explain: a behaviour in one view (a zone, or all of the picture) at a moment of a video."""

    video: Path
    moment_s: float
    behavior: str
    zone: str = ""
    zones: tuple[Zone, ...] = ()
    masks: tuple[Mask, ...] = ()


@dataclass(slots=True)
class Explainer:
    """Explains with the bundle that watches, loaded when it is first asked for, on one core. Thread-safe."""

    bundle: Callable[[], Path]
    _loaded: tuple[Path, Bundle] | None = field(default=None, init=False)
    _lock: Lock = field(default_factory=Lock, init=False)

    def explain(self, scene: Scene) -> tuple[Image, HeatMap]:
        """The deciding picture with the map over it, uint8 RGB (H, W, 3), and the map.

        Raises:
            NotFoundError: the zone or the behaviour is not known any more.
            VideoError: the video does not show that moment.
            BundleError, InferenceError: the bundle cannot be run.
        """
        path = self.bundle()
        with self._lock:
            if self._loaded is None or self._loaded[0] != path:
                self._loaded = path, load_bundle(path, threads=1)
            bundle = self._loaded[1]
        return explain(bundle, scene)


def explain(bundle: Bundle, scene: Scene) -> tuple[Image, HeatMap]:
    """As `Explainer.explain`, with a bundle."""
    card = bundle.card
    regions = Regions(scene.zones if scene.zone else (), scene.masks)  # zones may have been drawn since
    if scene.zone not in regions.names:
        raise NotFoundError(f"zone {scene.zone!r}: the camera has none of that name any more")
    if scene.behavior not in card.keys:
        raise NotFoundError(f"behaviour {scene.behavior!r}: model {card.name!r} does not know it")
    pictures = frames_until(
        scene.video,
        scene.moment_s,
        count=card.window + card.preprocess.history,
        rate_hz=card.rate_hz,
        short_side_px=card.short_side_px,
    )
    views = [regions.views(picture)[scene.zone] for picture in pictures]
    run_NHWC = np.stack([card.preprocess.fit(view) for view in views])
    found = heat_map(bundle, run_NHWC, scene.behavior, inner=_inner(bundle, views[-1]))
    shown = regions.shown(pictures[-1]).copy()
    place = regions.place(scene.zone, shown)
    shown[place] = painted(shown[place], shares(found.drops))
    return shown, found


def _inner(bundle: Bundle, view_HWC: Image) -> tuple[slice, slice]:
    """Where a view lies between the bars of its fitted picture."""
    size = bundle.card.preprocess
    height, width = size.inner(*view_HWC.shape[:2])
    top, left = (size.height_px - height) // 2, (size.width_px - width) // 2
    return slice(top, top + height), slice(left, left + width)


def as_jpeg(image_HWC: Image) -> bytes:
    """A picture, uint8 RGB (H, W, 3) → JPEG."""
    data = io.BytesIO()
    PillowImage.fromarray(image_HWC).save(data, "JPEG", quality=_QUALITY)
    return data.getvalue()
