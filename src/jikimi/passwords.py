"""Passwords: argon2id, a floor below which none is taken, and the same time for whoever there is not."""

import base64
import re
import secrets
import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from jikimi.errors import PasswordError, SettingsError

MIN_LETTERS = 10
MAX_LETTERS = 200
MAX_NAME = 80

# The audit trail marks with ( ) who is none of ours, such as whoever is at the command line.
_NO_NAME = re.compile(r"[\x00-\x1f\x7f/\\()\ud800-\udfff]")

# RFC 9106, second recommended option (3 passes over 64 MiB), on one core: the others watch cameras.
PASSES, MEMORY_KIB, LANES = 3, 65536, 1


class Passwords:
    """Makes and checks hashes. Both take 0.2 to 0.5 s of a core: not for an event loop. Thread-safe."""

    def __init__(self, *, passes: int = PASSES, memory_kib: int = MEMORY_KIB) -> None:
        self._hasher = PasswordHasher(time_cost=passes, memory_cost=memory_kib, parallelism=LANES)
        # No password is known to fit it. Not hashed but written: even the first check must take no longer.
        salt, digest = (base64.b64encode(secrets.token_bytes(n)).decode().rstrip("=") for n in (16, 32))
        self._nobodys = f"$argon2id$v=19$m={memory_kib},t={passes},p={LANES}${salt}${digest}"

    def hash(self, password: str) -> str:
        """The password as it is kept: argon2id with its parameters and salt."""
        return self._hasher.hash(_text(password))

    def fits(self, password: str, password_hash: str | None) -> bool:
        """Whether it is the password; None, where there is nobody, takes as long to say no."""
        try:
            return self._hasher.verify(password_hash or self._nobodys, _text(password)) and bool(
                password_hash
            )
        except (VerificationError, InvalidHashError):
            return False

    def is_old(self, password_hash: str) -> bool:
        """Whether it was made with other parameters than these: then it should be made again."""
        return self._hasher.check_needs_rehash(password_hash)


def check_password(password: str, *, name: str) -> None:
    """Refuse what is guessed first (NIST SP 800-63B: length matters, mixtures of signs do not).

    Raises:
        PasswordError: too short, too long, the user's own name, or one letter over and over.
    """
    text = _text(password).decode("utf-8", "replace")
    if not MIN_LETTERS <= len(text) <= MAX_LETTERS:
        raise _guessed(f"give it {MIN_LETTERS} to {MAX_LETTERS} letters; a sentence is good")
    if len(set(text)) == 1:
        raise _guessed("it is one letter over and over; a sentence is good")
    if text.casefold().strip() == plain_name(name).casefold():
        raise _guessed("it is the user's name; choose another")


def _guessed(why: str) -> PasswordError:
    return PasswordError(f"password: {why}", least=MIN_LETTERS, most=MAX_LETTERS)


def plain_name(name: str) -> str:
    """A name as it is kept and looked for: Hangul typed on a Mac comes in pieces, and spaces by accident."""
    return unicodedata.normalize("NFC", name).strip()


def person_name(name: str) -> str:
    """The name of a user or token, as it is kept.

    Raises:
        SettingsError: empty, too long, or with signs that addresses or the audit trail need.
    """
    plain = plain_name(name)
    if not 0 < len(plain) <= MAX_NAME or plain in (".", "..") or _NO_NAME.search(plain):
        raise SettingsError(f"name: 1 to {MAX_NAME} letters without / \\ ( ) are expected")
    return plain


def _text(password: str) -> bytes:
    """The same bytes for the same letters, whatever keyboard they come from (NIST SP 800-63B: NFKC)."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")
