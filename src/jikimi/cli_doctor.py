"""`jikimi doctor`: what this machine has, and what is wrong."""

import json
from typing import TYPE_CHECKING

import typer

from jikimi.cli_shared import AsJson, Config, columns

if TYPE_CHECKING:
    from jikimi.doctor import Finding


def doctor(as_json: AsJson = False, config: Config = None) -> None:
    """Look at machine, settings, model, database, cameras and targets; say what to do. Changes nothing.

    Exit code 1 where something is a problem. No password is shown: what it prints may be sent to anybody.

    Example: jikimi doctor --config jikimi.toml
    """
    from dataclasses import asdict

    from jikimi.doctor import examine

    findings = examine(config)
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in findings], ensure_ascii=False, indent=2))
    else:
        for line in columns([(one.level, one.what, _words(one)) for one in findings]):
            typer.echo(line)
    problems = sum(one.level == "problem" for one in findings)
    warnings = sum(one.level == "warning" for one in findings)
    if not as_json:
        typer.echo(f"{problems} problems, {warnings} warnings, {len(findings)} looked at")
    if problems:
        raise typer.Exit(1)


def _words(one: "Finding") -> str:
    return f"{one.found} → {one.cure}" if one.cure else one.found
