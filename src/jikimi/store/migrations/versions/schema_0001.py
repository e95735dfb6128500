"""First tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_MOMENT = sa.DateTime(timezone=True)
_SECONDS = _SCORE = sa.Float(53)


def upgrade() -> None:
    """Make every table; those before those that refer to them."""
    _cameras()
    _incidents()
    _transitions()
    _evidence()
    _outbox()
    _faults()
    _ledger()


def _cameras() -> None:
    op.create_table(
        "cameras",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("sub", sa.String()),
        sa.Column("changed_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_cameras"),
    )
    op.create_table(
        "shelves",
        sa.Column("camera", sa.String(), nullable=False),
        sa.Column("until", _MOMENT, nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("camera", name="pk_shelves"),
    )


def _incidents() -> None:
    op.create_table(
        "incidents",
        sa.Column("uid", sa.String(), nullable=False),
        sa.Column("camera", sa.String(), nullable=False),
        sa.Column("zone", sa.String(), nullable=False),
        sa.Column("behavior", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("peak", _SCORE, nullable=False),
        sa.Column("opened_at", _MOMENT, nullable=False),
        sa.Column("closed_at", _MOMENT),
        sa.Column("acknowledged_at", _MOMENT),
        sa.Column("acknowledged_by", sa.String(), nullable=False),
        sa.Column("answer", sa.String()),
        sa.Column("answered_by", sa.String(), nullable=False),
        sa.Column("answer_behavior", sa.String(), nullable=False),
        sa.Column("answer_note", sa.String(), nullable=False),
        sa.Column("locked", sa.Boolean(), nullable=False),
        sa.Column("escalations", sa.Integer(), nullable=False),
        sa.Column("escalated_at", _MOMENT),
        sa.PrimaryKeyConstraint("uid", name="pk_incidents"),
    )
    _index("incidents", "opened_at", "uid")
    _index("incidents", "camera", "opened_at", "uid")
    _index("incidents", "answer", "opened_at")
    _index("incidents", "closed_at")
    _index("incidents", "acknowledged_at", "escalations", "opened_at")
    _index("incidents", "locked")


def _transitions() -> None:
    op.create_table(
        "transitions",
        sa.Column("id", _ID, nullable=False),
        sa.Column("incident", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("score", _SCORE),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_transitions"),
        sa.ForeignKeyConstraint(["incident"], ["incidents.uid"], name="fk_transitions_incident"),
    )
    _index("transitions", "incident")


def _evidence() -> None:
    op.create_table(
        "evidence",
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("incident", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("start_s", _SECONDS, nullable=False),
        sa.Column("end_s", _SECONDS, nullable=False),
        sa.Column("complete", sa.Boolean(), nullable=False),
        sa.Column("problem", sa.String(), nullable=False),
        sa.Column("deleted_at", _MOMENT),
        sa.PrimaryKeyConstraint("path", name="pk_evidence"),
        sa.ForeignKeyConstraint(["incident"], ["incidents.uid"], name="fk_evidence_incident"),
    )
    _index("evidence", "incident")


def _outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", _ID, nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("uid", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", _MOMENT, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("delivered_at", _MOMENT),
        sa.Column("last_error", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
        sa.UniqueConstraint("key", name="uq_outbox_key"),
    )
    _index("outbox", "state", "next_at")
    _index("outbox", "target", "state")
    _index("outbox", "uid")


def _faults() -> None:
    op.create_table(
        "faults",
        sa.Column("uid", sa.String(), nullable=False),
        sa.Column("camera", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("message", sa.String(), nullable=False),
        sa.Column("began_at", _MOMENT, nullable=False),
        sa.Column("ended_at", _MOMENT),
        sa.PrimaryKeyConstraint("uid", name="pk_faults"),
    )
    _index("faults", "camera", "began_at")
    _index("faults", "began_at")
    _index("faults", "ended_at")


def _ledger() -> None:
    op.create_table(
        "audit",
        sa.Column("id", _ID, nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("who", sa.String(), nullable=False),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("about", sa.String(), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
    )
    op.create_table(
        "coverage",
        sa.Column("camera", sa.String(), nullable=False),
        sa.Column("hour", _MOMENT, nullable=False),
        sa.Column("seen_s", _SECONDS, nullable=False),
        sa.Column("due_s", _SECONDS, nullable=False),
        sa.PrimaryKeyConstraint("camera", "hour", name="pk_coverage"),
    )
    _index("coverage", "hour")
    op.create_table(
        "meta",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_meta"),
    )


def _index(table: str, *columns: str) -> None:
    op.create_index(f"ix_{table}_{'_'.join(columns)}", table, list(columns))
