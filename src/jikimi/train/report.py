"""Figures → one self-contained HTML page, a JSON file and the pictures, each written whole or not at all."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from jikimi.behaviors import Behavior
from jikimi.bundle import Card
from jikimi.errors import DataError
from jikimi.incident import Rule
from jikimi.metrics import Figure
from jikimi.train.strips import data_uri

REPORT, METRICS = "report.html", "metrics.json"

# Every picture a report may have: those of an earlier one in the same folder must not stand beside this one.
PICTURES = ("confusion.png", "reliability.png", "curve.png", "delay.png", "timelines.png")


@dataclass(frozen=True, slots=True)
class Tile:
    """One headline figure: what it is, its value, what qualifies it, and whether it meets its goal."""

    name: str
    value: str
    small: str = ""
    goal: str = ""
    met: bool | None = None


def percent(value: float | None) -> str:
    """Share as per cent, a dash where there is none."""
    return "–" if value is None else f"{100 * value:.0f} %"


def number(value: float | None, digits: int = 2, unit: str = "") -> str:
    """Number with its unit, a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}{unit}"


def interval(figure: Figure, *, digits: int = 2, as_percent: bool = False) -> str:
    """The 95 % interval in words, empty where none was called for."""
    if figure.low is None or figure.high is None:
        return ""
    if as_percent:
        return f"{100 * figure.low:.0f}–{100 * figure.high:.0f} %"
    return f"{figure.low:.{digits}f}–{figure.high:.{digits}f}"


def behavior_label(key: str, behaviors: Sequence[Behavior]) -> str:
    """Key and Korean name of a behaviour: "fall-down 넘어짐"."""
    korean = next((b.korean for b in behaviors if b.key == key), key)
    return key if korean == key else f"{key} {korean}"


def model_facts(card: Card) -> dict[str, str]:
    """What the model is, for its table in the report."""
    first_decision_s = card.warm_up / card.rate_hz
    return {
        "model": card.name,
        "precision": card.precision,
        "pictures": f"{card.preprocess.width_px} × {card.preprocess.height_px} px at {card.rate_hz:g} Hz",
        "window": f"{card.window} frames, {card.window / card.rate_hz:g} s"
        if card.sampling == "timed"
        else f"{card.window} frames evenly over the clip",
        "first decision": f"{first_decision_s:g} s after a camera starts",
        "temperature": f"{card.temperature:.3g}",
    }


def model_summary(card: Card) -> dict[str, Any]:
    """What a figures file says of the model it measured."""
    document = card.model_dump(mode="json")
    told = ("name", "precision", "sampling", "temperature", "rule", "training", "calibration", "hashes")
    return {name: document[name] for name in told}


def rule_summary(rule: Rule) -> dict[str, Any]:
    """A rule as JSON values."""
    return {**asdict(rule), "theta_on": dict(rule.theta_on)}


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """A nested summary as rows of a table, names joined by a dot."""
    rows: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            rows |= flatten(value, f"{prefix}{name}.")
        elif isinstance(value, float):
            rows[prefix + name] = f"{value:.4g}"
        else:
            rows[prefix + name] = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return rows


def write_report(
    out: Path,
    *,
    template: str,
    card: Card,
    context: Mapping[str, Any],
    metrics: Mapping[str, Any],
    pictures: Mapping[str, bytes],
) -> Path:
    """Write `metrics.json`, the pictures (by file name) and, last, `report.html`; returns the page's path.

    Raises:
        DataError: the folder cannot be written.
    """
    page = _render(
        template,
        {
            **context,
            "card": card,
            "model_facts": model_facts(card),
            "training": flatten(card.training),
            "calibration": flatten(card.calibration),
            "pictures": {name: data_uri(content, "image/png") for name, content in pictures.items()},
        },
    )
    document = json.dumps(metrics, ensure_ascii=False, indent=2, allow_nan=False) + "\n"
    files = {**pictures, METRICS: document.encode(), REPORT: page.encode()}
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            _write(out / name, content)
        for name in set(PICTURES) - pictures.keys():
            (out / name).unlink(missing_ok=True)
    except OSError as error:
        raise DataError(f"{out}: the report cannot be written here ({error.strerror or error})") from error
    return out / REPORT


def _write(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _render(template: str, context: Mapping[str, Any]) -> str:
    environment = Environment(
        loader=PackageLoader("jikimi.train"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "number": number, "interval": interval}
    card: Card = context["card"]
    environment.filters["behavior"] = lambda key: behavior_label(key, card.behaviors)
    return environment.get_template(template).render(context)
