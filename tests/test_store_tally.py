"""Finding and counting incidents by whatever they are, the same on SQLite and on PostgreSQL."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jikimi.hours import Weekly, holds, stretches
from jikimi.settings import Hours
from jikimi.store import CoverageRecord, FaultRecord, IncidentFilter, IncidentRecord, Notice, Store
from jikimi.store.tally import FaultTally, Raised, Tally, Watched
from store_values import NOON, incident, later, notice

pytest_plugins = ("postgres_server", "store_fixtures")

BERLIN = ZoneInfo("Europe/Berlin")
_FEW = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=15)


def uids(incidents: list[IncidentRecord]) -> list[str]:
    return [each.uid for each in incidents]


def weekly(*hours: Hours, zone: ZoneInfo = BERLIN) -> Weekly:
    clock = stretches(
        lambda moment: moment.astimezone(zone),
        since=datetime(2026, 1, 1, tzinfo=UTC),
        until=datetime(2027, 1, 1, tzinfo=UTC),
    )
    return Weekly(hours, clock)


def tally(
    store: Store,
    wanted: IncidentFilter | None = None,
    *,
    since: datetime = NOON,
    until: datetime | None = None,
    now: datetime | None = None,
) -> Tally:
    until = until or later(86400)
    return store.tally(
        wanted or IncidentFilter(),
        since=since,
        until=until,
        now=now or later(10 * 86400),
        bin_s=3600,
        clock=stretches(lambda moment: moment.astimezone(BERLIN), since=since, until=until),
    )


def test_incidents_are_found_by_every_filter_and_by_all_together(store: Store) -> None:
    store.open_incident(incident("a", 0, "press-3"), [])
    store.open_incident(replace(incident("b", 1, "belt"), peak=0.95), [])
    store.open_incident(replace(incident("c", 2, "oven"), behavior="jam"), [])
    store.acknowledge("b", at=later(5), by="kim")
    store.close_incident("b", at=later(9), peak=0, score=0)
    store.answer("c", answer="false-alarm", at=later(9), by="kim", note="지게차 50% Loaded_")
    store.lock("c", locked=True, at=later(9), by="kim")
    for wanted, expected in (
        (IncidentFilter(), "cba"),
        (IncidentFilter(camera=("belt", "oven")), "cb"),
        (IncidentFilter(camera=("belt",)), "b"),
        (IncidentFilter(camera=()), ""),
        (IncidentFilter(behavior=("jam", "hit")), "c"),
        (IncidentFilter(answers=("false-alarm",)), "c"),
        (IncidentFilter(answers=("false-alarm", None)), "cba"),
        (IncidentFilter(answers=(None,)), "ba"),
        (IncidentFilter(answers=()), ""),
        (IncidentFilter(answered=True), "c"),
        (IncidentFilter(acknowledged=True), "cb"),
        (IncidentFilter(acknowledged=False), "a"),
        (IncidentFilter(open=True), "ca"),
        (IncidentFilter(open=False), "b"),
        (IncidentFilter(locked=True), "c"),
        (IncidentFilter(locked=False), "ba"),
        (IncidentFilter(min_peak=0.95), "b"),
        (IncidentFilter(note="지게차"), "c"),
        (IncidentFilter(note="LOADED"), "c"),
        (IncidentFilter(note="0%"), "c"),
        (IncidentFilter(note="d_"), "c"),
        (IncidentFilter(note="5%L"), ""),
        (IncidentFilter(since=later(1), until=later(2)), "b"),
        (IncidentFilter(camera=("belt", "oven"), acknowledged=True, locked=False, min_peak=0.9), "b"),
    ):
        assert uids(store.page(wanted)) == list(expected), wanted
        assert store.count(wanted, most=10) == len(expected), wanted


def test_counting_stops_where_enough_are_counted(store: Store) -> None:
    for number in range(5):
        store.open_incident(incident(f"i{number}", number), [])
    assert store.count(IncidentFilter(), most=3) == 3


# Spans within a day and past midnight, some days and all, and one that falls between the cells of a look-up.
_HOURS = [
    {"start": "22:00", "end": "06:00"},
    {"start": "06:00", "end": "14:00", "days": ["mon", "sun"]},
    {"start": "00:00", "end": "24:00", "days": ["sat"]},
    {"start": "02:30:01", "end": "03:00:07"},
]


@_FEW
@given(
    opened_s=st.lists(st.integers(-4 * 86400, 4 * 86400), min_size=1, max_size=12, unique=True),
    raw=st.lists(st.sampled_from(_HOURS), min_size=1, max_size=3),
)
@pytest.mark.parametrize("night", [datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)])
def test_a_shift_holds_as_the_plants_clock_has_it_also_when_it_is_changed(
    store: Store, night: datetime, opened_s: list[int], raw: list[dict[str, object]]
) -> None:
    hours = [Hours.model_validate(each) for each in raw]
    camera = f"c{store.count(IncidentFilter(), most=100_000)}"  # of this example alone
    for number, second in enumerate(opened_s):
        opened = replace(
            incident(f"{camera}-{number}", 0, camera), opened_at=night + timedelta(seconds=second)
        )
        store.open_incident(opened, [])
    found = store.page(IncidentFilter(camera=camera, within=weekly(*hours)))
    whole = store.page(IncidentFilter(camera=camera))
    expected = [one for one in whole if any(holds(each, one.opened_at.astimezone(BERLIN)) for each in hours)]
    assert found == expected


@_FEW
@given(data=st.data())
def test_a_tally_counts_what_counting_by_hand_does(store: Store, data: st.DataObject) -> None:
    first = store.count(IncidentFilter(), most=100_000)
    kinds = st.tuples(
        st.integers(-2, 30), st.sampled_from("ab"), st.sampled_from(["fall", "jam"]),
        st.sampled_from([None, "correct", "false-alarm", "other-behavior"]), st.integers(0, 9000),
    )  # fmt: skip
    drawn = data.draw(st.lists(kinds, max_size=12))
    for number, (hour, camera, behavior, answer, waited_s) in enumerate(drawn):
        uid, name = f"{first}-{number}", f"{first}-{camera}"
        opened = replace(incident(uid, 1800 * hour, name), behavior=behavior)
        store.open_incident(opened, [])
        if answer is not None:
            store.answer(uid, answer=answer, at=later(1800 * hour + waited_s), by="kim", behavior="jam")  # type: ignore[arg-type]
    since, until = later(0), later(1800 * 24)
    found = tally(store, IncidentFilter(camera=(f"{first}-a", f"{first}-b")), since=since, until=until)
    inside = [each for each in drawn if 0 <= each[0] < 24]
    assert Counter(found.raised) == Counter(
        Raised(f"{first}-{camera}", behavior, answer, "jam" if answer else "")  # type: ignore[arg-type]
        for _, camera, behavior, answer, _ in inside
    )
    assert Counter(found.bins) == Counter(
        (int(later(1800 * hour).timestamp()) // 3600 * 3600, behavior) for hour, _, behavior, _, _ in inside
    )
    waited = Counter(waited_s for *_, answer, waited_s in inside if answer)
    assert Counter(found.acknowledged_s) == Counter(found.answered_s) == waited


def test_a_response_ends_with_the_first_answer(store: Store) -> None:
    store.open_incident(incident(), [])
    store.acknowledge("i1", at=later(12.4), by="kim")
    store.answer("i1", answer="unsure", at=later(61), by="kim")
    store.answer("i1", answer="correct", at=later(900), by="lee")
    found = tally(store)
    assert (found.acknowledged_s, found.answered_s) == ({12: 1}, {61: 1})
    assert found.raised == {Raised("press-3", "fall", "correct"): 1}


def test_deliveries_are_told_apart_by_target_state_and_time(store: Store) -> None:
    store.open_incident(incident("old", -1), [notice("x", uid="old")])
    store.open_incident(incident(), [notice("a"), notice("b", "siren"), notice("c", "siren")])
    store.begin_fault(
        FaultRecord("i1", "press-3", "offline", "", later(5)), [Notice("f", "phone", "fault", "i1", "opened")]
    )
    store.delivered(2, at=later(0.25))
    store.failed(3, at=later(1), error="no", retry_at=None)
    found = tally(store).deliveries
    assert found == {
        ("phone", "delivered", 0.25): 1, ("phone", "due", None): 1,
        ("siren", "given-up", None): 1, ("siren", "due", None): 1,
    }  # fmt: skip
    assert tally(store, IncidentFilter(camera=("belt",))).deliveries == {}


def test_coverage_counts_whole_hours_where_they_begin(store: Store) -> None:
    hour = NOON.replace(minute=0, second=0, microsecond=0)
    for camera in ("a", "b"):
        store.add_coverage(
            CoverageRecord(camera, hour + timedelta(hours=n), 1000.0, 3600.0) for n in range(4)
        )
    since, until = hour, hour + timedelta(hours=3)
    found = tally(store, IncidentFilter(camera="a"), since=since, until=until)
    # 05:00 in Berlin, on a Wednesday.
    assert found.coverage == {("a", 86400 * 2 + 3600 * clock): Watched(1000.0, 3600.0) for clock in (5, 6, 7)}
    later_on = tally(store, since=since + timedelta(seconds=1), until=until).coverage
    assert [key[1] // 3600 % 24 for key in later_on if key[0] == "b"] == [6, 7]
    within = weekly(Hours.model_validate({"start": "06:00", "end": "07:00"}))
    assert tally(store, IncidentFilter(within=within), since=since, until=until).coverage == {
        (camera, 86400 * 2 + 3600 * 6): Watched(1000.0, 3600.0) for camera in "ab"
    }


def test_the_same_hour_of_every_week_is_added_up_also_when_the_clock_is_changed(store: Store) -> None:
    for day in (datetime(2026, 3, 22, 5, tzinfo=UTC), datetime(2026, 3, 29, 4, tzinfo=UTC)):
        store.add_coverage([CoverageRecord("a", day, 600.0, 3600.0)])  # 06:00 in Berlin, both
    found = tally(
        store, since=datetime(2026, 3, 1, tzinfo=UTC), until=datetime(2026, 4, 1, tzinfo=UTC)
    ).coverage
    assert found == {("a", 6 * 86400 + 6 * 3600): Watched(1200.0, 7200.0)}


def test_faults_count_with_what_of_them_is_in_the_range(store: Store) -> None:
    spans: Sequence[tuple[float, float | None]] = [
        (-100, -1), (-100, 0), (-100, 10), (20, 50), (90, 200), (95, None), (100, 110),
    ]  # fmt: skip
    for number, (began_s, ended_s) in enumerate(spans):
        store.begin_fault(FaultRecord(f"f{number}", "a", "dark", "", later(began_s)), [])
        if ended_s is not None:
            store.end_fault(f"f{number}", at=later(ended_s))
    (found,) = tally(store, since=later(0), until=later(100)).faults
    assert (found.camera, found.kind, found.count, found.lasting) == ("a", "dark", 4, 1)
    assert found.seconds == pytest.approx(10 + 30 + 10 + 5, abs=0.01)
    (soon,) = tally(store, since=later(0), until=later(100), now=later(96)).faults
    assert soon.seconds == pytest.approx(10 + 30 + 6 + 1, abs=0.01)


def test_the_sites_own_faults_are_not_of_some_cameras(store: Store) -> None:
    store.begin_fault(FaultRecord("f", "", "disk-full", "", NOON), [])
    assert tally(store).faults == (FaultTally("", "disk-full", 1, 1, pytest.approx(86400.0, abs=0.01)),)
    assert tally(store, IncidentFilter(camera=("press-3",))).faults == ()


def test_an_empty_store_has_an_empty_tally(store: Store) -> None:
    assert tally(store) == Tally({}, {}, {}, {}, {}, {}, ())
