"""A small TCP proxy that harms the bytes between a client and a server."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from .effects import Harm

PIECE = 65_536
_PATIENCE_SECONDS = 5.0
# SO_LINGER on, zero seconds: closing sends RST instead of FIN.
_RESET = struct.pack("ii", 1, 0)


class TcpProxy:
    """Forwards connections to a server, and harms them on request; from any thread.

    It listens from the start, on one ``port`` for its whole life, dead or alive: that of
    ``listener``, which it takes over, or any free one. ``connections``, ``bytes_up`` (from clients)
    and ``bytes_down`` (to clients) count what was forwarded.
    """

    def __init__(
        self,
        target_host: str,
        target_port: int,
        host: str = "127.0.0.1",
        listener: socket.socket | None = None,
    ) -> None:
        self.connections = 0
        self.bytes_up = 0
        self.bytes_down = 0
        self._target = (target_host, target_port)
        self._cut_at: tuple[int, bool] | None = None
        self._swallowing = False
        self._rate: float | None = None
        self._dead = False
        self._dies_with_cut = False
        self._links: set[Link] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._closing = asyncio.Event()
        listener = listener or socket.create_server((host, 0))
        self.host, self.port = listener.getsockname()[:2]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, args=(listener,), daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        """Give the proxy, which is listening already."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close everything."""
        self.close()

    def cut_after(self, count: int, *, reset: bool = True) -> None:
        """Cut, once, the connection that carries the ``count``-th byte upstream from now.

        The server is given these bytes and an end of stream; the client gets RST, or FIN.
        """
        self._do(lambda: setattr(self, "_cut_at", (self.bytes_up + count, reset)))

    def die_after(self, count: int) -> None:
        """Die, as by `die`, with the ``count``-th byte upstream from now."""
        self._do(lambda: setattr(self, "_dies_with_cut", True))
        self.cut_after(count)

    def swallow_replies(self, on: bool = True) -> None:
        """Read what the server sends and give none of it to the client."""
        self._do(lambda: setattr(self, "_swallowing", on))

    def stall(self, on: bool = True) -> None:
        """Forward nothing in either direction, keeping connections open."""
        self._do(self._flowing.clear if on else self._flowing.set)

    def limit_rate(self, bytes_per_second: float | None) -> None:
        """Slow down each direction of each connection; None: as fast as it goes."""
        self._do(lambda: setattr(self, "_rate", bytes_per_second))

    def break_connections(self, *, reset: bool = True) -> None:
        """Cut every open connection, and take new ones as before."""
        self._do(lambda: self._break_all(reset))

    def die(self) -> None:
        """Cut every connection, and each new one at once, until `revive`."""
        self._do(lambda: setattr(self, "_dead", True))
        self.break_connections()

    def revive(self) -> None:
        """Take connections again."""
        self._do(lambda: setattr(self, "_dead", False))

    def close(self) -> None:
        """Close all sockets and end the thread. Harmless when repeated."""
        if self._thread.is_alive():
            self._do(self._closing.set)
            self._thread.join()

    def _do(self, work: Callable[[], None]) -> None:
        """Run in the loop's thread, the only one that touches state, and wait for it."""

        async def run() -> None:
            work()

        asyncio.run_coroutine_threadsafe(run(), self._loop).result(_PATIENCE_SECONDS)

    def _run(self, listener: socket.socket) -> None:
        try:
            self._loop.run_until_complete(self._serve(listener))
        finally:
            self._loop.close()

    async def _serve(self, listener: socket.socket) -> None:
        server = await asyncio.start_server(self._accept, sock=listener)
        await self._closing.wait()
        server.close()
        self._dead = True
        # A connection accepted just now becomes a task in the loop's next turn.
        await asyncio.sleep(0)
        self._break_all(reset=True)
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(others)
        # Transports that were aborted last close their sockets in one more turn.
        await asyncio.sleep(0)

    def _break_all(self, reset: bool) -> None:
        for link in self._links:
            link.break_off(reset)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server_reader, server_writer = await asyncio.open_connection(*self._target)
        except OSError:
            _reset(writer)
            return
        link = Link(writer, server_writer)
        self._links.add(link)
        if self._dead:
            link.break_off(reset=True)
        else:
            self.connections += 1
            link.carriers = [
                asyncio.create_task(self._carry_up(reader, server_writer, link)),
                asyncio.create_task(self._carry_down(server_reader, writer, link)),
            ]
            await asyncio.wait(link.carriers)
        self._links.discard(link)
        await _shut(server_writer)
        await _shut(writer)

    async def _carry_up(
        self, client: asyncio.StreamReader, server: asyncio.StreamWriter, link: Link
    ) -> None:
        try:
            while piece := await self._piece(client):
                allowed, cut = self._allowed(piece)
                self.bytes_up += len(allowed)
                server.write(allowed)
                if cut is not None:
                    link.break_off(cut)
                    return
                await server.drain()
            server.write_eof()
        except OSError:
            link.break_off(reset=True)

    def _allowed(self, piece: bytes) -> tuple[bytes, bool | None]:
        """Give what may go upstream of a piece, and how to cut after it (None: not at all)."""
        if self._cut_at is None or self.bytes_up + len(piece) < self._cut_at[0]:
            return piece, None
        (end, reset), self._cut_at = self._cut_at, None
        if self._dies_with_cut:
            self._dead, self._dies_with_cut = True, False
        return piece[: end - self.bytes_up], reset

    async def _carry_down(
        self, server: asyncio.StreamReader, client: asyncio.StreamWriter, link: Link
    ) -> None:
        try:
            while piece := await self._piece(server):
                if not self._swallowing:
                    self.bytes_down += len(piece)
                    client.write(piece)
                    await client.drain()
            client.write_eof()
        except OSError:
            link.break_off(reset=True)

    async def _piece(self, reader: asyncio.StreamReader, most: int = PIECE) -> bytes:
        """Read the next bytes as fast as the settings allow; none at the end of the stream."""
        if self._rate is not None:
            most = min(most, max(1, int(self._rate / 20)))
        piece = await reader.read(most)
        if self._rate is not None:
            await asyncio.sleep(len(piece) / self._rate)
        await self._flowing.wait()
        return piece


class Link:
    """The two sockets of one forwarded connection, and the tasks that carry its bytes.

    ``harm`` is done to the request under way, ``cut_with_reply`` when its reply begins.
    """

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.carriers: list[asyncio.Task[None]] = []
        self.harm: Harm | None = None
        self.cut_with_reply = False
        self._client = client
        self._server = server
        self._broken = False

    @property
    def client(self) -> asyncio.StreamWriter:
        """The way back to the client."""
        return self._client

    def break_off(self, reset: bool) -> None:
        """Cut the client off; the server still gets what was written to it, then the end."""
        if not self._broken:
            self._broken = True
            self._server.close()
            if reset:
                _reset(self._client)
            else:
                self._client.close()
            for carrier in self.carriers:
                carrier.cancel()


def _reset(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):  # the other side was quicker
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()


async def _shut(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await asyncio.wait_for(writer.wait_closed(), 1.0)
    writer.transport.abort()
