"""`jikimi token` and `jikimi target`: who may ask, and whether whoever is alerted really is."""

import json
from typing import Annotated

import typer

from jikimi.cli_shared import Config, group, split_names
from jikimi.options import RoleName

target_app = group("target", "Those who are alerted: test.")


def token(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose token: it stands in the audit trail.")],
    role: Annotated[
        RoleName, typer.Option(help="viewer looks, operator answers too, admin changes cameras too.")
    ] = RoleName.viewer,
    cameras: Annotated[
        str | None, typer.Option(metavar="A,B", help="These cameras alone; default: all of them.")
    ] = None,
) -> None:
    """Make a token for the API. It is shown once; jikimi.toml gets its SHA-256 alone.

    Example: jikimi token dashboard --role operator
    """
    import hashlib
    import secrets

    from pydantic import ValidationError

    from jikimi.errors import SettingsError
    from jikimi.settings import Token

    secret = secrets.token_urlsafe(32)  # 256 bits: nothing that a slow hash would have to protect
    digest = hashlib.sha256(secret.encode()).hexdigest()
    try:
        made = Token.model_validate(
            {"name": name, "sha256": digest, "role": role.value, "cameras": split_names(cameras)}
        )
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise SettingsError(f"token: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    typer.echo("The token, shown this once:", err=True)
    typer.echo(secret)
    typer.echo("Add this to jikimi.toml and restart jikimi serve:", err=True)
    rows = ["", "[[token]]", f"name = {quoted(made.name)}", f'sha256 = "{digest}"', f'role = "{made.role}"']
    if made.cameras is not None:
        rows.append(f"cameras = [{', '.join(map(quoted, made.cameras))}]")
    typer.echo("\n".join(rows))


def quoted(text: str) -> str:
    """A TOML basic string: JSON's, which leaves DEL as it is."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


@target_app.command()
def test(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A [[target]] of jikimi.toml.")],
    config: Config = None,
) -> None:
    """Send a test alert, marked as one, and tell how long it took; at most about 10 seconds.

    Example: jikimi target test control-room
    """
    from jikimi.errors import NotFoundError
    from jikimi.settings_file import load_settings

    settings = load_settings(config)
    found = [target for target in settings.targets if target.name == name]
    if not found:
        names = ", ".join(target.name for target in settings.targets) or "none yet"
        raise NotFoundError(f"target {name!r}: no [[target]] of that name in jikimi.toml; there are: {names}")
    from jikimi.alert.message import Plant
    from jikimi.alert.trying import try_target

    plant = Plant(site=settings.site.name, language=settings.site.language, zone=settings.zone())
    seconds = try_target(found[0], language=settings.site.language, plant=plant)
    typer.echo(f"target {name!r}: told in {seconds:.2f} s")
