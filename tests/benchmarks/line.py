"""A long line as arithmetic: delay, a shared rate, slow start. Pure: moments are parameters.

Bytes and seconds. What it leaves out is in docs/benchmarks.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

SEGMENT = 1448
INITIAL = 10 * SEGMENT
"""The first window of a connection (RFC 6928)."""

LEAST_TIMEOUT = 0.2
"""Linux adds at least this to the round trip before it takes a connection for idle."""


@dataclass
class Window:
    """What a connection may have under way: doubles each round trip that it was what limited.

    After an idle time of one retransmission timeout it starts again (RFC 5681, 4.1).
    """

    round_trip: float
    size: int = INITIAL
    flying: int = 0
    last: float = -math.inf

    def room(self, at: float) -> int:
        """Bytes that may leave now."""
        if not self.flying and at - self.last > self.round_trip + LEAST_TIMEOUT:
            self.size = INITIAL
        return max(0, self.size - self.flying)

    def sent(self, count: int, at: float) -> None:
        """So many bytes left."""
        self.flying += count
        self.last = at

    def acknowledged(self, count: int) -> None:
        """The word of so many bytes came back."""
        if self.size < 2 * self.flying:
            self.size += count
        self.flying -= count


@dataclass
class Link:
    """One direction of the line; all connections share its ``rate``, first come, first served."""

    rate: float
    free_at: float = -math.inf

    def carry(self, count: int, at: float) -> float:
        """When the last of so many bytes, handed over at ``at``, has left."""
        self.free_at = max(self.free_at, at) + count / self.rate
        return self.free_at

    def queued(self, at: float) -> float:
        """Seconds of work that wait."""
        return max(0.0, self.free_at - at)


def seconds(size: int, round_trip: float, rate: float) -> float:
    """How long one connection's first ``size`` bytes take, until they are acknowledged.

    The hand-shake of TCP included. While the window is smaller than the line is long, each round
    trip moves one window; then bytes flow at ``rate``.
    """
    window, left, rounds = INITIAL, size, 0
    while left > window and window < rate * round_trip:
        left -= window
        window *= 2
        rounds += 1
    return round_trip * (2 + rounds) + left / rate
