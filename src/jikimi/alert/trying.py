"""Try a target: one test message, now."""

import time
import uuid
from datetime import UTC, datetime

from jikimi.alert.channels import open_channel
from jikimi.alert.message import Plant, trial_message
from jikimi.alert.wording import Language
from jikimi.settings import Target


def try_target(target: Target, *, language: Language, plant: Plant | None = None) -> float:
    """Send a test message and return the seconds it took, connecting included; at most about 10.

    `plant` gives the site's name and time zone; `language` is the message's in any case.

    Raises:
        RefusedError: the target will not work as it is set. AlertError: it did not arrive this time.
    """
    known = plant or Plant()
    place = Plant(site=known.site, language=language, zone=known.zone)
    uid = f"test-{uuid.uuid4().hex}"
    message = trial_message(place, uid=uid, at=datetime.now(UTC))
    start_s = time.monotonic()
    channel = open_channel(target, plant=place, announce=False)
    try:
        channel.send(message, key=f"{uid}:test:{target.name}")
        return time.monotonic() - start_s
    finally:
        channel.close()
