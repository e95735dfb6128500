"""Hours of the week in a form: what the API has comes back from it as it was."""

import pytest

from jikimi.serve.pages.hours import DAYS, hours_of, hours_row
from jikimi.settings import Hours


@pytest.mark.parametrize(
    ("start", "end"), [("00:00", "24:00"), ("22:00", "06:00"), ("08:00:30", "18:00"), ("18:00", "24:00")]
)
def test_hours_come_back_from_a_form_as_they_were(start: str, end: str) -> None:
    given = Hours.model_validate({"days": ["mon", "sun"], "start": start, "end": end}).model_dump(mode="json")
    row = hours_row(given)
    assert row["end"] != "24:00"  # which an input of a browser shows as nothing
    assert Hours.model_validate(hours_of(row)) == Hours.model_validate(given)


def test_days_of_a_form_are_in_the_weeks_order() -> None:
    assert hours_of({"days": ["sun", "mon"], "start": "08:00", "end": "00:00"}) == {
        "days": ["mon", "sun"],
        "start": "08:00",
        "end": "24:00",
    }
    assert len(DAYS) == 7
