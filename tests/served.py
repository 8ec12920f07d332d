"""The embedded Stream on real sockets, and the command as a real process."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from canary import look, look_at_arguments
from judging import judge_output
from mp4 import padded_mp4
from twins.nursery import Nursery, Order

from cfstream_upload.emulator.exchange import Exchange, Request
from cfstream_upload.emulator.faults import Fault, Faulty
from cfstream_upload.emulator.model import Stream as Model
from cfstream_upload.emulator.pages import Pages
from cfstream_upload.emulator.proxy import TcpProxy
from cfstream_upload.emulator.server import running

MIB = 1024 * 1024
COMMAND = [sys.executable, "-P", "-m", "cfstream_upload"]


@dataclass(frozen=True)
class Asked:
    """One request that reached the service."""

    method: str
    path: str
    offset: int | None
    known: int | None = None
    """Of a HEAD or PATCH: the bytes that the service had when it came."""


class Ledger:
    """A service that writes down what it is asked."""

    def __init__(self, inner: Faulty, model: Model) -> None:
        self._inner = inner
        self._model = model
        self.asked: list[Asked] = []

    @property
    def account(self) -> str:
        return self._inner.account

    @property
    def token(self) -> str:
        return self._inner.token

    def _acknowledged(self, request: Request) -> int | None:
        head = Request("HEAD", request.path, request.query, {"tus-resumable": "1.0.0"})
        offset = self._model(head).headers.get("upload-offset")
        return None if offset is None else int(offset)

    def begin(self, request: Request) -> Exchange:
        offset = request.headers.get("upload-offset")
        number = None if offset is None else int(offset)
        known = self._acknowledged(request) if request.method in ("HEAD", "PATCH") else None
        self.asked.append(Asked(request.method, request.path, number, known))
        return self._inner.begin(request)


@dataclass
class Ended:
    """A command that ended."""

    code: int
    out: str
    err: str

    def __post_init__(self) -> None:
        judge_output(self.out)

    @property
    def document(self) -> Any:  # noqa: ANN401  # whatever the command printed
        return json.loads(self.out)


@dataclass
class Served:
    """A served Stream, with all that a test wants to do to it."""

    folder: Path
    model: Model
    faulty: Faulty
    ledger: Ledger
    proxy: TcpProxy
    environment: dict[str, str] = field(repr=False)

    nursery: Nursery | None = None
    """Forks what `run` runs; without it each run starts a Python of its own."""

    def run(self, *arguments: str) -> Ended:
        """Run ``cfupload`` to its end, in the test's folder and in a process of its own."""
        if self.nursery is not None:
            return self._forked(self.nursery, arguments)
        ended = subprocess.run(
            [*COMMAND, *arguments],
            cwd=self.folder, capture_output=True, timeout=90, check=False,
        )  # fmt: skip
        return Ended(ended.returncode, ended.stdout.decode(), ended.stderr.decode())

    def _forked(self, nursery: Nursery, arguments: Sequence[str]) -> Ended:
        look_at_arguments(arguments)
        (child,) = nursery.start(Order(arguments, self.folder, os.environ))
        ended = child.wait()
        look(ended.out + ended.err, "the output of a process")
        return Ended(ended.code, ended.out, ended.err)

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start ``cfupload`` as a shell does, and go on."""
        return subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def file(self, name: str = "big.mp4", size: int = 24 * MIB, *, sparse: bool = False) -> Path:
        return padded_mp4(self.folder / name, size, sparse=sparse, seed=hash(name) % 1000)

    def killed(self, sent: int = 2 * MIB) -> Path:
        """A file of whose upload so many bytes had left when the machine was killed."""
        path = self.file()
        self.proxy.limit_rate(16 * MIB)
        process = self.start("send", path.name)
        self.wait_until(lambda: self.proxy.bytes_up > sent)
        process.kill()
        process.communicate()
        self.proxy.limit_rate(None)
        return path

    def strike(self, fault: Fault) -> None:
        self.faulty.set(fault)

    def videos(self) -> list[Any]:
        return list(self.model.videos())

    def states(self) -> list[str]:
        return [video["status"]["state"] for video in self.videos()]

    def whole(self, path: Path) -> bool:
        """Whether there is exactly one video, past pending, with the bytes of ``path``."""
        videos = self.videos()
        if len(videos) != 1 or videos[0]["status"]["state"] == "pendingupload":
            return False
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return self.model.sha256(videos[0]["uid"]) == digest

    def journal(self) -> list[Any]:
        """The rows of the journal but for receipts, as ``status`` tells them."""
        rows: list[Any] = self.run("status", "--json").document["journal"]
        return [row for row in rows if row["condition"] != "receipt"]

    def methods(self) -> list[str]:
        return [asked.method for asked in self.ledger.asked]

    def wait_until(self, condition: Callable[[], bool], seconds: float = 30) -> None:
        ends = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < ends, "it never came"
            time.sleep(0.01)


@contextmanager
def served(
    folder: Path,
    nursery: Nursery | None = None,
    **service: Any,  # noqa: ANN401  # passed through
) -> Iterator[Served]:
    """Serve a fresh Stream below ``folder``; uploads pass the proxy, API calls do not.

    ``service`` are options of the embedded Stream.
    """
    model = Model(data=folder / "stream", **service)
    faulty = Faulty(model)
    ledger = Ledger(faulty, model)
    with (
        running(ledger, pages=Pages(model)) as endpoint,
        TcpProxy("127.0.0.1", endpoint.port) as proxy,
    ):
        model.upload_base = f"http://127.0.0.1:{proxy.port}"
        environment = {
            "CLOUDFLARE_API_BASE_URL": endpoint.base_url,
            "CLOUDFLARE_ACCOUNT_ID": endpoint.account,
            "CLOUDFLARE_API_TOKEN": endpoint.token,
        }
        yield Served(folder, model, faulty, ledger, proxy, environment, nursery)
