"""Targets and values of the settings as they are kept, on both kinds of database."""

from pathlib import Path

import pytest
from sqlalchemy import text

from jikimi.errors import NotFoundError
from jikimi.store import SettingRecord, Store, open_box, open_store
from store_values import NOON, later, target

pytest_plugins = ("postgres_server", "store_fixtures")

SEALED = ("url-s3cr3t", "hmac-s3cr3t")


def test_target_comes_back_as_it_went_in(store: Store) -> None:
    broker = target(
        "broker", kind="mqtt", url="mqtt://u:url-s3cr3t@b", secret=None, topic="공장", faults=False
    )
    store.put_target(target(), at=NOON)
    store.put_target(broker, at=later(5))
    assert [(one.settings, one.changed_at, one.problem) for one in store.targets()] == [
        (broker, later(5), ""),
        (target(), NOON, ""),
    ]
    store.put_target(target(secret="another"), at=later(9))
    assert [one.settings for one in store.targets()] == [broker, target(secret="another")]


def test_nothing_of_a_targets_secrets_is_in_the_database(store: Store) -> None:
    store.put_target(target(), at=NOON)
    with store._reading() as session:
        held = repr(session.execute(text("SELECT * FROM targets")).all())
    assert "webhook" in held and not [word for word in SEALED if word in held]


def test_url_does_not_open_as_the_secret(store: Store) -> None:
    store.put_target(target(), at=NOON)
    with store._writing() as session:
        session.execute(text("UPDATE targets SET url = secret, secret = url"))
    (one,) = store.targets()
    assert one.settings is None and "damaged" in one.problem


def test_removed_target_is_gone_and_only_once(store: Store) -> None:
    store.put_target(target(), at=NOON)
    store.remove_target("관제실")
    assert store.targets() == []
    with pytest.raises(NotFoundError, match="list of targets"):
        store.remove_target("관제실")


def test_target_under_a_lost_key_says_so_and_keeps_no_other_from_being_read(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'jikimi.db'}"
    with open_store(url, box=open_box(tmp_path / "one.key", None)) as store:
        store.put_target(target("old"), at=NOON)
    with open_store(url, box=open_box(tmp_path / "two.key", None)) as store:
        store.put_target(target("new"), at=NOON)
        new, old = store.targets()
    assert new.settings == target("new")
    assert old.settings is None and "another key" in old.problem
    assert not [word for word in SEALED if word in repr(old)]


def test_target_of_another_version_is_told_and_not_quoted(store: Store) -> None:
    store.put_target(target(), at=NOON)
    with store._writing() as session:
        session.execute(text('UPDATE targets SET settings = \'{"name": "관제실", "kind": "pigeon"}\''))
    (one,) = store.targets()
    assert one.settings is None and "kind" in one.problem and "pigeon" not in one.problem


@pytest.mark.parametrize("value", [30.5, None, "Asia/Seoul", [["a", "나"]], "\0\ud800", {"a": [1]}])
def test_value_comes_back_as_it_went_in(store: Store, value: object) -> None:
    store.put_setting(SettingRecord("a.b", 1, NOON, "lee"))
    record = SettingRecord("a.b", value, later(1), "김")
    store.put_setting(record)
    assert store.setting_values() == [record]
    assert store.remove_setting("a.b") and not store.remove_setting("a.b")
    assert store.setting_values() == []


def test_every_change_is_seen_by_who_follows(store: Store) -> None:
    seen = [store.settings_version()]

    def changes() -> bool:
        seen.append(store.settings_version())
        return seen[-1] not in seen[:-1]

    assert not changes()
    store.put_target(target(), at=NOON)
    assert changes()
    store.put_setting(SettingRecord("a.b", 1, NOON, "lee"))
    assert changes()
    store.remove_setting("nothing")
    assert not changes()
    store.remove_setting("a.b")
    assert changes()
    store.remove_target("관제실")
    assert changes()
    assert store.cameras_version() == "" == store.models_version()
