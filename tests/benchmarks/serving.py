"""The discarding server and the line before it, as processes with a certificate of their own."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.account import STREAM

_TESTS = Path(__file__).parent.parent
GIGABIT = 125e6
"""Bytes a second."""

_CERTIFY = """
import sys, trustme
authority = trustme.CA()
authority.cert_pem.write_to_path(sys.argv[1])
authority.issue_cert("127.0.0.1", "localhost").private_key_and_cert_chain_pem.write_to_path(
    sys.argv[2])
"""


class Child:
    """A process of the benchmark's own that tells its port and answers orders, a line each."""

    def __init__(self, module: str, *arguments: str) -> None:
        path = os.pathsep.join([str(_TESTS), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", f"benchmarks.{module}", *arguments],
            env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.port: int = self._heard()["port"]

    def _heard(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("a process of the benchmark ended")
        told: dict[str, Any] = json.loads(line)
        return told

    def ask(self, do: str, **order: object) -> dict[str, Any]:
        """Its answer to an order."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **order}) + "\n")
        self._process.stdin.flush()
        return self._heard()

    def close(self) -> None:
        """End it."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.wait(20)


@dataclass(frozen=True)
class Server:
    """A discarding server, and the port on which clients meet it (or the line before it)."""

    child: Child
    port: int
    authority: Path | None

    @property
    def base(self) -> str:
        """``https://127.0.0.1:port``, or http."""
        return f"{'https' if self.authority else 'http'}://127.0.0.1:{self.port}"

    @property
    def stream(self) -> str:
        """The URL where videos are created and listed."""
        return self.base + STREAM

    def reset(
        self, *faults: dict[str, object], moments: bool = False, rate: float | None = None
    ) -> None:
        """Forget everything; from now on PATCHes meet ``faults``, each at most at ``rate``."""
        self.child.ask("reset", faults=faults, moments=moments, rate=rate)


@contextlib.contextmanager
def server(folder: Path, *, secure: bool) -> Iterator[Server]:
    """A discarding server, over TLS or plain."""
    authority, certificate = folder / "authority.pem", folder / "server.pem"
    if secure and not authority.exists():
        # In a process of its own: what this one has held counts as its children's memory.
        subprocess.run([sys.executable, "-c", _CERTIFY, authority, certificate], check=True)
    child = Child("discarding", *(["--certificate", str(certificate)] if secure else []))
    try:
        yield Server(child, child.port, authority if secure else None)
    finally:
        child.close()


@contextlib.contextmanager
def lined(behind: Server, milliseconds: float, rate: float = GIGABIT) -> Iterator[Server]:
    """``behind``, at the end of a line of this round trip and rate."""
    child = Child(
        "lining",
        f"--target={behind.port}",
        f"--round-trip={milliseconds / 1000}",
        f"--rate={rate}",
    )
    try:
        yield replace(behind, port=child.port)
    finally:
        child.close()
