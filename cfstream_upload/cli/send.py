"""``cfupload send``: files in, one video each out."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cfstream_upload.cli.desk import Desk
from cfstream_upload.cli.everywhere import with_everywhere
from cfstream_upload.cli.sendoptions import Failing, Line, VideoFields, checked_label, policy_of
from cfstream_upload.errors import most_urgent

if TYPE_CHECKING:
    from cfstream_upload.result import Result


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("send")(with_everywhere(send))


def send(
    desk: Desk,
    files: Annotated[
        list[Path],
        # Whether a file can be read is the file's own error, with its own exit code.
        typer.Argument(metavar="FILE", readable=False, help="Videos to upload."),
    ],
    fields: VideoFields,
    failing: Failing,
    line: Line,
) -> int:
    """Upload files, each as exactly one video.

    What was interrupted is resumed; a file that was sent already prints its UID.

    Examples:

        cfupload send big.mp4

        cfupload send --json --name "Launch" --meta team=red launch.mov
    """
    from cfstream_upload.interruption import Interruption, signals_as
    from cfstream_upload.result import summary
    from cfstream_upload.sending import Wishes, send_all
    from cfstream_upload.units import parse_time

    options = fields.options()
    policy = policy_of(failing, line)
    label = checked_label(failing.label)
    started = time.monotonic()
    interruption = Interruption()
    with (
        signals_as(interruption),
        desk.session(
            policy=policy,
            interruption=interruption,
            read_label=True,
            stall=parse_time(line.stall_timeout),
            connect_timeout=parse_time(line.connect_timeout),
        ) as session,
    ):
        wishes = Wishes(options, label or session.settings.label, failing.again)
        results = []
        for result in send_all(session, [str(file) for file in files], wishes):
            _report(desk, result)
            results.append(result)
    code = most_urgent([result.exit_code for result in results])
    totals = summary(results, time.monotonic() - started, code)
    if desk.common.mode == "json":
        uploads = [result.document() for result in results]
        desk.console.document(
            {"version": 1, "uploads": uploads, "summary": totals, "error": _first_error(results)}
        )
    elif desk.common.mode == "ndjson":
        desk.console.event({"message_type": "summary", **totals})
    return code


def _report(desk: Desk, result: Result) -> None:
    console = desk.console
    console.finished(result.file, _words(result))
    failed = result.error is not None
    console.event({"message_type": "failed" if failed else "uploaded", **result.document()})
    if result.error is not None:
        console.problem(result.error)
    elif result.uid and desk.common.mode in ("text", "quiet"):
        console.line(result.uid)


def _words(result: Result) -> str:
    from cfstream_upload.units import human_size, human_time

    size = human_size(result.size or 0)
    took = f"{human_size(result.sent)} in {human_time(result.seconds)}"
    match result.outcome:
        case "uploaded":
            return f"uploaded, {took}"
        case "resumed":
            return f"resumed and uploaded, {took} of {size}"
        case "already":
            return f"already on Stream ({result.state or 'stored'})"
        case "skipped":
            return "skipped"
        case _:
            left = {"confirmed": "; nothing is left on Stream", "kept": "; the upload was kept"}
            return result.outcome + left.get(result.cleanup, "")


def _first_error(results: list[Result]) -> dict[str, Any] | None:
    """The error of a run of one file; a batch tells each file's error beside its file."""
    from cfstream_upload.result import error_document

    error = results[0].error if len(results) == 1 else None
    return None if error is None else error_document(error)
