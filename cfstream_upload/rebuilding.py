"""A lost or damaged journal: the file is moved aside, receipts are read back from the markers."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from cfstream_upload.attempt import ERROR, PENDING, Attempt, Identity, Stage
from cfstream_upload.credentials import without_secrets
from cfstream_upload.errors import JournalProblem, Unreached, UsageProblem
from cfstream_upload.journal import nobody_sending
from cfstream_upload.session import Session
from cfstream_upload.statedir import prepare_folder, remembered_host
from cfstream_upload.stream import Page
from cfstream_upload.sweeping import api_problem
from cfstream_upload.video import Video


def where(session: Session) -> str:
    """The journal's place, for words."""
    shared = session.settings.journal
    return without_secrets(shared.reveal()) if shared else str(session.settings.state_dir)


def refuse_if_sound(session: Session) -> None:
    """Raise `UsageProblem` where there is nothing to rebuild: a new journal would forget files."""
    try:
        session.journal.rows(session.settings.base, session.settings.account)
    except Unreached:
        raise
    except JournalProblem:
        session.forget_journal()
        return
    raise UsageProblem(
        f"The journal in {where(session)} is sound: there is nothing to rebuild",
        "To see what it knows: cfupload status",
    )


def rebuild_journal(session: Session) -> list[Attempt]:
    """Start a new journal and write a receipt for each whole video whose marker has its name.

    Or ``CFUPLOAD_HOST_ID``, where that is set: of machines that share one, all videos are read
    back, for nothing tells them apart.

    What is still pending on Stream gets no row: ``cleanup --orphans`` deletes it once its upload
    window is over, for a process that outlived the journal may still be sending it. A receipt
    read back knows no file: sending that file again makes a second video. The old journal's rows
    of other accounts stay in the file that is moved aside. Raises `Busy` while anybody sends:
    that process would go on writing to the file that is moved aside.
    """
    folder = session.settings.state_dir
    prepare_folder(folder)
    if session.settings.journal is not None:
        from cfstream_upload.fleet.journal import Trust
        from cfstream_upload.fleet.rebuilding import anew

        trust = Trust(folder, session.settings.place)
        with anew(session.settings.journal.reveal(), trust, session.settings.host_id) as damaged:
            return _rebuilt(session, damaged.host, damaged.move_aside)
    with nobody_sending(folder):
        return _rebuilt(session, remembered_host(folder), lambda: _move_aside(folder))


def _rebuilt(session: Session, host: str | None, move_aside: Callable[[], None]) -> list[Attempt]:
    # As `Session.host`: markers carry the user's name for the machine where there is one.
    hosts = {host, session.settings.host_id}
    found: list[Video] = []
    for page in session.api.pages({}, None, session.patience):
        if not isinstance(page, Page):
            raise api_problem(page)
        found += [v for v in page.videos if v.marker is not None and v.marker.host in hosts]
    move_aside()
    return [
        session.journal.record(receipt)
        for video in found
        if (receipt := _receipt(session, video)) is not None
    ]


def _move_aside(folder: Path) -> None:
    stamp = time.strftime("%Y%m%dT%H%M%S")
    try:
        for name in ("journal.db", "journal.db-journal", "journal.id"):
            path = folder / name
            if os.path.lexists(path):
                path.rename(folder / f"{name}.old-{stamp}")
    except OSError as error:
        raise JournalProblem(
            f"The journal in {folder} cannot be moved aside ({error.strerror})",
            "Check that you may write there.",
        ) from None


def _receipt(session: Session, video: Video) -> Attempt | None:
    marker = video.marker
    if marker is None or video.state in (PENDING, ERROR):
        return None
    return Attempt(
        id=marker.attempt, host=marker.host, label=marker.label,
        base=session.settings.base, account=session.settings.account,
        path="", file=Identity(0, 0, video.size or 0, 0, ""),
        stage=Stage.STORED, uid=video.uid, told=True,
    )  # fmt: skip
