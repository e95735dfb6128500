"""What the overview and the monthly report answer."""

from datetime import date, datetime

from pydantic import BaseModel

from jikimi.serve.answers import IncidentAnswer, ShiftCoverage


class AnswerCounts(BaseModel):
    """Incidents by what operators answered."""

    correct: int = 0
    false_alarm: int = 0
    other_behavior: int = 0
    unsure: int = 0
    unanswered: int = 0


class BehaviorCount(BaseModel):
    """Incidents raised as a behaviour."""

    behavior: str
    korean: str
    english: str
    accident_type: str
    accident_type_english: str
    severity: int
    incidents: int
    answers: AnswerCounts


class AccidentTypeCount(BaseModel):
    """One of KOSHA's accident types (발생형태); "" where the model names none.

    `raised` as this type; `confirmed` are accidents that an operator says were of this type, whatever they
    were raised as; `false_alarms` and `undecided` (unsure or unanswered) are of those raised.
    """

    korean: str
    english: str
    raised: int = 0
    confirmed: int = 0
    false_alarms: int = 0
    undecided: int = 0


class FalseAlarms(BaseModel):
    """How often it was nothing. A share is of the judged: correct, false alarm or another behaviour.

    `share_low` to `share_high` is its 95 % interval (Wilson). `per_camera_hour_upper` is the 95 % upper bound
    of the rate over the hours seen (χ², Garwood). Null: nothing judged, or no hour seen.
    """

    judged: int
    false_alarms: int
    share: float | None
    share_low: float | None
    share_high: float | None
    seen_hours: float
    per_camera_hour: float | None
    per_camera_hour_upper: float | None


class CameraCount(BaseModel):
    """One camera: its incidents, its false alarms, what of it was seen."""

    camera: str
    incidents: int
    answers: AnswerCounts
    false_alarms: FalseAlarms
    seen_s: float
    due_s: float
    coverage: float | None


class DayCount(BaseModel):
    """Incidents of a day of the plant."""

    day: date
    incidents: int
    by_behavior: dict[str, int]


class WeekCount(BaseModel):
    """Incidents of a week (`2026-W45`, ISO 8601) that begins on `monday`, as far as it is in the range."""

    week: str
    monday: date
    incidents: int
    by_behavior: dict[str, int]


class WaitBucket(BaseModel):
    """How many took less than `below_s`, and no less than the bucket before; null: whatever is left."""

    below_s: float | None
    count: int


class WaitAnswer(BaseModel):
    """How long people took from an incident's opening. Null: nobody did."""

    count: int
    median_s: float | None
    p90_s: float | None
    histogram: list[WaitBucket]


class ResponseAnswer(BaseModel):
    """From opened to acknowledged, and to the first answer."""

    acknowledged: WaitAnswer
    answered: WaitAnswer


class TargetCount(BaseModel):
    """Alerts to one target; `waiting` are still being tried."""

    target: str
    told: int
    given_up: int
    waiting: int
    median_s: float | None
    p90_s: float | None


class CoverageTotal(BaseModel):
    """Seconds watched of those due; `share` is null where nothing was due."""

    seen_s: float
    due_s: float
    share: float | None


class FaultCount(BaseModel):
    """Faults of one kind at one camera ("": the whole site); seconds within the range."""

    camera: str
    kind: str
    count: int
    open: int
    seconds: float


class OverviewAnswer(BaseModel):
    """What happened in [since, until). Hours, days and weeks are the plant's own."""

    since: datetime
    until: datetime
    time_zone: str | None
    incidents: int
    answers: AnswerCounts
    by_behavior: list[BehaviorCount]
    by_accident_type: list[AccidentTypeCount]
    by_camera: list[CameraCount]
    by_hour: list[int]
    by_weekday: list[int]
    by_day: list[DayCount]
    by_week: list[WeekCount]
    false_alarms: FalseAlarms
    response: ResponseAnswer
    deliveries: list[TargetCount]
    coverage: CoverageTotal
    coverage_by_shift: list[ShiftCoverage]
    faults: list[FaultCount]


class Change(BaseModel):
    """A figure beside that of the month before."""

    now: int | float | None
    before: int | float | None
    change: int | float | None


class TypeChange(BaseModel):
    """An accident type beside itself in the month before."""

    korean: str
    english: str
    raised: Change
    confirmed: Change


class ReportAnswer(BaseModel):
    """A month at the plant. `complete`: it is over. `confirmed` are the incidents that were accidents, newest
    first; where there are too many, `confirmed_left_out` says so."""

    site: str
    month: str
    complete: bool
    made_at: datetime
    totals: dict[str, Change]
    accident_types: list[TypeChange]
    overview: OverviewAnswer
    confirmed: list[IncidentAnswer]
    confirmed_left_out: bool
