"""Exchanges with an effect between the client and the service."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace

from .effects import Answer, CutAfter, Delay, Effect, Hang, Late
from .exchange import ConnectionCut, Exchange, Later, NoReply, Reply

_IN_MEMORY = 1 << 20
_BLOCK = 1 << 18


def struck(begin: Callable[[], Exchange], effect: Effect) -> Exchange:
    """Start an exchange by ``begin``, at once or late, with this effect on it."""
    if isinstance(effect, Late):
        return _Held(begin, effect.seconds)
    return _Struck(begin(), effect)


class _Struck:
    """An exchange of which a part does not reach the service, or whose reply is another."""

    def __init__(self, inner: Exchange, effect: Effect) -> None:
        self._inner = inner
        self._effect = effect
        self._passes = _bytes_that_pass(effect)

    def write(self, block: bytes) -> None:
        """Let through what may reach the service."""
        if self._passes is None:
            self._inner.write(block)
            return
        let_through, self._passes = block[: self._passes], max(0, self._passes - len(block))
        if let_through:
            self._inner.write(let_through)
        if len(let_through) < len(block) and isinstance(self._effect, CutAfter):
            self._inner.cut()
            raise ConnectionCut

    def finish(self) -> Reply:
        """Give the reply that the effect leaves."""
        reply = None
        if self._passes is None:
            reply = self._inner.finish()
        else:
            self._inner.cut()
        match self._effect:
            case Answer(status, headers, body):
                return Reply(status, headers, body)
            case Hang():
                raise NoReply
            case Delay(seconds) if reply is not None:
                return replace(reply, after=reply.after + seconds)
        raise ConnectionCut

    def cut(self) -> None:
        """Pass on that the client is gone."""
        self._inner.cut()


class _Held:
    """A request on its way: it reaches the service later, all at once."""

    def __init__(self, begin: Callable[[], Exchange], seconds: float) -> None:
        self._begin = begin
        self._seconds = seconds
        self._body = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115

    def write(self, block: bytes) -> None:
        """Keep the block."""
        self._body.write(block)

    def finish(self) -> Reply:
        """Leave the rest to the face, which can wait."""
        raise Later(self._seconds, self._deliver, self.cut)

    def cut(self) -> None:
        """Forget a request that never was complete, or never arrived."""
        self._body.close()

    def _deliver(self) -> Reply:
        exchange = self._begin()
        self._body.seek(0)
        while block := self._body.read(_BLOCK):
            exchange.write(block)
        return exchange.finish()


def _bytes_that_pass(effect: Effect) -> int | None:
    """How much of the body reaches the service before a cut; None: all of it, and no cut."""
    match effect:
        case Answer(acts=False, body_bytes=count) | CutAfter(count):
            return count
        case Hang(acts=False):
            return 0
        case _:
            return None
