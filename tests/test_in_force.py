"""What a site runs with: jikimi.toml, what was stored over it, and the environment over both."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from jikimi import in_force
from jikimi.errors import SettingsError, StoreBusyError
from jikimi.in_force import CHANGEABLE, Followed, InForce, json_of, overlay, with_value
from jikimi.settings import Settings
from jikimi.settings_file import load_settings, pinned_keys
from jikimi.store import SettingRecord, Store, StoredTarget
from sites import wait_for
from store_values import NOON, target
from test_following import Away

pytest_plugins = ("store_fixtures",)

FILE = Settings.model_validate(
    {
        "site": {"name": "Ansan"},
        "evidence": {"keep_days": 30},
        "target": [{"name": "hook", "kind": "webhook", "url": "https://hooks.test/1", "secret": "s"}],
    }
)


def stored(key: str, value: Any) -> SettingRecord:
    return SettingRecord(key, value, NOON, "kim")


def added(name: str, **more: object) -> StoredTarget:
    return StoredTarget(name, target(name, **more), NOON)


def names(now: InForce) -> list[str]:
    return [one.name for one in now.settings.targets]


def test_stored_value_holds_over_the_file_and_the_file_over_the_default() -> None:
    now = overlay(FILE, values=[stored("evidence.keep_days", 90), stored("evidence.max_gb", 10)])
    assert (now.settings.evidence.keep_days, now.settings.evidence.max_gb) == (90, 10)
    keep, most, name, offline = (
        now.values[key] for key in ("evidence.keep_days", "evidence.max_gb", "site.name", "health.offline_s")
    )
    assert (keep.origin, keep.value, keep.given_origin, keep.given) == ("stored", 90, "jikimi.toml", 30)
    assert (keep.changed_by, keep.changed_at) == ("kim", NOON)
    assert (most.origin, most.given_origin, most.given) == ("stored", "default", 50)
    assert (name.origin, name.value) == ("jikimi.toml", "Ansan")
    assert (offline.origin, offline.value) == ("default", 10)
    assert now.problems == () and set(now.values) == set(CHANGEABLE)
    assert FILE.evidence.keep_days == 30


def test_each_value_that_holds_against_the_file_is_one_line_with_the_way_back() -> None:
    now = overlay(FILE, values=[stored("evidence.keep_days", 90), stored("site.time_zone", "Asia/Seoul")])
    zone, keep = now.notes.values()
    assert keep == (
        "[evidence] keep_days: 90 holds, stored by kim, 2026-07-01 03:00 UTC; jikimi.toml says 30: "
        "jikimi settings reset evidence.keep_days lets that hold"
    )
    assert "the default is none" in zone


def test_environment_stands_over_what_was_stored(tmp_path: Path) -> None:
    environment = {"JIKIMI_EVIDENCE__KEEP_DAYS": "7", "JIKIMI_KEY": "x", "PATH": "/bin"}
    assert pinned_keys(environment) == {"evidence.keep_days"}
    (tmp_path / "jikimi.toml").write_text("[evidence]\nkeep_days = 30\n")
    base = load_settings(tmp_path / "jikimi.toml", environment=environment)
    now = overlay(base, values=[stored("evidence.keep_days", 90)], pinned=pinned_keys(environment))
    assert now.settings.evidence.keep_days == 7
    assert now.values["evidence.keep_days"].origin == "environment"
    assert "JIKIMI_EVIDENCE__KEEP_DAYS" in now.problems[0] and now.notes == {}


def test_added_targets_come_after_those_of_the_file() -> None:
    now = overlay(FILE, targets=[added("broker"), added("phone")])
    assert names(now) == ["hook", "broker", "phone"]
    assert now.settings.alert_lists == (("hook", "broker", "phone"),)


def test_target_of_the_file_stands_over_a_stored_one_of_its_name() -> None:
    now = overlay(FILE, targets=[added("hook", url="https://elsewhere.test/")])
    assert now.settings.targets == FILE.targets
    assert now.problems == (in_force.twice("hook"),)


def test_target_that_cannot_be_opened_is_told_of_and_may_stay_in_the_lists() -> None:
    lost = StoredTarget("phone", None, NOON, problem="target 'phone': sealed with another key")
    now = overlay(FILE, targets=[lost], values=[stored("alerts.lists", [["hook"], ["phone"]])])
    assert names(now) == ["hook"] and now.lost == {"phone": lost.problem}
    assert now.settings.alerts.lists == (("hook",), ("phone",)) and now.problems == (lost.problem,)


def test_lists_lose_a_target_that_is_gone_and_nobody_else() -> None:
    lists = [["gone"], ["hook", "gone"], ["gone", "away"]]
    now = overlay(FILE, values=[stored("alerts.lists", lists)])
    assert now.settings.alerts.lists == (("hook",),)
    assert [problem.split("'")[1] for problem in now.problems] == ["gone", "away"]
    everybody_gone = overlay(FILE, values=[stored("alerts.lists", [["gone"]])])
    assert everybody_gone.settings.alert_lists == (("hook",),)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("evidence.keep_days", -1), ("evidence.keep_days", "many"), ("site.language", "de"),
        ("alerts.lists", {"a": 1}), ("alerts.lists", [[{}]]), ("alerts.lists", "x"),
        ("alerts.lists", None),
        ("shift", 7), ("shift", [{"name": "a"}]),
    ],
)  # fmt: skip
def test_stored_value_that_does_not_fit_lets_the_files_hold(key: str, value: Any) -> None:
    now = overlay(FILE, values=[stored(key, value), stored("evidence.max_gb", 7)])
    assert json_of(now.settings, key) == json_of(FILE, key)
    assert now.values[key].origin != "stored" and now.problems[0].startswith(key)
    assert now.settings.evidence.max_gb == 7


def test_key_of_another_version_is_told_of() -> None:
    now = overlay(FILE, values=[stored("evidence.colour", "red")])
    assert now.settings == FILE and "[evidence] colour" in now.problems[0]


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("evidence.keep_days", 0, "evidence.keep_days: Input should be greater than 0"),
        ("evidence.keep_days", True, "neither true nor false"),
        ("evidence.replay_minutes", 1e9, "less than or equal to 10080"),
        ("evidence.max_gb", float("nan"), "finite"),
        ("site.name", "a/b", "site.name: "),
        ("site.time_zone", "Asia/Soul", "for example Asia/Seoul"),
        ("site.time_zone", "../../etc/passwd", "for example Asia/Seoul"),
        ("site.data", "/tmp", "no such setting"),
        ("serve.port", 1, "no such setting"),
        ("alerts.lists", [["nobody"]], "'nobody' is no target"),
        ("alerts.lists", [["hook"], []], "take the empty one out"),
        ("shift", [{"name": "a", "hours": {}}, {"name": "a", "hours": {}}], "'a' occurs twice"),
        ("shift", [{"name": "a", "hours": {"start": "25:00"}}], "hours.start"),
    ],
)
def test_value_that_does_not_fit_is_refused_with_its_key(key: str, value: Any, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        with_value(FILE, key, value)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_shifts_hold_as_a_whole() -> None:
    early = {"name": "early", "hours": {"days": ["mon"], "start": "06:00", "end": "24:00"}}
    now = overlay(FILE, values=[stored("shift", [early])])
    assert [shift.name for shift in now.settings.shifts] == ["early"]
    assert now.values["shift"].value == [early]


def test_changes_are_followed_and_a_store_that_is_away_changes_nothing(
    sqlite_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_force, "_LOOK_EVERY_S", 0.02)
    away = AwaySettings(sqlite_store)
    followed = Followed(FILE, cast(Store, away))
    followed.start()
    before = followed.now
    sqlite_store.put_setting(SettingRecord("evidence.keep_days", 60, datetime.now(UTC), "kim"))
    wait_for(lambda: followed.now.settings.evidence.keep_days == 60)
    assert before.settings.evidence.keep_days == 30
    away.error = StoreBusyError("database x: is away")
    asked = away.asked
    sqlite_store.put_target(target("phone"), at=NOON)
    wait_for(lambda: away.asked > asked + 2)
    assert names(followed.now) == ["hook"]
    away.error = None
    wait_for(lambda: names(followed.now) == ["hook", "phone"])
    same = followed.now
    assert followed.look() is same
    followed.stop()


class AwaySettings(Away):
    """The same for settings."""

    def settings_version(self) -> str:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return self.store.settings_version()
