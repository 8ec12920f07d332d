"""What may go wrong with a request, and which requests it strikes. Plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .routes import Kind


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
    """Cut the connection after this many bytes of the body; Stream does not act.

    On the wire, with ``reset`` the client gets RST instead of FIN, and a body that is not longer
    than this is delivered: then Stream acts, and its reply is lost.
    """

    body_bytes: int = 0
    reset: bool = False


@dataclass(frozen=True)
class Hang:
    """Read the request and never reply; Stream acts only if ``acts``."""

    acts: bool = False


@dataclass(frozen=True)
class Delay:
    """Reply as Stream does, this many seconds later."""

    seconds: float


@dataclass(frozen=True)
class Late:
    """Stream sees the request, and acts, this many seconds later, even if the client gave up."""

    seconds: float


@dataclass(frozen=True)
class Gone:
    """The video that the request names is deleted before Stream sees the request."""


@dataclass(frozen=True)
class Expire:
    """On an upload URL: its window ends now. Elsewhere: the token is refused from now on."""


@dataclass(frozen=True)
class Lag:
    """A list tells what it would have told this many seconds ago."""

    seconds: float


@dataclass(frozen=True)
class Rate:
    """The request and its reply pass at so many bytes a second."""

    bytes_per_second: int


@dataclass(frozen=True)
class Drip:
    """The reply comes byte by byte, one every so many seconds."""

    seconds: float


@dataclass(frozen=True)
class Interim:
    """``100 Continue`` again and again, this many seconds apart, and never a reply.

    Stream sees the request only if ``acts``.
    """

    seconds: float
    acts: bool = False


Effect = (
    Answer | LoseReply | CutAfter | Hang | Delay | Late | Gone | Expire | Lag
    | Rate | Drip | Interim
)  # fmt: skip
NEEDS_PROXY = (Rate, Drip, Interim)
"""Only a proxy can do these to the bytes; `CutAfter` it does better."""
WIRE = (CutAfter, *NEEDS_PROXY)
"""Done by the proxy where there is one."""


@dataclass(frozen=True)
class Fault:
    """An effect, and the requests that it strikes.

    Of the requests of this method and kind of path (None: any; a tuple: any of these) that arrive
    after the fault was set, and ``after`` more seconds, the first ``nth - 1`` pass, and of the
    rest ``times`` (None: for ever) are struck: the next ones, or each with this ``probability``
    (above 0, at most 1), thrown with ``seed``. ``text`` is how somebody wrote it.
    """

    effect: Effect
    method: str | None = None
    kind: Kind | tuple[Kind, ...] | None = None
    nth: int = 1
    times: int | None = 1
    probability: float | None = None
    seed: int = 0
    after: float = 0.0
    text: str = field(default="", compare=False)


@dataclass(frozen=True)
class Harm:
    """What a proxy does to one request; of each sort at most one. ``mark`` is told to Stream."""

    cut: CutAfter | None = None
    rate: Rate | None = None
    drip: Drip | None = None
    interim: Interim | None = None
    mark: tuple[str, str] | None = None

    @property
    def withheld(self) -> bool:
        """Whether Stream sees nothing of the request."""
        cut_at_once = self.cut is not None and self.cut.body_bytes == 0
        return cut_at_once or (self.interim is not None and not self.interim.acts)
