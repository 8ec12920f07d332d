"""What is an orphan, and discarding it.

`plan` looks at the journal and at Stream and changes nothing; `sweep` carries out what was planned,
each item under its own lock and after a fresh look. Never in a plan: videos without this tool's
marker, videos past ``pendingupload``, uploads whose lock is held, uploads kept on purpose.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from cfstream_upload.after import GRACE
from cfstream_upload.attempt import (
    ERROR,
    PENDING,
    Attempt,
    Failure,
    Identity,
    Reason,
    Stage,
    Verdict,
    is_uid,
)
from cfstream_upload.debts import pay
from cfstream_upload.ending import doom
from cfstream_upload.errors import (
    Busy,
    CfuploadError,
    ConfigProblem,
    NoSuchVideo,
    Refused,
    TroubleOutlasted,
    UsageProblem,
)
from cfstream_upload.outcome import Denied, Trouble
from cfstream_upload.session import Session
from cfstream_upload.stream import Page
from cfstream_upload.verdicts import error_of
from cfstream_upload.video import Video, epoch


@dataclass(frozen=True, slots=True)
class Choice:
    """What `cleanup` was asked for. ``min_age`` is seconds and can only lengthen a wait."""

    orphans: bool = False
    uids: tuple[str, ...] = ()
    foreign: bool = False
    errors: bool = False
    label: str = ""
    ended: bool = False
    min_age: float = 0.0
    max_delete: int | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that is to go, and why; where it is not ``due``, ``why`` it stays."""

    attempt: Attempt
    why: str
    due: bool = True


@dataclass(frozen=True, slots=True)
class Swept:
    """What became of an item. ``outcome``: discarded, whole, busy, waiting, watched or left."""

    item: Item
    outcome: str
    error: CfuploadError | None = None


_NOBODY = Identity(0, 0, 0, 0, "")


# --- what would go -------------------------------------------------------------------------------


def plan(session: Session, choice: Choice) -> list[Item]:
    """What a sweep would do, the journal's rows first. Asks Stream only when it has to."""
    items = plan_rows(session, choice)
    planned = {item.attempt.uid for item in items}
    if choice.orphans or choice.uids:
        items += _remote_items(session, choice, planned)
    missing = set(choice.uids) - {item.attempt.uid for item in items}
    if missing:
        uid = min(missing)
        raise NoSuchVideo(
            f"{uid} is no unfinished upload of this tool",
            f"To delete any video: cfupload delete {uid}",
            uid=uid,
        )
    return items


def plan_rows(session: Session, choice: Choice) -> list[Item]:
    """The part of a plan that the journal knows: it needs no answer of Stream."""
    rows = session.unsettled()
    return [item for row in rows if (item := _row_item(session, row, choice)) is not None]


def _row_item(session: Session, row: Attempt, choice: Choice) -> Item | None:
    named = row.uid is not None and row.uid in choice.uids
    if row.is_debt:
        return _unless_running(session, row, _debt_words(row))
    if row.stage is Stage.STORED or not (named or choice.orphans):
        return None
    if row.kept and not named:
        return None
    if choice.label and row.label != choice.label and not named:
        return None
    return _unless_running(session, row, "interrupted" if not row.kept else "kept, named")


def _debt_words(row: Attempt) -> str:
    if row.stage is Stage.INTENDED:
        return "its create was not answered"
    return "a delete is under way" if row.stage is Stage.DISCARDING else f"failed: {row.doomed}"


def _unless_running(session: Session, row: Attempt, why: str) -> Item:
    if session.is_running(row):
        return Item(row, "it is being uploaded now", due=False)
    return Item(row, why)


def _remote_items(session: Session, choice: Choice, planned: set[str | None]) -> Iterator[Item]:
    settings = session.settings
    listed = [one for one in _listed(session, choice) if one[0].marker is not None]
    # After the list: what began since then is no stranger to it. Watches last: what was a row when
    # the list was made, and is none any more, became one.
    rows = session.about(
        [video.uid for video, _ in listed],
        [video.marker.attempt for video, _ in listed if video.marker is not None],
    )
    watched = {
        watch.id: watch for watch in session.journal.watches(settings.base, settings.account)
    }
    known = {row.uid for row in rows} | planned
    own_rows = {row.id: row for row in rows}
    for video, date in listed:
        marker = video.marker
        if marker is None or video.uid in known:
            continue
        origin = watched.get(marker.attempt) or own_rows.get(marker.attempt)
        if origin is not None and origin.stage is Stage.INTENDED and origin.row:
            continue  # its row looks for it by the marker
        item = _orphan(session, video, date, choice, origin)
        if item is not None:
            yield item


def _listed(session: Session, choice: Choice) -> Iterator[tuple[Video, float | None]]:
    states = [PENDING, ERROR] if choice.errors else [PENDING]
    for state in states:
        for page in session.api.pages({"status": state}, None, session.patience):
            if not isinstance(page, Page):
                raise api_problem(page)
            for video in page.videos:
                if video.state in states:
                    yield video, page.date


def api_problem(trouble: Trouble | Denied) -> CfuploadError:
    """The error of a call outside an upload that went wrong."""
    if isinstance(trouble, Denied):
        failure = trouble.failure
        family = ConfigProblem if failure.reason is Reason.DENIED else Refused
        return family(failure.message, failure.hint)
    return TroubleOutlasted(trouble.message, "Run the same command again.")


def _orphan(
    session: Session, video: Video, date: float | None, choice: Choice, origin: Attempt | None
) -> Item | None:
    marker = video.marker
    if marker is None:
        return None
    named = video.uid in choice.uids
    attempt = Attempt(
        id=marker.attempt, host=marker.host, label=marker.label,
        base=session.settings.base, account=session.settings.account,
        path=origin.path if origin else "", file=origin.file if origin else _NOBODY,
        stage=Stage.CREATED, uid=video.uid, doomed=Reason.ORPHAN.value,
        expiry=video.expiry, since=epoch(video.created),
    )  # fmt: skip
    if named:
        return Item(attempt, "named")
    # A host id that several machines share says nothing about who is still running.
    own = marker.host == session.journal.host and session.settings.host_id is None
    if origin is not None:
        # Its create is long answered: nobody knows this one's upload URL, it can never be whole.
        return Item(attempt, "a repeated or late create")
    if not own and not choice.foreign and not (choice.label and choice.ended):
        return None
    if choice.label and marker.label != choice.label:
        return None
    if choice.label and choice.ended:
        return Item(attempt, f"label {choice.label}, all ended")
    return _by_age(attempt, video, date, choice)


def _by_age(attempt: Attempt, video: Video, date: float | None, choice: Choice) -> Item:
    """Without a row here, only Stream's clock says that nobody can be uploading any more."""
    if date is None or video.expiry is None:
        return Item(attempt, "its upload window is not known", due=False)
    opens = max(video.expiry + GRACE, (epoch(video.created) or 0.0) + choice.min_age)
    if date <= opens:
        hours = (opens - date) / 3600
        return Item(attempt, f"may still be uploading elsewhere for {hours:.1f} h", due=False)
    return Item(attempt, "expired")


# --- making it so --------------------------------------------------------------------------------


def sweep(session: Session, items: list[Item], choice: Choice) -> Iterator[Swept]:
    """Carry out a plan, item by item; ends early when interrupted or at ``max_delete``.

    A lost create may turn out to have made several videos: those join the plan.
    """
    deleted = 0
    known = {row.row for row in session.unsettled()}
    items = list(items)
    for item in items:
        if not item.due:
            yield Swept(item, "busy" if item.attempt.row else "waiting")
            continue
        enough = choice.max_delete is not None and deleted >= choice.max_delete
        if enough or session.interruption.count:
            yield Swept(item, "left")
            continue
        swept = _discard(session, item)
        deleted += swept.outcome == "discarded"
        yield swept
        strays = [row for row in session.unsettled() if row.doomed == Reason.STRAY]
        twins = [row for row in strays if row.row not in known]
        known |= {row.row for row in twins}
        items += [Item(row, "a repeated create") for row in twins]


def _discard(session: Session, item: Item) -> Swept:
    row = item.attempt
    if not row.row:
        # A twin of an item before it may have its row by now.
        known = next(iter(session.about([row.uid or ""], [])), None)
        row = known or session.journal.record(row)
    elif not row.is_debt and row.stage is Stage.CREATED:
        row = doom(
            row,
            Failure(Reason.ORPHAN, item.why),
            replace(session.policy, keep_failed=False),
            session.room.clock(),
        )
    done = pay(session, row, kept=item.attempt.kept)
    if done is None:
        return Swept(item, "busy")
    error = error_of(done)
    if done.stage is Stage.GONE:
        return Swept(item, "discarded" if done.uid else "watched")
    if done.now.verdict is Verdict.STORED:
        return Swept(item, "whole")
    if done.now.verdict is Verdict.UNANSWERED and done.uid is None:
        # Nothing of it was found; the row stays until Stream's clock says that nothing can come.
        failure = done.now.failure
        denied = failure is not None and failure.reason is not Reason.TROUBLE
        return Swept(item, "left" if denied else "watched", error if denied else None)
    return Swept(item, "left", error)


def forget(session: Session, name: str) -> Attempt:
    """Write a doomed, discarding or unanswered row off, by its UID or attempt, without asking.

    Raises `UsageProblem` when there is no such debt, `Busy` while somebody works on it.
    """
    for row in session.about([name], [name]):
        if row.is_debt:
            try:
                with session.lock_of(row):
                    # Not watched: what was written off must not come back with the next look.
                    session.journal.remove(row, watch=False)
            except Busy:
                raise Busy(f"{name} is being worked on now", uid=row.uid) from None
            return row
    raise UsageProblem(
        f"{name if is_uid(name) else 'That'} is no debt in the journal", "See: cfupload status"
    )
