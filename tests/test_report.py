"""The page: self-contained, safe against what names may hold, and it says what it must."""

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image as PillowImage

from bundles import make_bundle
from jikimi.behaviors import BEHAVIORS, Behavior
from jikimi.bundle import Bundle, load_bundle
from jikimi.metrics import Figure
from jikimi.train import score
from jikimi.train.evaluate import evaluate_clips, evaluate_streams
from jikimi.train.report import behavior_label, flatten, interval, number, percent
from jikimi.train.strips import strip
from prepared import Take, fall, write_prepared
from videos import write_video


class Page(HTMLParser):
    """What a page shows and loads."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.text, self.sources, self.open_tags = "", [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "img", "br"):
            self.open_tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open_tags.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open_tags or self.open_tags[-1] != "style":
            self.text += re.sub(r"\s+", " ", data)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return load_bundle(make_bundle(tmp_path_factory.mktemp("bundle") / "colours.jikimi"), threads=1)


@pytest.fixture(scope="module")
def clips_page(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Page:
    root = tmp_path_factory.mktemp("clips")
    takes = [fall("fall1"), fall("fall2"), Take("quiet1", group="<hall> & yard"), Take("blind", "jam")]
    return Page(evaluate_clips(bundle, write_prepared(root / "d", takes), out=root / "out").report)


def test_page_is_whole_and_loads_nothing(clips_page: Page) -> None:
    assert not clips_page.open_tags
    assert clips_page.sources and all(source.startswith("data:image/") for source in clips_page.sources)


def test_inlined_pictures_are_pictures(clips_page: Page) -> None:
    for source in clips_page.sources:
        content = base64.b64decode(source.partition(",")[2])
        with PillowImage.open(io.BytesIO(content)) as picture:
            picture.load()


def test_page_says_what_it_must(clips_page: Page) -> None:
    for words in (
        "fall-down 넘어짐",
        "Of 4 validation clips of 4 groups",
        "95 % interval",
        "Before you believe these figures",
        "Leakage alarm",
        "Where it was most wrong",
        "The decision rule",
        "Every group",
        "were not calibrated",
    ):
        assert words in clips_page.text


def test_names_from_outside_are_text_and_not_markup(clips_page: Page) -> None:
    assert "<hall> & yard" in clips_page.text


def test_streams_page_is_whole_whatever_a_stream_is_called(bundle: Bundle, tmp_path: Path) -> None:
    name = "정문 $\\frac{ <b>"
    write_video(tmp_path / "s" / f"{name}.mp4", seconds=3)
    truth = tmp_path / "truth.csv"
    truth.write_text(f"camera,behavior,start_s,end_s\n{name},jam,1,2\n", encoding="utf-8")
    page = Page(evaluate_streams(bundle, tmp_path / "s", truth, out=tmp_path / "out").report)
    assert not page.open_tags and name in page.text
    assert all(source.startswith("data:image/") for source in page.sources)
    assert "0 of 1" in page.text and "missed" in page.text


def test_strip_marks_what_decided_and_the_event(bundle: Bundle, tmp_path: Path) -> None:
    manifest = write_prepared(tmp_path, [fall("fall", start_s=2)])
    (row,) = manifest.rows
    frames = strip(manifest, row, score.score_clip(bundle, manifest, row), bundle.card)
    assert len(frames) == 8
    assert [frame.event for frame in frames] == [2 <= frame.t_s < 4 for frame in frames]
    deciding = [frame.t_s for frame in frames if frame.deciding]
    assert deciding and min(deciding) >= 2


def test_strip_of_a_long_clip_shows_the_deciding_window(bundle: Bundle, tmp_path: Path) -> None:
    manifest = write_prepared(tmp_path, [fall("long", start_s=17.5), Take("tiny", n_frames=2)])
    long, tiny = manifest.rows
    frames = strip(manifest, long, score.score_clip(bundle, manifest, long), bundle.card)
    assert any(frame.deciding for frame in frames)
    assert len(strip(manifest, tiny, score.score_clip(bundle, manifest, tiny), bundle.card)) == 2


def test_figures_are_written_for_readers() -> None:
    assert percent(0.314) == "31 %" and percent(None) == "–"
    assert number(0.5) == "0.50" and number(1.26, 1, " s") == "1.3 s" and number(None) == "–"
    assert interval(Figure(0.5)) == ""
    assert interval(Figure(0.5, 0.4, 0.6), as_percent=True) == "40–60 %"
    assert behavior_label("jam", BEHAVIORS) == "jam 끼임"
    assert behavior_label("slip", [Behavior("slip", "slip", "slip", "", 1)]) == "slip"
    assert flatten({"a": {"b": 1, "c": [1, 2]}, "d": "x", "e": 0.00012345}) == {
        "a.b": "1",
        "a.c": "[1, 2]",
        "d": "x",
        "e": "0.0001234",
    }
