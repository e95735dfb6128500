"""Settings: users, tokens, targets, the site, who did what, and the system's health."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from nicegui import ui

from jikimi.serve.pages.api import Refused
from jikimi.serve.pages.frame import escaped, frame, heading, press, table, told
from jikimi.serve.pages.targets import targets_part
from jikimi.serve.pages.values import values_part
from jikimi.serve.pages.visitor import Visitor

_ROLES = ("viewer", "operator", "admin")


async def settings_page(visitor: Visitor) -> None:
    """Build the page: one's own part for everybody, the site's for its admins."""
    words = visitor.words
    with frame(visitor, "settings"):
        heading(words("settings"))
        with ui.element("div").classes("j-two"):
            with ui.element("div").classes("j-stack"):
                held = await visitor.api.get("/settings")
                await targets_part(visitor, held)
                values_part(visitor, held)
            with ui.element("div").classes("j-stack"):
                await _health(visitor)
                _password(visitor)
                if visitor.is_site_admin:
                    await _users(visitor)
                    await _tokens(visitor)
        if visitor.is_site_admin:
            await _audit(visitor)


def _password(visitor: Visitor) -> None:
    words = visitor.words
    with ui.element("section").classes("j-panel j-stack"):
        heading(words("my-password"), level=2)
        old = ui.input(words("password-old"), password=True).props(
            "outlined dense autocomplete=current-password"
        )
        new = ui.input(words("password-new"), password=True).props(
            f'outlined dense autocomplete=new-password hint="{words("password-rule")}"'
        )

        async def change() -> None:
            # The browser sends it itself: the answer sets its new cookie.
            script = (
                "const answer = await fetch('/api/v1/me/password', {method: 'PUT', headers: {'Content-Type': "
                "'application/json', 'X-CSRF-Token': window.jikimi.csrf}, body: JSON.stringify(%s)});"
                "return answer.ok ? '' : await window.jikimi.problem(answer);"
            )
            body = json.dumps({"old": old.value or "", "new": new.value or ""}).replace("<", "\\u003c")
            problem = await ui.run_javascript(script % body, timeout=20)
            if problem:
                told(Refused(400, problem))
                return
            ui.notify(words("saved"), type="positive")
            ui.navigate.reload()

        press(words("save"), change)


async def _users(visitor: Visitor) -> None:
    words = visitor.words
    users = await visitor.api.get("/users")
    with ui.element("section").classes("j-panel j-stack"):
        with ui.element("div").classes("j-row"):
            heading(words("users"), level=2)
            ui.element("span").classes("j-space")
            press(words("add-user"), lambda: _user_dialog(visitor, None), kind="plain")
        for user in users:
            with ui.element("div").classes("j-row j-line"):
                ui.label(user["name"]).classes("j-strong")
                ui.label(words(f"role-{user['role']}")).classes("j-chip")
                ui.label(
                    words("all-cameras") if user["cameras"] is None else ", ".join(user["cameras"])
                ).classes("j-soft")
                if user["disabled"]:
                    ui.label(words("disabled")).classes("j-chip warn")
                ui.element("span").classes("j-space")
                ui.button(icon="edit", on_click=lambda user=user: _user_dialog(visitor, user)).props(
                    f'flat round dense aria-label="{escaped(words("change-user", name=user["name"]))}"'
                )


async def _user_dialog(visitor: Visitor, user: dict[str, Any] | None) -> None:
    """Add or change a user."""
    words = visitor.words
    cameras = [camera["name"] for camera in await visitor.api.get("/cameras")]
    with ui.dialog() as dialog, ui.card().classes("j-dialog"):
        heading(words("add-user") if user is None else user["name"], level=2)
        name = ui.input(words("user"), value="" if user is None else user["name"]).props("outlined dense")
        name.set_visibility(user is None)
        role = ui.select(
            {r: words(f"role-{r}") for r in _ROLES},
            label=words("role"),
            value=(user or {}).get("role", "viewer"),
        ).props("outlined dense")
        some = ui.select(
            cameras,
            multiple=True,
            clearable=True,
            label=words("only-cameras"),
            value=(user or {}).get("cameras") or [],
        ).props("outlined dense use-chips")
        disabled = ui.switch(words("disabled"), value=bool((user or {}).get("disabled")))
        password = ui.input(
            words("password") if user is None else words("password-new"), password=True
        ).props(f'outlined dense autocomplete=new-password hint="{words("password-rule")}"')

        async def save() -> None:
            who = quote((name.value or "").strip(), safe="")
            body = {
                "role": role.value,
                "cameras": list(some.value) or None,
                "language": (user or {}).get("language", ""),
                "disabled": disabled.value,
            }
            try:
                if user is None:
                    await visitor.api.put(f"/users/{who}", {**body, "password": password.value or ""})
                else:
                    await visitor.api.put(f"/users/{who}", body)
                    if password.value:
                        await visitor.api.put(f"/users/{who}/password", {"password": password.value})
            except Refused as error:
                told(error)
                return
            dialog.close()
            ui.navigate.reload()

        async def remove() -> None:
            try:
                await visitor.api.delete(f"/users/{quote(name.value, safe='')}")
            except Refused as error:
                told(error)
                return
            dialog.close()
            ui.navigate.reload()

        with ui.element("div").classes("j-row"):
            if user is not None:
                press(words("remove"), remove, kind="plain")
            ui.element("span").classes("j-space")
            press(words("cancel"), dialog.close, kind="plain")
            press(words("save"), save)
    dialog.open()


async def _tokens(visitor: Visitor) -> None:
    words = visitor.words
    tokens = await visitor.api.get("/tokens")
    with ui.element("section").classes("j-panel j-stack"):
        heading(words("tokens"), level=2)
        ui.label(words("tokens-why")).classes("j-soft")
        for token in tokens:
            with ui.element("div").classes("j-row j-line"):
                ui.label(token["name"]).classes("j-strong")
                ui.label(words(f"role-{token['role']}")).classes("j-chip")
                ui.element("span").classes("j-space")
                if token["fixed"]:
                    ui.label("jikimi.toml").classes("j-soft")
                else:
                    ui.button(
                        icon="delete", on_click=lambda token=token: _take_back(visitor, token["name"])
                    ).props(
                        f'flat round dense aria-label="{escaped(words("remove"))} {escaped(token["name"])}"'
                    )
        with ui.element("div").classes("j-row"):
            name = ui.input(words("name")).props("outlined dense")
            role = ui.select({r: words(f"role-{r}") for r in _ROLES}, value="viewer").props(
                f'outlined dense aria-label="{words("role")}"'
            )

            async def make() -> None:
                try:
                    made = await visitor.api.post(
                        "/tokens", {"name": name.value or "", "role": role.value, "cameras": None}
                    )
                except Refused as error:
                    told(error)
                    return
                with ui.dialog() as dialog, ui.card().classes("j-dialog"):
                    heading(words("token-once"), level=2)
                    ui.label(made["secret"]).classes("j-hash")
                    press(words("close"), ui.navigate.reload)
                dialog.props("persistent")
                dialog.open()

            press(words("make-token"), make, kind="plain")


async def _take_back(visitor: Visitor, name: str) -> None:
    try:
        await visitor.api.delete(f"/tokens/{quote(name, safe='')}")
    except Refused as error:
        told(error)
        return
    ui.navigate.reload()


async def _health(visitor: Visitor) -> None:
    """How the system is now."""
    words = visitor.words
    with ui.element("section").classes("j-panel j-stack"):
        heading(words("system-health"), level=2)
        try:
            status = await visitor.api.get("/status")
        except Refused as error:
            ui.label(str(error)).classes("j-chip warn j-wrap")
            return
        ui.label(words("watching" if status["watching"] else "not-watching")).classes(
            f"j-chip {'good' if status['watching'] else 'alarm'}"
        )
        rows = [
            (words("model"), status["model"]),
            (words("detector"), words("running") if status["detector"] == "running" else status["detector"]),
            (words("since"), words.moment(datetime.fromisoformat(status["started_at"]))),
            (words("version"), status["version"]),
        ]
        if status["free_bytes"] is not None:
            rows.append((words("disk-free"), f"{status['free_bytes'] / 1e9:.1f} GB"))
            rows.append((words("evidence"), f"{status['evidence_bytes'] / 1e9:.2f} GB"))
        table(rows)
        for kind in status["faults"] or []:
            ui.label(words.fault(kind)).classes("j-chip warn")


async def _audit(visitor: Visitor) -> None:
    words = visitor.words
    rows = [
        (
            words.moment(datetime.fromisoformat(row["at"])),
            row["who"],
            words.deed(row["what"]),
            _about(row["about"], row["details"]),
        )
        for row in await visitor.api.get("/audit", {"limit": 100})
    ]
    with ui.element("section").classes("j-panel j-stack"):
        heading(words("audit"), level=2)
        table(rows, head=[words(key) for key in ("time", "user", "what", "about")], nothing=words("nothing"))


def _about(about: str, details: Mapping[str, Any]) -> str:
    """What it was done to, and for a change from what to what."""
    if "to" not in details:
        return about
    before, after = (_short(details.get(key)) for key in ("from", "to"))
    return f"{about}: {before} → {after}" if before != after else about


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {each}" for key, each in value.items()) or "–"
    if isinstance(value, list):
        return json.dumps(value, ensure_ascii=False)
    return "–" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
