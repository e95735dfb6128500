"""Values of the settings that may be changed while the site runs. Docs: "Changing settings"."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel

from jikimi.in_force import CHANGEABLE, InForce, Value, json_of, variable, with_value
from jikimi.serve.access import SiteAdmin, Viewer
from jikimi.serve.answers import Word
from jikimi.serve.backend import Backend, backend_of
from jikimi.serve.problems import Refusal
from jikimi.serve.setting_answers import SettingAnswer, SettingRequest, SettingsAnswer
from jikimi.settings import Settings
from jikimi.store import SettingRecord

router = APIRouter(prefix="/settings", tags=["settings"])

_Key = Annotated[Word, Path()]


@router.get("", summary="Every value that may be changed")
def list_settings(request: Request, _caller: Viewer) -> SettingsAnswer:
    """What holds, where it comes from (`origin`), and what jikimi.toml says (`given`)."""
    now = backend_of(request).followed.now
    return SettingsAnswer(values=[_answer(value) for value in now.values.values()], problems=[*now.problems])


@router.put("/{key}", summary="Change a value")
def put_setting(request: Request, caller: SiteAdmin, key: _Key, asked: SettingRequest) -> SettingAnswer:
    """It holds in place of the one of jikimi.toml. 409: the environment gives it, which stands over both."""
    backend = backend_of(request)
    now, before = _now(backend, key)
    if before.origin == "environment":
        raise Refusal(409, "setting-fixed", key=key, variable=variable(key))
    value = json_of(with_value(now.settings, key, asked.value, lost=now.lost), key)
    changes = {"from": before.value, "to": value}
    backend.note(caller, "changed setting", key, **changes)
    backend.store.put_setting(SettingRecord(key, value, datetime.now(UTC), caller.name))
    return _answer(backend.followed.look().values[key])


@router.delete("/{key}", summary="Return to the value of jikimi.toml")
def delete_setting(request: Request, caller: SiteAdmin, key: _Key) -> SettingAnswer:
    """What the file says holds again, or the default. Where nothing was stored nothing changes."""
    backend = backend_of(request)
    _, before = _now(backend, key)
    if backend.store.remove_setting(key):
        backend.note(caller, "reset setting", key, **{"from": before.value, "to": before.given})
    return _answer(backend.followed.look().values[key])


def _now(backend: Backend, key: str) -> tuple[InForce, Value]:
    """What holds, looked at anew. Raises Refusal."""
    if key not in CHANGEABLE:
        raise Refusal(404, "no-setting", key=key)
    now = backend.followed.look()
    return now, now.values[key]


def _answer(value: Value) -> SettingAnswer:
    return SettingAnswer(
        key=value.key,
        value=value.value,
        origin=value.origin,
        given=value.given,
        given_origin=value.given_origin,
        changed_at=value.changed_at,
        changed_by=value.changed_by,
        applies=CHANGEABLE[value.key],
        **_BOUNDS[value.key],
    )


def _bounds(key: str) -> dict[str, float]:
    """Between what a number may be."""
    section, _, name = key.partition(".")
    kind = Settings.model_fields[section].annotation if name else None
    if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return {}
    words = {"gt": "over", "ge": "least", "le": "most"}
    told = kind.model_fields[name].metadata
    return {
        word: float(getattr(one, sign)) for one in told for sign, word in words.items() if hasattr(one, sign)
    }


_BOUNDS = {key: _bounds(key) for key in CHANGEABLE}
