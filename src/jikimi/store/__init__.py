"""What Jikimi remembers: cameras, incidents, evidence, the outbox, faults, coverage, scores, users."""

from jikimi.errors import ConflictError, NotFoundError, StoreBusyError, StoreError
from jikimi.store.incident_filter import IncidentFilter
from jikimi.store.records import (
    AuditRecord,
    ChangeRecord,
    CoverageRecord,
    Delivery,
    DeliveryRecord,
    EvidenceRecord,
    FaultRecord,
    IncidentRecord,
    Notice,
    ReportEvidence,
    ReportRecord,
    ScoreCountRecord,
    SessionRecord,
    StoredCamera,
    TokenRecord,
    TransitionRecord,
    UserRecord,
)
from jikimi.store.secrets import SecretBox, open_box
from jikimi.store.store import Store, open_store

__all__ = [
    "AuditRecord",
    "ChangeRecord",
    "ConflictError",
    "CoverageRecord",
    "Delivery",
    "DeliveryRecord",
    "EvidenceRecord",
    "FaultRecord",
    "IncidentFilter",
    "IncidentRecord",
    "NotFoundError",
    "Notice",
    "ReportEvidence",
    "ReportRecord",
    "ScoreCountRecord",
    "SecretBox",
    "SessionRecord",
    "Store",
    "StoreBusyError",
    "StoreError",
    "StoredCamera",
    "TokenRecord",
    "TransitionRecord",
    "UserRecord",
    "open_box",
    "open_store",
]
