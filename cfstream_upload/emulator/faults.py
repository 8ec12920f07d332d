"""Faults around a service: it answers wrongly, loses replies, cuts connections, hangs.

The model inside knows nothing of them; what reaches it, it does. What is done to bytes on the wire
is decided here too, and done by a proxy that asks, where there is one (`harming.HarmingProxy`).
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from functools import partial

from .armed import Armed, Standing, names_upload
from .effects import (
    NEEDS_PROXY,
    WIRE,
    Answer,
    CutAfter,
    Delay,
    Drip,
    Effect,
    Expire,
    Fault,
    Gone,
    Hang,
    Harm,
    Interim,
    Lag,
    Late,
    LoseReply,
    Rate,
)
from .exchange import Exchange, Reply, Request, Service, converse
from .faultscript import parse_fault
from .faultspelling import spelled
from .requestlog import Noted, RequestLog
from .routes import API, Route, is_hex32, route_of
from .struck import struck

__all__ = [
    "Answer",
    "CutAfter",
    "Delay",
    "Drip",
    "Effect",
    "Expire",
    "Fault",
    "Faulty",
    "Gone",
    "Hang",
    "Harm",
    "Interim",
    "Lag",
    "Late",
    "LoseReply",
    "Rate",
    "Standing",
    "Strike",
    "parse_fault",
]


@dataclass(frozen=True)
class Strike:
    """A fault that strikes a request, the ``number``-th of its sort. Nothing of it is secret."""

    fault: Standing
    method: str
    kind: str
    uid: str
    number: int


class Faulty:
    """A service with faults around it. Of several faults that strike a request the first counts.

    With a proxy before it (``wired``), effects on the wire are the proxy's, and count beside those
    on replies; without one, `CutAfter` is done here, and rates, drips and interim replies cannot
    be. ``log`` gets every request; ``on_strike`` hears of every strike, in the thread that serves
    the request, and must be quick. ``clock`` counts seconds.
    """

    def __init__(
        self,
        service: Service,
        faults: Iterable[Fault] = (),
        *,
        wired: bool = False,
        log: RequestLog | None = None,
        on_strike: Callable[[Strike], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.wired = wired
        self._service = service
        self._log = log
        self._on_strike = on_strike
        self._clock = clock
        self._lock = threading.Lock()
        self._faults: list[Armed] = []
        self._set_so_far = 0
        # Nobody else can make a request look as if the proxy had struck it.
        self._mark = f"x-emulator-{secrets.token_hex(8)}"
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

    def set(self, fault: Fault) -> Standing:
        """Add a fault; it counts requests from now on.

        Raises `ValueError` for an effect that needs a proxy where there is none.
        """
        if isinstance(fault.effect, NEEDS_PROXY) and not self.wired:
            raise ValueError(f"{spelled(fault)} needs a proxy before the server")
        with self._lock:
            self._set_so_far += 1
            armed = Armed(fault, self._set_so_far, self._clock() + fault.after)
            self._faults.append(armed)
            return armed.standing()

    def clear(self) -> None:
        """Remove all faults."""
        with self._lock:
            self._faults.clear()

    def remove(self, number: int) -> bool:
        """Remove the fault of this id; False if there is none."""
        with self._lock:
            kept = [armed for armed in self._faults if armed.id != number]
            found = len(kept) < len(self._faults)
            self._faults = kept
            return found

    def standing(self) -> list[Standing]:
        """Give the faults that are set, those that have struck out included."""
        with self._lock:
            return [armed.standing() for armed in self._faults]

    def __call__(self, request: Request) -> Reply:
        """Answer a whole request; raises what `Exchange` raises when a fault says so."""
        return converse(self, request)

    def begin(self, request: Request) -> Exchange:
        """Start an exchange from the request's head, struck by a fault or not."""
        route = route_of(request.path)
        request, words = self._unmarked(request)
        with self._lock:
            found = self._striking(request.method, route, wire=False)[:1]
            expired = self._expired(route) if not found else None
        if found:
            self._tell(found[0], request.method, route)
            words.append(found[0].text)
        elif expired is not None:
            words.append(expired.text)
            request = _with_a_dead_token(request)
        effect = found[0].fault.effect if found else None
        exchange = self._begin(request, route, effect)
        if self._log is None:
            return exchange
        note = self._log.begin(request.method, request.path, " + ".join(words) or None)
        return Noted(exchange, note)

    def on_the_wire(self, method: str, path: str) -> Harm | None:
        """Say what a proxy is to do to the request with this head; None: let it pass.

        The emulator's own pages and its control share the port, and are never harmed.
        """
        route = route_of(path)
        if route.kind == "unknown" and not path.startswith(f"{API}/"):
            return None
        with self._lock:
            found = self._striking(method, route, wire=True)
        if not found:
            return None
        for armed in found:
            self._tell(armed, method, route)
        effects = [armed.fault.effect for armed in found]
        words = " + ".join(armed.text for armed in found)
        harm = Harm(
            cut=next((one for one in effects if isinstance(one, CutAfter)), None),
            rate=next((one for one in effects if isinstance(one, Rate)), None),
            drip=next((one for one in effects if isinstance(one, Drip)), None),
            interim=next((one for one in effects if isinstance(one, Interim)), None),
            mark=(self._mark, words),
        )
        if harm.withheld and self._log is not None:
            self._log.begin(method, path, words).ended(None)
        return harm

    def _begin(self, request: Request, route: Route, effect: Effect | None) -> Exchange:
        match effect:
            case None:
                return self._service.begin(request)
            case Gone():
                self._ask("DELETE", route.uid)
                return self._service.begin(request)
            case Expire() if names_upload(route):
                now = parsedate_to_datetime(self._ask("GET", route.uid).headers["date"])
                self._ask("POST", route.uid, {"uploadExpiry": now.isoformat()})
                return self._service.begin(request)
            case Expire():
                return self._service.begin(_with_a_dead_token(request))
            case Lag(seconds):
                return self._service.begin(replace(request, lag=seconds))
        return struck(partial(self._service.begin, request), effect)

    def _ask(self, method: str, uid: str, document: object = None) -> Reply:
        """Do something to a video as its owner would; a video that is not there stays away."""
        path = f"{API}/accounts/{self.account}/stream/{uid}"
        body = [] if document is None else [json.dumps(document).encode()]
        headers = {"authorization": f"Bearer {self.token}"}
        return converse(self._service, Request(method, path, (), headers, body))

    def _striking(self, method: str, route: Route, *, wire: bool) -> list[Armed]:
        """Count a request with every fault of its sort, and give those that strike it."""
        now = self._clock()
        return [
            armed
            for armed in self._faults
            if (self.wired and isinstance(armed.fault.effect, WIRE)) == wire
            and armed.strikes(method, route, now)
        ]

    def _expired(self, route: Route) -> Armed | None:
        """Give the fault by which the token of this request was ended before, if any."""
        if route.kind == "unknown" or names_upload(route):
            return None
        return next((armed for armed in self._faults if armed.ended_token), None)

    def _tell(self, armed: Armed, method: str, route: Route) -> None:
        with self._lock:
            armed.struck += 1
            if isinstance(armed.fault.effect, Expire) and not names_upload(route):
                armed.ended_token = True
            uid = route.uid if is_hex32(route.uid) else ""
            strike = Strike(armed.standing(), method, route.kind, uid, armed.seen)
        if self._on_strike is not None:
            self._on_strike(strike)

    def _unmarked(self, request: Request) -> tuple[Request, list[str]]:
        """Take off what the proxy wrote on a request that it struck."""
        if self._mark not in request.headers:
            return request, []
        headers = dict(request.headers)
        words = headers.pop(self._mark)
        return replace(request, headers=headers), [words]


def _with_a_dead_token(request: Request) -> Request:
    headers = dict(request.headers)
    if "authorization" in headers:
        headers["authorization"] = "Bearer expired"
    return replace(request, headers=headers)
