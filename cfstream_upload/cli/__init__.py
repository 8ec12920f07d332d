"""The command ``cfupload``: the only place that exits."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    code = 1
    try:
        if os.environ.get("_CFUPLOAD_COMPLETE"):
            code = _completed(arguments)
        else:
            code = _version() if "--version" in options else _run(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        # While modules are loaded nothing is under way, and nobody else is there to notice.
        code = _interrupted()
    except (OSError, ValueError, AttributeError):
        # stdout is closed or full. Python would try once more to flush it, and change the code.
        _forget_stdout()
    except Exception as bug:  # noqa: BLE001  a library that cannot be loaded: no traceback
        _tell_of_bug(bug)
    raise SystemExit(code)


def _version() -> int:
    # Answered before anything heavy is loaded.
    from cfstream_upload import __version__

    sys.stdout.write(f"cfupload {__version__}\n")
    return 0


def _completed(words: list[str]) -> int:
    # A shell asks, at each press of Tab.
    from cfstream_upload.cli.completing import answer

    return answer(words)


def _run(arguments: list[str]) -> int:
    import threading

    from cfstream_upload.cli.app import run

    threading.excepthook = _died
    return run(arguments)


def _died(gone: threading.ExceptHookArgs) -> None:
    """One line for a thread that ended with a bug: Python's traceback may quote a secret."""
    from cfstream_upload.errors import described

    if isinstance(gone.exc_value, Exception):
        with suppress(OSError, ValueError, AttributeError):
            sys.stderr.write(f"error: {described(gone.exc_value).message}\n")


def _tell_of_bug(bug: Exception) -> None:
    from cfstream_upload.errors import described

    told = described(bug)
    with suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(f"error: {told.message}\n  hint: {told.hint}\n")


def _interrupted() -> int:
    with suppress(OSError, ValueError, AttributeError):
        sys.stderr.write("error: Interrupted\n  hint: Run the same command again when ready.\n")
    return 130


def _forget_stdout() -> None:
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError, AttributeError):
        return
