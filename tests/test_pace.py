"""Pace: nothing is lost of a source at the rate, and no more than the rate is taken of a faster one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jikimi.serve.pace import Pace


def taken(moments: list[float], rate_hz: float) -> list[float]:
    pace = Pace()
    return [moment for moment in moments if pace.take(moment, rate_hz)]


@given(st.lists(st.floats(0, 0.45), min_size=60, max_size=60))
def test_all_of_a_source_at_the_rate_is_taken_whatever_its_jitter(lateness: list[float]) -> None:
    moments = [(beat + late) / 8 for beat, late in enumerate(lateness)]
    assert taken(moments, 8) == moments


def test_pictures_on_a_grid_of_their_own_are_taken_at_the_rate() -> None:
    """Of 15 a second 8 are decided on: seven times every second one, and once the next."""
    moments = [round(beat * 15 / 8) / 15 for beat in range(400)]
    assert len(taken(moments, 8)) >= 399


@pytest.mark.parametrize("source_hz", [9.0, 15.0, 29.97, 200.0])
def test_a_faster_source_is_thinned_to_the_rate(source_hz: float) -> None:
    found = taken([number / source_hz for number in range(round(60 * source_hz))], 8)
    assert len(found) == pytest.approx(60 * 8, abs=2)


def test_a_pause_is_not_caught_up() -> None:
    found = taken([*(n / 100 for n in range(100)), *(60 + n / 100 for n in range(100))], 8)
    assert sum(moment >= 60 for moment in found) <= 10
