"""The embedded Stream behind bare sockets, for harm that no HTTP server would do."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qsl, unquote

from inprocess import Stage, Waiting
from matrix.rows import Scene
from matrix.scenes import staged

from cfstream_upload.emulator.exchange import ConnectionCut, NoReply, Reply, Request
from cfstream_upload.interruption import Interruption
from cfstream_upload.session import Session
from cfstream_upload.stream import Stream as Api
from cfstream_upload.wire import Wire

Harm = Callable[[socket.socket, Request], bool]
"""Does something to the connection of a request; False leaves the request to the service."""


@dataclass
class RawStage(Stage):
    """A stage whose client speaks to bare sockets; only waits between requests are virtual."""

    harm: Harm | None = None
    heads: list[Request] = field(default_factory=list)
    base: str = ""
    stall: float = 0.6
    connect_timeout: float = 2.0

    def session(self, interruption: Interruption | None = None) -> Session:
        session = super().session(interruption or Waiting(self.clock))
        session.wire.close()
        wire = Wire(
            api_base=self.base, token=self.model.token, connect_timeout=self.connect_timeout
        )
        api = Api(wire, self.base, self.model.account)
        room = replace(session.room, wire=wire, api=api, stall=self.stall)
        settings = replace(session.settings, base=self.base)
        vars(session).update(settings=settings, wire=wire, api=api, room=room)
        session.stall = self.stall
        return session

    def asked(self) -> list[str]:
        """The methods of the requests that came, in their order."""
        return [head.method for head in self.heads]

    def once(self, harm: Harm, method: str, kind: str = "") -> None:
        """Harm the first request of this method from here on, and no other."""
        self.every(harm, method, kind, times=1)

    def every(self, harm: Harm, method: str, kind: str = "", times: int | None = None) -> None:
        """Harm each request of this method whose path has ``kind`` in it."""
        left = [times]
        turn = threading.Lock()

        def struck(sock: socket.socket, request: Request) -> bool:
            if request.method != method or kind not in request.path:
                return False
            with turn:
                if left[0] is not None:
                    left[0] -= 1
                    if left[0] < 0:
                        return False
            return harm(sock, request)

        self.harm = struck


@contextmanager
def raw_stage(scene: Scene) -> Iterator[RawStage]:
    """A stage on bare sockets, in a folder of its own."""
    plain = staged(scene)
    current = RawStage(plain.folder, plain.model, plain.clock, plain.service)
    with listening(lambda sock: _serve(current, sock)) as port:
        current.base = f"http://127.0.0.1:{port}/client/v4"
        yield current


@contextmanager
def listening(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """A port on loopback; each connection is served in a thread of its own."""
    threads: list[threading.Thread] = []
    accepted: list[socket.socket] = []

    def one(sock: socket.socket) -> None:
        with contextlib.suppress(OSError):
            serve(sock)
        sock.close()

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = listener.accept()
                accepted.append(sock)
                threads.append(threading.Thread(target=one, args=(sock,)))
                threads[-1].start()

    listener = socket.create_server(("127.0.0.1", 0))
    accepting = threading.Thread(target=accept)
    accepting.start()
    try:
        yield listener.getsockname()[1]
    finally:
        with ExitStack() as stack:
            stack.callback(listener.close)
            for sock in [listener, *accepted]:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
            for thread in [accepting, *threads]:
                thread.join(10)
                assert not thread.is_alive()


def quiet(current: RawStage) -> None:
    """No harm from here on."""
    current.harm = None
    current.service = current.model


# --- HTTP, as little as this needs ---------------------------------------------------------------


def _serve(current: RawStage, sock: socket.socket) -> None:
    while head := _head(sock):
        request = _request(head)
        current.heads.append(request)
        if current.harm is not None and current.harm(sock, request):
            return
        if not _answer(current, sock, request):
            return


def _head(sock: socket.socket) -> str:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = sock.recv(1)
        if not byte:
            return ""
        head += byte
    return head.decode("latin-1")


def _request(head: str) -> Request:
    method, target, _ = head.split(" ", 2)
    path, _, query = target.partition("?")
    lines = re.findall(r"\r\n([^:\r]+): ?([^\r]*)", head)
    headers = {name.lower(): value for name, value in lines}
    return Request(method, unquote(path), parse_qsl(query, keep_blank_values=True), headers)


def _answer(current: RawStage, sock: socket.socket, request: Request) -> bool:
    exchange = current.service.begin(request)
    left = int(request.headers.get("content-length", "0"))
    try:
        while left:
            block = sock.recv(min(left, 1 << 18))
            if not block:
                exchange.cut()
                return False
            left -= len(block)
            exchange.write(block)
        reply = exchange.finish()
    except (ConnectionCut, NoReply):
        return False
    except OSError:
        exchange.cut()
        return False
    sock.sendall(written(reply, request.method))
    return True


def written(reply: Reply, method: str) -> bytes:
    """A reply as bytes."""
    body = b"" if method == "HEAD" else reply.body
    lines = [f"HTTP/1.1 {reply.status} X", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in reply.headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body
