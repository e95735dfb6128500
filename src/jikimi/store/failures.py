"""What goes wrong at a database, told in one line: where, what and the cure; never a value or a password."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import OperationalError, SQLAlchemyError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from jikimi.errors import StoreBusyError, StoreError

_LOCKED = "is locked by another program; try again, or stop that program"
_FULL = "has no room left on its disk; make room"

# Primary result codes, https://www.sqlite.org/rescode.html.
_SQLITE: dict[int, tuple[type[StoreError], str]] = {
    sqlite3.SQLITE_BUSY: (StoreBusyError, _LOCKED),
    sqlite3.SQLITE_LOCKED: (StoreBusyError, _LOCKED),
    sqlite3.SQLITE_FULL: (StoreBusyError, _FULL),
    sqlite3.SQLITE_IOERR: (StoreBusyError, "cannot be read or written (disk I/O error); check its disk"),
    sqlite3.SQLITE_CANTOPEN: (
        StoreError,
        "cannot be opened; check that its folder exists and may be written",
    ),
    sqlite3.SQLITE_READONLY: (StoreError, "may not be written; check the rights of the file and its folder"),
    sqlite3.SQLITE_PERM: (StoreError, "may not be opened; check the rights of the file and its folder"),
    sqlite3.SQLITE_CORRUPT: (StoreError, "is damaged; restore it from a backup"),
    sqlite3.SQLITE_NOTADB: (StoreError, "is not a database; name another file or move this one away"),
}

# SQLSTATE or the start of one, https://www.postgresql.org/docs/current/errcodes-appendix.html.
_POSTGRES: dict[str, tuple[type[StoreError], str]] = {
    "28": (StoreError, "refuses the log-in; check user and password in [store] url"),
    "3D": (StoreError, "does not exist; create it (createdb) or name another in [store] url"),
    "53100": (StoreBusyError, _FULL),
    "53": (StoreBusyError, "has no resources left; check its limits, then try again"),
    "55P03": (StoreBusyError, _LOCKED),
    "40": (StoreBusyError, "had another write in the way; try again"),
    "57014": (StoreBusyError, "took too long; try again"),
    "57P": (StoreBusyError, "is shutting down or starting; try again when it runs"),
    "08": (StoreBusyError, "lost the connection; try again when it runs"),
    "25006": (StoreBusyError, "accepts no writes; check that this is the primary and not a replica"),
}

_MAX_WORDS = 160


@contextmanager
def told(where: str) -> Iterator[None]:
    """Turn what the database throws in here into a StoreError that names `where`.

    Raises:
        StoreError: what will not pass by itself. StoreBusyError: what may.
    """
    try:
        yield
    # A lone surrogate or a number past 64 bits is thrown by the driver itself, not as one of its errors.
    except (SQLAlchemyError, sqlite3.Error, UnicodeError, OverflowError) as error:
        raise failure(error, where) from error


def failure(error: Exception, where: str) -> StoreError:
    """Return the StoreError for what the database threw."""
    cause: BaseException = error
    if isinstance(error, StatementError) and error.orig is not None:
        cause = error.orig
    if isinstance(error, PoolTimeout):
        return StoreBusyError(f"{where}: every connection is in use; try again")
    if isinstance(cause, sqlite3.Error):
        kind, words = _of_sqlite(cause)
    elif isinstance(error, OperationalError) and getattr(cause, "sqlstate", None) is None:
        kind, words = _unreached(cause)
    else:
        kind, words = _of_postgres(cause)
    return kind(f"{where}: {words}")


def _of_sqlite(cause: sqlite3.Error) -> tuple[type[StoreError], str]:
    code = getattr(cause, "sqlite_errorcode", None)
    if isinstance(code, int) and (code & 0xFF) in _SQLITE:
        return _SQLITE[code & 0xFF]
    return StoreError, _words(cause)


def _of_postgres(cause: BaseException) -> tuple[type[StoreError], str]:
    state = getattr(cause, "sqlstate", None) or ""
    for start in (state, state[:3], state[:2]):
        if start in _POSTGRES:
            return _POSTGRES[start]
    return StoreError, _words(cause)


def _unreached(cause: BaseException) -> tuple[type[StoreError], str]:
    """No SQLSTATE comes with a refused connection, only words: the server's, in the server's language."""
    text = str(cause)
    if re.search(r"password authentication|no password|pg_hba|role \"", text):
        return _POSTGRES["28"]
    if re.search(r"database \".*\" does not exist", text):
        return _POSTGRES["3D"]
    return (
        StoreBusyError,
        f"cannot be reached ({_words(cause).rpartition('failed: ')[2]}); check that it runs and [store] url",
    )


def _words(cause: BaseException) -> str:
    """The first line of what was said: those below it quote values."""
    line = next(iter(str(cause).splitlines()), "") or type(cause).__name__
    return line if len(line) <= _MAX_WORDS else line[: _MAX_WORDS - 1] + "…"
