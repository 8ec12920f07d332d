"""Server-sent events: the account, told anew whenever something changed.

Each watcher remembers what it was told last and gets the difference, so a slow one skips what it
missed instead of queueing it. https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from .bell import Bell
from .overview import Overview

PAUSE = 0.1
"""Seconds between two events."""
MOVING = 0.25
QUIET = 15.0
"""Seconds of silence until a comment shows that the line is alive."""
HEADERS = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-resource-policy", b"same-origin"),
]


class Watcher(Response):
    """One page that watches; it ends when the page goes, or when ``over`` is set."""

    def __init__(
        self, bell: Bell, look: Callable[[], Overview], facts: dict[str, Any], over: asyncio.Event
    ) -> None:
        super().__init__()
        self._bell = bell
        self._look = look
        self._facts = facts
        self._over = over
        self._loop = asyncio.get_running_loop()
        self._heard = asyncio.Event()
        self._rung = False
        self.ended = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Tell until nobody listens."""
        try:
            await self._watched(receive, send)
        finally:
            self.ended = True

    async def _watched(self, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        ends = (self._tell(send), _until_disconnected(receive), self._over.wait())
        tasks = [asyncio.ensure_future(end) for end in ends]
        self._bell.listen(self._hear)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._bell.leave(self._hear)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        last = _event({"over": True}) if self._over.is_set() else b""
        await send({"type": "http.response.body", "body": last, "more_body": False})

    def _hear(self) -> None:
        if not self._rung:
            self._rung = True
            # The server may end while another thread rings.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._heard.set)

    async def _tell(self, send: Send) -> None:
        async for words in self._changes():
            await send({"type": "http.response.body", "body": words, "more_body": True})

    async def _changes(self) -> AsyncIterator[bytes]:
        known = self._look()
        first = {**self._facts, "fresh": True, "totals": known.totals, "videos": known.videos}
        yield _event(first)
        spent = 0.0
        while True:
            # A look at thousands of videos takes its time, which uploads need more.
            await asyncio.sleep(max(PAUSE, 10 * spent))
            rung = await self._wait(MOVING if known.moving else QUIET)
            began = time.perf_counter()
            seen = self._look()
            spent = time.perf_counter() - began
            change = difference(known, seen)
            known = seen
            # A request that changed nothing is told too: it is new in the log.
            yield _event(change) if rung or change else b":\n\n"

    async def _wait(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._heard.wait(), seconds)
        except TimeoutError:
            return False
        self._heard.clear()
        self._rung = False
        return True


def difference(known: Overview, seen: Overview) -> dict[str, Any]:
    """Give what makes ``seen`` of ``known``: ``videos`` that are new or other, ``gone`` UIDs."""
    change: dict[str, Any] = {}
    videos = {uid: doc for uid, doc in seen.videos.items() if known.videos.get(uid) != doc}
    gone = [uid for uid in known.videos if uid not in seen.videos]
    if videos:
        change["videos"] = videos
    if gone:
        change["gone"] = gone
    if seen.totals != known.totals:
        change["totals"] = seen.totals
    return change


def _event(document: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(document, separators=(',', ':'))}\n\n".encode()


async def _until_disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
