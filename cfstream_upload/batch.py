"""Many files: which may go side by side, in which order, and when no more are started.

One failing file stops no other. What is wrong with the run itself (credentials, settings, the
journal) would fail each of them: after it, as after a signal, no more are started.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from cfstream_upload.debts import settle_watches
from cfstream_upload.errors import (
    CfuploadError,
    ConfigProblem,
    Interrupted,
    JournalProblem,
    NotStarted,
    described,
)
from cfstream_upload.onefile import Wishes
from cfstream_upload.result import Result
from cfstream_upload.sending import Sending
from cfstream_upload.session import Session
from cfstream_upload.stores import kinship

MOST_JOBS = 32
Place = tuple[int, str]
"""A file's number in the batch, and its path."""


@dataclass
class Batch:
    """``paths`` to send under one session, ``jobs`` of them at once.

    ``fail_fast``: after a failure no more are started. ``stop(error)`` asks for that from outside.
    """

    session: Session
    paths: Sequence[str]
    wishes: Wishes
    jobs: int = 1
    fail_fast: bool = False
    known: Mapping[int, Result] = field(default_factory=dict)
    """By number: files that were sent, as a manifest says, and are only waited for."""
    starting: Callable[[int], None] = lambda number: None
    """Hears the number of each file as it is begun, in the thread that sends it."""
    dashboard: str | None = field(default=None, init=False)
    """Where others who send it can be watched."""
    _why: CfuploadError | None = field(default=None, init=False)

    def stop(self, error: CfuploadError) -> None:
        """Start no more files because of ``error``; those in flight go on to their end."""
        self._why = self._why or error

    def run(self) -> Iterator[tuple[int, Result]]:
        """Each file's number and result, as they end; exactly one for each."""
        lanes = self._lanes()
        if self.jobs == 1 or len(lanes) == 1:
            for place in enumerate(self.paths):
                yield place[0], self._one(place)
            return
        # Opened before there are threads; what is wrong with it is told for each file.
        with suppress(CfuploadError):
            _ = self.session.room
            # Now, under locks of files that no thread has begun yet.
            settle_watches(self.session)
        yield from self._side_by_side(lanes)

    def _lanes(self) -> list[list[Place]]:
        """Files that must not be sent at the same time share a lane."""
        lanes: dict[object, list[Place]] = {}
        for place in enumerate(self.paths):
            lanes.setdefault(self._kinship(place), []).append(place)
        return list(lanes.values())

    def _kinship(self, place: Place) -> object:
        number, path = place
        if self.wishes.skip_existing:
            # Copies have one size: the second is to find what the first became.
            seen = self.session.stores.glance(path)
            return number if seen is None else seen.size
        # Links and other names of one file have one lock.
        return kinship(path) or number

    def _side_by_side(self, lanes: list[list[Place]]) -> Iterator[tuple[int, Result]]:
        waiting = deque(lanes)
        ended: queue.SimpleQueue[tuple[int, Result]] = queue.SimpleQueue()

        def work() -> None:
            while True:
                try:
                    lane = waiting.popleft()
                except IndexError:
                    return
                for place in lane:
                    ended.put((place[0], self._one(place)))

        threads = [
            threading.Thread(target=work, name=f"send-{number}")
            for number in range(min(self.jobs, len(lanes)))
        ]
        try:
            begun = sum(1 for thread in threads if _started(thread))
            if not begun:
                work()
            for _ in self.paths:
                yield _next(ended)
        finally:
            # Whatever ended the loop: nothing new is begun, and nobody is left behind.
            self.stop(NotStarted("Not started: the run has ended", exit_code=1))
            for thread in threads:
                if thread.ident is not None:
                    thread.join()

    def _one(self, place: Place) -> Result:
        number, path = place
        if error := self._reason_to_skip():
            return Result(file=path, outcome="skipped", exit_code=error.exit_code, error=error)
        self.starting(number)
        try:
            known = self.known.get(number)
            result = Sending(self.session, path, self.wishes, known).run()
        except Exception as bug:  # noqa: BLE001  one file's bug is that file's failure
            error = described(bug)
            result = Result(file=path, outcome="failed", exit_code=error.exit_code, error=error)
        if result.error is not None:
            self._heed(result.error)
        return result

    def _reason_to_skip(self) -> CfuploadError | None:
        interruption = self.session.interruption
        if interruption.count:
            return Interrupted("Interrupted before this file", signum=interruption.signum)
        return self._why

    def _heed(self, error: CfuploadError) -> None:
        if isinstance(error, ConfigProblem | JournalProblem):
            words = f"Not started: {error.message}"
            self.stop(NotStarted(words, error.hint, exit_code=error.exit_code))
        elif self.fail_fast and not isinstance(error, Interrupted):
            words = "Not started: an earlier file failed, and --fail-fast was given"
            self.stop(NotStarted(words, exit_code=error.exit_code))


def _started(thread: threading.Thread) -> bool:
    # A machine without room for another thread still sends, one file after the other.
    try:
        thread.start()
    except RuntimeError:
        return False
    return True


def _next(ended: queue.SimpleQueue[tuple[int, Result]]) -> tuple[int, Result]:
    while True:
        # In slices: only then does a signal's handler get its turn on every system.
        with suppress(queue.Empty):
            return ended.get(timeout=0.2)
