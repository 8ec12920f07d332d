"""``cfupload doctor``: is everything there that an upload needs, before anything is created."""

from __future__ import annotations

import os
import textwrap
from typing import TYPE_CHECKING, Annotated

import typer

from cfstream_upload.cli.desk import Desk
from cfstream_upload.cli.everywhere import with_everywhere
from cfstream_upload.errors import CfuploadError, Interrupted

if TYPE_CHECKING:
    from cfstream_upload.checks import Check
    from cfstream_upload.config import Examined

_INDENT = 18
_NARROW = 60


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("doctor")(with_everywhere(doctor))


def doctor(
    desk: Desk,
    files: Annotated[
        list[str] | None,
        # Whether a file can be read is a check of its own, with its own exit code.
        typer.Argument(metavar="FILE", readable=False, help="Videos to look at too."),
    ] = None,
) -> int:
    """Check everything that an upload needs, before anything is created on Stream.

    Settings, journal, files, proxy, network, token, account, permission, storage, pending uploads,
    clock, and the cluster of CFUPLOAD_CLUSTER: one line each, with what to do. Exits 0 where
    nothing failed, else as send would.

    Examples:

        cfupload doctor

        cfupload doctor --json big.mp4
    """
    from cfstream_upload.checks import verdict
    from cfstream_upload.doctor import Doctor

    made: list[Check] = []
    interrupted: CfuploadError | None = None
    try:
        examined = _examined(desk)
        practice = Doctor(examined, files or [], redactor=desk.redactor)
        for check in practice.checks():
            made.append(check)
            _tell(desk, check)
        if cluster := os.environ.get("CFUPLOAD_CLUSTER"):
            made.append(_cluster(cluster, examined, has_journal=practice.has_journal))
            _tell(desk, made[-1])
    except KeyboardInterrupt:
        interrupted = Interrupted("Interrupted")
    return _ended(desk, made, interrupted or verdict(made))


def _examined(desk: Desk) -> Examined:
    from cfstream_upload.config import Examined, Setting, examine, no_settings

    if not desk.common.local:
        examined = examine(desk.flags(), os.environ)
        desk.redactor.add(examined.settings.token.reveal())
        return examined
    try:
        settings = desk.settings()
    except CfuploadError as problem:
        return Examined(no_settings(os.environ), {"local": problem})
    desk.redactor.add(settings.token.reveal())
    known = {"api_token": "***", "account_id": settings.account, "api_base_url": settings.base}
    shown = [Setting(name, value, "--local") for name, value in known.items()]
    return Examined(settings, {}, tuple(shown))


def _cluster(named: str, examined: Examined, *, has_journal: bool) -> Check:
    """Whether the workers of the cluster that send is to use would send for these settings."""
    from cfstream_upload import checks
    from cfstream_upload.cluster.checkup import looked_at
    from cfstream_upload.cluster.place import place_of
    from cfstream_upload.session import Session

    try:
        place = place_of(named)
    except CfuploadError as problem:
        return checks.refused("cluster", problem)
    if examined.problems:
        return checks.skipped("cluster", "the settings above stand in the way")
    with Session(examined.settings) as session:
        return looked_at(place, session if has_journal else None)


def _tell(desk: Desk, check: Check) -> None:
    desk.console.event({"message_type": "check", **check.document()})
    if desk.common.mode == "text":
        for line in _lines(check, desk.console.columns):
            desk.console.line(line)


def _lines(check: Check, columns: int | None) -> list[str]:
    """A check as text: one line, on a terminal folded between words."""
    from cfstream_upload.checks import MARKS
    from cfstream_upload.safetext import safe

    advice = f" -> {check.advice}" if check.advice else ""
    line = safe(f"{MARKS[check.status]:<4}  {check.name:<10}  {check.found}{advice}", 2000)
    if columns is None:
        return [line]
    return textwrap.wrap(
        line,
        columns,
        subsequent_indent=" " * (_INDENT if columns >= _NARROW else 6),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _ended(desk: Desk, made: list[Check], error: CfuploadError | None) -> int:
    from cfstream_upload.documents import document

    if desk.common.mode == "json":
        desk.console.document(document("checks", [check.document() for check in made], error))
    return 0 if error is None else desk.ended(error)
