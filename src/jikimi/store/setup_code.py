"""The one-time code with which a new site's first admin is made. Only its hash is kept."""

import hashlib
import hmac
import secrets

from jikimi.store.store import Store

_KEY = "setup-code"

# No letters that are read for others; 16 of 32 are 80 bits, of which five are tried before it takes seconds.
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
_GROUPS, _GROUP = 4, 4


def new_setup_code(store: Store) -> str | None:
    """A new code, which replaces one made before; None: somebody may log in, and none is needed.

    Raises:
        StoreError: the store is away.
    """
    if store.has_users():
        return None
    groups = ["".join(secrets.choice(_LETTERS) for _ in range(_GROUP)) for _ in range(_GROUPS)]
    code = "-".join(groups)
    store.set_meta(_KEY, _digest(code))
    return code


def is_setup_code(store: Store, code: str) -> bool:
    """Whether it is the code that was made last. Raises StoreError."""
    kept = store.meta(_KEY) or ""
    return hmac.compare_digest(kept, _digest(code))


def end_setup(store: Store) -> None:
    """Let the code be good for nothing any more. Raises StoreError."""
    store.set_meta(_KEY, "")


def _digest(code: str) -> str:
    """Of the letters alone: lower case, spaces and other dashes are the same code."""
    letters = "".join(letter for letter in code.upper() if letter in _LETTERS)
    return hashlib.sha256(f"jikimi setup {letters}".encode()).hexdigest()
