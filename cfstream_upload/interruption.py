"""Signals, noticed as plain numbers: a handler only counts, and whoever waits looks."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SLICE = 0.2
"""Seconds between two looks: every wait sees a signal well within half a second."""


class Interruption:
    """How often the user asked to stop, and by which signal first.

    ``stop()`` may be called from any thread or signal handler: it takes no lock.
    """

    def __init__(self) -> None:
        self.count = 0
        self.signum = 0
        self._first_at: float | None = None

    def stop(self, signum: int = signal.SIGINT) -> None:
        """Ask to stop: once rolls back, twice leaves the rest as a debt."""
        if not self.count:
            self.signum = int(signum)
            self._first_at = time.monotonic()
        self.count += 1

    def asked_for(self, seconds: float) -> bool:
        """Whether stopping was asked for at least ``seconds`` ago."""
        return self._first_at is not None and time.monotonic() - self._first_at >= seconds

    def pause(self, seconds: float, heard: int) -> None:
        """Sleep, but wake as soon as more than ``heard`` requests to stop were made."""
        ends = time.monotonic() + seconds
        while self.count <= heard and (left := ends - time.monotonic()) > 0:
            time.sleep(min(SLICE, left))


@contextmanager
def signals_as(interruption: Interruption) -> Iterator[None]:
    """While inside, SIGINT, SIGTERM and SIGHUP only count. Main thread only, elsewhere a no-op."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def notice(signum: int, frame: FrameType | None) -> None:
        # A closed terminal is a request to end, like SIGTERM.
        interruption.stop(signal.SIGINT if signum == signal.SIGINT else signal.SIGTERM)

    names = [name for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    numbers = [signal.Signals[name] for name in names]
    # A SIGHUP that nohup ignores stays ignored.
    before = {n: signal.getsignal(n) for n in numbers if signal.getsignal(n) != signal.SIG_IGN}
    for number in before:
        signal.signal(number, notice)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
