"""`jikimi target`: who is alerted, whether they really are, and adding somebody to a running site."""

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jikimi.cli_shared import AsJson, Config, columns, given, group, in_force, note, opened_store

if TYPE_CHECKING:
    from jikimi.in_force import InForce
    from jikimi.settings import Settings, Target

target_app = group("target", "Those who are alerted: list, test, add, remove.")

TargetName = Annotated[str, typer.Argument(metavar="NAME", help="The target's name.")]


class Kind(StrEnum):
    """How somebody is alerted."""

    webhook = "webhook"
    mqtt = "mqtt"
    apprise = "apprise"


@target_app.command("list")
def list_targets(as_json: AsJson = False, config: Config = None) -> None:
    """Show everybody who is alerted, without where and with which secret.

    Example: jikimi target list
    """
    from jikimi.settings_file import load_settings

    settings = load_settings(config)
    with opened_store(settings) as store:
        now = in_force(settings, store)
    rows = _rows(settings, now)
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    if not rows:
        typer.echo("nobody is alerted: jikimi target add NAME webhook URL --secret SECRET")
        return
    head = ("NAME", "KIND", "FAULTS", "LIST", "FROM")
    for line in columns([head, *map(_cells, rows)]):
        typer.echo(line)


def _rows(settings: "Settings", now: "InForce") -> list[dict[str, Any]]:
    fixed = {target.name for target in settings.targets}
    lists = now.settings.alert_lists
    rows: list[dict[str, Any]] = [
        {
            "name": target.name,
            "kind": target.kind,
            "faults": target.faults,
            "lists": [number for number, row in enumerate(lists, start=1) if target.name in row],
            "from": "jikimi.toml" if target.name in fixed else "store",
            "problem": "",
        }
        for target in now.settings.targets
    ]
    rows += [
        {"name": name, "kind": None, "faults": None, "lists": [], "from": "store", "problem": problem}
        for name, problem in now.lost.items()
    ]
    return sorted(rows, key=lambda row: str(row["name"]))


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    if row["problem"]:
        return row["name"], "-", "-", "-", f"{row['from']}: {row['problem']}"
    told = ", ".join(map(str, row["lists"])) or "none"
    return row["name"], row["kind"], "yes" if row["faults"] else "no", told, row["from"]


@target_app.command()
def test(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Somebody who is alerted.")],
    config: Config = None,
) -> None:
    """Send a test alert, marked as one, and tell how long it took; at most about 10 seconds.

    Example: jikimi target test control-room
    """
    from jikimi.errors import NotFoundError
    from jikimi.settings_file import load_settings

    settings = load_settings(config)
    with opened_store(settings) as store:
        now = in_force(settings, store)
    found = [target for target in now.settings.targets if target.name == name]
    if not found:
        names = ", ".join(target.name for target in now.settings.targets) or "none yet"
        raise NotFoundError(now.lost.get(name) or f"target {name!r}: none of that name; there are: {names}")
    seconds = _told(found[0], now.settings)
    typer.echo(f"target {name!r}: told in {seconds:.2f} s")


def _told(target: "Target", settings: "Settings") -> float:
    from jikimi.alert.message import Plant
    from jikimi.alert.trying import try_target

    plant = Plant(site=settings.site.name, language=settings.site.language, zone=settings.zone())
    return try_target(target, language=settings.site.language, plant=plant)


@target_app.command()
def add(
    name: TargetName,
    kind: Annotated[Kind, typer.Argument(help="How it is alerted.")],
    url: Annotated[str, typer.Argument(metavar="URL", help="Where to; - reads it from stdin.")],
    secret: Annotated[
        str | None, typer.Option(metavar="SECRET", help="What a webhook is signed with; - reads from stdin.")
    ] = None,
    topic: Annotated[str, typer.Option(help="MQTT: what every topic begins with.")] = "jikimi",
    no_faults: Annotated[bool, typer.Option("--no-faults", help="Tell it of incidents alone.")] = False,
    no_test: Annotated[bool, typer.Option("--no-test", help="Send it no test alert first.")] = False,
    config: Config = None,
) -> None:
    """Add somebody to alert. A test alert is sent first; a running site alerts them within two seconds.

    Example: printf '%s\\n%s\\n' "$URL" "$SECRET" | jikimi target add control-room webhook - --secret -
    """
    from datetime import UTC, datetime

    from jikimi.alert.channels import open_channel
    from jikimi.alert.message import Plant
    from jikimi.settings_file import load_settings

    settings = load_settings(config)
    values = {
        "name": name,
        "kind": kind.value,
        "url": given(url, "URL"),
        "secret": None if secret is None else given(secret, "--secret"),
        "topic": topic,
        "faults": not no_faults,
    }
    target = _checked(values)
    open_channel(target, plant=Plant(), announce=False).close()
    with opened_store(settings) as store:
        now = in_force(settings, store)
        _refuse_known(settings, [stored.name for stored in store.targets()], name)
        if not no_test:
            typer.echo(f"target {name!r}: told in {_told(target, now.settings):.2f} s")
        store.put_target(target, at=datetime.now(UTC))
        note(store, "put target", name, to={"kind": target.kind, "topic": topic, "faults": target.faults})
    typer.echo(f"target {name!r} added")


def _checked(values: dict[str, Any]) -> "Target":
    """A target from what was typed. Raises SettingsError that quotes no url and no secret."""
    from pydantic import ValidationError

    from jikimi.errors import SettingsError
    from jikimi.settings import Target, first_problem

    try:
        return Target.model_validate(values)
    except ValidationError as error:  # its own words quote what was typed
        words = ": ".join(filter(None, first_problem(error)))
        raise SettingsError(f"target {values['name']!r}: {words}") from None


def _refuse_known(settings: "Settings", stored: list[str], name: str) -> None:
    from jikimi.errors import SettingsError

    if name in stored:
        raise SettingsError(f"target {name!r}: there is one; choose another name, or remove it first")
    if any(target.name == name for target in settings.targets):
        raise SettingsError(f"target {name!r} is in jikimi.toml; change it there")


@target_app.command()
def remove(name: TargetName, config: Config = None) -> None:
    """Alert somebody no more. What they were told stays.

    Example: jikimi target remove control-room
    """
    from jikimi.errors import SettingsError
    from jikimi.settings_file import load_settings

    settings = load_settings(config)
    with opened_store(settings) as store:
        fixed = any(target.name == name for target in settings.targets)
        if name not in {stored.name for stored in store.targets()} and fixed:
            raise SettingsError(f"target {name!r} is in jikimi.toml; change it there")
        lists = in_force(settings, store).settings.alerts.lists
        if not fixed and any(name in row for row in lists):
            cure = "take it out in the dashboard, or jikimi settings reset alerts.lists"
            raise SettingsError(f"target {name!r} is in the lists of those to tell; {cure}")
        store.remove_target(name)  # also one that is in the file as well: this is how it is put right
        note(store, "removed target", name)
    typer.echo(f"target {name!r} removed")
