"""Evidence through the API: parts, tags, what is missing, and what must not be reached."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from jikimi.serve.evidence import VIEW_S, Views
from test_serve_plant import FILM, NOON, Plant, open_plant


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    with open_plant(tmp_path) as opened:
        yield opened


FILE = "/incidents/i1/evidence/0"


def test_a_file_comes_whole_with_its_hash_as_tag(plant: Plant) -> None:
    answer = plant.get(FILE)
    assert answer.content == FILM and answer.headers["Content-Type"] == "video/mp4"
    listed = plant.get("/incidents/i1").json()["evidence"][0]
    assert answer.headers["ETag"] == f'"{listed["sha256"]}"'
    assert answer.headers["Accept-Ranges"] == "bytes" and "inline" in answer.headers["Content-Disposition"]


@pytest.mark.parametrize(
    ("asked", "begin", "end"),
    [("0-99", 0, 100), ("100-", 100, len(FILM)), ("-50", len(FILM) - 50, len(FILM))],
)
def test_a_part_comes_as_asked_for(plant: Plant, asked: str, begin: int, end: int) -> None:
    answer = plant.get(FILE, headers={"Range": f"bytes={asked}"})
    assert answer.status_code == 206 and answer.content == FILM[begin:end]
    assert answer.headers["Content-Range"] == f"bytes {begin}-{end - 1}/{len(FILM)}"


def test_parts_that_cannot_be_are_refused(plant: Plant) -> None:
    assert plant.get(FILE, headers={"Range": f"bytes={len(FILM)}-"}).status_code == 416
    assert plant.get(FILE, headers={"Range": "bytes=5-1"}).status_code in (400, 416)
    assert plant.get(FILE, headers={"Range": "bytes=x"}).status_code in (400, 416)


def test_a_part_of_another_version_is_not_mixed_in(plant: Plant) -> None:
    tag = plant.get(FILE).headers["ETag"]
    part = {"Range": "bytes=0-9"}
    assert plant.get(FILE, headers=part | {"If-Range": tag}).status_code == 206
    assert plant.get(FILE, headers=part | {"If-Range": '"other"'}).content == FILM


def test_what_was_deleted_by_age_is_told_and_not_served(plant: Plant) -> None:
    plant.store.evidence_deleted(Path("2026/07/i1.mp4"), at=NOON + timedelta(days=30))
    assert plant.get("/incidents/i1").json()["evidence"][0]["url"] is None
    assert plant.get(FILE).status_code == 404


def test_what_is_missing_on_disk_says_so(plant: Plant) -> None:
    (plant.folder / "evidence/2026/07/i1.mp4").unlink()
    answer = plant.get(FILE)
    assert answer.status_code == 404 and "missing on disk" in answer.text
    assert plant.get("/incidents/i1/evidence/1").status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "../jikimi.db",
        "../../etc/passwd",
        "/etc/passwd",
        "2026/../../jikimi.db",
        "2026",
        ".",
        "a\0b",
        "x" * 300,
    ],
)
def test_a_record_that_leads_out_of_the_folder_is_refused(plant: Plant, path: str) -> None:
    plant.note_film("i1", path)
    answers = [plant.get(f"/incidents/i1/evidence/{number}") for number in (0, 1)]
    assert sorted(answer.status_code for answer in answers) == [200, 404]
    assert all(answer.content in (FILM,) or b"SQLite" not in answer.content for answer in answers)


def test_links_that_lead_out_of_the_folder_are_refused(plant: Plant, tmp_path: Path) -> None:
    evidence = tmp_path / "evidence"
    (evidence / "out.mp4").symlink_to(tmp_path / "jikimi.db")
    (evidence / "away").symlink_to(tmp_path)
    (evidence / "round").symlink_to(evidence / "round")
    (evidence / "fine.mp4").symlink_to(evidence / "2026/07/i2.mp4")
    for path in ("away/jikimi.db", "fine.mp4", "out.mp4", "round"):
        plant.note_film("i1", path)
    found = {row.path.as_posix(): n for n, row in enumerate(plant.store.evidence("i1"))}
    codes = {path: plant.get(f"/incidents/i1/evidence/{n}").status_code for path, n in found.items()}
    assert [path for path, code in codes.items() if code == 200] == ["2026/07/i1.mp4", "fine.mp4"]


def test_what_is_no_film_or_picture_is_never_shown_as_a_page(plant: Plant) -> None:
    plant.film("i1", "2026/07/z.html")
    answer = plant.get("/incidents/i1/evidence/1")
    assert answer.headers["Content-Type"] == "application/octet-stream"


def test_who_looks_is_audited_once_for_a_film_in_many_parts(plant: Plant) -> None:
    for begin in (0, 100, 200):
        plant.get(FILE, headers={"Range": f"bytes={begin}-"})
    plant.get(FILE, "operator")
    trail = plant.get("/audit", "admin").json()
    assert [(row["who"], row["what"], row["about"]) for row in trail] == [
        ("operator", "viewed evidence", "i1"), ("viewer", "viewed evidence", "i1"),
    ]  # fmt: skip
    assert trail[0]["details"] == {"file": "2026/07/i1.mp4"}


def test_a_view_later_is_another_view() -> None:
    now = [0.0]
    views = Views(lambda: now[0])
    views.add("kim", "a")
    assert not views.is_new("kim", "a") and views.is_new("lee", "a") and views.is_new("kim", "b")
    now[0] = VIEW_S
    assert views.is_new("kim", "a")
