"""What is refused to whom: counted by reason and by address, so that no stranger fills the log."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address, ip_address

REASONS = {
    400: "malformed", 401: "unauthenticated", 404: "unknown_source", 405: "method", 408: "too_slow", 413: "too_large",
    415: "media_type", 422: "unprocessable", 429: "too_many_failures", 500: "defect", 503: "unavailable",
}  # fmt: skip
"""What an answer's status means, in the words of the metric."""
NOT_HTTP, TOO_MANY_CONNECTIONS = "not_http", "too_many_connections"
"""Refused before there is a request."""
ALL_REASONS = (*REASONS.values(), NOT_HTTP, TOO_MANY_CONNECTIONS)
MOST_FAILURES = 20
WINDOW = 60.0
"""Seconds in which an address may fail so often; whoever proves who it is does not fail, and is never counted."""
MOST_ADDRESSES = 10_000
"""Addresses remembered; the oldest is forgotten first."""
_BITS_OF_ONE_OWNER = 64


@dataclass(slots=True)
class Failures:
    """What one address failed at in the window that ends at ``ends_at``."""

    ends_at: float
    count: int = 0

    @property
    def too_many(self) -> bool:
        """True when the address must wait."""
        return self.count > MOST_FAILURES

    @property
    def worth_telling(self) -> bool:
        """True until the owner has been told that there are too many."""
        return self.count <= MOST_FAILURES + 1


class Refusals:
    """``count`` takes the reason of each refusal; ``clock`` is monotonic, in seconds."""

    def __init__(
        self,
        count: Callable[[str], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.count = count
        self._clock = clock
        self._failures = dict[str, Failures]()

    def fail(self, address: str) -> Failures:
        """Somebody at ``address`` has failed to prove who it is, or to speak HTTP: all its failures in this window."""
        owner, now = owner_of(address), self._clock()
        failures = self._failures.get(owner)
        if failures is None or failures.ends_at <= now:
            self._failures.pop(owner, None)  # it begins anew, behind all others
            failures = self._failures[owner] = Failures(now + WINDOW)
            self._forget_the_oldest()
        failures.count += 1
        return failures

    def seconds_left(self, failures: Failures) -> int:
        """Until the address may fail again; at least 1."""
        return max(1, round(failures.ends_at - self._clock()))

    def _forget_the_oldest(self) -> None:
        if len(self._failures) > MOST_ADDRESSES:
            del self._failures[next(iter(self._failures))]


@lru_cache(maxsize=1024)
def owner_of(address: str) -> str:
    """Whose ``address`` it is: of IPv6 the whole /64, since every customer has that many to choose from."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return address
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(IPv6Address(int(parsed) >> _BITS_OF_ONE_OWNER << _BITS_OF_ONE_OWNER))
