"""What everybody on one journal may still ask of Stream: calls of the API, videos to encode.

Cloudflare takes 1,200 calls of the API in five minutes for one token and refuses every call for
five minutes once there were more (its docs: Fundamentals, "API rate limits"); Stream encodes 120
videos of an account at once and answers 429 above (its docs: Stream, FAQ). Both are shared by all
machines, so both are counted in the database that all share, by its clock.

A budget only delays: it is asked before a video is begun, never before what brings a begun one to
its end, or takes it away. What is counted is advice and not the promise: where the database is out
of reach, nothing is held up here.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

from cfstream_upload.errors import JournalProblem
from cfstream_upload.fleet import statements
from cfstream_upload.fleet.link import Lost

WINDOW = 300.0
"""Seconds of Cloudflare's limit."""

BURST, STEADY = 0.25, 0.75
"""Of the limit: what may come at once, and what flows back in a window. No window of five minutes
sees more than both."""

KEPT_BACK = 0.1
"""Of the burst: for what begun uploads still ask."""

ENCODED_AT_ONCE = 120
MARGIN = 10
"""Videos left to what is sent past this journal."""

MEASURE_EVERY = 5.0
"""Seconds from one count of what is being encoded to the next, in the whole fleet."""

FLUSH = 8
"""Calls that one process counts by itself before the database hears of them."""

TOLD_OFF = 60.0
"""Seconds for which nothing is begun after a 429 that does not say how long."""

NO_ROOM = "Stream encodes as many videos as it takes at once"
NO_CALLS = "the calls of the API for these five minutes are spent"


class Database(Protocol):
    """What carries out a statement: `fleet.link.Link`."""

    def run(self, sql: str, values: Mapping[str, object] | None = None) -> list[Sequence[Any]]:
        """The rows that it brings. Raises `Lost` or `JournalProblem`."""


class Budgets:
    """The budgets of one account, as one process sees them. Safe to use from several threads.

    ``calls`` is the limit of the API in five minutes, 0 for none.
    """

    def __init__(self, database: Database, base: str, account: str, calls: int) -> None:
        self._database = database
        target = hashlib.sha256(f"{base}\0{account}".encode()).hexdigest()[:32]
        self._most, self._flow = BURST * calls, STEADY * calls / WINDOW
        self._kept = KEPT_BACK * self._most
        self._calls: dict[str, object] = {
            "name": f"calls {target}", "most": self._most, "flow": self._flow, "kept": self._kept,
        }  # fmt: skip
        self._slots = float(ENCODED_AT_ONCE - MARGIN)
        self._queue: dict[str, object] = {"name": f"queue {target}", "most": self._slots}
        self._of = {"base": base, "account": account}
        self._limited = calls > 0
        self._unsaid = 0
        self._open = False
        self._turn = threading.Lock()

    # --- what was asked --------------------------------------------------------------------------

    def spent(self) -> None:
        """One more call of the API leaves; never waits."""
        with self._turn:
            self._unsaid += 1
            enough = self._unsaid >= FLUSH
        if enough:
            with suppress(Lost, JournalProblem):
                self._say()

    def refused(self, retry_after: float | None) -> None:
        """Stream answered 429: nobody begins a video for that long, and slots are counted anew."""
        seconds = TOLD_OFF if retry_after is None else min(retry_after, WINDOW)
        with suppress(Lost, JournalProblem):
            self._opened()
            self._ask(statements.BUDGET_LIMIT, self._queue, tokens=0.0)
            if self._limited:
                left = self._kept - self._flow * seconds
                self._ask(statements.BUDGET_LIMIT, self._calls, tokens=left)

    # --- may one more be begun -------------------------------------------------------------------

    def admitted(self, encoding: Callable[[], int | None]) -> tuple[float, str]:
        """Take room for one more video; or so many seconds to wait first, and why.

        ``encoding`` asks Stream how many videos are queued or being encoded, None where it would
        not say: then nobody is held up. It is called by one process of the fleet at a time.
        """
        try:
            self._opened()
            self._say()
            # Calls first: to count what is encoded takes some.
            if wait := self._wait_for_calls():
                return wait, NO_CALLS
            if not self._has_slot(encoding):
                self._ask(statements.BUDGET_SPEND, self._calls, spent=-1)
                return MEASURE_EVERY, NO_ROOM
        except (Lost, JournalProblem):
            pass
        return 0.0, ""

    def _opened(self) -> None:
        if not self._open:
            self._ask(statements.BUDGET_OPEN, self._queue)
            self._ask(statements.BUDGET_OPEN, self._calls)
            self._open = True

    def _say(self) -> None:
        with self._turn:
            spent, self._unsaid = self._unsaid, 0
        if spent and self._limited:
            self._ask(statements.BUDGET_SPEND, self._calls, spent=spent)

    def _wait_for_calls(self) -> float:
        """0 where the create's own call was taken, else seconds until it may be."""
        if not self._limited or self._ask(statements.BUDGET_ADMIT, self._calls):
            return 0.0
        rows = self._ask(statements.BUDGET_LEFT, self._calls)
        left = float(rows[0][0]) if rows else 0.0
        return min(WINDOW, max(0.5, (self._kept - left) / self._flow))

    def _has_slot(self, encoding: Callable[[], int | None]) -> bool:
        if self._ask(statements.SLOT_TAKE, self._queue):
            return True
        if not self._ask(statements.SLOT_MEASURING, self._queue, every=MEASURE_EVERY):
            return False  # somebody else counts, or did just now
        busy = encoding()
        if busy is None:
            return True
        ((flying,),) = self._ask(statements.IN_FLIGHT, self._of)
        room = self._slots - busy - int(flying)
        self._ask(statements.SLOT_MEASURED, self._queue, tokens=room)
        return bool(self._ask(statements.SLOT_TAKE, self._queue))

    def _ask(self, sql: str, *known: Mapping[str, object], **more: object) -> list[Sequence[Any]]:
        values: dict[str, object] = {}
        for one in (*known, more):
            values |= one
        return self._database.run(sql, values)
