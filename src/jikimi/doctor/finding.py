"""What the doctor finds: one line each."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from jikimi.address import HIDDEN, Address, redact_text
from jikimi.settings import CameraSettings, Settings

Level = Literal["ok", "warning", "problem"]

# A shorter secret is also a part of ordinary words; whoever guards anything with one has another problem.
_LEAST_SECRET = 6


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `cure` says what to do; empty where nothing is to be done."""

    what: str
    level: Level
    found: str
    cure: str = ""


def problem(what: str, error: Exception, *, cure: str) -> Finding:
    """An error of ours as a finding: what follows its last semicolon is its cure, else `cure` is."""
    words, _, told = str(error).rpartition("; ")
    return Finding(what, "problem", words, told) if words else Finding(what, "problem", told, cure)


def without_secrets(
    findings: Iterable[Finding], settings: Settings, cameras: Iterable[CameraSettings]
) -> Iterator[Finding]:
    """The findings, should a library have quoted what it must not: no address or secret stays in any."""
    addresses = [a for camera in cameras for a in (camera.address, camera.sub) if a is not None]
    secrets = sorted(_secrets(settings), key=len, reverse=True)
    for one in findings:
        found, cure = (_scrubbed(text, addresses, secrets) for text in (one.found, one.cure))
        yield Finding(one.what, one.level, found, cure)


def _scrubbed(text: str, addresses: list[Address], secrets: list[str]) -> str:
    text = redact_text(text, addresses)
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    return " ".join(text.split())


def _secrets(settings: Settings) -> Iterator[str]:
    hidden = [settings.store.url, settings.pulse.url]
    hidden += [secret for target in settings.targets for secret in (target.url, target.secret)]
    for secret in hidden:
        if secret is not None and len(secret.get_secret_value()) >= _LEAST_SECRET:
            yield secret.get_secret_value()
