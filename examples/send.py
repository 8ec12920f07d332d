"""Send a video from Python: ``python send.py FILE``; the account comes from the environment."""

from __future__ import annotations

import os
import sys

import cfstream_upload
from cfstream_upload.config import resolve
from cfstream_upload.errors import CfuploadError
from cfstream_upload.events import Event, Progress


def show(event: Event) -> None:
    """Print what Stream has acknowledged."""
    if isinstance(event, Progress):
        print(f"{100 * event.acknowledged // event.size} %", file=sys.stderr)


def main() -> int:
    """Send the file named on the command line."""
    try:
        result = cfstream_upload.send(sys.argv[1], resolve({}, os.environ), on_event=show)
    except CfuploadError as error:
        print(f"{error.message}\n{error.hint}", file=sys.stderr)
        return error.exit_code
    print(result.uid)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
