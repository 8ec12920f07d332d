"""A fleet of real processes: Dask's scheduler behind a recorder, its workers, a served Stream."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from served import Served, served


class Recorder:
    """Forwards connections to a port of this machine, and keeps every byte of both directions."""

    def __init__(self, port: int) -> None:
        self.seen = bytearray()
        self._target = port
        self._links: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                near.close()
                continue
            self._links += (near, far)
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self._copy, args=(one, other), daemon=True).start()

    def _copy(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(65536):
                self.seen += data
                other.sendall(data)
        for end in (one, other):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        for one in (self._listener, *self._links):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


@dataclass
class Fleet:
    """``recorder`` stands before the scheduler, for the command and for the workers alike."""

    stream: Served
    scheduler: subprocess.Popen[bytes]
    recorder: Recorder
    environment: dict[str, str] = field(repr=False)
    workers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def address(self) -> str:
        return f"tcp://127.0.0.1:{self.recorder.port}"

    def hire(self, name: str, *arguments: str, **environment: str) -> None:
        """Start a worker with one thread; ``environment`` goes over that of the others."""
        self.workers[name] = _dask(
            self.stream.folder, {**self.environment, **environment},
            "worker", self.address, "--no-nanny", "--nthreads", "1", "--name", name,
            "--no-dashboard", "--local-directory", str(self.stream.folder / "dask"), *arguments,
        )  # fmt: skip

    def dismiss(self, name: str) -> None:
        """Kill a worker, as a power cut would."""
        worker = self.workers.pop(name)
        worker.kill()
        worker.wait()

    def holder(self, path: Path) -> str | None:
        """The worker that has the file open."""
        for name, worker in self.workers.items():
            for link in Path(f"/proc/{worker.pid}/fd").iterdir():
                with suppress(OSError):
                    if link.readlink() == path:
                        return name
        return None

    def end(self) -> None:
        for process in (self.scheduler, *self.workers.values()):
            process.kill()
        for process in (self.scheduler, *self.workers.values()):
            process.wait()
        self.recorder.close()


def _dask(folder: Path, environment: dict[str, str], *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "dask", *arguments],
        cwd=folder, env={**os.environ, **environment},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


@contextmanager
def fleet(folder: Path, workers: int) -> Iterator[Fleet]:
    """A scheduler and ``workers`` workers named a, b, c…; each shares the state directory."""
    with served(folder) as stream, contextlib.ExitStack() as stack:
        own = {
            **stream.environment,
            "CFUPLOAD_STATE_DIR": str(folder / "state"),
            "CFUPLOAD_CONFIG": str(folder / "config.toml"),
        }
        found = folder / "scheduler.json"
        # No account of ours: the scheduler has nothing to do with one.
        scheduler = _dask(
            folder, {}, "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard",
            "--scheduler-file", str(found),
        )  # fmt: skip
        stack.callback(scheduler.wait)
        stack.callback(scheduler.kill)
        ends = time.monotonic() + 30
        while not (found.exists() and found.stat().st_size):
            assert time.monotonic() < ends, "no scheduler"
            time.sleep(0.05)
        port = int(json.loads(found.read_text())["address"].rpartition(":")[2])
        made = Fleet(stream, scheduler, Recorder(port), own)
        stack.callback(made.end)
        for name in "abcdefgh"[:workers]:
            made.hire(name)
        yield made
