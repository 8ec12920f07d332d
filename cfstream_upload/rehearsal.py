"""What `send` would do with a file: every check that costs nothing, and no request."""

from __future__ import annotations

import time
from dataclasses import replace

from cfstream_upload.attempt import Attempt, Stage
from cfstream_upload.container import require_video
from cfstream_upload.errors import Busy, CfuploadError, UsageProblem
from cfstream_upload.onefile import Wishes
from cfstream_upload.result import Result
from cfstream_upload.sending import prototype_of
from cfstream_upload.session import Session
from cfstream_upload.units import human_size, human_time
from cfstream_upload.video import differing, reserved_seconds


def rehearse(session: Session, path: str, wishes: Wishes) -> Result:
    """The outcome ``skipped`` with a ``plan`` in words, or ``failed`` as `send` would fail."""
    try:
        with session.stores.open(path) as source:
            container = source.probe()
            require_video(container)
            wishes.options.check_duration(container.duration)
            ours = prototype_of(session, source, wishes)
            result = Result(path, "skipped", size=source.size)
            uid, plan = _plan(session, ours, wishes)
            if uid is None:
                wishes.options.check_times(time.time())
            seconds = wishes.options.max_duration_seconds or reserved_seconds(container.duration)
    except CfuploadError as error:
        return Result(path, "failed", uid=error.uid, exit_code=error.exit_code, error=error)
    if uid is None:
        reserved = f"{human_time(seconds)} of storage" if seconds else "Stream's default"
        plan = f"{plan} {human_size(source.size)}, reserving {reserved}"
    return replace(result, uid=uid, plan=plan)


def _plan(session: Session, ours: Attempt, wishes: Wishes) -> tuple[str | None, str]:
    """The UID that is concerned, if any, and what would be done."""
    rows = _rows(session, ours)
    if rows and session.is_running(ours):
        raise Busy("another process is sending this file")
    first = ""
    for row in rows:
        if row.is_debt:
            first = "would first remove what an earlier run left, then "
        elif row.stage in (Stage.CREATED, Stage.SENT):
            same = row.options == ours.options or row.stage is Stage.SENT
            if row.file == ours.file and same:
                return row.uid, f"{first}would resume at about {human_size(row.offset)}"
            if not row.kept:
                first = "would first remove the upload of another version, then "
    receipt = _receipt(rows, ours, wishes)
    if receipt is not None:
        return receipt.uid, f"{first}already sent as {receipt.uid}"
    look = "look for a video of the same bytes, or else " if wishes.skip_existing else ""
    return None, f"{first}would {look}upload"


def _receipt(rows: list[Attempt], ours: Attempt, wishes: Wishes) -> Attempt | None:
    found = [row for row in rows if row.stage is Stage.STORED and row.file == ours.file]
    if wishes.again or not found:
        return None
    alike = [row for row in found if row.options == ours.options]
    if not alike:
        names = ", ".join(differing(found[-1].options, ours.options))
        raise UsageProblem(
            f"This file was already sent as {found[-1].uid} with other values of {names}",
            "Use the same options, or make a second video with --again.",
            uid=found[-1].uid,
        )
    return alike[-1]


def _rows(session: Session, ours: Attempt) -> list[Attempt]:
    # A journal that is not there yet is not made for a rehearsal.
    shared = session.settings.journal is not None
    if not shared and not (session.settings.state_dir / "journal.db").exists():
        return []
    return session.journal.rows_of(ours.base, ours.account, ours.file, ours.path)
