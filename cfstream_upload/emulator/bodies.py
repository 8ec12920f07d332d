"""Bodies of requests, handed on block by block in the very call in which they come.

ASGI would copy each block and wake a task for it, which costs an upload more than its storing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import ClientDisconnect

Sink = Callable[[bytes], None]


class Body:
    """The body of one request. What comes before `pour` is kept by ``receive``, that of ASGI.

    ``go_on`` lets the connection be read again, where too much was kept.
    """

    def __init__(self, receive: Callable[[], Awaitable[Any]], go_on: Callable[[], None]) -> None:
        self._receive = receive
        self._go_on = go_on
        self._sink: Sink | None = None
        self._over: asyncio.Future[None] | None = None

    async def pour(self, sink: Sink) -> None:
        """Give every block to ``sink``; what it raises ends this.

        Raises `ClientDisconnect` when the client goes before its body is whole.
        """
        begun = await self._receive()
        if begun["type"] == "http.disconnect":
            raise ClientDisconnect
        sink(begun["body"])
        if not begun["more_body"]:
            return
        self._over = asyncio.get_running_loop().create_future()
        self._sink = sink
        self._go_on()
        try:
            await self._over
        finally:
            self._sink = None

    def takes(self, block: bytes) -> bool:
        """Hand on a block; False: nobody waits for it here."""
        if self._sink is None:
            return False
        try:
            self._sink(block)
        except Exception as error:  # noqa: BLE001  # raised where the body is poured
            self.end(error)
        return True

    def end(self, error: Exception | None = None) -> None:
        """Tell that nothing more comes. Harmless when repeated."""
        self._sink = None
        if self._over is None or self._over.done():
            return
        if error is None:
            self._over.set_result(None)
        else:
            self._over.set_exception(error)
