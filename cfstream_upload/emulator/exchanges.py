"""How an exchange with the model goes on, once its head has been read."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import replace

from .envelopes import BAD_REQUEST, Refused, failure, out_of_order
from .exchange import Answered, Exchange, Reply

LARGEST_DOCUMENT = 1 << 20


class Collecting:
    """An exchange of the Video API, answered once its small body is there."""

    def __init__(self, answer: Callable[[bytes], Reply]) -> None:
        self._answer = answer
        self._body = bytearray()

    def write(self, block: bytes) -> None:
        """Hold the block, unless there is too much already."""
        if len(self._body) <= LARGEST_DOCUMENT:
            self._body += block

    def finish(self) -> Reply:
        """Answer the document."""
        if len(self._body) > LARGEST_DOCUMENT:
            raise Refused(failure(413, BAD_REQUEST, "Payload Too Large"))
        return self._answer(bytes(self._body))

    def cut(self) -> None:
        """A request that was never complete is never acted upon."""


class Signed:
    """Holds the service's lock, never across blocks, and adds what every reply carries.

    A disk that fails, or is full, ends the exchange with 500; what was acknowledged stays.
    """

    def __init__(
        self, lock: threading.Lock, inner: Exchange, headers: Callable[[], dict[str, str]]
    ) -> None:
        self._lock = lock
        self._inner = inner
        self._headers = headers

    def write(self, block: bytes) -> None:
        """Pass the block on."""
        with self._lock:
            try:
                self._inner.write(block)
            except OSError:
                self._cut()
                self._inner = Answered(out_of_order())

    def finish(self) -> Reply:
        """Give the answer, a refusal too."""
        with self._lock:
            try:
                reply = self._inner.finish()
            except Refused as refused:
                reply = refused.reply
            except OSError:
                self._cut()
                reply = out_of_order()
            return replace(reply, headers={**reply.headers, **self._headers()})

    def cut(self) -> None:
        """Pass it on."""
        with self._lock:
            self._cut()

    def _cut(self) -> None:
        with contextlib.suppress(OSError):
            self._inner.cut()
