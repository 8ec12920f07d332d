"""The command ``cfupload``: the only place that exits."""

from __future__ import annotations

import sys


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    if "--version" in options:
        # Answered before anything heavy is loaded.
        from cfstream_upload import __version__

        sys.stdout.write(f"cfupload {__version__}\n")
        raise SystemExit(0)
    from cfstream_upload.cli.app import run

    raise SystemExit(run(arguments))
