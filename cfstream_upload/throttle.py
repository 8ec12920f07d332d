"""A limit on bytes a second, shared by every upload of a run."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

SLICE = 0.2
"""Seconds between two looks at whether to give up."""


class Throttle:
    """Hands out turns so that together no more than ``rate`` bytes a second leave.

    A pause is never made up for by a burst. Threads share it.
    """

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate = rate
        self._clock = clock
        self._free_at = 0.0
        self._turn = threading.Lock()

    def block(self, largest: int) -> int:
        """How many bytes to hand over at a time: a tenth of a second's worth."""
        return max(4096, min(largest, int(self.rate / 10)))

    def wait(self, count: int, given_up: Callable[[], bool]) -> None:
        """Return when ``count`` bytes may leave, or early once ``given_up`` says so."""
        with self._turn:
            begins = max(self._free_at, self._clock())
            self._free_at = begins + count / self.rate
        while (left := begins - self._clock()) > 0 and not given_up():
            time.sleep(min(SLICE, left))
