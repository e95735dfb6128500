"""The store: everything Jikimi remembers, in SQLite or PostgreSQL, behind one small class."""

from typing import Self

from sqlalchemy import text

from jikimi.store.cameras import Cameras
from jikimi.store.engine import connect, schema_of
from jikimi.store.evidence import Evidence
from jikimi.store.faults import Faults
from jikimi.store.incident_queries import IncidentQueries
from jikimi.store.incidents import Incidents
from jikimi.store.ledger import Ledger
from jikimi.store.logins import Logins
from jikimi.store.models import Models
from jikimi.store.outbox import Outbox
from jikimi.store.reports import Reports
from jikimi.store.score_counts import ScoreCounts
from jikimi.store.secrets import SecretBox
from jikimi.store.stored_settings import StoredSettings
from jikimi.store.tables import SCHEMA
from jikimi.store.tally import Tallies
from jikimi.store.targets import Targets
from jikimi.store.tokens import Tokens
from jikimi.store.users import Users


class Store(
    Cameras,
    Targets,
    StoredSettings,
    Incidents,
    IncidentQueries,
    Evidence,
    Outbox,
    Faults,
    Ledger,
    ScoreCounts,
    Tallies,
    Users,
    Logins,
    Tokens,
    Reports,
    Models,
):
    """Made by `open_store`. Thread-safe; every method is one transaction.

    Raises:
        StoreBusyError: from any method, when the database is locked, full or away: the same call may be made
            again. StoreError: when that would not help.
    """

    def ping(self) -> None:
        """Ask the database for a sign of life."""
        with self._reading() as session:
            session.execute(text("SELECT 1"))

    def close(self) -> None:
        """Close every connection; closing twice is well."""
        self._closed.set()
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_store(url: str, *, box: SecretBox | None = None) -> Store:
    """Connect, bring the tables up to date and return the store; `box` seals addresses.

    Raises:
        StoreError: the database cannot be reached, is none, or is of a newer Jikimi: one line without a
            password.
    """
    engine = connect(url)
    try:
        if schema_of(engine) != SCHEMA:  # Alembic takes longer to load than the store to open
            from jikimi.store.migrations import upgrade

            upgrade(engine)
    except BaseException:
        engine.dispose()
        raise
    return Store(engine, box)
