"""Reports in the store: what people saw, its film, and taking it back."""

from pathlib import Path

import pytest

from jikimi.errors import NotFoundError
from jikimi.store import Store
from store_values import evidence, incident, later, report, report_film

pytest_plugins = ("postgres_server", "store_fixtures")


def test_a_report_comes_back_as_it_was_stored_once(store: Store) -> None:
    assert store.add_report(report()) and not store.add_report(report(start_s=9))
    assert store.report("r1") == report() and store.reports() == [report()]
    with pytest.raises(NotFoundError, match="r2"):
        store.report("r2")


def test_filters_narrow_and_pages_lead_through_what_is_left(store: Store) -> None:
    for number in range(5):
        kind = "normal" if number == 3 else "missed"
        store.add_report(report(f"r{number}", 10.0 * (number // 2), kind=kind))
    store.add_report(report("other", 0.0, "gate"))

    def uids(**wanted: object) -> list[str]:
        return [one.uid for one in store.reports(**wanted)]  # type: ignore[arg-type]

    assert uids(camera="press-3") == ["r4", "r3", "r2", "r1", "r0"]
    assert uids(kind="normal") == ["r3"] and uids(camera=["gate", "x"]) == ["other"]
    assert uids(camera=[]) == []
    assert uids(since=later(10), until=later(20)) == ["r3", "r2"]
    first = store.reports(limit=2, camera="press-3")
    assert uids(before=(first[-1].start_at, first[-1].uid), camera="press-3") == ["r2", "r1", "r0"]


def test_its_film_is_looked_for_once_and_locked_while_it_stands(store: Store) -> None:
    store.add_report(report())
    assert store.uncut_reports() == [report()] and store.locked_paths() == set()
    store.report_cut("r1", at=later(70), files=[report_film()], problem="the last 2 s are missing")
    store.report_cut("r1", at=later(70), files=[report_film()], problem="the last 2 s are missing")
    assert store.uncut_reports() == [] and store.report_evidence("r1") == [report_film()]
    assert store.report("r1").problem and store.locked_paths() == {report_film().path}
    assert store.report_videos(["r1", "r2"]) == [report_film()] and store.report_videos([]) == []
    store.evidence_deleted(report_film().path, at=later(80))
    assert store.report_evidence("r1")[0].deleted_at == later(80)
    assert store.locked_paths() == set() and store.report_videos(["r1"]) == []


def test_taken_back_it_is_listed_no_more_and_its_film_may_age(store: Store) -> None:
    store.add_report(report())
    store.add_report(report("r2"))
    store.report_cut("r1", at=later(70), files=[report_film()])
    assert store.withdraw_report("r1", at=later(90)) and not store.withdraw_report("r1", at=later(95))
    assert store.withdraw_report("r2", at=later(90))
    assert store.reports() == [] == store.uncut_reports() and store.locked_paths() == set()
    assert store.report("r1").withdrawn_at == later(90) and store.report_evidence("r1") == [report_film()]


def test_videos_of_many_incidents_are_found_at_once(store: Store) -> None:
    store.open_incident(incident("i1"), [])
    store.open_incident(incident("i2", 5.0), [])
    store.add_evidence(evidence("a.mp4", "i1"))
    store.add_evidence(evidence("b.mp4", "i2"))
    store.evidence_deleted(Path("b.mp4"), at=later(9))
    assert [one.path for one in store.videos(["i1", "i2"])] == [Path("a.mp4")]
