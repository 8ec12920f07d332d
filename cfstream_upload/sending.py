"""Sending one file: lock, debts, resume or begin, result. One video, whatever broke before.

The order is the promise: the lock is held from before the first row is read; debts of the file are
paid before anything is created for it; unfinished uploads come before receipts; a receipt before
a new video.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from uuid import uuid4

from cfstream_upload import events, pace
from cfstream_upload.attempt import Attempt, Failure, Now, Reason, Stage, Verdict
from cfstream_upload.config import Settings
from cfstream_upload.debts import pay, say_debts, settle_watches
from cfstream_upload.ending import Policy, doom
from cfstream_upload.errors import (
    CfuploadError,
    Interrupted,
    LeftoverRemains,
    NotConfirmed,
    UsageProblem,
)
from cfstream_upload.interruption import Interruption
from cfstream_upload.result import Result
from cfstream_upload.session import Session
from cfstream_upload.source import Source, require_video
from cfstream_upload.transfer import Carriage
from cfstream_upload.verdicts import RENEWABLE, error_of
from cfstream_upload.video import VideoOptions, differing, reserved_seconds

MOST_BEGUN = 3
"""New videos that one run may begin for a file: each only after the one before is proven gone."""

MOST_UNANSWERED = 2


@dataclass(frozen=True, slots=True)
class Wishes:
    """How files are to be sent: create options, the marker's label, a second video on purpose."""

    options: VideoOptions = field(default_factory=VideoOptions)
    label: str = ""
    again: bool = False


@dataclass
class Sending:
    """One file of one session, from its path to its `Result`."""

    session: Session
    path: str
    wishes: Wishes
    _carriage: Carriage | None = field(default=None, init=False)
    _begun: int = field(default=0, init=False)
    _retries: int = field(default=0, init=False)
    _size: int | None = field(default=None, init=False)

    def run(self) -> Result:
        """Send the file. A failure is in the result; only what is no `CfuploadError` is raised."""
        started = time.monotonic()
        try:
            attempt, outcome = self._opened()
        except CfuploadError as error:
            result = self._failed(error)
        else:
            result = self._succeeded(attempt, outcome)
        return replace(result, seconds=round(time.monotonic() - started, 3))

    # --- results ---------------------------------------------------------------------------------

    def _succeeded(self, attempt: Attempt, outcome: str) -> Result:
        carriage = self._carriage
        seen = carriage.seen if carriage else None
        resumed_from = (carriage.resumed_from if carriage else None) or 0
        if outcome == "uploaded" and resumed_from:
            outcome = "resumed"
        sent = 0 if outcome == "already" else attempt.file.size - resumed_from
        return Result(
            file=self.path,
            outcome=outcome,
            uid=attempt.uid,
            state=seen.state if seen else None,
            size=attempt.file.size,
            sent=sent,
            resumed_from=resumed_from,
            attempts=max(1, self._begun),
            retries=self._retries,
            links=dict(seen.links) if seen else {},
        )

    def _failed(self, error: CfuploadError) -> Result:
        attempt = self._carriage.attempt if self._carriage else None
        cleanup = "none"
        if attempt is not None and attempt.uid is not None:
            verdict = attempt.now.verdict
            if attempt.stage is Stage.GONE:
                cleanup = "confirmed"
            elif verdict is Verdict.KEPT:
                cleanup = "kept"
            elif attempt.is_debt:
                cleanup = "pending"
        elif isinstance(error, LeftoverRemains):
            cleanup = "pending"
        return Result(
            file=self.path,
            outcome="interrupted" if isinstance(error, Interrupted) else "failed",
            uid=error.uid,
            size=self._size,
            attempts=self._begun,
            retries=self._retries,
            cleanup=cleanup,
            exit_code=error.exit_code,
            error=error,
        )

    # --- from the path to the lock ---------------------------------------------------------------

    def _opened(self) -> tuple[Attempt, str]:
        if self.session.interruption.count:
            raise Interrupted("Interrupted", signum=self.session.interruption.signum)
        with Source.open(self.path) as source:
            self._size = source.identity.size
            container = source.probe()
            require_video(container)
            duration = reserved_seconds(container.duration)
            if duration is None and self.wishes.options.max_duration_seconds is None:
                words = "the duration is unknown or above ten hours: Stream reserves its default"
                self.session.tell(events.Notice(self.path, words))
            settings = self.session.settings
            prototype = Attempt(
                id="", host="", label=self.wishes.label,
                base=settings.base, account=settings.account,
                path=source.path, file=source.identity,
                options=self.wishes.options.canonical(), started=time.time(),
            )  # fmt: skip
            key = self.session.key(prototype)
            _ = self.session.journal  # unusable: exit 10, before a lock file is made
            with self.session.lock(key, source.fileno()), self._own_debts_told(prototype):
                self.session.tell(events.Started(self.path, source.identity.size))
                return self._locked(source, prototype, key, duration)

    @contextmanager
    def _own_debts_told(self, prototype: Attempt) -> Iterator[None]:
        """Law 8: a run that fails and leaves a debt of its own file exits 7, whatever failed."""
        try:
            yield
        except CfuploadError as error:
            plain = error.exit_code in (2, 3, 4, 5, 6, 130, 143)
            debts = [row for row in self._rows(prototype) if row.is_debt] if plain else []
            if not debts:
                raise
            uid = next((row.uid for row in debts if row.uid), None)
            words = f"{error.message}; an upload of this file still waits to be removed"
            raise LeftoverRemains(words, "It is recorded. Run: cfupload cleanup", uid=uid) from None

    def _rows(self, prototype: Attempt) -> list[Attempt]:
        return self.session.journal.rows_of(
            prototype.base, prototype.account, prototype.file, prototype.path
        )

    # --- under the lock --------------------------------------------------------------------------

    def _locked(
        self, source: Source, prototype: Attempt, key: str, duration: int | None
    ) -> tuple[Attempt, str]:
        settle_watches(self.session, key)
        self._pay_debts(prototype, key)
        for row in self._rows(prototype):
            if row.stage in (Stage.CREATED, Stage.SENT) and not row.doomed:
                done = self._unfinished(row, source, prototype, key)
                if done is not None:
                    return self._told(done, key), "uploaded"
        if not self.wishes.again and (receipt := self._receipt(prototype)):
            # A death may have come between the row and the word.
            return receipt if receipt.told else self._told(receipt, key), "already"
        return self._told(self._begin(source, prototype, key, duration), key), "uploaded"

    def _pay_debts(self, prototype: Attempt, key: str) -> None:
        """Law 8: debts of the file first; while one with a UID stands, nothing new is created."""
        for row in self._rows(prototype):
            if not row.is_debt:
                continue
            paid = pay(self.session, row, key)
            if paid is None:
                continue
            self._raise_interruption(paid)
            if paid.now.verdict is Verdict.LEFT and not self._has_expired(paid):
                raise error_of(paid) or LeftoverRemains("A leftover remains", uid=paid.uid)
            if paid.now.verdict is Verdict.UNCONFIRMED and paid.file == prototype.file:
                raise error_of(paid) or NotConfirmed("Not confirmed", uid=paid.uid)

    @staticmethod
    def _is_other_file(row: Attempt, prototype: Attempt) -> bool:
        ours, theirs = prototype.file, row.file
        return (ours.device, ours.inode) != (theirs.device, theirs.inode)

    def _raise_interruption(self, attempt: Attempt) -> None:
        interruption = self.session.interruption
        if not interruption.count:
            return
        error = error_of(attempt) if attempt.now.verdict is not Verdict.STORED else None
        raise error or Interrupted("Interrupted", signum=interruption.signum)

    def _has_expired(self, attempt: Attempt) -> bool:
        date = self.session.api.date
        return attempt.expiry is not None and date is not None and date > attempt.expiry

    def _unfinished(
        self, row: Attempt, source: Source, prototype: Attempt, key: str
    ) -> Attempt | None:
        """Go on with an unfinished upload; None when it is gone or of another version."""
        same = row.file == prototype.file and row.options == prototype.options
        if same or (row.stage is Stage.SENT and row.file == prototype.file):
            adopted = self._ready(self.session.resumable(row))
            done = self._carry(adopted, source, {})
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
            self.session.journal.record(replace(wanted, now=Now()))
        paid = pay(self.session, wanted, key)
        if paid is not None:
            self._raise_interruption(paid)
            if paid.now.verdict is Verdict.LEFT and not self._has_expired(paid):
                self._raise_error(paid)
        return None

    def _receipt(self, prototype: Attempt) -> Attempt | None:
        """The video that an earlier run reported for this very file, if Stream still has it."""
        receipts = [
            row
            for row in self._rows(prototype)
            if row.stage is Stage.STORED and row.file == prototype.file
        ]
        if not receipts:
            return None
        receipt = receipts[-1]
        if receipt.options != prototype.options:
            names = ", ".join(differing(receipt.options, prototype.options))
            raise UsageProblem(
                f"This file was already sent as {receipt.uid} with other values of {names}",
                "Use the same options, change the video itself, or make a second one with --again.",
                uid=receipt.uid,
            )
        done = self._carry(receipt, None, {})
        self._raise_error(done)
        return done

    def _begin(self, source: Source, prototype: Attempt, key: str, duration: int | None) -> Attempt:
        quota_settled = False
        while True:
            self._refuse_third_unanswered(prototype)
            attempt = replace(prototype, id=uuid4().hex, host=self.session.host)
            attempt = self._ready(self.session.journal.record(attempt))
            self._begun += 1
            name = source.path.rpartition(os.sep)[2]
            metadata = self.wishes.options.metadata(attempt.marker, name, duration)
            done = self._carry(attempt, source, metadata)
            failure = done.now.failure
            if done.now.verdict is Verdict.STORED:
                return done
            quota = failure is not None and failure.reason is Reason.QUOTA
            if quota and done.uid is None and not quota_settled:
                # Law 2: a full account may be full of what lost creates of ours reserved.
                quota_settled = True
                if settle_watches(self.session, key):
                    continue
            if not self._may_renew(done):
                self._raise_error(done)
            self._pay_debts(prototype, key)

    def _refuse_third_unanswered(self, prototype: Attempt) -> None:
        lost = [
            row
            for row in self._rows(prototype)
            if row.stage is Stage.INTENDED and not self._is_other_file(row, prototype)
        ]
        if len(lost) >= MOST_UNANSWERED:
            raise LeftoverRemains(
                "Two create calls for this file were not answered; Stream may have made videos",
                "Wait and run: cfupload cleanup (or write one off: "
                f"cfupload cleanup --forget {lost[0].id})",
            )

    def _may_renew(self, done: Attempt) -> bool:
        """Whether the file may be tried with a new video in this run (law 11 bounds it)."""
        if self.session.interruption.count or self._begun >= MOST_BEGUN:
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

    def _carry(
        self, attempt: Attempt, source: Source | None, metadata: dict[str, str | None]
    ) -> Attempt:
        self._carriage = Carriage(
            self.session.room,
            attempt,
            source,
            metadata,
            self.wishes.options.creator,
            self.path,
        )
        try:
            return self._carriage.carry()
        finally:
            self._retries += self._carriage.attempt.now.retries

    @staticmethod
    def _raise_error(done: Attempt) -> None:
        error = error_of(done)
        if error is not None:
            raise error

    def _told(self, done: Attempt, key: str) -> Attempt:
        """Law 9: that the UID is told is written before it is told."""
        try:
            told = self.session.journal.record(replace(done, told=True, now=Now()), watch=True)
        except CfuploadError as problem:
            words = f"The video {done.uid} is on Stream, but that could not be recorded"
            raise NotConfirmed(f"{words}: {problem.message}", problem.hint, uid=done.uid) from None
        self._pay_what_is_left(told, key)
        return told

    def _pay_what_is_left(self, told: Attempt, key: str) -> None:
        """Twins of a create that a proxy repeated; they change nothing of this success."""
        try:
            for row in self._rows(told):
                if row.is_debt and row.uid is not None:
                    pay(self.session, row, key)
        except CfuploadError as problem:
            self.session.tell(events.Notice(self.path, problem.message))
        say_debts(self.session, self.path)


def send_all(session: Session, paths: list[str], wishes: Wishes) -> Iterator[Result]:
    """Send files one after the other; after a signal the rest is skipped."""
    for path in paths:
        if session.interruption.count:
            yield Result(file=path, outcome="skipped")
        else:
            yield Sending(session, path, wishes).run()


def send(
    path: str | os.PathLike[str],
    settings: Settings,
    *,
    options: VideoOptions | None = None,
    policy: Policy | None = None,
    label: str = "",
    again: bool = False,
    on_event: events.Listener | None = None,
    interruption: Interruption | None = None,
) -> Result:
    """Upload one file as exactly one video and wait until Stream has it.

    ``settings`` come from `cfstream_upload.config.resolve`. ``on_event`` hears what happens, in
    the calling thread; ``interruption.stop()`` from any thread rolls the upload back. Raises a
    `CfuploadError`, whose ``exit_code`` tells the kind; after it nothing is left on Stream, or the
    journal records what is.
    """
    with Session(
        settings,
        policy or Policy(),
        interruption or Interruption(),
        on_event or (lambda event: None),
    ) as session:
        wishes = Wishes((options or VideoOptions()).checked(), label or settings.label, again)
        result = Sending(session, os.fspath(path), wishes).run()
    if result.error is not None:
        raise result.error
    return result
