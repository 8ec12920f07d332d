"""The only place where knowledge of an attempt changes. Pure.

`after(attempt, outcome, policy, at)` answers with what is known next; `ending` holds how attempts
end, `offsets` what HEAD and PATCH teach. The laws are those of ``docs/design.md``; the number of
each stands beside the line that keeps it.
"""

from __future__ import annotations

from dataclasses import replace

from cfstream_upload import pace
from cfstream_upload.attempt import (
    ERROR,
    PENDING,
    Attempt,
    Failure,
    Reason,
    Stage,
    Verdict,
)
from cfstream_upload.ending import Policy, arrived, doom, end, may_go, spend, undecided
from cfstream_upload.offsets import after_upload, handed_over
from cfstream_upload.outcome import (
    Absent,
    Acked,
    Created,
    Deleted,
    Denied,
    FileFault,
    Found,
    NotMade,
    NotSent,
    Offset,
    Outcome,
    Refusal,
    Seen,
    Stop,
    TooLarge,
    Trouble,
    Unanswered,
    UrlDead,
)

DAY = 86_400.0
GRACE = 3_600.0


def after(attempt: Attempt, outcome: Outcome, policy: Policy, at: float) -> Attempt:
    """What is known once ``outcome`` came, at monotonic second ``at``."""
    started = attempt.now.progress_at
    attempt = attempt.knows(
        pause=0.0, backoff=0, retry_after=None, progress_at=at if started is None else started
    )
    date = getattr(outcome, "date", None)
    if date is not None and attempt.since is None and attempt.stage is Stage.INTENDED:
        # Only here is it a bound for a list of what came later; an older upload began before it.
        attempt = replace(attempt, since=date)
    match outcome:
        case Created() | NotMade() | NotSent() | Unanswered():
            return _after_create(attempt, outcome, policy, at)
        case Found():
            return _found(attempt, outcome, policy, at)
        case Offset() | Acked() | UrlDead() | TooLarge() | Refusal():
            return after_upload(attempt, outcome, policy, at)
        case Seen():
            return _seen(attempt, outcome, policy, at)
        case Absent():
            return _absent(attempt, policy, at)
        case Deleted():
            return attempt.knows(deleted=True, state=None, absent=0, unlisted=False)
        case Denied(failure):
            return _denied(attempt, failure)
        case FileFault(failure):
            return doom(attempt, failure, policy, at)
        case Trouble():
            return _troubled(attempt, outcome, policy, at)
        case Stop():
            return _stopped(attempt, outcome, policy, at)


def _troubled(attempt: Attempt, trouble: Trouble, policy: Policy, at: float) -> Attempt:
    attempt = handed_over(attempt, trouble.handed)
    attempt = attempt.knows(certain=False, retry_after=trouble.retry_after)
    if trouble.cut:
        attempt = attempt.knows(chunk=pace.halved(attempt.now.chunk))
    return spend(attempt, trouble.message, policy, at)


def _stopped(attempt: Attempt, stop: Stop, policy: Policy, at: float) -> Attempt:
    failure = Failure(Reason.INTERRUPTED, "Interrupted", signum=stop.signum)
    attempt = handed_over(attempt, stop.handed).knows(certain=False)
    match attempt.stage:
        case Stage.INTENDED:
            asked = attempt.now.asked
            return end(attempt, Verdict.UNANSWERED if asked else Verdict.NOTHING, failure)
        case Stage.SENT:
            return end(attempt, Verdict.UNCONFIRMED, failure)
        case Stage.STORED:
            return end(attempt, Verdict.STORED)
        case Stage.CREATED if not attempt.doomed:
            attempt = doom(attempt, failure, policy, at)
        case _:
            pass
    if stop.hard:
        return end(attempt, attempt.now.verdict or Verdict.LEFT, failure)
    hurry = at + policy.hurried
    return attempt.knows(until=min(attempt.now.until or hurry, hurry))


def _denied(attempt: Attempt, failure: Failure) -> Attempt:
    match attempt.stage:
        case Stage.INTENDED:
            return end(attempt, Verdict.UNANSWERED, failure)
        case Stage.CREATED:
            # The delete needs the same credentials: what is wanted gone stays as a debt.
            wanted_gone = replace(attempt, doomed=attempt.doomed or Reason.DENIED.value)
            return end(wanted_gone, Verdict.LEFT, failure)
        case Stage.SENT:
            return end(attempt, Verdict.UNCONFIRMED, failure)
        case Stage.STORED:
            return end(attempt, Verdict.UNREACHED, failure)
        case _:
            return end(attempt, Verdict.LEFT, failure)


# --- create and list -----------------------------------------------------------------------------


def _after_create(
    attempt: Attempt, outcome: Created | NotMade | NotSent | Unanswered, policy: Policy, at: float
) -> Attempt:
    match outcome:
        case Created(uid, url):
            created = replace(attempt, stage=Stage.CREATED, uid=uid, url=url, offset=0)
            # A new upload URL has offset 0 by tus: no HEAD is needed to know it.
            return created.knows(asked=False, certain=True, handed=0, spent=0, progress_at=at)
        case NotMade(failure):
            return end(attempt.knows(asked=False), Verdict.NOTHING, failure)
        case NotSent(message):
            return spend(attempt.knows(asked=False), message, policy, at)
        case Unanswered(message, retry_after):
            lost = Failure(Reason.TROUBLE, message)
            return attempt.knows(
                asked=True, retry_after=retry_after, backoff=1, trouble=message, failure=lost
            )


def _found(attempt: Attempt, found: Found, policy: Policy, at: float) -> Attempt:
    if attempt.stage is not Stage.INTENDED:
        return _proof_list(attempt, found, policy, at)
    if found.uids:
        # Nobody learned its upload URL, so it can never become whole: discard it (law 2).
        first, *others = found.uids
        # When it was made is not known: what is in `since` may be later.
        attempt = replace(attempt, stage=Stage.CREATED, uid=first, url=None, since=None)
        attempt = attempt.knows(twins=tuple(others), asked=False)
        stray = Failure(Reason.STRAY, "the reply to the create call was lost")
        return doom(attempt, stray, policy, at)
    if _watch_is_over(attempt, found.date):
        return replace(attempt, stage=Stage.GONE)
    finds = attempt.now.finds + 1
    attempt = attempt.knows(finds=finds)
    if finds >= len(policy.find_pauses):
        return end(attempt, Verdict.UNANSWERED, Failure(Reason.TROUBLE, "the create was lost"))
    return attempt.knows(pause=policy.find_pauses[finds])


def _watch_is_over(attempt: Attempt, date: float | None) -> bool:
    """Law 2: 24 hours, or the known expiry and one more, by Stream's own clock."""
    if attempt.since is None or date is None:
        return False
    return date > max(attempt.since + DAY, (attempt.expiry or 0.0) + GRACE)


def _proof_list(attempt: Attempt, found: Found, policy: Policy, at: float) -> Attempt:
    twins = tuple(uid for uid in found.uids if uid != attempt.uid)
    attempt = attempt.knows(twins=twins, unlisted=not found.listed)
    if not found.listed:
        return attempt.knows(pause=_left_of_the_gap(attempt, policy, at))
    still = attempt.knows(absent=0, deleted=False)
    return spend(still, "Stream still lists the video", policy, at)


# --- GET -----------------------------------------------------------------------------------------


def _seen(attempt: Attempt, seen: Seen, policy: Policy, at: float) -> Attempt:
    if seen.expiry is not None:
        attempt = replace(attempt, expiry=seen.expiry)
    attempt = attempt.knows(state=seen.state, absent=0, unlisted=False, short=False)
    if attempt.stage in (Stage.CREATED, Stage.DISCARDING) and not _ours(attempt, seen):
        # A debt that only --forget can settle: what is not ours is never deleted.
        attempt = replace(attempt, doomed=attempt.doomed or Reason.FOREIGN.value)
        foreign = Failure(Reason.FOREIGN, "the video does not carry this upload's marker")
        return end(attempt, Verdict.LEFT, foreign)
    match attempt.stage:
        case Stage.DISCARDING:
            # Law 6: repeated whatever the state, for a DELETE may still be under way.
            return spend(attempt.knows(deleted=False), "Stream still has the video", policy, at)
        case Stage.STORED:
            failed = seen.state == ERROR
            return end(attempt, Verdict.UNPROCESSED if failed else Verdict.STORED)
        case _ if seen.state == ERROR:
            return _unprocessed(attempt, seen, policy, at)
        case Stage.SENT:
            return _seen_sent(attempt, seen, policy, at)
        case _:
            return _seen_created(attempt, seen, policy, at)


def _ours(attempt: Attempt, seen: Seen) -> bool:
    """Law 6: learned from a listing it must carry our marker, from our create no other one.

    A whole video shows its ``meta``: one without our marker is another's, whatever a row says.
    """
    is_whole = seen.state not in (PENDING, ERROR)
    if attempt.url is None or (is_whole and attempt.stage is Stage.DISCARDING):
        return seen.marker == attempt.marker
    return seen.marker in (None, attempt.marker)


def _seen_sent(attempt: Attempt, seen: Seen, policy: Policy, at: float) -> Attempt:
    if seen.state != PENDING:
        return end(replace(attempt, stage=Stage.STORED), Verdict.STORED)
    if attempt.now.dead and not attempt.told and _is_past_expiry(attempt, seen.date):
        # Law 5: it can never become whole any more, and its file must not wait for ever.
        failure = Failure(Reason.EXPIRED, "the upload URL is no longer valid")
        return may_go(doom(attempt, failure, policy, at).knows(state=PENDING, short=True))
    # Pending: a HEAD comes next, where there is a URL to ask.
    return attempt.knows(headed=False) if attempt.url else undecided(attempt, policy, at)


def _seen_created(attempt: Attempt, seen: Seen, policy: Policy, at: float) -> Attempt:
    if seen.state != PENDING:
        return arrived(attempt, at)
    dead = attempt.now.dead
    past = dead and _is_past_expiry(attempt, seen.date)
    if attempt.doomed:
        return may_go(attempt.knows(short=past, headed=False))
    if attempt.url is None or (dead and not attempt.tail) or past:
        failure = Failure(Reason.EXPIRED, "the upload URL is no longer valid")
        return may_go(doom(attempt, failure, policy, at).knows(state=PENDING, short=past))
    if dead:
        return undecided(attempt, policy, at)
    return attempt.knows(certain=False)


def _is_past_expiry(attempt: Attempt, date: float | None) -> bool:
    return date is not None and attempt.expiry is not None and date > attempt.expiry


def _unprocessed(attempt: Attempt, seen: Seen, policy: Policy, at: float) -> Attempt:
    failure = Failure(Reason.PROCESSING, seen.detail or "Stream could not process the file")
    if attempt.doomed:
        return may_go(attempt)
    if attempt.told or policy.keep_unprocessed:
        # Its UID is told with exit 11: no later run may delete it.
        kept = replace(attempt, stage=Stage.STORED, told=True)
        return end(kept, Verdict.UNPROCESSED, failure)
    return doom(attempt, failure, policy, at, seen=ERROR)


def _has_waited(attempt: Attempt, policy: Policy, at: float) -> bool:
    """Whether an absent video was asked for long enough: half a deadline, for more must follow."""
    long = policy.confirm
    if attempt.doomed:
        long = min(long, policy.rollback / 2)
    since = attempt.now.waiting_since
    return since is not None and at - since >= long


def _left_of_the_gap(attempt: Attempt, policy: Policy, at: float) -> float:
    """Seconds until the second answer counts, to the microsecond, for clocks are floats."""
    return max(0.0, round(attempt.now.absent_at + policy.proof_gap - at, 6))


def _absent(attempt: Attempt, policy: Policy, at: float) -> Attempt:
    """Law 7: absence is two such answers some seconds apart and a list without the UID."""
    if not (attempt.now.absent and attempt.now.unlisted):
        return attempt.knows(absent=1, unlisted=False, state=None, absent_at=at)
    if (left := _left_of_the_gap(attempt, policy, at)) > 0:
        # A wait was cut short by a signal or a deadline: that is one answer, not two.
        early = spend(attempt, "its absence is not proven yet", policy, at)
        return early.knows(backoff=0, pause=left)
    vanished = Failure(Reason.VANISHED, "the video is no longer on Stream")
    if attempt.stage is Stage.SENT or (attempt.stage is Stage.CREATED and attempt.tail):
        # A read may be stale just after the last byte: ask on before giving a verdict.
        waiting = undecided(attempt.knows(absent=0, unlisted=False), policy, at)
        if not _has_waited(waiting, policy, at):
            # A signal's deadline may come first: what was sent is then not confirmed, not gone.
            if attempt.stage is Stage.SENT or waiting.now.verdict is None:
                return waiting
            return end(attempt, Verdict.LEFT, vanished)
    match attempt.stage:
        case Stage.SENT | Stage.STORED:
            return end(attempt, Verdict.VANISHED, vanished)
        case _:
            failure = attempt.now.failure or vanished
            return replace(attempt, stage=Stage.GONE).knows(failure=failure)
