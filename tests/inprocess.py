"""The real client on the embedded Stream in one process: no sockets, and time that only we move."""

from __future__ import annotations

import threading
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import httpx
from mp4 import padded_mp4

from cfstream_upload import events
from cfstream_upload.config import Secret, Settings
from cfstream_upload.emulator.exchange import ConnectionCut, NoReply, Request, Service, converse
from cfstream_upload.emulator.model import Stream as Model
from cfstream_upload.ending import Policy
from cfstream_upload.interruption import Interruption
from cfstream_upload.journal import Journal
from cfstream_upload.result import Result
from cfstream_upload.sending import Sending, Wishes
from cfstream_upload.session import Session
from cfstream_upload.stream import Stream as Api
from cfstream_upload.transfer import Room
from cfstream_upload.wire import Wire

MIB = 1024 * 1024
BASE = "http://127.0.0.1:9/client/v4"
ACCOUNT = "ab" * 16


class Clock:
    """Seconds that pass when somebody waits; the service and the client read the same."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


class Waiting(Interruption):
    """Signals whose waits take no real time."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def pause(self, seconds: float, heard: int) -> None:
        if self.count <= heard:
            self._clock.now += seconds


@dataclass(frozen=True)
class Call:
    """One request as the service saw it."""

    method: str
    path: str
    offset: int | None = None
    length: int | None = None
    status: int | None = None


class Doorway(httpx.BaseTransport):
    """Hands the client's requests to a service, block by block, and remembers them."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.calls: list[Call] = []
        self._turn = threading.Lock()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        head = Request(
            method=request.method,
            path=request.url.path,
            query=parse_qsl(request.url.query.decode(), keep_blank_values=True),
            headers={name.lower(): value for name, value in request.headers.items()},
        )
        call = Call(
            request.method,
            request.url.path,
            _number(head.headers.get("upload-offset")),
            _number(head.headers.get("content-length")),
        )
        with self._turn:
            number = len(self.calls)
            self.calls.append(call)
        exchange = self.service.begin(head)
        try:
            stream = request.stream
            assert isinstance(stream, Iterable)
            for block in stream:
                exchange.write(block)
            reply = exchange.finish()
        except ConnectionCut:
            raise httpx.ReadError("cut") from None
        except NoReply:
            raise httpx.ReadTimeout("no reply") from None
        except BaseException:
            exchange.cut()
            raise
        self.calls[number] = replace(call, status=reply.status)
        return httpx.Response(reply.status, headers=dict(reply.headers), stream=_Body(reply.body))


class _Body(httpx.SyncByteStream):
    def __init__(self, body: bytes) -> None:
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        yield self._body


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)


@dataclass
class Stage:
    """A service, a state directory and a file, and what a run of the client does with them."""

    folder: Path
    model: Model
    clock: Clock
    service: Service
    policy: Policy = field(default_factory=lambda: Policy(largest_chunk=5 * MIB))
    heard: list[events.Event] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    state: str = "state"
    host_id: str | None = None
    opened: Callable[[Path], Journal] = Journal.open

    def session(self, interruption: Interruption | None = None) -> Session:
        settings = Settings(
            base=BASE,
            account=self.model.account,
            token=Secret(self.model.token),
            state_dir=self.folder / self.state,
            label="",
            host_id=self.host_id,
            ca_cert=None,
            proxy=None,
        )
        doorway = Doorway(self.service)
        doorway.calls = self.calls
        session = Session(settings, self.policy, interruption or Waiting(self.clock))
        session.tell = self.heard.append
        wire = Wire(api_base=BASE, token=self.model.token, transport=doorway)
        api = Api(wire, BASE, self.model.account)
        journal = self.opened(settings.state_dir)
        vars(session).update(
            journal=journal,
            wire=wire,
            api=api,
            room=Room(
                journal, wire, api, self.policy, session.interruption, session.tell,
                clock=self.clock, chance=lambda: 0.5,
            ),
        )  # fmt: skip
        return session

    def file(self, size: int = 12 * MIB, name: str = "big.mp4", seed: int = 0) -> Path:
        path = self.folder / name
        padded_mp4(path, size, sparse=False, seed=seed)
        return path

    def send(
        self, path: Path, wishes: Wishes | None = None, interruption: Interruption | None = None
    ) -> Result:
        with self.session(interruption) as session:
            return Sending(session, str(path), wishes or Wishes()).run()

    def theirs(self, marker: str | None, *, whole: bool) -> str:
        """The UID of a video of somebody else's, pending or whole, with this marker."""
        fields = {"name": "theirs", **({} if marker is None else {"cfupload": marker})}
        told = ",".join(f"{k} {b64encode(v.encode()).decode()}" for k, v in fields.items())
        path = f"/client/v4/accounts/{self.model.account}/stream"
        made = converse(
            self.model,
            Request("POST", path, {"direct_user": "true"}, {
                "tus-resumable": "1.0.0", "upload-length": "9", "upload-metadata": told,
                "authorization": f"Bearer {self.model.token}", "host": "127.0.0.1:9",
            }),
        )  # fmt: skip
        if whole:
            headers = {
                "tus-resumable": "1.0.0", "upload-offset": "0", "content-length": "9",
                "content-type": "application/offset+octet-stream",
            }  # fmt: skip
            target = urlsplit(made.headers["location"]).path
            patch = Request("PATCH", target, {}, headers, body=[b"ninebytes"])
            assert converse(self.model, patch).status == 204
        return str(made.headers["stream-media-id"])

    def states(self) -> list[str]:
        """The states of the account's videos, oldest first."""
        return [str(video["status"]["state"]) for video in self.model.videos()]  # type: ignore[index]  # the API's own shape

    def open_rows(self) -> list[str]:
        with self.session() as session:
            return [row.stage.value for row in session.rows() if row.stage.value != "stored"]

    def methods(self) -> list[str]:
        return [call.method for call in self.calls]


def stage(folder: Path, **service: object) -> Stage:
    """A fresh stage; ``service`` are options of the embedded Stream."""
    clock = Clock()
    model = Model(account=ACCOUNT, now=clock, **service)  # type: ignore[arg-type]  # passed through
    return Stage(folder, model, clock, model)
