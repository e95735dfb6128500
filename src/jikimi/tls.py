"""A certificate and its key, looked at before anything listens with them."""

import ssl
from datetime import datetime
from pathlib import Path

from cryptography import x509

from jikimi.errors import SettingsError


def check_tls(certificate: Path, key: Path) -> None:
    """Load both, as serving will.

    Raises:
        SettingsError: a file is missing or none of its kind, needs a password, or they do not fit.
    """
    for name, path in (("tls_cert", certificate), ("tls_key", key)):
        try:
            path.read_bytes()
        except OSError as error:
            words = error.strerror or str(error)
            raise SettingsError(
                f"[serve] {name}: {path}: {words}; give a PEM file that this user can read"
            ) from None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except _PasswordNeeded:
        raise SettingsError(f"[serve] tls_key: {key} needs a password; give one without") from None
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise SettingsError(
                f"[serve] tls_key: {key} does not fit {certificate}; give the key that it was made for"
            ) from None
        raise SettingsError(
            f"[serve] tls_cert: {certificate} and {key} are no certificate (chain) and key in PEM"
        ) from None


def valid_until(certificate: Path) -> datetime:
    """When a certificate that was checked expires, UTC.

    Raises:
        SettingsError: it is of a kind that cannot be read.
    """
    try:
        return x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc
    except (OSError, ValueError):
        raise SettingsError(f"[serve] tls_cert: {certificate} cannot be read; give a PEM file") from None


class _PasswordNeeded(Exception):
    """OpenSSL would ask for it at the terminal."""


def _no_password() -> str:
    raise _PasswordNeeded
