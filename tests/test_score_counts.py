"""Counts of scores: how they are counted, and how they are kept, the same on SQLite and on PostgreSQL."""

from datetime import datetime, timedelta

import pytest

from jikimi.store import ScoreCountRecord, Store
from jikimi.store.records import SCORE_BINS
from jikimi.store.score_counts import KEEP_SCORE_COUNTS
from jikimi.watch.score_counter import ScoreCounter
from store_values import NOON

pytest_plugins = ("postgres_server", "store_fixtures")

HOUR = NOON.replace(minute=0, second=0, microsecond=0)


def bins(**counts: int) -> tuple[int, ...]:
    """Counts by bin: `bins(_3=1)` is one in bin 3."""
    return tuple(counts.get(f"_{place}", 0) for place in range(SCORE_BINS))


@pytest.mark.parametrize(
    ("score", "place"), [(0.0, 0), (0.0199, 0), (0.021, 1), (0.5, 25), (0.999, 49), (1.0, 49)]
)
def test_a_score_falls_into_its_bin(score: float, place: int) -> None:
    counts = ScoreCounter(("normal", "jam"), ["jam"])
    counts.add([[1 - score, score]])
    assert counts.take() == {"jam": bins(**{f"_{place}": 1})}


def test_of_several_zones_the_highest_score_of_each_behaviour_counts() -> None:
    counts = ScoreCounter(("jam", "fall", "normal"), ["fall", "jam"])
    counts.add([[0.1, 0.7, 0.2], [0.5, 0.3, 0.2]])
    assert counts.take() == {"jam": bins(_25=1), "fall": bins(_35=1)}


def test_what_was_taken_is_not_counted_again() -> None:
    counts = ScoreCounter(("jam", "normal"), ["jam"])
    for _ in range(3):
        counts.add([[0.5, 0.5]])
    assert counts.take() == {"jam": bins(_25=3)} and counts.take() == {}
    counts.add([[0.1, 0.9]])
    assert counts.take() == {"jam": bins(_5=1)}


def record(counts: tuple[int, ...], at: datetime = NOON, camera: str = "a") -> ScoreCountRecord:
    return ScoreCountRecord(camera, at, "jam", counts)


def summed(store: Store, since: datetime = HOUR, hours: int = 1, camera: str = "a") -> object:
    return store.score_counts(camera, since=since, until=since + timedelta(hours=hours))


def test_counts_of_an_hour_add_up_and_hours_are_summed(store: Store) -> None:
    store.add_score_counts([record(bins(_3=2, _49=1)), record(bins(_3=9), camera="b")])
    store.add_score_counts([record(bins(_3=1), NOON + timedelta(minutes=40))])
    store.add_score_counts([record(bins(_4=5), NOON + timedelta(hours=1))])
    store.add_score_counts([ScoreCountRecord("a", NOON, "fall", bins(_0=1))])
    assert summed(store) == {"fall": bins(_0=1), "jam": bins(_3=3, _49=1)}
    assert summed(store, hours=2) == {"fall": bins(_0=1), "jam": bins(_3=3, _4=5, _49=1)}
    assert summed(store, since=HOUR + timedelta(seconds=1)) == {"jam": bins(_4=5)}
    assert summed(store, camera="b") == {"jam": bins(_3=9)} and summed(store, camera="c") == {}


def test_counts_that_are_too_old_go_when_new_ones_come(store: Store) -> None:
    store.add_score_counts([record(bins(_1=1)), record(bins(_1=1), NOON + timedelta(hours=1))])
    store.add_score_counts([record(bins(_2=1), HOUR + KEEP_SCORE_COUNTS + timedelta(hours=1), "b")])
    assert summed(store, hours=3) == {"jam": bins(_1=1)} and summed(store) == {}
    store.add_score_counts([])
    assert summed(store, hours=3) == {"jam": bins(_1=1)}


def test_counts_of_another_width_are_refused() -> None:
    with pytest.raises(ValueError, match="50 are expected"):
        record((1, 2))
