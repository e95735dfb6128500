"""The label set."""

from pathlib import Path

import pytest

from jikimi.behaviors import BEHAVIORS, Behavior, check, keys, load_behaviors, normal_index
from jikimi.errors import SettingsError


def test_the_six_keep_their_order_and_names() -> None:
    assert keys(BEHAVIORS) == ("bump", "fall-down", "fall-off", "hit", "jam", "no-accident")
    assert [b.korean for b in BEHAVIORS] == ["충돌", "넘어짐", "추락", "물체에 맞음", "끼임", "정상"]
    assert normal_index(BEHAVIORS) == 5
    assert check(BEHAVIORS, where="here") == BEHAVIORS


def test_file_of_the_users_own_behaviours_is_read(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        '\ufeff[[behavior]]\nkey = "slip"\nkorean = "미끄러짐"\nseverity = 2\n'
        '[[behavior]]\nkey = "fine"\nseverity = 0\n',
        encoding="utf-8",
    )
    slip, fine = load_behaviors(path)
    assert slip == Behavior("slip", "미끄러짐", "slip", "", 2)
    assert fine.is_normal


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "write one"),
        ("behavior = 3", "write one"),
        ("nonsense [", "Expected|Invalid"),
        ('[[behavior]]\nkey = "a"', "needs key and severity"),
        ('[[behavior]]\nkey = "A b"\nseverity = 1', "use a-z"),
        ('[[behavior]]\nkey = "a"\nseverity = 9', "not 0 to 3"),
        ('[[behavior]]\nkey = "a"\nseverity = 0', "at least two"),
        ('[[behavior]]\nkey = "a"\nseverity = 1\n[[behavior]]\nkey = "a"\nseverity = 0', "occurs twice"),
        ('[[behavior]]\nkey = "a"\nseverity = 1\n[[behavior]]\nkey = "b"\nseverity = 1', "exactly one"),
    ],
)
def test_file_that_is_no_label_set_is_refused_in_words(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=says):
        load_behaviors(path)


def test_missing_or_foreign_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        load_behaviors(tmp_path / "none.toml")
    (tmp_path / "x.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError):
        load_behaviors(tmp_path / "x.toml")
