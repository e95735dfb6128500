"""Certificates: what does not fit is told before anything starts, and what fits is served."""

import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from jikimi.checking import check_site
from jikimi.doctor.site import _certificate
from jikimi.errors import SettingsError
from jikimi.settings import ServeSection, Settings
from jikimi.settings_file import load_settings
from jikimi.tls import check_tls
from test_serve_plant import open_plant
from test_serve_running import served

Pair = tuple[Path, Path]


def make(folder: Path, name: str = "plant", *, password: bytes | None = None, days: float = 90) -> Pair:
    """A self-signed certificate for 127.0.0.1 and its key."""
    from ipaddress import ip_address

    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = x509.CertificateBuilder().subject_name(who).issuer_name(who).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(now - timedelta(days=100))
    made = made.not_valid_after(now + timedelta(days=days))
    made = made.add_extension(
        x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
    )
    certificate = folder / f"{name}.crt"
    certificate.write_bytes(made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    sealed = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    file = folder / f"{name}.key"
    form = serialization.PrivateFormat.PKCS8
    file.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, sealed))
    return certificate, file


def test_a_certificate_and_its_key_are_well(tmp_path: Path) -> None:
    check_tls(*make(tmp_path))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda c, k: (c.with_name("none.crt"), k), r"tls_cert: .*none.crt: No such file"),
        (lambda c, k: (c, k.with_name("none.key")), r"tls_key: .*none.key: No such file"),
        (lambda c, k: (c, make(c.parent, "other")[1]), r"tls_key: .*other.key does not fit .*plant.crt"),
        (lambda c, k: (c, make(c.parent, "sealed", password=b"x")[1]), r"tls_key: .* needs a password"),
        (lambda c, k: (k, c), r"are no certificate"),
        (lambda c, k: (c.parent, k), r"tls_cert: .* directory"),
    ],
)
def test_what_does_not_fit_is_one_line(
    tmp_path: Path, change: Callable[[Path, Path], Pair], why: str
) -> None:
    with pytest.raises(SettingsError, match=why) as told:
        check_tls(*change(*make(tmp_path)))
    assert "\n" not in str(told.value)


def test_one_without_the_other_is_refused_and_paths_count_from_the_file(tmp_path: Path) -> None:
    file = tmp_path / "jikimi.toml"
    file.write_text('[serve]\ntls_cert = "a.crt"\n')
    with pytest.raises(SettingsError, match="tls_cert and tls_key go together"):
        load_settings(file, environment={})
    file.write_text('[serve]\ntls_cert = "a.crt"\ntls_key = "/etc/a.key"\n')
    assert load_settings(file, environment={}).serve.tls == (tmp_path / "a.crt", Path("/etc/a.key"))
    assert ServeSection().tls is None and ServeSection().scheme == "http"


def test_proxies_are_addresses_or_networks(tmp_path: Path) -> None:
    file = tmp_path / "jikimi.toml"
    file.write_text('[serve]\ntrusted_proxies = ["10.0.0.2", "10.1.0.0/16", "fd00::/64"]\n')
    assert len(load_settings(file, environment={}).serve.trusted_proxies) == 3
    for wrong in ("*", "proxy.plant", ""):
        file.write_text(f'[serve]\ntrusted_proxies = ["{wrong}"]\n')
        with pytest.raises(SettingsError, match="address or network of proxies"):
            load_settings(file, environment={})


def test_a_site_that_could_not_serve_does_not_start(tmp_path: Path) -> None:
    file = tmp_path / "jikimi.toml"
    file.write_text('[site]\ndata = "data"\n[serve]\nport = 0\ntls_cert = "a.crt"\ntls_key = "a.key"\n')
    with pytest.raises(
        SettingsError, match=r"jikimi.toml: \[serve\] tls_cert: .*a.crt: No such file"
    ) as told:
        check_site(load_settings(file, environment={}), serving=True, file=file)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(("days", "level"), [(90, "ok"), (20, "warning"), (-1, "problem"), (None, "problem")])
def test_the_doctor_says_when_a_certificate_expires(tmp_path: Path, days: float | None, level: str) -> None:
    certificate, key = make(tmp_path, days=days or 0)
    if days is None:
        key.unlink()
    serve = {"tls_cert": certificate, "tls_key": key}
    settings = Settings.model_validate({"site": {"data": tmp_path}, "serve": serve})
    (finding,) = _certificate(settings)
    assert finding.level == level and bool(finding.cure) == (level != "ok")
    assert not list(_certificate(Settings()))


def test_a_site_is_served_by_tls_and_its_cookies_are_secure(tmp_path: Path) -> None:
    certificate, key = make(tmp_path)
    trust = ssl.create_default_context(cafile=str(certificate))
    with (
        open_plant(tmp_path) as plant,
        served(plant.app, tls=(certificate, key)) as (port, _, _),
        httpx.Client(base_url=f"https://127.0.0.1:{port}", verify=trust) as client,
    ):
        body = {"name": "hand", "password": "password-hand"}
        answer = client.post("/api/session/login", json=body)
        assert answer.status_code == 200
        assert all("Secure" in line for line in answer.headers.get_list("set-cookie"))
        assert client.get("/api/v1/me").json()["name"] == "hand"


def test_a_certificate_that_went_bad_is_told_and_not_served(tmp_path: Path) -> None:
    from jikimi.serve.running import serve_app

    certificate, key = make(tmp_path)
    key.write_text("no key")
    with open_plant(tmp_path) as plant, pytest.raises(SettingsError, match="no certificate"):
        serve_app(
            plant.app, host="127.0.0.1", port=0, should_stop=lambda: True, on_started=print,
            tls=(certificate, key),
        )  # fmt: skip


@pytest.mark.parametrize("trusted", [(), ("127.0.0.0/8",)])
def test_what_a_proxy_says_is_believed_where_it_is_trusted(tmp_path: Path, trusted: tuple[str, ...]) -> None:
    headers = {"X-Forwarded-For": "10.0.0.77", "X-Forwarded-Proto": "https"}
    body = {"name": "hand", "password": "password-hand"}
    with (
        open_plant(tmp_path) as plant,
        served(plant.app, trusted_proxies=trusted) as (port, _, _),
        httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers) as client,
    ):
        answer = client.post("/api/session/login", json=body)
        noted = [row.details["address"] for row in plant.store.audit_trail() if row.what == "logged in"]
    assert noted == ["10.0.0.77" if trusted else "127.0.0.1"]
    assert all(("Secure" in line) == bool(trusted) for line in answer.headers.get_list("set-cookie"))
