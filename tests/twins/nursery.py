"""Real processes at a fraction of their price: forked from one that has loaded the package.

Starting Python and loading the command costs most of a second, the command itself a tenth. The
nursery has one thread and loads everything once; each child is a process of its own with its own
stdout, and runs the real ``cfstream_upload.cli.main``. Children wait at a barrier and start
together.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

LONGEST = 60.0


@dataclass(frozen=True)
class Ended:
    """A command that ended; ``code`` is negative where a signal ended it, as in `subprocess`."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:  # noqa: ANN401  # whatever the command printed
        return json.loads(self.out)


@dataclass(frozen=True)
class Order:
    """A command line, where it runs, and how many seconds after the others it starts."""

    arguments: Sequence[str]
    folder: Path
    environment: Mapping[str, str]
    delay: float = 0.0
    terminal: str = ""
    """The terminal that is its stdin and stderr; nothing, and a file, where there is none."""


@dataclass
class Child:
    """A process under way."""

    nursery: Nursery
    pid: int
    out: Path
    err: Path
    ended: Ended | None = None

    def kill(self, number: int = signal.SIGKILL) -> None:
        os.kill(self.pid, number)

    def wait(self) -> Ended:
        if self.ended is None:
            code = self.nursery.ask({"wait": self.pid})["code"]
            texts = [file.read_text() if file.exists() else "" for file in (self.out, self.err)]
            self.ended = Ended(code, *texts)
            self.out.unlink(missing_ok=True)
            self.err.unlink(missing_ok=True)
        return self.ended


class Nursery:
    """Starts children; all that are left die with it. It begins when it is first asked."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if "_process" in vars(self):
            self._process.communicate(timeout=LONGEST)

    @cached_property
    def _process(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-P", __file__],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip

    def ask(self, request: dict[str, object]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the nursery died"
        reply: dict[str, Any] = json.loads(line)
        return reply

    def start(self, *orders: Order) -> list[Child]:
        """Start all at the same instant, but for their delays."""
        wanted, children = [], []
        for order in orders:
            self._count += 1
            out, err = (self._folder / f"{self._count}.{name}" for name in ("out", "err"))
            wanted.append(
                {
                    "arguments": list(order.arguments),
                    "folder": str(order.folder),
                    "environment": dict(order.environment),
                    "delay": order.delay,
                    "terminal": order.terminal,
                    "out": str(out),
                    "err": str(err),
                }
            )
            children.append(Child(self, 0, out, err))
        pids = self.ask({"start": wanted})["pids"]
        for child, pid in zip(children, pids, strict=True):
            child.pid = pid
        return children


# --- below: the nursery's own process ------------------------------------------------------------


def _load() -> None:
    """Import all that a command imports on its way, and keep nothing open."""
    from filelock import lock_descriptor  # noqa: F401
    from httpcore import ConnectionPool  # noqa: F401
    from pymediainfo import MediaInfo  # noqa: F401
    from typer.main import get_command

    from cfstream_upload import console, sending, sweeping, tus  # noqa: F401
    from cfstream_upload.cli import app

    # Typer loads half of itself when it first reads a command line.
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):  # noqa: PTH123  # not a file
        for name in ("send", "cleanup", "status"):
            _command([name, "--no-such-option"])
    # Built once here what `run` would build in every child; Typer's own object, called alike.
    app.app = get_command(app.app)  # type: ignore[assignment]  # it is called, and nothing else
    # Children share these pages as long as no collector writes into them.
    gc.collect()
    gc.freeze()
    gc.disable()


def _start(orders: list[dict[str, Any]]) -> list[int]:
    ready, is_ready = os.pipe()
    gate, opens = os.pipe()
    pids = []
    for order in orders:
        pid = os.fork()
        if pid == 0:
            os.close(ready)
            os.close(opens)
            _live(order, is_ready, gate)
        pids.append(pid)
    os.close(is_ready)
    os.close(gate)
    # The barrier: every child has come here before any goes on.
    while os.read(ready, 100):
        pass
    os.close(ready)
    os.close(opens)
    return pids


def _live(order: dict[str, Any], is_ready: int, gate: int) -> None:
    code = 70
    try:
        _move_in(order)
        os.close(is_ready)
        os.read(gate, 1)
        os.close(gate)
        time.sleep(order["delay"])
        code = _command(order["arguments"])
    finally:
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _move_in(order: dict[str, Any]) -> None:
    os.chdir(order["folder"])
    os.environ.clear()  # this process may have been started for another test
    os.environ.update(order["environment"])
    terminal = order["terminal"]
    _becomes(0, terminal or os.devnull, os.O_RDONLY | os.O_NOCTTY)
    _becomes(1, order["out"], os.O_WRONLY | os.O_CREAT)
    _becomes(2, terminal or order["err"], os.O_WRONLY | os.O_CREAT | os.O_NOCTTY)


def _becomes(number: int, path: str, flags: int) -> None:
    file = os.open(path, flags, 0o600)
    os.dup2(file, number)
    os.close(file)


def _open_journal() -> int:
    """Not a command: the moment in which each command meets the journal, and no more."""
    from cfstream_upload.errors import JournalProblem
    from cfstream_upload.journal import Journal

    try:
        journal = Journal.open(Path(os.environ["CFUPLOAD_STATE_DIR"]))
    except JournalProblem as problem:
        sys.stderr.write(problem.message)
        return problem.exit_code
    sys.stdout.write(journal.host)
    journal.close()
    return 0


def _command(arguments: list[str]) -> int:
    from cfstream_upload.cli import main

    if arguments == ["open the journal"]:
        return _open_journal()
    try:
        main(arguments)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 70
    return 70


def _wait(pid: int) -> int:
    ends = time.monotonic() + LONGEST
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > ends:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.005)


def _serve() -> None:
    _load()
    alive: set[int] = set()
    for line in sys.stdin:
        request = json.loads(line)
        reply: dict[str, object] = {}
        if "start" in request:
            pids = _start(request["start"])
            alive.update(pids)
            reply["pids"] = pids
        else:
            reply["code"] = _wait(request["wait"])
            alive.discard(request["wait"])
        sys.stdout.write(json.dumps(reply) + "\n")
        sys.stdout.flush()
    for pid in alive:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


if __name__ == "__main__":
    _serve()
