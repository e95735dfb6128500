"""What a site stands on: its model, database, key, folder, port, and the site itself where it runs."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect

from jikimi import selftest
from jikimi.bundle import Bundle, Card, load_bundle
from jikimi.champion import Champion, champion_of, check_whole
from jikimi.checking import check_port
from jikimi.doctor.finding import Finding, Level, problem
from jikimi.errors import JikimiError
from jikimi.in_force import InForce, overlay
from jikimi.running import FRESH_S, follow_settings, run_folder
from jikimi.settings import CameraSettings, Settings
from jikimi.settings_file import pinned_keys, secret_key
from jikimi.status import SiteStatus, read_status
from jikimi.store import open_box, open_store
from jikimi.store.engine import connect
from jikimi.store.migrations import settings as migrations
from jikimi.tls import check_tls, valid_until

# Decoding and evidence want the other half of the machine.
_MODEL_SHARE = 0.5

_ROUNDS = 15

# Three weeks: somebody is on holiday.
_RENEW_DAYS = 21


def look_at_model(settings: Settings, cameras: int, *, readable: bool = False) -> tuple[Finding, Card | None]:
    """Load the bundle that watches, test it, and time it on one picture."""
    try:
        champion = _champion(settings, readable=readable)
        check_whole(champion)
        bundle = load_bundle(champion.path, threads=settings.model.threads)
        selftest.check(bundle)
    except JikimiError as error:
        cure = "promote another, or roll back" if readable else "set [model] bundle to one that is whole"
        return problem("model", error, cure=cure), None
    card, frame_ms = bundle.card, _frame_ms(bundle)
    tested = "self-test passed" if card.known_answer else "runs, though it is too old for a self-test"
    found = f"{card.name}, {tested}, {frame_ms:.1f} ms a picture at {card.rate_hz:g} Hz"
    share = frame_ms / 1000 * card.rate_hz * cameras
    if share > _MODEL_SHARE:
        cure = f"{cameras} cameras keep it busy {share:.0%} of the time: fewer cameras, or a lighter model"
        return Finding("model", "warning", found, cure), card
    return Finding("model", "ok", found), card


def _champion(settings: Settings, *, readable: bool) -> Champion:
    """Raises JikimiError."""
    if not readable or settings.model.bundle is not None:
        return champion_of(settings, None)
    with open_store(settings.store_url) as store:
        return champion_of(settings, store)


def _frame_ms(bundle: Bundle) -> float:
    """The median time of one picture and one decision, milliseconds."""
    card, size = bundle.card, bundle.card.preprocess
    picture = np.zeros((1, size.depth, size.height_px, size.width_px), np.float32)
    window = np.zeros((1, card.window, card.feature_dim), np.float32)
    took = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        bundle.encode(picture)
        bundle.classify(window)
        took.append(time.perf_counter() - began)
    return float(np.median(took)) * 1000


def look_at_database(settings: Settings) -> tuple[Finding, bool]:
    """Reach the database, look at its tables and change none → whether cameras can be read from it."""
    if settings.store.url is None and not (settings.site.data / "jikimi.db").exists():
        return Finding("database", "ok", "SQLite in the data folder; made at the first start"), False
    try:
        engine = connect(settings.store_url)
    except JikimiError as error:
        return problem("database", error, cure="correct [store] url, or start the database"), False
    kind = "SQLite" if engine.dialect.name == "sqlite" else "PostgreSQL"
    try:
        with engine.connect() as connection:
            revision = MigrationContext.configure(connection).get_current_revision()
            tables = len(inspect(connection).get_table_names())
    except Exception as error:  # noqa: BLE001 - drivers throw their own; the kind says enough, words may quote
        words = f"{kind}: its tables cannot be read ({type(error).__name__})"
        return Finding("database", "problem", words, "check the rights of [store] url's user"), False
    finally:
        engine.dispose()
    return _schema(kind, revision, tables)


def _schema(kind: str, revision: str | None, tables: int) -> tuple[Finding, bool]:
    scripts = ScriptDirectory.from_config(migrations())
    known = {script.revision for script in scripts.walk_revisions()}
    if revision is None and tables:
        cure = "give Jikimi a database of its own"
        return Finding("database", "problem", f"{kind} with another program's tables", cure), False
    if revision is None:
        return Finding("database", "ok", f"{kind}, empty; filled at the first start"), False
    if revision not in known:
        return Finding(
            "database", "problem", f"{kind}, schema {revision}", "it is newer: update Jikimi"
        ), False
    if revision != scripts.get_current_head():
        cure = "make a backup: it is brought up to date at the next start"
        return Finding("database", "warning", f"{kind}, schema {revision}, older", cure), False
    return Finding("database", "ok", f"{kind}, schema {revision}"), True


def look_at_key(settings: Settings, *, readable: bool) -> tuple[Finding, list[CameraSettings]]:
    """Open the key and, with it, the cameras that are in the database."""
    key = secret_key()
    source = "JIKIMI_KEY" if key else f"{settings.key_file}"
    if not key and not settings.key_file.parent.is_dir():
        return Finding("key", "ok", f"{source}; made with the first camera"), []
    try:
        box = open_box(settings.key_file, key)
        if not readable:
            return Finding(
                "key", "ok", source if key or settings.key_file.exists() else f"{source}, not made yet"
            ), []
        with open_store(settings.store_url, box=box) as store:
            cameras = [camera.settings for camera in store.cameras()]
    except JikimiError as error:
        return problem("key", error, cure="put the right key back from a backup, mode 600"), []
    return Finding("key", "ok", f"{source}, opens {len(cameras)} cameras of the database"), cameras


def look_at_stored(settings: Settings, *, readable: bool) -> tuple[InForce, list[Finding]]:
    """Which values hold against jikimi.toml, and what was stored and does not hold."""
    nothing = overlay(settings, pinned=pinned_keys())
    if not readable:
        return nothing, []
    try:
        box = open_box(settings.key_file, secret_key()) if settings.key_file.parent.is_dir() else None
        with open_store(settings.store_url, box=box) as store:
            now = follow_settings(settings, store).now
    except JikimiError as error:
        return nothing, [problem("stored settings", error, cure="put the right key back from a backup")]
    held = [Finding(f"setting {key}", "ok", note) for key, note in now.notes.items()]
    return now, held + [_does_not_hold(one) for one in now.problems]


def _does_not_hold(words: str) -> Finding:
    found, _, cure = words.rpartition("; ")
    return Finding("stored settings", "warning", found or cure, cure if found else "enter it again")


def look_at_running(settings: Settings) -> Iterator[Finding]:
    """What a running site says; where none runs, whether its port is free."""
    yield from _certificate(settings)
    status = _status(settings)
    if status is None or status.age_s() >= FRESH_S:
        ago = "" if status is None else f"; it last said something {status.at:%Y-%m-%d %H:%M} UTC"
        yield Finding("site", "ok", f"does not run now{ago}")
        yield _port(settings)
        return
    live = sum(camera.state == "live" for camera in status.cameras)
    found = (
        f"version {status.version}, {live} of {len(status.cameras)} cameras live, detector {status.detector}"
    )
    faults = [*status.faults, *(f"{c.name}: {kind}" for c in status.cameras for kind in c.faults)]
    if faults:
        cure = "see faults in docs/operations.md: " + ", ".join(faults)
        yield Finding("site", "problem" if status.faults else "warning", found, cure)
    elif not status.watching:
        yield Finding("site", "warning", f"{found}; not every camera is decided on", "look again in a minute")
    else:
        yield Finding("site", "ok", f"watching: {found}")


def _status(settings: Settings) -> SiteStatus | None:
    if not settings.site.data.is_dir():
        return None
    try:
        return read_status(run_folder(settings) / "status.json")
    except JikimiError:
        return None


def _certificate(settings: Settings) -> Iterator[Finding]:
    """That of the API, where it has one: browsers refuse an expired one, and nothing else says so."""
    if settings.serve.tls is None:
        return
    cure = "correct [serve] tls_cert and tls_key"
    try:
        check_tls(*settings.serve.tls)
        until = valid_until(settings.serve.tls[0])
    except JikimiError as error:
        yield problem("certificate", error, cure=cure)
        return
    words, left = f"good until {until:%Y-%m-%d}", until - datetime.now(UTC)
    if left < timedelta(days=_RENEW_DAYS):
        level: Level = "problem" if left < timedelta(0) else "warning"
        yield Finding("certificate", level, words, "renew it, and restart jikimi serve")
    else:
        yield Finding("certificate", "ok", words)


def _port(settings: Settings) -> Finding:
    serve = settings.serve
    try:
        check_port(serve.host, serve.port)
    except JikimiError as error:
        return problem("port", error, cure="choose another [serve] port")
    return Finding("port", "ok", f"{serve.host}:{serve.port} is free")
