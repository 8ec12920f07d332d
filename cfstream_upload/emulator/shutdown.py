"""How the server ends."""

from __future__ import annotations

import asyncio
import socket

import uvicorn

from .pages import Pages

GRACE_SECONDS = 1.0


class Uvicorn(uvicorn.Server):
    """uvicorn's server, which at its end cuts what is under way as if the line had broken.

    It waits for open responses before that, and pages watch without an end: they close first.
    """

    def __init__(self, config: uvicorn.Config, pages: Pages | None) -> None:
        super().__init__(config)
        self._pages = pages

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the pages, and what is still open after a second."""
        if self._pages is not None:
            self._pages.close()
        asyncio.get_running_loop().call_later(GRACE_SECONDS, self._cut)
        await super().shutdown(sockets)

    def _cut(self) -> None:
        for connection in list(self.server_state.connections):
            connection.transport.abort()
