"""What the commands of a site share: the settings' option, the store, the audit trail, tables for people."""

import sys
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from jikimi.in_force import InForce
    from jikimi.settings import CameraSettings, Settings
    from jikimi.store import Store

Config = Annotated[
    Path | None,
    typer.Option("--config", metavar="jikimi.toml", help="The site's settings; default: ./jikimi.toml."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def group(name: str, help_text: str) -> typer.Typer:
    """An empty group of commands, like the program itself."""
    return typer.Typer(
        name=name,
        help=help_text,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )


@contextmanager
def opened_store(settings: "Settings") -> Iterator["Store"]:
    """The site's store, closed afterwards. Raises StoreError."""
    from jikimi.running import open_site_store

    store = open_site_store(settings)
    try:
        yield store
    finally:
        store.close()


def in_force(settings: "Settings", store: "Store") -> "InForce":
    """What holds: jikimi.toml, and over it what was stored. Raises StoreError."""
    from jikimi.running import follow_settings

    return follow_settings(settings, store).now


def all_cameras(settings: "Settings", store: "Store") -> "dict[str, CameraSettings]":
    """Every camera by name; those of the file come before those of the store of the same name."""
    stored = {camera.settings.name: camera.settings for camera in store.cameras()}
    fixed = {camera.name: camera for camera in settings.cameras}
    return dict(sorted((stored | fixed).items()))


def given(text: str, what: str) -> str:
    """What was typed, or a line of stdin for `-`: so no password lands in the shell's history."""
    if text != "-":
        return text
    if sys.stdin.isatty():
        from getpass import getpass

        return getpass(f"{what} (not shown): ").strip()
    return sys.stdin.readline().strip()


def note(store: "Store", what: str, about: str, **details: object) -> None:
    """Note in the audit trail what somebody at the command line did."""
    from datetime import UTC, datetime

    from jikimi.store import AuditRecord

    store.audit(AuditRecord(datetime.now(UTC), who(), what, about=about, details=details))


def who() -> str:
    """The machine's user, as the audit trail names him."""
    import os
    import pwd

    try:
        return f"{pwd.getpwuid(os.getuid()).pw_name} (command line)"
    except KeyError:  # a container may run as a user that has no name
        return f"user {os.getuid()} (command line)"


def split_names(text: str | None) -> tuple[str, ...] | None:
    """`a, b` as ("a", "b"); None stays None."""
    return None if text is None else tuple(name.strip() for name in text.split(",") if name.strip())


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines in columns; Korean letters take two places each."""
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)] if rows else []
    return ["  ".join(map(_padded, row, widths)).rstrip() for row in rows]


def _padded(text: str, width: int) -> str:
    return text + " " * (width - _width(text))


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)
