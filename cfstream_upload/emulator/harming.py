"""A proxy that is told, request by request, what to do to its bytes."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator

from .effects import Harm
from .framing import End, Framing, Head
from .proxy import PIECE, Link, TcpProxy

CALM = Harm()
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n"
Judge = Callable[[str, str], Harm | None]


class HarmingProxy(TcpProxy):
    """A proxy before an HTTP/1 server on this machine, at the port of ``listener``.

    ``judge`` is asked with the method and the path of each request, in the proxy's own thread.
    """

    def __init__(self, target_port: int, listener: socket.socket, judge: Judge) -> None:
        self._judge = judge
        super().__init__("127.0.0.1", target_port, listener=listener)

    async def _carry_up(
        self, client: asyncio.StreamReader, server: asyncio.StreamWriter, link: Link
    ) -> None:
        request = _Request(link, server, self._judge)
        framing = Framing()
        try:
            while piece := await self._piece(client, _step(request.harm)):
                for part in framing.parts(piece):
                    for one in _slices(part, request):
                        if isinstance(one, bytes):
                            await _pace(len(one), request.harm)
                        if request.ends_with(one):
                            return
                self.bytes_up += len(piece)
                if request.harm.interim is not None:
                    await _only_interim(client, server, link, request.harm)
                    return
                await server.drain()
            server.write_eof()
        except OSError:
            link.break_off(reset=True)

    async def _carry_down(
        self, server: asyncio.StreamReader, client: asyncio.StreamWriter, link: Link
    ) -> None:
        try:
            while piece := await self._piece(server):
                harm = link.harm or CALM
                if link.cut_with_reply:
                    link.break_off(harm.cut is not None and harm.cut.reset)
                    return
                if harm.interim is None:
                    self.bytes_down += len(piece)
                    await _pass_down(piece, client, harm)
            if link.harm is None or link.harm.interim is None:
                client.write_eof()
        except OSError:
            link.break_off(reset=True)


class _Request:
    """The request that passes a link upstream now, and what is done to it."""

    def __init__(self, link: Link, server: asyncio.StreamWriter, judge: Judge) -> None:
        self.harm = CALM
        self._link = link
        self._server = server
        self._judge = judge
        self._passed = 0

    def ends_with(self, part: Head | bytes | End) -> bool:
        """Pass a part on, unless the connection ends here."""
        match part:
            case Head():
                return self._begins(part)
            case End():
                self._link.cut_with_reply = self.harm.cut is not None
                return False
        return self._goes_on(part)

    def _begins(self, head: Head) -> bool:
        self.harm = self._link.harm = self._judge(head.method, head.path) or CALM
        self._passed = 0
        if self.harm.cut is not None and self.harm.cut.body_bytes == 0:
            self._link.break_off(self.harm.cut.reset)
            return True
        if not self.harm.withheld:
            mark = self.harm.mark
            self._server.write(head.raw if mark is None else head.with_header(*mark))
        return False

    def _goes_on(self, body: bytes) -> bool:
        cut = self.harm.cut
        room = len(body) if cut is None else cut.body_bytes - self._passed
        if not self.harm.withheld:
            self._server.write(body[:room])
        self._passed += len(body)
        if cut is None or len(body) <= room:
            return False
        self._link.break_off(cut.reset)
        return True


async def _only_interim(
    client: asyncio.StreamReader, server: asyncio.StreamWriter, link: Link, harm: Harm
) -> None:
    """Send interim replies until the client is gone."""
    sending = asyncio.create_task(_send_interim(link.client, harm))
    reading = asyncio.create_task(_read_on(client, None if harm.withheld else server))
    try:
        await asyncio.wait({sending, reading}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        sending.cancel()
        reading.cancel()
        await asyncio.gather(sending, reading, return_exceptions=True)
    link.break_off(reset=True)


async def _send_interim(client: asyncio.StreamWriter, harm: Harm) -> None:
    while harm.interim is not None:
        client.write(INTERIM)
        await client.drain()
        await asyncio.sleep(harm.interim.seconds)


async def _read_on(client: asyncio.StreamReader, server: asyncio.StreamWriter | None) -> None:
    while piece := await client.read(PIECE):
        if server is not None:
            server.write(piece)
            await server.drain()


async def _pass_down(piece: bytes, client: asyncio.StreamWriter, harm: Harm) -> None:
    step = _step(harm) if harm.drip is None else 1
    for place in range(0, len(piece), step):
        part = piece[place : place + step]
        await _pace(len(part), harm)
        client.write(part)
        await client.drain()
        if harm.drip is not None:
            await asyncio.sleep(harm.drip.seconds)


def _slices(part: Head | bytes | End, request: _Request) -> Iterator[Head | bytes | End]:
    """Give a part of a request in what goes at once."""
    if not isinstance(part, bytes):
        yield part
        return
    step = _step(request.harm)
    for place in range(0, len(part), step):
        yield part[place : place + step]


def _step(harm: Harm) -> int:
    """Give how many bytes go at once."""
    if harm.rate is None:
        return PIECE
    return min(PIECE, max(1, harm.rate.bytes_per_second // 20))


async def _pace(count: int, harm: Harm) -> None:
    if harm.rate is not None:
        await asyncio.sleep(count / harm.rate.bytes_per_second)
