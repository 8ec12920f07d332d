"""Deleting a video that the user named, whoever made it, and proving that it is gone."""

from __future__ import annotations

from contextlib import ExitStack

from cfstream_upload.errors import Busy, ConfigProblem, TroubleOutlasted
from cfstream_upload.outcome import Absent, Denied
from cfstream_upload.session import Session
from cfstream_upload.stream import Page

TRIES = 5


def remove(session: Session, uid: str) -> None:
    """DELETE ``uid`` until it is proven absent, then drop its row.

    Raises `Busy` while it is being uploaded here, `ConfigProblem`, or `TroubleOutlasted` where the
    video may still be there.
    """
    rows = session.about([uid], [])
    with ExitStack() as held:
        for row in rows:
            try:
                held.enter_context(session.lock_of(row))
            except Busy:
                words = f"{uid} is being uploaded now"
                raise Busy(words, "Interrupt that upload instead.", uid=uid) from None
        _delete(session, uid)
        for row in rows:
            session.journal.remove(row)


def _delete(session: Session, uid: str) -> None:
    for _ in range(TRIES):
        asked = session.api.delete(uid, session.patience())
        if isinstance(asked, Denied):
            raise ConfigProblem(asked.failure.message, asked.failure.hint)
        if _is_absent(session, uid):
            break
    else:
        raise TroubleOutlasted(
            f"{uid} was asked to be deleted, but Stream has not confirmed it",
            f"Look again: cfupload get {uid}",
            uid=uid,
        )


def _is_absent(session: Session, uid: str) -> bool:
    """Law 7: two GETs some seconds apart, and between them a working list without the UID."""
    if not isinstance(session.api.look(uid, session.patience()), Absent):
        session.interruption.pause(session.policy.proof_gap, 0)
        return False
    for page in session.api.pages({}, None, session.patience):
        if not isinstance(page, Page) or any(video.uid == uid for video in page.videos):
            return False
    session.interruption.pause(session.policy.proof_gap, 0)
    return isinstance(session.api.look(uid, session.patience()), Absent)
