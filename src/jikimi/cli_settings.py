"""`jikimi settings`: which values hold, where they come from, and back to those of jikimi.toml."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jikimi.cli_shared import AsJson, Config, columns, group, in_force, note, opened_store

if TYPE_CHECKING:
    from jikimi.in_force import Value

settings_app = group("settings", "Values that the dashboard can change: list, reset.")


@settings_app.command("list")
def list_settings(as_json: AsJson = False, config: Config = None) -> None:
    """Show which values hold and where they come from.

    Example: jikimi settings list
    """
    from jikimi.settings_file import load_settings

    settings = load_settings(config)
    with opened_store(settings) as store:
        now = in_force(settings, store)
    if as_json:
        rows = [asdict(value) for value in now.values.values()]
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=2, default=str))
        return
    head = ("KEY", "VALUE", "FROM", "OTHERWISE", "BY")
    for line in columns([head, *(_cells(value) for value in now.values.values())]):
        typer.echo(line)
    for problem in now.problems:
        typer.echo(problem, err=True)


def _cells(value: "Value") -> tuple[str, ...]:
    stored = value.origin == "stored"
    otherwise = f"{_text(value.given)} ({value.given_origin})" if stored else "-"
    return value.key, _text(value.value), value.origin, otherwise, value.changed_by or "-"


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


@settings_app.command()
def reset(
    key: Annotated[str, typer.Argument(metavar="KEY", help="As evidence.keep_days.")], config: Config = None
) -> None:
    """Let the value of jikimi.toml, or the default, hold again; within two seconds where the site runs.

    Example: jikimi settings reset evidence.keep_days
    """
    from jikimi.errors import NotFoundError
    from jikimi.in_force import CHANGEABLE
    from jikimi.settings_file import load_settings

    settings = load_settings(config)
    if key not in CHANGEABLE:
        names = ", ".join(CHANGEABLE)
        raise NotFoundError(f"setting {key!r}: none of that name may be changed; there are: {names}")
    with opened_store(settings) as store:
        before = in_force(settings, store).values[key]
        if not store.remove_setting(key):
            raise NotFoundError(f"setting {key!r}: nothing is stored for it; see jikimi settings list")
        note(store, "reset setting", key, **{"from": before.value, "to": before.given})
    typer.echo(f"{key}: {_text(before.given)} holds ({before.given_origin})")
