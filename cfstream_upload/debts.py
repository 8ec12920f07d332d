"""Paying debts: rows that nobody runs and that are wanted gone, and markers that are watched."""

from __future__ import annotations

from dataclasses import replace

from cfstream_upload import events
from cfstream_upload.after import DAY, GRACE
from cfstream_upload.attempt import PENDING, Attempt, Stage
from cfstream_upload.entry import stray
from cfstream_upload.errors import Busy
from cfstream_upload.session import Session
from cfstream_upload.stream import Page
from cfstream_upload.transfer import Carriage
from cfstream_upload.video import Video

LOOK_EVERY = 60.0
"""Seconds between two looks at the watched markers, in a run that sends many files."""


def pay(
    session: Session, row: Attempt, held: str | None = None, *, kept: bool = False
) -> Attempt | None:
    """Carry a row to its end under its own lock, tried and never waited for.

    None when another process runs it, or kept it meanwhile. ``held`` is the key of a lock that
    the caller holds; ``kept``: it is to go although it was kept on purpose.
    """
    if session.key(row) == held:
        return Carriage(session.room, session.wanted(row)).carry()
    try:
        with session.lock_of(row):
            fresh = session.journal.again(row)
            if fresh is None:
                return replace(row, stage=Stage.GONE)
            # Whoever held the lock may have changed what is wanted of it.
            if fresh.kept and not kept:
                return None
            if fresh.stage is Stage.CREATED:
                if not (fresh.doomed or row.doomed):
                    # Its create was answered after the row was read: interrupted, and no debt.
                    return None
                fresh = replace(fresh, doomed=fresh.doomed or row.doomed, kept=False)
            return Carriage(session.room, session.wanted(fresh)).carry()
    except Busy:
        return None


def settle_watches(session: Session, held: str | None = None, *, at_once: bool = False) -> int:
    """Discard what late or repeated creates made; the number of videos that went.

    One list call, and none when no marker is watched, or when this run looked within the last
    minute and it need not be ``at_once``. Trouble leaves all as it is: the next command looks
    again.
    """
    now, settings = session.room.clock(), session.settings
    if session.looked_at is not None and now - session.looked_at < LOOK_EVERY and not at_once:
        return 0
    session.looked_at = now
    # Watches first: whatever became a watch since then is still a row.
    watched = {w.id: w for w in session.journal.watches(settings.base, settings.account)}
    intended = (row for row in session.unsettled() if row.stage is Stage.INTENDED)
    # One that is being created right now, beside this file, is looked for by whoever does that.
    unanswered = {row.id: row for row in intended if _is_idle(session, row, held)}
    watched |= unanswered
    if not watched:
        return 0
    found: list[Video] = []
    # No earliest time: when a lost create was made is not known.
    for page in session.api.pages({"status": PENDING}, None, session.patience):
        if not isinstance(page, Page):
            return 0
        found += [v for v in page.videos if v.marker is not None and v.marker.attempt in watched]
    gone = 0
    for video in found:
        marker = video.marker
        if marker is None or session.journal.has(video.uid):
            continue
        row = unanswered.get(marker.attempt)
        if row is None:
            row = session.journal.record(stray(watched[marker.attempt], video.uid))
        paid = pay(session, row, held)
        gone += paid is not None and paid.stage is Stage.GONE
    _forget_old(session, list(watched.values()), {v.marker.attempt for v in found if v.marker})
    return gone


def _forget_old(session: Session, watched: list[Attempt], seen: set[str]) -> None:
    """A watch ends by Stream's own clock, and only when its marker was not seen."""
    date = session.api.date
    for watch in watched:
        if date is None or watch.id in seen or watch.row:
            continue
        if watch.since is None:
            session.journal.watch(replace(watch, since=date))
        elif date > max(watch.since + DAY, (watch.expiry or 0.0) + GRACE):
            session.journal.unwatch(watch)


def _is_idle(session: Session, row: Attempt, held: str | None) -> bool:
    if session.key(row) == held:
        return True
    if session.is_running(row):
        return False
    # Whoever ran it may have ended since the row was read.
    fresh = session.journal.again(row)
    return fresh is not None and fresh.is_debt


def say_debts(session: Session, path: str, held: str | None = None) -> None:
    """Tell of debts that stand; they change no outcome."""
    count = sum(row.is_debt and _is_idle(session, row, held) for row in session.unsettled())
    if count:
        words = f"{count} failed upload(s) wait to be removed: cfupload cleanup"
        session.tell(events.Notice(path, words))
