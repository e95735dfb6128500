"""Settings: whom to alert. Adding and changing them, a test before saving, and who is told first."""

from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import quote

from nicegui import ui

from jikimi.serve.pages.api import Refused
from jikimi.serve.pages.frame import escaped, heading, press, told
from jikimi.serve.pages.values import Form, shown_at
from jikimi.serve.pages.visitor import Visitor

_KINDS = ("webhook", "mqtt", "apprise")


async def targets_part(visitor: Visitor, held: Mapping[str, Any]) -> None:
    """Build the part: everybody sees who is alerted, admins of the site change it. `held`: the settings."""
    words = visitor.words
    targets = await visitor.api.get("/targets")
    with ui.element("section").classes("j-panel j-stack").props("id=targets"):
        with ui.element("div").classes("j-row"):
            heading(words("targets"), level=2)
            ui.element("span").classes("j-space")
            if visitor.is_site_admin:
                press(words("add-target"), lambda: _Dialog(visitor, None).open(), kind="plain")
        ui.label(words("targets-why")).classes("j-soft")
        if not targets:
            ui.label(words("no-targets")).classes("j-chip warn j-wrap")
        for target in targets:
            _row(visitor, target)
    if visitor.is_site_admin:
        _Lists(visitor, [target["name"] for target in targets], held).build()


def _row(visitor: Visitor, target: Mapping[str, Any]) -> None:
    words = visitor.words
    with ui.element("div").classes("j-row j-line"):
        ui.label(target["name"]).classes("j-strong")
        if target["kind"]:
            ui.label(words(f"kind-{target['kind']}")).classes("j-chip")
        if not target["faults"]:
            ui.label(words("no-faults-told")).classes("j-chip")
        if target["problem"]:
            ui.label(target["problem"]).classes("j-chip warn j-wrap")
        ui.element("span").classes("j-space")
        if target["fixed"]:
            ui.label("jikimi.toml").classes("j-soft")
        if visitor.may_answer and target["kind"]:
            press(words("test"), partial(_try_target, visitor, target["name"]), kind="plain").props(
                f'aria-label="{escaped(words("test"))} {escaped(target["name"])}"'
            )
        if visitor.is_site_admin and not target["fixed"]:
            label = escaped(words("change-target", name=target["name"]))
            ui.button(icon="edit", on_click=lambda: _Dialog(visitor, target).open()).props(
                f'flat round dense aria-label="{label}"'
            )


async def _try_target(visitor: Visitor, name: str) -> None:
    ui.notify(visitor.words("testing"))
    try:
        answer = await visitor.api.post(f"/targets/{quote(name, safe='')}/try")
    except Refused as error:
        told(error)
        return
    ui.notify(visitor.words("test-arrived", seconds=f"{answer['seconds']:.2f}"), type="positive")


class _Dialog:
    """The form of one target; None: a new one. What is secret is never in it before somebody enters it."""

    def __init__(self, visitor: Visitor, target: Mapping[str, Any] | None) -> None:
        self.visitor, self.words, self.target = visitor, visitor.words, target

    def open(self) -> None:
        """Build and show it."""
        words, target = self.words, self.target
        kept = f'hint="{words("as-stored")}"' if target is not None else ""
        with ui.dialog() as self._dialog, ui.card().classes("j-dialog"):
            heading(words("add-target") if target is None else target["name"], level=2)
            self._name = ui.input(words("name"), value="" if target is None else target["name"])
            self._name.props("outlined dense maxlength=80").set_visibility(target is None)
            self._kind = ui.select(
                {kind: words(f"kind-{kind}") for kind in _KINDS},
                label=words("target-kind"),
                value=(target or {}).get("kind") or "webhook",
                on_change=self._show_fields,
            ).props("outlined dense")
            self._url = ui.input(words("target-url"))
            self._url.props(f"outlined dense stack-label autocomplete=off {kept}")
            self._secret = ui.input(words("target-secret"), password=True, password_toggle_button=True)
            self._secret.props(f"outlined dense autocomplete=new-password {kept}")
            self._topic = ui.input(words("topic"), value=(target or {}).get("topic") or "jikimi")
            self._discovery = ui.input(
                words("discovery"),
                value="homeassistant" if target is None else target["discovery"] or "",
            )
            for field in (self._topic, self._discovery):
                field.props("outlined dense")
            self._faults = ui.switch(words("tell-faults"), value=(target or {}).get("faults", True))
            self._tried = ui.element("div").props("role=status")
            self._ending()
        self._show_fields()
        self._dialog.open()

    def _ending(self) -> None:
        words = self.words
        with ui.element("div").classes("j-row"):
            if self.target is not None:
                press(words("remove"), self._ask_remove, kind="plain")
            self._try_button = press(words("test"), self._try, kind="plain")
            ui.element("span").classes("j-space")
            press(words("cancel"), self._dialog.close, kind="plain")
            press(words("save"), self._save)

    def _show_fields(self) -> None:
        """Each kind's own fields, and an example of its address."""
        kind = self._kind.value
        example = {
            "webhook": "https://alarms.plant.example/jikimi",
            "mqtt": "mqtts://user:password@broker.plant.example:8883",
            "apprise": "mailtos://user:password@mail.plant.example?to=safety@plant.example",
        }[kind]
        self._url.props(f'placeholder="{example}"')
        self._secret.set_visibility(kind == "webhook")
        for field in (self._topic, self._discovery):
            field.set_visibility(kind == "mqtt")

    def _body(self) -> dict[str, Any]:
        body = {"kind": self._kind.value, "url": self._url.value or None, "faults": self._faults.value}
        if body["kind"] == "webhook":
            body["secret"] = self._secret.value or None
        if body["kind"] == "mqtt":
            body |= {"topic": self._topic.value or "", "discovery": self._discovery.value or ""}
        return body

    def _refused(self, error: Refused) -> None:
        fields = {
            "name": self._name, "url": self._url, "secret": self._secret, "topic": self._topic,
            "discovery": self._discovery,
        }  # fmt: skip
        if not shown_at(fields, error, self.words):
            told(error)

    async def _try(self) -> None:
        """Send a test alert to what stands in the form."""
        words = self.words
        self._clear()
        self._try_button.props("disabled")
        with self._tried:
            ui.label(words("testing")).classes("j-soft")
        body = {**self._body(), "name": (self._name.value or "").strip() or "test"}
        problem = seconds = None
        try:
            seconds = (await self.visitor.api.post("/targets/try", body))["seconds"]
        except Refused as error:
            problem = error
        self._try_button.props(remove="disabled")
        self._tried.clear()
        if problem is not None and problem.status == 422:
            self._refused(problem)
            return
        with self._tried:
            if problem is not None:
                ui.label(str(problem)).classes("j-chip warn j-wrap")
            else:
                ui.label(words("test-arrived", seconds=f"{seconds:.2f}")).classes("j-chip good j-wrap")

    def _clear(self) -> None:
        for field in (self._name, self._url, self._secret, self._topic, self._discovery):
            field.error = None
        self._tried.clear()

    async def _save(self) -> None:
        self._clear()
        name = (self._name.value or "").strip()
        if not name:
            self._name.error = self.words("value-missing")
            return
        try:
            if self.target is None and any(
                one["name"] == name for one in await self.visitor.api.get("/targets")
            ):
                self._name.error = self.words("name-taken")
                return
            await self.visitor.api.put(f"/targets/{quote(name, safe='')}", self._body())
        except Refused as error:
            self._refused(error)
            return
        self._dialog.close()
        ui.navigate.reload()

    def _ask_remove(self) -> None:
        words, name = self.words, self._name.value
        with ui.dialog() as sure, ui.card():
            ui.label(words("remove-target-sure", name=name))
            with ui.element("div").classes("j-row"):
                press(words("cancel"), sure.close, kind="plain")
                press(words("remove"), self._remove, kind="alarm")
        sure.open()

    async def _remove(self) -> None:
        try:
            await self.visitor.api.delete(f"/targets/{quote(self._name.value, safe='')}")
        except Refused as error:
            told(error)
            return
        ui.navigate.reload()


class _Lists:
    """Who is told first, and who next while nobody acknowledges."""

    def __init__(self, visitor: Visitor, names: list[str], held: Mapping[str, Any]) -> None:
        self.words, self.names, self.form = visitor.words, names, Form(visitor, held)
        self.rows: list[list[str]] = []

    def build(self) -> None:
        """Build the part."""
        words, form = self.words, self.form
        held = form.held["alerts.lists"]
        self.rows = [list(row) for row in held["value"]]
        with ui.element("section").classes("j-panel j-stack").props("id=lists"):
            heading(words("who-first"), level=2)
            ui.label(words("who-first-why")).classes("j-soft")
            if held["origin"] != "environment":
                self._list = ui.element("div").classes("j-stack")
                self._show()
                press(words("add-list"), self._add, kind="plain").classes("j-start")
            form.add("alerts.lists", lambda: [list(row) for row in self.rows])
            form.source("alerts.lists")
            form.number("alerts.escalate_after_s", words("escalate-after"))
            form.ending()

    def _show(self) -> None:
        words = self.words
        self._list.clear()
        with self._list:
            for number, row in enumerate(self.rows, start=1):
                with ui.element("div").classes("j-row"):
                    ui.select(
                        self.names,
                        multiple=True,
                        label=words("list-n", n=number),
                        value=[name for name in row if name in self.names],
                        on_change=lambda event, place=number - 1: self._change(place, event.value),
                    ).props("outlined dense use-chips").classes("j-grow")
                    label = f"{words('remove')}: {words('list-n', n=number)}"
                    ui.button(icon="delete", on_click=lambda place=number - 1: self._remove(place)).props(
                        f'flat round aria-label="{escaped(label)}"'
                    )

    def _change(self, place: int, names: list[str]) -> None:
        self.rows[place] = list(names)

    def _add(self) -> None:
        self.rows.append([])
        self._show()

    def _remove(self, place: int) -> None:
        del self.rows[place]
        self._show()
