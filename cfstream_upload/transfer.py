"""The conductor: takes one attempt to its end, one request at a time.

``next_step`` says what is missing, `_perform` makes that one request, ``after`` says what is known
then, and the journal hears of it before anyone else does. Resuming, rolling back and sweeping are
this same loop, started from another row.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NoReturn

from cfstream_upload import events, pace
from cfstream_upload.after import after
from cfstream_upload.attempt import (
    Attempt,
    Create,
    Delete,
    Done,
    Failure,
    Find,
    Head,
    Look,
    Patch,
    Reason,
    Stage,
    Step,
    Verdict,
    braced,
    next_step,
)
from cfstream_upload.ending import Policy, doom
from cfstream_upload.entry import Entry, recalled, unwritten
from cfstream_upload.errors import (
    CfuploadError,
    Estranged,
    JournalProblem,
    LeftoverRemains,
    TakenOver,
)
from cfstream_upload.interruption import Interruption
from cfstream_upload.ledger import Ledger
from cfstream_upload.lock import key_of
from cfstream_upload.outage import Outage
from cfstream_upload.outcome import FileFault, Outcome, Seen, Stop, Trouble
from cfstream_upload.source import Sendable
from cfstream_upload.stream import Stream
from cfstream_upload.throttle import Throttle
from cfstream_upload.wire import Cancelled, Patience, Wire

if TYPE_CHECKING:
    from cfstream_upload.tus import Upload

CREATE_GRACE = 5.0
"""Seconds that a create under way may go on after the first signal (law 10)."""

CALL_DEADLINE = 60.0
PROGRESS_EVERY = 0.1
MOST_REGAINED = 10
"""How often a carriage takes its lost lock again without getting on (law 11)."""


@dataclass
class Room:
    """What the conductor works with. ``clock`` is monotonic seconds, ``chance`` in [0, 1)."""

    journal: Ledger
    wire: Wire
    api: Stream
    policy: Policy
    interruption: Interruption
    tell: events.Listener
    stall: float = 60.0
    clock: Callable[[], float] = time.monotonic
    chance: Callable[[], float] = random.random
    throttle: Throttle | None = None


@dataclass
class Carriage:
    """One attempt on its way, with the file it sends (None where it can only be discarded).

    ``metadata`` and ``creator`` are for its create. ``file`` is how the user named it: events
    carry that, or the path of the row.
    """

    room: Room
    attempt: Attempt
    source: Sendable | None = None
    metadata: Mapping[str, str | None] = field(default_factory=dict)
    creator: str | None = None
    file: str = ""
    heard: int = 0
    seen: Seen | None = None
    resumed_from: int | None = None
    _upload: Upload | None = field(default=None, init=False)
    _key: str = field(init=False)
    _adopted: bool = field(init=False)
    _regained: int = field(default=0, init=False)
    _asked: bool = field(default=False, init=False)
    _entry: Entry = field(init=False)
    _shown_at: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self.file = self.file or self.attempt.path
        attempt = self.attempt
        self._entry = Entry(self.room.journal, self.room.clock, attempt)
        # Whatever carries a row holds this lock.
        self._key = key_of(attempt.base, attempt.account, attempt.file.device, attempt.file.inode)
        self._adopted = attempt.uid is not None

    def carry(self) -> Attempt:
        """Go on until nothing is missing or nothing more can be done now; rows of what is gone go.

        Raises `TakenOver` or `Busy` when the lock was lost and another process has gone on with it.
        Raises `LeftoverRemains` or `NotConfirmed` when the journal fails after a UID exists,
        `JournalProblem` before one does.
        """
        if self._wanted_gone():
            self._say_cleaning()
        while not isinstance(step := next_step(self.attempt), Done):
            outcome = self._signal() or self._attended(step)
            if outcome is None:
                continue
            self.seen = outcome if isinstance(outcome, Seen) else self.seen
            self._learn(after(self.attempt, outcome, self.room.policy, self.room.clock()))
        return self._concluded(step.verdict)

    # --- one round -------------------------------------------------------------------------------

    def _signal(self) -> Outcome | None:
        noticed = self.room.interruption.count
        if noticed <= self.heard:
            return None
        self.heard = noticed
        handed = self._upload.handed if self._upload else None
        return Stop(self.room.interruption.signum, hard=noticed > 1, handed=handed)

    def _attended(self, step: Step) -> Outcome | None:
        """Wait as long as the pace asks, brace for the step, and perform it.

        None where the lock was lost meanwhile: then what is missing must be asked anew.
        """
        self._wait()
        if stop := self._signal():
            return stop
        if not self._stands():
            self._regain()
            return None
        if isinstance(step, Create):
            self._record(braced(self.attempt, step))
        try:
            return self._perform(step)
        except Estranged:
            return self._cut_off()
        except CfuploadError:
            raise
        except Cancelled as cancelled:
            if isinstance(step, Create) and not cancelled.sent:
                self._asked = False
                self.attempt = self.attempt.knows(asked=False)
            if stop := self._signal():
                return stop
            return Trouble("the request was given up") if self._stands() else self._cut_off()
        except Exception as bug:  # noqa: BLE001  whatever breaks, the upload is rolled back
            return self._after_bug(bug)

    def _after_bug(self, bug: Exception) -> Outcome:
        """Whatever breaks after the UID exists, the upload is rolled back first (once)."""
        attempt = self.attempt
        if attempt.stage is not Stage.CREATED or attempt.doomed:
            raise bug
        failure = Failure(Reason.BUG, f"Unexpected {type(bug).__name__} while sending")
        now = self.room.clock()
        self._learn(doom(attempt, failure, replace(self.room.policy, keep_failed=False), now))
        return Trouble(failure.message)

    # --- the lock --------------------------------------------------------------------------------

    def _stands(self) -> bool:
        return self.room.journal.stands(self._key)

    def _cut_off(self) -> Outcome:
        """A request was under way when the lock was lost: it is as if it had not been answered."""
        handed = self._upload.handed if self._upload else None
        self._regain()
        return Trouble("the connection to the journal was lost", handed=handed)

    def _regain(self) -> None:
        """Hold the lock again and go on, if nobody else has touched the file's rows meanwhile."""
        room = self.room
        self._regained += 1
        if self._regained > MOST_REGAINED:
            words = "the connection to the journal is lost again and again"
            raise self.unwritten(JournalProblem(words, "Look at the server's log."))
        outage = Outage(
            room.policy, room.interruption, room.tell, room.clock, room.chance, self.file
        )
        try:
            if not room.journal.regain(self._key, outage):
                self._hand_over()
        except JournalProblem as problem:
            raise self.unwritten(problem) from None
        # Whoever had the lock may have sent some of it: what was handed over says nothing now.
        self.attempt = self.attempt.knows(certain=False, handed=None)

    def unwritten(self, problem: JournalProblem) -> CfuploadError:
        """The error of a journal that failed for good: what of this may be on Stream."""
        attempt = self.attempt
        if attempt.uid is None and self._asked and attempt.now.asked:
            words = "whether Stream made a video is not known, its marker is in the journal"
            hint = f"{problem.hint} Then run: cfupload cleanup"
            return LeftoverRemains(f"{problem.message}; {words}", hint)
        return unwritten(attempt, problem)

    def _hand_over(self) -> NoReturn:
        """Another process went on with it; a UID that only this one knows is left to be found."""
        written = self._entry.knows(self.attempt.uid)
        recalled(self.room.journal, self.attempt, written=written)
        raise TakenOver("another process took this upload over")

    def _wait(self) -> None:
        now = self.attempt.now
        backoff = pace.wait(now.backoff, now.retry_after, self.room.chance())
        seconds = max(now.pause, backoff)
        if now.until is not None:
            seconds = min(seconds, max(0.0, now.until - self.room.clock()))
        if seconds <= 0:
            return
        if now.backoff:
            words = now.trouble or "no reply"
            self._tell(events.Retrying(self.file, words, now.backoff, seconds))
        self.room.interruption.pause(seconds, self.heard)

    def _patience(self) -> Patience:
        """For a small call: within a minute, and within what is left for a rollback."""
        until = self.attempt.now.until
        left = CALL_DEADLINE if until is None else max(0.5, until - self.room.clock())
        deadline = min(CALL_DEADLINE, left)
        return Patience(deadline, min(self.room.stall, deadline), self._is_given_up)

    def _is_given_up(self) -> bool:
        return self.room.interruption.count > self.heard or not self._stands()

    def _create_is_given_up(self) -> bool:
        # A create under way may still be answered; its row carries it if it is not.
        interruption = self.room.interruption
        return interruption.count > 1 or interruption.asked_for(CREATE_GRACE)

    def _perform(self, step: Step) -> Outcome:
        attempt, api = self.attempt, self.room.api
        uid, url = attempt.uid or "", attempt.url or ""
        match step:
            case Create():
                headers = self._tus().creation_headers()
                self._asked = True
                if self.creator:
                    headers["upload-creator"] = self.creator
                patience = replace(self._patience(), cancelled=self._create_is_given_up)
                return api.create(headers, patience)
            case Find():
                return api.find(attempt, self._patience)
            case Head():
                return self._tus().head(url, self._patience())
            case Patch():
                return self._patch(url, step)
            case Look():
                return api.look(uid, self._patience())
            case Delete():
                return api.delete(uid, self._patience())
            case Done():
                raise AssertionError("Done asks for nothing")

    def _tus(self) -> Upload:
        if self._upload is None:
            # Costs 0.2 s: only who sends, or must ask an upload URL, pays for it.
            from cfstream_upload.tus import Upload

            self._upload = Upload(self.room.wire, self.attempt.file.size, self.metadata)
        return self._upload

    def _patch(self, url: str, step: Patch) -> Outcome:
        if self.source is None:
            # Stream lost the tail of an upload that is only being cleaned up.
            return FileFault(Failure(Reason.SUPERSEDED, "the upload is not whole after all"))
        patience = Patience(None, self.room.stall, self._is_given_up)
        return self._tus().patch(
            url,
            step,
            self.source,
            patience,
            self._show,
            # Written while the chunk is under way, and not before its last block must leave.
            before_last=lambda: self._brace(step),
            throttle=self.room.throttle,
        )

    # --- what others hear ------------------------------------------------------------------------

    def _tell(self, event: events.Event) -> None:
        self.room.tell(event)

    def _show(self, sent: int) -> None:
        now = self.room.clock()
        if now - self._shown_at < PROGRESS_EVERY:
            return
        self._shown_at = now
        attempt = self.attempt
        self._tell(events.Progress(self.file, attempt.offset, sent, attempt.file.size))

    def _wanted_gone(self) -> bool:
        attempt = self.attempt
        return attempt.uid is not None and (
            bool(attempt.doomed) or attempt.stage is Stage.DISCARDING
        )

    def _is_old(self) -> bool:
        """Whether an earlier process gave bytes of this attempt to a socket, or may have."""
        return self._adopted and self.attempt.now.handed is None and not self.attempt.doomed

    def _say_cleaning(self) -> None:
        failure = self.attempt.now.failure
        words = failure.message if failure else "left over from an earlier run"
        self._tell(events.CleaningUp(self.file, self.attempt.uid or "", words))

    def _learn(self, attempt: Attempt) -> None:
        before, wanted_gone = self.attempt, self._wanted_gone()
        self._asked = self._asked and attempt.now.asked
        self._record(attempt)
        self._regained = 0
        if attempt.now.certain and before.uid and self.resumed_from is None and self._is_old():
            self.resumed_from = attempt.offset
            size = attempt.file.size
            self._tell(events.Resumed(self.file, before.uid, attempt.offset, size))
        if attempt.uid and not before.uid:
            self._tell(events.Created(self.file, attempt.uid))
        if self._wanted_gone() and not wanted_gone:
            self._say_cleaning()
        moved = attempt.offset != before.offset or attempt.stage is not before.stage
        if moved and attempt.stage in (Stage.CREATED, Stage.SENT) and not attempt.doomed:
            size = attempt.file.size
            self._tell(events.Progress(self.file, attempt.offset, attempt.offset, size))
        if attempt.stage is Stage.SENT and before.stage is not Stage.SENT:
            self._tell(events.Confirming(self.file, attempt.uid or ""))

    def _brace(self, step: Step) -> None:
        # Not regained here: bytes of this very request are under way.
        self.attempt = braced(self.attempt, step)
        self.attempt = self._entry.write(self.attempt)

    def _record(self, attempt: Attempt) -> None:
        self.attempt = attempt
        while True:
            try:
                self.attempt = self._entry.write(self.attempt)
            except Estranged:
                self._regain()
            except JournalProblem as problem:
                raise self.unwritten(problem) from None
            else:
                return

    def _remove(self) -> None:
        while True:
            try:
                return self._entry.remove(self.attempt)
            except Estranged:
                self._regain()
            if self._entry.is_forgotten(self.attempt):
                return None  # the reply was lost, and not the deed

    def _concluded(self, verdict: Verdict) -> Attempt:
        attempt = self.attempt
        if attempt.row and verdict in (Verdict.GONE, Verdict.NOTHING):
            if verdict is Verdict.GONE and attempt.uid:
                self._tell(events.Deleted(self.file, attempt.uid))
            self._remove()
            if attempt.uid:
                self._tell(events.CleanedUp(self.file, attempt.uid, attempt.id))
        return attempt
