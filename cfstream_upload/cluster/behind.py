"""What a file that somebody may have begun comes to, when no reply of it will come any more."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from cfstream_upload.attempt import Attempt, Stage
from cfstream_upload.errors import CfuploadError, LeftoverRemains, NotStarted, TroubleOutlasted
from cfstream_upload.result import Result

if TYPE_CHECKING:
    from cfstream_upload.cluster.flight import Flight
    from cfstream_upload.session import Session


def left_behind(session: Session, flight: Flight, why: CfuploadError) -> Result:
    """The result of ``flight``, given up because of ``why``, as far as the journal knows."""
    path = flight.place[1]
    if not flight.workers:
        return Result(path, "skipped", exit_code=why.exit_code, error=why)
    row = _unfinished(session, flight.absolute)
    error = why
    if row is not None:
        words = f"{why.message}; an upload of this file is unfinished"
        discard = (
            f"cfupload cleanup --orphans {row.uid}" if row.uid else "cfupload cleanup --orphans"
        )
        hint = f"The same command goes on with it. To discard it: {discard}"
        error = LeftoverRemains(words, hint, uid=row.uid)
    if isinstance(error, NotStarted):
        error = TroubleOutlasted(why.message, why.hint)
    outcome = "interrupted" if session.interruption.count else "failed"
    cleanup = "none" if row is None else "pending"
    return Result(
        path, outcome, uid=error.uid, cleanup=cleanup, exit_code=error.exit_code, error=error
    )


def _unfinished(session: Session, path: str) -> Attempt | None:
    with suppress(CfuploadError):
        for row in session.unsettled():
            # A worker that went kept it for others, and nobody at the command had asked for that.
            wanted = row.kept and session.policy.keep_failed
            if row.path == path and not wanted and (row.is_debt or row.stage is Stage.CREATED):
                return row
    return None
