"""Sending files: open, lock, send, and say what became of each.

The lock is held from before the first row is read until the end; what happens under it is
`onefile`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from cfstream_upload import calling, events
from cfstream_upload.attempt import Attempt, Identity, Stage, Verdict, is_label
from cfstream_upload.config import Settings
from cfstream_upload.container import require_video
from cfstream_upload.ending import Policy
from cfstream_upload.errors import (
    CfuploadError,
    Interrupted,
    JournalProblem,
    LeftoverRemains,
    Unreached,
    UsageProblem,
)
from cfstream_upload.interruption import Interruption
from cfstream_upload.onefile import OneFile, Wishes
from cfstream_upload.result import Result
from cfstream_upload.session import Session
from cfstream_upload.source import Sendable
from cfstream_upload.stores import Stores
from cfstream_upload.video import VideoOptions, reserved_seconds
from cfstream_upload.waiting import Goal, Vigil, wait_for_sent

__all__ = ["Goal", "Sending", "Wishes", "send"]


@dataclass
class Sending:
    """One file of one session, from its path to its `Result`."""

    session: Session
    path: str
    wishes: Wishes
    known: Result | None = None
    """What somebody else knows was sent: there is only the wait left to do."""
    _file: OneFile | None = field(default=None, init=False)
    _size: int | None = field(default=None, init=False)
    _modified: int | None = field(default=None, init=False)

    def run(self) -> Result:
        """Send the file. A failure is in the result; only what is no `CfuploadError` is raised."""
        started = time.monotonic()
        if self.known is not None:
            result = self._waited_for(self.known, started)
            return self._ended(replace(result, seconds=round(time.monotonic() - started, 3)))
        try:
            attempt, outcome = self._opened()
        except CfuploadError as error:
            result = self._failed(self._judged(error))
        else:
            result = self._waited_for(self._succeeded(attempt, outcome), started)
        seconds = round(time.monotonic() - started, 3)
        return self._ended(replace(result, seconds=seconds, modified=self._modified))

    def _ended(self, result: Result) -> Result:
        self.session.finished(result)
        return result

    def _judged(self, error: CfuploadError) -> CfuploadError:
        """Law 10: who is asked to stop while a journal is waited for was interrupted."""
        interruption = self.session.interruption
        if isinstance(error, Unreached) and interruption.count:
            words = f"Interrupted: {error.message}"
            return Interrupted(words, error.hint, signum=interruption.signum)
        return error

    # --- results ---------------------------------------------------------------------------------

    def _succeeded(self, attempt: Attempt, outcome: str) -> Result:
        file = self._file
        carriage = file.carriage if file else None
        seen = (file.existing or (carriage.seen if carriage else None)) if file else None
        resumed_from = carriage.resumed_from if carriage else None
        if resumed_from is None:
            # No HEAD was needed: what an earlier run began was whole already.
            begun = outcome == "already" or (file is not None and file.begun)
            resumed_from = 0 if begun else attempt.file.size
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
            attempts=max(1, file.begun) if file else 1,
            retries=file.retries if file else 0,
            links=dict(seen.links) if seen else {},
        )

    def _waited_for(self, result: Result, started: float) -> Result:
        """``result`` once its video is as far as was wished; its file's lock is free by now."""
        goal, uid = self.wishes.wait, result.uid
        if goal.until == "stored" or uid is None:
            return result
        result = replace(result, waited=True)
        so_far = replace(result, seconds=round(time.monotonic() - started, 3))
        self.session.tell(events.Uploaded(self.path, uid, so_far.document()))
        room = self.session.room
        vigil = Vigil(self.session, uid, goal, self.path, room.clock, room.chance)
        problem: CfuploadError | None = None
        try:
            wait_for_sent(vigil)
        except CfuploadError as error:
            problem = error
        if vigil.video is not None:
            result = replace(result, state=vigil.video.state, links=vigil.video.links)
        if problem is None:
            return result
        outcome = "interrupted" if self.session.interruption.count else "failed"
        return replace(result, outcome=outcome, exit_code=problem.exit_code, error=problem)

    def _failed(self, error: CfuploadError) -> Result:
        file = self._file
        attempt = file.carriage.attempt if file and file.carriage else None
        cleanup = "none"
        if isinstance(error, LeftoverRemains):
            cleanup = "pending"
        elif attempt is not None and attempt.uid is not None:
            verdict = attempt.now.verdict
            if attempt.stage is Stage.GONE:
                cleanup = "confirmed"
            elif verdict is Verdict.KEPT:
                cleanup = "kept"
            elif attempt.is_debt:
                cleanup = "pending"
        return Result(
            file=self.path,
            outcome="interrupted" if isinstance(error, Interrupted) else "failed",
            uid=error.uid,
            size=self._size,
            attempts=file.begun if file else 0,
            retries=file.retries if file else 0,
            cleanup=cleanup,
            exit_code=error.exit_code,
            error=error,
        )

    # --- from the path to the lock ---------------------------------------------------------------

    def _opened(self) -> tuple[Attempt, str]:
        if self.session.interruption.count:
            raise Interrupted("Interrupted", signum=self.session.interruption.signum)
        with self.session.stores.open(self.path) as source:
            self._size, self._modified = source.identity.size, source.identity.mtime_ns
            container = source.probe()
            require_video(container)
            self.wishes.options.check_duration(container.duration)
            duration = reserved_seconds(container.duration)
            if duration is None and self.wishes.options.max_duration_seconds is None:
                words = "the duration is unknown or above ten hours: Stream reserves its default"
                self.session.tell(events.Notice(self.path, words))
            prototype = prototype_of(self.session, source, self.wishes)
            key = self.session.key(prototype)
            _ = self.session.journal  # unusable: exit 10, before a lock file is made
            file = OneFile(self.session, self.path, self.wishes, source, prototype, key, duration)
            with self.session.lock(key, source.fileno()), self._own_debts_told(file):
                self._file = file
                return file.send()

    @contextmanager
    def _own_debts_told(self, file: OneFile) -> Iterator[None]:
        """Law 8: a run that fails and leaves a debt of its own file exits 7, whatever failed."""
        try:
            yield
        except CfuploadError as error:
            if error.exit_code not in (2, 3, 4, 5, 6, 130, 143):
                raise
            try:
                rows = file.rows()
            except JournalProblem:
                raise error from None  # what became of this run is known
            debts = [row for row in rows if row.is_debt]
            # What a killed run left is no debt, and pending all the same: this code must say so.
            unfinished = [row for row in rows if self._is_unfinished(row, file.key)]
            if not debts and not unfinished:
                raise
            uid = next((row.uid for row in (*debts, *unfinished) if row.uid), None)
            words, hint = "still waits to be removed", "It is recorded. Run: cfupload cleanup"
            if not debts:
                words = "that was interrupted earlier is still unfinished"
                hint = "The same command goes on with it. To discard it: cfupload cleanup --orphans"
            words = f"{error.message}; an upload of this file {words}"
            raise LeftoverRemains(words, hint, uid=uid) from None

    def _is_unfinished(self, row: Attempt, key: str) -> bool:
        # Another file's row, found by the path, may be run by somebody else.
        return row.stage is Stage.CREATED and not row.kept and self.session.key(row) == key


def named(session: Session, source: Sendable) -> Identity:
    """``source`` as the journal names it; what has one name everywhere keeps it."""
    if source.anywhere:
        return source.identity
    return session.named(source.identity, source.path)


def prototype_of(session: Session, source: Sendable, wishes: Wishes) -> Attempt:
    """What any attempt to send ``source`` would look like: not yet one, for it has no marker."""
    settings = session.settings
    return Attempt(
        id="", host="", label=wishes.label,
        base=settings.base, account=settings.account,
        path=source.path, file=named(session, source),
        options=wishes.options.canonical(), started=time.time(),
    )  # fmt: skip


def send(
    path: str | os.PathLike[str],
    settings: Settings | None = None,
    *,
    options: VideoOptions | None = None,
    policy: Policy | None = None,
    label: str = "",
    again: bool = False,
    skip_existing: bool = False,
    wait: Goal | None = None,
    on_event: events.Listener | None = None,
    interruption: Interruption | None = None,
) -> Result:
    """Upload one file as exactly one video and wait until Stream has it, or is as far as ``wait``.

    ``path`` may be a URL: ``s3://``, ``gs://``, ``https://``, ``http://`` or ``sftp://``.
    ``settings`` come from `cfstream_upload.settings`; left out, from the environment and the config
    file, as the command's do. ``on_event`` hears what happens, in the calling thread.
    ``interruption.stop()`` from any thread rolls the upload back. Threads may send different files
    at once, each with a call of its own.

    Raises a `CfuploadError`, whose ``exit_code`` tells the kind; after it nothing is left on
    Stream, or the journal records what is. What interrupts the calling thread (Ctrl-C, say), or is
    raised by ``on_event``, is raised once the upload is rolled back.
    """
    given, name = settings or calling.settings(), os.fsdecode(path)
    label = label or given.label
    if label and not is_label(label):
        hint = "Up to 64 letters, digits and _ . : / @ + - , no dot or slash first."
        raise UsageProblem(f"The label {label!r} cannot stand in a marker", hint)
    chosen = (options or VideoOptions()).checked()
    stores = Stores()
    shown = stores.admit(name)
    wishes = Wishes(chosen, label, again, skip_existing, wait or Goal())

    def work(ours: Interruption, tell: events.Listener) -> Result:
        for warning in () if settings else given.warnings:
            tell(events.Notice(shown, warning))
        with Session(given, policy or Policy(), ours, tell, stores=stores) as session:
            return Sending(session, shown, wishes).run()

    result = calling.carried_aside(work, on_event, interruption or Interruption())
    if result.error is not None:
        raise result.error
    return result
