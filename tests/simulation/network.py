"""The way between the client and the embedded Stream: it loses, delays, repeats and cuts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from urllib.parse import parse_qsl

from dying import Death
from faulted import EFFECTS
from inprocess import ACCOUNT, BASE
from simulation.scale import SCALE
from simulation.story import Disaster
from simulation.world import ROUND_TRIP, World

from cfstream_upload.emulator.exchange import (
    ConnectionCut,
    Exchange,
    NoReply,
    Request,
    Service,
    converse,
)
from cfstream_upload.emulator.exchange import Reply as Answer
from cfstream_upload.emulator.faults import CutAfter, Effect, Fault, Faulty
from cfstream_upload.wire import Cancelled, Lost, NotSent, Patience, Reply, Wire

HOST = "http://127.0.0.1:9"
VIDEOS = f"{BASE}/accounts/{ACCOUNT}/stream"
EFFECTS_HERE: dict[str, Effect] = {
    name: CutAfter(effect.body_bytes // SCALE) if isinstance(effect, CutAfter) else effect
    for name, effect in EFFECTS.items()
}
DENIED = Answer(
    401,
    {"content-type": "application/json"},
    json.dumps({"success": False, "errors": [{"code": 10000, "message": "no"}]}).encode(),
)


class Broken(BaseException):
    """The promise was broken."""


@dataclass
class Books:
    """What the whole story must not forget: what was told, and what came without being asked."""

    strangers: set[str] = field(default_factory=set)
    told: dict[str, str] = field(default_factory=dict)
    surfaced: set[str] = field(default_factory=set)
    requests: int = 0

    def check(self, method: str, uid: str) -> None:
        """No request may harm a stranger's video, and no DELETE what was told."""
        if uid in self.strangers and method not in ("GET", "HEAD"):
            raise Broken(f"{method} of a stranger's video")
        if method == "DELETE" and uid in self.told:
            raise Broken("DELETE of a video that was told")


@dataclass
class Line:
    """One command's way to Stream; takes the place of `Wire`, whose own tests use sockets."""

    world: World
    service: Service
    books: Books
    befall: Callable[[Disaster], None]
    offsets: dict[str, int] = field(default_factory=dict)

    def close(self) -> None:
        """Nothing is open."""

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        patience: Patience,
        body: Iterable[bytes] | None = None,
        max_body: int = 0,
    ) -> Reply:
        """As `Wire.request`."""
        world = self.world
        world.sleep(ROUND_TRIP)
        if patience.cancelled():
            raise Cancelled(sent=False)
        self.books.requests += 1
        listing = method == "GET" and url.partition("?")[0] == VIDEOS
        struck = world.at("LIST" if listing else method, "request")
        for disaster in struck:
            self.befall(disaster)
        if world.down_until > world.clock.now or any(d.what == "no connection" for d in struck):
            raise NotSent("refused", "127.0.0.1: no connection")
        if patience.cancelled():
            raise Cancelled(sent=False)
        request = self._request(method, url, headers)
        uid = request.path.rpartition("/")[2]
        self._check(request, uid)
        try:
            answer = self._answer(request, body or (), struck, patience)
        except ConnectionCut:
            raise Lost("cut", "127.0.0.1: the connection was cut") from None
        except NoReply:
            self._outwait(patience)
            raise Lost("stalled", "127.0.0.1: nothing moved") from None
        self._remember(request, uid, answer)
        if any(disaster.what == "dies after" for disaster in struck):
            raise Death
        return Reply(answer.status, dict(answer.headers), answer.body)

    def _request(self, method: str, url: str, headers: Mapping[str, str]) -> Request:
        path, _, query = url.removeprefix(HOST).partition("?")
        fields = {name.lower(): value for name, value in headers.items()}
        fields["host"] = "127.0.0.1:9"
        if url.startswith(BASE):
            fields["authorization"] = f"Bearer {self.service.token}"
        return Request(method, path, _pairs(query), fields)

    # --- economy ---------------------------------------------------------------------------------

    def _check(self, request: Request, uid: str) -> None:
        self.books.check(request.method, uid)
        if request.method == "PATCH":
            offset = int(request.headers["upload-offset"])
            if self.offsets.get(uid) != offset:
                raise Broken(f"PATCH at {offset}, and Stream had said {self.offsets.get(uid)}")

    def _remember(self, request: Request, uid: str, answer: Answer) -> None:
        if request.method in ("PATCH", "HEAD") and answer.status < 300:
            said = answer.headers.get("upload-offset", "")
            if said.isdigit():
                self.offsets[uid] = int(said)
        if request.method == "POST" and "stream-media-id" in answer.headers:
            self.offsets[answer.headers["stream-media-id"]] = 0

    # --- what becomes of a request ---------------------------------------------------------------

    def _answer(
        self, request: Request, body: Iterable[bytes], struck: list[Disaster], patience: Patience
    ) -> Answer:
        if self.world.denied_until > self.world.clock.now and "authorization" in request.headers:
            return DENIED
        what = {disaster.what: disaster for disaster in struck}
        if late := what.get("late"):
            self._send_late(request, b"".join(body), late.seconds)
            raise NoReply
        twice = what.get("twice") or what.get("twice, late") or what.get("second reply")
        if twice and request.method != "PATCH":
            return self._twice(request, twice)
        faults = [EFFECTS_HERE[name] for name in what if name in EFFECTS_HERE]
        service = self.service
        if faults:
            service = Faulty(self.service, [Fault(faults[0])])
        dies = "dies in the body" in what
        return self._converse(service.begin(request), body, dies=dies)

    def _converse(self, exchange: Exchange, body: Iterable[bytes], *, dies: bool) -> Answer:
        try:
            for block in body:
                self.world.sleep(0.01)
                exchange.write(block)
                if dies:
                    raise Death
        except ConnectionCut:
            raise
        except BaseException:
            exchange.cut()
            raise
        return exchange.finish()

    def _outwait(self, patience: Patience) -> None:
        ends = self.world.clock.now + min(patience.stall, patience.deadline or patience.stall)
        while (left := ends - self.world.clock.now) > 0:
            if patience.cancelled():
                raise Cancelled(sent=True)
            self.world.sleep(min(5.0, left))

    def _send_late(self, request: Request, body: bytes, seconds: float) -> None:
        whole = Request(request.method, request.path, request.query, request.headers, (body,))
        self.world.clock.later(seconds, partial(self._arrive, whole))

    def _arrive(self, request: Request) -> Answer | None:
        """A request that nobody waits for any more reaches Stream."""
        try:
            answer = converse(self.service, request)
        except ConnectionCut:
            return None
        self.books.surfaced.add(answer.headers.get("stream-media-id", ""))
        return answer

    def _twice(self, request: Request, disaster: Disaster) -> Answer:
        """A proxy repeats a request; one of the two replies comes back."""
        first = converse(self.service, request)
        if disaster.what == "twice, late":
            self._send_late(request, b"", disaster.seconds)
            return first
        second = self._arrive(request)
        if disaster.what == "second reply" and second is not None:
            self.books.surfaced.add(first.headers.get("stream-media-id", ""))
            return second
        return first


@lru_cache(4096)
def _pairs(query: str) -> tuple[tuple[str, str], ...]:
    return tuple(parse_qsl(query, keep_blank_values=True))


def as_wire(line: Line) -> Wire:
    """The line, where a `Wire` is wanted."""
    return line  # type: ignore[return-value]  # it has the one method that is used
