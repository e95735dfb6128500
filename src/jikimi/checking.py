"""What is checked before a site starts: all that would fail later, told in one line now.

Every line names the file, the key in it, and what to do; none quotes a password.
"""

import errno
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jikimi.alert.channels import open_channel
from jikimi.alert.message import Plant
from jikimi.alert.web import WebCaller
from jikimi.bundle import Card
from jikimi.errors import JikimiError, SettingsError
from jikimi.in_force import InForce, twice
from jikimi.running import alone, follow_settings, open_site_store, run_folder, usable_champion
from jikimi.settings import CameraSettings, Settings
from jikimi.tls import check_tls
from jikimi.watch.analysis import camera_rule
from jikimi.watch.detecting import check_bundle
from jikimi.watch.following import Following
from jikimi.watch.sources import check_scheme

_BUSY = "in use by another program; stop that one, or choose another port"


def check_site(settings: Settings, *, serving: bool, file: Path | None = None) -> list[str]:
    """Open and close everything a site needs → lines that say what will run.

    `file` is what the settings were read from.

    Raises:
        JikimiError: what cannot be used, where it is set, and what to do.
    """
    with _about(f"{file or 'jikimi.toml'}: "):
        return list(_lines(settings, serving=serving))


def _lines(settings: Settings, *, serving: bool) -> Iterator[str]:
    check_folders(settings)
    with alone(run_folder(settings), "site"):
        following, card, now = _opened(settings)
        for wanted in following.wanted.values():
            check_camera(wanted.settings, card)
        check_targets(settings, card)
        if serving:
            check_port(settings.serve.host, settings.serve.port)
            if settings.serve.tls is not None:
                check_tls(*settings.serve.tls)
    yield f"site {now.settings.site.name!r}: {len(following.wanted)} cameras, model {card.name}"
    yield from now.notes.values()
    yield from now.problems
    yield from _unready(now.settings, [wanted.settings for wanted in following.wanted.values()])
    if serving:
        yield from _in_the_clear(settings)
        base = f"{settings.serve.scheme}://{settings.serve.host}:{settings.serve.port}"
        yield f"dashboard: {base}/ (API: {base}/api)"


def _in_the_clear(settings: Settings) -> Iterator[str]:
    """Passwords that anybody on the network can read are told of, and are the site's to allow."""
    here = settings.serve.host in ("127.0.0.1", "::1", "localhost")
    if not here and settings.serve.tls is None and not settings.serve.trusted_proxies:
        yield (
            f"[serve] host: {settings.serve.host} without TLS: passwords cross the network in the clear; "
            "set tls_cert and tls_key, or put a proxy in front and name it in trusted_proxies"
        )


def check_folders(settings: Settings) -> None:
    """Write and remove a file where the site will write.

    Raises:
        SettingsError: a folder cannot be made or written.
    """
    data = settings.site.data.absolute()
    for folder in (data, settings.evidence_folder.absolute()):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder) as file:
                file.write(b"jikimi")
                file.flush()
        except OSError as error:
            raise SettingsError(
                f"[site] data: {folder} cannot be written ({error.strerror or error}); "
                f"give it to user {os.getuid()}, or choose another folder"
            ) from error


def check_camera(camera: CameraSettings, card: Card) -> None:
    """Refuse what the model does not know and what is no camera.

    Raises:
        SettingsError: a behaviour that is not the model's, or an address that is never watched.
    """
    camera_rule(card, camera)
    for key, address in (("address", camera.address), ("sub", camera.sub)):
        if address is not None:
            with _about(f"camera {camera.name!r}: {key}: "):
                check_scheme(address)


def check_targets(settings: Settings, card: Card) -> None:
    """Open and close the way to everybody who is alerted; nothing is sent.

    Raises:
        RefusedError: a url that can never work.
    """
    plant = Plant(site=settings.site.name, language=settings.site.language, behaviors=card.behaviors)
    for target in settings.targets:
        with _about("[[target]] "):
            open_channel(target, plant=plant, announce=False).close()
    if settings.pulse.url is not None:
        with _about("[pulse] url: "):
            WebCaller(settings.pulse.url.get_secret_value()).close()


def check_port(host: str, port: int) -> None:
    """Listen for a moment where the API will; port 0 takes any.

    Raises:
        SettingsError: another program listens there, or it is no address of this machine.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, _, _, place in found[:1]:
            with socket.socket(family, kind) as listener:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind(place)
                listener.listen()  # with SO_REUSEADDR two may bind; only one may listen
    except (socket.gaierror, UnicodeError):
        raise SettingsError(f"[serve] host: {host!r} is not known; use 127.0.0.1 or 0.0.0.0") from None
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            words = f"host: {host!r} is no address of this machine; use 127.0.0.1 or 0.0.0.0"
        elif error.errno == errno.EADDRINUSE:
            words = f"port: {port} is {_BUSY}"
        else:
            words = f"port: {port} cannot be used ({error.strerror}); choose another, above 1023"
        raise SettingsError(f"[serve] {words}") from error


def _opened(settings: Settings) -> tuple[Following, Card, InForce]:
    """What the store says: which cameras are wanted, the model that watches, and the settings that hold."""
    with _about("" if settings.store.url is None else "[store] url: "):
        store = open_site_store(settings)
    try:
        with _about("[model] bundle: " if settings.model.bundle is not None else ""):
            _, card = usable_champion(
                settings, store, lambda path: check_bundle(path, threads=settings.model.threads)
            )
        following = Following(store, settings.cameras)
        following.look()
        now = follow_settings(settings, store).now
        fixed = {target.name for target in settings.targets}
        if doubled := sorted(fixed & {stored.name for stored in store.targets()}):
            raise SettingsError(twice(doubled[0]))
    finally:
        store.close()
    return following, card, now


def _unready(settings: Settings, cameras: list[CameraSettings]) -> Iterator[str]:
    """What is odd and no reason not to start."""
    if not cameras:
        yield "no camera yet: add one on the dashboard, or with jikimi camera add NAME ADDRESS"
    for camera in cameras:
        if not camera.address.is_network and not Path(camera.address.reveal()).exists():
            yield f"camera {camera.name!r}: {camera.address} is not there now; it is tried again and again"
    if not settings.targets:
        yield "nobody is alerted: add a [[target]] to jikimi.toml, or a target in the dashboard's settings"
    elif not any(settings.alert_lists):
        yield "nobody is alerted: [alerts] lists is empty"


@contextmanager
def _about(where: str) -> Iterator[None]:
    """Put what cannot be used behind where it is set."""
    try:
        yield
    except JikimiError as error:
        words = str(error)
        if not where or words.startswith((where, where.split(":")[0])):
            raise
        raise type(error)(f"{where}{words}") from error
