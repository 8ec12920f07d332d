"""The event loop in which services are read, and the waiting for it.

Whoever waits looks every moment whether to give up; a line that fails is tried again.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, wait
from contextlib import suppress
from typing import Any, TypeVar

from cfstream_upload import pace
from cfstream_upload.errors import CfuploadError, Interrupted, TroubleOutlasted
from cfstream_upload.interruption import Interruption
from cfstream_upload.locations import Location
from cfstream_upload.stored import Hiccup, Store

_SLICE = 0.1
_CLOSING = 5.0

T = TypeVar("T")
GivenUp = Callable[[], bool]
Said = Callable[[str, str, int, float], None]
"""Hears of a try that failed: which file, why, how many so far, seconds until the next."""


class Reader:
    """The event loop and the waiting for it.

    ``tries`` bound how often a line that fails is tried, ``longest`` for how many seconds.

    Threads may share it. Close it: its thread ends then, and every connection.
    """

    def __init__(self, interruption: Interruption, tries: int, longest: float, said: Said) -> None:
        self.interruption, self.tries, self.said = interruption, tries, said
        self.longest = longest
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="reading", daemon=True)
        self._thread.start()

    def start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Begin ``work`` in the loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def wait(self, future: Future[T], given_up: GivenUp | None = None) -> T:
        """Its result. Raises what it raised, and `Interrupted` once it is given up."""
        while not wait([future], _SLICE).done:
            if self._is_given_up(given_up):
                future.cancel()
                raise self._interrupted()
        return future.result()

    def persist(
        self,
        ask: Callable[[], Future[T]],
        where: Location,
        given_up: GivenUp | None = None,
        tries: int | None = None,
    ) -> T:
        """What ``ask`` is told, asked again after a hiccup.

        Raises `TroubleOutlasted` once the tries are spent, and what `wait` raises.
        """
        spent, most = 0, self.tries if tries is None else tries
        ends = time.monotonic() + self.longest
        while True:
            try:
                return self.wait(ask(), given_up)
            except Hiccup as trouble:
                words = str(trouble)
            spent += 1
            left = ends - time.monotonic()
            if spent > most or left <= 0:
                raise TroubleOutlasted(
                    f"the source could not be read ({words}): {where.text}",
                    "Check that its service runs, then run the same command again.",
                )
            seconds = min(left, pace.wait(spent, None, random.random()))
            self.said(where.text, f"the source: {words}", spent, seconds)
            self._pause(seconds, given_up)

    def _pause(self, seconds: float, given_up: GivenUp | None) -> None:
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            if self._is_given_up(given_up):
                raise self._interrupted()
            time.sleep(min(_SLICE, left))

    def _is_given_up(self, given_up: GivenUp | None) -> bool:
        return given_up() if given_up is not None else self.interruption.count > 0

    def _interrupted(self) -> Interrupted:
        return Interrupted("Interrupted", signum=self.interruption.signum or 2)

    def close(self, stores: list[Store]) -> None:
        """End what is under way, close ``stores``, and end the thread."""
        with suppress(TimeoutError, CfuploadError):
            self.start(self._ended(stores)).result(_CLOSING)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _ended(self, stores: list[Store]) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.gather(*(store.close() for store in stores), return_exceptions=True)
        await self._loop.shutdown_asyncgens()
