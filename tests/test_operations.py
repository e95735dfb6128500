"""The operations pages hold what they promise: keys, defaults, examples, commands, faults, metrics, links."""

import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime, time
from pathlib import Path, PurePath
from typing import Any, get_args

import click
import pytest
import typer
from fastapi.routing import APIRoute, APIWebSocketRoute
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from jikimi import settings as settings_
from jikimi.alert.webhook import sign
from jikimi.cli import app
from jikimi.serve import live_routes, logins, probes
from jikimi.serve.app import PARTS
from jikimi.serve.metrics import render
from jikimi.settings import Settings
from jikimi.settings_file import load_settings
from jikimi.status import CameraStatus, Histogram, SiteStatus
from jikimi.store.records import EvidenceKind
from jikimi.watch.health import HealthKind

DOCS = Path(__file__).parents[1] / "docs"
PAGES = [DOCS / "operations.md", DOCS / "operations.ko.md"]

# Faults that are not of a picture's health, by who tells of them.
FAULTS = [
    *get_args(HealthKind),
    *("inference", "overload", "not-recording"),
    *("process", "settings", "detector", "self-test", "store", "model", "challenger"),
    *("site", "evidence", "disk-full", "disk-low", "undelivered"),
]

TABLES = {
    "[[camera]]": settings_.CameraSettings,
    "[[camera.zone]]": settings_.Zone,
    "[[camera.mask]]": settings_.Mask,
    "[[camera.hours]]": settings_.Hours,
    "[[target]]": settings_.Target,
    "[[shift]]": settings_.Shift,
    "[[token]]": settings_.Token,
}


@pytest.fixture(params=PAGES, ids=["en", "ko"])
def page(request: pytest.FixtureRequest) -> str:
    path: Path = request.param
    return path.read_text(encoding="utf-8")


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)


def rows(page: str, heading: str) -> dict[str, str]:
    """Key → default of the table under a heading."""
    _, _, rest = page.partition(f"### `{heading}`\n")
    table = re.split(r"\n#", rest)[0]
    return dict(re.findall(r"^\| `(\w+)` \| ?(.*?) ?\|", table, re.MULTILINE))


def sections() -> Iterator[tuple[str, type[BaseModel]]]:
    for name, field in Settings.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield f"[{name}]", kind
    yield from TABLES.items()


def keys(kind: type[BaseModel]) -> dict[str, Any]:
    return {str(field.alias or name): field.default for name, field in kind.model_fields.items()}


# --- settings


def test_there_is_a_table_for_every_part_of_the_settings() -> None:
    named = {heading.strip("[]") for heading, _ in sections()}
    aliases = {str(field.alias or name) for name, field in Settings.model_fields.items()}
    assert aliases <= named


@pytest.mark.parametrize(("heading", "kind"), list(sections()), ids=lambda value: str(value))
def test_every_key_stands_there_with_its_default(page: str, heading: str, kind: type[BaseModel]) -> None:
    told = rows(page, heading)
    assert list(told) == list(keys(kind))
    for key, default in keys(kind).items():
        assert told[key] == _shown(default), key


def _shown(default: Any) -> str:
    if default is PydanticUndefined:
        return ""
    if default is None:
        return "–"
    if default == settings_.DAYS:
        return f"`{json.dumps(list(default))}`"
    texts = {time(0): '"00:00"', time.max: '"24:00"', (): "[]"}
    if isinstance(default, (time, tuple)):
        return f"`{texts[default]}`"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return f'`"{default}"`' if isinstance(default, str | PurePath) else f"`{default}`"


def test_every_example_loads(page: str, tmp_path: Path) -> None:
    examples = blocks(page, "toml")
    assert len(examples) >= 7
    for example in examples:
        (tmp_path / "jikimi.toml").write_text(example, encoding="utf-8")
        load_settings(tmp_path / "jikimi.toml", environment={})


def test_defaults_in_toml_are_what_the_settings_take() -> None:
    for heading, kind in TABLES.items():
        told = rows(PAGES[0].read_text(encoding="utf-8"), heading)
        given = {
            key: tomllib.loads(f"x = {text.strip('`')}")["x"] for key, text in told.items() if "`" in text
        }
        needed = {
            "[[camera]]": {"name": "a", "address": "rtsp://h/x"},
            "[[camera.zone]]": {"name": "a", "polygon": [[0, 0], [1, 0], [1, 1]]},
            "[[camera.mask]]": {"polygon": [[0, 0], [1, 0], [1, 1]]},
            "[[target]]": {"name": "a", "kind": "apprise", "url": "json://h"},
            "[[shift]]": {"name": "a", "hours": {}},
            "[[token]]": {"name": "a", "sha256": "0" * 64},
        }.get(heading, {})
        assert kind.model_validate(needed | given) == kind.model_validate(needed), heading


# --- commands


def commands(page: str) -> Iterator[list[str]]:
    """The words after `jikimi` of every command that is shown."""
    lines = [line for block in blocks(page, "bash") for line in block.splitlines()]
    spans = [span for span in re.findall(r"`([^`\n]+)`", page) if span.startswith("jikimi ")]
    for line in (*lines, *spans):
        words = shlex.split(line, comments=True)
        at = [number for number, word in enumerate(words) if PurePath(word).name == "jikimi"]
        if words and (words[0] == "jikimi" or "/opt/jikimi/bin/jikimi" in words or "exec" in words):
            yield words[at[-1] + 1 :]


def test_every_command_that_is_shown_exists_with_its_options(page: str) -> None:
    shown = list(commands(page))
    assert len(shown) > 20
    for words in shown:
        command: Any = typer.main.get_command(app)
        rest = list(words)
        while isinstance(command, click.Group) or hasattr(command, "commands"):
            assert rest and rest[0] in command.commands, words
            command = command.commands[rest.pop(0)]
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in rest if word.startswith("--")} <= known, words


def test_every_command_of_a_site_is_shown(page: str) -> None:
    shown = {" ".join(words) for words in commands(page)}
    for name in (
        *("serve", "doctor", "token", "watch", "target test", "evidence verify", "evidence recover"),
        "feedback export",
        *(f"user {name}" for name in ("add", "list", "password", "remove")),
        *(f"camera {name}" for name in ("add", "list", "test", "remove", "shelve")),
    ):
        assert any(words.startswith(name) for words in shown), name


# --- what is promised elsewhere


@pytest.mark.parametrize("kind", FAULTS)
def test_every_fault_is_explained(page: str, kind: str) -> None:
    (row,) = re.findall(rf"^\| `{kind}` \| (.+) \| (.+) \|$", faults_of(page), re.MULTILINE)
    assert all(row)


def faults_of(page: str) -> str:
    """The chapter on faults."""
    heading = "## Faults" if "## Faults" in page else "## 고장"
    return page.partition(f"\n{heading}\n")[2].partition("\n## ")[0]


def test_no_fault_is_explained_that_there_is_not(page: str) -> None:
    found = re.findall(r"^\| `([\w-]+)` \|", faults_of(page), re.MULTILINE)
    assert sorted(found) == sorted(FAULTS)


def test_every_metric_is_listed_and_no_other(page: str) -> None:
    now, durations = datetime.now(UTC), {"decided": Histogram(), "noticed": Histogram()}
    camera = CameraStatus(name="a", faults=["dark"], picture_age_s=1, decided_age_s=1, stages=durations)
    status = SiteStatus(at=now, started_at=now, cameras=[camera])
    text = render(status, {("a", "due"): 1}, {}).decode()
    exposed = set(re.findall(r"^# TYPE (jikimi_\w+) ", text, re.MULTILINE))
    listed = set(re.findall(r"`(jikimi_\w+)`", page))
    assert listed == exposed


def test_every_route_is_listed(page: str) -> None:
    for router in (*(part.router for part in (*PARTS, logins, probes)), live_routes.sockets):
        for route in router.routes:
            assert isinstance(route, APIRoute | APIWebSocketRoute)
            ending = re.sub("^/(incidents|reports|cameras|users|me|models|api/session)(?=/)", "", route.path)
            assert ending in page, route.path


@pytest.mark.parametrize("kind", [kind for kind in get_args(EvidenceKind) if kind != "video"])
def test_every_kind_of_evidence_is_named_by_its_ending(page: str, kind: str) -> None:
    assert f"`.{kind}." in page


def test_webhook_example_verifies(page: str) -> None:
    namespace: dict[str, Any] = {}
    (example,) = blocks(page, "python")
    exec(example, namespace)
    timestamp = str(int(datetime.now(UTC).timestamp()))
    signature = sign(secret="가나다", body=b"{}", timestamp=timestamp)
    check = namespace["is_jikimis"]
    assert check("가나다", b"{}", timestamp, signature)
    assert not check("가나다", b"{ }", timestamp, signature) and not check("x", b"{}", timestamp, signature)
    old = str(int(timestamp) - 1000)
    assert not check("가나다", b"{}", old, sign(secret="가나다", body=b"{}", timestamp=old))


# --- the pages themselves


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("path", PAGES, ids=["en", "ko"])
def test_links_lead_somewhere(path: Path) -> None:
    page = path.read_text(encoding="utf-8")
    anchors = {_anchor(heading) for heading in re.findall(r"^#+ (.+)$", page, re.MULTILINE)}
    for link in re.findall(r"\]\(([^)\s]+)\)", page):
        if link.startswith("#"):
            assert link[1:] in anchors, link
        elif not link.startswith("https://"):
            assert (DOCS / link).is_file(), link


def test_both_pages_have_the_same_structure() -> None:
    shapes = []
    for path in PAGES:
        page = path.read_text(encoding="utf-8")
        text = re.sub(r"```.*?```", "```", page, flags=re.DOTALL)
        shapes.append(re.findall(r"^(#+|```|\|)", text, re.MULTILINE))
    assert shapes[0] == shapes[1]


def test_unit_ends_in_time_restarts_always_and_is_hardened() -> None:
    unit = (DOCS / "jikimi.service").read_text(encoding="utf-8")
    given = dict(re.findall(r"^(\w+)=(.*)$", unit, re.MULTILINE))
    assert given["Type"] == "exec" and given["Restart"] == "always" and given["TimeoutStopSec"] == "10"
    assert given["NoNewPrivileges"] == given["ProtectHome"] == "yes" and given["ProtectSystem"] == "strict"
    assert given["ExecStart"].split()[1:] == ["serve", "--config", "/etc/jikimi/jikimi.toml"]


def test_container_is_not_root_and_asks_for_its_health() -> None:
    text = (DOCS / "Containerfile").read_text(encoding="utf-8")
    assert re.search(r"^USER jikimi$", text, re.MULTILINE) and "VOLUME /data" in text
    assert "/healthz" in text.partition("HEALTHCHECK")[2] and "-slim" in text
    assert 'CMD ["serve", "--config", "/etc/jikimi/jikimi.toml"]' in text
