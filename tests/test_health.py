"""Picture health: every ailment is found in its time, and healthy cameras give nothing."""

import copy
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import pytest

from ailments import HARMLESS, ILL, Ailment, behind, blurred, light, lights_out, noise, shifted
from jikimi.errors import SettingsError
from jikimi.frame import Image
from jikimi.video import read_frames
from jikimi.watch.health import HealthChange, HealthMonitor, HealthSettings, Rule, is_torn
from videos import write_video

# A factory floor, a garage in infrared, offices and corridors, rooms with falls, a conveyor.
REAL = [
    "no-accident/intel__worker-zone-detection.gif",
    "no-accident/intel__store-aisle-detection.gif",
    "fall-down/gmdcsa24__S2_Fall_12.mp4",
    "no-accident/gmdcsa24__S3_ADL_18.mp4",
    "evaluation-only/no-accident/survfight__nofi133.mp4",
    "evaluation-only/no-accident/survfight__nofi063.mp4",
    "evaluation-only/no-accident/survfight__nofi125.mp4",
    "streams/intel__bottle-detection.mp4",
]


class Camera:
    """A camera on a clock of its own, two pictures a second."""

    def __init__(self, images: list[Image], settings: HealthSettings | None = None) -> None:
        self.images, self.t_s, self.stamp_s = images, 100.0, 7.0
        self.monitor = HealthMonitor("press-3", settings)
        self.said: list[HealthChange] = []

    def play(
        self,
        seconds: float,
        ail: Ailment = lambda image: image,
        *,
        sigma: float = 0.8,
        clock: float = 1.0,
        damaged: float = 0.0,
    ) -> list[tuple[str, bool, float]]:
        """Show so many seconds → (kind, begins, seconds from the start of these) of each change."""
        start_s, found = self.t_s, []
        for number, image in enumerate(islice(self._feed(), round(seconds * 2))):
            seen = ail(noise(image, sigma=sigma) if sigma else image)
            bad = int((number + 1) * damaged) > int(number * damaged)
            changes = self.monitor.update(seen, self.t_s, self.stamp_s, bad)
            self.said += changes
            found += [(c.kind, c.begins, c.t_s - start_s) for c in changes]
            self.t_s, self.stamp_s = self.t_s + 0.5, self.stamp_s + 0.5 * clock
        return found

    def branch(self) -> "Camera":
        """The same camera from here on, in another future."""
        return copy.deepcopy(self)

    def _feed(self) -> Iterator[Image]:
        return cycle(self.images + self.images[-2:0:-1])


def hall(index: int = 0) -> Image:
    """A hall with machines, and a person who walks."""
    rng = np.random.default_rng(5)
    image = np.full((144, 192, 3), 120, np.uint8)
    for _ in range(60):
        top, left = rng.integers(0, 130), rng.integers(0, 175)
        image[top : top + rng.integers(6, 40), left : left + rng.integers(6, 40)] = rng.integers(30, 220, 3)
    left = 10 + index * 11 % 160
    image[60:110, left : left + 16] = (200, 60, 40)
    return image


@pytest.fixture
def camera() -> Camera:
    """A healthy camera that was watched for a minute."""
    camera = Camera([hall(index) for index in range(12)])
    assert camera.play(60) == []
    return camera


@pytest.fixture(scope="module")
def real_cameras(real_clips: Path) -> dict[str, Camera]:
    """Healthy real cameras, watched for 40 s, that gave nothing."""
    cameras = {}
    for name in REAL:
        frames = read_frames(real_clips / name, rate_hz=2.0, short_side_px=144)
        cameras[name] = Camera([frame.image_HWC for frame in islice(frames, 60)])
        assert cameras[name].play(40) == [], name
    return cameras


# --- on real footage


@pytest.mark.parametrize("ailment", HARMLESS)
def test_real_footage_in_any_light_is_healthy(real_cameras: dict[str, Camera], ailment: str) -> None:
    for name, camera in real_cameras.items():
        assert camera.branch().play(20, HARMLESS[ailment]) == [], name


@pytest.mark.parametrize("ailment", ILL)
def test_ailments_are_found_on_real_footage_in_time(real_cameras: dict[str, Camera], ailment: str) -> None:
    kind, ail = ILL[ailment]
    within_s = {"dark": 6.0, "covered": 8.0, "out-of-focus": 14.0, "moved": 16.0}[kind]
    for name, camera in real_cameras.items():
        began = [(what, after_s) for what, begins, after_s in camera.branch().play(20, ail) if begins]
        assert [what for what, _ in began] == [kind], name
        assert began[0][1] <= within_s, name


def test_real_footage_that_freezes_is_found(real_cameras: dict[str, Camera]) -> None:
    for name, camera in real_cameras.items():
        still = camera.images[0]
        assert camera.branch().play(14, lambda _, still=still: still) == [("frozen", True, 10.5)], name


# --- frozen


def test_static_scene_with_the_noise_of_a_sensor_is_not_frozen(camera: Camera) -> None:
    camera.images = [hall()]
    assert camera.play(60) == []


def test_frozen_ends_when_pictures_differ_again(camera: Camera) -> None:
    camera.play(20, lambda _: hall())
    assert [(kind, begins) for kind, begins, _ in camera.play(10)] == [("frozen", False)]


def test_encoder_that_skips_a_still_scene_is_not_frozen(tmp_path: Path) -> None:
    """Without noise every picture but keyframes repeats the one before: 8 s of them, and life at each end."""
    source = write_video(
        tmp_path / "v.mp4", seconds=40, fps=4, size=(192, 144), gop=32, draw=lambda *_: hall()
    )
    images = [frame.image_HWC for frame in read_frames(source, rate_hz=2.0, short_side_px=144)]
    images = [noise(image, sigma=1, seed=number // 16) for number, image in enumerate(images)]
    camera = Camera(images)
    assert camera.play(39, sigma=0) == []
    assert ("frozen", True) in [change[:2] for change in camera.play(40, lambda _: images[0], sigma=0)]


def test_black_pictures_are_dark_and_not_frozen(camera: Camera) -> None:
    began = [kind for kind, begins, _ in camera.play(40, lambda image: image * np.uint8(0)) if begins]
    assert began == ["dark"]


# --- what the picture shows


def test_ailments_end_when_the_picture_is_well_again(camera: Camera) -> None:
    for kind, ail in (
        ("dark", lights_out),
        ("covered", behind),
        ("out-of-focus", lambda image: blurred(image, share=0.015)),
        ("moved", lambda image: shifted(image, share=0.06)),
    ):
        assert [change[:2] for change in camera.play(16, ail)] == [(kind, True)]
        assert [change[:2] for change in camera.play(16)] == [(kind, False)]
    assert camera.monitor.ailments == frozenset()


@pytest.mark.parametrize("ail", [lights_out, behind, lambda image: shifted(image, share=0.1)])
def test_what_passes_in_three_seconds_is_no_ailment(camera: Camera, ail: Ailment) -> None:
    for _ in range(4):
        assert camera.play(3, ail) == [] and camera.play(10) == []


def test_people_and_machines_that_fill_a_third_of_the_view_are_no_move(camera: Camera) -> None:
    def forklift(image: Image) -> Image:
        busy = image.copy()
        busy[30:140, 20:90] = hall(3)[10:120, 100:170]
        return busy

    assert camera.play(60, forklift) == []


def test_accepted_view_is_learned_and_the_old_one_is_a_move(camera: Camera) -> None:
    def turned_away(image: Image) -> Image:
        return shifted(image, share=0.2)

    camera.play(20, turned_away)
    assert camera.monitor.ailments == {"moved"}
    camera.monitor.relearn()
    assert [change[:2] for change in camera.play(40, turned_away)] == [("moved", False)]
    assert [change[:2] for change in camera.play(20)] == [("moved", True)]


def test_ailment_is_never_learned_as_the_way_things_are(camera: Camera) -> None:
    camera.play(900, behind)
    assert camera.monitor.ailments == {"covered"}


def test_daylight_that_goes_slowly_is_learned(camera: Camera) -> None:
    for gain in np.linspace(1.0, 0.3, 30):
        assert camera.play(20, lambda image, gain=gain: light(image, gain=gain)) == []


def test_switch_to_infrared_and_back_is_no_move(camera: Camera) -> None:
    def infrared(image: Image) -> Image:
        return np.repeat(255 - image.mean(axis=2, keepdims=True) * 0.8, 3, axis=2).astype(np.uint8)

    for _ in range(2):
        assert camera.play(60, infrared) == [] and camera.play(60) == []
    assert camera.play(16, lambda image: infrared(shifted(image, share=0.2)))[0][:2] == ("moved", True)


def test_camera_that_starts_covered_is_found_and_gets_well() -> None:
    camera = Camera([hall(index) for index in range(12)])
    assert [change[:2] for change in camera.play(30, behind)] == [("covered", True)]
    assert [change[:2] for change in camera.play(60)] == [("covered", False)]
    assert [change[:2] for change in camera.play(16, behind)] == [("covered", True)]


# --- stream and clock


def test_stream_clock_that_stands_is_stale_until_it_keeps_up(camera: Camera) -> None:
    ((kind, begins, after_s),) = camera.play(20, clock=0.0)
    assert (kind, begins) == ("stale-stamps", True) and 5.0 <= after_s <= 7.0
    assert [change[:2] for change in camera.play(60, clock=2.0)] == [("stale-stamps", False)]


def test_clock_a_thousandth_off_or_set_back_is_not_stale(camera: Camera) -> None:
    assert camera.play(1200, clock=0.999) == []
    camera.stamp_s = 0.0
    assert camera.play(30) == []


def test_damage_is_told_by_its_share(camera: Camera) -> None:
    assert camera.branch().play(60, damaged=0.1) == []
    assert camera.play(20, damaged=0.5)[0][:2] == ("damaged", True)
    assert [change[:2] for change in camera.play(30)] == [("damaged", False)]


def test_silence_is_offline_until_a_picture_comes(camera: Camera) -> None:
    last_s = camera.t_s - 0.5
    assert camera.monitor.silent(last_s + 4.9) == []
    (begins,) = camera.monitor.silent(last_s + 5.0)
    assert begins.kind == "offline" and begins.begins and camera.monitor.ailments == {"offline"}
    assert camera.monitor.silent(last_s + 500.0) == []
    camera.t_s, camera.stamp_s = last_s + 600.0, 0.0
    assert camera.play(30) == [("offline", False, 0.0)]


def test_camera_that_never_came_is_offline() -> None:
    monitor = HealthMonitor("press-3", HealthSettings(offline_s=3.0))
    assert monitor.silent(50.0) == [] and [c.kind for c in monitor.silent(53.0)] == ["offline"]


def test_messages_say_where_what_and_what_to_do(camera: Camera) -> None:
    camera.play(20, behind)
    (change,) = camera.said
    assert change.message.startswith("camera 'press-3': ") and "clean it" in change.message


def test_time_that_runs_backwards_is_refused(camera: Camera) -> None:
    with pytest.raises(ValueError, match="press-3"):
        camera.monitor.update(hall(), 1.0, 1.0, False)


# --- torn pictures, settings


@pytest.mark.parametrize("colour", [(128, 128, 128), (0, 135, 0)])
def test_half_picture_is_torn_and_counts_as_damage(camera: Camera, colour: tuple[int, int, int]) -> None:
    def tear(image: Image) -> Image:
        torn = image.copy()
        torn[70:] = colour
        return torn

    assert is_torn(tear(hall())) and not is_torn(hall())
    assert [change[:2] for change in camera.play(20, tear)] == [("damaged", True)]


def test_no_real_picture_is_torn(real_cameras: dict[str, Camera]) -> None:
    assert not any(is_torn(image) for camera in real_cameras.values() for image in camera.images)


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(SettingsError, match="end_below"):
        Rule(begin_above=0.2, end_below=0.3, begin_s=1.0, end_s=1.0)
    for wrong in ({"offline_s": 0.0}, {"frozen_max_s": 1.0}, {"remember_s": 1.0}, {"tiles_min": 0}):
        with pytest.raises(SettingsError, match="health"):
            HealthSettings(**wrong)
