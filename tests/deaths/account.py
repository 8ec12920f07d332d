"""An account on real sockets that a process dies on, and the same account without sockets after it.

The process that dies talks to two servers, one for the API and one for uploads, as on Cloudflare.
What comes after its death is carried out in this process, on the same model and the same state
directory, with time that only it moves: thousands of deaths then cost minutes.
"""

from __future__ import annotations

import hashlib
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from faulted import Case
from inprocess import ACCOUNT, MIB, Clock, Doorway, Stage, Waiting
from mp4 import padded_mp4

from cfstream_upload.config import Secret, Settings
from cfstream_upload.emulator.endpoint import IDENTITY_PATH, Endpoint
from cfstream_upload.emulator.exchange import Exchange, Reply, Request, Service, converse
from cfstream_upload.emulator.model import Stream as Model
from cfstream_upload.emulator.server import running
from cfstream_upload.interruption import Interruption
from cfstream_upload.session import Session
from cfstream_upload.stream import Stream as Api
from cfstream_upload.transfer import Room
from cfstream_upload.wire import Wire

CHUNK = 5 * MIB
SIZE = 4 * CHUNK + MIB // 4
"""Five chunks, the last one short."""

TOKEN = "t" * 40
PATIENCE = 10.0


class Passing(Clock):
    """Time that passes by itself, and faster when somebody waits."""

    def __init__(self) -> None:
        self._ahead = 0.0

    @property
    def now(self) -> float:
        return time.time() + self._ahead

    @now.setter
    def now(self, value: float) -> None:
        self._ahead = value - time.time()


@dataclass(frozen=True)
class Asked:
    """A request, and of a PATCH what had been acknowledged when it came."""

    method: str
    path: str
    offset: int | None = None
    known: int | None = None


class Front:
    """The service behind both servers: the case's own, its requests written down and counted."""

    account, token = ACCOUNT, TOKEN

    def __init__(self) -> None:
        self.service: Service = Model(account=ACCOUNT, token=TOKEN)
        self.model = self.service
        self.asked: list[Asked] = []
        self.under_way: set[_Counted] = set()
        self.overtaken: set[str] = set()
        """Uploads whose HEAD was answered while the chunk before it was still being taken in: that
        offset is about to be old, and no client can know."""

    def begin(self, request: Request) -> Exchange:
        offset = known = None
        busy = any(other.path == request.path for other in tuple(self.under_way))
        if request.method == "HEAD" and busy:
            self.overtaken.add(request.path)
        if request.method == "PATCH":
            head = Request("HEAD", request.path, request.query, {"tus-resumable": "1.0.0"})
            told = converse(self.model, head).headers.get("upload-offset")
            offset = int(request.headers["upload-offset"])
            known = None if told is None else int(told)
            if request.path in self.overtaken:
                self.overtaken.discard(request.path)
                known = offset
        self.asked.append(Asked(request.method, request.path, offset, known))
        return _Counted(request.path, self.service.begin(request), self.under_way)


class _Counted:
    def __init__(self, path: str, inner: Exchange, under_way: set[_Counted]) -> None:
        self.path, self._inner, self._under_way = path, inner, under_way
        under_way.add(self)

    def write(self, block: bytes) -> None:
        self._inner.write(block)

    def finish(self) -> Reply:
        try:
            return self._inner.finish()
        finally:
            self._under_way.discard(self)

    def cut(self) -> None:
        self._inner.cut()
        self._under_way.discard(self)


@dataclass
class Account(Stage):
    """A stage whose rows belong to the address that the dying process knew."""

    base: str = ""

    def session(self, interruption: Interruption | None = None) -> Session:
        settings = Settings(
            base=self.base, account=ACCOUNT, token=Secret(TOKEN),
            state_dir=self.folder / self.state,
            label="", host_id=None, ca_cert=None, proxy=None,
        )  # fmt: skip
        doorway = Doorway(self.service)
        doorway.calls = self.calls
        session = Session(settings, self.policy, interruption or Waiting(self.clock))
        session.tell = self.heard.append
        wire = Wire(api_base=self.base, token=TOKEN, transport=doorway)
        api = Api(wire, self.base, ACCOUNT)
        journal = self.opened(settings.state_dir)
        room = Room(
            journal, wire, api, self.policy, session.interruption, session.tell,
            clock=self.clock, chance=lambda: 0.5,
        )  # fmt: skip
        vars(session).update(journal=journal, wire=wire, api=api, room=room)
        return session


@dataclass
class Ground:
    """Two servers and one file; each case is a fresh account and a fresh state directory."""

    folder: Path
    front: Front
    api: Endpoint
    uploads: Endpoint
    path: Path
    digest: str
    _count: int = field(default=0, init=False)

    def environment(self, case: Case) -> dict[str, str]:
        return {
            "CLOUDFLARE_API_BASE_URL": self.api.base_url,
            "CLOUDFLARE_ACCOUNT_ID": ACCOUNT,
            "CLOUDFLARE_API_TOKEN": TOKEN,
            "CFUPLOAD_STATE_DIR": str(case.stage.folder / case.stage.state),
            "CFUPLOAD_CONFIG": str(self.folder / "config.toml"),
        }

    @contextmanager
    def case(self) -> Iterator[Case]:
        self._count += 1
        folder = self.folder / f"case{self._count}"
        folder.mkdir()
        clock = Passing()
        base = f"http://127.0.0.1:{self.uploads.port}"
        model = Model(account=ACCOUNT, token=TOKEN, now=clock, upload_base=base)
        stage = Account(folder, model, clock, model, base=self.api.base_url)
        case = Case(stage, self.path, self.digest, _strangers(model))
        self.front.service = self.front.model = model
        self.front.asked.clear()
        self.front.overtaken.clear()
        try:
            yield case
        finally:
            shutil.rmtree(folder)

    def settle(self) -> None:
        """Wait until both servers have heard all that the dead process sent."""
        for endpoint in (self.api, self.uploads) * 2:
            _ping(endpoint)
        ends = time.monotonic() + PATIENCE
        while self.front.under_way:
            assert time.monotonic() < ends, "the server still waits for a dead process"
            time.sleep(0.001)


def _ping(endpoint: Endpoint) -> None:
    """A request on a connection of its own: older connections were accepted before it."""
    with socket.create_connection(("127.0.0.1", endpoint.port), PATIENCE) as sock:
        words = f"GET {IDENTITY_PATH} HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n"
        sock.sendall(words.encode())
        while sock.recv(4096):
            pass


def _strangers(model: Model) -> list[str]:
    """Pending videos of others: without a marker, and with a key like ours that is none."""
    uids = []
    for metadata in ("name eA==", "cfupload eA==,name eA=="):
        headers = {
            "tus-resumable": "1.0.0", "upload-length": "9", "upload-metadata": metadata,
            "authorization": f"Bearer {TOKEN}", "host": "127.0.0.1:9",
        }  # fmt: skip
        path = f"/client/v4/accounts/{ACCOUNT}/stream"
        request = Request("POST", path, {"direct_user": "true"}, headers)
        uids.append(converse(model, request).headers["stream-media-id"])
    return uids


@contextmanager
def ground(folder: Path) -> Iterator[Ground]:
    """Serve an account from this process, with a video of five chunks to send."""
    front = Front()
    with ExitStack() as stack:
        api, uploads = (stack.enter_context(running(front)) for _ in range(2))
        path = padded_mp4(folder / "big.mp4", SIZE, sparse=False)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        yield Ground(folder, front, api, uploads, path, digest)


@contextmanager
def in_memory() -> Iterator[Path]:
    """A folder that is not on a disk where that can be had: each commit is synced."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(
        prefix="cfupload-deaths-", dir=memory if memory.is_dir() else None
    ) as name:
        yield Path(name)
