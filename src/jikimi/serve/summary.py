"""A tally of the store → the parts of an overview. Pure."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence

from jikimi.alert.wording import accident_type
from jikimi.behaviors import Behavior
from jikimi.hours import week_spans
from jikimi.serve.answers import ShiftCoverage
from jikimi.serve.folding import Calendar, Waits, waits, wilson
from jikimi.serve.overview_answers import (
    AccidentTypeCount,
    AnswerCounts,
    BehaviorCount,
    CameraCount,
    CoverageTotal,
    DayCount,
    FalseAlarms,
    ResponseAnswer,
    TargetCount,
    WaitAnswer,
    WaitBucket,
    WeekCount,
)
from jikimi.settings import Shift
from jikimi.store.tally import Raised, Tally, Watched
from jikimi.stream_metrics import false_alarm_bound

# Half a minute is prompt; a day is the next shift's.
WAIT_EDGES_S = (30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 4 * 3600.0, 24 * 3600.0)

Counts = Mapping[Raised, int]

# What an incident was that was none.
NOTHING = ""

# An accident that an operator called another one, without saying which.
_UNNAMED = "other"


class KnownBehaviors:
    """What is known of behaviours by key, of unknown ones (an older model's) the key alone."""

    def __init__(self, behaviors: Sequence[Behavior]) -> None:
        self.accidents = [behavior.key for behavior in behaviors if not behavior.is_normal]
        self._known = {behavior.key: behavior for behavior in behaviors}

    def name(self, key: str, language: str) -> str:
        """In Korean ("ko") or English."""
        found = self._known.get(key)
        if found is None:
            return key
        return found.korean if language == "ko" else found.english

    def type_of(self, key: str) -> str:
        """Its accident type in Korean, empty where none is known."""
        found = self._known.get(key)
        return found.accident_type if found is not None else ""

    def severity(self, key: str) -> int:
        """From 0 to 3; of an unknown one the highest."""
        found = self._known.get(key)
        return found.severity if found is not None else 3

    def is_normal(self, key: str) -> bool:
        """Whether it is the absence of an accident."""
        return key in self._known and self._known[key].is_normal


def answer_counts(raised: Counts) -> AnswerCounts:
    """Incidents by answer."""
    counts = _sums(raised, lambda kind: kind.answer or "unanswered")
    return AnswerCounts(**{key.replace("-", "_"): count for key, count in counts.items()})


def behavior_counts(raised: Counts, names: KnownBehaviors) -> list[BehaviorCount]:
    """Incidents by what they were raised as: every accident of the model, then what else was raised."""
    parts = _parts(raised, lambda kind: kind.behavior)
    return [
        BehaviorCount(
            behavior=key,
            korean=names.name(key, "ko"),
            english=names.name(key, "en"),
            accident_type=names.type_of(key),
            accident_type_english=accident_type(names.type_of(key), "en"),
            severity=names.severity(key),
            incidents=sum(parts.get(key, {}).values()),
            answers=answer_counts(parts.get(key, {})),
        )
        for key in [*names.accidents, *sorted(parts.keys() - set(names.accidents))]
    ]


def type_counts(raised: Counts, names: KnownBehaviors) -> list[AccidentTypeCount]:
    """Incidents by accident type: every type of the model's accidents, then what else was met."""
    found: dict[str, AccidentTypeCount] = {}

    def row(behavior: str) -> AccidentTypeCount:
        key = names.type_of(behavior)
        return found.setdefault(key, AccidentTypeCount(korean=key, english=accident_type(key, "en")))

    for behavior in names.accidents:
        row(behavior)
    for kind, count in sorted(raised.items(), key=lambda item: item[0].behavior):
        as_raised, was = row(kind.behavior), really(kind, names)
        as_raised.raised += count
        as_raised.false_alarms += count * (was == NOTHING)
        as_raised.undecided += count * (was is None)
        if was:
            row(was).confirmed += count
    return list(found.values())


def really(kind: Raised, names: KnownBehaviors) -> str | None:
    """The behaviour that it was by its answer, `NOTHING`, or None where nobody knows."""
    if kind.answer == "correct":
        return kind.behavior
    if kind.answer == "false-alarm":
        return NOTHING
    if kind.answer == "other-behavior":
        return NOTHING if names.is_normal(kind.really) else kind.really or _UNNAMED
    return None


def camera_counts(tally: Tally) -> list[CameraCount]:
    """Every camera that raised something or was due."""
    parts, watched = _parts(tally.raised, lambda kind: kind.camera), _watched(tally)
    return [
        _camera(name, parts.get(name, {}), watched.get(name, Watched()))
        for name in sorted(parts.keys() | watched.keys())
    ]


def _camera(name: str, raised: Counts, watched: Watched) -> CameraCount:
    return CameraCount(
        camera=name,
        incidents=sum(raised.values()),
        answers=answer_counts(raised),
        false_alarms=false_alarms(raised, seen_s=watched.seen_s),
        seen_s=watched.seen_s,
        due_s=watched.due_s,
        coverage=_share(watched),
    )


def false_alarms(raised: Counts, *, seen_s: float) -> FalseAlarms:
    """Shares and rates of what was answered, over seconds seen of all cameras."""
    answers = answer_counts(raised)
    wrong = answers.false_alarm
    judged = wrong + answers.correct + answers.other_behavior
    hours, interval = seen_s / 3600, wilson(wrong, judged)
    return FalseAlarms(
        judged=judged,
        false_alarms=wrong,
        share=wrong / judged if judged else None,
        share_low=interval[0] if interval else None,
        share_high=interval[1] if interval else None,
        seen_hours=hours,
        per_camera_hour=wrong / hours if hours > 0 else None,
        per_camera_hour_upper=false_alarm_bound(wrong, hours),
    )


def day_counts(folded: Calendar) -> list[DayCount]:
    """Every day, those without incidents too."""
    return [
        DayCount(day=day, incidents=sum(counts.values()), by_behavior=dict(sorted(counts.items())))
        for day, counts in folded.by_day.items()
    ]


def week_counts(folded: Calendar) -> list[WeekCount]:
    """Every week that the range touches."""
    return [
        WeekCount(
            week=f"{monday.isocalendar().year}-W{monday.isocalendar().week:02}",
            monday=monday,
            incidents=sum(counts.values()),
            by_behavior=dict(sorted(counts.items())),
        )
        for monday, counts in folded.by_week.items()
    ]


def response(tally: Tally) -> ResponseAnswer:
    """How soon people acknowledged and answered."""
    return ResponseAnswer(
        acknowledged=_waited(waits(tally.acknowledged_s.items(), edges_s=WAIT_EDGES_S)),
        answered=_waited(waits(tally.answered_s.items(), edges_s=WAIT_EDGES_S)),
    )


def _waited(found: Waits) -> WaitAnswer:
    buckets = zip((*WAIT_EDGES_S, None), found.below, strict=True)
    return WaitAnswer(
        count=found.count,
        median_s=found.median_s,
        p90_s=found.p90_s,
        histogram=[WaitBucket(below_s=edge, count=count) for edge, count in buckets],
    )


def target_counts(tally: Tally) -> list[TargetCount]:
    """What became of telling, target by target."""
    found = []
    for target in sorted({key[0] for key in tally.deliveries}):
        of = [(state, took, n) for (name, state, took), n in tally.deliveries.items() if name == target]
        took = waits((took, n) for _, took, n in of if took is not None)
        states = Counter[str]()
        for state, _, count in of:
            states[state] += count
        found.append(
            TargetCount(
                target=target,
                told=states["delivered"],
                given_up=states["given-up"],
                waiting=states["due"],
                median_s=took.median_s,
                p90_s=took.p90_s,
            )
        )
    return found


def coverage_total(tally: Tally) -> CoverageTotal:
    """Of all cameras together."""
    total = _added(tally.coverage.values())
    return CoverageTotal(seen_s=total.seen_s, due_s=total.due_s, share=_share(total))


def shift_coverage(tally: Tally, shifts: Sequence[Shift]) -> list[ShiftCoverage]:
    """By camera and shift, as /coverage/shifts has it: an hour belongs to the shift in which it begins."""
    spans = {shift.name: week_spans(shift.hours) for shift in shifts}
    sums: dict[tuple[str, str], list[Watched]] = {}
    for (camera, second), found in tally.coverage.items():
        for shift, within in spans.items():
            if any(low <= second < high for low, high in within):
                sums.setdefault((camera, shift), []).append(found)
    added = {key: _added(parts) for key, parts in sorted(sums.items())}
    return [
        ShiftCoverage(camera=camera, shift=shift, seen_s=sum_.seen_s, due_s=sum_.due_s, share=_share(sum_))
        for (camera, shift), sum_ in added.items()
    ]


def _watched(tally: Tally) -> dict[str, Watched]:
    """Of every camera at any hour."""
    parts: dict[str, list[Watched]] = {}
    for (camera, _), found in tally.coverage.items():
        parts.setdefault(camera, []).append(found)
    return {camera: _added(found) for camera, found in parts.items()}


def _added(parts: Collection[Watched]) -> Watched:
    return Watched(sum(each.seen_s for each in parts), sum(each.due_s for each in parts))


def _share(watched: Watched) -> float | None:
    return watched.seen_s / watched.due_s if watched.due_s else None


def _sums(raised: Counts, key: Callable[[Raised], str]) -> Counter[str]:
    sums = Counter[str]()
    for kind, count in raised.items():
        sums[key(kind)] += count
    return sums


def _parts(raised: Counts, key: Callable[[Raised], str]) -> dict[str, dict[Raised, int]]:
    parts: dict[str, dict[Raised, int]] = {}
    for kind, count in raised.items():
        parts.setdefault(key(kind), {})[kind] = count
    return parts
