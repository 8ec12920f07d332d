"""``cfupload send``: files in, one video each out."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cfstream_upload.cli.everywhere import Desk, option, with_everywhere
from cfstream_upload.errors import UsageProblem, most_urgent

if TYPE_CHECKING:
    from cfstream_upload.result import Result

FIELDS = "Stream's fields"
FAILURE = "When it fails"
LINE = "The line"


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
    name: Annotated[
        str | None,
        option(
            "--name", metavar="TEXT", help="The video's name [the file's].", rich_help_panel=FIELDS
        ),
    ] = None,
    meta: Annotated[
        list[str] | None,
        option(
            "--meta",
            metavar="K=V",
            help="K=V for the video's meta; repeatable.",
            rich_help_panel=FIELDS,
        ),
    ] = None,
    creator: Annotated[
        str | None,
        option("--creator", metavar="TEXT", help="Stream's creator field.", rich_help_panel=FIELDS),
    ] = None,
    require_signed_urls: Annotated[
        bool,
        option("--require-signed-urls", help="Play by signed URL only.", rich_help_panel=FIELDS),
    ] = False,
    allowed_origin: Annotated[
        list[str] | None,
        option(
            "--allowed-origin",
            metavar="HOST",
            help="A host that may embed it.",
            rich_help_panel=FIELDS,
        ),
    ] = None,
    thumbnail_pct: Annotated[
        float | None,
        option(
            "--thumbnail-pct",
            metavar="0..1",
            help="Where the thumbnail is, 0 to 1.",
            rich_help_panel=FIELDS,
        ),
    ] = None,
    watermark: Annotated[
        str | None,
        option("--watermark", metavar="UID", help="A watermark's UID.", rich_help_panel=FIELDS),
    ] = None,
    scheduled_deletion: Annotated[
        str | None,
        option(
            "--scheduled-deletion",
            metavar="DATE",
            help="RFC 3339, at least 30 days on.",
            rich_help_panel=FIELDS,
        ),
    ] = None,
    max_duration_seconds: Annotated[
        int | None,
        option(
            "--max-duration-seconds",
            metavar="N",
            help="Storage to reserve [the container's + 10 %].",
            rich_help_panel=FIELDS,
        ),
    ] = None,
    expiry: Annotated[
        str | None,
        option(
            "--expiry",
            metavar="DATE",
            help="End of the upload window, RFC 3339.",
            rich_help_panel=FIELDS,
        ),
    ] = None,
    label: Annotated[
        str | None,
        option(
            "--label",
            metavar="TEXT",
            help="Travels in the marker; cleanup --label finds it.",
            env=False,
            rich_help_panel=FAILURE,
        ),
    ] = None,
    on_failure: Annotated[
        str,
        option(
            "--on-failure",
            metavar="delete|keep",
            help="What then becomes of the upload.",
            rich_help_panel=FAILURE,
        ),
    ] = "delete",
    on_processing_error: Annotated[
        str,
        option(
            "--on-processing-error",
            metavar="delete|keep",
            help="What then becomes of the upload.",
            rich_help_panel=FAILURE,
        ),
    ] = "delete",
    again: Annotated[
        bool,
        option("--again", help="A second video on purpose.", env=False, rich_help_panel=FAILURE),
    ] = False,
    chunk_size: Annotated[
        str | None,
        option("--chunk-size", metavar="SIZE", help="Largest chunk [200M].", rich_help_panel=LINE),
    ] = None,
    retries: Annotated[
        int,
        option(
            "--retries", metavar="N", help="Tries without progress.", min=0, rich_help_panel=LINE
        ),
    ] = 8,
    retry_max_time: Annotated[
        str,
        option(
            "--retry-max-time",
            metavar="TIME",
            help="How long tries may go on without progress.",
            rich_help_panel=LINE,
        ),
    ] = "10m",
    connect_timeout: Annotated[
        str,
        option(
            "--connect-timeout",
            metavar="TIME",
            help="How long connecting may take.",
            rich_help_panel=LINE,
        ),
    ] = "10s",
    stall_timeout: Annotated[
        str,
        option(
            "--stall-timeout",
            metavar="TIME",
            help="How long not one byte may move.",
            rich_help_panel=LINE,
        ),
    ] = "60s",
) -> int:
    """Upload files, each as exactly one video.

    What was interrupted is resumed; a file that was sent already prints its UID.

    Examples:

        cfupload send big.mp4

        cfupload send --json --name "Launch" --meta team=red launch.mov
    """
    from cfstream_upload.ending import Policy
    from cfstream_upload.interruption import Interruption, signals_as
    from cfstream_upload.result import summary
    from cfstream_upload.sending import Wishes, send_all
    from cfstream_upload.units import parse_size, parse_time
    from cfstream_upload.video import VideoOptions

    options = VideoOptions(
        name=name,
        meta=tuple(_pair(text) for text in meta or ()),
        creator=creator,
        require_signed_urls=require_signed_urls,
        allowed_origins=tuple(allowed_origin or ()),
        thumbnail_pct=thumbnail_pct,
        watermark=watermark,
        scheduled_deletion=scheduled_deletion,
        max_duration_seconds=max_duration_seconds,
        expiry=expiry,
    ).checked()
    policy = Policy(
        retries=retries,
        retry_max_time=parse_time(retry_max_time),
        keep_failed=_choice("--on-failure", on_failure) == "keep",
        keep_unprocessed=_choice("--on-processing-error", on_processing_error) == "keep",
    )
    if chunk_size is not None:
        policy = replace(policy, largest_chunk=_chunk(parse_size(chunk_size)))
    started = time.monotonic()
    interruption = Interruption()
    with (
        signals_as(interruption),
        desk.session(
            policy=policy,
            interruption=interruption,
            read_label=True,
            stall=parse_time(stall_timeout),
            connect_timeout=parse_time(connect_timeout),
        ) as session,
    ):
        wishes = Wishes(options, _label(label) or session.settings.label, again)
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


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise UsageProblem(f"--meta {text!r} is not K=V", "Like: --meta team=red")
    return key, value


def _choice(flag: str, value: str) -> str:
    if value not in ("delete", "keep"):
        raise UsageProblem(f"{flag} {value!r} is neither delete nor keep", "Choose one of them.")
    return value


def _chunk(size: int) -> int:
    from cfstream_upload import pace

    if not pace.SMALLEST <= size <= pace.LARGEST:
        raise UsageProblem(
            f"--chunk-size {size} is outside Stream's limits", "Between 5M and 200M."
        )
    return pace.legal(size)


def _label(label: str | None) -> str:
    from cfstream_upload.attempt import is_label

    if label and not is_label(label):
        raise UsageProblem(
            f"--label {label!r} cannot stand in a marker",
            "Up to 64 letters, digits and _ . : / @ + - , no dot or slash first.",
        )
    return label or ""
