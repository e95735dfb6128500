"""Overview: what happened over a time, in plots and numbers; and a month of it to print."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from nicegui import ui

from jikimi.alert.wording import accident_type
from jikimi.serve.pages import charts
from jikimi.serve.pages.frame import escaped, frame, heading, press, table
from jikimi.serve.pages.hours import DAYS
from jikimi.serve.pages.visitor import Visitor

_SPANS_DAYS = (7, 28, 90, 365)


async def overview_page(visitor: Visitor, given: Mapping[str, str]) -> None:
    """Build the page; `given` is the URL's query: `days`, `camera`."""
    words = visitor.words
    days = int(given["days"]) if given.get("days", "").isdecimal() else 28
    days = days if days in _SPANS_DAYS else 28
    camera = given.get("camera") or None
    cameras = [one["name"] for one in await visitor.api.get("/cameras")]
    since = datetime.now(UTC) - timedelta(days=days)
    asked = {"since": since.strftime("%Y-%m-%dT%H:%M:%SZ"), "camera": camera}
    found = await visitor.api.get("/overview", asked)
    with frame(visitor, "overview"):
        with ui.element("div").classes("j-row"):
            heading(words("overview"))
            ui.element("span").classes("j-space")
            ui.select(
                {n: words("last-days", n=n) for n in _SPANS_DAYS},
                value=days,
                on_change=lambda event: _go(event.value, camera),
            ).props(f'outlined dense aria-label="{words("time")}"')
            ui.select(
                {"": words("all-cameras")} | {name: name for name in cameras},
                value=camera if camera in cameras else "",
                on_change=lambda event: _go(days, event.value),
            ).props(f'outlined dense aria-label="{words("camera")}"').classes("j-filter")
            ui.link("CSV", f"/api/v1/overview.csv?{_query(asked)}").props("download").classes(
                "j-button plain"
            )
            ui.link(words("monthly-report"), "/report").classes("j-button plain")
        _figures(visitor, found)
        _plots(visitor, found)
        _tables(visitor, found)


def _go(days: int, camera: str | None) -> None:
    ui.navigate.to(f"/overview?{_query({'days': days, 'camera': camera})}")


def _query(values: Mapping[str, Any]) -> str:
    return urlencode({key: value for key, value in values.items() if value})


def figures(visitor: Visitor, found: Mapping[str, Any]) -> dict[str, str]:
    """The numbers of an overview, by what they say."""
    words = visitor.words
    alarms, wait = found["false_alarms"], found["response"]["acknowledged"]
    share = "–"
    if alarms["share"] is not None:
        interval = f"{100 * alarms['share_low']:.0f}–{100 * alarms['share_high']:.0f} %"
        share = f"{100 * alarms['share']:.0f} % ({interval})"
    rate = "–"
    if alarms["per_camera_hour"] is not None:
        rate = f"{alarms['per_camera_hour']:.3f} (≤ {alarms['per_camera_hour_upper']:.3f})"
    covered = found["coverage"]["share"]
    return {
        words("incidents"): str(found["incidents"]),
        words("false-alarm-share"): share,
        words("false-alarms-hour"): rate,
        words("response-median"): "–"
        if wait["median_s"] is None
        else words("seconds", n=f"{wait['median_s']:.0f}"),
        words("response-p90"): "–" if wait["p90_s"] is None else words("seconds", n=f"{wait['p90_s']:.0f}"),
        words("coverage"): "–" if covered is None else f"{100 * covered:.2f} %",
    }


def _figures(visitor: Visitor, found: Mapping[str, Any]) -> None:
    with ui.element("dl").classes("j-figures"):
        for label, value in figures(visitor, found).items():
            ui.html(f"<dt>{escaped(label)}</dt><dd>{escaped(value)}</dd>", sanitize=False).classes("j-panel")


def _plots(visitor: Visitor, found: Mapping[str, Any]) -> None:
    words, ink = visitor.words, visitor.ink
    kinds = [b.key for b in visitor.accidents]
    spans = found["by_week"] if len(found["by_day"]) > 60 else found["by_day"]
    places = [row.get("day") or row["week"] for row in spans]
    over_time = {words.behavior(k): [row["by_behavior"].get(k, 0) for row in spans] for k in kinds}
    answers = ("correct", "false_alarm", "other_behavior", "unsure", "unanswered")
    by_behavior = {
        words(a.replace("_", "-")): [row["answers"][a] for row in found["by_behavior"]] for a in answers
    }
    by_camera = {
        words(a.replace("_", "-")): [row["answers"][a] for row in found["by_camera"]] for a in answers
    }
    wait = found["response"]["acknowledged"]["histogram"]
    buckets = [words("over") if b["below_s"] is None else f"≤ {words.span(b['below_s'])}" for b in wait]
    plots = {
        "over-time": charts.stacked(places, over_time, ink=ink),
        "by-behavior": charts.lying(
            [words.behavior(r["behavior"]) for r in found["by_behavior"]], by_behavior, ink=ink
        ),
        "by-camera": charts.lying([r["camera"] for r in found["by_camera"]], by_camera, ink=ink),
        "by-hour": charts.stacked(
            [str(h) for h in range(24)], {words("incidents"): found["by_hour"]}, ink=ink
        ),
        "by-weekday": charts.stacked(
            [words(d) for d in DAYS], {words("incidents"): found["by_weekday"]}, ink=ink
        ),
        "response-times": charts.stacked(
            buckets, {words("incidents"): [b["count"] for b in wait]}, ink=ink, rotate=30
        ),
    }
    with ui.element("div").classes("j-plots"):
        for key, options in plots.items():
            with ui.element("section").classes("j-panel"):
                heading(words(key), level=2)
                ui.echart(options).classes("j-chart").props(f'role=img aria-label="{escaped(words(key))}"')


def _tables(visitor: Visitor, found: Mapping[str, Any]) -> None:
    words = visitor.words
    shifts = [
        (row["shift"], row["camera"], "–" if row["share"] is None else f"{100 * row['share']:.2f} %")
        for row in found["coverage_by_shift"]
    ]
    faults = [
        (
            row["camera"] or words("whole-site"),
            words.fault(row["kind"]),
            str(row["count"]),
            words.span(row["seconds"]),
        )
        for row in found["faults"]
    ]
    told = [
        (
            row["target"],
            str(row["told"]),
            str(row["given_up"]),
            "–" if row["median_s"] is None else words("seconds-exact", n=f"{row['median_s']:.2f}"),
        )
        for row in found["deliveries"]
    ]
    with ui.element("div").classes("j-plots"):
        for key, head, rows in (
            ("faults", ("camera", "fault", "count", "duration"), faults),
            ("coverage-by-shift", ("shift", "camera", "coverage"), shifts),
            ("deliveries", ("target", "delivered", "given-up", "median"), told),
        ):
            with ui.element("section").classes("j-panel"):
                heading(words(key), level=2)
                table(rows, head=[words(name) for name in head], nothing=words("nothing"))


async def report_page(visitor: Visitor, month: str | None) -> None:
    """Build a month's report, made to be printed."""
    words = visitor.words
    report = await visitor.api.get("/report", {"month": month})
    found = report["overview"]
    with frame(visitor, "overview", title=words("monthly-report")):
        with ui.element("div").classes("j-row j-no-print"):
            ui.input(
                words("month"), value=report["month"], on_change=lambda event: _to_month(event.value)
            ).props("outlined dense type=month stack-label")
            ui.element("span").classes("j-space")
            press(words("print"), lambda: ui.run_javascript("window.print()"))
        with ui.element("article").classes("j-panel j-report j-stack"):
            heading(words("report-of", site=report["site"], month=report["month"]))
            if not report["complete"]:
                ui.label(words("month-not-over")).classes("j-chip warn")
            heading(words("accident-types"), level=2)
            rows = [
                (
                    accident_type(row["korean"], words.language),
                    *_changes(row["raised"]),
                    *_changes(row["confirmed"]),
                )
                for row in report["accident_types"]
            ]
            table(
                rows,
                head=[words(key) for key in ("accident-type", "raised", "change", "confirmed", "change")],
            )
            heading(words("figures"), level=2)
            table(list(figures(visitor, found).items()))
            kinds = [b.key for b in visitor.accidents]
            weeks = found["by_week"]
            over_time = {words.behavior(k): [row["by_behavior"].get(k, 0) for row in weeks] for k in kinds}
            heading(words("over-time"), level=2)
            ui.echart(charts.stacked([row["week"] for row in weeks], over_time, ink="#4a5866")).classes(
                "j-chart"
            )
            heading(words("by-camera"), level=2)
            cameras = [
                (
                    row["camera"],
                    str(row["incidents"]),
                    "–" if row["coverage"] is None else f"{100 * row['coverage']:.2f} %",
                )
                for row in found["by_camera"]
            ]
            table(
                cameras,
                head=[words(key) for key in ("camera", "incidents", "coverage")],
                nothing=words("nothing"),
            )
            heading(words("confirmed-accidents"), level=2)
            confirmed = [
                (
                    words.moment(datetime.fromisoformat(one["opened_at"]), seconds=False),
                    words.behavior(one["answer_behavior"] or one["behavior"]),
                    one["camera"],
                    one["answer_note"],
                )
                for one in report["confirmed"]
            ]
            table(
                confirmed,
                head=[words(key) for key in ("time", "behavior", "camera", "note")],
                nothing=words("no-accidents"),
            )


def _to_month(month: str | None) -> None:
    if month:
        ui.navigate.to(f"/report?month={month}")


def _changes(change: Mapping[str, Any]) -> tuple[str, str]:
    """A number, and how it differs from the month before."""
    now, more = change["now"], change["change"]
    return ("–" if now is None else f"{now:g}"), ("–" if more is None else f"{more:+g}")
