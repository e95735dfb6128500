"""A sign of life outwards: while the site watches, an address is pinged; silence there means trouble here.

Made for services like healthchecks.io. What fails is counted and told in the log, never raised.
"""

import logging
import threading
from collections.abc import Callable

from pydantic import SecretStr

from jikimi.alert.deadline import LIMIT_S
from jikimi.alert.web import WebCaller
from jikimi.errors import AlertError

logger = logging.getLogger(__name__)


class Pulse:
    """Pings every `every_s` while `healthy()` says that the site is really watching."""

    def __init__(
        self, url: SecretStr, *, every_s: float, healthy: Callable[[], bool], limit_s: float = LIMIT_S
    ) -> None:
        """Take the address; `start` begins.

        Raises:
            RefusedError: the url cannot be used.
        """
        self._caller = WebCaller(url.get_secret_value(), limit_s=limit_s)
        self._every_s, self._healthy = every_s, healthy
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)
        self.sent = 0
        self.failed = 0
        self.withheld = 0

    def start(self) -> None:
        """Begin; the first ping goes at once."""
        self._thread.start()

    def stop(self) -> None:
        """End; a ping on its way may take its 10 s."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=LIMIT_S + 1)
        self._caller.close()

    def beat(self) -> bool:
        """Ping once if the site is healthy; return whether it was told."""
        if not self._is_healthy():
            self.withheld += 1
            return False
        try:
            self._caller.request("GET")
        except AlertError as error:
            self.failed += 1
            logger.warning("pulse: %s (failures: %d)", error, self.failed)
            return False
        self.sent += 1
        return True

    def _is_healthy(self) -> bool:
        try:
            return self._healthy()
        except Exception as error:  # noqa: BLE001 - not knowing is not healthy; the pulse must not die of it
            logger.error("pulse: health cannot be told (%s)", type(error).__name__)
            return False

    def _run(self) -> None:
        while True:
            self.beat()
            if self._stop.wait(self._every_s):
                return
