"""Send several videos at once: ``python send_many.py FILE...`` prints a line for each.

To change: AT_ONCE, and the options. One that fails stops no other; Ctrl-C stops all, and deletes
what was begun. The exit code is the most urgent of all files' codes, as the command's is.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

from cfstream_upload import CfuploadError, Interruption, VideoOptions, send, settings
from cfstream_upload.errors import most_urgent
from cfstream_upload.events import Created, Event, Retrying

AT_ONCE = 3
OPTIONS = VideoOptions(require_signed_urls=True, meta=(("sender", "send_many"),))


def show(event: Event) -> None:
    """Print what is worth a line; each file's events come in that file's thread."""
    match event:
        case Created(file, uid):
            print(f"{file}: begun as {uid}", file=sys.stderr)
        case Retrying(file, message, tries, seconds):
            print(f"{file}: {message}; try {tries} in {seconds:.0f} s", file=sys.stderr)


def main() -> int:
    """Send the files named on the command line."""
    try:
        account = settings()  # asked for once: a token command may take a while
    except CfuploadError as error:
        print(f"{error.message}\n{error.hint}", file=sys.stderr)
        return error.exit_code
    interruption = Interruption()  # what all of them share
    codes: list[int] = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        under_way = [
            pool.submit(
                send, path, account, options=OPTIONS, on_event=show, interruption=interruption
            )
            for path in sys.argv[1:]
        ]
        try:
            for path, sending in zip(sys.argv[1:], under_way, strict=True):
                try:
                    result = sending.result()
                except CfuploadError as error:
                    codes.append(error.exit_code)
                    print(f"{path}\tfailed\t{error.message}")
                else:
                    print(f"{path}\t{result.outcome}\t{result.uid}")
        except KeyboardInterrupt:
            # Threads hear no Ctrl-C. The pool waits until each has rolled back.
            interruption.stop()
            raise
    return most_urgent(codes)


if __name__ == "__main__":
    raise SystemExit(main())
