"""``cfupload cleanup`` and ``cfupload status``: debts, orphans, and the journal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cfstream_upload.cli.desk import Desk
from cfstream_upload.cli.everywhere import with_everywhere
from cfstream_upload.cli.groups import option
from cfstream_upload.errors import (
    CfuploadError,
    Interrupted,
    LeftoverRemains,
    TroubleOutlasted,
    UsageProblem,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from cfstream_upload.attempt import Attempt
    from cfstream_upload.session import Session
    from cfstream_upload.sweeping import Choice, Item, Swept


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("cleanup")(with_everywhere(cleanup))
    app.command("status")(with_everywhere(status))


def cleanup(
    desk: Desk,
    uids: Annotated[list[str] | None, typer.Argument(metavar="UID")] = None,
    orphans: Annotated[
        bool, option("--orphans", help="Also what nobody is uploading any more.")
    ] = False,
    foreign: Annotated[bool, option("--foreign", help="Other machines' uploads too.")] = False,
    errors: Annotated[bool, option("--errors", help="Videos in state error too.")] = False,
    label: Annotated[
        str | None,
        option("--label", metavar="TEXT", help="Only uploads with this label.", env=False),
    ] = None,
    ended: Annotated[
        bool, option("--ended", help="All with that label have ended: no wait.", env=False)
    ] = False,
    min_age: Annotated[
        str | None, option("--min-age", metavar="TIME", help="Wait at least this long.")
    ] = None,
    max_delete: Annotated[
        int | None, option("--max-delete", metavar="N", help="Stop after N.", min=0)
    ] = None,
    dry_run: Annotated[
        bool, option("-n", "--dry-run", help="Show it, do nothing.", env=False)
    ] = False,
    yes: Annotated[bool, option("-y", "--yes", help="Do not ask.", env=False)] = False,
    forget: Annotated[
        list[str] | None,
        option(
            "--forget", metavar="UID", help="Write a debt off without asking Stream.", env=False
        ),
    ] = None,
    rebuild: Annotated[
        bool, option("--rebuild", help="A new journal, read back from Stream.", env=False)
    ] = False,
) -> int:
    """Delete what failed and could not be deleted then.

    With --orphans also what was interrupted and nobody is running.

    Examples:

        cfupload cleanup

        cfupload cleanup --orphans --dry-run
    """
    from cfstream_upload import sweeping
    from cfstream_upload.interruption import Interruption, signals_as
    from cfstream_upload.units import parse_time

    _check(uids or [], label, ended=ended)
    choice = sweeping.Choice(
        orphans=orphans,
        uids=tuple(uids or ()),
        foreign=foreign,
        errors=errors,
        label=label or "",
        ended=ended,
        min_age=parse_time(min_age) if min_age else 0.0,
        max_delete=max_delete,
    )
    interruption = Interruption()
    with signals_as(interruption), desk.session(interruption=interruption) as session:
        if rebuild:
            return _rebuilt(desk, session, dry_run=dry_run, yes=yes)
        if forget:
            return _forgotten(desk, session, forget)
        items, problem = _planned(session, choice)
        due = [item for item in items if item.due]
        if dry_run:
            _shown(desk, [(one, "would go" if one.due else "stays") for one in items], problem)
            return desk.ended(problem) if problem else 0
        if due and not yes:
            _show_plan(desk, items)
            question = f"Delete {len(due)} unfinished upload(s)?"
            if not desk.console.ask(question, lambda: interruption.count > 0):
                if interruption.count:
                    raise Interrupted("Interrupted", signum=interruption.signum)
                raise UsageProblem("Nothing was deleted", "To delete without a question: --yes")
        swept = list(sweeping.sweep(session, items, choice))
        if problem is None and interruption.count:
            problem = Interrupted("Interrupted", signum=interruption.signum)
        code = _swept(desk, swept, problem)
        if not orphans and not uids:
            _say_interrupted(desk, session)
        return code


def _say_interrupted(desk: Desk, session: Session) -> None:
    """What failed is gone; what was only interrupted stays, and somebody may have come for it."""
    is_running = session.running()
    rows = session.unsettled()
    count = sum(_condition(row, is_running) == "interrupted" for row in rows)
    if count:
        desk.console.warning(
            f"{count} interrupted upload(s) stay: the same send goes on with each; to discard "
            "them: cfupload cleanup --orphans"
        )


def _planned(session: Session, choice: Choice) -> tuple[list[Item], CfuploadError | None]:
    """The plan; where Stream lists nothing, at least the debts that the journal knows."""
    from cfstream_upload import sweeping

    try:
        return sweeping.plan(session, choice), None
    except TroubleOutlasted as problem:
        items = sweeping.plan_rows(session, choice)
        if not items:
            raise
        return items, problem


def _check(uids: list[str], label: str | None, *, ended: bool) -> None:
    from cfstream_upload.attempt import is_uid

    for uid in uids:
        if not is_uid(uid):
            raise UsageProblem(f"{uid!r} is no UID", "A UID has 32 hex digits: cfupload list")
    if ended and not label:
        raise UsageProblem("--ended says nothing without --label", "Name the label that ended.")


def _row(item: Item, outcome: str) -> dict[str, Any]:
    attempt = item.attempt
    return {
        "uid": attempt.uid,
        "attempt": attempt.id,
        "file": attempt.path,
        "stage": attempt.stage.value,
        "why": item.why,
        "outcome": outcome,
    }


def _shown(desk: Desk, rows: list[tuple[Item, str]], error: CfuploadError | None) -> None:
    found = [_row(item, outcome) for item, outcome in rows]
    if desk.answered("swept", "swept", found, error):
        return
    if desk.common.mode == "quiet":
        _named(desk, found)
    elif found:
        _table(desk, found)
    elif error is None:
        desk.console.line("Nothing to clean up.")


def _named(desk: Desk, found: list[dict[str, Any]]) -> None:
    for row in found:
        desk.console.line(str(row["uid"] or row["attempt"]))


def _table(desk: Desk, found: list[dict[str, Any]]) -> None:
    desk.console.table(
        ["UID", "FILE", "WHY", "OUTCOME"],
        [
            [row["uid"] or row["attempt"], row["file"] or "-", row["why"], row["outcome"]]
            for row in found
        ],
    )


def _show_plan(desk: Desk, items: list[Item]) -> None:
    # What a program reads from stdout is one document, and comes at the end.
    if desk.common.mode == "text" and sys.stdin.isatty() and sys.stderr.isatty():
        _table(desk, [_row(item, "to delete" if item.due else "stays") for item in items])


def _swept(desk: Desk, swept: list[Swept], problem: CfuploadError | None) -> int:
    """Tell what became of all; something left is exit 7, before any other problem."""
    errors = [one.error for one in swept if one.error is not None]
    left = sum(one.outcome == "left" for one in swept)
    if left:
        problem = LeftoverRemains(f"{left} upload(s) could not be removed yet")
    _shown(desk, [(one.item, one.outcome) for one in swept], problem)
    for error in errors:
        desk.console.problem(error)
    return desk.ended(problem) if problem else 0


def _forgotten(desk: Desk, session: Session, names: list[str]) -> int:
    from cfstream_upload import sweeping

    found = []
    for name in names:
        row = sweeping.forget(session, name)
        found.append(_row(sweeping.Item(row, "written off without asking Stream"), "forgotten"))
        desk.console.warning(f"written off without asking Stream: {row.uid or row.id}")
    desk.answered("swept", "swept", found)
    return 0


def _rebuilt(desk: Desk, session: Session, *, dry_run: bool, yes: bool) -> int:
    from cfstream_upload.rebuilding import rebuild_journal, refuse_if_sound, where

    place = where(session)
    refuse_if_sound(session)
    if dry_run:
        desk.console.warning(f"the journal in {place} would be moved aside and begun anew")
        desk.answered("journal", "journal", [])
        return 0
    if not yes and not desk.console.ask(f"Move the journal in {place} aside and begin anew?"):
        raise UsageProblem("Nothing was changed", "To do it without a question: --yes")
    found = rebuild_journal(session)
    desk.answered("journal", "journal", [_told(row, "receipt") for row in found])
    words = "a new journal was begun; Stream still has these videos of the old one"
    desk.console.warning(f"{words}: {len(found)}. Which files they were is not known any more")
    return 0


def status(desk: Desk) -> int:
    """Show the journal; exits 7 while a debt stands.

    Each upload is running, interrupted, kept, a debt, or a receipt.

    Examples:

        cfupload status

        cfupload status --json
    """
    with desk.session(need_account=False) as session:
        is_running = session.running()
        rows = [(row, _condition(row, is_running)) for row in session.rows()]
    found = [_told(row, condition) for row, condition in rows]
    debts = sum(condition == "debt" for _, condition in rows)
    if desk.answered("journal", "journal", found):
        pass
    elif desk.common.mode == "quiet":
        _named(desk, found)
    elif not found:
        desk.console.line("The journal is empty.")
    else:
        desk.console.table(
            ["CONDITION", "UID", "DONE", "FILE"],
            [[r["condition"], r["uid"] or "-", _percent(r), r["file"] or "-"] for r in found],
        )
    if debts:
        desk.console.warning(f"{debts} failed upload(s) wait to be removed: cfupload cleanup")
    return 7 if debts else 0


def _told(row: Attempt, condition: str) -> dict[str, Any]:
    return {
        "file": row.path,
        "condition": condition,
        "stage": row.stage.value,
        "uid": row.uid,
        "attempt": row.id,
        "account": row.account,
        "size": row.file.size,
        "acknowledged": row.file.size if condition == "receipt" else row.offset,
        "why": row.doomed or None,
    }


def _condition(row: Attempt, is_running: Callable[[Attempt], bool]) -> str:
    if is_running(row):
        return "running"
    if row.is_debt:
        return "debt"
    if row.kept:
        return "kept"
    return "receipt" if row.stage.value == "stored" else "interrupted"


def _percent(row: dict[str, Any]) -> str:
    size = row["size"]
    return f"{100 * row['acknowledged'] // size} %" if size else "-"
