"""A service behind HTTP/1.1, on 127.0.0.1 unless told otherwise, for any client of Stream."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import uvicorn
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from .endpoint import IDENTITY_PATH, NONCE_HEADER, READY_PATH, Endpoint
from .exchange import ConnectionCut, Later, NoReply, Reply, Request, Service
from .listening import listen, listen_beside, port_of, reachable
from .model import Stream
from .pages import EVENTS, Pages
from .protocol import BODY, CONNECTION, Protocol
from .routes import API
from .shutdown import Uvicorn

KEEP_ALIVE_SECONDS = 90
_POLL_SECONDS = 0.01
_PATIENCE_SECONDS = 10.0
T = TypeVar("T")
Aside = tuple[socket.socket, int]
Beside = Callable[[HttpRequest], Awaitable[Response | None]]


class Server:
    """One service on one port. `serve` runs until `stop`, or until nobody asked for ``idle`` s.

    A page that only watches asks for nothing: a forgotten tab does not keep it for days.

    ``beside`` are asked first; what they answer with None is the service's. A service that is the
    model itself has ``pages`` without being asked. Uploads that need the token are taken on the
    port of ``token_listener`` and nowhere else, as Cloudflare has another host for them; without
    one, where everything is.
    """

    def __init__(
        self,
        service: Service,
        listener: socket.socket,
        idle: float | None = None,
        beside: Sequence[Beside] = (),
        pages: Pages | None = None,
        token_listener: socket.socket | None = None,
    ) -> None:
        self._service = service
        self._listener = listener
        self._token_listener = token_listener
        # Asked for now: once it is closed a socket no longer knows its port.
        self._public: tuple[str, int] = listener.getsockname()[:2]
        self._token_port = None if token_listener is None else port_of(token_listener)
        self._at_token_port = {self._token_port}
        if pages is None and isinstance(service, Stream):
            pages = Pages(service)
        self._beside = [*beside, *([] if pages is None else [pages.answer])]
        self._idle = idle
        self._under_way = 0
        self._last_used = time.monotonic()
        self._uvicorn = Uvicorn(
            uvicorn.Config(
                self._app,
                http=Protocol,
                loop="asyncio",
                lifespan="off",
                interface="asgi3",
                ws="none",
                log_config=None,
                access_log=False,
                # The model's clock makes the date, and Cloudflare does not say uvicorn.
                date_header=False,
                server_header=False,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=2,
            ),
            pages,
        )

    @property
    def endpoint(self) -> Endpoint:
        """Where it can be reached from this machine."""
        host, port = self._public
        base_url = f"http://{reachable(host)}:{port}{API}"
        return Endpoint(base_url, self._service.account, self._service.token, os.getpid(), port)

    def start_aside(self) -> list[Aside]:
        """Before `serve`: leave the public ports to proxies.

        Gives each one's listener, and the port that is served in its place.
        """
        public = self._all_listeners()
        self._listener, *others = inner = [listen() for _ in public]
        self._token_listener = others[0] if others else None
        return self._moved(public, inner)

    async def step_aside(self) -> list[Aside]:
        """While it serves: leave the public ports to proxies, as `start_aside`.

        Connections that are open end with the reply that is under way, or at once.
        """
        public = [one.dup() for one in self._all_listeners()]
        inner = [listen() for _ in public]
        moved = self._moved(public, inner)
        state, before = self._uvicorn.server_state, list(self._uvicorn.servers)
        for one in inner:
            made = await asyncio.get_running_loop().create_server(
                lambda: Protocol(self._uvicorn.config, state, self._uvicorn.lifespan.state),
                sock=one,
            )
            self._uvicorn.servers.append(made)
        for server in before:
            server.close()
            self._uvicorn.servers.remove(server)
        for connection in list(state.connections):
            connection.shutdown()
        return moved

    def _moved(self, public: list[socket.socket], inner: list[socket.socket]) -> list[Aside]:
        if self._token_port is not None:
            self._at_token_port.add(port_of(inner[-1]))
        return [(before, port_of(after)) for before, after in zip(public, inner, strict=True)]

    def stop(self) -> None:
        """End `serve` soon, from any thread; requests under way get a second."""
        self._uvicorn.should_exit = True

    def serve(self) -> None:
        """Serve until the end; the listener is closed then."""
        asyncio.run(self._serve())

    def carry_out(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something in the thread that serves, and wait for it; from another thread."""
        while not self._uvicorn.started:
            time.sleep(_POLL_SECONDS)
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_PATIENCE_SECONDS)

    def _all_listeners(self) -> list[socket.socket]:
        return [one for one in (self._listener, self._token_listener) if one is not None]

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        watch = asyncio.create_task(self._stop_when_idle())
        try:
            await self._uvicorn.serve(sockets=self._all_listeners())
        finally:
            watch.cancel()

    async def _stop_when_idle(self) -> None:
        while self._idle is not None:
            await asyncio.sleep(min(1.0, self._idle / 4))
            if not self._under_way and time.monotonic() - self._last_used > self._idle:
                self.stop()

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == EVENTS:
            await self._answer(scope, receive, send)
            return
        self._under_way += 1
        try:
            await self._answer(scope, receive, send)
        finally:
            self._under_way -= 1
            self._last_used = time.monotonic()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        http = HttpRequest(scope, receive)
        response: Response | None
        if http.scope["path"] == IDENTITY_PATH:
            response = self._identity(http.headers)
        elif http.scope["path"] == READY_PATH:
            response = Response("ready\n", media_type="text/plain")
        elif (response := await self._answered_beside(http)) is None:
            reply = await self._converse(http)
            if reply is None:
                return
            response = Response(reply.body, reply.status, dict(reply.headers))
        await response(scope, receive, send)

    async def _answered_beside(self, http: HttpRequest) -> Response | None:
        for beside in self._beside:
            if (response := await beside(http)) is not None:
                return response
        return None

    async def _converse(self, http: HttpRequest) -> Reply | None:
        """Carry out one exchange; None when there is nobody to reply to."""
        at_token_port = http.scope["server"][1] in self._at_token_port
        exchange = self._service.begin(_head(http, self._token_port, at_token_port))
        try:
            await http.scope[BODY].pour(exchange.write)
            reply = exchange.finish()
            await asyncio.sleep(reply.after)
        except ClientDisconnect:
            exchange.cut()
        except ConnectionCut:
            http.scope[CONNECTION].transport.abort()
            await _until_disconnected(http)
        except NoReply:
            await _until_disconnected(http)
        except Later as late:
            return await _later(http, late)
        except BaseException:
            exchange.cut()
            raise
        else:
            return reply
        return None

    def _identity(self, headers: Mapping[str, str]) -> Response:
        """Tell a client that knows the token who this is, unless the end has begun.

        To a nonce the answer is a proof: so nobody else gets the token who has the port by now.
        """
        nonce, bearer = headers.get(NONCE_HEADER, ""), f"Bearer {self._service.token}"
        authorization = headers.get("authorization", "")
        known = secrets.compare_digest(authorization.encode(), bearer.encode())
        if not (known or nonce) or self._uvicorn.should_exit:
            return Response(status_code=503 if known or nonce else 401)
        said = {"account": self._service.account, "pid": os.getpid()} if known else {}
        proof = {"proof": self.endpoint.proof(nonce)} if nonce else {}
        return Response(json.dumps({**said, **proof}), media_type="application/json")


@contextlib.contextmanager
def running(
    service: Service,
    port: int = 0,
    pages: Pages | None = None,
    *,
    with_token_port: bool = False,
) -> Iterator[Endpoint]:
    """Serve from a thread of this process until the block ends; ``pages`` as `Server` has them."""
    listener = listen(port)
    token_listener = listen_beside(listener) if with_token_port else None
    server = Server(service, listener, pages=pages, token_listener=token_listener)
    endpoint = server.endpoint
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    try:
        yield endpoint
    finally:
        server.stop()
        thread.join()


def _head(http: HttpRequest, token_port: int | None, at_token_port: bool) -> Request:
    return Request(
        http.method,
        http.scope["path"],
        http.query_params.multi_items(),
        dict(http.headers.items()),
        token_port=token_port,
        at_token_port=at_token_port,
    )


async def _later(http: HttpRequest, late: Later) -> Reply | None:
    """Hand a request over late, whether or not its client waits; None where it does not."""
    gone = asyncio.create_task(_until_disconnected(http))
    try:
        await asyncio.sleep(late.seconds)
        reply = late.deliver()
        return None if gone.done() else reply
    finally:
        gone.cancel()
        late.drop()


async def _until_disconnected(http: HttpRequest) -> None:
    while (await http.receive())["type"] != "http.disconnect":
        pass
