"""Word that something may have changed, for those who watch."""

from __future__ import annotations

import threading
from collections.abc import Callable

from .exchange import Exchange, Reply


class Bell:
    """Rung after whatever may have changed the account; costs next to nothing unheard.

    Listeners are called on the thread that rings, without any lock held, and must be quick.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.listeners: tuple[Callable[[], None], ...] = ()

    def ring(self) -> None:
        """Call every listener."""
        for listener in self.listeners:
            listener()

    def listen(self, listener: Callable[[], None]) -> None:
        """Call this from now on."""
        with self._lock:
            self.listeners = (*self.listeners, listener)

    def leave(self, listener: Callable[[], None]) -> None:
        """Call this no more."""
        with self._lock:
            self.listeners = tuple(known for known in self.listeners if known != listener)


class Ringing:
    """An exchange after whose every step the bell rings."""

    def __init__(self, inner: Exchange, bell: Bell) -> None:
        self._inner = inner
        self._bell = bell

    def write(self, block: bytes) -> None:
        """Pass the block on."""
        self._inner.write(block)
        self._bell.ring()

    def finish(self) -> Reply:
        """Give the answer."""
        reply = self._inner.finish()
        self._bell.ring()
        return reply

    def cut(self) -> None:
        """Pass it on."""
        self._inner.cut()
        self._bell.ring()
