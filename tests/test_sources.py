"""What a user names → cameras."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jikimi.errors import SettingsError
from jikimi.watch.sources import find_cameras


def test_names_are_distinct_and_free_of_credentials() -> None:
    cameras = find_cameras(
        [
            "rtsp://admin:p@ss/w?rd@10.0.0.7:554/live/1",
            "rtsp://10.0.0.7:554/live/1?password=S3cret",
            "http://cam/user=a_password=S3cret_channel=1.sdp",
            "rtsp://cam/?password=S3cret@x",
        ]
    )
    assert [c.name for c in cameras] == ["10.0.0.7-554-live-1", "10.0.0.7-554-live-1-2", "cam", "camera"]
    assert all(c.live and "S3cret" not in f"{c}" and "w?rd" not in f"{c}" for c in cameras)
    assert cameras[0].address.reveal().startswith("rtsp://admin:p@ss")


@given(
    st.lists(st.sampled_from(["rtsp://a/x", "rtsp://a/x-2", "rtsp://u:p@a/x", "http://a?k=1"]), min_size=1)
)
def test_no_two_cameras_share_a_name(sources: list[str]) -> None:
    names = [camera.name for camera in find_cameras(sources)]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("sources", "says"),
    [
        ([], "nothing to watch"),
        (["/no/such/file.mp4"], "no such file"),
        (["concat:a.mp4|b.mp4"], "no such file"),
        (["file:///etc/passwd"], "is not watched"),
        (["subfile://u:S3cret@x"], "is not watched"),
    ],
)
def test_source_that_cannot_be_watched_is_refused_in_words(sources: list[str], says: str) -> None:
    with pytest.raises(SettingsError, match=says) as refused:
        find_cameras(sources)
    assert "S3cret" not in str(refused.value)


def test_folder_without_videos_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no videos"):
        find_cameras([str(tmp_path)])
