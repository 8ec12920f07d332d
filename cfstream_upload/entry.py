"""One attempt's entry in the journal: what a new process must know of it, and when it goes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from cfstream_upload.attempt import Attempt, Now, Reason, Stage
from cfstream_upload.errors import Estranged, JournalProblem, LeftoverRemains, NotConfirmed
from cfstream_upload.ledger import Ledger

HINT_EVERY = 1.0


class Entry:
    """The entry of one attempt, as it was last written. ``clock`` is monotonic seconds."""

    def __init__(self, journal: Ledger, clock: Callable[[], float], attempt: Attempt) -> None:
        self._journal = journal
        self._clock = clock
        self._written = attempt if attempt.row else None
        self._written_at = 0.0

    def write(self, attempt: Attempt) -> Attempt:
        """Write what a new process must know; an offset alone is a hint and may wait.

        The answer has its row. Raises `LeftoverRemains` or `NotConfirmed` when the journal fails
        after a UID exists, `JournalProblem` before one does.
        """
        # What is gone is not written: its row goes next, and a death between leaves a debt.
        if attempt.stage is Stage.GONE or self._is_written(attempt):
            return attempt
        try:
            # Its create may have been repeated on the way: what came of that is still looked for.
            arrives = attempt.stage is Stage.STORED
            recorded = self._journal.record(replace(attempt, now=Now()), watch=arrives)
            self._write_twins(recorded, attempt.now.twins)
        except Estranged:
            raise  # whoever holds the lock regains it, and writes it then
        except JournalProblem as problem:
            raise unwritten(attempt, problem) from None
        self._written = replace(attempt, row=recorded.row).knows(twins=())
        self._written_at = self._clock()
        return self._written

    def knows(self, uid: str | None) -> bool:
        """Whether the entry holds this UID: whoever takes it over finds it there."""
        return self._written is not None and self._written.uid == uid

    def remove(self, attempt: Attempt) -> None:
        """Remove what is gone. Raises as `write` does, but not where the row went all the same."""
        try:
            # A create that left may be repeated late, whatever its first answer said.
            self._journal.remove(attempt, watch=_has_left(attempt))
        except Estranged:
            raise
        except JournalProblem as problem:
            if not self.is_forgotten(attempt):
                raise unwritten(attempt, problem) from None

    def _is_written(self, attempt: Attempt) -> bool:
        if self._written is None or attempt.now.twins:
            return False
        if attempt == self._written:
            return True
        only_offset = replace(attempt, offset=self._written.offset) == self._written
        return only_offset and self._clock() - self._written_at < HINT_EVERY

    def _write_twins(self, attempt: Attempt, uids: tuple[str, ...]) -> None:
        """Other videos that one create made: a row each, to be discarded (law 1)."""
        if not uids:
            return
        known = {row.uid for row in self._journal.about(uids, [])}
        for uid in sorted(set(uids) - known):
            self._journal.record(stray(attempt, uid))

    def is_forgotten(self, attempt: Attempt) -> bool:
        """Whether the row went although its removal failed: the last sync comes after the deed."""
        try:
            found = self._journal.again(attempt)
        except JournalProblem:
            return False
        return found is None or found.id != attempt.id


def recalled(journal: Ledger, attempt: Attempt, *, written: bool) -> None:
    """Record an upload again that the journal lost sight of; ``written``: its UID was in there.

    Its file's lock is held. Whoever had the lock meanwhile found what was written, and settled it
    or left a trace: without one, the journal was restored from an older copy. Where nobody has
    begun anything for the file, the upload goes on from this row; else it is to be discarded.
    """
    if attempt.uid is None or attempt.stage is Stage.GONE:
        return
    base, account = attempt.base, attempt.account
    known = journal.about([attempt.uid], [attempt.id])
    if any(row.uid == attempt.uid for row in known):
        return
    # Its row from before the UID came: two rows must not come to look for one video.
    row = next((one.row for one in known if one.uid is None), 0)
    if written and not row and any(w.id == attempt.id for w in journal.watches(base, account)):
        return
    lost = replace(attempt, row=row, now=Now())
    others = journal.rows_of(base, account, attempt.file, attempt.path)
    if any(one.id != attempt.id for one in others):
        stage = attempt.stage if attempt.stage is Stage.DISCARDING else Stage.CREATED
        lost = replace(lost, stage=stage, doomed=Reason.STRAY.value, kept=False, told=False)
    journal.record(lost)


def unwritten(
    attempt: Attempt, problem: JournalProblem
) -> JournalProblem | LeftoverRemains | NotConfirmed:
    """The error of an upload whose journal failed for good: what of it may be on Stream."""
    if attempt.uid is None:
        return problem
    if attempt.stage is Stage.GONE:
        words = f"The upload {attempt.uid} is gone from Stream, but its journal entry may remain"
        hint = f"{problem.hint} Then run: cfupload cleanup"
        return LeftoverRemains(f"{words}: {problem.message}", hint, uid=attempt.uid)
    if attempt.stage in (Stage.SENT, Stage.STORED):
        words = f"The video {attempt.uid} is on Stream, but that could not be recorded"
        return NotConfirmed(f"{words}: {problem.message}", problem.hint, uid=attempt.uid)
    to_discard = f"cfupload cleanup --orphans {attempt.uid}"
    if attempt.doomed or attempt.stage is Stage.DISCARDING:
        words = f"The upload {attempt.uid} could not be removed"
        hint = f"{problem.hint} Then run: {to_discard}"
    else:
        words = f"The upload {attempt.uid} cannot go on"
        hint = f"{problem.hint} The same command goes on with it; to discard it: {to_discard}"
    return LeftoverRemains(f"{words}: {problem.message}", hint, uid=attempt.uid)


def _has_left(attempt: Attempt) -> bool:
    """Whether the create of ``attempt`` reached Stream: it was answered, if only with a no."""
    failure = attempt.now.failure
    refused = failure is not None and failure.reason in (Reason.REFUSED, Reason.QUOTA)
    return attempt.uid is not None or refused


def stray(attempt: Attempt, uid: str) -> Attempt:
    """A video that carries the marker of ``attempt`` and is not it: to be discarded."""
    return replace(
        attempt,
        row=0, stage=Stage.CREATED, uid=uid, url=None, offset=0, tail=False, since=None,
        doomed=Reason.STRAY.value, kept=False, told=False, now=Now(),
    )  # fmt: skip
