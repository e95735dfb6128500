"""Settings: values that hold in place of those of jikimi.toml, where each comes from, and the way back."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from nicegui import ui
from nicegui.elements.mixins.validation_element import ValidationElement

from jikimi.serve.pages.api import Refused
from jikimi.serve.pages.frame import escaped, heading, press, table, told
from jikimi.serve.pages.hours import DAYS, hours_fields, hours_of, hours_row
from jikimi.serve.pages.visitor import Visitor
from jikimi.serve.pages.words import Words

_Field = ValidationElement[Any]


# A smaller value of these, or a larger one of the last, deletes evidence at once.
_KEEPS_LESS = {"evidence.keep_days": 1, "evidence.max_gb": 1, "evidence.min_free_gb": -1}

_LABELS: Mapping[str, str] = {
    "site.name": "site-name",
    "site.language": "alert-language",
    "site.time_zone": "time-zone",
    "evidence.keep_days": "keep-days",
    "evidence.max_gb": "max-gb",
    "evidence.min_free_gb": "min-free-gb",
    "evidence.pre_roll_s": "pre-roll",
    "evidence.post_roll_s": "post-roll",
    "evidence.replay_minutes": "replay-minutes",
    "health.offline_s": "offline-after",
    "health.frozen_s": "frozen-after",
    "alerts.escalate_after_s": "escalate-after",
}


def values_part(visitor: Visitor, held: Mapping[str, Any]) -> None:
    """Build the parts: a table for everybody, forms for admins of the site. `held` is what the API says."""
    words = visitor.words
    if not visitor.is_site_admin:
        values = held["values"]
        with ui.element("section").classes("j-panel j-stack"):
            heading(words("site"), level=2)
            table([(words(_LABELS[one["key"]]), text_of(words, one["key"], one["value"])) for one in values
                   if one["key"] in _LABELS])  # fmt: skip
        return
    _site(visitor, held)
    _numbers(visitor, held, title="retention", section="evidence")
    _numbers(visitor, held, title="camera-health", section="health")
    _Shifts(visitor, held).build()


def _site(visitor: Visitor, held: Mapping[str, Any]) -> None:
    words, form = visitor.words, Form(visitor, held)
    with ui.element("section").classes("j-panel j-stack").props("id=site"):
        heading(words("site"), level=2)
        for problem in form.problems:
            ui.label(problem).classes("j-chip warn j-wrap")
        with ui.element("div").classes("j-cells"):
            form.text("site.name", words("site-name"))
            languages = {"ko": words("korean"), "en": words("english")}
            form.choice("site.language", words("alert-language"), languages)
            zones = {"": words("machines-own"), **{zone: zone for zone in _zones()}}
            form.choice("site.time_zone", words("time-zone"), zones)
        form.ending()


def _numbers(visitor: Visitor, held: Mapping[str, Any], *, title: str, section: str) -> None:
    words, form = visitor.words, Form(visitor, held)
    with ui.element("section").classes("j-panel j-stack").props(f"id={title}"):
        heading(words(title), level=2)
        with ui.element("div").classes("j-cells"):
            for key, label in _LABELS.items():
                if key.startswith(f"{section}."):
                    form.number(key, words(label))
        form.ending()


@cache
def _zones() -> list[str]:
    """Every time zone there is: six hundred files are looked at for it."""
    return sorted(available_timezones())


def shown_at(fields: Mapping[str, Any], error: Refused, words: Words) -> bool:
    """Show what the API says of a field at that field → whether it says it of one."""
    found = re.match(r"(?:body\.|path\.)?([\w.]+): (.*)", error.detail, re.DOTALL)
    field = fields.get(found[1]) if found is not None else None
    if found is None or not isinstance(field, ValidationElement):
        return False
    field.error = words.field_problem(found[2])
    return True


def text_of(words: Words, key: str, value: Any) -> str:
    """A value in words."""
    if key == "site.time_zone" and value is None:
        return words("machines-own")
    if key == "site.language":
        return words("korean" if value == "ko" else "english")
    if isinstance(value, list):
        return words("n-entries", n=len(value))
    return f"{value:g}" if isinstance(value, float) else str(value)


class Form:
    """Some values with one button: each that was changed is saved by itself, and refused at its own field."""

    def __init__(self, visitor: Visitor, answer: Mapping[str, Any]) -> None:
        self.visitor, self.words = visitor, visitor.words
        self.held: dict[str, Any] = {one["key"]: one for one in answer["values"]}
        self.problems: list[str] = answer["problems"]
        self._fields: dict[str, _Field] = {}
        self._values: dict[str, Callable[[], Any]] = {}

    def add(self, key: str, value: Callable[[], Any], field: _Field | None = None) -> None:
        """Save with the others what `value` gives; what is wrong with it is shown at `field`."""
        self._values[key] = value
        if field is not None:
            self._fields[key] = field

    def number(self, key: str, label: str) -> None:
        """A number within its bounds."""
        with ui.element("div").classes("j-cell"):
            field = ui.number(label, value=self.held[key]["value"])
            field.props("outlined dense step=any inputmode=decimal")
            self._place(key, field)
        self.add(key, lambda: field.value, field)

    def text(self, key: str, label: str) -> None:
        """A line of text."""
        with ui.element("div").classes("j-cell"):
            field = ui.input(label, value=self.held[key]["value"]).props("outlined dense maxlength=80")
            self._place(key, field)
        self.add(key, lambda: (field.value or "").strip(), field)

    def choice(self, key: str, label: str, options: Mapping[str, str]) -> None:
        """One of several; the empty one is none."""
        value = self.held[key]["value"] or ""
        shown = dict(options) if value in options else {**options, value: value}
        with ui.element("div").classes("j-cell"):
            field = ui.select(shown, label=label, value=value, with_input=len(options) > 10)
            field.props("outlined dense")
            self._place(key, field)
        self.add(key, lambda: field.value or None, field)

    def _place(self, key: str, field: _Field) -> None:
        if self.held[key]["origin"] == "environment":
            field.props("readonly")
        self.source(key)

    def source(self, key: str) -> None:
        """Where a value comes from, when a change takes effect, and the way back to the file's."""
        words, held = self.words, self.held[key]
        with ui.element("div").classes("j-row j-source"):
            ui.label(self._origin(held)).classes("j-soft")
            if held["origin"] == "stored":
                default = held["given_origin"] == "default"
                back = words("return-to-default" if default else "return-to-file")
                label = f"{back}: {words(_LABELS.get(key, 'who-first' if 'lists' in key else 'shifts'))}"
                ui.button(back, icon="undo", on_click=lambda: self._reset(key)).props(
                    f'flat dense no-caps aria-label="{escaped(label)}"'
                )
            if held["applies"] != "at-once" and held["origin"] != "environment":
                ui.label(words(held["applies"])).classes("j-soft")

    def _origin(self, held: Mapping[str, Any]) -> str:
        words = self.words
        if held["origin"] != "stored":
            named = {"default": words("origin-default"), "environment": words("origin-environment")}
            return named.get(held["origin"], "jikimi.toml")
        at = words.moment(datetime.fromisoformat(held["changed_at"]), seconds=False)
        key = "otherwise-default" if held["given_origin"] == "default" else "otherwise"
        given = words(key, value=text_of(words, held["key"], held["given"]))
        return f"{words('origin-stored', name=held['changed_by'], time=at)} · {given}"

    async def _reset(self, key: str) -> None:
        if self._keeps_less({key: self.held[key]["given"]}) and not await self._is_sure():
            return
        try:
            await self.visitor.api.delete(f"/settings/{key}")
        except Refused as error:
            told(error)
            return
        ui.navigate.reload()

    def ending(self) -> None:
        """The button."""
        press(self.words("save"), self._save).classes("j-start")

    async def _save(self) -> None:
        changed = {key: value() for key, value in self._values.items()}
        changed = {key: value for key, value in changed.items() if value != self.held[key]["value"]}
        changed = {k: v for k, v in changed.items() if self.held[k]["origin"] != "environment"}
        for field in self._fields.values():
            field.error = None
        within = [self._is_within(key, value) for key, value in changed.items()]
        if not all(within):  # each says what is wrong with it
            return
        if self._keeps_less(changed) and not await self._is_sure():
            return
        refused = [key for key, value in changed.items() if not await self._put(key, value)]
        if not refused:
            ui.notify(self.words("saved"), type="positive")
            ui.navigate.reload()

    async def _put(self, key: str, value: Any) -> bool:
        try:
            self.held[key] = await self.visitor.api.put(f"/settings/{key}", {"value": value})
        except Refused as error:
            if not shown_at(self._fields, error, self.words):
                told(error.about(key, self.words))
            return False
        return True

    def _is_within(self, key: str, value: Any) -> bool:
        """Whether a number is one that may be; if not, its field says which may."""
        held, words = self.held[key], self.words
        if held["most"] is None:
            return True
        over, least, most = held["over"], held["least"], held["most"]
        words_of = {name: f"{held[name]:,g}" for name in ("over", "least", "most") if held[name] is not None}
        if value is None:
            self._fields[key].error = words("value-missing")
        elif over is not None and not over < value <= most:
            self._fields[key].error = words("range-over", **words_of)
        elif least is not None and not least <= value <= most:
            self._fields[key].error = words("range-least", **words_of)
        else:
            return True
        return False

    def _keeps_less(self, changed: Mapping[str, Any]) -> bool:
        return any(
            sign * value < sign * self.held[key]["value"]
            for key, sign in _KEEPS_LESS.items()
            if (value := changed.get(key)) is not None
        )

    async def _is_sure(self) -> bool:
        words = self.words
        with ui.dialog() as dialog, ui.card():
            ui.label(words("deletes-sure"))
            with ui.element("div").classes("j-row"):
                press(words("cancel"), lambda: dialog.submit(False), kind="plain")
                press(words("save"), lambda: dialog.submit(True), kind="alarm")
        return bool(await dialog)


class _Shifts:
    """The shifts of the plant, all of them at once."""

    def __init__(self, visitor: Visitor, held: Mapping[str, Any]) -> None:
        self.visitor, self.words, self.held = visitor, visitor.words, held
        self.rows: list[dict[str, Any]] = []

    def build(self) -> None:
        """Build the part."""
        words, form = self.words, Form(self.visitor, self.held)
        held = form.held["shift"]
        self.rows = [_row_of(shift) for shift in held["value"]]
        with ui.element("section").classes("j-panel j-stack").props("id=shifts"):
            heading(words("shifts"), level=2)
            ui.label(words("shifts-why")).classes("j-soft")
            self._list = ui.element("div").classes("j-stack")
            self._show()
            press(words("add-shift"), self._add, kind="plain").classes("j-start")
            form.add("shift", lambda: [_shift_of(row) for row in self.rows])
            form.source("shift")
            form.ending()

    def _show(self) -> None:
        words = self.words
        self._list.clear()
        with self._list:
            if not self.rows:
                ui.label(words("no-shifts")).classes("j-soft")
            for row in self.rows:
                with ui.element("div").classes("j-row j-line"):
                    ui.input(words("name")).bind_value(row, "name").props("outlined dense maxlength=80")
                    hours_fields(words, row)
                    label = f"{words('remove')} {row['name']}"
                    ui.button(icon="delete", on_click=lambda row=row: self._remove(row)).props(
                        f'flat round aria-label="{escaped(label)}"'
                    )

    def _add(self) -> None:
        self.rows.append({"name": "", "days": list(DAYS), "start": "06:00", "end": "14:00"})
        self._show()

    def _remove(self, row: Mapping[str, Any]) -> None:
        self.rows = [other for other in self.rows if other is not row]
        self._show()


def _row_of(shift: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": shift["name"], **hours_row(shift["hours"])}


def _shift_of(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": (row["name"] or "").strip(), "hours": hours_of(row)}
