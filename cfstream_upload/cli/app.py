"""The commands put together, and Typer's own errors put into our words."""

from __future__ import annotations

import os
import sys

import typer
from typer.exceptions import TyperException

from cfstream_upload.cli import (
    cleanup,
    completion,
    configuration,
    doctor,
    emulator,
    explain,
    fleet,
    send,
    videos,
    wait,
)
from cfstream_upload.cli.commands import App
from cfstream_upload.cli.common import Common
from cfstream_upload.cli.desk import emergency_desk
from cfstream_upload.cli.everywhere import keeping_everywhere
from cfstream_upload.errors import CfuploadError, described
from cfstream_upload.safetext import safe
from cfstream_upload.streams import Outlet

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

for group in (
    send, cleanup, videos, wait, configuration, doctor, fleet, emulator, completion, explain,
):  # fmt: skip
    group.add_to(app)


def run(arguments: list[str]) -> int:
    """Run one command line; its exit code."""
    try:
        code = app(arguments, prog_name="cfupload", standalone_mode=False)
    except TyperException as error:
        return _told(_misused(error), arguments)
    except typer.Abort:
        return 130
    except CfuploadError as error:
        return _told(error, arguments)
    except Exception as bug:  # noqa: BLE001  the last boundary: no traceback, it may quote a secret
        return _told(described(bug), arguments)
    return code if isinstance(code, int) else 0


def command_names() -> set[str]:
    """What can stand where a command is named."""
    return set(getattr(typer.main.get_command(app), "commands", {}))


def _misused(error: TyperException) -> CfuploadError:
    try:
        from cfstream_upload.cli.misuse import misused

        return misused(error)
    except Exception as bug:  # noqa: BLE001  as in `run`
        return described(bug)


def _command(arguments: list[str]) -> str:
    """The command that was named, "" where none is."""
    names = command_names()
    return next((one for one in arguments if one in names), "")


def _told(error: CfuploadError, arguments: list[str]) -> int:
    """Tell of ``error`` as the command itself would have; where that fails too, in two lines."""
    try:
        with emergency_desk(_wanted(arguments), _command(arguments)) as desk:
            return desk.reported(error)
    except Exception:  # noqa: BLE001  whatever is broken, no traceback
        Outlet(sys.stderr).write(f"error: {safe(error.message)}\n  hint: {safe(error.hint)}\n")
        return error.exit_code


def _wanted(arguments: list[str]) -> Common:
    """What stdout is to carry, from options that could not all be read."""
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    modes = ("json", "ndjson")
    flags = [mode for mode in modes if f"--{mode}" in options]
    quiet = not flags and not {"-q", "--quiet"}.isdisjoint(options)
    variables = [mode for mode in modes if _is_true(f"CFUPLOAD_{mode.upper()}")]
    chosen = [*flags, *([] if quiet else variables), ""][0]
    return Common(json=chosen == "json", ndjson=chosen == "ndjson", quiet=quiet)


def _is_true(variable: str) -> bool:
    return os.environ.get(variable, "").lower() in {"1", "true", "t", "yes", "y", "on"}
