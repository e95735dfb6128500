"""Cameras, coverage, audit and meta, the same on SQLite and on PostgreSQL."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from threading import Thread

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jikimi.store import (
    AuditRecord,
    CoverageRecord,
    NotFoundError,
    SecretBox,
    Store,
    StoreBusyError,
    StoreError,
    open_store,
)
from store_values import ADDRESS, NOON, camera, incident, later

pytest_plugins = ("postgres_server", "store_fixtures")

SEOUL = timezone(timedelta(hours=9))


def test_camera_comes_back_as_it_was_put(store: Store) -> None:
    whole = camera(
        sub="rtsp://admin:s3cr3t@10.0.0.5:554/sub",
        behaviors=("fall",),
        theta_on={"fall": 0.8},
        zones=[{"name": "벨트", "polygon": [(0, 0), (1, 0), (1, 1)]}],
        masks=[{"polygon": [(0, 0), (0.5, 0), (0, 0.5)], "kind": "blacken"}],
        hours=[{"days": ["mon"], "start": "08:00", "end": "24:00"}],
        pre_roll_s=5,
    )
    store.put_camera(whole, at=NOON)
    assert [stored.settings for stored in store.cameras()] == [whole]
    assert store.cameras()[0].changed_at == NOON


def test_putting_a_camera_again_replaces_it_and_leaves_it_shelved(store: Store) -> None:
    store.put_camera(camera(sub="/dev/video1"), at=NOON)
    store.shelve("press-3", until=later(3600), by="kim")
    store.put_camera(camera(address="/dev/video0", enabled=False), at=later(1))
    (stored,) = store.cameras()
    assert stored.settings == camera(address="/dev/video0", enabled=False)
    assert stored.changed_at == later(1)
    assert store.shelved() == {"press-3": later(3600)}


def test_unshelved_camera_is_not_shelved(store: Store) -> None:
    store.put_camera(camera(), at=NOON)
    store.shelve("press-3", until=later(3600), by="kim")
    store.shelve("press-3", until=None, by="lee")
    assert store.shelved() == {}


def test_camera_of_the_file_is_shelved_and_one_that_is_removed_is_not(store: Store) -> None:
    store.put_camera(camera(), at=NOON)
    store.shelve("of the file", until=later(60), by="kim")
    store.shelve("press-3", until=later(60), by="kim")
    store.shelve("of the file", until=later(90), by="lee")
    store.remove_camera("press-3")
    assert store.shelved() == {"of the file": later(90)}


def test_removed_camera_is_gone_and_its_incidents_stay(store: Store) -> None:
    store.put_camera(camera(), at=NOON)
    store.open_incident(incident(), [])
    store.remove_camera("press-3")
    assert store.cameras() == []
    assert store.incident("i1").camera == "press-3"


def test_unknown_camera_cannot_be_removed(store: Store) -> None:
    before = store.cameras_version()
    with pytest.raises(NotFoundError, match="camera 'x': there is none of that name"):
        store.remove_camera("x")
    assert store.cameras_version() == before


def test_cameras_version_differs_after_every_change(store: Store) -> None:
    seen = [store.cameras_version()]
    for change in (
        lambda: store.put_camera(camera(), at=NOON),
        lambda: store.put_camera(camera(), at=NOON),
        lambda: store.shelve("press-3", until=NOON, by=""),
        lambda: store.remove_camera("press-3"),
    ):
        change()
        seen.append(store.cameras_version())
        assert store.cameras_version() == seen[-1]
    assert len(set(seen)) == 5


def test_store_without_a_key_neither_takes_nor_shows_cameras(database_url: str, box: SecretBox) -> None:
    with open_store(database_url) as keyless:
        with pytest.raises(StoreError, match="need a key"):
            keyless.put_camera(camera(), at=NOON)
        with open_store(database_url, box=box) as keyed:
            keyed.put_camera(camera(), at=NOON)
        with pytest.raises(StoreError, match="need a key"):
            keyless.cameras()


def test_stored_settings_that_do_not_fit_name_the_camera_and_the_setting(store: Store) -> None:
    store.put_camera(camera(), at=NOON)
    with store._writing() as session:
        session.connection().exec_driver_sql(
            """UPDATE cameras SET settings = '{"name": "x", "odd": "zq1"}'"""
        )
    with pytest.raises(StoreError, match="camera 'press-3': its stored setting 'odd'") as told:
        store.cameras()
    assert "zq1" not in str(told.value)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(
    moment=st.datetimes(
        min_value=datetime(1, 1, 2),
        max_value=datetime(9999, 12, 30),
        timezones=st.sampled_from([UTC, SEOUL, timezone(timedelta(hours=-11, minutes=-30))]),
    )
)
def test_moment_comes_back_aware_in_utc_and_equal(store: Store, moment: datetime) -> None:
    store.audit(AuditRecord(moment, "kim", "look"))
    stored = store.audit_trail(limit=1)[0].at
    assert stored == moment
    assert stored.tzinfo is UTC


def test_moment_without_a_time_zone_is_refused(store: Store) -> None:
    with pytest.raises(StoreError, match="has no time zone; give it UTC"):
        store.audit(AuditRecord(datetime(2026, 7, 1), "kim", "look"))
    assert store.audit_trail() == []


@pytest.mark.parametrize("word", ["\ud800", "a\x00b"])
def test_text_that_a_database_may_refuse_never_throws_anything_but_a_store_error(
    store: Store, word: str
) -> None:
    try:
        store.set_meta("word", word)
    except StoreError as error:
        assert "\n" not in str(error)
    else:
        assert store.meta("word") == word
    store.ping()


def test_coverage_adds_seconds_onto_the_hour(store: Store) -> None:
    hour = NOON.replace(minute=0, second=0, microsecond=0)
    store.add_coverage([CoverageRecord("a", hour, 10, 20), CoverageRecord("b", hour, 1, 1)])
    store.add_coverage(
        [CoverageRecord("a", NOON.astimezone(SEOUL), 5.5, 10), CoverageRecord("a", hour, 1, 1)]
    )
    both = store.coverage(since=hour, until=hour + timedelta(hours=1))
    assert both == [CoverageRecord("a", hour, 16.5, 31), CoverageRecord("b", hour, 1, 1)]
    assert store.coverage(since=hour, until=hour) == []
    assert store.coverage(since=hour, until=later(60), camera="b") == both[1:]
    assert store.coverage(since=hour, until=later(60), camera=["a", "b"]) == both
    assert store.coverage(since=hour, until=later(60), camera=[]) == []


def test_coverage_of_many_threads_loses_no_second(store: Store) -> None:
    rows = [CoverageRecord(name, NOON, 1, 2) for name in "abc"]

    def add(order: Iterator[CoverageRecord]) -> None:
        batch = list(order)
        for _ in range(10):
            store.add_coverage(batch)

    threads = [Thread(target=add, args=(order,)) for order in (iter(rows), reversed(rows), iter(rows))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = store.coverage(since=NOON - timedelta(hours=1), until=later(1))
    assert [(row.camera, row.seen_s, row.due_s) for row in found] == [(name, 30, 60) for name in "abc"]


def test_audit_trail_is_newest_first_and_paged(store: Store) -> None:
    for number in range(5):
        store.audit(AuditRecord(NOON, "kim", f"act {number}", about="press-3", details={"n": number}))
    first = store.audit_trail(limit=3)
    assert [row.what for row in first] == ["act 4", "act 3", "act 2"]
    assert first[0].details == {"n": 4}
    assert [row.what for row in store.audit_trail(before=first[-1].id)] == ["act 1", "act 0"]


def test_meta_remembers_the_last_word(store: Store) -> None:
    assert store.meta("head") is None
    store.set_meta("head", "1")
    store.set_meta("head", "지킴이")
    assert store.meta("head") == "지킴이"


def test_everything_survives_closing(database_url: str, box: SecretBox) -> None:
    with open_store(database_url, box=box) as store:
        store.put_camera(camera(), at=NOON)
    with open_store(database_url, box=box) as store:
        assert store.cameras()[0].settings.address.reveal() == ADDRESS


def test_closed_store_says_so_and_opens_no_connection(store: Store) -> None:
    store.ping()
    store.close()
    store.close()
    for call in (store.ping, store.cameras_version, lambda: store.set_meta("a", "b")):
        with pytest.raises(StoreError, match="closed") as told:
            call()
        assert not isinstance(told.value, StoreBusyError)
