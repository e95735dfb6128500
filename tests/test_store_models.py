"""Models in the store, on both kinds of database: who watches, who runs beside, who watched before."""

from datetime import timedelta

import pytest

from jikimi.store import BothRecord, ConflictError, ModelRecord, NotFoundError, ShadowRecord, Store
from store_values import NOON, later

pytest_plugins = ("postgres_server", "store_fixtures")


def model(letter: str) -> ModelRecord:
    return ModelRecord(letter * 64, f"model {letter}", f"{letter * 64}.jikimi", 9, NOON, "boss")


A, B, C = (model(letter) for letter in "abc")


@pytest.fixture
def three(store: Store) -> Store:
    for one in (A, B, C):
        assert store.add_model(one)
    return store


def states(store: Store) -> list[str]:
    return [one.state for one in store.models()]


def test_the_same_model_twice_is_one(three: Store) -> None:
    assert not three.add_model(A)
    assert three.models() == [A, B, C]
    assert three.find_model(B.sha256) == B and three.find_model("0" * 64) is None
    assert three.champion() is None


def test_promoted_ones_are_rolled_back_to_one_by_one(three: Store) -> None:
    for one, seconds in ((A, 1), (B, 2), (C, 3)):
        three.promote(one.sha256, at=later(seconds))
    assert states(three) == ["kept", "kept", "champion"]
    back = three.roll_back(C.sha256)
    assert back is not None and back.sha256 == B.sha256 and states(three) == ["kept", "champion", "kept"]
    back = three.roll_back(B.sha256, problem="its file is damaged")
    assert back is not None and back.sha256 == A.sha256
    failed = three.find_model(B.sha256)
    assert failed is not None and (failed.state, failed.problem) == ("failed", "its file is damaged")
    assert three.roll_back(A.sha256) is None and three.champion() is None


def test_whoever_rolls_back_what_is_no_longer_champion_is_told(three: Store) -> None:
    three.promote(A.sha256, at=NOON)
    three.promote(B.sha256, at=NOON)
    with pytest.raises(ConflictError, match="not champion"):
        three.roll_back(A.sha256)
    with pytest.raises(ConflictError, match="watches already"):
        three.promote(B.sha256, at=NOON)
    assert three.champion() is not None


def test_order_of_promotions_outlives_a_clock_that_is_put_back(three: Store) -> None:
    three.promote(A.sha256, at=later(3600))
    three.promote(B.sha256, at=NOON)
    three.promote(C.sha256, at=later(7200))
    back = three.roll_back(C.sha256)
    assert back is not None and back.sha256 == B.sha256


def test_one_challenger_at_a_time_that_may_be_promoted(three: Store) -> None:
    three.promote(A.sha256, at=NOON)
    with pytest.raises(ConflictError, match="is champion"):
        three.challenge(A.sha256, at=NOON)
    three.challenge(B.sha256, at=NOON)
    three.challenge(C.sha256, at=later(1))
    assert states(three) == ["champion", "kept", "challenger"]
    with pytest.raises(NotFoundError, match="no challenger"):
        three.end_challenge(B.sha256)
    three.promote(C.sha256, at=later(2))
    assert states(three) == ["kept", "kept", "champion"]
    three.challenge(B.sha256, at=later(3))
    three.end_challenge(B.sha256)
    assert states(three) == ["kept", "kept", "champion"]


def test_proven_is_noted_once_and_anew_with_each_promotion(three: Store) -> None:
    three.promote(A.sha256, at=NOON)
    for seconds in (1, 2):
        three.prove_model(A.sha256, at=later(seconds))
    found = three.champion()
    assert found is not None and found.proven_at == later(1)
    three.promote(B.sha256, at=later(3))
    three.promote(A.sha256, at=later(4))
    found = three.champion()
    assert found is not None and found.proven_at is None


def test_stamp_changes_with_what_is_chosen(three: Store) -> None:
    stamps = [three.models_version()]
    three.challenge(A.sha256, at=NOON)
    stamps.append(three.models_version())
    three.promote(A.sha256, at=NOON)
    stamps.append(three.models_version())
    three.roll_back(A.sha256)
    stamps.append(three.models_version())
    assert len(set(stamps)) == 4


def test_model_in_use_stays_and_another_goes_with_its_shadows(three: Store) -> None:
    three.promote(A.sha256, at=NOON)
    three.challenge(B.sha256, at=NOON)
    for one in (A, B):
        with pytest.raises(ConflictError, match="stays"):
            three.remove_model(one.sha256)
    three.open_shadow(ShadowRecord("s", B.sha256, "a", "jam", NOON, 0.9))
    three.add_both([BothRecord(B.sha256, "a", NOON, 5.0)])
    three.end_challenge(B.sha256)
    three.remove_model(B.sha256)
    assert three.find_model(B.sha256) is None
    assert three.shadows(B.sha256, since=NOON) == [] and three.both(B.sha256, since=NOON) == []
    with pytest.raises(NotFoundError):
        three.remove_model(B.sha256)


def test_shadows_are_opened_once_closed_and_found_since_a_moment(three: Store) -> None:
    first = ShadowRecord("s1", A.sha256, "a", "jam", NOON, 0.9, zone="press")
    assert three.open_shadow(first) and not three.open_shadow(first)
    three.open_shadow(ShadowRecord("s2", A.sha256, "b", "jam", later(60), 0.8))
    three.close_shadow("s1", at=later(5), peak=0.95)
    three.close_shadow("s1", at=later(9), peak=0.1)
    (found,) = three.shadows(A.sha256, since=NOON, camera=["a"])
    assert (found.closed_at, found.peak, found.zone) == (later(5), 0.95, "press")
    three.close_shadows(at=later(90))
    (found,) = three.shadows(A.sha256, since=later(1))
    assert (found.uid, found.closed_at) == ("s2", later(90))


def test_a_model_that_is_gone_takes_no_more(store: Store) -> None:
    assert not store.open_shadow(ShadowRecord("s", "0" * 64, "a", "jam", NOON, 0.9))
    store.add_both([BothRecord("0" * 64, "a", NOON, 5.0)])
    assert store.both("0" * 64, since=NOON) == []


def test_seconds_of_both_are_added_by_hour(three: Store) -> None:
    hour = NOON.replace(minute=0, second=0, microsecond=0)
    for _ in range(2):
        three.add_both([BothRecord(A.sha256, "a", hour, 30.0), BothRecord(A.sha256, "b", hour, 5.0)])
    assert [one.both_s for one in three.both(A.sha256, since=hour)] == [60.0, 10.0]
    assert three.both(A.sha256, since=hour + timedelta(hours=1)) == []
    assert three.both(A.sha256, since=hour, camera=["b"])[0].camera == "b"
