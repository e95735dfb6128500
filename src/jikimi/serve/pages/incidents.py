"""Incidents: a timeline, a table and filters that the URL holds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

from nicegui import ui
from nicegui.events import EChartPointClickEventArguments

from jikimi.serve.pages import charts
from jikimi.serve.pages.frame import frame, heading, press
from jikimi.serve.pages.missed import moment, report_missed
from jikimi.serve.pages.visitor import Visitor

_PAGE = 50
ANSWERS = ("correct", "false-alarm", "other-behavior", "unsure")

# What a filter of the URL may be; whatever else stands there is not asked for.
_LISTS, _WORDS = ("camera", "behavior"), ("answer", "since", "until", "shift")


@dataclass(slots=True)
class Filter:
    """What is looked for, as the URL holds it."""

    values: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, query: Mapping[str, Any]) -> "Filter":
        """Read a URL's query; `query` gives lists by `getlist`, as Starlette's does."""
        values: dict[str, Any] = {name: query.getlist(name) for name in _LISTS}  # type: ignore[attr-defined]
        values |= {name: query.get(name) for name in _WORDS}
        return cls({name: value for name, value in values.items() if value})

    def url(self) -> str:
        """The page's address with this filter."""
        query = urlencode(self.values, doseq=True)
        return f"/incidents?{query}" if query else "/incidents"

    def params(self, visitor: Visitor) -> dict[str, Any]:
        """What the API is asked; a moment that is none is not."""
        params = dict(self.values)
        for name in ("since", "until"):
            try:
                params[name] = moment(visitor, params.get(name))
            except ValueError:
                params[name] = None
        return params


async def incidents_page(visitor: Visitor, found: Filter) -> None:
    """Build the page."""
    words = visitor.words
    cameras = [camera["name"] for camera in await visitor.api.get("/cameras")]
    with frame(visitor, "incidents"):
        with ui.element("div").classes("j-row"):
            heading(words("incidents"))
            ui.element("span").classes("j-space")
            press("CSV", lambda: ui.navigate.to(_sheet(visitor, found)), kind="plain")
            if visitor.may_answer:
                press(words("report-missed"), lambda: report_missed(visitor), kind="plain")
        listing = _Listing(visitor, found)
        _filters(visitor, found, cameras, listing)
        await listing.build()


def _sheet(visitor: Visitor, found: Filter) -> str:
    """The address of what the filter finds, as CSV."""
    asked = {key: value for key, value in found.params(visitor).items() if value}
    return f"/api/v1/incidents.csv?{urlencode(asked | {'language': visitor.words.language}, doseq=True)}"


def _filters(visitor: Visitor, found: Filter, cameras: list[str], listing: "_Listing") -> None:
    words = visitor.words
    behaviors = {b.key: words.behavior(b.key) for b in visitor.accidents}
    answers = {"unanswered": words("unanswered")} | {key: words(key) for key in ANSWERS}

    def narrow(name: str) -> Any:
        async def changed(event: Any) -> None:
            found.values[name] = event.value
            if not event.value:
                del found.values[name]
            ui.navigate.history.replace(found.url())
            await listing.again()

        return changed

    with ui.element("div").classes("j-row"):
        for name, options in (("camera", cameras), ("behavior", behaviors)):
            ui.select(
                options,
                multiple=True,
                clearable=True,
                label=words(name),
                value=[v for v in found.values.get(name, []) if v in options],
                on_change=narrow(name),
            ).props("outlined dense use-chips").classes("j-filter")
        ui.select(
            answers,
            clearable=True,
            label=words("answer"),
            value=found.values.get("answer") if found.values.get("answer") in answers else None,
            on_change=narrow("answer"),
        ).props("outlined dense").classes("j-filter")
        if visitor.backend.settings.shifts:
            shifts = [shift.name for shift in visitor.backend.settings.shifts]
            ui.select(
                shifts,
                clearable=True,
                label=words("shift"),
                value=found.values.get("shift") if found.values.get("shift") in shifts else None,
                on_change=narrow("shift"),
            ).props("outlined dense").classes("j-filter")
        for name, label in (("since", "from"), ("until", "to")):
            ui.input(words(label), value=found.values.get(name, ""), on_change=narrow(name)).props(
                "outlined dense type=datetime-local stack-label"
            ).classes("j-filter")


@dataclass(slots=True)
class _Listing:
    """The timeline and the table, shown anew when the filter changes."""

    visitor: Visitor
    found: Filter
    rows: list[dict[str, Any]] = field(default_factory=list)
    following: str | None = None
    _table: Any = None
    _more: Any = None
    _chart: Any = None

    async def build(self) -> None:
        words = self.visitor.words
        self._chart = (
            ui.echart({}, on_point_click=_look)
            .classes("j-timeline")
            .props(f'role=img aria-label="{words("timeline")}"')
        )
        columns = [
            {"name": name, "label": words(name), "field": name, "align": "left"}
            for name in ("time", "behavior", "camera", "peak", "duration", "answer")
        ]
        with ui.element("div").classes("j-panel j-scroll").props("tabindex=0"):
            self._table = (
                ui.table(columns=columns, rows=[], row_key="uid")
                .props(
                    f'flat :grid="window.innerWidth < 600" hide-pagination :rows-per-page-options="[0]" '
                    f'no-data-label="{words("nothing-found")}"'
                )
                .classes("j-list")
            )
            self._table.add_slot("body-cell-behavior", _LINK)
            self._table.add_slot("item", _CARD)
            self._table.on(
                "rowClick", lambda event: ui.navigate.to(f"/incidents/{quote(event.args[1]['uid'])}")
            )
        self._more = ui.button(words("more"), on_click=self.more).props("flat no-caps")
        await self.again()

    async def again(self) -> None:
        """Show what the filter finds now."""
        self.rows, self.following = [], None
        await self.more()

    async def more(self) -> None:
        """Show the next page below."""
        page = await self.visitor.api.get(
            "/incidents", {**self.found.params(self.visitor), "after": self.following, "limit": _PAGE}
        )
        self.rows += page["incidents"]
        self.following = page["next"]
        self._table.rows = [self._row(one) for one in self.rows]
        self._table.update()
        self._more.set_visibility(self.following is not None)
        self._chart.options.clear()
        self._chart.options.update(timeline(self.visitor, self.rows))
        self._chart.update()

    def _row(self, one: Mapping[str, Any]) -> dict[str, Any]:
        words = self.visitor.words
        answer = words(one["answer"]) if one["answer"] else words("unanswered")
        if not one["acknowledged_at"]:
            answer = f"{answer} · {words('unacknowledged')}"
        return {
            "uid": one["uid"],
            "time": words.moment(datetime.fromisoformat(one["opened_at"])),
            "behavior": words.behavior(one["behavior"]),
            "camera": f"{one['camera']} · {one['zone']}" if one["zone"] else one["camera"],
            "peak": f"{one['peak']:.2f}",
            "duration": words.lasted(one["opened_at"], one["closed_at"]),
            "answer": answer,
        }


def _look(event: EChartPointClickEventArguments) -> None:
    """Open the incident whose point was pressed."""
    point: Any = event.data  # a row of `timeline`, which NiceGUI takes for a number
    ui.navigate.to(f"/incidents/{quote(point[2])}")


_LINK = """
<q-td :props="props"><a :href="'/incidents/' + encodeURIComponent(props.row.uid)">{{ props.value }}</a></q-td>
"""


# On a telephone a row is a card.
_CARD = """
<div class="j-card">
  <a :href="'/incidents/' + encodeURIComponent(props.row.uid)">
    {{ props.row.behavior }} · {{ props.row.camera }}
  </a>
  <span>{{ props.row.time }} · {{ props.row.peak }} · {{ props.row.duration }}</span>
  <span class="j-soft">{{ props.row.answer }}</span>
</div>
"""


def timeline(visitor: Visitor, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """ECharts' options: a point for each incident, by time and camera, coloured by behaviour."""
    words = visitor.words
    rows_of = {
        words.behavior(behavior.key): [
            (words.local(one["opened_at"]), one["camera"], one["uid"])
            for one in rows
            if one["behavior"] == behavior.key
        ]
        for behavior in visitor.accidents
    }
    return charts.scatter(rows_of, sorted({one["camera"] for one in rows}), ink=visitor.ink)
