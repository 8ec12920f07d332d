"""What HEAD and PATCH teach: only the server knows the offset, believed strictly. Pure."""

from __future__ import annotations

from dataclasses import replace

from cfstream_upload import pace
from cfstream_upload.attempt import Attempt, Failure, Reason, Stage
from cfstream_upload.ending import Policy, arrived, doom, may_go, spend, undecided
from cfstream_upload.outcome import Acked, Offset, Refusal, TooLarge, UrlDead


def after_upload(
    attempt: Attempt,
    outcome: Offset | Acked | UrlDead | TooLarge | Refusal,
    policy: Policy,
    at: float,
) -> Attempt:
    """What is known after a reply of the upload URL."""
    match outcome:
        case Offset(offset):
            return _headed(attempt, offset, policy, at)
        case Acked():
            return _acknowledged(attempt, outcome, policy, at)
        case UrlDead():
            attempt = attempt.knows(dead=True, certain=False, state=None, headed=True)
            return undecided(attempt, policy, at) if _awaits_verdict(attempt) else attempt
        case TooLarge(message):
            if attempt.now.chunk <= pace.SMALLEST:
                return doom(attempt, Failure(Reason.REFUSED, message), policy, at)
            smaller = attempt.knows(chunk=pace.halved(attempt.now.chunk), certain=False)
            return spend(smaller, message, policy, at)
        case Refusal(failure, final):
            return _refused(attempt, failure, final, policy, at)


def handed_over(attempt: Attempt, position: int | None) -> Attempt:
    """Remember the highest position given to a socket, where this process knows them all."""
    if position is None or attempt.now.handed is None:
        return attempt
    return attempt.knows(handed=max(position, attempt.now.handed))


def _awaits_verdict(attempt: Attempt) -> bool:
    """Whether a HEAD was asked to learn if the video may be whole, not to go on sending."""
    return attempt.stage is Stage.SENT or bool(attempt.doomed)


def _refused(attempt: Attempt, failure: Failure, final: bool, policy: Policy, at: float) -> Attempt:
    if _awaits_verdict(attempt):
        return spend(attempt.knows(certain=False), failure.message, policy, at)
    refusals = attempt.now.refusals + 1
    if final or refusals > 1:
        return doom(attempt, failure, policy, at)
    # Once, HEAD may show that only this request was wrong.
    return spend(attempt.knows(refusals=refusals, certain=False), failure.message, policy, at)


def _believable(attempt: Attempt, offset: int) -> bool:
    """Law 3: not beyond the length, nor beyond what was handed to a socket."""
    size, handed = attempt.file.size, attempt.now.handed
    if offset > size or (offset == size and not attempt.tail):
        return False
    return handed is None or offset <= handed


def _disbelieved(attempt: Attempt, policy: Policy, at: float) -> Attempt:
    message = "the server claims bytes that were never sent"
    if _awaits_verdict(attempt):
        return spend(attempt.knows(headed=False, state=None), message, policy, at)
    return doom(attempt, Failure(Reason.REFUSED, message), policy, at)


def _headed(attempt: Attempt, offset: int, policy: Policy, at: float) -> Attempt:
    attempt = attempt.knows(headed=True, dead=False)
    if not _believable(attempt, offset):
        return _disbelieved(attempt, policy, at)
    if offset == attempt.file.size:
        if attempt.stage is Stage.SENT:
            return undecided(attempt, policy, at)
        return arrived(attempt, at)
    if attempt.doomed:
        return may_go(replace(attempt, offset=offset).knows(short=True))
    if attempt.stage is Stage.SENT and (attempt.now.failure or attempt.told):
        # A run that has failed sends no more, or two answers could alternate for ever (law 11).
        return undecided(attempt, policy, at)
    if attempt.stage is Stage.SENT:
        # Law 5: pending and fewer bytes than the length: the tail was lost, send it again.
        attempt = replace(attempt, stage=Stage.CREATED, offset=offset)
        attempt = attempt.knows(certain=True, waiting_since=None, state=None)
        return spend(attempt, "Stream lost bytes it had acknowledged", policy, at)
    lost = offset < attempt.now.high
    attempt = _at_offset(attempt, offset, at)
    return spend(attempt, "Stream lost bytes it had kept", policy, at) if lost else attempt


def _acknowledged(attempt: Attempt, acked: Acked, policy: Policy, at: float) -> Attempt:
    chunk = pace.grown(attempt.now.chunk, acked.length, acked.seconds, policy.largest_chunk)
    attempt = handed_over(attempt, acked.handed).knows(chunk=chunk)
    if not _believable(attempt, acked.offset):
        return _disbelieved(attempt, policy, at)
    if acked.offset == attempt.file.size:
        return arrived(replace(attempt, offset=acked.offset), at)
    stuck = acked.offset <= attempt.offset
    attempt = _at_offset(attempt, acked.offset, at)
    return spend(attempt, "the upload does not get on", policy, at) if stuck else attempt


def _at_offset(attempt: Attempt, offset: int, at: float) -> Attempt:
    high = attempt.now.high
    attempt = replace(attempt, offset=offset).knows(certain=True, high=max(high, offset))
    if offset <= high:
        return attempt
    # Only ground never held before refills the budget, or two offsets could alternate for ever.
    return attempt.knows(spent=0, refusals=0, progress_at=at)
