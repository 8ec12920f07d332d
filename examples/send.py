"""Send a video from Python: ``python send.py FILE`` prints its UID.

To change: nothing; the account comes from the environment or the config file, as the command's
does. Ctrl-C deletes what was begun, and is a KeyboardInterrupt then.
"""

from __future__ import annotations

import sys

from cfstream_upload import CfuploadError, send
from cfstream_upload.events import Event, Progress


def show(event: Event) -> None:
    """Print what Stream has acknowledged."""
    if isinstance(event, Progress):
        print(f"{100 * event.acknowledged // event.size} %", file=sys.stderr)


def main() -> int:
    """Send the file named on the command line."""
    try:
        result = send(sys.argv[1], on_event=show)
    except CfuploadError as error:
        print(f"{error.message}\n{error.hint}", file=sys.stderr)
        return error.exit_code
    print(result.uid)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
