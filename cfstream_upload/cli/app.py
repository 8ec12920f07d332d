"""The commands put together, and Typer's own errors put into our words."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

import typer
from typer.exceptions import TyperException

from cfstream_upload.cli import (
    cleanup,
    completion,
    configuration,
    doctor,
    emulator,
    explain,
    send,
    videos,
    wait,
)
from cfstream_upload.cli.commands import App
from cfstream_upload.cli.common import Common
from cfstream_upload.cli.desk import opened_desk
from cfstream_upload.cli.everywhere import keeping_everywhere
from cfstream_upload.errors import CfuploadError, described

app = App(
    name="cfupload",
    help="""Large videos to Cloudflare Stream: one video per file, nothing left when it fails.

    Examples:

    cfupload send big.mp4

    cfupload --local send big.mp4
    """,
    add_completion=False,
    pretty_exceptions_enable=False,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


app.callback()(keeping_everywhere())

for group in (send, cleanup, videos, wait, configuration, doctor, emulator, completion, explain):
    group.add_to(app)


def run(arguments: list[str]) -> int:
    """Run one command line; its exit code."""
    try:
        code = app(arguments, prog_name="cfupload", standalone_mode=False)
    except TyperException as error:
        from cfstream_upload.cli.misuse import misused

        return _told(misused(error), arguments)
    except typer.Abort:
        return 130
    except CfuploadError as error:
        return _told(error, arguments)
    except Exception as bug:  # noqa: BLE001  the last boundary: no traceback, it may quote a secret
        return _told(described(bug), arguments)
    return code if isinstance(code, int) else 0


def _told(error: CfuploadError, arguments: list[str]) -> int:
    """Tell of an ``error`` that came before, or while, a command got its desk."""
    try:
        with opened_desk(_wanted(arguments)) as desk:
            return desk.reported(error)
    except CfuploadError:
        # The desk itself is what is wrong, as with an output file that cannot be opened.
        from cfstream_upload.safetext import safe

        with suppress(OSError, ValueError, AttributeError):
            sys.stderr.write(f"error: {safe(error.message)}\n  hint: {safe(error.hint)}\n")
    return error.exit_code


def _wanted(arguments: list[str]) -> Common:
    """What stdout is to carry, as far as that can be told from a command line that is wrong."""
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    modes = ("json", "ndjson")
    flags = [mode for mode in modes if f"--{mode}" in options]
    quiet = {"-q", "--quiet"} & set(options)
    variables = [mode for mode in modes if os.environ.get(f"CFUPLOAD_{mode.upper()}") == "1"]
    chosen = (flags or (not quiet and variables) or [""])[0]
    return Common(json=chosen == "json", ndjson=chosen == "ndjson")
