"""The commands of a site: serve, watch from `jikimi.toml`, and the processes that they start."""

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jikimi.cli_camera import camera_app
from jikimi.cli_doctor import doctor
from jikimi.cli_evidence import evidence_app
from jikimi.cli_feedback import feedback_app
from jikimi.cli_settings import settings_app
from jikimi.cli_shared import Config, opened_store
from jikimi.cli_target import target_app
from jikimi.cli_token import token
from jikimi.cli_user import user_app

if TYPE_CHECKING:
    from jikimi.settings import Settings


class PartName(StrEnum):
    """The processes of a site."""

    site = "site"
    dispatch = "dispatch"
    api = "api"


def serve(
    config: Config = None,
    host: Annotated[str | None, typer.Option(help="Where the API listens; default: as configured.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Its port.")] = None,
) -> None:
    """Watch a site's cameras day and night, deliver its alerts and serve its API.

    Example: jikimi serve --config jikimi.toml
    """
    overrides = {"JIKIMI_SERVE__HOST": host, "JIKIMI_SERVE__PORT": None if port is None else str(port)}
    os.environ.update({key: value for key, value in overrides.items() if value is not None})
    run_site(config, parts=(PartName.site, PartName.dispatch, PartName.api))


def run_site(config: Path | None, *, parts: tuple[PartName, ...]) -> None:
    """Check everything, then keep the parts running until a signal comes."""
    from jikimi import logs
    from jikimi.checking import check_site
    from jikimi.settings_file import load_settings
    from jikimi.stopping import stop_on_signals
    from jikimi.watch.guardian import guard

    settings = load_settings(config)
    serving = PartName.api in parts
    for line in check_site(settings, serving=serving, file=config):
        typer.echo(line, err=True)
    if serving and (first := first_login(settings)):
        typer.echo(first, err=True)
    logs.set_up("guardian")
    given = [] if config is None else ["--config", str(config)]
    guard(
        {part.value: ["part", part.value, *given] for part in parts}, stop_on_signals(), serving=PartName.api
    )


def first_login(settings: "Settings") -> str | None:
    """How to make the first user, with a new code; None: there is one. Raises StoreError."""
    from jikimi.store.setup_code import new_setup_code

    with opened_store(settings) as store:
        code = new_setup_code(store)
    if code is None:
        return None
    return f"nobody can log in yet: make the first admin with the set-up code {code}, or by jikimi user add"


def part(
    name: Annotated[PartName, typer.Argument()],
    pipe: Annotated[int, typer.Option()],
    config: Config = None,
    standby: Annotated[bool, typer.Option("--standby", help="Load everything, and wait.")] = False,
) -> None:
    """One process of a site. `jikimi serve` starts it."""
    from multiprocessing.connection import Connection

    from jikimi import logs
    from jikimi.settings_file import load_settings
    from jikimi.watch.child import ignore_signals

    ignore_signals()
    logs.set_up(name.value)
    end = Connection(pipe)
    if name is PartName.site:
        from jikimi.part_site import run_site as run
        from jikimi.part_site import stand_in

        end = stand_in(end) if standby else end
    elif name is PartName.dispatch:
        from jikimi.part_dispatch import run_dispatch as run
    else:
        from jikimi.part_api import run_api as run
    run(end, load_settings(config))


def register(app: typer.Typer) -> None:
    """Add these commands to the program."""
    app.command()(serve)
    app.command()(doctor)
    app.command()(token)
    for group in (camera_app, target_app, settings_app, evidence_app, feedback_app, user_app):
        app.add_typer(group)
    app.command(hidden=True)(part)
