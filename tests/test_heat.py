"""Where a model looked: the colour bundle, which knows what is yellow, looks where the yellow is."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bundles import COLOURS, GREEN, GREY, YELLOW, make_bundle
from jikimi.bundle import Bundle, load_bundle
from jikimi.errors import BundleError, InferenceError, NotFoundError, VideoError
from jikimi.frame import Floats, Image
from jikimi.settings import Mask, Zone
from jikimi.video import frames_until
from jikimi.watch.heat import Explainer, Scene, as_jpeg, explain
from jikimi.watch.occlusion import (
    BUDGET_S,
    GRIDS,
    LEAST_DROP,
    cells,
    choose_grid,
    heat_map,
    painted,
    shares,
    window_score,
)
from videos import Draw, write_video

HEIGHT, WIDTH = COLOURS.height_px, COLOURS.width_px
WHOLE = slice(0, HEIGHT), slice(0, WIDTH)
FPS = 16


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("bundle") / "colours.jikimi")


@pytest.fixture(scope="module")
def bundle(path: Path) -> Bundle:
    return load_bundle(path, threads=1)


def run(rows: slice, columns: slice, *, colour: tuple[int, int, int] = YELLOW, frames: int = 8) -> Image:
    """Fitted pictures that are grey but for one part, uint8 (frames, H, W, 3)."""
    pictures = np.empty((frames, HEIGHT, WIDTH, 3), np.uint8)
    pictures[:] = GREY
    pictures[:, rows, columns] = colour
    return pictures


def ticks(step_s: float) -> Iterator[float]:
    """A clock that goes on by `step_s` each time it is asked."""
    now_s = 0.0
    while True:
        yield now_s
        now_s += step_s


@pytest.mark.parametrize(
    ("rows", "columns"),
    [(slice(0, 16), slice(0, 24)), (slice(16, 32), slice(24, 48)), (slice(8, 24), slice(36, 48))],
)
@pytest.mark.parametrize("window_s", [0.01, 0.3, 60.0])
def test_heat_lies_where_the_yellow_is(bundle: Bundle, rows: slice, columns: slice, window_s: float) -> None:
    clock = ticks(window_s)
    found = heat_map(bundle, run(rows, columns), "fall-down", inner=WHOLE, clock=lambda: next(clock))
    yellow = np.zeros((HEIGHT, WIDTH), bool)
    yellow[rows, columns] = True
    share = [yellow[cell].mean() for cell in cells(WHOLE, found.drops.shape)]
    drops = found.drops.ravel()
    assert drops[np.array(share) == 0].max(initial=0) < 0.1 * drops.max()
    assert drops.max() > 0.01 and share[int(drops.argmax())] > 0.5
    assert found.drops.size * window_s <= BUDGET_S or found.drops.shape == (3, 4)


def test_what_speaks_against_a_behaviour_is_no_heat(bundle: Bundle) -> None:
    pictures = run(slice(0, 32), slice(0, 24))
    pictures[:, :, 24:] = GREEN
    found = heat_map(bundle, pictures, "fall-down", inner=WHOLE, clock=lambda: 0.0)
    left, right = found.drops[:, :5], found.drops[:, 6:]
    assert left.min() > 0 > right.max()
    assert shares(found.drops)[:, 6:].max() == 0 and shares(found.drops).max() == 1


def test_hiding_leaves_the_pictures_as_they_were(bundle: Bundle) -> None:
    pictures = run(slice(0, 16), slice(0, 24))
    before = pictures.copy()
    found = heat_map(bundle, pictures, "fall-down", inner=WHOLE)
    assert (pictures == before).all() and found.score == window_score(bundle, before, "fall-down")


def test_bars_of_a_tall_picture_are_not_searched(bundle: Bundle) -> None:
    inner = slice(0, 32), slice(15, 33)
    clock = ticks(0.0)
    found = heat_map(bundle, run(slice(0, 16), inner[1]), "fall-down", inner=inner, clock=lambda: next(clock))
    assert found.drops.shape == (11, 8)
    assert found.drops[:5].min() > 0 and abs(found.drops[6:]).max() < 1e-3


def test_motion_counts_too_and_what_came_before_is_hidden_with_it(tmp_path: Path) -> None:
    motion = replace(COLOURS, inputs="motion", lags=(1, 2))
    moving = load_bundle(make_bundle(tmp_path / "m.jikimi", preprocess=motion), threads=1)
    pictures = np.full((10, 32, 48, 1), moving.card.preprocess.bar, np.uint8)
    for k, picture in enumerate(pictures):
        picture[:16, :24] = 10 + 24 * k  # grows brighter in one corner
    best = max(moving.card.keys[:-1], key=lambda key: window_score(moving, pictures, key))
    found = heat_map(moving, pictures, best, inner=WHOLE, clock=lambda: 0.0)
    assert abs(found.drops[:4, :5]).max() > 10 * abs(found.drops[5:, 7:]).max()


@pytest.mark.parametrize(
    ("window_s", "height", "width", "grid"),
    [
        (0.0, 9, 16, (8, 11)),
        (BUDGET_S / 88, 9, 16, (8, 11)),
        (BUDGET_S / 87, 9, 16, (6, 8)),
        (BUDGET_S / 47, 16, 9, (6, 4)),
        (1.0, 9, 9, (3, 4)),
        (100.0, 16, 9, (4, 3)),
    ],
)
def test_grid_is_the_finest_that_is_scored_in_time(
    window_s: float, height: int, width: int, grid: tuple[int, int]
) -> None:
    assert choose_grid(window_s, height=height, width=width) == grid


@pytest.mark.parametrize("grid", GRIDS)
def test_cells_cover_the_picture_once(grid: tuple[int, int]) -> None:
    inner = slice(3, 28), slice(5, 44)
    covered = np.zeros((HEIGHT, WIDTH), int)
    for cell in cells(inner, grid):
        covered[cell] += 1
    assert (covered[inner] == 1).all() and covered.sum() == 25 * 39


def test_a_picture_in_which_nothing_matters_stays_as_it_is() -> None:
    picture = np.random.default_rng(0).integers(0, 255, (30, 40, 3), np.uint8)
    drops = np.full((3, 4), -0.3, np.float32)
    assert (painted(picture, shares(drops)) == picture).all()
    assert shares(np.full((3, 4), LEAST_DROP / 10, np.float32)).max() == pytest.approx(0.1)


def test_heat_is_red_where_it_is_hot_and_nothing_elsewhere() -> None:
    picture = np.full((60, 80, 3), 120, np.uint8)
    heat = np.zeros((3, 4), np.float32)
    heat[0, 3] = 1.0
    shown = painted(picture, heat).astype(int)
    assert shown[5, 75, 0] > 160 and shown[5, 75, 1] < 80
    assert (shown[30:, :40] == 120).all()


def yellow_from(frame: int, rows: slice, columns: slice) -> Draw:
    def draw(index: int, width: int, height: int) -> Image:
        image = np.empty((height, width, 3), np.uint8)
        image[:] = GREY
        if index >= frame:
            image[rows, columns] = YELLOW
        return image

    return draw


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds, the right upper quarter yellow from the second one on."""
    draw = yellow_from(2 * FPS, slice(0, 48), slice(72, 144))
    return write_video(
        tmp_path_factory.mktemp("film") / "v.mp4", seconds=4, fps=FPS, size=(144, 96), draw=draw
    )


def hot(picture_HWC: Image) -> tuple[slice, slice]:
    """Quarter of a picture that is reddest."""
    redness = picture_HWC[..., 0].astype(int) - picture_HWC[..., 1]
    height, width = redness.shape
    quarters = [
        (rows, columns)
        for rows in (slice(0, height // 2), slice(height // 2, None))
        for columns in (slice(0, width // 2), slice(width // 2, None))
    ]
    return max(quarters, key=lambda quarter: float(redness[quarter].mean()))


def test_video_is_explained_at_its_moment(bundle: Bundle, film: Path) -> None:
    shown, found = explain(bundle, Scene(film, 3.5, "fall-down"))
    assert shown.shape == (48, 72, 3) and hot(shown) == (slice(0, 24), slice(36, None))
    assert found.drops.max() > 0.05
    before, nothing = explain(bundle, Scene(film, 1.5, "fall-down"))
    assert nothing.score < found.score and nothing.drops.max() < 0.01
    assert abs(before.astype(int) - np.array(GREY)).max() < 20
    assert as_jpeg(shown)[:2] == b"\xff\xd8"


def test_zone_is_explained_within_its_own_part(bundle: Bundle, film: Path) -> None:
    zones = (
        Zone(name="left", polygon=((0, 0), (0.4, 0), (0.4, 1), (0, 1))),
        Zone(name="right", polygon=((0.6, 0), (1, 0), (1, 1), (0.6, 1))),
    )
    shown, found = explain(bundle, Scene(film, 3.5, "fall-down", zone="right", zones=zones))
    assert found.drops.shape[0] > found.drops.shape[1]
    half = len(found.drops) // 2
    assert found.drops[:half].max() > 10 * abs(found.drops[half + 1 :]).max()
    assert hot(shown) == (slice(0, 24), slice(36, None))
    _, whole = explain(bundle, Scene(film, 3.5, "fall-down", zones=zones))  # they were drawn since
    assert whole.drops.shape[0] < whole.drops.shape[1] and whole.score != found.score
    _, left = explain(bundle, Scene(film, 3.5, "fall-down", zone="left", zones=zones))
    assert left.score < 0.1


def test_masked_part_is_hidden_from_the_model_and_blackened_for_people(bundle: Bundle, film: Path) -> None:
    masks = (Mask(polygon=((0.4, 0), (1, 0), (1, 0.6), (0.4, 0.6)), kind="blacken"),)
    shown, found = explain(bundle, Scene(film, 3.5, "fall-down", masks=masks))
    assert found.score < 0.1 and shown[:20, 40:].max() < 40


@pytest.mark.parametrize(
    ("scene", "words"),
    [({"zone": "door"}, "zone 'door'"), ({"behavior": "dance"}, "behaviour 'dance'")],
)
def test_what_is_not_known_any_more_is_told(
    bundle: Bundle, film: Path, scene: dict[str, str], words: str
) -> None:
    with pytest.raises(NotFoundError, match=words):
        explain(bundle, Scene(film, 3.0, **{"behavior": "fall-down"} | scene))


def test_bundle_is_loaded_when_it_is_needed(tmp_path: Path, path: Path, film: Path) -> None:
    late = Explainer(lambda: tmp_path / "late.jikimi")
    with pytest.raises(BundleError):
        late.explain(Scene(film, 3.0, "fall-down"))
    late.bundle().write_bytes(path.read_bytes())
    assert late.explain(Scene(film, 3.5, "fall-down"))[1].score > 0.1
    late.bundle().unlink()
    assert late.explain(Scene(film, 3.5, "fall-down"))[1].score > 0.1


def test_model_that_fails_says_so(bundle: Bundle) -> None:
    class Broken:
        card = bundle.card

        def encode(self, pictures_NCHW: Floats) -> Floats:
            raise RuntimeError("no memory")

        def classify(self, windows_NTD: Floats) -> Floats:
            return windows_NTD

    with pytest.raises(InferenceError, match="no memory"):
        window_score(Broken(), run(*WHOLE), "fall-down")


def numbered(index: int, width: int, height: int) -> Image:
    image = np.zeros((height, width, 3), np.uint8)
    image[:, 4 * index : 4 * index + 4] = 255
    return image


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures in which the place of a bar says which they are."""
    folder = tmp_path_factory.mktemp("counted")
    return write_video(folder / "v.mp4", seconds=4, fps=FPS, size=(256, 64), draw=numbered, gop=FPS)


def numbers(path: Path, moment_s: float, count: int) -> list[int]:
    images = frames_until(path, moment_s, count=count, rate_hz=8.0, short_side_px=64)
    return [int(image.sum((0, 2)).argmax()) // 4 for image in images]


def test_pictures_before_a_moment_lie_on_its_own_grid(counted: Path) -> None:
    assert numbers(counted, 3.0, 8) == [34, 36, 38, 40, 42, 44, 46, 48]
    assert numbers(counted, 2.95, 3) == [44, 46, 48]  # the first picture at or after each


def test_before_the_first_picture_there_is_only_that_one(counted: Path) -> None:
    assert numbers(counted, 0.25, 5) == [0, 0, 0, 2, 4]


def test_moment_just_after_the_end_is_shown_by_the_last_picture(counted: Path) -> None:
    assert numbers(counted, 4.2, 4) == [62, 63, 63, 63]


@pytest.mark.parametrize("moment_s", [4.6, 1000.0])
def test_moment_that_a_video_does_not_show_is_refused(counted: Path, moment_s: float) -> None:
    with pytest.raises(VideoError, match="no picture at"):
        numbers(counted, moment_s, 4)


def test_what_is_no_video_is_refused(tmp_path: Path) -> None:
    (tmp_path / "v.mp4").write_bytes(bytes(range(256)) * 64)
    with pytest.raises(VideoError):
        numbers(tmp_path / "v.mp4", 1.0, 4)
