"""Cameras: all of them; and one: where it is, what is watched in its picture, when, how well it is seen."""

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import quote

from nicegui import ui

from jikimi.serve.pages import charts
from jikimi.serve.pages.api import Refused
from jikimi.serve.pages.evidence import show_facts
from jikimi.serve.pages.frame import escaped, frame, heading, press, script, table, told
from jikimi.serve.pages.hours import DAYS, hours_fields, hours_of, hours_row
from jikimi.serve.pages.missed import report_missed
from jikimi.serve.pages.visitor import Visitor

_SHELVES_MIN = (30, 60, 240, 480)


async def cameras_page(visitor: Visitor) -> None:
    """Build the list."""
    words = visitor.words
    cameras = await visitor.api.get("/cameras")
    statuses = await _statuses(visitor)
    with frame(visitor, "cameras"):
        with ui.element("div").classes("j-row"):
            heading(words("cameras"))
            ui.element("span").classes("j-space")
            if visitor.is_admin:
                press(words("add-camera"), lambda: ui.navigate.to("/cameras/+"))
        if not cameras:
            ui.label(words("no-camera")).classes("j-soft")
        columns = [
            {"name": name, "label": words(name), "field": name, "align": "left"}
            for name in ("camera", "state", "stream", "coverage-day", "faults")
        ]
        coverage = await _coverage(visitor)
        rows = [_row(visitor, one, statuses.get(one["name"]), coverage.get(one["name"])) for one in cameras]
        with ui.element("div").classes("j-panel j-scroll").props("tabindex=0"):
            table = ui.table(columns=columns, rows=rows, row_key="camera").props(
                'flat :grid="window.innerWidth < 600" hide-pagination :rows-per-page-options="[0]"'
            )
            table.add_slot("body-cell-camera", _LINK)
            table.add_slot("item", _CARD)


_LINK = """
<q-td :props="props">
  <a :href="'/cameras/' + encodeURIComponent(props.row.camera)">{{ props.value }}</a>
</q-td>
"""


# On a telephone a row is a card.
_CARD = """
<div class="j-card">
  <a :href="'/cameras/' + encodeURIComponent(props.row.camera)">{{ props.row.camera }}</a>
  <span>{{ props.row.state }} · {{ props.row['coverage-day'] }}</span>
  <span class="j-soft">{{ props.row.stream }}</span>
  <span v-if="props.row.faults" class="j-chip warn j-wrap">{{ props.row.faults }}</span>
</div>
"""


def _row(
    visitor: Visitor, camera: Mapping[str, Any], status: Mapping[str, Any] | None, share: float | None
) -> dict[str, Any]:
    words = visitor.words
    state = words("unwatched") if status is None else words.state(status)
    stream = "" if status is None or not status["codec"] else _stream(status)
    return {
        "camera": camera["name"],
        "state": state if camera["enabled"] else words("disabled"),
        "stream": stream,
        "coverage-day": "–" if share is None else f"{100 * share:.1f} %",
        "faults": ", ".join(words.fault(kind) for kind in (status or {}).get("faults", [])),
    }


def _stream(status: Mapping[str, Any]) -> str:
    return f"{status['codec']} {status['width_px']}×{status['height_px']}"


async def _statuses(visitor: Visitor) -> dict[str, dict[str, Any]]:
    try:
        status = await visitor.api.get("/status")
    except Refused:
        return {}
    return {camera["name"]: camera for camera in status["cameras"]}


async def _coverage(visitor: Visitor) -> dict[str, float]:
    """The share of the due seconds that each camera was watched for lately."""
    rows = await visitor.api.get("/coverage", {"hours": 24})
    seen: dict[str, list[float]] = {}
    for row in rows:
        both = seen.setdefault(row["camera"], [0.0, 0.0])
        both[0] += row["seen_s"]
        both[1] += row["due_s"]
    return {name: seen_s / due_s for name, (seen_s, due_s) in seen.items() if due_s}


async def camera_page(visitor: Visitor, name: str | None) -> None:
    """Build one camera's page; None: a new one. Raises Refused."""
    words = visitor.words
    camera = await visitor.api.get(f"/cameras/{quote(name, safe='')}") if name else dict(_NEW)
    with frame(visitor, "cameras", title=name or words("add-camera")):
        with ui.element("div").classes("j-row"):
            heading(name or words("add-camera"))
            ui.element("span").classes("j-space")
            if name and visitor.may_answer:
                press(words("report-missed"), lambda: report_missed(visitor, name), kind="plain")
        if camera["fixed"]:
            ui.label(words("fixed-camera")).classes("j-panel j-soft")
        editor = _Editor(visitor, name, camera)
        with ui.element("div").classes("j-two"):
            with ui.element("div").classes("j-stack"):
                editor.picture()
                if name:
                    await _health(visitor, name)
            with ui.element("div").classes("j-stack"):
                if name and visitor.may_answer:
                    _shelving(visitor, name, camera)
                if visitor.is_admin:
                    editor.where()
                    await editor.what()
                    editor.when()
                    if not camera["fixed"]:
                        editor.ending()
    script("camera.js")


_NEW: Mapping[str, Any] = {
    "name": "", "address": "", "sub": None, "transport": "tcp", "enabled": True, "behaviors": None,
    "theta_on": {}, "zones": [], "masks": [], "hours": [], "pre_roll_s": None, "post_roll_s": None,
    "fixed": False, "shelved_until": None,
}  # fmt: skip


def _shelving(visitor: Visitor, name: str, camera: Mapping[str, Any]) -> None:
    """Raising nothing for a while; it ends by itself."""
    words = visitor.words

    async def shelve(minutes: float) -> None:
        try:
            await visitor.api.put(f"/cameras/{quote(name, safe='')}/shelf", {"minutes": minutes})
        except Refused as error:
            told(error)
            return
        ui.navigate.reload()

    with ui.element("section").classes("j-panel j-stack"):
        heading(words("shelve"), level=2)
        if camera["shelved_until"]:
            until = words.moment(datetime.fromisoformat(camera["shelved_until"]), seconds=False)
            ui.label(words("shelved-until", time=until)).classes("j-chip warn")
            press(words("end-now"), lambda: shelve(0), kind="plain")
            return
        ui.label(words("shelve-why")).classes("j-soft")
        with ui.element("div").classes("j-row"):
            for minutes in _SHELVES_MIN:
                label = words("minutes", n=minutes) if minutes < 60 else words("hours-n", n=minutes // 60)
                press(label, partial(shelve, minutes), kind="plain")


async def _health(visitor: Visitor, name: str) -> None:
    """Coverage by hour of the last week, and what was wrong."""
    words = visitor.words
    hours = await visitor.api.get("/coverage", {"camera": name, "hours": 24 * 7})
    faults = await visitor.api.get("/faults", {"camera": name, "limit": 30})
    points = [
        (words.local(row["hour"]), round(100 * row["seen_s"] / row["due_s"], 1))
        for row in hours
        if row["due_s"]
    ]
    since = words.local((datetime.now(UTC) - timedelta(days=7)).isoformat())
    with ui.element("section").classes("j-panel j-stack"):
        heading(words("coverage-week"), level=2)
        ui.echart(charts.shares(points, since=since, ink=visitor.ink)).classes("j-chart")
        heading(words("faults"), level=2)
        rows = [
            (
                words.moment(datetime.fromisoformat(fault["began_at"])),
                words.fault(fault["kind"]),
                words.lasted(fault["began_at"], fault["ended_at"]),
            )
            for fault in faults
        ]
        table(rows, nothing=words("no-faults"))


class _Editor:
    """The form of a camera: everything in it is one request when it is saved."""

    def __init__(self, visitor: Visitor, name: str | None, camera: Mapping[str, Any]) -> None:
        self.visitor, self.words, self.name = visitor, visitor.words, name
        self.fixed = bool(camera["fixed"])
        self.values: dict[str, Any] = {
            key: camera[key] for key in _NEW if key not in ("fixed", "shelved_until")
        }
        self.values["hours"] = [hours_row(row) for row in camera["hours"]]
        self.regions = [{"kind": "zone", "name": z["name"], "polygon": z["polygon"]} for z in camera["zones"]]
        self.regions += [{"kind": m["kind"], "name": "", "polygon": m["polygon"]} for m in camera["masks"]]

    def picture(self) -> None:
        """The picture with its zones and masks."""
        words = self.words
        source = f"/api/v1/cameras/{quote(self.name, safe='')}/picture" if self.name else ""
        given = {"picture": source, "regions": self.regions, "fixed": self.fixed or not self.visitor.is_admin}
        with ui.element("section").classes("j-panel j-stack"):
            heading(words("regions"), level=2)
            if not self.name:
                ui.label(words("regions-later")).classes("j-soft")
                return
            if not given["fixed"]:
                ui.label(words("draw-how")).classes("j-soft")
            host = ui.element("div").props("id=regions")
            host._props["data-given"] = json.dumps(given, ensure_ascii=False)
            ui.element("div").props("id=region-list").classes("j-stack")
            ui.on("regions", self._redrawn)

    def _redrawn(self, event: Any) -> None:
        self.regions = event.args

    def where(self) -> None:
        """Its addresses, with a test before saving."""
        words, values = self.words, self.values
        with ui.element("section").classes("j-panel j-stack"):
            heading(words("where"), level=2)
            ui.input(words("name"), value=values["name"]).bind_value(values, "name").props(
                f"outlined dense maxlength=80 {'readonly' if self.name else ''}"
            )
            ui.input(words("address"), placeholder="rtsp://user:password@10.0.0.5/stream1").bind_value(
                values, "address"
            ).props(f"outlined dense autocomplete=off {self._locked}")
            ui.input(words("sub-address")).bind_value(values, "sub").props(
                f'outlined dense autocomplete=off hint="{words("sub-why")}" {self._locked}'
            )
            with ui.element("div").classes("j-row"):
                ui.toggle({"tcp": "TCP", "udp": "UDP"}).bind_value(values, "transport").props(
                    f"no-caps toggle-text-color=on-accent {'disable' if self.fixed else ''}"
                )
                ui.switch(words("enabled")).bind_value(values, "enabled").props(
                    "disable" if self.fixed else ""
                )
                ui.element("span").classes("j-space")
                self._try_button = press(words("test"), self._try, kind="plain")
            self._found = ui.element("div").props("role=status").classes("j-stack")

    @property
    def _locked(self) -> str:
        return "readonly" if self.fixed else ""

    async def _try(self) -> None:
        """Open the camera as it stands in the form → what it sends, and its picture."""
        words = self.words
        name = self.values["name"].strip() or "test"
        self._try_button.props("disabled")
        self._found.clear()
        with self._found:
            ui.label(words("trying")).classes("j-soft")
        try:
            found = await self.visitor.api.post(f"/cameras/{quote(name, safe='')}/try", self._body())
        except Refused as error:
            self._found.clear()
            with self._found:
                ui.label(str(error)).classes("j-chip warn j-wrap")
            return
        finally:
            self._try_button.props(remove="disabled")
        self._found.clear()
        with self._found:
            self._show_stream("only-stream" if found["sub"] is None else "main-stream", found["main"])
            if found["sub"] is not None:
                self._show_stream("sub-stream", found["sub"])

    def _show_stream(self, title: str, stream: Mapping[str, Any]) -> None:
        """What one stream of a camera that was tried sends."""
        words = self.words
        keyframes = words("found-unknown", seconds=f"{stream['looked_s']:.0f}")
        if stream["keyframe_s"] is not None:
            keyframes = words("seconds-exact", n=f"{stream['keyframe_s']:.1f}")
        rows = {
            "found-address": stream["address"],
            "found-codec": stream["codec"],
            "found-size": f"{stream['width_px']} × {stream['height_px']}",
            "found-rate": "–" if stream["fps"] is None else f"{stream['fps']:.1f}",
            "found-latency": words("seconds-exact", n=f"{stream['first_picture_s']:.2f}"),
            "found-keyframes": keyframes,
        }
        with ui.element("div").classes("j-tried"):
            heading(words(title), level=3)
            if stream["picture"]:
                ui.element("img").props(
                    f'src="data:image/jpeg;base64,{stream["picture"]}" alt="{escaped(words(title))}"'
                ).classes("j-strip")
            show_facts({words(key): value for key, value in rows.items()})

    async def what(self) -> None:
        """Behaviours, how sure the model must be of each, and how often it was."""
        words = self.words
        path = f"/cameras/{quote(self.name or '', safe='')}/scores"
        self._counts: dict[str, list[int]] = (await self.visitor.api.get(path))["counts"] if self.name else {}
        with ui.element("section").classes("j-panel j-stack"):
            heading(words("behaviors"), level=2)
            for behavior in self.visitor.accidents:
                self._behavior(behavior.key)

    def _behavior(self, key: str) -> None:
        words, values = self.words, self.values
        locked = "disable" if self.fixed else ""
        theta = values["theta_on"].get(key, self.visitor.backend.theta_on().get(key, 0.5))
        chosen = values["behaviors"] is None or key in values["behaviors"]
        with ui.element("div").classes("j-row"):
            switch = ui.switch(words.behavior(key), value=chosen, on_change=self._enabling(key))
            switch.props(locked).classes("j-behavior")
            fired = ui.label(self._fired(key, theta)).classes("j-soft")
            slider = ui.slider(
                min=0.05, max=1.0, step=0.01, value=theta, on_change=self._threshold(key, fired)
            )
            slider.props(f'label snap aria-label="{escaped(words("threshold"))}" {locked}').classes(
                "j-slider"
            )
            slider.move(target_index=1)

    def _fired(self, key: str, theta: float) -> str:
        """A threshold, and how many decisions of the last week were as sure as that."""
        words, counts = self.words, self._counts.get(key)
        threshold = words("threshold-of", score=f"{theta:.2f}")
        if counts is None:
            return threshold
        fired = words("fired", n=sum(counts[math.floor(theta * len(counts) + 1e-9) :]))
        return f"{threshold} · {fired}"

    def _enabling(self, key: str) -> Any:
        def changed(event: Any) -> None:
            every = [b.key for b in self.visitor.accidents]
            chosen = set(every if self.values["behaviors"] is None else self.values["behaviors"])
            chosen = chosen | {key} if event.value else chosen - {key}
            self.values["behaviors"] = None if chosen == set(every) else [k for k in every if k in chosen]

        return changed

    def _threshold(self, key: str, fired: ui.label) -> Any:
        def changed(event: Any) -> None:
            fired.text = self._fired(key, event.value)
            self.values["theta_on"] = {**self.values["theta_on"], key: round(event.value, 2)}

        return changed

    def when(self) -> None:
        """The hours in which it is watched; none: always."""
        words = self.words
        with ui.element("section").classes("j-panel j-stack"):
            heading(words("schedule"), level=2)
            ui.label(words("schedule-why")).classes("j-soft")
            self._hours = ui.element("div").classes("j-stack")
            self._show_hours()
            if not self.fixed:
                press(words("add-hours"), self._add_hours, kind="plain")

    def _show_hours(self) -> None:
        words = self.words
        self._hours.clear()
        with self._hours:
            for row in self.values["hours"]:
                with ui.element("div").classes("j-row"):
                    hours_fields(words, row)
                    ui.button(icon="delete", on_click=lambda row=row: self._remove_hours(row)).props(
                        f'flat round aria-label="{words("remove")}"'
                    )

    def _add_hours(self) -> None:
        self.values["hours"] = [
            *self.values["hours"],
            {"days": list(DAYS), "start": "08:00", "end": "18:00"},
        ]
        self._show_hours()

    def _remove_hours(self, row: Any) -> None:
        self.values["hours"] = [other for other in self.values["hours"] if other is not row]
        self._show_hours()

    def ending(self) -> None:
        """Saving and removing."""
        words = self.words
        with ui.element("div").classes("j-row"):
            press(words("save"), self._save)
            if self.name:
                ui.element("span").classes("j-space")
                press(words("remove"), self._ask_remove, kind="plain")

    def _body(self) -> dict[str, Any]:
        zones = [{"name": r["name"], "polygon": r["polygon"]} for r in self.regions if r["kind"] == "zone"]
        masks = [{"kind": r["kind"], "polygon": r["polygon"]} for r in self.regions if r["kind"] != "zone"]
        body = {key: value for key, value in self.values.items() if key != "name"}
        hours = [hours_of(row) for row in self.values["hours"]]
        return body | {"sub": self.values["sub"] or None, "zones": zones, "masks": masks, "hours": hours}

    async def _save(self) -> None:
        name = (self.name or self.values["name"]).strip()
        try:
            await self.visitor.api.put(f"/cameras/{quote(name, safe='')}", self._body())
        except Refused as error:
            told(error)
            return
        ui.navigate.to(f"/cameras/{quote(name, safe='')}")

    def _ask_remove(self) -> None:
        words = self.words
        with ui.dialog() as dialog, ui.card():
            ui.label(words("remove-camera-sure", name=self.name or ""))
            with ui.element("div").classes("j-row"):
                press(words("cancel"), dialog.close, kind="plain")
                press(words("remove"), self._remove, kind="alarm")
        dialog.open()

    async def _remove(self) -> None:
        try:
            await self.visitor.api.delete(f"/cameras/{quote(self.name or '', safe='')}")
        except Refused as error:
            told(error)
            return
        ui.navigate.to("/cameras")
