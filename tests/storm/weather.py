"""What goes wrong, and when: kills by the clock, restarts of the database by progress."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

FAULTS = (
    "PATCH cut=200K p=0.04 seed={seed}",
    "PATCH lose p=0.01 seed={seed}",
    "HEAD status=503 p=0.02 seed={seed}",
    "create lose p=0.01 seed={seed}",
    "look status=502 p=0.01 seed={seed}",
    "list status=503 p=0.02 seed={seed}",
    "DELETE lose p=0.05 seed={seed}",
)
"""Of the line and of the service, each by chance, for ever."""


@contextmanager
def every(seconds: float, deed: Callable[[], None]) -> Iterator[None]:
    """Do ``deed`` every so many seconds in another thread; what it raises is raised at the end."""
    ended = threading.Event()
    failures: list[BaseException] = []

    def repeat() -> None:
        while not ended.wait(seconds):
            try:
                deed()
            except BaseException as failure:  # noqa: BLE001  told in the thread that waits
                failures.append(failure)
                return

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    if failures:
        raise failures[0]


class Restarts:
    """``deed`` once at each of the ``moments``, which are shares of a work that is done."""

    def __init__(self, moments: Sequence[float], share: Callable[[], float]) -> None:
        self._moments = sorted(moments)
        self._share = share
        self.done = 0

    def due(self) -> bool:
        """Whether the next moment has come; it is then past."""
        if not self._moments or self._share() < self._moments[0]:
            return False
        self._moments.pop(0)
        self.done += 1
        return True
