"""Many files on many machines: `Batch`, with Dask's workers in place of threads.

A few tasks more than there are threads are with Dask at any time, so its memory and ours stay flat
however long the list is. What a signal, a failure or a lost scheduler means for the rest is decided
here, by the rules of `Batch`.
"""

from __future__ import annotations

import queue
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from cfstream_upload import events
from cfstream_upload.batch import Batch, Place
from cfstream_upload.cluster.behind import left_behind
from cfstream_upload.cluster.flight import Flight, is_passing, trouble_of
from cfstream_upload.cluster.letters import (
    Begun,
    Json,
    Order,
    Terms,
    read_news,
    read_reply,
    written_result,
)
from cfstream_upload.cluster.news import Ended, Gone, Lost, News, Strength, Told
from cfstream_upload.cluster.place import Place as Cluster
from cfstream_upload.cluster.place import without_dask
from cfstream_upload.cluster.post import Plan
from cfstream_upload.cluster.terms import judge, terms_of
from cfstream_upload.errors import (
    CfuploadError,
    Interrupted,
    TroubleOutlasted,
)
from cfstream_upload.interruption import SLICE
from cfstream_upload.result import Result

if TYPE_CHECKING:
    from cfstream_upload.cluster import dispatch

WORKERS_WITHIN = 30.0
"""Seconds that the first worker may take to come."""

AHEAD = 2
"""Tasks with Dask for each thread: nobody waits between two files, and nobody hoards."""

STOPPED_WITHIN = 20.0
"""Seconds after a signal: 5 for a create, 8 for the rollback, and the way there and back."""

REPEAT_HALT = 1.0


@dataclass
class ClusterBatch(Batch):
    """``paths`` sent by the workers of ``cluster``, no more than ``most`` of them at once."""

    cluster: Cluster = field(default_factory=Cluster)
    most: int | None = None
    hear: Callable[[events.Event, str], None] = lambda event, worker: None
    """Hears what happens, and at which worker."""
    environment: dict[str, str] = field(default_factory=dict, repr=False)
    """What workers of our own get beside ours; its secrets travel by a pipe."""
    _run: str = field(default_factory=lambda: f"cfupload-{uuid4().hex[:12]}", init=False)
    _news: queue.SimpleQueue[News] = field(
        default_factory=queue.SimpleQueue, init=False, repr=False
    )
    _flying: dict[int, Flight] = field(default_factory=dict, init=False)
    _strength: tuple[int, int] = field(default=(0, 0), init=False)
    _empty_since: float = field(default=0.0, init=False)
    _halted: tuple[int, bool] = field(default=(0, False), init=False)
    _halted_at: float = field(default=0.0, init=False)
    _gone: CfuploadError | None = field(default=None, init=False)

    def run(self) -> Iterator[tuple[int, Result]]:
        """Each file's number and result, as they end; exactly one for each.

        Raises a `CfuploadError` before the first where the cluster cannot be used.
        """
        if not self.paths:
            return
        try:
            from cfstream_upload.cluster.dispatch import Dispatch
        except ImportError as missing:
            raise without_dask(missing) from None
        terms = terms_of(self.session)
        waiting = deque(deque(lane) for lane in self._lanes())
        threads = -(-(self.most or 1) // self.cluster.workers) if self.cluster.workers else 1
        link = Dispatch(
            self.cluster, self._run, self._news, self.session.interruption,
            self.session.connect_timeout, self.environment, threads,
        )  # fmt: skip
        try:
            self.dashboard = link.start()
            self._meet(link, terms)
            yield from self._sent(link, terms, waiting)
        finally:
            link.close()

    # --- before the first file -------------------------------------------------------------------

    def _meet(self, link: dispatch.Dispatch, terms: Terms) -> None:
        """Wait for workers, and hold each against what this command stands for."""
        if self.dashboard:
            if self.session.company is not None:
                self.session.company.shown_at(self.dashboard)
            self._note(f"Dask's dashboard: {self.dashboard}")
        begun, said = time.monotonic(), False
        while not self._strength[0]:
            self._take_news(SLICE)
            if self._gone:
                raise self._gone
            if self.session.interruption.count:
                raise Interrupted("Interrupted", signum=self.session.interruption.signum)
            waited = time.monotonic() - begun
            if waited >= WORKERS_WITHIN:
                raise TroubleOutlasted(
                    f"The scheduler {self.cluster} has no workers",
                    f"Start some (dask worker {self.cluster}), then run the same command again.",
                )
            if not said and waited >= 1.0:
                said = True
                self._note(f"Waiting for workers of {self.cluster}")
        judge(terms, link.ask())
        workers, slots = self._strength
        counted = "1 worker" if workers == 1 else f"{workers} workers"
        self._note(f"{counted} of {self.cluster}, {slots} at once")

    def _note(self, words: str) -> None:
        self.session.tell(events.Notice("", words))

    # --- the loop --------------------------------------------------------------------------------

    def _sent(
        self, link: dispatch.Dispatch, terms: Terms, waiting: deque[deque[Place]]
    ) -> Iterator[tuple[int, Result]]:
        plan = self._plan()
        while waiting or self._flying:
            why = self._gone or self._reason_to_skip()
            if why is not None:
                yield from self._skipped(waiting, why)
                self._halt(link)
            self._launch(link, terms, plan, waiting)
            for flight, result in self._take_news(SLICE):
                yield from self._landed(flight, result, waiting)
            if self._late() or self._deserted():
                for flight in list(self._flying.values()):
                    yield from self._landed(flight, self._left_behind(flight), waiting)

    def _plan(self) -> Json:
        session = self.session
        plan = Plan(
            self.wishes, session.policy, session.stall, session.connect_timeout, session.calls
        )
        return plan.written()

    def _skipped(
        self, waiting: deque[deque[Place]], why: CfuploadError
    ) -> Iterator[tuple[int, Result]]:
        """Nothing new is begun: what waits, also for its turn after a pause, is over."""
        idle = [one for one in self._flying.values() if one.again_at is not None]
        for flight in idle:
            # Somebody had it: whether something is left of it is in the journal.
            yield from self._landed(flight, self._left_behind(flight, why), waiting)
        while waiting:
            for number, path in waiting.popleft():
                yield number, Result(path, "skipped", exit_code=why.exit_code, error=why)

    def _halt(self, link: dispatch.Dispatch) -> None:
        """Have every worker know, those too that came since it was said last."""
        interruption, now = self.session.interruption, time.monotonic()
        wanted = (interruption.count, True)
        if wanted == self._halted and now - self._halted_at < REPEAT_HALT:
            return
        self._halted, self._halted_at = wanted, now
        link.halt(interruption.count, interruption.signum, hold=True)

    def _launch(
        self, link: dispatch.Dispatch, terms: Terms, plan: Json, waiting: deque[deque[Place]]
    ) -> None:
        now = time.monotonic()
        for flight in self._flying.values():
            if flight.again_at is not None and flight.again_at <= now:
                self._order(link, flight, terms, plan)
        room = self._strength[1] * AHEAD
        room = room if self.most is None else min(room, self.most)
        while waiting and len(self._flying) < room:
            lane = waiting.popleft()
            place = lane.popleft()
            flight = Flight(place, lane, absolute(place[1]))
            self._flying[place[0]] = flight
            self._order(link, flight, terms, plan)

    def _order(self, link: dispatch.Dispatch, flight: Flight, terms: Terms, plan: Json) -> None:
        number = flight.place[0]
        known = self.known.get(number)
        flight.keys += 1
        flight.again_at = None
        order = Order(
            run=self._run, number=number, path=flight.absolute, terms=terms, plan=plan,
            rate=self._rate(), known=None if known is None else written_result(known),
        )  # fmt: skip
        link.submit(f"{self._run}-{number}-{flight.keys}", order)

    def _rate(self) -> float | None:
        throttle = self.session.throttle
        share = max(1, min(self._strength[0], len(self.paths)))
        return None if throttle is None else throttle.rate / share

    # --- what comes back -------------------------------------------------------------------------

    def _take_news(self, seconds: float) -> list[tuple[Flight, Result]]:
        """Take in all that is there, waiting for the first; the files that ended."""
        ended: list[tuple[Flight, Result]] = []
        with suppress(queue.Empty):
            one = self._news.get(timeout=seconds)
            while True:
                match one:
                    case Told():
                        self._told(one.worker, one.news)
                    case Ended():
                        ended += self._ended(one)
                    case Lost():
                        self._lost(one.keys)
                    case Strength():
                        self._counted(one.workers, one.slots)
                    case Gone():
                        self._gone = TroubleOutlasted(
                            f"The scheduler {self.cluster} is gone",
                            "Start it again, then run the same command: it does what is missing.",
                        )
                one = self._news.get_nowait()
        return ended

    def _told(self, worker: str, news: bytes) -> None:
        flights = {flight.absolute: flight for flight in self._flying.values()}
        for one in read_news(news):
            if isinstance(one, Begun):
                begun = self._flying.get(one.number)
                if begun is not None and not begun.workers:
                    self.starting(one.number)
                if begun is not None:
                    begun.begun_at(worker)
                continue
            flight = flights.get(one.file)
            if flight is not None:
                flight.hear(one)
                one = _named(one, flight.place[1])
            self.hear(one, worker)

    def _lost(self, keys: frozenset[str]) -> None:
        for flight in self._flying.values():
            if f"{self._run}-{flight.place[0]}-{flight.keys}" in keys and flight.workers:
                flight.disturbed = True

    def _counted(self, workers: int, slots: int) -> None:
        before = self._strength[0]
        self._strength = (workers, slots)
        if before and not workers:
            self._empty_since = time.monotonic()
            self._note("Every worker is gone; waiting for others")

    def _ended(self, end: Ended) -> list[tuple[Flight, Result]]:
        flight = self._flying.get(end.number)
        if flight is None:
            return []
        path = flight.place[1]
        if end.reply is None:
            again = flight.crashed() if is_passing(end.trouble) else None
            error = trouble_of(end.trouble, path)
            result = self._left_behind(flight, error)
        else:
            reply = read_reply(end.reply)
            again = flight.goes_again(reply, time.monotonic())
            result = flight.result(reply)
            if reply.held and (why := self._gone or self._reason_to_skip()):
                result = replace(result, exit_code=why.exit_code, error=why)
        if again is not None and not self._stops():
            flight.again_at = time.monotonic() + again
            return []
        return [(flight, result)]

    def _landed(
        self, flight: Flight, result: Result, waiting: deque[deque[Place]]
    ) -> Iterator[tuple[int, Result]]:
        del self._flying[flight.place[0]]
        if result.error is not None and result.outcome != "skipped":
            self._heed(result.error)
        if flight.lane:
            waiting.appendleft(flight.lane)
        self.session.finished(result, elsewhere=True)
        yield flight.place[0], result

    # --- when it does not come back --------------------------------------------------------------

    def _stops(self) -> bool:
        return self._gone is not None or self._reason_to_skip() is not None

    def _late(self) -> bool:
        """Whether what is under way will not be heard of any more."""
        return self._gone is not None or self.session.interruption.asked_for(STOPPED_WITHIN)

    def _deserted(self) -> bool:
        """Whether there was no worker for as long as trouble is borne."""
        patience = self.session.policy.retry_max_time
        deserted = not self._strength[0] and time.monotonic() - self._empty_since >= patience
        if deserted and self._gone is None:
            self._gone = TroubleOutlasted(
                f"The scheduler {self.cluster} has no workers any more",
                "Start some, then run the same command: it does what is missing.",
            )
        return deserted

    def _left_behind(self, flight: Flight, why: CfuploadError | None = None) -> Result:
        why = why or self._gone or self._reason_to_skip() or TroubleOutlasted("It was given up")
        return left_behind(self.session, flight, why)


def absolute(path: str) -> str:
    """``path`` as workers find it: a URL as it is, a file from the root."""
    return path if "://" in path else str(Path(path).absolute())


def _named(event: events.Event, path: str) -> events.Event:
    """``event`` under the name that the user gave the file."""
    if isinstance(event, events.Uploaded):
        return replace(event, file=path, document={**event.document, "file": path})
    return replace(event, file=path)
