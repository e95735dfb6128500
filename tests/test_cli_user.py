"""`jikimi user` and the first start, as they are run."""

import io
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from jikimi import cli
from jikimi.cli_site import first_login
from jikimi.passwords import Passwords
from jikimi.settings_file import load_settings
from jikimi.store import Store, open_store
from jikimi.store.setup_code import is_setup_code

SECRET = "a sentence of mine"
Run = Callable[..., tuple[int, str, str]]


class Terminal(io.StringIO):
    """A stdin at which somebody sits."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(Passwords.__init__, "__kwdefaults__", {"passes": 1, "memory_kib": 8})
    file = tmp_path / "jikimi.toml"
    token = f'[[token]]\nname = "board"\nsha256 = "{"0" * 64}"\n'
    file.write_text(f'[site]\ndata = "data"\n{token}', encoding="utf-8")
    return file


@pytest.fixture
def jikimi(site: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command of the site → exit code, stdout, stderr."""

    def run(*arguments: str, stdin: str = SECRET + "\n", terminal: bool = False) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["jikimi", *arguments, "--config", str(site)])
        monkeypatch.setattr(sys, "stdin", Terminal() if terminal else io.StringIO(stdin))
        try:
            cli.main()
            code: Any = 0
        except SystemExit as end:
            code = end.code or 0
        said = capsys.readouterr()
        assert SECRET not in said.out + said.err
        return code, said.out, said.err

    return run


def store(site: Path) -> Store:
    return open_store(f"sqlite:///{site.parent / 'data' / 'jikimi.db'}")


def test_users_are_added_listed_changed_and_removed(jikimi: Run, site: Path) -> None:
    assert jikimi("user", "list") == (0, "no user yet: jikimi user add NAME --role admin\n", "")
    assert jikimi("user", "add", "kim", "--role", "admin")[:2] == (0, "user 'kim' added as admin\n")
    assert jikimi("user", "add", "이 과장", "--cameras", "press-3,gate", "--language", "ko")[0] == 0
    listed = jikimi("user", "list")[1]
    assert "press-3, gate" in listed and "kim" in listed and "argon2" not in listed
    rows = json.loads(jikimi("user", "list", "--json")[1])
    assert [(row["name"], row["role"], row["language"]) for row in rows] == [
        ("kim", "admin", ""), ("이 과장", "viewer", "ko"),
    ]  # fmt: skip
    with store(site) as opened:
        (before, _) = opened.users()
    assert Passwords().fits(SECRET, before.password_hash)
    assert jikimi("user", "password", "kim", stdin="another sentence\n")[0] == 0
    assert jikimi("user", "remove", "이 과장")[0] == 0
    with store(site) as opened:
        (after,) = opened.users()
        noted = [(row.what, row.about) for row in opened.audit_trail()][::-1]
    assert Passwords().fits("another sentence", after.password_hash)
    assert noted == [
        ("added user", "kim"), ("added user", "이 과장"), ("reset password", "kim"),
        ("removed user", "이 과장"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "stdin", "why"),
    [
        (("add", "kim", "--role", "admin"), "short\n", "10 to 200"),
        (("add", "kim", "--role", "admin"), "", "10 to 200"), (("add", "a(b)"), SECRET, "name:"),
        (("add", "kim"), SECRET, "first user is an admin"),
        (("add", "board", "--role", "admin"), SECRET, "token of that name"),
        (("add", "kim", "--role", "admin", "--cameras", "gate"), SECRET, "first user is an admin"),
        (("password", "kim"), SECRET, "there is none"), (("remove", "kim"), SECRET, "there is none"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_line(
    jikimi: Run, site: Path, arguments: tuple[str, ...], stdin: str, why: str
) -> None:
    code, _, err = jikimi("user", *arguments, stdin=stdin)
    assert code == 1 and err.count("\n") == 1 and why in err
    (site.parent / "data").mkdir(exist_ok=True)
    with store(site) as opened:
        assert not opened.has_users()


def test_the_last_admin_and_a_name_that_is_taken_stay(jikimi: Run) -> None:
    jikimi("user", "add", "kim", "--role", "admin")
    assert "last admin" in jikimi("user", "remove", "kim")[2]
    assert "there is one" in jikimi("user", "add", "kim", "--role", "admin")[2]


def test_at_a_terminal_the_password_is_asked_for_and_not_shown(
    jikimi: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def prompt(words: str, **more: Any) -> str:
        asked.append((words, more["hide_input"], more["confirmation_prompt"], more["err"]))
        return SECRET

    monkeypatch.setattr(typer, "prompt", prompt)
    assert jikimi("user", "add", "kim", "--role", "admin", terminal=True)[0] == 0
    assert asked == [("Password (not shown)", True, True, True)]


def test_no_command_takes_a_password_as_an_argument(jikimi: Run) -> None:
    assert jikimi("user", "add", "kim", SECRET[:5])[0] == 2
    assert "--password" not in jikimi("user", "add", "--help")[1]


def test_a_new_site_says_how_to_log_in_until_somebody_can(jikimi: Run, site: Path) -> None:
    settings = load_settings(site, environment={})
    line = first_login(settings) or ""
    assert "\n" not in line and "jikimi user add" in line
    code = re.search(r"([A-Z2-9]{4}-){3}[A-Z2-9]{4}", line)
    with store(site) as opened:
        assert code is not None and is_setup_code(opened, code.group())
    assert first_login(settings) != line
    jikimi("user", "add", "kim", "--role", "admin")
    assert first_login(settings) is None
