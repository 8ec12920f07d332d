"""Faults around a service: it answers wrongly, loses replies, cuts connections, hangs.

The model inside knows nothing of them; what reaches it, it does. Bytes on the wire are
`proxy.TcpProxy`'s part.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from .exchange import ConnectionCut, Exchange, NoReply, Reply, Request, Service, converse
from .routes import Kind, route_of


@dataclass(frozen=True)
class Answer:
    """Reply with this instead of Stream.

    Stream sees the first ``body_bytes`` bytes of the body and then a cut; with ``acts`` it sees
    the whole request and acts, and its own reply is dropped.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    acts: bool = False
    body_bytes: int = 0


@dataclass(frozen=True)
class LoseReply:
    """Let Stream act, then cut the connection instead of replying."""


@dataclass(frozen=True)
class CutAfter:
    """Cut the connection after this many bytes of the body; Stream does not act."""

    body_bytes: int = 0


@dataclass(frozen=True)
class Hang:
    """Read the request and never reply; Stream acts only if ``acts``."""

    acts: bool = False


@dataclass(frozen=True)
class Delay:
    """Reply as Stream does, this many seconds later."""

    seconds: float


Effect = Answer | LoseReply | CutAfter | Hang | Delay


@dataclass(frozen=True)
class Fault:
    """An effect, and the requests that it strikes.

    Of the requests of this method and kind of path (None: any) that arrive after the fault was
    set, the first ``nth - 1`` pass, the next ``times`` (None: for ever) are struck.
    """

    effect: Effect
    method: str | None = None
    kind: Kind | None = None
    nth: int = 1
    times: int | None = 1


class Faulty:
    """A service with faults around it. Of several faults that strike a request the first counts."""

    def __init__(self, service: Service, faults: Iterable[Fault] = ()) -> None:
        self._service = service
        self._lock = threading.Lock()
        self._faults: list[_Armed] = []
        for fault in faults:
            self.set(fault)

    @property
    def account(self) -> str:
        """The account id of the service inside."""
        return self._service.account

    @property
    def token(self) -> str:
        """The API token of the service inside."""
        return self._service.token

    def set(self, fault: Fault) -> None:
        """Add a fault; it counts requests from now on."""
        with self._lock:
            self._faults.append(_Armed(fault))

    def clear(self) -> None:
        """Remove all faults."""
        with self._lock:
            self._faults.clear()

    def __call__(self, request: Request) -> Reply:
        """Answer a whole request; raises `ConnectionCut` or `NoReply` when a fault says so."""
        return converse(self, request)

    def begin(self, request: Request) -> Exchange:
        """Start an exchange from the request's head, struck by a fault or not."""
        with self._lock:
            striking = [armed.fault.effect for armed in self._faults if armed.strikes(request)]
        inner = self._service.begin(request)
        return _Struck(inner, striking[0]) if striking else inner


class _Armed:
    """A fault and how many requests it has seen."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self._seen = 0

    def strikes(self, request: Request) -> bool:
        """Count a request if it is of the right sort, and say whether it is struck."""
        fault = self.fault
        if fault.method not in (None, request.method):
            return False
        if fault.kind not in (None, route_of(request.path).kind):
            return False
        self._seen += 1
        late = fault.times is not None and self._seen >= fault.nth + fault.times
        return self._seen >= fault.nth and not late


class _Struck:
    """An exchange with an effect between the client and the service."""

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


def _bytes_that_pass(effect: Effect) -> int | None:
    """How much of the body reaches the service before a cut; None: all of it, and no cut."""
    match effect:
        case Answer(acts=False, body_bytes=count) | CutAfter(count):
            return count
        case Hang(acts=False):
            return 0
        case _:
            return None
