"""Learning: what operators' answers come to, and the models: which watches, and which might."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from nicegui import ui

from jikimi.serve.pages.api import Refused
from jikimi.serve.pages.frame import Link, frame, heading, press, script, table, told
from jikimi.serve.pages.report import report_path, report_title
from jikimi.serve.pages.visitor import Visitor


async def learning_page(visitor: Visitor) -> None:
    """Build the page."""
    words = visitor.words
    feedback = await visitor.api.get("/feedback")
    reports = await visitor.api.get("/reports", {"limit": 20})
    models = await visitor.api.get("/models")
    comparison = await visitor.api.get("/models/comparison") if models["challenger"] else None
    with frame(visitor, "learning"):
        heading(words("learning"))
        with ui.element("div").classes("j-two"):
            with ui.element("div").classes("j-stack"):
                _models(visitor, models)
                if comparison is not None:
                    _comparison(visitor, comparison)
            with ui.element("div").classes("j-stack"):
                _feedback(visitor, feedback)
                _reports(visitor, reports["reports"])
    script("learning.js")


def _models(visitor: Visitor, models: Mapping[str, Any]) -> None:
    words = visitor.words
    with ui.element("section").classes("j-panel j-stack"):
        heading(words("models"), level=2)
        if models["fixed"]:
            ui.label(words("model-fixed")).classes("j-soft")
        for model in models["models"]:
            _model(visitor, model, fixed=models["fixed"])
        if visitor.is_site_admin:
            with ui.element("div").classes("j-row"):
                # The browser sends the file itself: it may be hundreds of megabytes.
                ui.html(
                    f'<label class="j-button plain">{words("upload-model")}'
                    '<input id="upload" type="file" accept=".jikimi" hidden></label>',
                    sanitize=False,
                )
                ui.element("p").props("id=upload-told role=status").classes("j-soft")
                if models["before"] and not models["fixed"]:
                    press(words("roll-back"), lambda: _do(visitor, "post", "/models/roll-back"), kind="plain")


def _model(visitor: Visitor, model: Mapping[str, Any], *, fixed: bool) -> None:
    words, sha256 = visitor.words, model["sha256"]
    tones = {"champion": "good", "challenger": "warn"}
    with ui.element("div").classes("j-stack j-line"):
        with ui.element("div").classes("j-row"):
            ui.label(model["name"]).classes("j-strong")
            if model["state"] in tones:
                ui.label(words(model["state"])).classes(f"j-chip {tones[model['state']]}")
            if model["watching"]:
                ui.label(words("state-live")).classes("j-chip good")
            ui.label(sha256[:12]).classes("j-hash")
            ui.element("span").classes("j-space")
            if visitor.is_site_admin:
                _model_buttons(visitor, model, fixed=fixed)
        if model["problem"]:
            ui.label(model["problem"]).classes("j-chip warn j-wrap")
        if model["card"] is not None:
            with ui.expansion(words("model-card")).props("dense"):
                _card(visitor, model["card"])


def _model_buttons(visitor: Visitor, model: Mapping[str, Any], *, fixed: bool) -> None:
    words, path = visitor.words, f"/models/{model['sha256']}"
    if model["state"] == "champion":
        return
    if model["state"] == "challenger":
        press(words("end-challenge"), lambda: _do(visitor, "delete", f"{path}/challenge"), kind="plain")
    else:
        press(words("challenge"), lambda: _do(visitor, "put", f"{path}/challenge"), kind="plain")
    if not fixed:
        press(words("promote"), lambda: _ask_promote(visitor, model), kind="plain")
    if model["state"] != "challenger" and model["origin"] == "store":
        press(words("remove"), lambda: _do(visitor, "delete", path), kind="plain")


def _ask_promote(visitor: Visitor, model: Mapping[str, Any]) -> None:
    words = visitor.words
    with ui.dialog() as dialog, ui.card().classes("j-dialog"):
        ui.label(words("promote-sure", name=model["name"]))
        with ui.element("div").classes("j-row"):
            ui.element("span").classes("j-space")
            press(words("cancel"), dialog.close, kind="plain")
            press(words("promote"), lambda: _do(visitor, "post", f"/models/{model['sha256']}/promote"))
    dialog.open()


async def _do(visitor: Visitor, method: str, path: str) -> None:
    try:
        await getattr(visitor.api, method)(path)
    except Refused as error:
        told(error)
        return
    ui.navigate.reload()


def _card(visitor: Visitor, card: Mapping[str, Any]) -> None:
    words = visitor.words
    rows = [
        (words("behaviors-only"), ", ".join(words.behavior(one["key"]) for one in card["behaviors"])),
        (words("window"), f"{card['window']} × {1 / card['rate_hz']:.3f} s = {card['window_s']:g} s"),
        (words("precision"), card["precision"]),
    ]
    rows += [(f"{words('threshold')}: {words.behavior(k)}", f"{v:.2f}") for k, v in card["theta_on"].items()]
    rows += [
        (key, f"{value:.4g}") for key, value in card["metrics"].items() if isinstance(value, int | float)
    ]
    table(rows)


def _comparison(visitor: Visitor, found: Mapping[str, Any]) -> None:
    words = visitor.words
    with ui.element("section").classes("j-panel j-stack"):
        heading(
            words("comparison", champion=found["champion"], challenger=found["challenger"] or "–"), level=2
        )
        since = words.moment(datetime.fromisoformat(found["since"]), seconds=False)
        ui.label(words("compared-for", hours=f"{found['hours']:.1f}", since=since)).classes("j-soft")
        rows = []
        for pair in found["pairs"]:
            both = [
                f"{side['incidents']} ({side['correct']} / {side['false_alarms']})"
                for side in (pair["champion"], pair["challenger"])
            ]
            rows.append((pair["camera"], words.behavior(pair["behavior"]), *both, str(pair["both_same"])))
        head = ("camera", "behavior", "champion-counts", "challenger-counts", "both-raised")
        table(rows, head=[words(key) for key in head], nothing=words("nothing"))


def _feedback(visitor: Visitor, feedback: Mapping[str, Any]) -> None:
    words = visitor.words
    with ui.element("section").classes("j-panel j-stack"):
        heading(words("feedback"), level=2)
        ui.label(words("feedback-why", n=feedback["clips"])).classes("j-soft")
        rows = [
            (words.behavior(one["behavior"]), str(one["incidents"]), str(one["reports"]))
            for one in feedback["behaviors"]
        ]
        table(rows, head=[words(key) for key in ("behavior", "of-answers", "of-reports")])
        left_out = [
            (words(f"left-{one['reason']}"), str(one["count"]))
            for one in feedback["left_out"]
            if one["count"]
        ]
        if left_out:
            heading(words("left-out"), level=2)
            table(left_out)
        ui.label("jikimi feedback export --out DIR").classes("j-hash")


def _reports(visitor: Visitor, reports: list[dict[str, Any]]) -> None:
    words = visitor.words
    with ui.element("section").classes("j-panel j-stack"):
        heading(words("reports"), level=2)
        rows: list[tuple[str | Link, ...]] = []
        for one in reports:
            begun = words.moment(datetime.fromisoformat(one["start_at"]))
            what = Link(report_title(visitor, one), report_path(one["uid"]))
            state = words(
                "cutting" if one["cut_at"] is None else "film-lacking" if one["problem"] else "kept"
            )
            rows.append((begun, what, one["by"], state))
        table(rows, nothing=words("no-reports"))
