"""`jikimi feedback`: what operators said, as clips to train on."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jikimi.cli_shared import Config, group, in_force, note, opened_store

if TYPE_CHECKING:
    from datetime import tzinfo

feedback_app = group("feedback", "What operators said: export it, to learn from it.")


@feedback_app.command()
def export(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder to make.")],
    since: Annotated[
        str | None,
        typer.Option(metavar="MOMENT", help="Of what began from then on: 2026-11-01, or with T08:00."),
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="MOMENT", help="And before then.")] = None,
    camera: Annotated[list[str] | None, typer.Option(help="Of this camera; may be given again.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier export.")] = False,
    config: Config = None,
) -> None:
    """Write what was answered and reported as a folder that `jikimi prepare` reads.

    A correct alarm becomes a clip of its behaviour, one that was another behaviour a clip of that, a false
    alarm one of no accident; a missed accident and confirmed normal work become what was reported.

    Example: jikimi feedback export --out said && jikimi prepare said --out data
    """
    import os

    from jikimi.bundle import read_card
    from jikimi.champion import champion_of
    from jikimi.feedback import choose
    from jikimi.feedback import export as write
    from jikimi.settings_file import load_settings

    settings = load_settings(config)
    folder = Path(os.path.abspath(out))  # noqa: PTH100  resolve() would follow a link
    with opened_store(settings) as store:
        held = in_force(settings, store).settings
        zone = held.zone()
        first, last = _moment("--since", since, zone), _moment("--until", until, zone)
        about = {
            "site": held.site.name,
            "since": None if first is None else first.isoformat(),
            "until": None if last is None else last.isoformat(),
            "cameras": sorted(camera) if camera else None,
        }
        behaviors = read_card(champion_of(settings, store).path).behaviors
        choice = choose(store, behaviors, camera=camera or None, since=first, until=last)
        done = write(
            choice, evidence=settings.evidence_folder, out=folder, zone=zone, about=about, force=force
        )
        if not done.unchanged:
            note(store, "exported feedback", str(folder), clips=sum(done.clips.values()))
    for line in done.lines():
        typer.echo(line)
    typer.echo(f"{out}: jikimi prepare {out} --out DATA makes a data set of it")


def _moment(option: str, text: str | None, zone: "tzinfo | None") -> datetime | None:
    """A moment on the plant's clock. Raises SettingsError."""
    from jikimi.errors import SettingsError

    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        moment = moment.replace(tzinfo=zone) if moment.tzinfo is None else moment
        return moment.astimezone()
    except (ValueError, OverflowError) as error:
        raise SettingsError(f"{option} {text!r}: no moment; give 2026-11-01 or 2026-11-01T08:00") from error
