"""Real processes under strace, which kills them or fails a call at one chosen system call."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

PRELOADED = Path(__file__).with_name("preloaded.py")
LONGEST = 60.0
"""Seconds after which a run counts as hanging."""

RECORDED_BYTES = 20_000
"""What a recording keeps of one write: more than any write of the journal has."""


@dataclass(frozen=True)
class Strike:
    """What happens at the ``nth`` call of ``syscall``: a SIGKILL, or an error once or for ever.

    strace counts per thread and per system call, so one strike names one call.
    """

    syscall: str
    nth: int
    effect: str = "kill"
    for_ever: bool = False

    @property
    def impatience(self) -> float | None:
        """Real seconds to wait for a connection that only strace has broken; None: no such."""
        if self.effect not in ("epipe", "econnreset"):
            return None
        return 0.1 if self.for_ever else 0.25

    @property
    def expression(self) -> str:
        what = "signal=KILL" if self.effect == "kill" else f"error={self.effect.upper()}"
        when = f"{self.nth}+" if self.for_ever else f"{self.nth}"
        return f"inject={self.syscall}:{what}:when={when}"

    def __str__(self) -> str:
        return f"{self.effect} at {self.syscall} {self.nth}{' and on' if self.for_ever else ''}"


@dataclass(frozen=True)
class Ended:
    """How a process ended: its exit code (negative: the signal), and what it said."""

    code: int
    out: str
    err: str
    trace: str

    @property
    def killed(self) -> bool:
        return self.code == -signal.SIGKILL

    @property
    def struck(self) -> bool:
        return self.killed or "(INJECTED)" in self.trace


@cache
def why_not() -> str:
    """Why processes cannot be traced here, or nothing."""
    strace = shutil.which("strace")
    if strace is None:
        return "strace is not installed"
    command = [strace, "-f", "-qq", "-o", os.devnull, "-e", "trace=none", "true"]
    tried = subprocess.run(command, capture_output=True, check=False)
    return "" if tried.returncode == 0 else "this system does not let strace trace (ptrace)"


class Nursery:
    """Makes processes that run ``cfupload``, and strikes them."""

    def __init__(self, folder: Path, server: subprocess.Popen[bytes]) -> None:
        self._folder = folder
        self._server = server
        self._count = 0

    def run(
        self,
        arguments: list[str],
        environment: dict[str, str],
        strike: Strike | None = None,
        recorded: tuple[str, ...] = (),
    ) -> Ended:
        """Run one command to its end, or to its death at ``strike``.

        ``recorded`` are system calls that the trace tells with all their bytes, in hex.
        """
        self._count += 1
        names = {name: self._folder / f"{self._count}.{name}" for name in ("out", "err", "trace")}
        order = {
            "arguments": arguments, "environment": environment, "folder": str(self._folder),
            "out": str(names["out"]), "err": str(names["err"]),
            "impatience": None if strike is None else strike.impatience,
        }  # fmt: skip
        assert self._server.stdin is not None
        self._server.stdin.write(json.dumps(order).encode() + b"\n")
        self._server.stdin.flush()
        pid = self._answer()["pid"]
        options = ["-f", "-qq", "-y", "-o", str(names["trace"]), "-e", "signal=none"]
        if strike is not None:
            options += ["-e", f"trace={strike.syscall}", "-e", strike.expression]
        elif recorded:
            options += ["-e", f"trace={','.join(recorded)}", "-xx", "-s", str(RECORDED_BYTES)]
        with _tracing([*options, "-p", str(pid)], pid):
            patience = threading.Timer(LONGEST, os.kill, (pid, signal.SIGABRT))
            patience.start()
            os.kill(pid, signal.SIGCONT)
            code = self._answer()["code"]
            patience.cancel()
        texts = [
            path.read_text(errors="replace") if path.exists() else "" for path in names.values()
        ]
        for path in names.values():
            path.unlink(missing_ok=True)
        return Ended(code, *texts)

    def _answer(self) -> dict[str, Any]:
        assert self._server.stdout is not None
        line = self._server.stdout.readline()
        if not line:
            raise RuntimeError("the preloaded process is gone")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def _tracing(options: list[str], pid: int) -> Iterator[None]:
    strace = subprocess.Popen(["strace", *options], stderr=subprocess.PIPE)
    try:
        ends = time.monotonic() + LONGEST
        while not _is_traced(pid):
            if strace.poll() is not None or time.monotonic() > ends:
                raise RuntimeError("strace did not take hold")
            time.sleep(0.001)
        yield
    finally:
        with suppress(subprocess.TimeoutExpired):
            strace.wait(5)
        strace.kill()
        strace.communicate()


def _is_traced(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    return "TracerPid:\t0" not in status


@contextmanager
def nursery(folder: Path) -> Iterator[Nursery]:
    """A preloaded process, and its children's words in ``folder`` until they are read."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-P", str(PRELOADED)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as server:
        made = Nursery(folder, server)
        try:
            made._answer()
            yield made
        finally:
            assert server.stdin is not None
            server.stdin.close()
