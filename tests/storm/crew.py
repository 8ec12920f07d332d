"""Dask's scheduler and its workers as processes of their own, any of which may be killed."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_DASK = [sys.executable, "-P", "-m", "dask"]
_SHARED = ("PATH", "HOME", "LANG", "PYTHONPATH", "PYTHONSAFEPATH", "TMPDIR")


@dataclass
class Crew:
    """Workers of the scheduler at ``address``, each with a state directory of its own."""

    folder: Path
    address: str
    environment: Mapping[str, str] = field(repr=False)
    chance: random.Random = field(repr=False)
    killed: int = 0
    _hired: int = 0
    _workers: list[subprocess.Popen[bytes]] = field(default_factory=list, repr=False)

    def hire(self) -> None:
        """Start one more worker: as good as another machine that sees the same files."""
        self._hired += 1
        here = self.folder / f"worker-{self._hired}"
        here.mkdir(mode=0o700)
        command = [
            *_DASK, "worker", self.address, "--no-nanny", "--nthreads", "1", "--no-dashboard",
            "--name", f"worker-{self._hired}", "--local-directory", str(here),
        ]  # fmt: skip
        environment = {**self.environment, "CFUPLOAD_STATE_DIR": str(here / "state")}
        self._workers.append(_started(command, environment, here / "log"))

    def strike(self) -> None:
        """``kill -9`` for one of them, and another one in its place."""
        victim = self._workers.pop(self.chance.randrange(len(self._workers)))
        victim.kill()
        victim.wait()
        self.killed += 1
        self.hire()

    def wait(self) -> None:
        """Until the scheduler knows all of them."""
        words = "import sys; from distributed import Client as C; C(sys.argv[1]).wait_for_workers"
        # In a process of its own: what this one imports would count as its children's memory.
        subprocess.run(
            [sys.executable, "-P", "-c", f"{words}({len(self._workers)}, 120)", self.address],
            check=True, capture_output=True,
        )  # fmt: skip

    def dismiss(self) -> None:
        """``kill -9`` for all."""
        for worker in self._workers:
            worker.kill()
            worker.wait()


@contextmanager
def crew(
    folder: Path, size: int, environment: Mapping[str, str], chance: random.Random
) -> Iterator[Crew]:
    """A scheduler and ``size`` workers, one file at once each."""
    address = f"tcp://127.0.0.1:{_free_port()}"
    # It needs no secret, so it is given none.
    bare = {name: os.environ[name] for name in _SHARED if name in os.environ}
    command = [*_DASK, "scheduler", "--host", address, "--no-dashboard"]
    scheduler = _started(command, bare, folder / "scheduler.log")
    gang = Crew(folder, address, environment, chance)
    try:
        for _ in range(size):
            gang.hire()
        yield gang
    finally:
        gang.dismiss()
        scheduler.kill()
        scheduler.wait()


def _started(
    command: list[str], environment: Mapping[str, str], log: Path
) -> subprocess.Popen[bytes]:
    with log.open("wb") as out:
        return subprocess.Popen(
            command, env=dict(environment), stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            cwd=log.parent,
        )  # fmt: skip


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
