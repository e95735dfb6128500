"""Callers: found by a token of jikimi.toml, by one that was made since, or by a browser's session.

Secrets are 256 random bits, so that their bare SHA-256 is what is kept. What was looked up is remembered for
two seconds: a change made by another process takes effect after that, one made here at once.
"""

import hashlib
import hmac
import logging
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Lock
from weakref import WeakKeyDictionary

from jikimi.errors import StoreError
from jikimi.settings import Role, Token
from jikimi.store import SessionRecord, Store, UserRecord
from jikimi.store.records import Language

log = logging.getLogger(__name__)

# A shift of 12 hours without a press or a key; and never more than a week, whoever keeps on. A page that is
# merely open is no use, except a viewer's: a wall of pictures has nobody who presses, and changes nothing.
IDLE = timedelta(hours=12)
LASTING = timedelta(days=7)

SEEN_EVERY = timedelta(minutes=1)
REMEMBERED_S = 2.0
_MOST_REMEMBERED = 4096

TOKEN_PREFIX = "jikimi_"  # so that scanners for lost secrets know one
_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. `cameras` None: all of them."""

    name: str
    role: Role
    cameras: tuple[str, ...] | None = None

    def may_see(self, camera: str) -> bool:
        """Whether a camera is theirs to see; what concerns the whole site has no camera."""
        return self.cameras is None or camera in self.cameras


@dataclass(frozen=True, slots=True)
class Session:
    """A browser that has logged in. `csrf` is what unsafe requests must repeat in a header."""

    key: str
    caller: Caller
    language: Language
    expires_at: datetime
    seen_at: datetime
    csrf: str = field(repr=False)


class Memory:
    """What was just looked up, also that there is nothing. Thread-safe; of bounded size."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._found: OrderedDict[str, tuple[float, Session | Caller | None]] = OrderedDict()
        self._changes = 0
        self._no_notes_until_s = float("-inf")
        self._lock = Lock()

    def recall(self, key: str, look: Callable[[], Session | Caller | None]) -> Session | Caller | None:
        """What `look` finds, or found in the last two seconds."""
        with self._lock:
            until_s, found = self._found.get(key, (float("-inf"), None))
            if self._clock() < until_s:
                return found
            changes = self._changes
        found = look()
        with self._lock:
            if changes == self._changes:  # what was read before a change must not outlive it
                self._found[key] = (self._clock() + REMEMBERED_S, found)
                self._found.move_to_end(key)
                while len(self._found) > _MOST_REMEMBERED:
                    self._found.popitem(last=False)
        return found

    def forget_one(self, key: str) -> None:
        """Look one of them up anew."""
        with self._lock:
            self._changes += 1
            self._found.pop(key, None)

    def forget(self) -> None:
        """Look everything up anew: something has changed."""
        with self._lock:
            self._changes += 1
            self._found.clear()

    def may_note(self) -> bool:
        """Whether the store took notes of who was seen when it was last asked to, or some time has passed."""
        return self._clock() >= self._no_notes_until_s

    def note_failed(self) -> None:
        """Take no notes for a minute: reading must not wait for a store that cannot be written."""
        self._no_notes_until_s = self._clock() + SEEN_EVERY.total_seconds()


_memories: "WeakKeyDictionary[Store, Memory]" = WeakKeyDictionary()


def memory_of(store: Store) -> Memory:
    """What was just looked up in a store."""
    return _memories.setdefault(store, Memory())


def find_caller(tokens: Sequence[Token], secret: str) -> Caller | None:
    """The owner of a token of jikimi.toml; every token is compared, in constant time."""
    digest = hash_of(secret)
    found = [token for token in tokens if hmac.compare_digest(token.sha256, digest)]
    return Caller(found[0].name, found[0].role, found[0].cameras) if found else None


def find_token(store: Store, secret: str) -> Caller | None:
    """The owner of a token that was made while the site ran. Raises StoreError."""
    if not secret.startswith(TOKEN_PREFIX) or not _SECRET.fullmatch(secret.removeprefix(TOKEN_PREFIX)):
        return None
    digest = hash_of(secret)

    def look() -> Caller | None:
        token = store.find_token(digest)
        return None if token is None else Caller(token.name, token.role, token.cameras)

    found = memory_of(store).recall(f"token {digest}", look)
    return found if isinstance(found, Caller) else None


def find_session(store: Store, secret: str, *, is_use: bool = True) -> Session | None:
    """The session with this secret (the cookie's value); None: none, expired, or its user may not log in.

    Reads the database at most once in two seconds, and writes once a minute: not for an event loop. `is_use`
    is whether its user did something; a page that asks by itself does not keep the session.

    Raises:
        StoreError: the database is away.
    """
    if not _SECRET.fullmatch(secret):
        return None
    key = hash_of(secret)
    found = memory_of(store).recall(_place(key), lambda: _look(store, secret, key))
    if not isinstance(found, Session):
        return None
    if is_use or found.caller.role == "viewer":
        _note_use(store, found)
    return found


def _look(store: Store, secret: str, key: str) -> Session | None:
    row = store.session(key)
    now = datetime.now(UTC)
    if row is None or not _lives(*row, now=now):
        return None
    return _session(*row, secret)


def _note_use(store: Store, session: Session) -> None:
    now, memory = datetime.now(UTC), memory_of(store)
    if now - session.seen_at < SEEN_EVERY or not memory.may_note():
        return
    try:
        store.see_session(session.key, at=now)
    except StoreError as error:  # who may look must see, above all while the store is in trouble
        memory.note_failed()
        log.warning("a session's last use is not noted: %s", error)
    else:
        memory.forget_one(_place(session.key))


def _place(key: str) -> str:
    """Under what a session is remembered."""
    return f"session {key}"


def _lives(session: SessionRecord, user: UserRecord, *, now: datetime) -> bool:
    return not user.disabled and now < session.expires_at and now - session.seen_at < IDLE


def _session(session: SessionRecord, user: UserRecord, secret: str) -> Session:
    caller = Caller(user.name, user.role, user.cameras)
    return Session(session.key, caller, user.language, session.expires_at, session.seen_at, _csrf_of(secret))


def begin_session(store: Store, user: UserRecord) -> tuple[str, Session] | None:
    """Begin a session of somebody whose password was checked → its secret, for their browser alone.

    None: they were removed, disabled, or given another password meanwhile. Raises StoreError.
    """
    secret, now = secrets.token_urlsafe(32), datetime.now(UTC)
    session = SessionRecord(hash_of(secret), user.name, now, now, now + LASTING)
    if not store.begin_session(session, password_hash=user.password_hash):
        return None
    return secret, _session(session, user, secret)


def new_token() -> str:
    """A token's secret."""
    return TOKEN_PREFIX + secrets.token_urlsafe(32)


def hash_of(secret: str) -> str:
    """SHA-256, in hex, of a secret."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def _csrf_of(secret: str) -> str:
    """Follows from the secret, which scripts cannot read, and does not lead back to it."""
    return hmac.new(secret.encode(), b"jikimi csrf", hashlib.sha256).hexdigest()
