"""The commands put together, and Typer's own errors put into our words."""

from __future__ import annotations

import sys

import typer
from typer.exceptions import TyperException

from cfstream_upload.cli import cleanup, configuration, emulator, explain, send, videos
from cfstream_upload.cli.everywhere import Common, with_callback
from cfstream_upload.errors import CfuploadError, UsageProblem

app = typer.Typer(
    name="cfupload",
    help="Large videos to Cloudflare Stream: one video per file, nothing left when it fails.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
@with_callback
def everywhere(context: typer.Context, common: Common) -> None:
    """Keep the options that stand before the command's name for it."""
    context.obj = common


for group in (send, cleanup, videos, configuration, emulator, explain):
    group.add_to(app)


def run(arguments: list[str]) -> int:
    """Run one command line; its exit code."""
    try:
        code = app(arguments, prog_name="cfupload", standalone_mode=False)
    except TyperException as error:
        return _misused(error.format_message())
    except typer.Abort:
        return 130
    except CfuploadError as error:
        return _told(error)
    return code if isinstance(code, int) else 0


def _misused(message: str) -> int:
    words = " ".join(message.split()) or "no command given"
    return _told(UsageProblem(words, "See: cfupload --help"))


def _told(error: CfuploadError) -> int:
    from cfstream_upload.safetext import safe

    sys.stderr.write(f"error: {safe(error.message)}\n  hint: {safe(error.hint)}\n")
    return error.exit_code
