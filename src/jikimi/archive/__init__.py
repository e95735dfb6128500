"""The archive of evidence: what was kept, whether it is still what it was, and when it goes."""

from jikimi.archive.manifest import ArchiveError, EvidenceKind, Manifest, Record
from jikimi.archive.retention import Limits, StoredFile, Swept, plan, sweep
from jikimi.archive.verifying import Problem, Report, verify

__all__ = [
    "ArchiveError",
    "EvidenceKind",
    "Limits",
    "Manifest",
    "Problem",
    "Record",
    "Report",
    "StoredFile",
    "Swept",
    "plan",
    "sweep",
    "verify",
]
