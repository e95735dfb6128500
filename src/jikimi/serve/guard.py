"""How often a password may be tried: guessing is slowed down, and nobody can lock somebody else out.

Failures are counted for each name from each network address, and all of them for the address; both cost time
there alone. A browser that has logged in before has a counter of its own (OWASP, "Slow Down Online Guessing
Attacks with Device Cookies"): whoever hammers a name, from wherever, does not touch it.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network
from threading import Lock

FREE_FAILURES = 5
MOST_DELAY_S = 900.0
FORGOTTEN_AFTER_S = 86_400.0

# A shift that logs in through one router must fit; only failures cost.
ADDRESS_AT_ONCE = 30
ADDRESS_EVERY_S = 2.0

MOST_COUNTERS = 20_000


@dataclass(frozen=True, slots=True)
class Attempt:
    """Somebody who says to be `name`. `device` names a browser that was `name` before; else empty."""

    name: str
    address: str
    device: str = ""


@dataclass(slots=True)
class _Counter:
    failures: float = 0.0
    at_s: float = 0.0  # of the last failure


def delay_s(failures: float) -> float:
    """Seconds to wait after so many failures in a row. Pure."""
    doublings = min(failures - FREE_FAILURES, 64.0)  # a month of failures has no power of two
    return 0.0 if doublings < 0 else min(MOST_DELAY_S, 2.0**doublings)


class LoginGuard:
    """Decides by the clock it is given. Thread-safe; of bounded size: counters used longest ago go first."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, *, most: int = MOST_COUNTERS) -> None:
        self._clock, self._most = clock, most
        self._counters: OrderedDict[tuple[str, ...], _Counter] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._counters)

    def take(self, attempt: Attempt) -> float:
        """Count an attempt as failed, until `succeeded` → 0; or the seconds to wait, which counts nothing.

        It is counted before the password is checked: a thousand at once would all find the counter at zero.
        """
        now_s = self._clock()
        with self._lock:
            wait_s = self._wait_s(attempt, now_s)
            if wait_s <= 0:
                for key in _keys(attempt):
                    self._count(key, now_s)
            return max(0.0, wait_s)

    def succeeded(self, attempt: Attempt) -> None:
        """It was the password: the counter begins anew, and the address gets its try back."""
        with self._lock:
            self._counters.pop(_keys(attempt)[0], None)
            self._give_back(_keys(attempt)[1:])

    def undo(self, attempt: Attempt) -> None:
        """It came to no check, for a reason that is not theirs."""
        with self._lock:
            self._give_back(_keys(attempt))

    def _wait_s(self, attempt: Attempt, now_s: float) -> float:
        mine, *address = _keys(attempt)
        counter = self._counter(mine, now_s)
        waits_s = [counter.at_s + delay_s(counter.failures) - now_s]
        for key in address:
            over = self._counter(key, now_s).failures + 1 - ADDRESS_AT_ONCE
            waits_s.append(over * ADDRESS_EVERY_S)
        return max(waits_s)

    def _counter(self, key: tuple[str, ...], now_s: float) -> _Counter:
        """A counter as it is now: an address's runs down with time, a name's is forgotten after a day."""
        counter = self._counters.get(key, _Counter(at_s=now_s))
        passed_s = max(0.0, now_s - counter.at_s)
        if len(key) == 1:
            return _Counter(max(0.0, counter.failures - passed_s / ADDRESS_EVERY_S), now_s)
        return _Counter(at_s=now_s) if passed_s >= FORGOTTEN_AFTER_S else counter

    def _count(self, key: tuple[str, ...], now_s: float) -> None:
        counter = self._counter(key, now_s)
        self._counters[key] = _Counter(counter.failures + 1, now_s)
        self._counters.move_to_end(key)
        while len(self._counters) > self._most:
            self._counters.popitem(last=False)

    def _give_back(self, keys: tuple[tuple[str, ...], ...]) -> None:
        for key in keys:
            if counter := self._counters.get(key):
                counter.failures = max(0.0, counter.failures - 1)


def _keys(attempt: Attempt) -> tuple[tuple[str, ...], ...]:
    """The counters of an attempt, its own first. A known browser counts for itself alone."""
    if attempt.device:
        return (("device", attempt.device),)
    address = network_of(attempt.address)
    return (attempt.name, address), (address,)


def network_of(address: str) -> str:
    """The network that one party holds: an IPv4 address, or the /64 of an IPv6 one. Pure."""
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(ip, IPv6Address):
        return str(ip)
    return str(ip.ipv4_mapped or ip_network((ip, 64), strict=False))
