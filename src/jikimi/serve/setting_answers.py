"""What the API answers and takes of settings and targets."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, SecretStr

from jikimi.in_force import Applies, Origin
from jikimi.serve.answers import CameraName, Told, Word

# Apprise takes several addresses in one.
_Url = Annotated[SecretStr, Field(max_length=4096)]
_Secret = Annotated[SecretStr, Field(max_length=1024)]

Kind = Literal["apprise", "mqtt", "webhook"]


class TargetRequest(BaseModel):
    """Somebody to alert. `url` and `secret` are stored encrypted and never shown; left out: as stored."""

    model_config = ConfigDict(extra="forbid")

    kind: Kind
    url: _Url | None = None
    secret: _Secret | None = None
    topic: Word = "jikimi"
    discovery: Word | None = "homeassistant"
    faults: bool = True


class NewTargetRequest(TargetRequest):
    """The same with its name, to be tried before it is saved."""

    name: CameraName


class TargetAnswer(BaseModel):
    """Somebody who is alerted; `fixed` ones are in jikimi.toml and changed there.

    `signed`: there is a secret. `problem` says why one cannot be used; `kind` is then null.
    """

    name: str
    kind: Kind | None = None
    topic: str = ""
    discovery: str | None = None
    faults: bool = True
    signed: bool = False
    fixed: bool
    changed_at: datetime | None = None
    problem: Told = ""


class SettingRequest(BaseModel):
    """The value that is to hold, as jikimi.toml would have it."""

    model_config = ConfigDict(extra="forbid")

    value: JsonValue


class SettingAnswer(BaseModel):
    """A value that holds, where it comes from, and the one that would hold without what was stored.

    `applies` says when a change takes effect: `at-once` within two seconds, from the `next-incident` on, or
    `cameras-anew`: every camera is opened anew, about two seconds. None needs a restart. `over`, `least` and
    `most` bound a number.
    """

    key: str
    value: JsonValue
    origin: Origin
    given: JsonValue
    given_origin: Origin
    changed_at: datetime | None
    changed_by: str
    applies: Applies
    over: float | None = None
    least: float | None = None
    most: float | None = None


class SettingsAnswer(BaseModel):
    """Every value that may be changed, and what was stored and does not hold."""

    values: list[SettingAnswer]
    problems: list[Told]
