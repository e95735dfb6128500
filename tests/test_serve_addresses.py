"""Which addresses callers may enter."""

import threading
import time
from pathlib import Path

import pytest

from jikimi.address import Address
from jikimi.errors import SettingsError
from jikimi.serve import addresses
from jikimi.serve.addresses import host_of, look_up, refusal, usable


def enter(text: str, media: Path = Path("/nowhere"), *, loopback: bool = False, ips: str = "") -> Address:
    def resolve(host: str) -> list[str]:
        return ips.split() or look_up(host)

    return usable(Address(text), media=media, allow_loopback=loopback, resolve=resolve)


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("rtsp://10.0.0.5/live", "10.0.0.5"),
        ("RTSP://admin:p@ss:w%2F@cam-1.local:554/live?x=1", "cam-1.local"),
        ("https://user:한글 비밀@192.168.0.9:8443", "192.168.0.9"),
        ("srt://[2001:db8::1]:9000?mode=caller", "2001:db8::1"),
        ("rtmp://cam/live#x", "cam"),
    ],
)
def test_the_host_is_the_one_that_ffmpeg_goes_to(text: str, host: str) -> None:
    assert host_of(Address(text)) == host


@pytest.mark.parametrize(
    "text",
    [
        "rtsp://10.0.0.5/x@169.254.169.254/",  # a reader that takes the last '@' goes elsewhere
        "rtsp://169.254.169.254?@10.0.0.5/", "rtsp://169.254.169.254#@10.0.0.5/",
        "http://10.0.0.5\\@127.0.0.1/", "http://10.0.0.5\n.evil/", "http://10.0.0.5\0/", "http:///x",
        "http://",
        "rtsp://admin:p/w@10.0.0.5/", "rtsp://a:b@", "http://10.0.0.5:0/", "http://10.0.0.5:99999/",
        "http://10.0.0.5:80:90/", "http://[::1/", "http://[fe80::1%25eth0]/", "http://%31%30.0.0.5/",
        "http://①②⑦.0.0.1/", "http://a b/", "srt://10.0.0.5:9?mode=listener",
        "srt://10.0.0.5:9?MODE=Rendezvous",
        "udp://10.0.0.5:1", "file:///etc/passwd", "tcp://10.0.0.5:22", "concat://x", "ftp://10.0.0.5/",
        "rtsp+x://10.0.0.5/", "rtsp://***:***@10.0.0.5/",
    ],
)  # fmt: skip
def test_addresses_that_mislead_are_refused(text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        enter(text, ips="10.0.0.5")
    assert "p/w" not in str(caught.value)


@pytest.mark.parametrize(
    "ip",
    [
        "127.0.0.1", "127.9.9.9", "::1", "0.0.0.0", "0.1.2.3", "::", "169.254.169.254", "169.254.0.1",
        "fe80::1",
        "fe80::1%eth0", "224.0.0.1", "239.1.1.1", "ff02::1", "255.255.255.255", "240.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "::7f00:1",
        "fd00:ec2::254",
    ],
)  # fmt: skip
def test_machines_that_are_no_cameras_are_refused(ip: str) -> None:
    assert refusal(ip, allow_loopback=False)


@pytest.mark.parametrize(
    "ip", ["10.0.0.5", "192.168.1.2", "172.20.0.1", "203.0.113.7", "2001:db8::1", "fd12::5"]
)
def test_cameras_of_this_and_other_networks_are_taken(ip: str) -> None:
    assert refusal(ip, allow_loopback=False) is None


def test_loopback_is_taken_where_it_is_allowed_and_nothing_else_with_it() -> None:
    for ip in ("127.0.0.1", "::1", "::ffff:127.0.0.1"):
        assert refusal(ip, allow_loopback=True) is None
    assert refusal("169.254.169.254", allow_loopback=True) and refusal("0.0.0.0", allow_loopback=True)
    assert enter("rtsp://127.0.0.1:554/", loopback=True)


@pytest.mark.parametrize("host", ["localhost", "127.1", "2130706433", "0x7f000001", "017700000001", "0"])
def test_other_ways_to_write_this_machine_are_refused(host: str) -> None:
    with pytest.raises(SettingsError, match=r"leads to|is not known"):
        enter(f"http://{host}/")


def test_one_forbidden_address_of_a_name_is_enough() -> None:
    with pytest.raises(SettingsError, match="leads to"):
        enter("rtsp://cam/", ips="10.0.0.5 169.254.169.254")


def test_a_name_server_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    hang = threading.Event()
    monkeypatch.setattr(addresses, "RESOLVE_LIMIT_S", 0.05)
    monkeypatch.setattr(addresses.socket, "getaddrinfo", lambda *_, **__: hang.wait(5) and [])
    begin_s = time.monotonic()
    with pytest.raises(SettingsError, match="not found in"):
        look_up("cam")
    assert time.monotonic() - begin_s < 1
    hang.set()


def test_a_name_that_is_not_known_says_so() -> None:
    with pytest.raises(SettingsError, match=r"cam\.invalid is not known"):
        look_up("cam.invalid")
    with pytest.raises(SettingsError, match="is not known"):
        look_up("a" * 70 + "..b")


def test_only_files_in_the_media_folder_are_taken(tmp_path: Path) -> None:
    media = tmp_path / "media"
    (media / "in").mkdir(parents=True)
    film, other = media / "in" / "a b.mp4", tmp_path / "other.mp4"
    film.touch()
    other.touch()
    (media / "out.mp4").symlink_to(other)
    (media / "away").symlink_to(tmp_path)
    (media / "round").symlink_to(media / "round")
    for text in ("in/a b.mp4", str(film), "in/../in/a b.mp4"):
        assert enter(text, media).reveal() == str(film)
    for text in (
        str(other), "../other.mp4", "out.mp4", "away/other.mp4", "round", "in", ".", "none.mp4",
        "/dev/video0", "0",
        "concat:in/a b.mp4", "file:in/a b.mp4", "pipe:0", "a\0b", "x" * 5000, " rtsp://10.0.0.5/", "\ud800",
    ):  # fmt: skip
        with pytest.raises(SettingsError, match="a file that lies in"):
            enter(text, media)
