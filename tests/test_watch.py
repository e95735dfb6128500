"""Watching from the first packet to the last event, on real files with a real bundle."""

import json
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import jikimi
from bundles import GREEN, GREY, YELLOW, accident_between, make_bundle
from jikimi.bundle import Bundle, Card, load_bundle
from jikimi.frame import Floats
from jikimi.sampling import window_ending_at, window_ends
from jikimi.video import read_frames
from jikimi.watch.camera import Tick
from jikimi.watch.event import AgeHistogram, WatchEvent
from jikimi.watch.pipeline import _Mailbox
from videos import moving_square, write_video
from watching import FPS, Watched, accident_video, run


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return load_bundle(make_bundle(tmp_path_factory.mktemp("bundle") / "x.jikimi"), threads=1)


@pytest.fixture(scope="module")
def accident(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return accident_video(tmp_path_factory.mktemp("clips") / "프레스 3.mp4")


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("clips") / "quiet.mp4", seconds=3, fps=FPS, size=(96, 64))


# --- the whole path


def test_accident_is_raised_closed_and_kept(accident: Path, bundle: Bundle, tmp_path: Path) -> None:
    watched = run([accident], bundle, tmp_path / "out")
    assert watched.kinds() == ["started", "opened", "closed", "evidence", "ended"]
    opened, evidence = watched.of("opened")[0], watched.of("evidence")[0]
    assert opened.behavior == "fall-down" and 5.0 < opened.t_s < 6.5 and opened.score
    assert evidence.evidence is not None and evidence.evidence.parent.parent == tmp_path / "out"
    start_s = evidence.details["start_s"]
    with av.open(str(evidence.evidence)) as container:
        yellow = [
            frame.time + start_s
            for frame in container.decode(video=0)
            if frame.to_ndarray(format="rgb24")[32:, :, 2].mean() < 60
        ]
    assert yellow[0] == pytest.approx(5.0, abs=0.1) and yellow[-1] == pytest.approx(7.0, abs=0.15)


def test_scores_equal_those_of_prepared_frames(accident: Path, bundle: Bundle) -> None:
    card = bundle.card
    frames = list(read_frames(accident, rate_hz=card.rate_hz, short_side_px=card.short_side_px))
    features = bundle.encode(card.preprocess([f.image_HWC for f in frames]))
    watched = run([accident], bundle)
    ends = window_ends(len(frames), warm_up=card.warm_up, stride=1)
    assert [t_s for _, t_s, _ in watched.scores] == [frames[last].t_s for last in ends]
    for last, (_, _, scores) in zip(ends, watched.scores, strict=True):
        logits = bundle.classify(features[window_ending_at(last, card.window)][None])
        np.testing.assert_allclose(scores, card.probabilities(logits)[0], atol=1e-4)


def test_same_file_gives_the_same_events(accident: Path, bundle: Bundle) -> None:
    def facts(watched: Watched) -> list[tuple[object, ...]]:
        return [(e.event, e.behavior, e.score, e.t_s) for e in watched.events]

    assert facts(run([accident], bundle)) == facts(run([accident], bundle))


def test_paced_file_gives_the_same_incident(accident: Path, bundle: Bundle, tmp_path: Path) -> None:
    short = accident_video(tmp_path / "short.mp4", seconds=4, start_s=1, end_s=2)
    fast = run([short], bundle, tmp_path / "a")
    started_s = time.monotonic()
    paced = run([short], bundle, tmp_path / "b", realtime=True)
    assert time.monotonic() - started_s > 3.5
    assert paced.kinds() == fast.kinds()
    assert paced.of("opened")[0].t_s == pytest.approx(fast.of("opened")[0].t_s, abs=1.0)
    assert paced.summary.age_p95_s is not None
    assert not paced.summary.stopped


def test_every_event_has_the_promised_keys(accident: Path, bundle: Bundle, tmp_path: Path) -> None:
    promised = {"event", "camera", "behavior", "score", "t_s", "wall_time", "evidence"}
    for event in run([accident], bundle, tmp_path / "out").events:
        flat = event.as_json()
        assert promised <= set(flat) and flat == json.loads(json.dumps(flat))
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", flat["wall_time"])
        assert not promised & set(event.details)


def test_end_tells_the_numbers(accident: Path, bundle: Bundle) -> None:
    watched = run([accident], bundle)
    (ended,) = watched.of("ended")
    numbers, (camera,) = ended.details, watched.summary.cameras
    assert numbers["frames_decoded"] == camera.frames_decoded == 14 * FPS
    assert numbers["decisions"] == camera.decisions == len(watched.scores)
    assert numbers["blind_s"] == (bundle.card.warm_up - 1) / bundle.card.rate_hz
    assert (numbers["dropped_frames"], numbers["decode_errors"], numbers["faults"]) == (0, 0, 0)
    assert numbers["age_p95_s"] >= numbers["age_p50_s"] >= 0
    assert watched.summary.incidents == 1 and watched.summary.faults == 0


def test_quiet_video_raises_nothing(quiet: Path, bundle: Bundle, tmp_path: Path) -> None:
    assert run([quiet], bundle, tmp_path / "out").kinds() == ["started", "ended"]
    assert not (tmp_path / "out").exists()


def test_incident_open_at_the_end_is_closed_and_kept(bundle: Bundle, tmp_path: Path) -> None:
    path = accident_video(tmp_path / "v.mp4", seconds=5, start_s=3, end_s=9)
    watched = run([path], bundle, tmp_path / "out")
    assert watched.kinds() == ["started", "opened", "closed", "evidence", "ended"]
    assert watched.of("evidence")[0].details["complete"]


def test_without_a_folder_no_evidence_is_kept(accident: Path, bundle: Bundle) -> None:
    assert run([accident], bundle).kinds() == ["started", "opened", "closed", "ended"]


def test_files_of_a_folder_are_watched_in_order(bundle: Bundle, tmp_path: Path) -> None:
    accident_video(tmp_path / "in" / "b.mp4", seconds=3, start_s=1, end_s=2)
    accident_video(tmp_path / "in" / "a.mp4", seconds=3, start_s=1, end_s=2, colour=GREEN)
    accident_video(tmp_path / "in" / "deep" / "a.MKV", seconds=3, start_s=9, end_s=9)
    (tmp_path / "in" / "notes.txt").write_text("no video")
    watched = run([tmp_path / "in"], bundle)
    assert [e.camera for e in watched.of("started")] == ["a", "b", "a-2"]
    assert [(e.camera, e.behavior) for e in watched.of("opened")] == [("a", "jam"), ("b", "fall-down")]


def test_several_cameras_are_watched_at_once(bundle: Bundle, tmp_path: Path) -> None:
    paths = [
        accident_video(tmp_path / f"{name}.mp4", seconds=4, start_s=1, end_s=2, colour=colour)
        for name, colour in (("a", GREEN), ("b", YELLOW), ("c", GREY))
    ]
    started_s = time.monotonic()
    watched = run(list(paths), bundle, tmp_path / "out", realtime=True)
    assert time.monotonic() - started_s < 11  # one after the other takes 12 s
    assert {(e.camera, e.behavior) for e in watched.of("opened")} == {("a", "jam"), ("b", "fall-down")}
    assert [c.camera for c in watched.summary.cameras] == ["a", "b", "c"]
    for name in "abc":
        assert watched.kinds(name)[0] == "started" and watched.kinds(name)[-1] == "ended"


# --- trouble with the video


@pytest.mark.parametrize("content", [b"", b"no video" * 400])
def test_file_that_cannot_be_opened_is_a_fault_and_the_next_is_watched(
    quiet: Path, bundle: Bundle, tmp_path: Path, content: bytes
) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(content)
    watched = run([broken, quiet], bundle)
    assert watched.kinds("broken") == ["fault", "ended"]
    assert watched.of("fault")[0].details["fault"] == "cannot-open"
    assert watched.kinds("quiet") == ["started", "ended"] and watched.summary.faults == 1


def test_file_cut_short_is_a_fault_and_no_quiet_end(accident: Path, bundle: Bundle, tmp_path: Path) -> None:
    whole = tmp_path / "whole.mp4"
    with av.open(str(accident)) as source, av.open(str(whole), "w", options={"movflags": "faststart"}) as to:
        out = to.add_stream_from_template(source.streams.video[0], opaque=True)
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = out
                to.mux(packet)
    whole.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    watched = run([whole], bundle)
    assert "broke-off" in [e.details["fault"] for e in watched.of("fault")]
    assert watched.kinds()[-1] == "ended"


def test_damage_is_told_once_and_counted(bundle: Bundle, tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.avi", seconds=4, codec="mpeg4", draw=moving_square(3))
    data = bytearray(path.read_bytes())
    for at in np.random.default_rng(0).integers(6000, len(data) - 6000, 40):
        data[at] ^= 0xFF
    path.write_bytes(bytes(data))
    watched = run([path], bundle)
    assert [e.details["fault"] for e in watched.of("fault")].count("damaged") == 1
    assert watched.summary.cameras[0].decode_errors > 0 and watched.summary.decisions > 0


def test_gap_leaves_the_camera_blind_and_says_so(bundle: Bundle, tmp_path: Path) -> None:
    times = [i / FPS for i in range(3 * FPS)] + [6 + i / FPS for i in range(3 * FPS)]
    path = write_video(tmp_path / "gap.mkv", times_s=times, size=(96, 64), fps=FPS)
    watched = run([path], bundle)
    (fault,) = watched.of("fault")
    assert fault.details["fault"] == "gap" and "3.1 s" in fault.details["message"]
    assert not [t for _, t, _ in watched.scores if 3.0 < t < 6.0 + 3 / 8]
    assert watched.summary.cameras[0].blind_s == pytest.approx(3.1 + 6 / 8, abs=0.3)


def test_gap_during_open_incident_keeps_it_open(bundle: Bundle, tmp_path: Path) -> None:
    times = [i / FPS for i in range(3 * FPS)] + [6 + i / FPS for i in range(3 * FPS)]
    draw = accident_between(FPS, 4 * FPS)
    path = write_video(tmp_path / "gap.mkv", times_s=times, size=(96, 64), fps=FPS, draw=draw)
    watched = run([path], bundle)
    assert [e.event for e in watched.events if e.event in ("opened", "closed")] == ["opened", "closed"]
    assert watched.of("closed")[0].t_s > 7.0


def test_video_slower_than_the_model_needs_is_a_fault_and_not_silence(bundle: Bundle, tmp_path: Path) -> None:
    path = write_video(tmp_path / "slow.mkv", times_s=[2.0 * i for i in range(8)], size=(96, 64))
    watched = run([path], bundle)
    assert watched.summary.decisions == 0
    assert [e.details["fault"] for e in watched.of("fault")] == ["gap"]
    assert watched.summary.cameras[0].blind_s == pytest.approx(14.125, abs=0.01)


def test_clock_and_size_may_change_in_the_middle(bundle: Bundle, tmp_path: Path) -> None:
    parts = [
        write_video(
            tmp_path / f"{i}.ts", seconds=4, fps=FPS, size=size, draw=accident_between(2 * FPS, 3 * FPS)
        )
        for i, size in enumerate([(96, 64), (192, 108)])
    ]
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    watched = run([joined], bundle, tmp_path / "out")
    assert watched.summary.cameras[0].clock_jumps == 1
    assert watched.summary.cameras[0].stream_s == pytest.approx(8.0, abs=0.3)
    (evidence,) = watched.of("evidence")
    assert evidence.evidence is not None and evidence.details["complete"]
    with av.open(str(evidence.evidence)) as container:
        sizes = {(frame.width, frame.height) for frame in container.decode(video=0)}
    assert sizes == {(96, 64), (192, 108)}


@pytest.mark.parametrize(("fps", "name"), [(1, "v.mkv"), (240, "v.mp4")])
def test_unusual_rates_end_in_order(bundle: Bundle, tmp_path: Path, fps: int, name: str) -> None:
    path = write_video(tmp_path / name, seconds=4, fps=fps, size=(96, 64))
    assert run([path], bundle, tmp_path / "out").kinds()[-1] == "ended"


# --- trouble with the model and the disk


class Failing:
    """A bundle whose encoder fails on some calls."""

    def __init__(self, bundle: Bundle, fails: Callable[[int], bool]) -> None:
        self.bundle, self.fails, self.calls = bundle, fails, 0

    @property
    def card(self) -> Card:
        return self.bundle.card

    def encode(self, pictures_NCHW: Floats) -> Floats:
        self.calls += 1
        if self.fails(self.calls):
            raise RuntimeError("the device is gone")
        return self.bundle.encode(pictures_NCHW)

    def classify(self, windows_NTD: Floats) -> Floats:
        return self.bundle.classify(windows_NTD)


def test_model_that_fails_is_a_fault_and_never_normal(accident: Path, bundle: Bundle) -> None:
    watched = run([accident], Failing(bundle, lambda call: True))
    assert watched.scores == [] and watched.kinds() == ["started", "fault", "ended"]
    assert watched.of("fault")[0].details["fault"] == "inference"
    camera = watched.summary.cameras[0]
    assert camera.blind_s == pytest.approx(14.0, abs=0.2) and camera.inference_errors > 100


def test_model_that_recovers_raises_again(accident: Path, bundle: Bundle) -> None:
    watched = run([accident], Failing(bundle, lambda call: call in (5, 6, 20)))
    assert watched.kinds() == ["started", "fault", "fault", "opened", "closed", "ended"]
    assert watched.summary.cameras[0].inference_errors == 3


def test_evidence_is_kept_while_the_model_fails(accident: Path, bundle: Bundle, tmp_path: Path) -> None:
    watched = run([accident], Failing(bundle, lambda call: call > 55), tmp_path / "out")
    assert watched.kinds() == ["started", "opened", "fault", "closed", "evidence", "ended"]
    assert watched.of("evidence")[0].details["end_s"] == pytest.approx(14.0, abs=0.2)


def test_folder_that_cannot_be_written_is_a_fault_and_watching_goes_on(
    accident: Path, bundle: Bundle, tmp_path: Path
) -> None:
    (tmp_path / "out").write_text("in the way")
    watched = run([accident], bundle, tmp_path / "out")
    assert watched.kinds() == ["started", "opened", "fault", "closed", "ended"]
    assert watched.of("fault")[0].details["fault"] == "evidence"


def test_receiver_that_fails_ends_watching_and_finishes_evidence(
    accident: Path, bundle: Bundle, tmp_path: Path
) -> None:
    def emit(event: WatchEvent) -> None:
        if event.event == "closed":
            raise BrokenPipeError("nobody reads")

    with pytest.raises(BrokenPipeError):
        run([accident], bundle, tmp_path / "out", emit=emit)
    assert [p.suffix for p in (tmp_path / "out").rglob("*.*") if p.is_file()] == [".mp4"]


# --- stopping


@pytest.mark.parametrize("realtime", [False, True])
def test_stop_ends_quickly_with_evidence_finished(
    accident: Path, bundle: Bundle, tmp_path: Path, realtime: bool
) -> None:
    path = accident_video(tmp_path / "v.mp4", seconds=20, start_s=0.5, end_s=19)
    stop, events, stopped_s = threading.Event(), [], [0.0]
    before = set(threading.enumerate())  # other libraries of this process may keep threads of theirs

    def emit(event: WatchEvent) -> None:
        events.append(event)
        if event.event == "opened":
            stop.set()
            stopped_s[0] = time.monotonic()

    watched = run([path], bundle, tmp_path / "out", realtime=realtime, stop=stop, emit=emit)
    assert time.monotonic() - stopped_s[0] < 6.0  # the file would play on for 19 s
    assert [e.event for e in events] == ["started", "opened", "closed", "evidence", "ended"]
    assert events[-1].details["stopped"] and watched.summary.stopped
    assert set(threading.enumerate()) <= before


# --- parts


def test_newest_picture_wins_and_dropped_ones_are_counted() -> None:
    mailbox, image = _Mailbox(), np.zeros((8, 8, 3), np.uint8)
    frames = [jikimi.watch.pipeline.Frame(image, t_s=k / 8) for k in range(3)]
    for k in range(3):
        mailbox.put("a", Tick(frames[k], first=k, count=1, arrived_s=float(k)))
    ticks, closed = mailbox.take()
    assert ticks["a"] == Tick(frames[2], first=0, count=3, arrived_s=2.0)
    assert mailbox.dropped("a") == 2 and mailbox.dropped("b") == 0 and not closed
    mailbox.close("a")
    assert mailbox.take() == ({}, {"a"})


def test_slow_model_drops_pictures_and_keeps_up(bundle: Bundle, tmp_path: Path) -> None:
    def slow(call: int) -> bool:
        time.sleep(0.3)
        return False

    path = accident_video(tmp_path / "v.mp4", seconds=4, start_s=1, end_s=3)
    watched = run([path], Failing(bundle, slow), realtime=True)
    camera = watched.summary.cameras[0]
    assert camera.dropped_frames > 5 and watched.kinds().count("opened") == 1
    assert camera.age_p95_s is not None and camera.age_p95_s < 3.0  # a queue would have grown to 6 s


@given(st.lists(st.floats(0, 12), min_size=1, max_size=50), st.floats(0.01, 1.0))
def test_quantiles_are_those_of_the_ages(ages_s: list[float], q: float) -> None:
    histogram = AgeHistogram()
    for age_s in ages_s:
        histogram.add(age_s)
    exact = float(np.quantile(np.minimum(ages_s, 10.0), q, method="inverted_cdf"))
    assert histogram.quantile(q) == pytest.approx(exact, abs=1e-3)


def test_no_ages_have_no_quantile() -> None:
    assert AgeHistogram().quantile(0.5) is None


def test_public_names_are_there_and_the_package_can_be_called(quiet: Path, bundle: Bundle) -> None:
    assert {"Behavior", "Detector", "Incident", "load_bundle", "watch"} <= set(dir(jikimi))
    assert jikimi.Behavior.__name__ == "Behavior" and jikimi.Detector.__name__ == "Detector"
    events: list[WatchEvent] = []
    assert jikimi.watch([str(quiet)], bundle=bundle, emit=events.append).faults == 0
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        jikimi.nonsense  # noqa: B018


def test_real_clips_are_watched_without_a_fault(real_clips: Path, bundle: Bundle, tmp_path: Path) -> None:
    clips = sorted(real_clips.glob("no-accident/*"))[:2]
    watched = run(list(clips), bundle, tmp_path / "out")
    assert watched.summary.faults == 0 and watched.summary.decisions > 20
