"""Files of evidence as pages show them, of an incident or a report: each with its hash and its download."""

from collections.abc import Mapping, Sequence
from typing import Any

from nicegui import ui

from jikimi.serve.pages.frame import escaped, heading
from jikimi.serve.pages.visitor import Visitor

# The film first: it is what everybody looks for.
_ORDER = ("video", "scores", "strip", "still")
_TITLES = {"scores": "score-curve", "strip": "deciding-frames", "still": "still"}


def show_files(visitor: Visitor, evidence: Sequence[Mapping[str, Any]]) -> None:
    """What was kept; what is gone or incomplete says so."""
    words = visitor.words
    if not evidence:
        ui.label(words("no-evidence")).classes("j-panel j-soft")
    for one in sorted(evidence, key=lambda one: _ORDER.index(one["kind"])):
        with ui.element("section").classes("j-panel j-stack"):
            if one["kind"] != "video":
                heading(words(_TITLES[one["kind"]]), level=2)
            if one["url"] is None:
                ui.label(words("evidence-gone")).classes("j-soft")
            else:
                _show(visitor, one)
            if one["problem"]:
                ui.label(words("incomplete", detail=one["problem"])).classes("j-chip warn j-wrap")
            if one["url"] is not None:
                with ui.element("div").classes("j-row"):
                    ui.link(words("download"), one["url"]).props("download")
                    ui.label(f"SHA-256 {one['sha256']}").classes("j-hash")


def _show(visitor: Visitor, one: Mapping[str, Any]) -> None:
    """One file."""
    words, url = visitor.words, escaped(one["url"])
    if one["kind"] == "video":
        ui.element("video").props(
            f'controls preload=metadata playsinline src="{url}" data-start-s={one["start_s"]} '
            f'aria-label="{escaped(words("evidence"))}"'
        ).classes("j-film")
    elif one["kind"] == "scores":
        ui.element("div").props(f'id=scores data-url="{url}"').classes("j-stack")
    else:
        ui.element("img").props(f'src="{url}" alt="{escaped(words(_TITLES[one["kind"]]))}"').classes(
            "j-strip"
        )


def show_facts(rows: Mapping[str, str]) -> None:
    """What is known, by what it is called; what is empty is left out."""
    with ui.element("dl").classes("j-panel j-facts"):
        for label, value in rows.items():
            if value:
                ui.html(f"<dt>{escaped(label)}</dt><dd>{escaped(value)}</dd>", sanitize=False).classes(
                    "contents"
                )
