"""The truth of streams: both forms of table, and every way it may not fit the files."""

from pathlib import Path

import pytest

from jikimi.behaviors import BEHAVIORS, keys
from jikimi.errors import DataError
from jikimi.stream_metrics import Truth
from jikimi.train.truth import StreamSet, read_truth

CAMERAS = "camera,behavior,start_s,end_s\n"
ANNOTATIONS = "path,behavior,event_start_s,event_end_s,shows\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of streams: only their names matter here."""
    for name in ("gate.mp4", "yard.mkv", "hall/door.mp4", "notes.txt"):
        (tmp_path / "streams" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "streams" / name).touch()
    return tmp_path / "streams"


def read(folder: Path, text: str) -> StreamSet:
    table = folder.parent / "truth.csv"
    table.write_text(text, encoding="utf-8-sig")
    return read_truth(folder, table, behaviors=keys(BEHAVIORS), normal="no-accident")


@pytest.mark.parametrize("name", ["hall/door.mp4", "door.mp4", "door", "streams/hall/door.mp4"])
def test_stream_is_named_by_path_name_or_stem(folder: Path, name: str) -> None:
    found = read(folder, CAMERAS + f"{name},jam,3,5.5\n")
    assert found.truths == (Truth("hall/door.mp4", "jam", 3, 5.5),)
    assert list(found.files) == ["hall/door.mp4"]


def test_annotations_of_clips_are_read_too(folder: Path) -> None:
    text = ANNOTATIONS + 'gate.mp4,fall-down,1.5,4,"falls, lies"\nyard,no-accident,,,quiet\n'
    found = read(folder, text)
    assert found.truths == (Truth("gate.mp4", "fall-down", 1.5, 4),)
    assert set(found.files) == {"gate.mp4", "yard.mkv"}


def test_file_that_the_truth_does_not_name_is_left_out_and_told(folder: Path) -> None:
    found = read(folder, CAMERAS + "gate,jam,3,5\n")
    assert found.unnamed == ("hall/door.mp4", "yard.mkv")


def test_file_outside_the_folder_is_told(folder: Path) -> None:
    (folder.parent / "elsewhere.mp4").touch()
    found = read(folder, ANNOTATIONS + "elsewhere.mp4,jam,1,2,x\nstreams/gate.mp4,jam,1,2,x\n")
    assert found.elsewhere == ("elsewhere.mp4",) and len(found.truths) == 1


def test_several_events_on_a_stream(folder: Path) -> None:
    found = read(folder, CAMERAS + "gate,jam,3,5\ngate,hit,30,31\n\n")
    assert [truth.behavior for truth in found.truths] == ["jam", "hit"]


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ("cellar,jam,3,5\n", "row 2: no stream 'cellar'"),
        ("gate,slip,3,5\n", "unknown behaviour 'slip'; the model knows bump"),
        ("gate,jam,,\n", "'jam' needs the times"),
        ("gate,jam,3,\n", "are no event times"),
        ("gate,jam,soon,later\n", "'soon' to 'later' are no event times"),
        ("gate,jam,5,3\n", "row 2: event 5.0-3.0 s"),
        ("gate,jam,-1,3\n", "row 2: event"),
        ("gate,jam,nan,3\n", "must be finite"),
        ("gate,no-accident,1,3\n", "leave its times empty"),
        (",jam,1,3\n", "names no camera"),
        ("", "needs rows with the columns camera,behavior,start_s,end_s or path"),
    ],
)
def test_row_that_cannot_be_used_is_refused_with_its_place(folder: Path, rows: str, complaint: str) -> None:
    with pytest.raises(DataError) as caught:
        read(folder, CAMERAS + rows)
    assert complaint in str(caught.value) and "truth.csv" in str(caught.value)


def test_row_with_too_few_columns_is_refused(folder: Path) -> None:
    with pytest.raises(DataError, match="unknown behaviour ''"):
        read(folder, CAMERAS + "gate\n")


def test_name_of_two_streams_is_refused(folder: Path) -> None:
    (folder / "hall" / "gate.mp4").touch()
    with pytest.raises(DataError, match=r"'gate' may be gate\.mp4 or hall/gate\.mp4; write the path"):
        read(folder, CAMERAS + "gate,jam,1,2\n")
    assert list(read(folder, CAMERAS + "gate.mp4,jam,1,2\n").files) == ["gate.mp4"]


def test_truth_of_another_folder_is_refused(folder: Path) -> None:
    (folder.parent / "elsewhere.mp4").touch()
    with pytest.raises(DataError, match="names no stream below"):
        read(folder, CAMERAS + "elsewhere.mp4,jam,1,2\n")


def test_missing_table_other_columns_and_empty_folder_are_refused(folder: Path, tmp_path: Path) -> None:
    labels = {"behaviors": keys(BEHAVIORS), "normal": "no-accident"}
    with pytest.raises(DataError, match=r"none\.csv: cannot be read"):
        read_truth(folder, tmp_path / "none.csv", **labels)
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(DataError, match="cannot be read as CSV"):
        read_truth(folder, tmp_path / "binary.csv", **labels)
    with pytest.raises(DataError, match="needs rows"):
        read(folder, "file,label\ngate,jam\n")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no video"):
        read_truth(tmp_path / "empty", tmp_path / "truth.csv", **labels)
    with pytest.raises(DataError, match="no such folder"):
        read_truth(tmp_path / "gone", tmp_path / "truth.csv", **labels)
