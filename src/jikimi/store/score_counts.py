"""How often scores were how high, by camera, hour and behaviour: what a threshold would have let through."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, select

from jikimi.store.records import SCORE_BINS, ScoreCountRecord
from jikimi.store.sessions import Sessions, fields, insert_new
from jikimi.store.tables import ScoreCountRow

# A preview of thresholds looks back over some shifts of each kind; months tell of another season.
KEEP_SCORE_COUNTS = timedelta(days=35)


class ScoreCounts(Sessions):
    """The counts of scores."""

    def add_score_counts(self, records: Iterable[ScoreCountRecord]) -> None:
        """Add to what the hour of a camera and behaviour has already; what is too old for that is deleted."""
        # In one order everywhere: two writers that lock rows crosswise would wait for each other.
        ordered = sorted(map(_of_its_hour, records), key=lambda one: (one.camera, one.hour, one.behavior))
        if not ordered:
            return
        oldest = max(one.hour for one in ordered) - KEEP_SCORE_COUNTS
        with self._writing() as session:
            session.execute(delete(ScoreCountRow).where(ScoreCountRow.hour < oldest))
            for one in ordered:
                values = fields(one) | {"counts": list(one.counts)}
                if insert_new(session, ScoreCountRow, values=values):
                    continue
                key = (one.camera, one.hour, one.behavior)
                row = session.get_one(ScoreCountRow, key, with_for_update=True)
                row.counts = [before + more for before, more in zip(row.counts, one.counts, strict=True)]

    def score_counts(self, camera: str, *, since: datetime, until: datetime) -> dict[str, tuple[int, ...]]:
        """Sum the hours of a camera that begin in [since, until): behaviour → `SCORE_BINS` counts."""
        query = select(ScoreCountRow.behavior, ScoreCountRow.counts).where(
            ScoreCountRow.camera == camera, ScoreCountRow.hour >= since, ScoreCountRow.hour < until
        )
        sums: dict[str, list[int]] = {}
        with self._reading() as session:
            for behavior, counts in session.execute(query):
                before = sums.get(behavior, [0] * SCORE_BINS)
                sums[behavior] = [one + more for one, more in zip(before, counts, strict=True)]
        return {behavior: tuple(sums[behavior]) for behavior in sorted(sums)}


def _of_its_hour(record: ScoreCountRecord) -> ScoreCountRecord:
    hour = record.hour.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return ScoreCountRecord(record.camera, hour, record.behavior, record.counts)
