"""What the API answers about models: cards as JSON, and two models beside each other."""

import math
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from jikimi.bundle import Card, read_card
from jikimi.errors import BundleError
from jikimi.serve.answers import Told
from jikimi.store.records import ModelState

# A card is somebody else's: what lies deeper than this is of no use to anybody.
_DEEPEST = 8


class BehaviorAnswer(BaseModel):
    """A behaviour that a model tells apart; `severity` 0 is the normal one."""

    key: str
    korean: str
    english: str
    severity: int


class CardAnswer(BaseModel):
    """What a model is. A decision looks at `window` pictures, `window_s` long.

    `theta_on` are its thresholds by behaviour. `metrics`, `training` and `calibration` are as whoever trained
    it wrote them.
    """

    name: str
    behaviors: list[BehaviorAnswer]
    theta_on: dict[str, float]
    rate_hz: float
    window: int
    window_s: float
    short_side_px: int
    precision: str
    metrics: dict[str, Any]
    training: dict[str, Any]
    calibration: dict[str, Any]


class ModelAnswer(BaseModel):
    """A model. `origin`: `store`, it was added; `shipped`, Jikimi carries it; `file`, jikimi.toml names it.

    `watching` is whether it is the one that watches at this moment: some seconds after it became champion.
    `problem` says why one has failed or cannot be read. `card` is null where it cannot be read.
    """

    sha256: str
    name: str
    state: ModelState
    origin: Literal["store", "shipped", "file"]
    watching: bool
    size_bytes: int
    added_at: datetime | None
    added_by: str
    challenged_at: datetime | None
    promoted_at: datetime | None
    proven_at: datetime | None
    problem: Told
    card: CardAnswer | None


class ModelsAnswer(BaseModel):
    """Every model. `fixed`: jikimi.toml names the one that watches, and nothing can be promoted.

    `champion`, `challenger` and `before`, to which would be rolled back, are hashes. `challenger_running` is
    whether the challenger's detector answers at this moment.
    """

    fixed: bool
    champion: str | None
    challenger: str | None
    challenger_running: bool
    before: str | None
    models: list[ModelAnswer]


class CountAnswer(BaseModel):
    """What a model has raised, and what became of it: what nobody answered is neither."""

    incidents: int = 0
    correct: int = 0
    false_alarms: int = 0


class PairAnswer(BaseModel):
    """Two models on one camera and behaviour.

    What the challenger raised counts as answered where the champion raised something within 10 s that was.
    `both_same` and `both_any` count the champion's incidents to which the challenger has one, of the same
    behaviour or of any.
    """

    camera: str
    behavior: str
    champion: CountAnswer
    challenger: CountAnswer
    both_same: int = 0
    both_any: int = 0


class BothHoursAnswer(BaseModel):
    """For how long both have watched a camera."""

    camera: str
    hours: float


class ComparisonAnswer(BaseModel):
    """Champion and challenger (null: there is none) in [since, until), in hours that both have watched.

    `since` is when the challenger began, or the champion, where that was later than what was asked for.
    """

    champion: str
    challenger: str | None
    challenger_sha256: str | None
    since: datetime
    until: datetime
    hours: float
    cameras: list[BothHoursAnswer]
    pairs: list[PairAnswer]


def card_answer(path: Path) -> tuple[CardAnswer | None, str]:
    """The card of a bundle; or None, and why it cannot be read."""
    try:
        facts = path.stat()
        return _shown(_card(path, facts.st_mtime_ns, facts.st_size)), ""
    except OSError as error:
        return None, f"its file cannot be read: {error.strerror}"
    except BundleError as error:
        return None, str(error)


@lru_cache(maxsize=64)
def _card(path: Path, _mtime_ns: int, _size: int) -> Card:
    return read_card(path)


def _shown(card: Card) -> CardAnswer:
    behaviors = [
        BehaviorAnswer(key=one.key, korean=one.korean, english=one.english, severity=one.severity)
        for one in card.behaviors
    ]
    return CardAnswer(
        name=card.name,
        behaviors=behaviors,
        theta_on=dict(card.rule.theta_on),
        rate_hz=card.rate_hz,
        window=card.window,
        window_s=card.window / card.rate_hz,
        short_side_px=card.short_side_px,
        precision=card.precision,
        metrics=plain(card.metrics),
        training=plain(card.training),
        calibration=plain(card.calibration),
    )


def plain(value: Any, *, depth: int = 0) -> Any:
    """What JSON can say of a value of somebody else's JSON: no NaN, nothing too deep."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {} if depth > _DEEPEST else {key: plain(each, depth=depth + 1) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [] if depth > _DEEPEST else [plain(each, depth=depth + 1) for each in value]
    return value
