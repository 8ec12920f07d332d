"""How long a request may take, what makes it give up, and what it then was. Below all sockets."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

SLICE = 0.25
"""The longest wait, in seconds, without a look at the cancel flag."""


class WireError(Exception):
    """A request that brought no reply; the text names at most a host, never a URL or a token."""


class UnacceptableUrl(WireError):
    """A URL this program must not connect to; nothing was sent."""


class NotSent(WireError):
    """Provably nothing of the request was sent.

    ``reason``: ``dns``, ``refused`` (or unreachable), ``timeout``, ``certificate``, ``tls``,
    ``proxy``, or ``local`` (this machine has no more sockets, threads or memory).
    """

    def __init__(
        self,
        reason: Literal["dns", "refused", "timeout", "certificate", "tls", "proxy", "local"],
        text: str,
    ) -> None:
        super().__init__(text)
        self.reason = reason


class Lost(WireError):
    """Some of the request may have been sent, and no whole reply came.

    ``reason``: ``cut`` (closed or reset), ``stalled``, ``deadline``, ``protocol`` (no proper
    HTTP), ``toolarge`` (the reply's headers).
    """

    def __init__(
        self, reason: Literal["cut", "stalled", "deadline", "protocol", "toolarge"], text: str
    ) -> None:
        super().__init__(text)
        self.reason = reason


class Cancelled(WireError):
    """The cancel flag was seen; ``sent`` tells whether anything may have been sent."""

    def __init__(self, *, sent: bool) -> None:
        super().__init__("cancelled")
        self.sent = sent


def _never() -> bool:
    return False


@dataclass(frozen=True)
class Patience:
    """How long one request may take, in seconds, and what makes it give up.

    ``deadline`` is for the whole request; None sets no limit while the body flows, and the reply
    then has twice ``stall``. ``stall`` is the longest wait without one byte in either direction.
    ``cancelled`` is asked at least every `SLICE` seconds.
    """

    deadline: float | None = 60.0
    stall: float = 60.0
    cancelled: Callable[[], bool] = _never


class Watch:
    """One request's clock, and what the sockets have learned about that request."""

    def __init__(
        self,
        patience: Patience,
        *,
        host: str,
        secure: bool,
        proxied: bool,
        bodiless: bool = False,
    ) -> None:
        self._patience = patience
        self._started = time.monotonic()
        self._connect_by: float | None = None
        self._replying_since: float | None = None
        self.host = host
        self.secure = secure
        self.proxied = proxied
        self.bodiless = bodiless
        self.sent = False
        self.peer_closed = False

    def connecting(self, seconds: float) -> None:
        """A new connection begins; name, TCP, proxy and TLS share these seconds."""
        self._connect_by = time.monotonic() + seconds

    def connected(self) -> None:
        """The connection stands."""
        self._connect_by = None

    def replying(self) -> None:
        """The body is out (or refused); from here on the reply is awaited."""
        if self.sent and self._replying_since is None:
            self._replying_since = time.monotonic()

    def slice(self, since: float) -> float:
        """Seconds to wait next, at most `SLICE`, where nothing moved after ``since``.

        Raises Cancelled, Lost or NotSent when the request is over.
        """
        if self._patience.cancelled():
            raise Cancelled(sent=self.sent)
        now = time.monotonic()
        ends = self._ends()
        stalls = since + self._patience.stall
        left = min(ends, stalls) - now
        if left > 0:
            return min(SLICE, left)
        if not self.sent:
            raise NotSent("timeout", f"{self.host}: no connection in time")
        if stalls <= ends:
            raise Lost("stalled", f"{self.host}: nothing moved for {self._patience.stall:g} s")
        raise Lost("deadline", f"{self.host}: no whole reply after {now - self._started:.0f} s")

    def _ends(self) -> float:
        limits = [float("inf")]
        if self._connect_by is not None:
            limits.append(self._connect_by)
        if self._patience.deadline is not None:
            limits.append(self._started + self._patience.deadline)
        elif self._replying_since is not None:
            limits.append(self._replying_since + 2 * self._patience.stall)
        return min(limits)
