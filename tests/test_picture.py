"""Clean renders become camera pictures: repeatable, of the right kind, and with points that follow."""

from dataclasses import replace

import numpy as np
import pytest

from jikimi.frame import Image
from jikimi.sim.look import CameraLook, Light, Mode
from jikimi.sim.picture import Picture, PictureState, distort_points, draw_look

SEEDS = range(400)


def first_look(mode: Mode) -> CameraLook:
    return next(look for look in map(look_of, SEEDS) if look.mode == mode)


def look_of(seed: int) -> CameraLook:
    return draw_look(np.random.default_rng(seed))


def grey_render(look: CameraLook, level: int = 110) -> Image:
    width, height = look.render_size_px
    return np.full((height, width, 3), level, np.uint8)


def coloured_render(look: CameraLook) -> Image:
    render = grey_render(look)
    render[: len(render) // 2] = (200, 60, 30)
    return render


def film(look: CameraLook, render: Image, *, pictures: int = 6, seed: int = 1) -> list[Image]:
    camera, state, shown = Picture(look, seed=seed), PictureState(), []
    for index in range(pictures):
        image, state = camera.develop(render, state, t_s=index / look.stream.fps)
        shown.append(image)
    return shown


def steady(light: Light) -> Light:
    """The same light without what moves or hides a dot."""
    return replace(light, flicker_share=0.0, glare_levels=0.0)


@pytest.mark.parametrize("mode", ["day", "night", "ir"])
def test_same_seed_gives_same_bytes(mode: Mode) -> None:
    look = first_look(mode)
    once, again = film(look, coloured_render(look)), film(look, coloured_render(look))
    assert [image.tobytes() for image in once] == [image.tobytes() for image in again]
    assert once[-1].tobytes() != film(look, coloured_render(look), seed=2)[-1].tobytes()


def test_a_state_can_be_taken_up_again() -> None:
    look = first_look("night")
    camera, render = Picture(look, seed=3), coloured_render(look)
    _, state = camera.develop(render, PictureState(), t_s=0.0)
    wanted, _ = camera.develop(render, state, t_s=0.1)
    camera.develop(grey_render(look, 250), state, t_s=0.1)
    assert np.array_equal(camera.develop(render, state, t_s=0.1)[0], wanted)


def test_same_seed_draws_same_look() -> None:
    assert look_of(7) == look_of(7) != look_of(8)


def test_looks_cover_modes_and_both_shapes() -> None:
    looks = [look_of(seed) for seed in SEEDS]
    assert {look.mode for look in looks} == {"day", "night", "ir"}
    assert {look.stream.fps for look in looks} == {8, 10, 15}
    wide = sum(look.width_px * 9 == look.height_px * 16 for look in looks) / len(looks)
    assert 0.4 < wide < 0.6
    assert all(40 <= look.stream.bit_rate_kbps <= 1400 for look in looks)


@pytest.mark.parametrize("seed", range(12))
def test_picture_has_the_looks_size(seed: int) -> None:
    look = look_of(seed)
    image = film(look, grey_render(look), pictures=1)[0]
    assert image.shape == (look.height_px, look.width_px, 3)
    assert image.dtype == np.uint8


def test_ir_picture_is_grey_and_darker_in_the_corners() -> None:
    look = replace(first_look("ir"), caption=None)
    image = film(replace(look, light=steady(look.light)), coloured_render(look))[-1]
    assert np.ptp(image, axis=2).max() == 0
    even = film(replace(look, light=steady(look.light)), grey_render(look))[-1].astype(float)
    height, width = even.shape[:2]
    middle = even[height // 2 - 20 : height // 2 + 20, width // 2 - 20 : width // 2 + 20].mean()
    assert even[:20, :20].mean() < 0.8 * middle


def test_night_is_noisier_than_day() -> None:
    def noise(mode: Mode) -> float:
        looks = [look for look in map(look_of, range(60)) if look.mode == mode][:8]
        return float(np.median([np.std(film(look, grey_render(look)), axis=0).mean() for look in looks]))

    assert noise("night") > 1.5 * noise("day")


def test_people_can_be_seen_in_most_night_pictures() -> None:
    looks = [look for look in map(look_of, range(120)) if look.mode == "night"]
    means = [film(look, grey_render(look))[-1].mean() for look in looks]
    assert np.quantile(means, 0.1) > 35
    assert np.median(means) < 110


@pytest.mark.parametrize("k1", [0.0, 0.1, 0.35])
@pytest.mark.parametrize("share", [(0.5, 0.5), (0.2, 0.3), (0.9, 0.8), (0.5, 0.85), (0.04, 0.06)])
def test_a_bright_dot_is_where_its_point_says(k1: float, share: tuple[float, float]) -> None:
    look = first_look("day")
    look = replace(look, lens=replace(look.lens, k1=k1), light=steady(look.light), caption=None)
    width, height = look.render_size_px
    x, y = round(share[0] * width), round(share[1] * height)
    render = grey_render(look, 40)
    render[y - 2 : y + 2, x - 2 : x + 2] = 255
    light = film(look, render)[-1].astype(float).sum(axis=2)
    light = np.clip(light - np.median(light) - 0.3 * (light.max() - np.median(light)), 0, None)
    rows, columns = np.indices(light.shape) + 0.5
    found = np.array([(columns * light).sum(), (rows * light).sum()]) / light.sum()
    assert np.hypot(*(found - distort_points(look, (x, y)))) < 1.5


def test_distortion_keeps_centre_and_corners_and_undoes_the_warp() -> None:
    look = first_look("day")
    for k1 in (0.0, 0.2, 0.4, 1.0):
        bent = replace(look, lens=replace(look.lens, k1=k1))
        size = np.array(bent.render_size_px)
        shown = distort_points(bent, [(0, 0), size / 2, size])
        wanted = [(0, 0), (look.width_px / 2, look.height_px / 2), (look.width_px, look.height_px)]
        assert np.allclose(shown, wanted, atol=1e-3)
        ring = np.linspace(0, 1, 50)[:, None] * size / 2
        radius = np.linalg.norm(
            (distort_points(bent, size / 2 + ring) / wanted[2] * 2) - 1, axis=1
        ) / np.sqrt(2)
        assert np.allclose(radius * (1 + k1 * radius**2) / (1 + k1), np.linspace(0, 1, 50), atol=1e-5)


def test_a_lost_picture_shows_the_one_before() -> None:
    look = first_look("day")
    look = replace(look, stream=replace(look.stream, drop_probability=1.0))
    shown = film(look, grey_render(look), pictures=3)
    assert shown[1] is shown[0]
    assert shown[2] is shown[0]


def test_glaring_edges_do_not_wrap_round() -> None:
    look = first_look("day")
    sensor = replace(look.sensor, linger_share=0.35, sharpening=0.9, noise_levels=8.0)
    bright = replace(look.light, exposure_gain=3.0, saturation=1.1, contrast=1.0, glare_levels=120.0)
    stream = replace(look.stream, drop_probability=0.0)
    look = replace(look, sensor=sensor, light=bright, stream=stream, caption=None)
    camera, state, means = Picture(look, seed=0), PictureState(), []
    stripes = grey_render(look, 0)
    stripes[:, ::16] = stripes[:, 1::16] = stripes[:, 2::16] = stripes[:, 3::16] = (255, 255, 0)
    for index, render in enumerate((grey_render(look, 255), stripes, stripes, stripes)):
        image, state = camera.develop(render, state, t_s=index / 100)
        means.append(float(image[..., 1].mean()))
    assert means[0] > 240
    assert means[0] > means[1] > means[2] > means[3]


def test_clock_changes_once_a_second() -> None:
    look = next(look for look in map(look_of, SEEDS) if look.caption is not None)
    dark = replace(look.light, exposure_gain=0.0, glare_levels=0.0)
    quiet = replace(look.sensor, noise_levels=0.0, pattern_levels=0.0)
    look = replace(look, light=dark, sensor=quiet, stream=replace(look.stream, drop_probability=0.0))
    camera, state, shown = Picture(look, seed=0), PictureState(), []
    for t_s in (0.0, 0.9, 1.1):
        image, state = camera.develop(grey_render(look), state, t_s=t_s)
        shown.append(image)
    assert np.array_equal(shown[0], shown[1])
    assert not np.array_equal(shown[1], shown[2])


def test_exposure_follows_the_scene_slowly() -> None:
    look = first_look("day")
    look = replace(look, light=steady(look.light), stream=replace(look.stream, drop_probability=0.0))
    camera, state = Picture(look, seed=0), PictureState()
    means = []
    for index in range(100):
        image, state = camera.develop(grey_render(look, 110 if index < 5 else 60), state, t_s=index / 10)
        means.append(float(image.mean()))
    assert means[8] < means[-1] < means[4]


def test_wrong_render_is_refused() -> None:
    look = first_look("day")
    with pytest.raises(ValueError, match="render is uint8"):
        Picture(look, seed=0).develop(grey_render(look)[:-1], PictureState(), t_s=0.0)


def test_impossible_looks_are_refused() -> None:
    look = first_look("day")
    with pytest.raises(ValueError, match="even sides"):
        replace(look, width_px=321)
    with pytest.raises(ValueError, match="k1"):
        replace(look, lens=replace(look.lens, k1=-0.1))
    with pytest.raises(ValueError, match="linger_share"):
        replace(look, sensor=replace(look.sensor, linger_share=0.5))
