"""Evidence over lost connections: real packets through real recorders, connections that come and go."""

import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image as Pillow

from jikimi.address import Address
from jikimi.incident import Incident, Transition
from jikimi.video import iter_packets, open_input
from jikimi.watch.analysis import Change
from jikimi.watch.camera import CameraReader, View
from jikimi.watch.curve import Curve
from jikimi.watch.keeping import Keeping, stem, uid_of
from jikimi.watch.messages import EvidenceKept
from jikimi.watch.recorder import Keep, Recorder
from jikimi.watch.sources import Camera
from sites import wait_for
from videos import write_video

FPS = 10
AT = datetime(2026, 7, 1, 3, 0, tzinfo=UTC)
A, B = "a" * 32, "b" * 32


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("v") / "v.mp4", seconds=12, fps=FPS, size=(96, 64), gop=FPS)


@dataclass
class Connection:
    """An attempt to read the camera that records: packets are fed by the second, as they would come."""

    video: Path
    folder: Path
    began_s: float
    reader: CameraReader = field(init=False)
    _fed_s: float = 0.0

    def __post_init__(self) -> None:
        keep = Keep(pre_roll_s=2.0, post_roll_s=1.0)
        camera = Camera("a", Address(str(self.video)), live=True)
        self.reader = CameraReader(camera, View(8.0, 48, False, keep), self.folder, threading.Event())
        self._open = open_input(self.video)
        container = self._open.__enter__()
        from jikimi.video import Decoder

        self.decoder = self.reader.decoder = Decoder(container.streams.video[0])
        self.reader.recorder = Recorder(self.folder, self.decoder, keep)
        self._packets = iter_packets(container, container.streams.video[0], self.decoder)

    def feed(self, until_s: float) -> None:
        """Let the stream go on to `until_s` of its own time."""
        assert self.reader.recorder is not None
        while self._fed_s < until_s and (packet := next(self._packets, None)) is not None:
            pictures = self.decoder.decode(packet)
            if packet.size:
                self.reader.recorder.feed(packet)
            for _, t_s in pictures:
                self.reader.timeline.note(self.began_s + t_s, t_s)
                self._fed_s = t_s

    def close(self) -> None:
        self._open.__exit__(None, None, None)


@dataclass
class Watching:
    """A keeping, the connection that records now, and everything that came out."""

    folder: Path
    now: Connection | None = None
    found: list[EvidenceKept] = field(default_factory=list)
    keeping: Keeping = field(init=False)

    def __post_init__(self) -> None:
        self.keeping = Keeping(self.folder, lambda: self.now.reader if self.now is not None else None)

    def connect(self, connection: Connection) -> None:
        connection.feed(0.5)
        self.now = connection
        self.poll()

    def lose(self, connection: Connection) -> None:
        self.now = None
        self.found += self.keeping.ended(connection.reader)
        self.poll()

    def poll(self) -> None:
        self.found += self.keeping.poll()

    def videos(self, uid: str, n: int = 0) -> list[EvidenceKept]:
        """What came out of an incident; waits for `n` files, which are finished in a thread of their own."""
        until = time.monotonic() + 10
        while len(self._videos(uid)) < n and time.monotonic() < until:
            self.poll()
            time.sleep(0.02)
        return self._videos(uid)

    def strip(self) -> EvidenceKept:
        """The strip that comes out, which is written in a thread of its own."""
        return wait_for(lambda: next(iter(self.keeping.poll()), None))

    def _videos(self, uid: str) -> list[EvidenceKept]:
        return [kept for kept in self.found if kept.uid == uid and kept.kind == "video"]


@pytest.fixture
def watching(tmp_path: Path) -> Watching:
    return Watching(tmp_path / "evidence")


def change(uid: str, arrived_s: float, *, closed: bool = False, zone: str = "") -> Change:
    incident = Incident("fall-down", arrived_s, 0.9, closed_s=arrived_s if closed else None)
    return Change(
        uid, zone, Transition("closed" if closed else "opened", arrived_s, 0.9, incident), arrived_s
    )


def length_s(path: Path | None) -> float:
    assert path is not None
    with av.open(str(path)) as container:
        return len(list(container.decode(video=0))) / FPS


def test_incident_leaves_a_file_from_before_to_after(watching: Watching, video: Path) -> None:
    line = Connection(video, watching.folder, began_s=1000.0)
    watching.connect(line)
    line.feed(5.0)
    watching.keeping.opened(change(A, 1005.0), AT)
    line.feed(7.0)
    watching.keeping.closed(change(A, 1007.0, closed=True))
    line.feed(9.5)
    watching.poll()
    (kept,) = watching.videos(A, 1)
    assert kept.complete and not kept.problem and kept.path is not None
    assert uid_of(kept.path) == A and kept.path.name.startswith("20260701T030000Z_fall-down_")
    assert -3.1 <= kept.start_s <= -2.0 and kept.end_s == pytest.approx(3.0, abs=0.5)
    assert length_s(kept.path) == pytest.approx(kept.end_s - kept.start_s + 0.1, abs=0.2)
    line.close()


def test_connection_that_is_lost_in_an_incident_leaves_two_files(watching: Watching, video: Path) -> None:
    first = Connection(video, watching.folder, began_s=1000.0)
    watching.connect(first)
    first.feed(5.0)
    watching.keeping.opened(change(A, 1005.0), AT)
    first.feed(6.0)
    watching.lose(first)
    (before,) = watching.videos(A, 1)
    assert not before.complete and before.end_s == pytest.approx(1.0, abs=0.5)
    second = Connection(video, watching.folder, began_s=1010.0)
    watching.connect(second)
    second.feed(3.0)
    watching.keeping.closed(change(A, 1013.0, closed=True))
    second.feed(5.0)
    watching.poll()
    after = watching.videos(A, 2)[1]
    assert after.path != before.path and after.path is not None and uid_of(after.path) == A
    # counted from the incident's opening: the second file begins five seconds after it
    assert after.start_s == pytest.approx(5.0, abs=0.2) and after.end_s == pytest.approx(9.0, abs=0.5)
    assert after.complete and not after.problem
    for line in (first, second):
        line.close()


def test_incident_that_opens_between_two_connections_is_kept_from_the_second_on(
    watching: Watching, video: Path
) -> None:
    watching.keeping.opened(change(A, 1000.0), AT)
    line = Connection(video, watching.folder, began_s=1002.0)
    watching.connect(line)
    line.feed(2.0)
    watching.lose(line)
    (kept,) = watching.videos(A, 1)
    assert kept.start_s == pytest.approx(2.0, abs=0.2) and length_s(kept.path) > 1
    line.close()


def test_incident_without_anything_to_record_says_so(watching: Watching) -> None:
    watching.keeping.opened(change(A, 1000.0), AT)
    watching.keeping.closed(change(A, 1002.0, closed=True))
    watching.poll()
    (kept,) = watching.videos(A, 1)
    assert kept.path is None and "nothing to record" in kept.problem


def test_stream_whose_time_has_not_begun_records_nothing_yet(watching: Watching, video: Path) -> None:
    """Before the first picture the stream's time has no zero: a recording would end at once."""
    line = Connection(video, watching.folder, began_s=1002.0)
    watching.now = line
    watching.keeping.opened(change(A, 1000.0), AT)
    watching.poll()
    assert not list(watching.folder.glob("*")) if watching.folder.exists() else True
    watching.connect(line)
    line.feed(2.0)
    watching.lose(line)
    assert watching.videos(A, 1)[0].path is not None
    line.close()


def test_two_zones_at_the_same_moment_have_a_file_each(watching: Watching, video: Path) -> None:
    line = Connection(video, watching.folder, began_s=1000.0)
    watching.connect(line)
    line.feed(5.0)
    for uid, zone in ((A, "belt"), (B, "door")):
        watching.keeping.opened(change(uid, 1005.0, zone=zone), AT)
    line.feed(6.0)
    watching.keeping.closed(change(B, 1006.0, closed=True, zone="door"))
    line.feed(8.0)
    watching.poll()
    assert not watching.videos(A)
    watching.keeping.closed(change(A, 1008.0, closed=True, zone="belt"))
    line.feed(10.5)
    watching.poll()
    assert watching.videos(A, 1)[0].end_s == pytest.approx(4.0, abs=0.5)
    assert watching.videos(B, 1)[0].end_s == pytest.approx(2.0, abs=0.5)
    line.close()


def test_sub_stream_records_while_the_main_one_is_away(watching: Watching, video: Path) -> None:
    started_s = time.monotonic() - 6.0
    sub = Connection(video, watching.folder, began_s=started_s)
    main = Connection(video, watching.folder, began_s=started_s)
    watching.connect(sub)
    sub.feed(5.0)
    watching.connect(main)
    main.feed(5.0)
    watching.keeping.opened(change(A, started_s + 5.0), AT)
    main.feed(6.0)
    watching.lose(main)  # … and the sub-stream, known before, takes over what is open
    assert len(watching.videos(A, 1)) == 1
    watching.now = sub
    watching.poll()
    sub.feed(8.0)
    again = Connection(video, watching.folder, began_s=time.monotonic() - 0.5)
    watching.connect(again)  # the main stream is back: the sub-stream's file ends by itself
    sub.feed(11.0)
    watching.poll()
    assert len(watching.videos(A, 2)) == 2
    again.feed(2.0)
    watching.keeping.closed(change(A, again.began_s + 2.0, closed=True))
    again.feed(4.0)
    watching.poll()
    files = watching.videos(A, 3)
    assert len(files) == 3 and len({kept.path for kept in files}) == 3
    assert all(length_s(kept.path) > 1 for kept in files)
    for line in (sub, main, again):
        line.close()


def test_incidents_of_many_connections_are_forgotten(watching: Watching, video: Path) -> None:
    for number in range(5):
        line = Connection(video, watching.folder, began_s=1000.0 + number * 20)
        watching.connect(line)
        line.feed(1.0)
        uid = f"{number:032x}"
        watching.keeping.opened(change(uid, line.began_s + 1.0), AT)
        line.feed(2.0)
        watching.keeping.closed(change(uid, line.began_s + 2.0, closed=True))
        watching.lose(line)
        assert watching.videos(uid, 1)[0].path is not None
        line.close()
    assert not watching.keeping._recordings and not watching.keeping._open


def pictures(*sizes: tuple[int, int]) -> Sequence[np.ndarray]:
    return [np.full((height, width, 3), 90 + n, np.uint8) for n, (height, width) in enumerate(sizes)]


def test_strip_shows_the_pictures_that_decided(watching: Watching) -> None:
    watching.keeping.opened(change(A, 1000.0), AT)
    watching.keeping.keep_strip(A, list(pictures((48, 72), (48, 72))))
    kept = watching.strip()
    assert kept.kind == "strip" and kept.path is not None
    assert uid_of(kept.path) == A
    with Pillow.open(kept.path) as image:
        assert image.size == (2 * 72 + 4, 48)


def test_strip_of_a_camera_that_changed_its_size_shows_those_of_the_newest(watching: Watching) -> None:
    watching.keeping.opened(change(A, 1000.0), AT)
    watching.keeping.keep_strip(A, list(pictures((48, 72), (48, 72), (48, 64))))
    kept = watching.strip()
    assert kept.path is not None
    with Pillow.open(kept.path) as image:
        assert image.size == (64, 48)


def test_strip_that_cannot_be_written_is_told_and_ends_nothing(watching: Watching) -> None:
    watching.keeping.opened(change(A, 1000.0), AT)
    watching.folder.parent.mkdir(exist_ok=True)
    watching.folder.write_text("a file where the folder should be")
    watching.keeping.keep_strip(A, list(pictures((48, 72))))
    kept = watching.strip()
    assert kept.path is None and kept.problem
    watching.keeping.keep_strip(B, list(pictures((48, 72))))  # unknown: it has closed
    watching.keeping.keep_strip(A, [])
    assert watching.keeping.finish() == []


def curve(uid: str = A, **more: Any) -> Curve:
    values: dict[str, Any] = {
        "zone": "벨트", "behaviors": ("jam", "fall-down"), "threshold": 0.6, "threshold_off": 0.4,
        "smooth": 3, "max_gap_s": 0.5, "t_s": (-0.125, 0.0), "scores": ([0.12345, 0.5], [0.0, 1.0]),
    }  # fmt: skip
    return Curve(uid, "fall-down", at=AT, **values | more)


def test_scores_are_written_beside_the_video(watching: Watching) -> None:
    watching.keeping.keep_scores(curve())
    kept = watching.strip()
    assert (kept.kind, kept.start_s, kept.end_s, kept.problem) == ("scores", -0.125, 0.0, "")
    assert kept.path is not None and kept.path.name == f"{stem('fall-down', A, AT)}.scores.json"
    assert uid_of(kept.path) == A and list(kept.path.parent.iterdir()) == [kept.path]
    assert json.loads(kept.path.read_text("utf-8")) == {
        "behaviors": ["jam", "fall-down"], "behavior": "fall-down", "threshold": 0.6, "threshold_off": 0.4,
        "smooth": 3, "max_gap_s": 0.5, "zone": "벨트", "t_s": [-0.125, 0.0],
        "scores": [[0.123, 0.0], [0.5, 1.0]],
    }  # fmt: skip


def test_scores_that_cannot_be_written_are_told_and_leave_nothing(watching: Watching) -> None:
    watching.folder.mkdir(parents=True)
    (watching.folder / f"{stem('fall-down', A, AT)}.scores.json").mkdir()  # cannot be replaced by a file
    watching.keeping.keep_scores(curve())
    kept = watching.strip()
    assert kept.path is None and kept.kind == "scores" and str(watching.folder) in kept.problem
    assert [path.is_dir() for path in watching.folder.iterdir()] == [True]


def test_scores_are_on_disk_when_watching_has_ended(watching: Watching) -> None:
    watching.keeping.keep_scores(curve(t_s=(), scores=()))
    (kept,) = watching.keeping.finish()
    assert kept.path is not None and json.loads(kept.path.read_text("utf-8"))["scores"] == [[], []]


@pytest.mark.parametrize(
    ("name", "uid"),
    [
        (f"{stem('fall-down', A, AT)}.mp4", A),
        (f"{stem('fall-down', A, AT)}-2.mp4", A),
        (f"{stem('jam', B, AT)}.strip.jpg", B),
        (f"{stem('jam', B, AT)}-12.still.jpg", B),
        (f"{stem('jam', B, AT)}.scores.json", B),
        ("manifest.jsonl", None),
        ("20260701T030000Z_fall-down.mp4", None),
        (f"holiday_{A[:-1]}.mp4", None),
        (f"holiday_{A[:-1]}G.mp4", None),
    ],
)
def test_incident_of_a_file_is_known_by_its_name(name: str, uid: str | None) -> None:
    assert uid_of(Path("/x") / name) == uid
