"""What Jikimi remembers: cameras, incidents, evidence, the outbox, faults and coverage."""

from jikimi.errors import NotFoundError, StoreBusyError, StoreError
from jikimi.store.records import (
    AuditRecord,
    CoverageRecord,
    Delivery,
    DeliveryRecord,
    EvidenceRecord,
    FaultRecord,
    IncidentRecord,
    Notice,
    StoredCamera,
    TransitionRecord,
)
from jikimi.store.secrets import SecretBox, open_box
from jikimi.store.store import Store, open_store

__all__ = [
    "AuditRecord",
    "CoverageRecord",
    "Delivery",
    "DeliveryRecord",
    "EvidenceRecord",
    "FaultRecord",
    "IncidentRecord",
    "NotFoundError",
    "Notice",
    "SecretBox",
    "Store",
    "StoreBusyError",
    "StoreError",
    "StoredCamera",
    "TransitionRecord",
    "open_box",
    "open_store",
]
