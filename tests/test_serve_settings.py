"""Targets and values that are changed while the site runs: what is taken, refused, noted and never shown."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from jikimi.alert.channels import hosts_of, open_channel
from jikimi.alert.message import Plant as Place
from jikimi.errors import AlertError
from jikimi.in_force import CHANGEABLE, Followed
from jikimi.settings import Target
from jikimi.store import SettingRecord
from store_values import NOON, target
from test_serve_plant import SECRETS, Plant, leaks, open_plant, settings_in

WEBHOOK = {"kind": "webhook", "url": "https://u:n3w@hooks.test/x?t=n3w", "secret": "n3w-hmac"}
NEW = ("n3w", *SECRETS)


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    with open_plant(
        tmp_path,
        target_hosts=hosts_of,
        check_target=lambda one: open_channel(one, plant=Place(), announce=False).close(),
    ) as opened:
        yield opened


def delete(plant: Plant, path: str, role: str = "admin") -> Any:
    return plant.ask(role, "DELETE", f"/api/v1{path}")


def try_draft(plant: Plant, body: Any, role: str = "admin") -> Any:
    return plant.ask(role, "POST", "/api/v1/targets/try", json=body)


def kept(plant: Plant, name: str) -> Target | None:
    return next((one.settings for one in plant.store.targets() if one.name == name), None)


def trail(plant: Plant) -> list[tuple[str, str, str, Any]]:
    return [(one.who, one.what, one.about, dict(one.details)) for one in plant.store.audit_trail(limit=20)]


# --- targets


def test_target_is_added_changed_and_removed_and_shows_no_secret(
    plant: Plant, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    added = plant.put("/targets/관제실", WEBHOOK)
    assert added.status_code == 200, added.text
    assert added.json() == {
        "name": "관제실", "kind": "webhook", "topic": "jikimi", "discovery": "homeassistant", "faults": True,
        "signed": True, "fixed": False, "changed_at": added.json()["changed_at"], "problem": "",
    }  # fmt: skip
    assert kept(plant, "관제실") == Target.model_validate({"name": "관제실", **WEBHOOK})
    changed = plant.put("/targets/관제실", {"kind": "webhook", "faults": False, "secret": "", "url": ""})
    assert changed.json()["faults"] is False
    assert kept(plant, "관제실") == Target.model_validate({"name": "관제실", **WEBHOOK, "faults": False})
    listed = plant.get("/targets").json()
    assert [(one["name"], one["fixed"]) for one in listed] == [
        ("hook", True),
        ("siren", False),
        ("관제실", False),
    ]
    assert delete(plant, "/targets/관제실").status_code == 204
    assert delete(plant, "/targets/관제실").status_code == 404
    removed, second, first, *_ = trail(plant)
    assert removed[:3] == ("admin", "removed target", "관제실")
    assert second[3] == {"from": {"faults": True}, "to": {"faults": False}, "entered": []}
    assert first[3]["entered"] == ["url", "secret"] and first[3]["to"]["kind"] == "webhook"
    told = json.dumps([added.text, changed.text, listed, trail(plant)], ensure_ascii=False) + caplog.text
    assert not [word for word in NEW if word in told]


def test_target_of_jikimi_toml_is_changed_there(plant: Plant) -> None:
    for answer in (
        plant.put("/targets/hook", WEBHOOK),
        delete(plant, "/targets/hook"),
        try_draft(plant, {"name": "hook", **WEBHOOK}),
    ):
        assert answer.status_code == 409 and "jikimi.toml; change it there" in answer.text
    assert kept(plant, "hook") is None and not plant.tried


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"kind": "webhook"}, "url: missing"),
        ({"kind": "webhook", "url": "https://hooks.test/"}, "secret: a webhook is signed"),
        ({"kind": "webhook", "url": "ftp://n3w.test", "secret": "n3w"}, "url: a webhook takes"),
        ({"kind": "webhook", "url": "https://n3w:x:y/", "secret": "n3w"}, "url: the url is not an http"),
        ({"kind": "mqtt", "url": "https://n3w.test"}, "url: a broker is mqtt://"),
        ({"kind": "mqtt", "url": "mqtt://n3w.test:99999"}, "url: the url's port"),
        ({"kind": "mqtt", "url": "mqtt://n3w.test", "topic": "a/#"}, "topic: "),
        ({"kind": "apprise", "url": "nosuch://n3w"}, "url: Apprise does not understand"),
        ({"kind": "webhook", "url": "https://n3w.invalid/", "secret": "n3w"}, "url: its host is not known"),
        ({"kind": "pigeon", "url": "https://n3w.test/"}, "body.kind: "),
        ({"kind": "webhook", "url": "https://n3w.test/", "secret": "n3w", "colour": 1}, "colour"),
        ({"kind": "webhook", "url": "https://hooks.test/" + "n3w" * 2000, "secret": "x"}, "body.url: "),
    ],
)  # fmt: skip
def test_target_that_cannot_be_is_refused_at_its_field(plant: Plant, body: Any, words: str) -> None:
    for answer in (plant.put("/targets/new", body), try_draft(plant, {"name": "new", **body})):
        assert answer.status_code == 422 and words in answer.json()["detail"], answer.text
        assert "n3w" not in answer.text and "\n" not in answer.json()["detail"]
    assert kept(plant, "new") is None and not plant.tried


METADATA = ("169.254.169.254", "[fd00:ec2::254]", "[::ffff:169.254.169.254]", "2852039166", "[fe80::1]")


@pytest.mark.parametrize("host", [*METADATA, "0.0.0.0", "224.0.0.1", "127.0.0.1", "localhost", "[::1]"])
@pytest.mark.parametrize("kind", ["webhook", "mqtt", "apprise"])
def test_target_does_not_lead_to_this_machine_or_to_no_machine_of_the_network(
    plant: Plant, kind: str, host: str
) -> None:
    scheme = {"webhook": "http", "mqtt": "mqtt", "apprise": "json"}[kind]
    body = {"kind": kind, "url": f"{scheme}://u:n3w@{host}/latest", "secret": "n3w"}
    if kind == "mqtt":
        body["url"] = f"mqtt://u:n3w@{host}"
    answer = plant.put("/targets/new", body)
    assert answer.status_code == 422 and answer.json()["detail"].startswith("url: "), answer.text
    assert "n3w" not in answer.text and kept(plant, "new") is None


def test_mail_does_not_go_by_a_server_that_is_hidden_in_a_parameter(plant: Plant) -> None:
    mail = {"kind": "apprise", "url": "mailto://u:n3w@hooks.test?smtp=169.254.169.254&to=a@hooks.test"}
    assert plant.put("/targets/new", mail).status_code == 422
    assert (
        plant.put(
            "/targets/new", {"kind": "apprise", "url": "tgram://123456789:abcdefg_hijklmnop/1"}
        ).status_code
        == 200
    )
    assert (
        plant.put("/targets/new", {"kind": "apprise", "url": "ntfy://no-such-topic-of-ours"}).status_code
        == 200
    )


def test_targets_of_this_machine_are_taken_where_the_site_allows_it(tmp_path: Path) -> None:
    with open_plant(tmp_path, target_hosts=hosts_of, allow_local_targets=True) as plant:
        here = {"kind": "webhook", "url": "http://127.0.0.1:9/", "secret": "s"}
        assert plant.put("/targets/new", here).status_code == 200
        assert plant.put("/targets/new", here | {"url": "http://169.254.169.254/"}).status_code == 422


def test_url_of_another_kind_is_not_kept(plant: Plant) -> None:
    answer = plant.put("/targets/siren", {"kind": "apprise"})
    assert answer.status_code == 422 and answer.json()["detail"].startswith("url: missing")


def test_draft_is_tried_as_it_would_be_stored_and_not_stored(plant: Plant) -> None:
    assert try_draft(plant, {"name": "new", **WEBHOOK}).json() == {"seconds": 0.25}
    assert plant.tried == [Target.model_validate({"name": "new", **WEBHOOK})]
    assert try_draft(plant, {"name": "siren", "kind": "webhook", "faults": False}).status_code == 200
    assert plant.tried[1] == target("siren", url="https://x:s1ren@hooks.test/2", faults=False)
    assert [one.name for one in plant.store.targets()] == ["siren"]
    plant.trouble = AlertError("target 'new': https://u:n3w@hooks.test/x?t=n3w said 500")
    failed = try_draft(plant, {"name": "new", **WEBHOOK})
    assert failed.status_code == 502 and "said 500" in failed.text and "n3w" not in failed.text
    assert trail(plant)[0] == ("admin", "tried target", "new", {"draft": True})
    assert try_draft(plant, {"name": "new", **WEBHOOK}, "operator").status_code == 403


def test_added_target_is_tried_by_operators(plant: Plant) -> None:
    answer = plant.ask("operator", "POST", "/api/v1/targets/siren/try")
    assert answer.status_code == 200 and plant.tried[0].name == "siren"  # type: ignore[attr-defined]


def test_target_that_is_in_the_lists_is_not_removed(plant: Plant) -> None:
    assert plant.put("/settings/alerts.lists", {"value": [["hook"], ["siren"]]}).status_code == 200
    refused = delete(plant, "/targets/siren")
    assert refused.status_code == 409 and "take it out of them first" in refused.text
    assert plant.put("/settings/alerts.lists", {"value": [["hook"]]}).status_code == 200
    assert delete(plant, "/targets/siren").status_code == 204


def test_target_under_a_lost_key_is_told_replaced_and_removed(plant: Plant) -> None:
    plant.store._sealer = None
    listed = {one["name"]: one for one in plant.get("/targets").json()}
    assert listed["siren"]["kind"] == "webhook"  # it was opened before
    plant.app.state.backend.followed._version = ""
    assert "need a key" in plant.app.state.backend.followed.look().lost["siren"]
    listed = {one["name"]: one for one in plant.get("/targets").json()}
    assert listed["siren"]["kind"] is None and "need a key" in listed["siren"]["problem"]
    assert delete(plant, "/targets/siren").status_code == 204
    assert [one["name"] for one in plant.get("/targets").json()] == ["hook"]


# --- values


def values(plant: Plant) -> dict[str, Any]:
    return {one["key"]: one for one in plant.get("/settings").json()["values"]}


def test_value_is_changed_said_where_from_and_given_back(plant: Plant) -> None:
    before = values(plant)["evidence.keep_days"]
    assert (before["value"], before["origin"], before["over"], before["most"]) == (30, "default", 0, 36500)
    changed = plant.put("/settings/evidence.keep_days", {"value": 60}).json()
    assert (changed["value"], changed["origin"], changed["given"]) == (60, "stored", 30)
    assert changed["changed_by"] == "admin" and changed["given_origin"] == "default"
    assert plant.app.state.backend.settings.evidence.keep_days == 60
    again = plant.put("/settings/evidence.keep_days", {"value": 90.5}).json()
    assert again["value"] == 90.5
    back = delete(plant, "/settings/evidence.keep_days").json()
    assert (back["value"], back["origin"], back["changed_at"]) == (30, "default", None)
    assert delete(plant, "/settings/evidence.keep_days").status_code == 200
    assert trail(plant)[:3] == [
        ("admin", "reset setting", "evidence.keep_days", {"from": 90.5, "to": 30.0}),
        ("admin", "changed setting", "evidence.keep_days", {"from": 60.0, "to": 90.5}),
        ("admin", "changed setting", "evidence.keep_days", {"from": 30.0, "to": 60.0}),
    ]


def test_every_value_says_when_a_change_takes_effect_and_none_takes_a_restart(plant: Plant) -> None:
    held = values(plant)
    assert list(held) == list(CHANGEABLE)
    assert {one["applies"] for one in held.values()} == {"at-once", "next-incident", "cameras-anew"}
    assert held["evidence.pre_roll_s"]["applies"] == "next-incident"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("site.name", "안산 1공장"), ("site.language", "en"), ("site.time_zone", "Asia/Seoul"),
        ("site.time_zone", None), ("evidence.replay_minutes", 0), ("health.offline_s", 5.5),
        ("alerts.lists", [["siren"], ["hook", "siren"]]), ("alerts.lists", []),
        ("alerts.escalate_after_s", 30),
        ("shift", []),
        ("shift", [{"name": "야간", "hours": {"days": ["mon"], "start": "22:00", "end": "06:00"}}]),
    ],
)  # fmt: skip
def test_values_of_every_kind_hold(plant: Plant, key: str, value: Any) -> None:
    answer = plant.put(f"/settings/{key}", {"value": value})
    assert answer.status_code == 200 and answer.json()["value"] == value, answer.text
    assert values(plant)[key] == answer.json()


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("evidence.keep_days", 0, "greater than 0"), ("evidence.keep_days", "x", "valid number"),
        ("evidence.keep_days", None, "valid number"), ("evidence.keep_days", [1], "valid number"),
        ("evidence.pre_roll_s", 61, "less than or equal to 60"), ("site.language", "de", "'ko' or 'en'"),
        ("site.time_zone", "Seoul", "for example Asia/Seoul"),
        ("site.time_zone", "/etc/passwd", "Asia/Seoul"),
        ("site.name", "", "at least 1 character"), ("alerts.lists", [["nobody"]], "is no target"),
        ("alerts.lists", [[]], "take the empty one out"),
        ("shift", [{"name": "a", "hours": {"start": "25:00"}}], "hours.start"),
    ],
)  # fmt: skip
def test_value_that_cannot_be_is_refused_with_its_key(plant: Plant, key: str, value: Any, words: str) -> None:
    answer = plant.put(f"/settings/{key}", {"value": value})
    detail = answer.json()["detail"]
    assert answer.status_code == 422 and detail.startswith(f"{key}: ") and words in detail, detail
    assert values(plant)[key]["origin"] != "stored" and plant.store.setting_values() == []


@pytest.mark.parametrize(
    "key", ["site.data", "serve.port", "store.url", "nothing", "shift.name", "a\0", ".."]
)
def test_nothing_else_can_be_changed(plant: Plant, key: str) -> None:
    for answer in (
        plant.put(f"/settings/{quote(key)}", {"value": "x"}),
        delete(plant, f"/settings/{quote(key)}"),
    ):
        assert answer.status_code in (404, 422), answer.text
    assert plant.store.setting_values() == []


def test_what_the_environment_gives_cannot_be_changed(tmp_path: Path) -> None:
    with open_plant(tmp_path) as plant:
        pinned = frozenset({"evidence.keep_days"})
        followed = Followed(settings_in(tmp_path), plant.store, pinned=pinned)
        object.__setattr__(plant.app.state.backend, "followed", followed)
        answer = plant.put("/settings/evidence.keep_days", {"value": 60})
        assert answer.status_code == 409 and "JIKIMI_EVIDENCE__KEEP_DAYS" in answer.text
        assert values(plant)["evidence.keep_days"]["origin"] == "environment"


def test_what_was_stored_and_does_not_hold_is_told(plant: Plant) -> None:
    plant.store.put_setting(SettingRecord("evidence.keep_days", -3, NOON, "kim"))
    plant.app.state.backend.followed.look()
    answer = plant.get("/settings").json()
    assert "evidence.keep_days: Input should be greater than 0" in answer["problems"][0]
    assert values(plant)["evidence.keep_days"]["value"] == 30


def test_changed_shifts_and_zone_are_what_answers_go_by(plant: Plant) -> None:
    night = [{"name": "밤", "hours": {}}]
    plant.put("/settings/shift", {"value": night})
    rows = plant.get("/coverage/shifts").json()
    assert {row["shift"] for row in rows} == {"밤"}
    plant.put("/settings/site.time_zone", {"value": "Asia/Tokyo"})
    plant.put("/settings/site.name", {"value": "새 이름"})
    overview = plant.get("/overview").json()
    assert overview["time_zone"] == "Asia/Tokyo" and plant.get("/report").json()["site"] == "새 이름"
    assert not leaks(json.dumps(overview))


def test_what_may_not_be_reached_is_not_even_connected_to(tmp_path: Path) -> None:
    connected: list[str] = []
    with open_plant(
        tmp_path, target_hosts=hosts_of, check_target=lambda one: connected.append(one.name)
    ) as plant:
        broker = {"kind": "mqtt", "url": "mqtt://u:p@169.254.169.254"}
        assert plant.put("/targets/new", broker).status_code == 422
        assert try_draft(plant, {"name": "new", **broker}).status_code == 422
        assert connected == []
        assert plant.put("/targets/new", broker | {"url": "mqtt://u:p@broker.test"}).status_code == 200
        assert connected == ["new"]
