"""`jikimi user`: who may log in. Passwords are asked for, or read from stdin; never in an argument."""

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from jikimi.cli_shared import AsJson, Config, columns, group, note, opened_store, split_names
from jikimi.options import LanguageName, RoleName

if TYPE_CHECKING:
    from jikimi.settings import Settings
    from jikimi.store import Store, UserRecord

user_app = group("user", "Who may log in: add, list, password, remove.")

UserName = Annotated[str, typer.Argument(metavar="NAME", help="The user's name.")]


@user_app.command()
def add(
    name: UserName,
    role: Annotated[
        RoleName, typer.Option(help="viewer looks, operator answers too, admin changes everything.")
    ] = RoleName.viewer,
    cameras: Annotated[
        str | None, typer.Option(metavar="A,B", help="These cameras alone; default: all of them.")
    ] = None,
    language: Annotated[
        LanguageName | None, typer.Option(help="What they read; default: the site's.")
    ] = None,
    config: Config = None,
) -> None:
    """Add somebody who may log in; the first one is an admin. The password is asked for, or a line of stdin.

    Example: jikimi user add kim --role admin
    """
    from datetime import UTC, datetime

    from jikimi.errors import ConflictError
    from jikimi.passwords import Passwords
    from jikimi.settings_file import load_settings
    from jikimi.store import UserRecord

    settings, now = load_settings(config), datetime.now(UTC)
    name = _checked(name)
    with opened_store(settings) as store:
        _refuse_taken(settings, store, name)
        kept = Passwords().hash(_password(name))
        user = UserRecord(
            name, kept, role.value, now, now, split_names(cameras), language.value if language else ""
        )
        if not store.add_user(user):
            raise ConflictError(f"user {name!r}: there is one; choose another name")
        note(store, "added user", name, role=role.value)
    typer.echo(f"user {name!r} added as {role.value}")


@user_app.command("list")
def list_users(as_json: AsJson = False, config: Config = None) -> None:
    """Show everybody who may log in.

    Example: jikimi user list
    """
    from jikimi.settings_file import load_settings

    with opened_store(load_settings(config)) as store:
        users = store.users()
    if as_json:
        typer.echo(json.dumps([_row(user) for user in users], ensure_ascii=False, indent=2))
        return
    if not users:
        typer.echo("no user yet: jikimi user add NAME --role admin")
        return
    for line in columns([("NAME", "ROLE", "CAMERAS", "STATE"), *map(_cells, users)]):
        typer.echo(line)


@user_app.command()
def password(name: UserName, config: Config = None) -> None:
    """Give somebody another password, which ends their sessions. It is asked for, or a line of stdin.

    Example: jikimi user password kim
    """
    from datetime import UTC, datetime

    from jikimi.passwords import Passwords
    from jikimi.settings_file import load_settings

    name = _checked(name)
    with opened_store(load_settings(config)) as store:
        kept = Passwords().hash(_password(name))
        store.set_password(name, kept, at=datetime.now(UTC))
        note(store, "reset password", name)
    typer.echo(f"user {name!r} has another password; their sessions have ended")


@user_app.command()
def remove(name: UserName, config: Config = None) -> None:
    """Let somebody log in no more. What they did stays in the audit trail.

    Example: jikimi user remove kim
    """
    from jikimi.settings_file import load_settings

    name = _checked(name)
    with opened_store(load_settings(config)) as store:
        store.remove_user(name)
        note(store, "removed user", name)
    typer.echo(f"user {name!r} removed")


def _checked(name: str) -> str:
    """The name as it is kept. Raises SettingsError."""
    from jikimi.passwords import person_name

    return person_name(name)


def _refuse_taken(settings: "Settings", store: "Store", name: str) -> None:
    """Raises ConflictError: the audit trail could not tell a token from a user of its name."""
    from jikimi.errors import ConflictError

    if name in {one.name for one in settings.tokens} | {one.name for one in store.tokens()}:
        raise ConflictError(f"user {name!r}: there is a token of that name; choose another")


def _password(name: str) -> str:
    """Asked for twice at a terminal, else a line of stdin. Raises SettingsError that quotes nothing."""
    from jikimi.passwords import check_password

    if sys.stdin.isatty():
        text: str = typer.prompt("Password (not shown)", hide_input=True, confirmation_prompt=True, err=True)
    else:
        text = sys.stdin.readline().rstrip("\r\n")
    check_password(text, name=name)
    return text


def _row(user: "UserRecord") -> dict[str, object]:
    return {
        "name": user.name,
        "role": user.role,
        "cameras": user.cameras,
        "language": user.language,
        "disabled": user.disabled,
        "created_at": user.created_at.isoformat(),
    }


def _cells(user: "UserRecord") -> tuple[str, ...]:
    cameras = "all" if user.cameras is None else ", ".join(user.cameras) or "none"
    return user.name, user.role, cameras, "disabled" if user.disabled else "may log in"
