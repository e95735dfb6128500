"""Secrets at rest: addresses are sealed with AES-256-GCM before the database sees them."""

import base64
import binascii
import hashlib
import os
import stat
import tempfile
from pathlib import Path
from threading import Lock

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from jikimi.errors import StoreError

_KEY_BYTES = 32
_NONCE_BYTES = 12  # NIST SP 800-38D: 96 bits, random, good for 2^32 messages under one key
_VERSION = "v1"


class SecretBox:
    """Seals and opens strings with one key. Made by `open_box`; prints without its key; thread-safe."""

    def __init__(self, source: str, *, key: bytes | None = None, key_file: Path | None = None) -> None:
        self._source = source
        self._key = key
        self._key_file = key_file
        self._lock = Lock()

    def __repr__(self) -> str:
        return f"SecretBox({self._source})"

    def seal(self, text: str, *, about: str) -> str:
        """Return `text` encrypted; it opens only for the same `about`. The first call makes the key file.

        Raises:
            StoreError: the key file cannot be made or is not fit for use.
        """
        key = self._load(make=True)
        nonce = os.urandom(_NONCE_BYTES)
        sealed = AESGCM(key).encrypt(nonce, text.encode(), about.encode())
        return f"{_VERSION}.{_fingerprint(key)}.{base64.urlsafe_b64encode(nonce + sealed).decode()}"

    def open(self, sealed: str, *, about: str) -> str:
        """Return what `seal` was given.

        Raises:
            StoreError: the key is lost or another one, or the sealed text was damaged.
        """
        key = self._load(make=False)
        version, _, rest = sealed.partition(".")
        fingerprint, _, body = rest.partition(".")
        if version != _VERSION:
            raise StoreError(f"{about}: sealed by a newer Jikimi; update this one")
        if fingerprint != _fingerprint(key):
            raise StoreError(
                f"{about}: sealed with another key than the one in {self._source}; "
                "put the right key back or enter it again"
            )
        try:
            raw = base64.urlsafe_b64decode(body)
            return AESGCM(key).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], about.encode()).decode()
        except (InvalidTag, ValueError):
            raise StoreError(f"{about}: damaged in the database; enter it again") from None

    def _load(self, *, make: bool) -> bytes:
        with self._lock:
            if self._key is None:
                assert self._key_file is not None
                if make and not self._key_file.exists():
                    _make_key_file(self._key_file)
                self._key = _read_key_file(self._key_file)
            return self._key


def open_box(key_file: Path, key: str | None) -> SecretBox:
    """Return the box for a site: `key` (from the environment) where given, else the key in `key_file`.

    A key file that is not there is made when something is sealed first, so that a lost one is noticed.

    Raises:
        StoreError: `key` is no key; or the file is damaged, can be read by others, or has no folder.
    """
    if key is not None:
        return SecretBox("JIKIMI_KEY", key=_decode(key, "JIKIMI_KEY"))
    if not key_file.parent.is_dir():
        raise StoreError(f"key file {key_file}: there is no folder {key_file.parent}; create it")
    if key_file.exists():
        _read_key_file(key_file)
    return SecretBox(f"key file {key_file}", key_file=key_file)


def _decode(text: str, source: str) -> bytes:
    try:
        key = base64.b64decode(text.strip().translate(str.maketrans("-_", "+/")), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != _KEY_BYTES:
        raise StoreError(
            f"{source}: no key; 32 bytes in base64 are expected, as `openssl rand -base64 32` makes"
        )
    return key


def _read_key_file(path: Path) -> bytes:
    try:
        with path.open(encoding="ascii") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            text = file.read(1024)
    except FileNotFoundError:
        raise StoreError(
            f"key file {path}: lost; put it back from a backup, or enter addresses again"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise StoreError(
            f"key file {path}: cannot be read ({reason}); check its rights and content"
        ) from None
    if mode & 0o077:
        raise StoreError(f"key file {path}: others can read it (mode {mode:03o}); run: chmod 600 {path}")
    return _decode(text, f"key file {path}")


def _make_key_file(path: Path) -> None:
    """Write a new key whole or not at all; where another process was first, its key stays."""
    text = base64.b64encode(os.urandom(_KEY_BYTES)) + b"\n"
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.") as file:  # mode 0600
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
            try:
                os.link(file.name, path)
            except FileExistsError:
                return
        _sync_folder(path.parent)
    except OSError as error:
        raise StoreError(f"key file {path}: cannot be made ({error.strerror}); check its folder") from error


def _sync_folder(folder: Path) -> None:
    """Make a new name in `folder` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _fingerprint(key: bytes) -> str:
    return hashlib.sha256(b"jikimi key " + key).hexdigest()[:8]
