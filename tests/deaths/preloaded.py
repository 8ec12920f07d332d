"""A process that has everything imported: each line it reads makes a child that runs ``cfupload``.

Starting Python and importing costs half a second under strace, many thousand times over. The child
is a process of its own that runs the command's own ``main`` on real sockets and a real journal. It
differs in its clock: a pause between two requests takes about `NAP` real seconds, and where it was
told to be impatient, a slice of waiting for a socket in vain counts as a minute. (A connection of
which strace says that it is broken still stands: the other side would wait for a real minute.)

It answers one line when the child stands still, and one when the child has ended.
"""

from __future__ import annotations

import functools
import gc
import importlib
import io
import json
import os
import pkgutil
import selectors
import signal
import sys
import time
import traceback
from contextlib import redirect_stderr, redirect_stdout, suppress
from typing import Any

NAP = 0.03
"""Long enough for the embedded Stream to notice that a connection was cut."""

IN_VAIN = 61.0
IN_A_ROW = 0.005

LAZY = ("tusclient.uploader", "pymediainfo", "xxhash", "filelock", "sqlite3", "httpx", "httpcore")


def _import_all() -> None:
    import cfstream_upload

    for module in pkgutil.iter_modules(cfstream_upload.__path__):
        if module.name not in ("emulator", "__main__", "bar"):
            importlib.import_module(f"cfstream_upload.{module.name}")
    for name in ("cfstream_upload.cli.app", *LAZY):
        importlib.import_module(name)
    _warm_up()


def _warm_up() -> None:
    """Let the libraries import what they import only when they are first used."""
    import encodings.idna  # noqa: F401

    import typer
    from pymediainfo import MediaInfo

    from cfstream_upload.cli import main

    MediaInfo.can_parse()
    # Typer reads a hundred annotations each time: a tenth of a second of every child.
    vars(typer.main)["get_command"] = functools.cache(typer.main.get_command)
    os.environ.update(CLOUDFLARE_API_TOKEN="t", CLOUDFLARE_ACCOUNT_ID="0" * 32)
    words = io.StringIO()
    with suppress(SystemExit), redirect_stdout(words), redirect_stderr(words):
        main(["send", "-q", "--no-progress", "there is no such file.mp4"])


class _Clock:
    """The monotonic clock, ahead by all that was not really waited for."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self.nap = NAP
        self._sleep, self._monotonic = time.sleep, time.monotonic
        self._woke = 0.0

    def now(self) -> float:
        return self._monotonic() + self.ahead

    def sleep(self, seconds: float) -> None:
        # A pause is many short sleeps in a row: only the first of them takes its time.
        nap = self.nap if self._monotonic() - self._woke > IN_A_ROW else IN_A_ROW / 10
        self._sleep(min(seconds, nap))
        self.ahead += max(0.0, seconds - nap)
        self._woke = self._monotonic()


CLOCK = _Clock()


def _lose_patience(most: float) -> None:
    from cfstream_upload import sockets

    CLOCK.nap = 4 * NAP  # a chunk that was cut may still be on its way into the embedded Stream

    class Impatient(selectors.PollSelector):
        def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
            ready = super().select(None if timeout is None else min(timeout, most))
            if timeout and not ready:
                CLOCK.ahead += IN_VAIN
            return ready

    vars(sockets)["_Selector"] = Impatient


def _child(order: dict[str, Any]) -> int:
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, name in ((1, "out"), (2, "err")):
        descriptor = os.open(order[name], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.environ.update(order["environment"])
    os.chdir(order["folder"])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if order["impatience"]:
        _lose_patience(order["impatience"])
    from cfstream_upload.cli import main

    # Here the parent's tracer takes hold; all that follows is the command's own.
    os.kill(os.getpid(), signal.SIGSTOP)
    try:
        main(order["arguments"])
    except SystemExit as end:
        return int(end.code or 0)
    return 1


def _run(order: dict[str, Any]) -> None:
    pid = os.fork()
    if not pid:
        code = 1
        try:
            code = _child(order)
        except BaseException:  # noqa: BLE001  as the interpreter would
            traceback.print_exc()
        finally:
            os._exit(code)
    os.waitpid(pid, os.WUNTRACED)
    print(json.dumps({"pid": pid}), flush=True)
    _, status = os.waitpid(pid, 0)
    print(json.dumps({"code": os.waitstatus_to_exitcode(status)}), flush=True)


def serve() -> None:
    # Before anything takes the clock as a default.
    vars(time).update(sleep=CLOCK.sleep, monotonic=CLOCK.now)
    _import_all()
    gc.collect()
    gc.freeze()  # children then share the pages
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        _run(json.loads(line))


if __name__ == "__main__":
    serve()
