"""The whole examination, in the order in which things depend on each other."""

from pathlib import Path

from jikimi.doctor.finding import Finding, problem, without_secrets
from jikimi.doctor.machine import look_at_machine
from jikimi.doctor.outside import finished, start_cameras, start_targets
from jikimi.doctor.site import (
    look_at_database,
    look_at_key,
    look_at_model,
    look_at_running,
    look_at_stored,
)
from jikimi.errors import JikimiError
from jikimi.settings import CameraSettings, Settings
from jikimi.settings_file import load_settings


def examine(config: Path | None) -> list[Finding]:
    """Look at everything; what is wrong is a finding and never raises."""
    try:
        settings = load_settings(config)
    except JikimiError as error:
        wrong = problem("settings", error, cure="correct it; nothing starts before")
        return [*look_at_machine(Settings()), wrong]
    cameras: list[CameraSettings] = []
    try:
        findings, cameras, held = _site(settings)
        seen = [*look_at_machine(held), _file(config, settings, held), *findings]
        settings = held
    except OSError as error:
        cure = "run jikimi as the user of its data folder, or correct [site] data"
        seen = [Finding("disk", "problem", f"{error.filename}: {error.strerror}", cure)]
    return list(without_secrets(seen, settings, cameras))


def _file(config: Path | None, settings: Settings, held: Settings) -> Finding:
    """What is read, and whether anybody is alerted by it and by what was stored."""
    file = config or Path("jikimi.toml")
    if not file.exists():
        cure = "write jikimi.toml, as docs/operations.md shows, or give --config"
        return Finding("settings", "warning", "no jikimi.toml here: defaults", cure)
    found = f"{file}: {len(settings.cameras)} cameras, {len(settings.targets)} targets"
    if not any(held.alert_lists):
        return Finding("settings", "warning", f"{found}; nobody is alerted", "add a [[target]]")
    return Finding("settings", "ok", found)


def _site(settings: Settings) -> tuple[list[Finding], list[CameraSettings], Settings]:
    """What the site's own parts are like, every camera there is, and the settings that hold."""
    database, readable = look_at_database(settings)
    now, told = look_at_stored(settings, readable=readable)
    targets = start_targets(now.settings.targets)
    key, stored = look_at_key(settings, readable=readable)
    fixed = {camera.name for camera in settings.cameras}
    cameras = [*settings.cameras, *(camera for camera in stored if camera.name not in fixed)]
    model, card = look_at_model(settings, sum(camera.enabled for camera in cameras), readable=readable)
    tried = start_cameras(cameras, card)  # after the model was timed: decoding would disturb that
    twice = [_twice(camera) for camera in stored if camera.name in fixed]
    findings = [
        model,
        database,
        key,
        *twice,
        *told,
        *look_at_running(settings),
        *finished(tried),
        *finished(targets),
    ]
    return findings, cameras, now.settings


def _twice(camera: CameraSettings) -> Finding:
    cure = "keep one: jikimi camera remove, or delete it from the file"
    return Finding(f"camera {camera.name}", "problem", "is in jikimi.toml and in the database", cure)
