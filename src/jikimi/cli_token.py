"""`jikimi token`: who may ask."""

import json
from typing import Annotated

import typer

from jikimi.cli_shared import split_names
from jikimi.options import RoleName


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
    from jikimi.settings import Token, first_problem

    secret = secrets.token_urlsafe(32)  # 256 bits: nothing that a slow hash would have to protect
    digest = hashlib.sha256(secret.encode()).hexdigest()
    try:
        made = Token.model_validate(
            {"name": name, "sha256": digest, "role": role.value, "cameras": split_names(cameras)}
        )
    except ValidationError as error:
        raise SettingsError(": ".join(filter(None, ("token", *first_problem(error))))) from None
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
