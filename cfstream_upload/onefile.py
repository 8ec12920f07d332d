"""One file under its lock: its debts, its unfinished uploads, its receipt, or a new video.

The order is the promise: debts of the file are paid before anything is created for it, unfinished
uploads come before receipts, a receipt before a new video.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from uuid import uuid4

from cfstream_upload import events, pace
from cfstream_upload.admission import await_room
from cfstream_upload.attempt import Attempt, Failure, Now, Reason, Stage, Verdict
from cfstream_upload.debts import pay, say_debts, settle_watches
from cfstream_upload.ending import doom
from cfstream_upload.entry import recalled
from cfstream_upload.errors import (
    CfuploadError,
    Estranged,
    Interrupted,
    JournalProblem,
    LeftoverRemains,
    NotConfirmed,
    TakenOver,
    UsageProblem,
)
from cfstream_upload.existing import digest_of, find_existing
from cfstream_upload.session import Session
from cfstream_upload.source import Sendable
from cfstream_upload.transfer import Carriage
from cfstream_upload.verdicts import RENEWABLE, error_of
from cfstream_upload.video import Video, VideoOptions, differing
from cfstream_upload.waiting import Goal

MOST_BEGUN = 3
"""New videos that one run may begin for a file: each only after the one before is proven gone."""

MOST_UNANSWERED = 2

MOST_STARTED_OVER = 10
"""How often one run begins anew with a file whose lock it had lost."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """How files are to be sent: create options, the marker's label, a second video on purpose.

    ``skip_existing``: look for a video of the same bytes first; ``wait``: how far a video is to
    get before its file is done with.
    """

    options: VideoOptions = field(default_factory=VideoOptions)
    label: str = ""
    again: bool = False
    skip_existing: bool = False
    wait: Goal = field(default_factory=Goal)


@dataclass
class OneFile:
    """A file that was opened and locked under ``key``.

    ``prototype`` is what any attempt to send it would look like, ``duration`` the seconds of
    storage to reserve. ``carriage`` is the last attempt that was carried for it, ``begun`` counts
    the videos that this run created, ``retries`` the tries without progress. ``existing`` is a
    video that somebody made of the same bytes, ``digest`` theirs where the file was read for it.
    """

    session: Session
    path: str
    wishes: Wishes
    source: Sendable
    prototype: Attempt
    key: str
    duration: int | None
    carriage: Carriage | None = field(default=None, init=False)
    begun: int = field(default=0, init=False)
    retries: int = field(default=0, init=False)
    existing: Video | None = field(default=None, init=False)
    digest: str | None = field(default=None, init=False)
    _intended: str | None = field(default=None, init=False)

    def rows(self) -> list[Attempt]:
        """The journal's rows of this file, by device and inode or by path."""
        ours = self.prototype
        return self.session.journal.rows_of(ours.base, ours.account, ours.file, ours.path)

    def send(self) -> tuple[Attempt, str]:
        """Bring the file to Stream; the attempt that did, and ``uploaded`` or ``already``.

        Raises the `CfuploadError` that says why not, and what is left.
        """
        for _ in range(MOST_STARTED_OVER):
            try:
                return self._sent()
            except (Estranged, TakenOver):
                self._start_over()
        raise TakenOver("another process sends this file")

    def _start_over(self) -> None:
        """The lock was lost: hold it again; what was known of the file's rows is forgotten."""
        try:
            self.session.regain(self.key, self.path)
            for row in self.rows():
                # A create that never left is no debt, whoever finds its row.
                if row.stage is Stage.INTENDED and row.id == self._unsent():
                    self.session.journal.remove(row, watch=False)
        except Estranged:
            return  # and the next line of the file's way finds that out again
        except JournalProblem as problem:
            carried = self.carriage
            raise carried.unwritten(problem) if carried else problem from None

    def _unsent(self) -> str | None:
        """The id of what this run was about to create, where that is all it did."""
        carried = self.carriage.attempt if self.carriage else None
        if carried is None or carried.id != self._intended:
            return self._intended
        return None if carried.uid or carried.now.asked else self._intended

    def _sent(self) -> tuple[Attempt, str]:
        settle_watches(self.session, self.key)
        self._pay_debts()
        for row in self.rows():
            if row.stage in (Stage.CREATED, Stage.SENT) and not row.doomed:
                done = self._unfinished(row)
                if done is not None:
                    return self._told(done), "uploaded"
        if receipt := self._receipt():
            # A death may have come between the row and the word.
            return receipt if receipt.told else self._told(receipt), "already"
        if self.wishes.skip_existing and (found := self._found_existing()):
            return found, "already"
        self.wishes.options.check_times(self.session.api.date or time.time())
        return self._told(self._begin()), "uploaded"

    def _found_existing(self) -> Attempt | None:
        """What stands for a video that was made of these bytes; it is never recorded."""
        self.digest = digest_of(self.session, self.path, self.source)
        size = self.source.size
        self.existing = find_existing(self.session, self.path, self.digest, size)
        if self.existing is None:
            return None
        self.carriage = None
        return replace(self.prototype, uid=self.existing.uid)

    def _pay_debts(self) -> None:
        """Law 8: debts of the file first; while one with a UID stands, nothing new is created."""
        for row in self.rows():
            if not row.is_debt:
                continue
            paid = pay(self.session, row, self.key)
            if paid is None:
                continue
            self._raise_interruption(paid)
            if paid.now.verdict is Verdict.LEFT and not self._has_expired(paid):
                raise error_of(paid) or LeftoverRemains("A leftover remains", uid=paid.uid)
            if paid.now.verdict is Verdict.UNCONFIRMED and paid.file == self.prototype.file:
                raise error_of(paid) or NotConfirmed("Not confirmed", uid=paid.uid)

    def _is_other_file(self, row: Attempt) -> bool:
        ours, theirs = self.prototype.file, row.file
        return (ours.device, ours.inode) != (theirs.device, theirs.inode)

    def _raise_interruption(self, attempt: Attempt) -> None:
        interruption = self.session.interruption
        if not interruption.count:
            return
        # What was paid is paid: then only the interruption is left to tell.
        settled = attempt.stage is Stage.GONE or attempt.now.verdict is Verdict.STORED
        error = None if settled else error_of(attempt)
        raise error or Interrupted("Interrupted", signum=interruption.signum)

    def _has_expired(self, attempt: Attempt) -> bool:
        date = self.session.api.date
        return attempt.expiry is not None and date is not None and date > attempt.expiry

    def _unfinished(self, row: Attempt) -> Attempt | None:
        """Go on with an unfinished upload; None when it is gone or of another version."""
        ours = self.prototype
        same = row.file == ours.file and row.options == ours.options
        if same or (row.stage is Stage.SENT and row.file == ours.file):
            self._say_started()
            adopted = self._ready(self.session.resumable(row))
            done = self._carry(adopted, {})
            if done.stage is Stage.GONE and self._may_renew(done):
                return None
            if done.now.verdict is Verdict.VANISHED and self.wishes.again:
                self.session.journal.remove(done)
                return None
            self._raise_error(done)
            return done if same else None
        if row.kept:
            words = f"the kept upload {row.uid} is of another version or has other options: left"
            self.session.tell(events.Notice(self.path, words))
            return None
        wanted = row
        if row.stage is Stage.CREATED:
            other = Failure(Reason.SUPERSEDED, "the file or its options are no longer the same")
            now = self.session.room.clock()
            wanted = doom(row, other, self.session.policy, now)
            if self.session.key(row) == self.key:
                self.session.journal.record(replace(wanted, now=Now()))
            # Another file's row is written under its own lock only: `pay` carries the wish there.
        paid = pay(self.session, wanted, self.key)
        if paid is not None:
            self._raise_interruption(paid)
            if paid.now.verdict is Verdict.LEFT and not self._has_expired(paid):
                self._raise_error(paid)
        return None

    def _receipt(self) -> Attempt | None:
        """The video that an earlier run reported for this very file, if Stream still has it."""
        receipts = [
            row
            for row in self.rows()
            if row.stage is Stage.STORED and row.file == self.prototype.file
        ]
        alike = [row for row in receipts if row.options == self.prototype.options]
        if self.wishes.again:
            # A second video that a death kept from being told is the one that was asked for.
            receipts = alike = [row for row in alike if not row.told]
        if not receipts:
            return None
        receipt = (alike or receipts)[-1]
        if receipt.options != self.prototype.options:
            names = ", ".join(differing(receipt.options, self.prototype.options))
            raise UsageProblem(
                f"This file was already sent as {receipt.uid} with other values of {names}",
                "Use the same options, change the video itself, or make a second one with --again.",
                uid=receipt.uid,
            )
        done = self._carry(receipt, {})
        self._raise_error(done)
        return done

    def _say_started(self) -> None:
        self.session.told(events.Started(self.path, self.source.identity.size))

    def _begin(self) -> Attempt:
        self._say_started()
        quota_settled = False
        failure: Failure | None = None
        while True:
            self._refuse_third_unanswered(failure)
            await_room(self.session, self.path)
            attempt = replace(self.prototype, id=uuid4().hex, host=self.session.host)
            self._intended = attempt.id
            attempt = self._ready(self.session.journal.record(attempt))
            self.begun += 1
            metadata = self.wishes.options.metadata(
                attempt.marker, self.source.name, self.duration, self.digest
            )
            done = self._carry(attempt, metadata)
            failure = done.now.failure
            if done.now.verdict is Verdict.STORED:
                return done
            quota = failure is not None and failure.reason is Reason.QUOTA
            if quota and done.uid is None and not quota_settled:
                # Law 2: a full account may be full of what lost creates of ours reserved.
                quota_settled = True
                if settle_watches(self.session, self.key, at_once=True):
                    continue
            if not self._may_renew(done):
                self._raise_error(done)
            self._pay_debts()

    def _refuse_third_unanswered(self, last: Failure | None) -> None:
        lost = [
            row
            for row in self.rows()
            if row.stage is Stage.INTENDED and not self._is_other_file(row)
        ]
        if len(lost) >= MOST_UNANSWERED:
            said = f" (the last: {last.message})" if last else ""
            raise LeftoverRemains(
                f"Two create calls for this file were not answered{said}; "
                "Stream may have made videos",
                "Wait and run: cfupload cleanup (or write one off: "
                f"cfupload cleanup --forget {lost[0].id})",
            )

    def _may_renew(self, done: Attempt) -> bool:
        """Whether the file may be tried with a new video in this run (law 11 bounds it)."""
        if self.session.interruption.count or self.begun >= MOST_BEGUN:
            return False
        reason = done.now.failure.reason if done.now.failure else Reason.TROUBLE
        if done.now.verdict is Verdict.UNANSWERED:
            return reason is Reason.TROUBLE
        # The first failure is kept for people: that a create was lost shows in the wish alone.
        return done.stage is Stage.GONE and (
            reason in RENEWABLE or done.doomed == Reason.STRAY.value
        )

    def _ready(self, attempt: Attempt) -> Attempt:
        largest = self.session.policy.largest_chunk
        return attempt.knows(chunk=pace.legal(pace.FIRST, largest))

    def _carry(self, attempt: Attempt, metadata: dict[str, str | None]) -> Attempt:
        self.carriage = Carriage(
            self.session.room,
            attempt,
            self.source,
            metadata,
            self.wishes.options.creator,
            self.path,
        )
        try:
            return self.carriage.carry()
        finally:
            self.retries += self.carriage.attempt.now.retries

    def _raise_error(self, done: Attempt) -> None:
        reason = done.now.failure.reason if done.now.failure else None
        stray = reason in RENEWABLE or done.doomed == Reason.STRAY.value
        if done.stage is Stage.GONE and stray:
            self._raise_interruption(done)
        seen = self.carriage.seen if self.carriage else None
        if done.now.verdict is Verdict.UNPROCESSED and seen and not done.now.failure:
            # A receipt: why Stream could not process it was learned just now.
            done = done.knows(failure=Failure(Reason.PROCESSING, seen.detail or "no reason given"))
        error = error_of(done)
        if error is not None:
            raise error

    def _told(self, done: Attempt) -> Attempt:
        """Law 9: that the UID is told is written before it is told."""
        try:
            told = self._recorded(replace(done, told=True, now=Now()))
        except TakenOver:
            raise  # whoever has it now may have told it: its receipt says
        except CfuploadError as problem:
            words = f"The video {done.uid} is on Stream, but that could not be recorded"
            raise NotConfirmed(f"{words}: {problem.message}", problem.hint, uid=done.uid) from None
        self._pay_what_is_left()
        return told

    def _recorded(self, attempt: Attempt) -> Attempt:
        for _ in range(MOST_STARTED_OVER):
            try:
                return self.session.journal.record(attempt)
            except Estranged:
                if not self.session.regain(self.key, self.path):
                    recalled(self.session.journal, replace(attempt, told=False), written=True)
                    raise TakenOver("another process took this upload over") from None
        words = "the connection to the journal is lost again and again"
        raise JournalProblem(words, "Look at the server's log.")

    def _pay_what_is_left(self) -> None:
        """Twins of a create that a proxy repeated; they change nothing of this success."""
        try:
            for row in self.rows():
                if row.is_debt and row.uid is not None:
                    pay(self.session, row, self.key)
        except CfuploadError as problem:
            self.session.tell(events.Notice(self.path, problem.message))
        say_debts(self.session, self.path, self.key)
