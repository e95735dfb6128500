"""Scores of an incident: from before its opening to after its end, and what was not decided stays missing."""

from datetime import UTC, datetime

import pytest

from jikimi.incident import Incident, Rule, Transition, TransitionKind
from jikimi.watch.analysis import Change
from jikimi.watch.curve import Curve, Curves

AT = datetime(2026, 7, 1, 3, 0, tzinfo=UTC)


def curves(*, longest_s: float = 600.0) -> Curves:
    rule = Rule({"fall": 0.5, "jam": 0.8})
    return Curves(("fall", "jam", "normal"), rule, pre_roll_s=2, post_roll_s=1, longest_s=longest_s)


def change(kind: TransitionKind, arrived_s: float, *, zone: str = "", uid: str = "a") -> Change:
    incident = Incident("jam", arrived_s, 0.9, closed_s=arrived_s if kind == "closed" else None)
    return Change(uid, zone, Transition(kind, arrived_s, 0.9, incident), arrived_s)


def note(found: Curves, from_s: int, until_s: int, *, view: str = "") -> None:
    """Two decisions a second in [from_s, until_s); what they scored says when they were."""
    for half in range(2 * from_s, 2 * until_s):
        found.note(view, half / 2, [0.0, half / 1000, 1.0])


def halves(curve: Curve) -> list[float]:
    return [t_s * 2 for t_s in curve.t_s]


def test_curve_goes_from_the_pre_roll_to_the_post_roll_on_the_incidents_own_time() -> None:
    found = curves()
    note(found, 0, 10)
    found.opened(change("opened", 9.75), AT)
    note(found, 10, 12)
    found.closed(change("closed", 11.5))
    assert found.over(12.5) == []  # what is decided about the last second may come late
    note(found, 12, 20)
    (curve,) = found.over(12.6)
    assert (curve.uid, curve.behavior, curve.zone, curve.threshold, curve.at) == ("a", "jam", "", 0.8, AT)
    assert halves(curve) == [half - 19.5 for half in range(15, 26)]
    assert [row[1] for row in curve.scores] == [half / 1000 for half in range(15, 26)]
    assert found.over(1000.0) == [] and found.finish() == []


def test_gap_is_a_gap_and_time_does_not_turn_back() -> None:
    found = curves()
    note(found, 0, 2)
    found.opened(change("opened", 1.5), AT)
    note(found, 30, 31)
    found.note("", 30.25, [9.0, 9.0, 9.0])  # a new connection lay a moment back
    note(found, 31, 32)
    (curve,) = found.finish()
    assert halves(curve) == [-3, -2, -1, 0, 57, 58, 59, 60]


def test_views_are_remembered_apart() -> None:
    found = curves()
    note(found, 0, 3, view="belt")
    note(found, 1, 2, view="door")
    found.opened(change("opened", 2.0, zone="door"), AT)
    note(found, 3, 4, view="belt")
    note(found, 5, 6, view="door")
    (curve,) = found.finish()
    assert curve.zone == "door" and halves(curve) == [-2, -1, 6, 7]


def test_two_incidents_have_a_curve_each() -> None:
    found = curves()
    note(found, 0, 1)
    found.opened(change("opened", 0.5, uid="a"), AT)
    found.closed(change("closed", 0.5, uid="a"))
    found.opened(change("opened", 1.0, uid="b"), AT)
    note(found, 1, 5)
    assert [(one.uid, one.t_s[-1]) for one in found.over(2.0)] == [("a", 1.0)]
    assert [(one.uid, one.t_s[-1]) for one in found.finish()] == [("b", 3.5)]


def test_incident_that_does_not_end_has_a_curve_as_long_as_its_video() -> None:
    found = curves(longest_s=5.0)
    found.opened(change("opened", 0.0), AT)
    note(found, 0, 10)
    (curve,) = found.over(8.0)
    assert curve.t_s[-1] == 5.0
    found.closed(change("closed", 10.0))
    assert found.finish() == []


def test_what_is_remembered_is_bounded() -> None:
    found = curves()
    note(found, 0, 3600)
    assert len(found._recent[""]) == 5


@pytest.mark.parametrize("uid", ["a", "unknown"])
def test_incident_that_nobody_wanted_has_no_curve(uid: str) -> None:
    found = curves()
    found.closed(change("closed", 1.0, uid=uid))
    assert found.finish() == []
