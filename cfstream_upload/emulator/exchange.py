"""One HTTP exchange in the terms of the model: a request, its body in blocks, a reply.

`Stream` and everything wrapped around it share this interface, so that the same service can be
called in one go (tests) or fed block by block (the server, which must not block on a body).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True)
class Request:
    """What a client asks for; header names in lower case, the path already percent-decoded.

    The representation shows the method alone: path and headers may hold an upload URL or a token.
    ``lag`` is of a list: it is to tell what it would have told so many seconds ago.
    """

    method: str
    path: str = field(repr=False)
    query: Sequence[tuple[str, str]] | Mapping[str, str] = field(default=(), repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: Iterable[bytes] = field(default=(), repr=False)
    lag: float = field(default=0.0, repr=False)

    def pairs(self) -> list[tuple[str, str]]:
        """Give the query as name and value pairs in their order."""
        return list(self.query.items() if isinstance(self.query, Mapping) else self.query)


@dataclass(frozen=True)
class Reply:
    """What the service answers; header names in lower case.

    ``after`` is how many seconds the face waits before it sends this: the model itself never
    sleeps.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = b""
    after: float = 0.0


class ConnectionCut(Exception):
    """The service cuts the connection here; the client gets no reply."""


class NoReply(Exception):
    """The service keeps the connection open and never answers."""


class Later(Exception):
    """The request reaches the service only after ``seconds``, whether or not the client waits.

    ``deliver`` hands it over and gives the reply; ``drop`` forgets it, and is harmless after that.
    """

    def __init__(
        self, seconds: float, deliver: Callable[[], Reply], drop: Callable[[], None]
    ) -> None:
        super().__init__("the request is still on its way")
        self.seconds = seconds
        self.deliver = deliver
        self.drop = drop


class Exchange(Protocol):
    """One request under way. After `finish` or `cut` nothing more is written to it."""

    def write(self, block: bytes) -> None:
        """Take the next block of the body; `ConnectionCut` when a fault ends the connection."""

    def finish(self) -> Reply:
        """Answer, the body being complete; `ConnectionCut`, `NoReply`, `Later` are faults."""

    def cut(self) -> None:
        """Hear that the client is gone before its body was complete. Harmless when repeated."""


class Service(Protocol):
    """Anything that can stand behind a face: the model, or the model with faults around it."""

    @property
    def account(self) -> str:
        """The account id, 32 hex digits."""

    @property
    def token(self) -> str:
        """The API token that is accepted."""

    def begin(self, request: Request) -> Exchange:
        """Start an exchange from the request's head; its ``body`` is not looked at."""


def converse(service: Service, request: Request) -> Reply:
    """Carry out a whole request, its body taken from the iterable.

    A body that raises is a client that went away: the exchange is cut and the error goes on.
    """
    exchange = service.begin(request)
    try:
        for block in request.body:
            exchange.write(block)
    except BaseException:
        exchange.cut()
        raise
    return exchange.finish()


class Answered:
    """An exchange whose reply is settled; its body is read and forgotten."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply

    def write(self, block: bytes) -> None:
        """Forget the block."""

    def finish(self) -> Reply:
        """Give the settled reply."""
        return self._reply

    def cut(self) -> None:
        """Nothing was done, so nothing is lost."""
