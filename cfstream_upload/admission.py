"""Before a video is begun: whether the machines on this journal may begin one more now."""

from __future__ import annotations

from cfstream_upload import events
from cfstream_upload.errors import Interrupted, TroubleOutlasted
from cfstream_upload.session import Session
from cfstream_upload.stream import Page
from cfstream_upload.units import human_time

LONGEST = 24 * 3600.0
SAID_EVERY = 60.0
"""Seconds between two words on it, of all files of a run."""

IN_ENCODING = ("queued", "inprogress")


def await_room(session: Session, file: str) -> None:
    """Wait until one more video may be begun; at once where the journal is of one machine.

    Raises `Interrupted`, and `TroubleOutlasted` after a day.
    """
    company = session.company
    if company is None:
        return
    clock, interruption = session.room.clock, session.interruption
    ends = clock() + LONGEST
    while True:
        seconds, why = company.admitted(lambda: _encoding(session))
        if not seconds:
            return
        if clock() > ends:
            raise TroubleOutlasted(f"No turn came within a day: {why}", "Run it again later.")
        if session.said_at is None or clock() - session.said_at >= SAID_EVERY:
            session.said_at = clock()
            words = f"{why}: new uploads wait for their turn, {human_time(seconds)} or more"
            session.tell(events.Notice(file, words))
        interruption.pause(seconds, 0)
        if interruption.count:
            raise Interrupted("Interrupted", signum=interruption.signum)


def _encoding(session: Session) -> int | None:
    """How many videos the account has queued or in encoding; None where Stream would not say."""
    count = 0
    for state in IN_ENCODING:
        for page in session.api.pages({"status": state}, None, session.patience):
            if not isinstance(page, Page):
                return None
            count += len(page.videos)
    return count
