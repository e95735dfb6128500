"""Hours of the week in a form: days, from and to.

A browser's clock knows no 24:00; the form shows 00:00, which as an end is the same.
"""

from collections.abc import Mapping
from typing import Any

from nicegui import ui

from jikimi.serve.pages.words import Words

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def hours_row(hours: Mapping[str, Any]) -> dict[str, Any]:
    """What a form changes: `days`, `start` and `end`, from hours as the API has them."""
    end = "00:00" if hours["end"] == "24:00" else hours["end"]
    return {"days": list(hours["days"]), "start": hours["start"], "end": end}


def hours_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """Hours as the API takes them, from what a form changed."""
    days = [day for day in DAYS if day in row["days"]]
    end = "24:00" if row["end"] == "00:00" else row["end"]
    return {"days": days, "start": row["start"], "end": end}


def hours_fields(words: Words, row: dict[str, Any]) -> None:
    """The fields that change a row."""
    days = {day: words(day) for day in DAYS}
    ui.select(days, multiple=True, label=words("days")).bind_value(row, "days").props(
        "outlined dense"
    ).classes("j-grow")
    for key, label in (("start", "from"), ("end", "to")):
        ui.input(words(label)).bind_value(row, key).props("outlined dense type=time stack-label")
