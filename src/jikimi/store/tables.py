"""The tables. What `migrations` builds step by step equals this; a test holds the two together."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    TypeDecorator,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from jikimi.settings import Role
from jikimi.store.records import (
    Answer,
    EvidenceKind,
    Language,
    ModelState,
    NoticeKind,
    OutboxState,
    ReportKind,
    Subject,
    TransitionKind,
)

# Names of constraints must be known for a later revision to change them.
_NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

# SQLite numbers rows by itself only where the column is an INTEGER to the letter.
_Id = BigInteger().with_variant(Integer, "sqlite")


class Names(TypeDecorator[tuple[str, ...]]):
    """Names in their order; None (SQL's NULL) says that there is no such list."""

    impl = JSON(none_as_null=True)
    cache_ok = True

    def process_bind_param(self, value: tuple[str, ...] | None, dialect: Dialect) -> list[str] | None:
        return None if value is None else list(value)

    def process_result_value(self, value: list[str] | None, dialect: Dialect) -> tuple[str, ...] | None:
        return None if value is None else tuple(value)


class UtcDateTime(TypeDecorator[datetime]):
    """A moment: goes in with any time zone, comes back in UTC, on SQLite too (which keeps none)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone; give it UTC")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


SCHEMA = "0002"
"""The newest revision: what these tables are (a test holds it against the migrations)."""


class Base(DeclarativeBase):
    """The root of the tables."""

    metadata = MetaData(naming_convention=_NAMES)
    type_annotation_map = {  # noqa: RUF012  (SQLAlchemy reads it off the class)
        datetime: UtcDateTime(),
        dict[str, Any]: JSON(),
        list[int]: JSON(),
        float: Float(53),
        Answer: String(),
        EvidenceKind: String(),
        Language: String(),
        ModelState: String(),
        NoticeKind: String(),
        OutboxState: String(),
        ReportKind: String(),
        Role: String(),
        Subject: String(),
        TransitionKind: String(),
    }


class CameraRow(Base):
    """A camera; `address` and `sub` are sealed, and `settings` holds neither."""

    __tablename__ = "cameras"

    name: Mapped[str] = mapped_column(primary_key=True)
    settings: Mapped[dict[str, Any]]
    address: Mapped[str]
    sub: Mapped[str | None]
    changed_at: Mapped[datetime]


class TargetRow(Base):
    """Somebody to alert; `url` and `secret` are sealed, and `settings` holds neither."""

    __tablename__ = "targets"

    name: Mapped[str] = mapped_column(primary_key=True)
    settings: Mapped[dict[str, Any]]
    url: Mapped[str]
    secret: Mapped[str | None]
    changed_at: Mapped[datetime]


class SettingRow(Base):
    """A value that holds in place of the one of jikimi.toml; `value` is JSON."""

    __tablename__ = "settings"

    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]
    changed_at: Mapped[datetime]
    changed_by: Mapped[str]


class ShelfRow(Base):
    """A camera that raises nothing until then, whether it is in the store or in the site's file."""

    __tablename__ = "shelves"

    camera: Mapped[str] = mapped_column(primary_key=True)
    until: Mapped[datetime]
    by: Mapped[str]


class IncidentRow(Base):
    """An incident. No foreign key to cameras: it outlives its camera."""

    __tablename__ = "incidents"
    __table_args__ = (
        Index(None, "opened_at", "uid"),
        Index(None, "camera", "opened_at", "uid"),
        Index(None, "answer", "opened_at"),
        Index(None, "closed_at"),
        Index(None, "acknowledged_at", "escalations", "opened_at"),
    )

    uid: Mapped[str] = mapped_column(primary_key=True)
    camera: Mapped[str]
    zone: Mapped[str]
    behavior: Mapped[str]
    model: Mapped[str]
    peak: Mapped[float]
    opened_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
    acknowledged_at: Mapped[datetime | None]
    acknowledged_by: Mapped[str]
    answer: Mapped[Answer | None]
    answered_by: Mapped[str]
    answer_behavior: Mapped[str]
    answer_note: Mapped[str]
    locked: Mapped[bool] = mapped_column(index=True)
    escalations: Mapped[int]
    escalated_at: Mapped[datetime | None]


class TransitionRow(Base):
    """One change of an incident, in the order in which they were stored."""

    __tablename__ = "transitions"

    id: Mapped[int] = mapped_column(_Id, primary_key=True)
    incident: Mapped[str] = mapped_column(ForeignKey("incidents.uid"), index=True)
    kind: Mapped[TransitionKind]
    at: Mapped[datetime]
    score: Mapped[float | None]
    by: Mapped[str]
    details: Mapped[dict[str, Any]]


class EvidenceRow(Base):
    """One file of an incident, by its path in the evidence folder."""

    __tablename__ = "evidence"

    path: Mapped[str] = mapped_column(primary_key=True)
    incident: Mapped[str] = mapped_column(ForeignKey("incidents.uid"), index=True)
    kind: Mapped[EvidenceKind]
    sha256: Mapped[str]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime]
    start_s: Mapped[float]
    end_s: Mapped[float]
    complete: Mapped[bool]
    problem: Mapped[str]
    deleted_at: Mapped[datetime | None]


class OutboxRow(Base):
    """What one target is to be told, stored together with what it is about."""

    __tablename__ = "outbox"
    __table_args__ = (Index(None, "state", "next_at"), Index(None, "target", "state"))

    id: Mapped[int] = mapped_column(_Id, primary_key=True)
    key: Mapped[str] = mapped_column(unique=True)
    target: Mapped[str]
    subject: Mapped[Subject]
    uid: Mapped[str] = mapped_column(index=True)
    kind: Mapped[NoticeKind]
    payload: Mapped[dict[str, Any]]
    state: Mapped[OutboxState]
    attempts: Mapped[int]
    next_at: Mapped[datetime]
    created_at: Mapped[datetime]
    delivered_at: Mapped[datetime | None]
    last_error: Mapped[str]


class FaultRow(Base):
    """Something that keeps a camera or the site from watching."""

    __tablename__ = "faults"
    __table_args__ = (Index(None, "camera", "began_at"),)

    uid: Mapped[str] = mapped_column(primary_key=True)
    camera: Mapped[str]
    kind: Mapped[str]
    message: Mapped[str]
    began_at: Mapped[datetime] = mapped_column(index=True)
    ended_at: Mapped[datetime | None] = mapped_column(index=True)


class AuditRow(Base):
    """Who did what."""

    __tablename__ = "audit"

    id: Mapped[int] = mapped_column(_Id, primary_key=True)
    at: Mapped[datetime]
    who: Mapped[str]
    what: Mapped[str]
    about: Mapped[str] = mapped_column(index=True)
    details: Mapped[dict[str, Any]]


class CoverageRow(Base):
    """Seconds seen and due of one camera in one hour."""

    __tablename__ = "coverage"

    camera: Mapped[str] = mapped_column(primary_key=True)
    hour: Mapped[datetime] = mapped_column(primary_key=True, index=True)
    seen_s: Mapped[float]
    due_s: Mapped[float]


class ScoreCountRow(Base):
    """How many decisions of one camera, hour and behaviour had a score in each of 50 bins."""

    __tablename__ = "score_counts"

    camera: Mapped[str] = mapped_column(primary_key=True)
    hour: Mapped[datetime] = mapped_column(primary_key=True, index=True)
    behavior: Mapped[str] = mapped_column(primary_key=True)
    counts: Mapped[list[int]]


class MetaRow(Base):
    """A word the store remembers, such as the evidence chain's last hash."""

    __tablename__ = "meta"

    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]


class UserRow(Base):
    """Somebody who may log in."""

    __tablename__ = "users"

    name: Mapped[str] = mapped_column(primary_key=True)
    password_hash: Mapped[str]
    role: Mapped[Role]
    cameras: Mapped[tuple[str, ...] | None] = mapped_column(Names())
    language: Mapped[Language]
    created_at: Mapped[datetime]
    changed_at: Mapped[datetime]
    disabled: Mapped[bool]


class SessionRow(Base):
    """A browser that has logged in, by the SHA-256 of its secret."""

    __tablename__ = "sessions"

    key: Mapped[str] = mapped_column(primary_key=True)
    user: Mapped[str] = mapped_column(ForeignKey("users.name"), index=True)
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)


class TokenRow(Base):
    """A token of the API that was made while it ran, by its SHA-256."""

    __tablename__ = "tokens"

    name: Mapped[str] = mapped_column(primary_key=True)
    sha256: Mapped[str] = mapped_column(unique=True)
    role: Mapped[Role]
    cameras: Mapped[tuple[str, ...] | None] = mapped_column(Names())
    created_at: Mapped[datetime]
    created_by: Mapped[str]


class ReportRow(Base):
    """What somebody says that a camera showed in a time, unasked. No foreign key to cameras."""

    __tablename__ = "reports"
    __table_args__ = (
        Index(None, "start_at", "uid"),
        Index(None, "camera", "start_at", "uid"),
        Index(None, "cut_at", "withdrawn_at", "at"),
    )

    uid: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[ReportKind]
    camera: Mapped[str]
    behavior: Mapped[str]
    start_at: Mapped[datetime]
    end_at: Mapped[datetime]
    note: Mapped[str]
    by: Mapped[str]
    at: Mapped[datetime]
    cut_at: Mapped[datetime | None]
    problem: Mapped[str]
    withdrawn_at: Mapped[datetime | None]


class ReportEvidenceRow(Base):
    """One file of a report, by its path in the evidence folder."""

    __tablename__ = "report_evidence"

    path: Mapped[str] = mapped_column(primary_key=True)
    report: Mapped[str] = mapped_column(ForeignKey("reports.uid"), index=True)
    kind: Mapped[EvidenceKind]
    sha256: Mapped[str]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime]
    start_s: Mapped[float]
    end_s: Mapped[float]
    complete: Mapped[bool]
    problem: Mapped[str]
    deleted_at: Mapped[datetime | None]


class ModelRow(Base):
    """A bundle in the folder of models, by its SHA-256."""

    __tablename__ = "models"

    sha256: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    file: Mapped[str]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    added_at: Mapped[datetime]
    added_by: Mapped[str]
    state: Mapped[ModelState]
    challenged_at: Mapped[datetime | None]
    promoted_at: Mapped[datetime | None]
    proven_at: Mapped[datetime | None]
    problem: Mapped[str]


class ShadowIncidentRow(Base):
    """What a challenger would have raised."""

    __tablename__ = "shadow_incidents"
    __table_args__ = (Index(None, "model", "opened_at"),)

    uid: Mapped[str] = mapped_column(primary_key=True)
    model: Mapped[str] = mapped_column(ForeignKey("models.sha256"))
    camera: Mapped[str]
    zone: Mapped[str]
    behavior: Mapped[str]
    opened_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
    peak: Mapped[float]


class ShadowCoverageRow(Base):
    """Seconds of one hour in which champion and challenger both watched a camera."""

    __tablename__ = "shadow_coverage"

    model: Mapped[str] = mapped_column(ForeignKey("models.sha256"), primary_key=True)
    camera: Mapped[str] = mapped_column(primary_key=True)
    hour: Mapped[datetime] = mapped_column(primary_key=True)
    both_s: Mapped[float]
