"""What the readers make of AI Hub trees, class folders and annotations, before anything is decoded."""

import json
import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aihub_tree import SIX, AihubTree, miniature, stub
from jikimi.behaviors import BEHAVIORS, Behavior
from jikimi.clip import Clip
from jikimi.data.grouping import Named, names_of, recording_groups
from jikimi.data.ingest import Layout, ModalityChoice, check_sources, detect, ingest
from jikimi.data.source import Ingested
from jikimi.errors import DataError


def read(
    *roots: Path,
    layout: Layout = "auto",
    annotations: Path | None = None,
    modality: ModalityChoice = "rgb",
) -> Ingested:
    return ingest(
        check_sources(roots),
        layout=layout,
        annotations=annotations,
        modality=modality,
        behaviors=BEHAVIORS,
    )


def clip_named(found: Ingested, name: str) -> Clip:
    return next(clip for clip in found.clips if name in clip.source.name)


def reasons(found: Ingested) -> dict[str, str]:
    return {rejection.source.name: rejection.reason for rejection in found.rejections}


# --- AI Hub ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_aihub_tree_is_recognised_and_read_whole(tmp_path: Path, form: str) -> None:
    miniature(tmp_path, film=stub, form=form)
    found = read(tmp_path)
    assert found.layout == "aihub"
    assert not found.rejections
    assert len(found.clips) == 6 * 5
    assert {clip.behavior for clip in found.clips} == set(SIX)


def test_every_depth_of_an_aihub_tree_can_be_given(tmp_path: Path) -> None:
    tree = miniature(tmp_path, film=stub)
    for folder in (tree.sources(), tree.sources("human-accident")):
        assert len(read(folder, layout="aihub").clips) == 30
    assert {clip.behavior for clip in read(tree.sources("human-accident", "jam"), layout="aihub").clips} == {
        "jam"
    }


def test_cameras_and_modalities_of_one_take_are_one_group(tmp_path: Path) -> None:
    miniature(tmp_path, film=stub)
    found = read(tmp_path, modality="all")
    takes = {clip.group for clip in found.clips if "bump" in clip.source.name and "0001" in clip.source.name}
    assert takes == {"bump_0001"}
    assert len({clip.group for clip in found.clips}) == 6 * 4


def test_modality_chooses_and_says_what_it_left_out(tmp_path: Path) -> None:
    miniature(tmp_path, film=stub)
    thermal = read(tmp_path, modality="thermal")
    assert [clip.modality for clip in thermal.clips] == ["thermal"]
    assert any("1 thermal clips left out" in remark for remark in read(tmp_path).remarks)
    assert len(read(tmp_path, modality="all").clips) == 31


@pytest.mark.parametrize(
    "spelling", ["thermal", "Thermal", "IR", "tir", "열화상", "열화상카메라", "rgb-thermal"]
)
def test_thermal_folder_is_recognised_however_it_is_spelled(tmp_path: Path, spelling: str) -> None:
    tree = AihubTree(tmp_path, film=stub, thermal=unicodedata.normalize("NFD", spelling))
    tree.video("jam", 1, modality="thermal")
    (clip,) = read(tmp_path, modality="all").clips
    assert clip.modality == "thermal"


def test_folder_of_fire_is_not_thermal(tmp_path: Path) -> None:
    stub(tmp_path / "hit" / "fire" / "a.mp4", 0)
    assert read(tmp_path).clips[0].modality == "rgb"


def test_label_with_byte_order_mark_is_kept_whole(tmp_path: Path) -> None:
    tree = AihubTree(tmp_path, film=stub)
    tree.video("bump", 1)
    path = tree.label("bump", tree.stem("bump", 1), weather={"맑음": [1, 2]})
    extra = json.loads(read(tmp_path).clips[0].extra)
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    assert extra == json.loads(path.read_text(encoding="utf-8-sig"))
    assert extra["meta_information"]["weather"] == {"맑음": [1, 2]}


def test_label_that_disagrees_with_the_folder_rejects_the_clip(tmp_path: Path) -> None:
    tree = AihubTree(tmp_path, film=stub)
    tree.video("bump", 1)
    tree.label("bump", tree.stem("bump", 1), event="hit")
    found = read(tmp_path)
    assert not found.clips
    assert "folder says 'bump', its label says 'hit'" in found.rejections[0].reason


@pytest.mark.parametrize(
    "event", ["fall-down", "Fall Down", "fall_down", "넘어짐", unicodedata.normalize("NFD", "넘어짐")]
)
def test_label_may_spell_the_behaviour_in_any_way(tmp_path: Path, event: str) -> None:
    tree = AihubTree(tmp_path, film=stub)
    tree.video("fall-down", 1)
    tree.label("fall-down", tree.stem("fall-down", 1), event=event)
    assert read(tmp_path).clips[0].notes == ""


def test_event_of_an_unknown_name_is_noted_not_judged(tmp_path: Path) -> None:
    tree = AihubTree(tmp_path, film=stub)
    tree.video("bump", 1)
    tree.label("bump", tree.stem("bump", 1), event="E-01")
    assert "'E-01' is no known behaviour" in read(tmp_path).clips[0].notes


def test_file_name_that_disagrees_with_the_folder_rejects_the_clip(tmp_path: Path) -> None:
    tree = AihubTree(tmp_path, film=stub)
    path = tree.video("bump", 1)
    path.rename(path.with_name("human-accident_jam_rgb_0001_cctv1.mp4"))
    assert "its file name says 'jam'" in read(tmp_path).rejections[0].reason


@pytest.mark.parametrize("content", ["{", "[1]", "", "\ud800"])
def test_broken_label_leaves_the_clip_with_a_note(tmp_path: Path, content: str) -> None:
    tree = AihubTree(tmp_path, film=stub)
    tree.video("bump", 1)
    path = tree.label("bump", tree.stem("bump", 1))
    path.write_bytes(content.encode("utf-8", "surrogatepass"))
    (clip,) = read(tmp_path).clips
    assert clip.behavior == "bump"
    assert f"label {path.name} is no JSON" in clip.notes


def test_label_with_half_a_character_can_still_be_stored(tmp_path: Path) -> None:
    tree = AihubTree(tmp_path, film=stub)
    tree.video("bump", 1)
    path = tree.label("bump", tree.stem("bump", 1))
    path.write_text('{"meta_information": {"event": "\\ud800"}}')
    (clip,) = read(tmp_path).clips
    assert clip.extra.encode() and clip.notes.encode()
    assert json.loads(clip.extra) == {"meta_information": {"event": "\ud800"}}


def test_clip_without_a_label_among_labelled_ones_says_so(tmp_path: Path) -> None:
    miniature(tmp_path, film=stub)
    found = read(tmp_path)
    assert clip_named(found, "bump_rgb_0001_cctv2").notes == "no label"
    assert clip_named(found, "bump_rgb_0001_cctv1").notes == ""


def test_label_of_another_tree_of_the_same_name_is_not_mixed_up(tmp_path: Path) -> None:
    tree = AihubTree(tmp_path, film=stub)
    for behavior in ("bump", "jam"):
        path = tree.video(behavior, 1)
        path.rename(path.with_name("0001.mp4"))
        tree.label(behavior, "0001")
    assert not read(tmp_path).rejections


def test_folder_of_frames_takes_its_rate_from_the_label(tmp_path: Path) -> None:
    miniature(tmp_path, film=stub)
    clip = clip_named(read(tmp_path), "jam_rgb_0004")
    assert clip.source.is_dir()
    assert clip.source_fps == 20
    assert clip.notes == ""


def test_folder_of_frames_without_a_rate_is_taken_at_30_and_says_so(tmp_path: Path) -> None:
    AihubTree(tmp_path).frames("jam", 1, count=3)
    (clip,) = read(tmp_path).clips
    assert (clip.source_fps, clip.notes) == (30.0, "frames taken to be 30 a second")


def test_labels_of_single_pictures_are_kept_with_their_sequence(tmp_path: Path) -> None:
    tree = AihubTree(tmp_path)
    stem = tree.frames("jam", 1, count=2).name
    for index in (1, 2):
        tree.label("jam", f"{stem}_{index}", box=[index, 2, 3, 4])
    found = read(tmp_path)
    extra = json.loads(found.clips[0].extra)
    assert extra[f"{stem}_2.json"]["meta_information"]["box"] == [2, 2, 3, 4]
    assert not found.remarks


def test_recording_named_by_the_label_is_the_group(tmp_path: Path) -> None:
    tree = AihubTree(tmp_path, film=stub)
    tree.video("jam", 1)
    tree.label("jam", tree.stem("jam", 1), scenario_id="A-7")
    assert read(tmp_path).clips[0].group == "A-7"


def test_other_categories_are_counted_and_ignored(tmp_path: Path) -> None:
    miniature(tmp_path, film=stub)
    found = read(tmp_path)
    assert "rule-violation: 1 clips of another category ignored" in found.remarks
    assert not any("rule-violation" in str(clip.source) for clip in found.clips)


def test_labels_without_clips_are_counted(tmp_path: Path) -> None:
    tree = AihubTree(tmp_path, film=stub)
    tree.video("jam", 1)
    tree.label("jam", tree.stem("jam", 7))
    assert "1 labels belong to no clip found here" in read(tmp_path).remarks


def test_unknown_behaviour_beside_known_ones_is_reported(tmp_path: Path) -> None:
    tree = AihubTree(tmp_path, film=stub)
    tree.video("jam", 1)
    tree.video("slip", 1)
    found = read(tmp_path)
    assert len(found.clips) == 1
    assert any("left out; known are bump" in rejection.reason for rejection in found.rejections)


# --- class folders --------------------------------------------------------------------------------------


def test_class_folders_by_key_korean_and_english_name(tmp_path: Path) -> None:
    names = (
        "bump",
        "02.넘어짐",
        "Fall_Off",
        unicodedata.normalize("NFD", "물체에 맞음"),
        "끼임",
        "no accident",
    )
    for name in names:
        stub(tmp_path / name / "a.mp4", 0)
    found = read(tmp_path)
    assert found.layout == "folders"
    assert sorted(clip.behavior for clip in found.clips) == sorted(SIX)


def test_unknown_folder_and_stray_clips_are_reported_with_their_number(tmp_path: Path) -> None:
    stub(tmp_path / "hit" / "a.mp4", 0)
    stub(tmp_path / "dance" / "deep" / "a.mp4", 0)
    stub(tmp_path / "dance" / "b.mp4", 0)
    stub(tmp_path / "stray.mp4", 0)
    told = reasons(read(tmp_path))
    assert "unknown behaviour 'dance': 2 clips left out" in told["dance"]
    assert "in no behaviour's folder: 1 clips left out" in told[tmp_path.name]


def test_what_is_no_video_is_rejected_and_hidden_files_are_not_spoken_of(tmp_path: Path) -> None:
    folder = tmp_path / "hit"
    stub(folder / "a.mp4", 0)
    for name in ("notes.txt", "Thumbs.db", "more.zip", "README", ".DS_Store", "._a.mp4", "a.json"):
        (folder / name).write_bytes(b"x")
    found = read(tmp_path)
    assert [clip.source.name for clip in found.clips] == ["a.mp4"]
    assert reasons(found) == {
        "notes.txt": "not a video (.txt)",
        "Thumbs.db": "not a video (.db)",
        "more.zip": "an archive; unpack it first",
        "README": "not a video (no ending)",
    }
    assert found.remarks == ["1 .json files are not read in this layout"]


def test_loose_pictures_and_pictures_beside_a_video_are_rejected(tmp_path: Path) -> None:
    for path in ("hit/1.jpg", "hit/2.jpg", "jam/seq/1.png"):
        stub(tmp_path / path, 0)
    stub(tmp_path / "jam/seq/seq.mp4", 0)
    told = reasons(read(tmp_path))
    assert told["hit"].startswith("2 loose pictures")
    assert told["seq"] == "1 pictures beside a video: the video is used"


def test_links_loops_and_odd_files_are_told(tmp_path: Path) -> None:
    folder = tmp_path / "src" / "hit"
    stub(folder / "a.mp4", 0)
    stub(tmp_path / "elsewhere" / "b.mp4", 0)
    (folder / "loop").symlink_to(folder)
    (folder / "up").symlink_to(tmp_path / "src")
    (folder / "self.mp4").symlink_to("self.mp4")
    (folder / "gone.mp4").symlink_to("nowhere.mp4")
    (folder / "outside").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(folder / "pipe.mp4")
    found = read(tmp_path / "src")
    assert sorted(clip.source.name for clip in found.clips) == ["a.mp4", "b.mp4"]
    told = reasons(found)
    assert told["gone.mp4"] == "a broken link"
    assert told["pipe.mp4"] == "neither a file nor a folder"
    assert told["loop"] == told["up"] == "a link to a folder that is read already"
    assert "self.mp4" in told


def test_file_name_that_is_not_utf8_is_rejected(tmp_path: Path) -> None:
    folder = tmp_path / "hit"
    folder.mkdir()
    stub(folder / os.fsdecode(b"\xff\xfe.mp4"), 0)
    (rejection,) = read(tmp_path).rejections
    assert "not valid UTF-8" in rejection.reason


def test_folder_that_may_not_be_read_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stub(tmp_path / "hit" / "a.mp4", 0)
    stub(tmp_path / "jam" / "a.mp4", 0)
    listing = Path.iterdir

    def refuse(path: Path) -> object:
        if path.name == "jam":
            raise PermissionError(13, "Permission denied", str(path))
        return listing(path)

    monkeypatch.setattr(Path, "iterdir", refuse)  # the tests may run as root, whom nothing is denied
    found = read(tmp_path)
    assert len(found.clips) == 1
    assert reasons(found) == {"jam": "cannot be read: Permission denied"}


def test_prepared_data_set_is_no_source(tmp_path: Path) -> None:
    stub(tmp_path / "hit" / "a.mp4", 0)
    (tmp_path / "data" / ".prepare").mkdir(parents=True)
    stub(tmp_path / "data" / "frames" / "hit" / "clip" / "000001.jpg", 0)
    assert [clip.source.name for clip in read(tmp_path).clips] == ["a.mp4"]
    with pytest.raises(DataError, match="already prepared"):
        read(tmp_path / "data")


def test_sources_inside_one_another_give_each_clip_once(tmp_path: Path) -> None:
    stub(tmp_path / "hit" / "a.mp4", 0)
    assert len(read(tmp_path, tmp_path / "hit").clips) == 1


@pytest.mark.parametrize("name", ["missing", "a.mp4"])
def test_source_that_is_neither_folder_nor_csv_is_refused(tmp_path: Path, name: str) -> None:
    stub(tmp_path / "a.mp4", 0)
    with pytest.raises(DataError, match=name):
        read(tmp_path / name)


def test_own_label_set_is_used(tmp_path: Path) -> None:
    stub(tmp_path / "dancing" / "a.mp4", 0)
    labels = (Behavior("dancing", "춤", "dancing", "", 1), Behavior("idle", "대기", "idle", "", 0))
    found = ingest([tmp_path], layout="folders", annotations=None, modality="rgb", behaviors=labels)
    assert [clip.behavior for clip in found.clips] == ["dancing"]


# --- annotations ----------------------------------------------------------------------------------------


def annotate(root: Path, *lines: str, header: str = "path,behavior,event_start_s,event_end_s,group") -> Path:
    root.mkdir(parents=True, exist_ok=True)
    path = root / "annotations.csv"
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8-sig")
    return path


def test_csv_gives_event_group_and_keeps_other_columns(tmp_path: Path) -> None:
    stub(tmp_path / "a b.mp4", 0)
    header = "path,behavior,event_start_s,event_end_s,group,licence_tier,shows"
    annotate(tmp_path, 'a b.mp4,fall-down,0.5,2,room/S1,A,"넘어짐, 앞으로"', header=header)
    found = read(tmp_path)
    (clip,) = found.clips
    assert found.layout == "csv"
    assert clip.event is not None and (clip.event.start_s, clip.event.end_s) == (0.5, 2.0)
    assert clip.group == "room"
    assert not clip.evaluation_only
    assert json.loads(clip.extra) == {"shows": "넘어짐, 앞으로"}


@pytest.mark.parametrize(
    ("tier", "evaluation_only"), [("A", False), ("", False), ("a", False), ("B", True), ("?", True)]
)
def test_any_licence_but_a_is_for_evaluation_only(tmp_path: Path, tier: str, evaluation_only: bool) -> None:
    stub(tmp_path / "a.mp4", 0)
    annotate(tmp_path, f"a.mp4,hit,{tier}", header="path,behavior,licence_tier")
    assert read(tmp_path).clips[0].evaluation_only is evaluation_only


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("a.mp4,sleep,,,", "unknown behaviour 'sleep'; known are bump"),
        ("a.mp4,hit,-1,2,", "must be at or after 0"),
        ("a.mp4,hit,3,2,", "before the end"),
        ("a.mp4,hit,2,2,", "before the end"),
        ("a.mp4,hit,nan,2,", "finite"),
        ("a.mp4,hit,1,,", "only one of"),
        ("a.mp4,hit,one,2,", "'one' is not a number"),
        ("b.mp4,hit,,,", "no such file"),
        ("a.txt,hit,,,", "not a video"),
        (",hit,,,", "row 2 has no path"),
        ("a.mp4,hit", "more or fewer cells"),
        ("a.mp4,hit,,,,,", "more or fewer cells"),
    ],
)
def test_bad_row_is_rejected_with_its_reason(tmp_path: Path, line: str, reason: str) -> None:
    stub(tmp_path / "a.mp4", 0)
    stub(tmp_path / "a.txt", 0)
    annotate(tmp_path, line)
    found = read(tmp_path)
    assert not found.clips
    assert reason in found.rejections[0].reason


def test_event_of_a_normal_clip_is_ignored_with_a_note(tmp_path: Path) -> None:
    stub(tmp_path / "a.mp4", 0)
    annotate(tmp_path, "a.mp4,no-accident,1,2,")
    (clip,) = read(tmp_path).clips
    assert clip.event is None
    assert "ignored" in clip.notes


def test_csv_finds_files_whose_korean_names_are_composed_otherwise(tmp_path: Path) -> None:
    stub(tmp_path / unicodedata.normalize("NFD", "넘어짐.mp4"), 0)
    annotate(tmp_path, unicodedata.normalize("NFC", "넘어짐.mp4") + ",fall-down,,,")
    assert len(read(tmp_path).clips) == 1


def test_clips_that_are_not_listed_are_counted_and_left_out(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4", "seq/1.jpg"):
        stub(tmp_path / name, 0)
    annotate(tmp_path, "a.mp4,hit,,,")
    found = read(tmp_path)
    assert len(found.clips) == 1
    assert "2 clips are in the folder but not in annotations.csv: left out" in found.remarks


def test_csv_may_name_a_folder_of_frames_and_its_rate(tmp_path: Path) -> None:
    stub(tmp_path / "seq" / "1.jpg", 0)
    annotate(tmp_path, "seq,hit,25", header="path,behavior,fps")
    assert read(tmp_path).clips[0].source_fps == 25


def test_csv_apart_from_the_clips(tmp_path: Path) -> None:
    stub(tmp_path / "clips" / "a.mp4", 0)
    csv = annotate(tmp_path / "notes", "a.mp4,hit,,,")
    assert read(tmp_path / "clips", annotations=csv).clips[0].source == tmp_path / "clips" / "a.mp4"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"path,label\na.mp4,hit\n", "no column 'behavior'"),
        (b"", "no column 'path'"),
        ("path,behavior\n가.mp4,hit\n".encode("cp949"), "save it as 'CSV UTF-8'"),
        (b'path,behavior\n"a.mp4,hit\n', "no CSV"),
    ],
)
def test_unusable_csv_is_one_clear_error(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "annotations.csv").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read(tmp_path)


def test_layout_csv_without_a_csv_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--annotations"):
        read(tmp_path, layout="csv")


def test_real_annotations_are_read_without_loss(real_clips: Path) -> None:
    found = read(real_clips)
    assert detect(real_clips) == "csv"
    assert len(found.clips) == 64
    assert not found.rejections and not found.remarks
    assert {clip.group for clip in found.clips if clip.behavior == "fall-down"} == {"gm-roomA", "gm-roomB"}
    assert all(clip.evaluation_only == ("evaluation-only" in str(clip.source)) for clip in found.clips)


# --- groups by name -------------------------------------------------------------------------------------


def test_pieces_of_a_recording_are_one_group() -> None:
    stems = ["cam1_0001", "cam1_0002", "cam2_0001"]
    groups = recording_groups([Named("hit", names_of((), stem)) for stem in stems])
    assert groups == ["cam1", "cam1", "cam2"]


def test_counter_behind_a_name_all_share_tells_clips_apart() -> None:
    groups = recording_groups([Named("hit", names_of((), f"hit_{i:03d}")) for i in range(3)])
    assert groups == ["hit_000", "hit_001", "hit_002"]


def test_folder_of_a_subject_is_the_group() -> None:
    clips = [Named("hit", names_of([subject], f"take{i}")) for subject in ("S1", "S2") for i in range(2)]
    assert recording_groups(clips) == ["S1", "S1", "S2", "S2"]


def test_folder_that_holds_everything_is_not_the_group() -> None:
    clips = [Named("hit", names_of(["videos"], f"{name}_{i}")) for name in ("cam1", "cam2") for i in range(2)]
    assert recording_groups(clips) == ["videos/cam1", "videos/cam1", "videos/cam2", "videos/cam2"]


def test_thermal_sibling_is_of_the_same_group() -> None:
    clips = [
        Named("hit", names_of((), stem)) for stem in ("a_rgb_1", "a_thermal_1", "b_rgb_1", "b_thermal_1")
    ]
    assert recording_groups(clips) == ["a", "a", "b", "b"]


@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.from_regex(r"\A[a-c]{1,2}[_-]?\d{0,2}\Z")),
        min_size=1,
        max_size=12,
    )
)
def test_clips_of_one_name_always_share_a_group(pairs: list[tuple[str, str]]) -> None:
    groups = recording_groups([Named(behavior, names_of((), stem)) for behavior, stem in pairs])
    by_stem: dict[str, set[str]] = {}
    for (_, stem), group in zip(pairs, groups, strict=True):
        by_stem.setdefault(stem, set()).add(group)
    assert all(len(found) == 1 for found in by_stem.values())
