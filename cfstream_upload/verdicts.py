"""From the end of an attempt to the error that people and scripts read. Pure."""

from __future__ import annotations

from cfstream_upload.attempt import Attempt, Failure, Reason, Verdict
from cfstream_upload.errors import (
    CfuploadError,
    ConfigProblem,
    FileChanged,
    FileProblem,
    Interrupted,
    LeftoverRemains,
    NotConfirmed,
    ProcessingFailed,
    Refused,
    TroubleOutlasted,
)

_CLASSES: dict[Reason, type[CfuploadError]] = {
    Reason.TROUBLE: TroubleOutlasted,
    Reason.REFUSED: Refused,
    Reason.QUOTA: Refused,
    Reason.DENIED: ConfigProblem,
    Reason.FILE: FileProblem,
    Reason.CHANGED: FileChanged,
    Reason.PROCESSING: Refused,
    Reason.BUG: CfuploadError,
}

RENEWABLE = {Reason.EXPIRED, Reason.VANISHED, Reason.SUPERSEDED, Reason.STRAY}
"""Why an attempt may be gone without its file having failed: a new one may begin."""


def error_of(attempt: Attempt) -> CfuploadError | None:
    """The error of an attempt that ended, None where it ended well."""
    verdict = attempt.now.verdict
    failure = attempt.now.failure or Failure(Reason.TROUBLE, "the upload did not get on")
    uid = attempt.uid
    match verdict:
        case Verdict.STORED:
            return None
        case Verdict.UNANSWERED | Verdict.LEFT:
            return _left(attempt, failure)
        case Verdict.UNCONFIRMED:
            words = f"Every byte was sent, but the video is not confirmed: {failure.message}"
            return NotConfirmed(words, failure.hint, uid=uid)
        case Verdict.VANISHED:
            words = f"The video {uid} was on Stream and is no longer there"
            return NotConfirmed(words, "To send the file once more: --again", uid=uid)
        case Verdict.UNPROCESSED:
            words = f"Stream has the video but could not process it: {failure.message}"
            return ProcessingFailed(words, f"Look at it: cfupload get {uid}", uid=uid)
        case Verdict.KEPT:
            hint = "The upload was kept: run the same command again to go on."
            return _failed(failure, uid, f"{failure.message}; the upload {uid} was kept", hint)
        case _:
            return _failed(failure, uid, failure.message, failure.hint)


def _failed(failure: Failure, uid: str | None, words: str, hint: str) -> CfuploadError:
    words = _sentence(words)
    if failure.reason is Reason.INTERRUPTED:
        return Interrupted(words, hint, uid=uid, signum=failure.signum)
    return _CLASSES.get(failure.reason, TroubleOutlasted)(words, hint, uid=uid)


def _sentence(words: str) -> str:
    """With a capital letter, but for a host's name, which is its own."""
    return words if words.split(" ", 1)[0].endswith(":") else words[:1].upper() + words[1:]


def _left(attempt: Attempt, failure: Failure) -> LeftoverRemains:
    words = _sentence(failure.message)
    if attempt.uid is None:
        return LeftoverRemains(
            f"{words}; whether Stream made a video is not known, its marker is being watched",
            f"Run: cfupload cleanup (or write it off: cfupload cleanup --forget {attempt.id})",
        )
    return LeftoverRemains(
        f"{words}; the upload {attempt.uid} could not be removed yet",
        "It is recorded. Run: cfupload cleanup",
        uid=attempt.uid,
    )
