"""What may be shown of a camera's address."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jikimi.address import Address, is_network, redact, redact_text

NASTY = st.text(st.sampled_from("aB7@:/?#&=%;, _-.\\'\"$[]가\n"), min_size=4, max_size=20).map(
    lambda text: f"S3cr{text}et9"
)


@given(password=NASTY, user=st.sampled_from(["admin", "관리자", "a@b", ""]))
@example(password="S3cr://x@y/et9", user="admin")
def test_password_before_the_host_never_shows(password: str, user: str) -> None:
    address = Address(f"rtsp://{user}:{password}@10.0.0.7:554/stream1")
    for shown in (str(address), repr(address), f"{address}", redact(address.reveal())):
        assert password not in shown and "S3cr" not in shown and "et9" not in shown
    assert str(address) == "rtsp://***@10.0.0.7:554/stream1"
    assert address.reveal().endswith("@10.0.0.7:554/stream1")


@given(password=NASTY, key=st.sampled_from(["password", "pwd", "token", "api_key", "PASS", "auth.pw"]))
def test_password_in_a_parameter_never_shows(password: str, key: str) -> None:
    for address in (
        f"http://cam/video.cgi?channel=1&{key}={password}&subtype=0",
        f"rtsp://cam:554/user=admin_{key}={password}_channel=1_stream=0.sdp",
    ):
        assert "S3cr" not in redact(address) and "et9" not in redact(address)


@pytest.mark.parametrize(
    "address",
    ["rtsp://admin:S3crpass=et9@cam/1", "http://cam/x?pwd=S3cr@et9", "rtsp://u:a/S3cr?key=b@et9@cam"],
)
def test_where_credentials_end_is_unsure_nothing_shows(address: str) -> None:
    assert redact(address).endswith("://***")


@given(NASTY)
def test_password_in_free_text_never_shows(password: str) -> None:
    address = Address(f"rtsp://admin:{password}@cam/1")
    text = f"[Errno 111] Connection refused: '{address.reveal()}' and again {address.reveal()}"
    assert "S3cr" not in redact_text(text, [address])
    assert "Connection refused" in redact_text(text, [address])


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("rtsp://10.0.0.7/a", "rtsp://10.0.0.7/a"),
        ("rtsp://token@10.0.0.7/a", "rtsp://***@10.0.0.7/a"),
        ("http://cam/mjpg?channel=2", "http://cam/mjpg?channel=2"),
        ("/videos/a@b password=x.mp4", "/videos/a@b password=x.mp4"),
        ("C:/videos/x.mp4", "C:/videos/x.mp4"),
    ],
)
def test_only_credentials_are_hidden(address: str, shown: str) -> None:
    assert redact(address) == shown


def test_a_path_is_no_address() -> None:
    assert not is_network("/dev/video0")
    assert Address("/dev/video0").scheme == ""
    assert Address("RTSP://cam").scheme == "rtsp"
