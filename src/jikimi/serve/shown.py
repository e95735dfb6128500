"""Text on its way to a caller or into a log: addresses in it lose their log-in."""

import re
from collections.abc import Iterable

from jikimi.address import Address, redact, redact_text

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+")


def veiled(text: str, addresses: Iterable[Address] = ()) -> str:
    """Return `text` without log-ins: those of `addresses` word for word, others as far as they can be seen.

    What no encoding can carry (a lone surrogate) becomes a question mark.
    """
    text = redact_text(text, list(addresses))
    text = _ADDRESS.sub(lambda found: redact(found.group()), text)
    return text.encode("utf-8", "replace").decode("utf-8")
