"""Zones and masks: what the model is shown, and what people are."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from jikimi.frame import Image
from jikimi.settings import Mask, Point, Zone
from jikimi.watch.regions import _HIDDEN, WHOLE, Regions

LEFT = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))
ALL = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))

shares = st.floats(0, 1)


def encloses(polygon: tuple[Point, ...]) -> bool:
    """Whether the settings would take it."""
    try:
        Mask(polygon=polygon)
    except ValidationError:
        return False
    return True


polygons = st.lists(st.tuples(shares, shares), min_size=3, max_size=8).map(tuple).filter(encloses)
sizes = st.tuples(st.integers(16, 120), st.integers(16, 120))


def picture(height: int, width: int, value: int = 200) -> Image:
    return np.full((height, width, 3), value, np.uint8)


def test_camera_without_zones_is_one_view_untouched() -> None:
    image = picture(48, 72)
    regions = Regions()
    assert regions.names == (WHOLE,)
    assert regions.views(image)[WHOLE] is image and regions.shown(image) is image


def test_ignored_part_is_hidden_from_the_model_and_shown_to_people() -> None:
    regions = Regions(masks=[Mask(polygon=LEFT)])
    image = picture(40, 60)
    seen = regions.views(image)[WHOLE]
    assert (seen[:, :29] == _HIDDEN).all() and (seen[:, 32:] == 200).all()
    assert (regions.shown(image) == 200).all() and (image == 200).all()


def test_blackened_part_is_hidden_from_both() -> None:
    regions = Regions(masks=[Mask(polygon=LEFT, kind="blacken")])
    image = picture(40, 60)
    assert (regions.shown(image)[:, :29] == 0).all() and (regions.shown(image)[:, 32:] == 200).all()
    assert (regions.views(image)[WHOLE][:, :29] == _HIDDEN).all()


def test_mask_reaches_into_zones() -> None:
    regions = Regions([Zone(name="all", polygon=ALL)], [Mask(polygon=LEFT)])
    (view,) = regions.views(picture(40, 60)).values()
    assert (view[:, :29] == _HIDDEN).all() and (view[2:-2, 32:-2] == 200).all()


def test_zone_is_cropped_with_a_margin() -> None:
    zone = Zone(name="belt", polygon=((0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75)))
    (view,) = Regions([zone]).views(picture(100, 200)).values()
    assert view.shape == (60, 120, 3)
    assert (view[10:-10, 10:-10] == 200).all()


def test_size_that_changes_is_drawn_anew() -> None:
    regions = Regions([Zone(name="belt", polygon=LEFT)], [Mask(polygon=LEFT, kind="blacken")])
    for height, width in ((40, 60), (80, 120), (40, 60)):
        (view,) = regions.views(picture(height, width)).values()
        assert view.shape[0] == height and view.shape[1] == pytest.approx(width * 0.55, abs=1)
        assert regions.shown(picture(height, width)).shape == (height, width, 3)


def test_grey_pictures_of_two_readers_at_once_do_not_get_mixed() -> None:
    """A reader that was left behind may still hold a picture of another size."""
    regions = Regions([Zone(name="belt", polygon=LEFT)], [Mask(polygon=ALL, kind="blacken")])
    errors: list[Exception] = []

    def look(height: int, width: int) -> None:
        try:
            for _ in range(300):
                assert regions.shown(picture(height, width)).max() == 0
                assert regions.views(picture(height, width))["belt"].shape[0] == height
        except Exception as error:  # noqa: BLE001 - told below, in the test's own thread
            errors.append(error)

    threads = [threading.Thread(target=look, args=size) for size in ((40, 60), (64, 96))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors


@settings(deadline=None)
@given(polygons, sizes)
def test_any_zone_is_a_view_within_the_picture(polygon: tuple[Point, ...], size: tuple[int, int]) -> None:
    height, width = size
    image = picture(height, width)
    (view,) = Regions([Zone(name="belt", polygon=polygon)]).views(image).values()
    assert 16 <= view.shape[0] <= height and 16 <= view.shape[1] <= width
    assert view.shape[2] == 3 and (image == 200).all()
    middle = np.all(view == 200, axis=2) | np.all(view == _HIDDEN, axis=2)
    assert middle.all()


@settings(deadline=None)
@given(polygons, sizes)
def test_corners_of_a_blackened_part_are_black(polygon: tuple[Point, ...], size: tuple[int, int]) -> None:
    height, width = size
    shown = Regions(masks=[Mask(polygon=polygon, kind="blacken")]).shown(picture(height, width))
    for x, y in polygon:
        assert shown[round(y * (height - 1)), round(x * (width - 1))].max() == 0


@settings(deadline=None)
@given(st.lists(polygons, max_size=3), sizes)
def test_what_people_see_is_the_picture_or_black(
    masks: list[tuple[Point, ...]], size: tuple[int, int]
) -> None:
    image = picture(*size)
    shown = Regions(masks=[Mask(polygon=polygon, kind="blacken") for polygon in masks]).shown(image)
    assert shown.shape == image.shape and set(np.unique(shown)) <= {0, 200}
