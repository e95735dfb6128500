"""`jikimi.toml` and the environment: every value checks itself, and no secret is ever shown."""

import json
import traceback
from datetime import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from jikimi.address import Address
from jikimi.errors import SettingsError
from jikimi.settings import CameraSettings, Settings
from jikimi.settings_file import load_settings, secret_key

CAMERA = '[[camera]]\nname = "press-3"\naddress = "rtsp://admin:pw@10.0.0.3/main"\n'
ZONE, MASK = CAMERA + "[[camera.zone]]\nname = 'z'\n", CAMERA + "[[camera.mask]]\n"
CORNER = "polygon = [[0, 0], [1, 1], [1, 0]]\n"
HOOK = "[[target]]\nname = 'a'\nkind = 'webhook'\n"
EVERYTHING = """
[site]
name = "안산 1공장"
language = "en"
data = "kept"
time_zone = "Asia/Seoul"
[model]
bundle = "own.jikimi"
threads = 2
batch_wait_ms = 5
[store]
url = "postgresql://jikimi:pw@db/jikimi"
key_file = "keys/jikimi.key"
[serve]
host = "0.0.0.0"
port = 9000
[evidence]
pre_roll_s = 5
post_roll_s = 20
keep_days = 7
max_gb = 10
min_free_gb = 2
[health]
offline_s = 5
frozen_s = 20
[alerts]
lists = [["hook"], ["mail", "broker"]]
escalate_after_s = 60
[pulse]
url = "https://hc-ping.com/0000"
every_s = 60
[[camera]]
name = "press-3"
address = "rtsp://admin:pw@10.0.0.3/main"
sub = "rtsp://admin:pw@10.0.0.3/sub"
transport = "udp"
behaviors = ["jam", "fall-down"]
theta_on = { jam = 0.7 }
pre_roll_s = 3
post_roll_s = 4
enabled = false
[[camera.zone]]
name = "feeder"
polygon = [[0, 0], [0.5, 0], [0.5, 1]]
[[camera.mask]]
polygon = [[0, 0], [0.1, 0], [0.1, 0.1]]
kind = "blacken"
[[camera.hours]]
days = ["mon", "fri"]
start = 22:00:00
end = 06:00:00
[[target]]
name = "hook"
kind = "webhook"
url = "https://plant.example/alarm"
secret = "shared"
[[target]]
name = "mail"
kind = "apprise"
url = "mailtos://user:pw@mail.example"
faults = false
[[target]]
name = "broker"
kind = "mqtt"
url = "mqtts://user:pw@broker.example"
topic = "plant"
discovery = "ha"
[[shift]]
name = "night"
hours = { start = "22:00", end = "06:00" }
[[token]]
name = "dashboard"
sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
role = "operator"
cameras = ["press-3"]
"""


def load(folder: Path, text: str, **environment: str) -> Settings:
    (folder / "jikimi.toml").write_text(text, encoding="utf-8")
    return load_settings(folder / "jikimi.toml", environment=environment)


def refusal(folder: Path, text: str, **environment: str) -> str:
    """The one line with which settings are refused, without the file."""
    with pytest.raises(SettingsError) as caught:
        load(folder, text, **environment)
    words = str(caught.value)
    assert words.startswith(f"{folder / 'jikimi.toml'}: ") and "\n" not in words
    return words.removeprefix(f"{folder / 'jikimi.toml'}: ")


def test_every_key_is_read(tmp_path: Path) -> None:
    found = load(tmp_path, EVERYTHING)
    assert (found.site.name, found.site.language) == ("안산 1공장", "en")
    assert found.site.data == tmp_path / "kept" and found.evidence_folder == tmp_path / "kept" / "evidence"
    assert found.model.bundle == tmp_path / "own.jikimi" and found.model.batch_wait_ms == 5
    assert found.key_file == tmp_path / "keys" / "jikimi.key"
    assert found.store_url == "postgresql://jikimi:pw@db/jikimi"
    (camera,) = found.cameras
    assert camera.sub is not None and camera.sub.reveal() == "rtsp://admin:pw@10.0.0.3/sub"
    assert (camera.transport, camera.behaviors, camera.theta_on) == (
        "udp",
        ("jam", "fall-down"),
        {"jam": 0.7},
    )
    assert camera.zones[0].name == "feeder" and camera.masks[0].kind == "blacken"
    assert (camera.hours[0].days, camera.hours[0].start) == (("mon", "fri"), time(22))
    assert found.alert_lists == (("hook",), ("mail", "broker"))
    assert [target.faults for target in found.targets] == [True, False, True]
    assert found.shifts[0].hours.end == time(6) and found.tokens[0].role == "operator"
    zone = found.zone()
    assert zone is not None and zone.key == "Asia/Seoul"


def test_nothing_at_all_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = load_settings(environment={})
    assert (found.serve.host, found.serve.port, found.site.language) == ("127.0.0.1", 8710, "ko")
    assert found.store_url == f"sqlite:///{tmp_path / 'jikimi-data' / 'jikimi.db'}"
    assert found.alert_lists == () and found.zone() is None and found.cameras == ()
    assert load(tmp_path, "\ufeff" + CAMERA).cameras[0].name == "press-3"  # as Windows' editor saves it


def test_one_list_of_everybody_where_no_lists_are_given(tmp_path: Path) -> None:
    targets = [f'[[target]]\nname = "{name}"\nkind = "apprise"\nurl = "json://h"\n' for name in "ab"]
    assert load(tmp_path, "".join(targets)).alert_lists == (("a", "b"),)


def test_paths_count_from_the_file_and_addresses_stay(tmp_path: Path) -> None:
    film = '[[camera]]\nname = "film"\naddress = "films/a.mp4"\n'
    more = film + '[[camera]]\nname = "usb"\naddress = "/dev/video0"\n'
    addresses = [camera.address.reveal() for camera in load(tmp_path, CAMERA + more).cameras]
    assert addresses == ["rtsp://admin:pw@10.0.0.3/main", str(tmp_path / "films/a.mp4"), "/dev/video0"]


def test_midnight_may_be_called_24(tmp_path: Path) -> None:
    camera = CAMERA + '[[camera.hours]]\nstart = "08:00"\nend = "24:00"\n'
    assert load(tmp_path, camera).cameras[0].hours[0].end == time.max


@pytest.mark.parametrize(
    ("variables", "key", "value"),
    [
        ({"JIKIMI_SERVE__PORT": "9001"}, "serve.port", 9001),
        ({"JIKIMI_SERVE__HOST": "0.0.0.0"}, "serve.host", "0.0.0.0"),
        ({"JIKIMI_SITE__NAME": "공장"}, "site.name", "공장"),
        ({"JIKIMI_EVIDENCE__KEEP_DAYS": "1.5"}, "evidence.keep_days", 1.5),
        ({"JIKIMI_MODEL__THREADS": "3"}, "model.threads", 3),
        ({"JIKIMI_HEALTH__OFFLINE_S": "30"}, "health.offline_s", 30),
        ({"JIKIMI_ALERTS__ESCALATE_AFTER_S": "5"}, "alerts.escalate_after_s", 5),
        ({"jikimi_serve__port": "1"}, "serve.port", 8710),  # not ours: names are upper case
        ({"JIKIMI_REQUIRE": "rtsp", "JIKIMI_KEY": "x"}, "serve.port", 8710),
        ({"JIKIMI_CAMERA__NAME": "x"}, "serve.port", 8710),  # lists are the file's
    ],
)
def test_environment_stands_over_the_file(
    tmp_path: Path, variables: dict[str, str], key: str, value: object
) -> None:
    found: object = load(tmp_path, "[evidence]\nkeep_days = 90\n", **variables)
    for part in key.split("."):
        found = getattr(found, part)
    assert found == value


def test_secrets_may_come_from_the_environment(tmp_path: Path) -> None:
    url = "postgresql://u:pw@h/x"
    assert load(tmp_path, "", JIKIMI_STORE__URL=url).store_url == url
    assert secret_key({"JIKIMI_KEY": "abc"}) == "abc"
    assert secret_key({"JIKIMI_KEY": ""}) is None and secret_key({}) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[sit]\n", "sit: no such setting; see docs/operations.md"),
        ("[site]\ncolour = 1\n", "site.colour: no such setting"),
        ("[site]\nlanguage = 'fr'\n", "site.language: Input should be 'ko' or 'en'"),
        ("[site]\ntime_zone = 'Seoul'\n", "site: time_zone 'Seoul' is not known; for example Asia/Seoul"),
        ("[site]\nname = 'a/b'\n", "site.name: "),
        ("[site]\nname = ''\n", "site.name: "),
        ("[serve]\nport = 70000\n", "serve.port: Input should be less than or equal to 65535"),
        ("[serve]\nport = 'http'\n", "serve.port: Input should be a valid integer"),
        ("[evidence]\nkeep_days = 0\n", "evidence.keep_days: Input should be greater than 0"),
        ("[evidence]\npre_roll_s = 61\n", "evidence.pre_roll_s: "),
        ("[evidence]\nmax_gb = nan\n", "evidence.max_gb: "),
        ("[model]\nthreads = -1\n", "model.threads: "),
        ("[pulse]\nurl = 'ftp://x'\n", "pulse.url: an http:// or https:// address is expected"),
        ("[pulse]\nevery_s = 0\n", "pulse.every_s: "),
        ("[[camera]]\naddress = 'rtsp://h/x'\n", "camera number 1.name: missing; give it a value"),
        ("[[camera]]\nname = 'a'\n", "camera 'a'.address: missing; give it a value"),
        ("[[camera]]\nname = 'a'\naddress = 5\n", "camera 'a'.address: an address, a file or a device"),
        (CAMERA + "sub = ''\n", "camera 'press-3'.sub: an address, a file or a device is expected"),
        (CAMERA + "theta_on = { jam = 2 }\n", "camera 'press-3'.theta_on.jam: "),
        (ZONE + "polygon = [[0, 0], [1, 1]]\n", "camera 'press-3'.zone 'z'.polygon"),
        (MASK + "polygon = [[0, 0], [2, 1], [1, 1]]\n", "camera 'press-3'.mask number 1.polygon"),
        (ZONE + CORNER + ZONE.removeprefix(CAMERA) + CORNER, "camera 'press-3': zone 'z' occurs twice"),
        (CAMERA + "[[camera.hours]]\ndays = ['Monday']\n", "camera 'press-3'.hours number 1.days number 1: "),
        (CAMERA + "[[camera.hours]]\nend = '25:00'\n", "camera 'press-3'.hours number 1.end: "),
        (CAMERA + CAMERA, "camera 'press-3' occurs twice; rename one"),
        ("[[target]]\nname = 'a'\nkind = 'pager'\nurl = 'x://y'\n", "target 'a'.kind: "),
        (HOOK + "url = 'http://h'\n", "target 'a': secret: a webhook is signed"),
        (HOOK + "url = 'h'\nsecret = 's'\n", "target 'a': url: a webhook takes"),
        ("[[target]]\nname = 'a'\nkind = 'mqtt'\nurl = 'http://h'\n", "target 'a': url: a broker is mqtt://host"),
        ("[alerts]\nlists = [['a']]\n", "alerts.lists names 'a', which is no [[target]]"),
        ("[[token]]\nname = 'a'\nsha256 = 'plain'\n", "token 'a'.sha256: String should match"),
        ("[[shift]]\nname = 'a'\n", "shift 'a'.hours: missing"),
        ("camera = 5\n", "camera: "),
        ("site = 'Ansan'\n", "site: "),
        ("[site\n", "Expected"),
        ("[site]\nname = 'a'\nname = 'b'\n", "Cannot overwrite a value"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line_with_its_key(tmp_path: Path, text: str, words: str) -> None:
    assert words in refusal(tmp_path, text)


def test_file_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.toml: No such file or directory; give --config FILE"):
        load_settings(tmp_path / "none.toml", environment={})
    (tmp_path / "jikimi.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match=r"jikimi\.toml: 'utf-8' codec"):
        load_settings(tmp_path / "jikimi.toml", environment={})
    assert "serve.port" in refusal(tmp_path, "", JIKIMI_SERVE__PORT="many")


# --- secrets

# Each begins and ends with a mark, so that a part of it is found too and no ordinary word is taken for it.
NASTY = st.text(
    st.characters(codec="utf-8", exclude_characters="\x7f", exclude_categories=["Cc", "Cs"]), max_size=20
).map(lambda text: f"Zq7{text}Kx9")


def is_free_of_secrets(shown: str) -> bool:
    return "Zq7" not in shown and "Kx9" not in shown


def toml_with(secret: str) -> str:
    """Settings that hold a secret wherever there may be one."""
    quoted = json.dumps(secret, ensure_ascii=False)
    at = json.dumps(f"rtsp://admin:{secret}@10.0.0.3/main", ensure_ascii=False)
    query = json.dumps(f"http://10.0.0.3/v?password={secret}", ensure_ascii=False)
    mqtt = json.dumps(f"mqtt://u:{secret}@h", ensure_ascii=False)
    hook = json.dumps(f"https://h/{secret}", ensure_ascii=False)
    return (
        f"[store]\nurl = {json.dumps(f'postgresql://u:{secret}@h/x', ensure_ascii=False)}\n"
        f"[pulse]\nurl = {hook}\n"
        f'[[camera]]\nname = "c"\naddress = {at}\nsub = {query}\n'
        f'[[target]]\nname = "m"\nkind = "mqtt"\nurl = {mqtt}\n'
        f'[[target]]\nname = "w"\nkind = "webhook"\nurl = {hook}\nsecret = {quoted}\n'
    )


@given(secret=NASTY)
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_secret_is_in_any_form_of_the_settings(tmp_path: Path, secret: str) -> None:
    found = load(tmp_path, toml_with(secret))
    assert found.cameras[0].address.reveal() == f"rtsp://admin:{secret}@10.0.0.3/main"
    for shown in (
        repr(found),
        str(found),
        repr(found.cameras),
        f"{found.targets}",
        found.cameras[0].__repr__(),
    ):
        assert is_free_of_secrets(shown)
    for shown in (str(found.cameras[0].address), str(found.cameras[0].sub)):
        assert is_free_of_secrets(shown)


# Something is wrong elsewhere in the file, at every kind of place.
WRONG = [
    "[[camera]]\n",
    "[sit]\n",
    "[health]\nfrozen_s = -1\n",
    "[[target]]\nname = 'm'\nkind = 'mqtt'\nurl = 'x'\n",
]


@given(secret=NASTY, wrong=st.sampled_from(WRONG))
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_secret_is_in_what_is_said_of_mistakes(tmp_path: Path, secret: str, wrong: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, toml_with(secret) + wrong)
    assert is_free_of_secrets("".join(traceback.format_exception(caught.value)))


@given(secret=NASTY, key=st.sampled_from(["address", "sub", "name", "transport", "zone", "hours"]))
def test_a_secret_in_the_wrong_place_is_not_quoted(secret: str, key: str) -> None:
    raw = {"name": "c", "address": "rtsp://h/x"} | {key: [secret]}
    with pytest.raises(SettingsError) as caught:
        _load_raw(raw)
    assert is_free_of_secrets(str(caught.value))


def _load_raw(camera: dict[str, object]) -> None:
    from tempfile import TemporaryDirectory

    rows = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in camera.items()]
    with TemporaryDirectory() as folder:
        load(Path(folder), "[[camera]]\n" + "\n".join(rows))


def test_settings_do_not_change() -> None:
    camera = CameraSettings(name="a", address=Address("rtsp://h/x"))
    with pytest.raises(ValueError, match="frozen"):
        camera.name = "b"
