"""Services between a client and Stream that do more than answer wrongly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from inprocess import Stage

from cfstream_upload.emulator.exchange import ConnectionCut, Exchange, Reply, Request, converse


class Acting:
    """A service that does something at the end of the ``nth`` request of a method."""

    def __init__(
        self,
        current: Stage,
        method: str,
        nth: int,
        act: Callable[[], object],
        *,
        after: bool = False,
    ) -> None:
        self._service, self._method, self._left = current.service, method, nth
        self._act, self._after = act, after

    @property
    def account(self) -> str:
        return self._service.account

    @property
    def token(self) -> str:
        return self._service.token

    def begin(self, request: Request) -> Exchange:
        inner = self._service.begin(request)
        if request.method != self._method:
            return inner
        self._left -= 1
        return inner if self._left else _Acting(inner, self._act, self._after)


class _Acting:
    def __init__(self, inner: Exchange, act: Callable[[], object], after: bool) -> None:
        self.write, self.cut = inner.write, inner.cut
        self._inner, self._act, self._after = inner, act, after

    def finish(self) -> Reply:
        reply = self._inner.finish() if self._after else None
        try:
            self._act()
        except ConnectionCut:
            self._inner.cut()
            raise
        return reply or self._inner.finish()


@dataclass
class Lost:
    """A proxy that takes the first create, cuts the client off, and delivers it to Stream later.

    ``after`` seconds later, to be exact, with whatever request comes next.
    """

    current: Stage
    after: float
    _held: list[tuple[float, Request]] = field(default_factory=list)
    _seen: int = 0

    @property
    def account(self) -> str:
        return self.current.model.account

    @property
    def token(self) -> str:
        return self.current.model.token

    def begin(self, request: Request) -> Exchange:
        self.deliver()
        self._seen += request.method == "POST"
        if request.method == "POST" and self._seen == 1:
            self._held.append((self.current.clock.now + self.after, request))
            return _Given(None)
        return self.current.model.begin(request)

    def deliver(self) -> None:
        """Let what is due arrive."""
        for due, request in list(self._held):
            if self.current.clock.now >= due:
                self._held.remove((due, request))
                converse(self.current.model, request)


@dataclass
class Twice:
    """A proxy that sends the first create twice and passes on the ``given``-th reply, or none."""

    current: Stage
    given: int | None
    _seen: int = 0

    @property
    def account(self) -> str:
        return self.current.model.account

    @property
    def token(self) -> str:
        return self.current.model.token

    def begin(self, request: Request) -> Exchange:
        self._seen += request.method == "POST"
        if request.method != "POST" or self._seen > 1:
            return self.current.model.begin(request)
        replies = [converse(self.current.model, request) for _ in range(2)]
        return _Given(None if self.given is None else replies[self.given])


@dataclass
class _Given:
    reply: Reply | None

    def write(self, block: bytes) -> None:
        raise AssertionError("a create has no body")

    def finish(self) -> Reply:
        if self.reply is None:
            raise ConnectionCut
        return self.reply

    def cut(self) -> None:
        pass
