"""The commands put together, and Typer's own errors put into our words."""

from __future__ import annotations

import json
import sys
from contextlib import suppress

import typer
from typer.exceptions import TyperException

from cfstream_upload.cli import (
    cleanup,
    configuration,
    doctor,
    emulator,
    explain,
    send,
    videos,
    wait,
)
from cfstream_upload.cli.common import Common
from cfstream_upload.cli.everywhere import with_callback
from cfstream_upload.errors import CfuploadError, UsageProblem, described

app = typer.Typer(
    name="cfupload",
    help="Large videos to Cloudflare Stream: one video per file, nothing left when it fails.",
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


for group in (send, cleanup, videos, wait, configuration, doctor, emulator, explain):
    group.add_to(app)


def run(arguments: list[str]) -> int:
    """Run one command line; its exit code."""
    in_json = "--json" in arguments
    try:
        # Whoever types the name alone wants to know what there is.
        code = app(arguments or ["--help"], prog_name="cfupload", standalone_mode=False)
    except TyperException as error:
        return _told(_misused(error.format_message(), arguments), in_json=in_json)
    except typer.Abort:
        return 130
    except CfuploadError as error:
        return _told(error, in_json=in_json)
    except Exception as bug:  # noqa: BLE001  the last boundary: no traceback, it may quote a secret
        return _told(described(bug), in_json=in_json)
    return code if isinstance(code, int) else 0


def _misused(message: str, arguments: list[str]) -> UsageProblem:
    words = " ".join(message.split()) or "no command given"
    named = next((one for one in arguments if not one.startswith("-")), "")
    command = f"{named} " if named in {group.name for group in app.registered_commands} else ""
    hint = f"See: cfupload {command}--help"
    if words.startswith("No such option"):
        hint += "  (a file name that begins with '-' goes after '--')"
    return UsageProblem(words, hint)


def _told(error: CfuploadError, *, in_json: bool) -> int:
    from cfstream_upload.result import error_document
    from cfstream_upload.safetext import safe

    # A closed or full stream changes no exit code.
    with suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(f"error: {safe(error.message)}\n  hint: {safe(error.hint)}\n")
    with suppress(OSError, ValueError, AttributeError):
        if in_json:
            sys.stdout.write(json.dumps({"version": 1, "error": error_document(error)}) + "\n")
    return error.exit_code
