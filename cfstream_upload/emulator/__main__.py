"""The emulator as a process: for `detached`, and for developers.

It prints where it can be reached as one line of JSON. SIGTERM ends it with exit code 0.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import secrets
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from types import FrameType

from .endpoint import Endpoint
from .listening import listen
from .model import Stream
from .onlyone import only_one
from .stage import Stage


def main(arguments: list[str] | None = None) -> int:
    """Run until SIGTERM, Ctrl-C or the idle end; give the exit code."""
    options = _parser().parse_args(arguments)
    # uvicorn raises the signal again once it has shut down, so this also ends a clean run.
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGINT, _leave)
    with contextlib.ExitStack() as held:
        if options.data is not None:
            options.data.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = options.data.with_name(options.data.name + ".lock")
            held.enter_context(only_one(lock, seconds=8.0))
        service = Stream(data=options.data, account=options.account, token=_token(options))
        listener = listen(options.port, or_another=options.or_another_port)
        server = Stage(service, listener, idle=options.idle)
        _announce(server.endpoint, options)
        server.serve()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {__package__}", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 (default): any free port")
    parser.add_argument("--or-another-port", action="store_true", help="if --port is in use")
    parser.add_argument("--data", type=Path, help="folder for videos (default: memory)")
    parser.add_argument("--idle", type=float, help="end after so many seconds without a request")
    parser.add_argument("--account", help="32 hex digits (default: random)")
    parser.add_argument("--token-file", type=Path, help="holds the token (default: random)")
    parser.add_argument("--ready-file", type=Path, help="written once it can be reached")
    return parser


def _token(options: argparse.Namespace) -> str:
    if options.token_file is None:
        return secrets.token_urlsafe(30)
    return str(options.token_file.read_text().strip())


def _announce(endpoint: Endpoint, options: argparse.Namespace) -> None:
    """Tell where it can be reached; the token only to somebody who could not know it."""
    known = asdict(endpoint)
    said = known if options.token_file is None else {**known, "token": None}
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()
    if options.ready_file is not None:
        fresh = options.ready_file.with_suffix(".new")
        fresh.touch(mode=0o600)
        fresh.write_text(json.dumps(known))
        fresh.replace(options.ready_file)


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)


if __name__ == "__main__":
    sys.exit(main())
