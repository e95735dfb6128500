"""`jikimi camera`: add, list, test, remove and shelve the cameras of a site."""

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jikimi.cli_shared import (
    AsJson,
    Config,
    all_cameras,
    columns,
    given,
    group,
    in_force,
    note,
    opened_store,
    split_names,
)

if TYPE_CHECKING:
    from jikimi.settings import CameraSettings, Settings
    from jikimi.status import CameraStatus, SiteStatus
    from jikimi.watch.trying import CameraFacts, StreamFacts

camera_app = group("camera", "The cameras of a site: add, list, test, remove, shelve.")

CameraName = Annotated[str, typer.Argument(metavar="NAME", help="The camera's name.")]

# A week: who wants more than that wants `enabled = false`.
_MOST_MINUTES = 7 * 24 * 60


class Transport(StrEnum):
    """How an RTSP camera sends."""

    tcp = "tcp"
    udp = "udp"


@camera_app.command()
def add(
    name: CameraName,
    address: Annotated[
        str, typer.Argument(metavar="ADDRESS", help="rtsp://, http://, a device; - reads it from stdin.")
    ],
    sub: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Its small stream, to analyse; - reads from stdin.")
    ] = None,
    transport: Annotated[Transport, typer.Option(help="How an RTSP camera sends.")] = Transport.tcp,
    behaviors: Annotated[
        str | None, typer.Option(metavar="A,B", help="Raise these alone; default: all the model knows.")
    ] = None,
    disabled: Annotated[bool, typer.Option("--disabled", help="Add it without watching it yet.")] = False,
    no_test: Annotated[bool, typer.Option("--no-test", help="Do not open it first.")] = False,
    config: Config = None,
) -> None:
    """Add a camera to the site. It is opened first; a running site watches it within two seconds.

    Example: echo 'rtsp://USER:PASSWORD@10.0.0.3/main' | jikimi camera add press-3 -
    """
    from datetime import UTC, datetime

    from jikimi.bundle import read_card
    from jikimi.champion import champion_of
    from jikimi.settings_file import load_settings
    from jikimi.watch.analysis import camera_rule

    settings = load_settings(config)
    values = {
        "name": name,
        "address": _placed(given(address, "ADDRESS")),
        "sub": None if sub is None else _placed(given(sub, "--sub")),
        "transport": transport.value,
        "enabled": not disabled,
        "behaviors": split_names(behaviors),
    }
    camera = _checked(values)
    with opened_store(settings) as store:
        camera_rule(read_card(champion_of(settings, store).path), camera)
        _refuse_known(settings, [stored.settings.name for stored in store.cameras()], name)
        _test_or_check(camera, test=not no_test)
        store.put_camera(camera, at=datetime.now(UTC))
        note(store, "put camera", name)
    typer.echo(f"camera {name!r} added" + (", disabled" if disabled else ""))


def _placed(address: str) -> str:
    """A path as seen from anywhere: the site may be started in another folder."""
    from jikimi.address import is_network

    return address if is_network(address) or not address else str(Path(address).absolute())


def _checked(values: dict[str, Any]) -> "CameraSettings":
    """Settings from what was typed. Raises SettingsError that quotes no address."""
    from pydantic import ValidationError

    from jikimi.errors import SettingsError
    from jikimi.settings import CameraSettings, first_problem

    try:
        return CameraSettings.model_validate(values)
    except ValidationError as error:  # its own words quote what was typed
        words = ": ".join(filter(None, first_problem(error)))
        raise SettingsError(f"camera {values['name']!r}: {words}") from None


def _refuse_known(settings: "Settings", stored: list[str], name: str) -> None:
    from jikimi.errors import SettingsError

    if name in stored:
        raise SettingsError(f"camera {name!r}: there is one; choose another name, or remove it first")
    _refuse_fixed(settings, name)


def _refuse_fixed(settings: "Settings", name: str) -> None:
    from jikimi.errors import SettingsError

    if any(camera.name == name for camera in settings.cameras):
        raise SettingsError(f"camera {name!r} is in jikimi.toml; change it there")


def _test_or_check(camera: "CameraSettings", *, test: bool) -> None:
    from jikimi.watch.trying import check_address, try_camera

    if not test:
        check_address(camera)
        return
    for line in _facts(try_camera(camera)):
        typer.echo(line)


@camera_app.command("list")
def list_cameras(as_json: AsJson = False, config: Config = None) -> None:
    """Show every camera, without its log-in, and how it is where the site runs.

    Example: jikimi camera list
    """
    from jikimi.settings_file import load_settings

    settings = load_settings(config)
    with opened_store(settings) as store:
        cameras, shelved = all_cameras(settings, store), store.shelved()
    status = _status(settings)
    states = {camera.name: camera for camera in status.cameras} if status is not None else {}
    fixed = {camera.name for camera in settings.cameras}
    rows = [
        _row(camera, states.get(name), fixed=name in fixed, shelved_until=shelved.get(name))
        for name, camera in cameras.items()
    ]
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    if not rows:
        typer.echo("no camera yet: jikimi camera add NAME ADDRESS")
        return
    for line in columns([("NAME", "STATE", "ADDRESS", "SUB", "FROM"), *map(_cells, rows)]):
        typer.echo(line)


def _status(settings: "Settings") -> "SiteStatus | None":
    """What a running site says of itself; None where none runs."""
    from jikimi.running import FRESH_S, run_folder
    from jikimi.status import read_status

    status = read_status(run_folder(settings) / "status.json")
    return status if status is not None and status.age_s() < FRESH_S else None


def _row(
    camera: "CameraSettings", now: "CameraStatus | None", *, fixed: bool, shelved_until: Any
) -> dict[str, Any]:
    from datetime import UTC, datetime

    shelved = shelved_until is not None and shelved_until > datetime.now(UTC)
    return {
        "name": camera.name,
        "address": str(camera.address),
        "sub": str(camera.sub) if camera.sub is not None else None,
        "transport": camera.transport,
        "enabled": camera.enabled,
        "behaviors": camera.behaviors,
        "from": "jikimi.toml" if fixed else "store",
        "shelved_until": shelved_until.isoformat() if shelved else None,
        "state": now.state if now is not None else None,
        "why": now.why if now is not None else "",
        "faults": now.faults if now is not None else [],
    }


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    state = "disabled" if not row["enabled"] else row["state"] or "not running"
    if row["shelved_until"]:
        state += ", shelved"
    if row["faults"]:
        state += f" ({', '.join(row['faults'])})"
    return row["name"], state, row["address"], row["sub"] or "-", row["from"]


@camera_app.command()
def test(
    camera: Annotated[str, typer.Argument(metavar="NAME|ADDRESS", help="A camera, or any address; - reads.")],
    transport: Annotated[
        Transport | None, typer.Option(help="How to ask an address; default: as configured, or tcp.")
    ] = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Open a camera and tell what it sends; at most 10 seconds.

    Example: jikimi camera test press-3
    """
    from jikimi.watch.trying import try_camera

    found = _named(camera, config)
    if transport is not None:
        found = found.model_copy(update={"transport": transport.value})
    facts = try_camera(found)
    if as_json:
        typer.echo(json.dumps(facts.as_json(), ensure_ascii=False, indent=2))
        return
    for line in _facts(facts):
        typer.echo(line)


def _named(text: str, config: Path | None) -> "CameraSettings":
    """A camera of the site, or an address. Raises NotFoundError where it is neither."""
    from jikimi.address import is_network
    from jikimi.errors import NotFoundError
    from jikimi.settings_file import load_settings

    if text == "-" or is_network(text):
        return _checked({"name": "camera", "address": given(text, "ADDRESS")})
    settings = load_settings(config)
    with opened_store(settings) as store:
        cameras = all_cameras(settings, store)
    if text in cameras:
        return cameras[text]
    if Path(text).exists():
        return _checked({"name": Path(text).stem or "camera", "address": text})
    raise NotFoundError(f"camera {text!r}: no camera of that name, no address and no file; see camera list")


def _facts(facts: "CameraFacts") -> list[str]:
    streams = {"main": facts.main, "sub": facts.sub}
    return [_stream(which, stream) for which, stream in streams.items() if stream is not None]


def _stream(which: str, stream: "StreamFacts") -> str:
    fps = "rate unknown" if stream.fps is None else f"{stream.fps:g} fps"
    keyframe = f"none within {stream.looked_s:g} s"
    if stream.keyframe_s is not None:
        keyframe = f"every {stream.keyframe_s:.1f} s"
    return (
        f"{which + ' stream:':12} {stream.codec} {stream.width_px}x{stream.height_px}, {fps}, "
        f"first picture after {stream.first_picture_s:g} s, keyframe {keyframe}"
    )


@camera_app.command()
def remove(name: CameraName, config: Config = None) -> None:
    """Watch a camera no more. Its incidents and evidence stay.

    Example: jikimi camera remove press-3
    """
    from jikimi.settings_file import load_settings

    settings = load_settings(config)
    with opened_store(settings) as store:
        if name not in {stored.settings.name for stored in store.cameras()}:
            _refuse_fixed(settings, name)
        store.remove_camera(name)  # also one that is in the file as well: this is how it is put right
        note(store, "removed camera", name)
    typer.echo(f"camera {name!r} removed")


@camera_app.command()
def shelve(
    name: CameraName,
    minutes: Annotated[
        int, typer.Option(min=0, max=_MOST_MINUTES, help="For so long; 0 ends it. At most a week.")
    ],
    config: Config = None,
) -> None:
    """Let a camera raise nothing for a while: maintenance, visitors. It is watched on, and ends by itself.

    Example: jikimi camera shelve press-3 --minutes 30
    """
    from datetime import UTC, datetime, timedelta

    from jikimi.cli_shared import who
    from jikimi.errors import NotFoundError
    from jikimi.settings_file import load_settings

    settings = load_settings(config)
    until = datetime.now(UTC) + timedelta(minutes=minutes) if minutes else None
    with opened_store(settings) as store:
        if name not in all_cameras(settings, store):
            raise NotFoundError(f"camera {name!r}: there is none of that name; see camera list")
        store.shelve(name, until=until, by=who())
        note(store, "shelved" if until else "unshelved", name, minutes=minutes)
        zone = in_force(settings, store).settings.zone()
    words = f"raises nothing until {until.astimezone(zone):%H:%M}" if until else "raises again"
    typer.echo(f"camera {name!r} {words}")
