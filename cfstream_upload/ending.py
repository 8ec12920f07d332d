"""How an attempt comes to its end: the budget, the wish, the decision, the verdict. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from cfstream_upload import pace
from cfstream_upload.attempt import (
    PENDING,
    Attempt,
    Failure,
    Reason,
    Stage,
    Verdict,
)


@dataclass(frozen=True, slots=True)
class Policy:
    """What the user wants when things go wrong. Times are seconds.

    ``retries`` and ``retry_max_time`` bound a time without progress, ``confirm`` how long Stream
    is asked about a file it should have, ``rollback`` and ``hurried`` the time for deleting after
    a failure and after a signal, ``find_pauses`` the waits before each look for a lost create,
    ``proof_gap`` the time between the two GETs that prove absence.
    """

    retries: int = 8
    retry_max_time: float = 600.0
    confirm: float = 60.0
    rollback: float = 60.0
    hurried: float = 8.0
    find_pauses: tuple[float, ...] = (0.0, 2.0, 3.0, 5.0)
    proof_gap: float = 1.5
    look_gap: float = 2.0
    largest_chunk: int = pace.LARGEST
    keep_failed: bool = False
    keep_unprocessed: bool = False


ROLLBACK_TRIES = 8
"""Deleting what failed has a budget of its own, whatever ``retries`` says of sending."""


def spend(attempt: Attempt, message: str, policy: Policy, at: float) -> Attempt:
    """One try more without progress; a spent budget ends this stage (law 11)."""
    spent = attempt.now.spent + 1
    attempt = attempt.knows(
        spent=spent, backoff=spent, trouble=message, retries=attempt.now.retries + 1
    )
    now = attempt.now
    deleting = attempt.doomed or attempt.stage is Stage.DISCARDING
    tries = max(policy.retries, ROLLBACK_TRIES) if deleting else policy.retries
    # From the first failure: a line that was silent, or a machine that slept, failed nothing.
    started = at if now.progress_at is None or spent == 1 else now.progress_at
    attempt = attempt.knows(progress_at=started)
    late = now.until is not None and at >= now.until
    if spent <= tries and at - started <= policy.retry_max_time and not late:
        return attempt
    return _give_up(attempt, Failure(Reason.TROUBLE, message), policy, at)


def _give_up(attempt: Attempt, failure: Failure, policy: Policy, at: float) -> Attempt:
    match attempt.stage:
        case Stage.INTENDED:
            # Nothing sent proves that nothing was made; a lost answer proves nothing (law 1).
            asked = attempt.now.asked
            return end(attempt, Verdict.UNANSWERED if asked else Verdict.NOTHING, failure)
        case Stage.CREATED if not attempt.doomed:
            return doom(attempt, failure, policy, at)
        case Stage.SENT:
            return end(attempt, Verdict.UNCONFIRMED, failure)
        case Stage.STORED:
            return end(attempt, Verdict.UNREACHED, failure)
        case _:
            return end(attempt, Verdict.LEFT, failure)


def end(attempt: Attempt, verdict: Verdict, failure: Failure | None = None) -> Attempt:
    """The loop ends here. The first error is the one to tell: a failing clean-up never hides it."""
    return attempt.knows(verdict=verdict, failure=attempt.now.failure or failure)


def doom(
    attempt: Attempt, failure: Failure, policy: Policy, at: float, seen: str | None = None
) -> Attempt:
    """The wish that this upload be gone (law 6); ``seen`` is a state that a Look said just now."""
    attempt = attempt.knows(failure=attempt.now.failure or failure)
    resumable = failure.reason in (Reason.TROUBLE, Reason.INTERRUPTED)
    if attempt.stage is Stage.CREATED and resumable and policy.keep_failed and attempt.url:
        return end(replace(attempt, kept=True), Verdict.KEPT)
    hurried = failure.reason is Reason.INTERRUPTED
    attempt = replace(attempt, doomed=failure.reason.value, kept=False).knows(
        state=None,
        headed=False,
        short=False,
        spent=0,
        absent=0,
        unlisted=False,
        progress_at=at,
        waiting_since=None,
        backoff=0,
        retry_after=None,
        until=at + (policy.hurried if hurried else policy.rollback),
    )
    return may_go(attempt.knows(state=seen)) if seen else attempt


def may_go(attempt: Attempt) -> Attempt:
    """From wish to decision, if what is freshly known allows it (law 6)."""
    now = attempt.now
    may_be_whole = attempt.tail and now.state == PENDING and attempt.url is not None
    if may_be_whole and not now.short:
        return attempt
    return replace(attempt, stage=Stage.DISCARDING).knows(deleted=False, absent=0, unlisted=False)


def arrived(attempt: Attempt, at: float) -> Attempt:
    """Stream acknowledged every byte: from here on there is nothing to discard."""
    size, before = attempt.file.size, attempt.now.high
    sent = replace(attempt, stage=Stage.SENT, offset=size, doomed="", kept=False)
    # A deadline goes on: after a signal nobody waits a minute for the confirmation.
    sent = sent.knows(certain=True, high=size, state=None, absent=0, unlisted=False)
    # A tail that is lost again and again must spend the budget (law 11).
    return sent.knows(spent=0, progress_at=at) if size > before else sent


def undecided(attempt: Attempt, policy: Policy, at: float) -> Attempt:
    """Law 5: pending, and it may be whole: ask again for a while, then keep the row."""
    since = at if attempt.now.waiting_since is None else attempt.now.waiting_since
    attempt = attempt.knows(waiting_since=since, state=None, headed=False, pause=policy.look_gap)
    late = attempt.now.until is not None and at >= attempt.now.until
    if at - since < policy.confirm and not late:
        return attempt
    waited = Failure(Reason.TROUBLE, "Stream has not confirmed the file")
    return end(attempt, Verdict.UNCONFIRMED, waited)
