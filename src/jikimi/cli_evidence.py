"""`jikimi evidence`: is the archive what it was, and what a power failure left half-written."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jikimi.cli_shared import Config, group, opened_store

if TYPE_CHECKING:
    from jikimi.archive import EvidenceKind, Problem, Report
    from jikimi.settings import CameraSettings, Settings
    from jikimi.store import Store

evidence_app = group("evidence", "The evidence of a site: verify, recover.")

# The archivist of a running site hashes a file some time after it was finished.
_SETTLES_S = 15.0

# What may look wrong while a site goes on writing.
_PASSING = frozenset({"unlisted", "leftover", "missing"})

_ENDINGS: "Mapping[str, EvidenceKind]" = {
    ".strip.jpg": "strip",
    ".still.jpg": "still",
    ".scores.json": "scores",
    ".mp4": "video",
}

Folder = Annotated[
    Path | None, typer.Argument(metavar="FOLDER", help="An evidence folder; default: the site's.")
]


@evidence_app.command()
def verify(folder: Folder = None, config: Config = None) -> None:
    """Compare every file and every record of the archive with what was written.

    Exit code 1 and one line for each thing that was changed, removed or added. What the database remembers of
    the archive's end is compared too, where the folder is the site's or --config is given.

    Example: jikimi evidence verify --config jikimi.toml
    """
    from jikimi.archive import verify as look
    from jikimi.errors import JikimiError, SettingsError
    from jikimi.settings_file import load_settings

    settings = load_settings(config)
    place = folder or settings.evidence_folder
    if folder is not None and not folder.is_dir():
        raise SettingsError(f"{folder}: no such folder; give a folder of evidence")
    is_sites = place.absolute() == settings.evidence_folder.absolute()
    expected = _remembered(settings) if is_sites or config is not None else None
    report = look(place, expected=expected)
    problems = _lasting(report, place, _status_file(settings) if is_sites else None)
    for line in (*report.notes, *(f"{one.kind}: {one.where}: {one.message}" for one in problems)):
        typer.echo(line)
    counted = f"{report.n_files} files, {report.n_records} records"
    if problems:
        raise JikimiError(f"{place}: {len(problems)} problems in {counted}; {_cure(problems)}")
    compared = "" if expected is None else ", nothing cut off the end"
    typer.echo(f"{place}: {counted}: as they were written{compared}")
    typer.echo(f"head {report.head}")


def _cure(problems: "list[Problem]") -> str:
    if all(one.kind == "unlisted" for one in problems):
        return "after a crash run jikimi evidence recover; otherwise somebody has added files"
    return "somebody has changed the archive: compare it with a backup"


def _remembered(settings: "Settings") -> str | None:
    """The newest record that the store knows of; None where it cannot be asked, which is said."""
    from jikimi.errors import JikimiError
    from jikimi.watch.archivist import HEAD

    if settings.store.url is None and not (settings.site.data / "jikimi.db").exists():
        return None
    try:
        with opened_store(settings) as store:
            return store.meta(HEAD)
    except JikimiError as error:
        typer.echo(f"{error}; whether records were cut off the end is not known", err=True)
        return None


def _status_file(settings: "Settings") -> Path:
    from jikimi.running import run_folder

    return run_folder(settings) / "status.json"


def _lasting(report: "Report", folder: Path, status_file: Path | None) -> "list[Problem]":
    """Problems that stay when a running site is given time to enter what it has just written."""
    problems = list(report.problems)
    until = time.monotonic() + _SETTLES_S
    while any(one.kind in _PASSING for one in problems) and time.monotonic() < until and _runs(status_file):
        time.sleep(0.5)
        problems = [one for one in problems if one.kind not in _PASSING or _still(one, folder)]
    return problems


def _runs(status_file: Path | None) -> bool:
    """Whether a site writes now."""
    from jikimi.running import FRESH_S
    from jikimi.status import read_status

    status = read_status(status_file) if status_file is not None else None
    return status is not None and status.age_s() < FRESH_S


def _still(problem: "Problem", folder: Path) -> bool:
    from jikimi.archive import Manifest

    is_listed, is_there = problem.where in Manifest(folder).listed(), (folder / problem.where).exists()
    return is_listed != is_there


@evidence_app.command()
def recover(folder: Folder = None, config: Config = None) -> None:
    """Finish files that a killed process left half-written. A site does so by itself when it starts.

    Example: jikimi evidence recover
    """
    from jikimi.errors import SettingsError
    from jikimi.settings_file import load_settings

    settings = load_settings(config)
    if folder is not None and not folder.is_dir():
        raise SettingsError(f"{folder}: no such folder; give a folder of evidence")
    if folder is None or folder.absolute() == settings.evidence_folder.absolute():
        _recover_site(settings)
        return
    from jikimi.video import recover as finish

    for path in (finished := finish(folder)):
        typer.echo(str(path))
    typer.echo(f"{folder}: {len(finished)} files finished")


def _recover_site(settings: "Settings") -> None:
    """Finish files, enter them into manifest and store; nobody else may write meanwhile."""
    from jikimi.cli_shared import all_cameras
    from jikimi.running import alone, run_folder
    from jikimi.video import recover as finish
    from jikimi.watch.naming import safe_name

    folder = settings.evidence_folder
    with alone(run_folder(settings), "site"), opened_store(settings) as store:
        folder.mkdir(parents=True, exist_ok=True)
        finished = finish(folder)
        cameras = {safe_name(name): camera for name, camera in all_cameras(settings, store).items()}
        entered = [path for path in _unlisted(folder) if _enter(path, folder, store, cameras)]
    for path in sorted({*finished, *entered}):
        typer.echo(str(path))
    typer.echo(f"{folder}: {len(finished)} files finished, {len(entered)} entered into the manifest")


def _unlisted(folder: Path) -> list[Path]:
    from jikimi.archive import Manifest

    listed = Manifest(folder).listed()
    files = sorted(path for path in folder.rglob("*") if path.is_file() and _kind(path) is not None)
    return [path for path in files if path.relative_to(folder).as_posix() not in listed]


def _kind(path: Path) -> "EvidenceKind | None":
    if path.name.startswith("."):
        return None
    return next((kind for ending, kind in _ENDINGS.items() if path.name.endswith(ending)), None)


def _enter(path: Path, folder: Path, store: "Store", cameras: "Mapping[str, CameraSettings]") -> bool:
    """Enter one file as the archivist would have; False: it belongs to no incident."""
    from datetime import datetime

    from jikimi.archive import Manifest
    from jikimi.errors import NotFoundError
    from jikimi.store import EvidenceRecord
    from jikimi.video import blacken
    from jikimi.watch.archivist import HEAD
    from jikimi.watch.keeping import uid_of

    uid, kind, camera = uid_of(path), _kind(path), cameras.get(path.parent.name)
    if uid is None or kind is None:
        return False
    hidden = [mask.polygon for mask in camera.masks if mask.kind == "blacken"] if camera is not None else []
    if hidden and kind == "video":
        blacken(path, hidden)
    name = camera.name if camera is not None else path.parent.name
    record = Manifest(folder).add(path, camera=name, incident=uid, kind=kind)
    store.set_meta(HEAD, record.hash)
    at, problem = datetime.fromisoformat(record.at), "finished after the process that wrote it had died"
    try:
        store.add_evidence(
            EvidenceRecord(
                uid, kind, Path(record.path), record.sha256, record.size_bytes, at, problem=problem
            )
        )
    except NotFoundError as error:
        typer.echo(f"{path.name}: kept, though {error}", err=True)
    return True
