"""`jikimi.toml` and `JIKIMI_*` from the environment → settings, read once. Nothing else reads either.

What is wrong is one line with the file, the key and the cure; no value is quoted, since it may be a secret.
"""

import os
import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from jikimi.address import Address
from jikimi.errors import SettingsError
from jikimi.settings import CameraSettings, Settings

# Environment variables that stand for a key of the file: `JIKIMI_SERVE__PORT=9000` is `[serve] port`.
_PREFIX, _DEEPER = "JIKIMI_", "__"

_SECTIONS = frozenset({"site", "model", "store", "serve", "evidence", "health", "alerts", "pulse"})


def load_settings(path: Path | None = None, *, environment: dict[str, str] | None = None) -> Settings:
    """Read `jikimi.toml`; no path means the one in the current folder, or defaults where there is none.

    Relative paths in the file count from the file's folder.

    Raises:
        SettingsError: the file cannot be read, or a key is unknown, missing or wrong: one line saying which.
    """
    environment = dict(os.environ) if environment is None else environment
    given = path is not None
    path = path or Path("jikimi.toml")
    raw: dict[str, Any] = {}
    if given or path.exists():
        raw = _read(path)
    _overlay(raw, environment)
    try:
        settings = Settings.model_validate(raw)
    except ValidationError as error:
        raise SettingsError(f"{path}: {_first(error, raw)}") from None  # pydantic's own words quote secrets
    return _placed(settings, path.parent)


def pinned_keys(environment: dict[str, str] | None = None) -> frozenset[str]:
    """Return the keys that the environment gives, as `evidence.keep_days`: nothing stands over those."""
    environment = dict(os.environ) if environment is None else environment
    return frozenset(f"{section}.{key}" for section, key in map(_place, environment) if section)


def _place(name: str) -> tuple[str, str]:
    """`("serve", "port")` for `JIKIMI_SERVE__PORT`; two empty words for what is no key of ours."""
    section, deeper, key = name.removeprefix(_PREFIX).lower().partition(_DEEPER)
    ours = name.startswith(_PREFIX) and deeper and section in _SECTIONS
    return (section, key) if ours else ("", "")


def secret_key(environment: dict[str, str] | None = None) -> str | None:
    """Return the key for addresses that the environment gives (`JIKIMI_KEY`), if it does."""
    return (dict(os.environ) if environment is None else environment).get("JIKIMI_KEY") or None


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}; give --config FILE") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path}: {error}") from None


def _overlay(raw: dict[str, Any], environment: dict[str, str]) -> None:
    """Put what the environment says of single keys over what the file says."""
    for name, value in sorted(environment.items()):
        section, key = _place(name)
        if section:
            table = raw.setdefault(section, {})
            if isinstance(table, dict):
                table[key] = value


def _first(error: ValidationError, raw: dict[str, Any]) -> str:
    """The first thing that is wrong: key, what is wrong with it and what it may be; no value is quoted."""
    found = error.errors(include_input=False, include_url=False)[0]
    key = _key(found["loc"], raw)
    if found["type"] == "extra_forbidden":
        return f"{key}: no such setting; see docs/operations.md for those there are"
    if found["type"] == "missing":
        return f"{key}: missing; give it a value"
    text = found["msg"].removeprefix("Value error, ")
    return f"{key}: {text}" if key else text


def _key(parts: tuple[int | str, ...], raw: Any) -> str:
    """`camera 'press-3'.theta_on.jam` for ("camera", 2, "theta_on", "jam")."""
    shown = ""
    for part in parts:
        raw = raw[part] if _holds(raw, part) else None
        if isinstance(part, int):
            name = raw.get("name") if isinstance(raw, dict) else None
            shown += f" {name!r}" if isinstance(name, str) else f" number {part + 1}"
        else:
            shown += f".{part}" if shown else part
    return shown


def _holds(raw: Any, part: int | str) -> bool:
    if isinstance(raw, dict):
        return part in raw
    return isinstance(raw, list) and isinstance(part, int) and part < len(raw)


def _placed(settings: Settings, folder: Path) -> Settings:
    """Let relative paths count from the file's folder."""
    site = settings.site.model_copy(update={"data": folder / settings.site.data})
    bundle, key_file = settings.model.bundle, settings.store.key_file
    model = settings.model.model_copy(update={"bundle": folder / bundle if bundle else None})
    store = settings.store.model_copy(update={"key_file": folder / key_file if key_file else None})
    tls = {key: folder / path for key in ("tls_cert", "tls_key") if (path := getattr(settings.serve, key))}
    serve = settings.serve.model_copy(update=tls)
    cameras = tuple(_placed_camera(camera, folder) for camera in settings.cameras)
    placed = {"site": site, "model": model, "store": store, "serve": serve, "cameras": cameras}
    return settings.model_copy(update=placed)


def _placed_camera(camera: CameraSettings, folder: Path) -> CameraSettings:
    sub = _placed_address(camera.sub, folder) if camera.sub is not None else None
    return camera.model_copy(update={"address": _placed_address(camera.address, folder), "sub": sub})


def _placed_address(address: Address, folder: Path) -> Address:
    if address.is_network or Path(address.reveal()).is_absolute():
        return address
    return Address(str(folder / address.reveal()))
