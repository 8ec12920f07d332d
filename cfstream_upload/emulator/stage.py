"""A service on a port, with faults on request: the server, its control, and the proxy before it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Collection, Iterable, Iterator

from .control import Control
from .effects import WIRE, Fault
from .endpoint import Endpoint
from .exchange import Service
from .faults import Faulty, Standing, Strike, parse_fault
from .gate import LOOPBACK
from .harming import HarmingProxy
from .listening import listen, listen_beside
from .model import Stream
from .pages import Pages
from .requestlog import RequestLog
from .server import Aside, Server


class Stage:
    """A served service whose faults can be set from here, and over HTTP while it runs.

    The public ports are the server's own until the first fault on the wire is asked for, and
    proxies' from then on. ``idle`` is as `Server` has it, ``on_strike`` as `Faulty`, ``hosts`` as
    `gate.refusal`.
    """

    def __init__(
        self,
        service: Service,
        listener: socket.socket,
        *,
        idle: float | None = None,
        faults: Iterable[Fault] = (),
        token_listener: socket.socket | None = None,
        on_strike: Callable[[Strike], None] | None = None,
        hosts: Collection[str] = LOOPBACK,
    ) -> None:
        wanted = list(faults)
        self.log = RequestLog()
        self.faulty = Faulty(service, log=self.log, on_strike=on_strike)
        control = Control(self.faulty, self.log, self.add, hosts)
        pages = Pages(service, control=True, hosts=hosts) if isinstance(service, Stream) else None
        self.server = Server(
            self.faulty, listener, idle, [control.answer], pages, token_listener=token_listener
        )
        self._proxies: list[HarmingProxy] = []
        self._one_at_a_time = asyncio.Lock()
        if any(isinstance(fault.effect, WIRE) for fault in wanted):
            self._put_proxies_before(self.server.start_aside())
        for fault in wanted:
            self.faulty.set(fault)

    @property
    def endpoint(self) -> Endpoint:
        """Where it can be reached."""
        return self.server.endpoint

    async def add(self, faults: list[Fault]) -> list[Standing]:
        """Set faults; in the thread that serves."""
        async with self._one_at_a_time:
            if not self._proxies and any(isinstance(fault.effect, WIRE) for fault in faults):
                self._put_proxies_before(await self.server.step_aside())
            return [self.faulty.set(fault) for fault in faults]

    def strike(self, *texts: str) -> list[Standing]:
        """Set faults from another thread, while it serves. Raises `BadFault`."""
        return self.server.carry_out(self.add([parse_fault(text) for text in texts]))

    def serve(self) -> None:
        """Serve until the end, as `Server.serve`."""
        try:
            self.server.serve()
        finally:
            for proxy in self._proxies:
                proxy.close()

    def stop(self) -> None:
        """End `serve` soon, from any thread."""
        self.server.stop()

    def _put_proxies_before(self, moved: list[Aside]) -> None:
        judge = self.faulty.on_the_wire
        self._proxies = [HarmingProxy(port, public, judge) for public, port in moved]
        self.faulty.wired = True


@contextlib.contextmanager
def staged(
    service: Service,
    port: int = 0,
    faults: Iterable[Fault] = (),
    *,
    with_token_port: bool = False,
) -> Iterator[Stage]:
    """Serve from a thread of this process until the block ends."""
    listener = listen(port)
    token_listener = listen_beside(listener) if with_token_port else None
    stage = Stage(service, listener, faults=faults, token_listener=token_listener)
    thread = threading.Thread(target=stage.serve, daemon=True)
    thread.start()
    try:
        yield stage
    finally:
        stage.stop()
        thread.join()
