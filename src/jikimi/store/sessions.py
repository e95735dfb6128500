"""The only opener of sessions: reads and writes, each one transaction, each error a StoreError."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields as fields_of
from threading import Event
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

from sqlalchemy import ColumnElement, Engine
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import InstrumentedAttribute, Session

from jikimi.errors import StoreError
from jikimi.store.engine import where, writer
from jikimi.store.failures import told
from jikimi.store.secrets import SecretBox
from jikimi.store.tables import Base, MetaRow

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Record = TypeVar("Record", bound="DataclassInstance")


class Sessions:
    """What every part of the store stands on. Thread-safe: a session lives for one call."""

    def __init__(self, engine: Engine, box: SecretBox | None = None) -> None:
        self._engine = engine
        self._writer = writer(engine)
        self._sealer = box
        self._where = where(engine)
        self._closed = Event()

    def __repr__(self) -> str:
        return f"Store({self._where})"

    @contextmanager
    def _reading(self) -> Iterator[Session]:
        self._check_open()
        with told(self._where), Session(self._engine) as session:
            yield session

    @contextmanager
    def _snapshot(self) -> Iterator[Session]:
        """As reading, and every query sees the same moment; SQLite's transactions always do."""
        with self._reading() as session:
            if self._engine.dialect.name == "postgresql":
                session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
            yield session

    @contextmanager
    def _writing(self) -> Iterator[Session]:
        """All of it is stored on leaving, or nothing."""
        self._check_open()
        with told(self._where), Session(self._writer) as session, session.begin():
            yield session

    def _check_open(self) -> None:
        if self._closed.is_set():  # the engine would silently connect again, and nobody would close it
            raise StoreError(f"{self._where}: closed")

    @property
    def _box(self) -> SecretBox:
        if self._sealer is None:
            raise StoreError(f"{self._where}: addresses need a key; open the store with one")
        return self._sealer


def stamp(session: Session, key: str) -> None:
    """Remember under `key` that something has changed: whoever follows reads one row."""
    upsert(session, MetaRow, values=[{"key": key, "value": uuid4().hex}], replace=["value"])


def insert_new(session: Session, row: type[Base], *, values: Mapping[str, Any]) -> bool:
    """Insert a row unless one with its key is there; return whether it was new."""
    made = _insert(session, row).values(**values).on_conflict_do_nothing()
    key = next(iter(row.__table__.primary_key))
    return session.execute(made.returning(key)).first() is not None


def upsert(
    session: Session,
    row: type[Base],
    *,
    values: Iterable[Mapping[str, Any]],
    replace: Iterable[str] = (),
    add: Iterable[str] = (),
) -> None:
    """Insert rows; where one with its primary key is there, replace these columns of it, add to those."""
    made, table = _insert(session, row), Base.metadata.tables[row.__tablename__]
    changes: dict[str, ColumnElement[Any]] = {name: made.excluded[name] for name in replace}
    changes |= {name: table.columns[name] + made.excluded[name] for name in add}
    made = made.on_conflict_do_update(index_elements=list(table.primary_key), set_=changes)
    for each in values:
        session.execute(made.values(**each))


def _insert(session: Session, row: type[Base]) -> sqlite.Insert | postgresql.Insert:
    if session.get_bind().dialect.name == "sqlite":
        return sqlite.insert(row)
    return postgresql.insert(row)


def fields(record: "DataclassInstance") -> dict[str, Any]:
    """Return a record's fields by name, as they are."""
    return {field.name: getattr(record, field.name) for field in fields_of(record)}


def read(kind: type[Record], row: Base) -> Record:
    """Return the record of `kind` whose fields the row's columns of the same names hold."""
    return kind(**{field.name: getattr(row, field.name) for field in fields_of(kind)})


def one_or_many(
    column: InstrumentedAttribute[Any], wanted: str | Collection[str] | None
) -> list[ColumnElement[bool]]:
    """Return the condition for one value or any of several (of none: nothing fits); None: no condition."""
    if wanted is None:
        return []
    return [column == wanted if isinstance(wanted, str) else column.in_(wanted)]


def given(column: InstrumentedAttribute[Any], wanted: bool | None) -> list[ColumnElement[bool]]:
    """Return the condition that a column holds something, or nothing; None: no condition."""
    if wanted is None:
        return []
    return [column.is_not(None) if wanted else column.is_(None)]
