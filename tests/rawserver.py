"""Servers on raw sockets that do whatever a test wants, and the wire's requests to them."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
import trustme

from cfstream_upload.wire import Lost, NotSent, Patience, Reply, Wire, WireError

TOKEN = "canary-token-6f1e"
SECRET = "canary-upload-93ab"
PATIENCE = Patience(deadline=5, stall=5)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

Handler = Callable[[socket.socket], None]


class Server:
    """Accepts on loopback and gives each connection to ``handler`` in a thread of its own."""

    def __init__(self, handler: Handler, tls: ssl.SSLContext | None = None) -> None:
        self.handler = handler
        self.tls = tls
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.base = f"http{'s' if tls else ''}://localhost:{self.port}/client/v4"
        if not tls:
            self.base = self.base.replace("localhost", "127.0.0.1")
        self.upload = self.base.replace("/client/v4", f"/tus/{SECRET}")
        self.accepted: list[socket.socket] = []
        self.threads = [threading.Thread(target=self._accept)]
        self.threads[0].start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self.listener.accept()
                self.accepted.append(sock)
                thread = threading.Thread(target=self._serve, args=(sock,))
                self.threads.append(thread)
                thread.start()

    def _serve(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError):
            if self.tls is None:
                self.handler(sock)
                return
            index = self.accepted.index(sock)
            with self.tls.wrap_socket(sock, server_side=True) as secured:
                self.accepted[index] = secured
                self.handler(secured)

    def close(self) -> None:
        for sock in [self.listener, *self.accepted]:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in self.threads:
            thread.join(5)
            assert not thread.is_alive()
        for sock in self.accepted:
            sock.close()


Serve = Callable[..., Server]


@contextlib.contextmanager
def serving() -> Iterator[Serve]:
    """Starts servers, and closes them all in the end."""
    with contextlib.ExitStack() as stack:

        def start(handler: Handler, tls: ssl.SSLContext | None = None) -> Server:
            server = Server(handler, tls)
            stack.callback(server.close)
            return server

        yield start


def certified(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


def head_of(sock: socket.socket) -> bytes:
    """One request's head, read byte by byte; empty when the client has gone."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = sock.recv(1)
        if not byte:
            return b""
        head += byte
    return head


def body_of(sock: socket.socket, head: bytes) -> bytearray:
    left = int((re.search(rb"content-length: (\d+)", head, re.IGNORECASE) or [b"", b"0"])[1])
    body = bytearray()
    while len(body) < left:
        part = sock.recv(65536)
        if not part:
            break
        body += part
    return body


def answering(reply: bytes, heads: list[bytes] | None = None) -> Handler:
    """Reads whole requests, answers each with ``reply`` on the same connection."""

    def handle(sock: socket.socket) -> None:
        while head := head_of(sock):
            body_of(sock, head)
            if heads is not None:
                heads.append(head)
            sock.sendall(reply)

    return handle


def until_gone(sock: socket.socket) -> None:
    while sock.recv(65536):
        pass


def zeros(count: int, block: int = 65536) -> Iterator[bytes]:
    for _ in range(count // block):
        yield bytes(block)


def send(
    wire: Wire,
    url: str,
    method: str = "GET",
    *,
    patience: Patience = PATIENCE,
    size: int | None = None,
    body: Iterable[bytes] | None = None,
    max_body: int = 1024 * 1024,
    block: int = 65536,
) -> Reply:
    headers = {} if size is None else {"Content-Length": str(size)}
    if size is not None and body is None:
        body = zeros(size, block)
    return wire.request(
        method, url, headers=headers, body=body, patience=patience, max_body=max_body
    )


def failing(wire: Wire, url: str, *args: str, **more: object) -> WireError:
    """The error of a request that must fail, searched for secrets on its way."""
    with pytest.raises(WireError) as caught:
        send(wire, url, *args, **more)  # type: ignore[arg-type]
    error: BaseException | None = caught.value
    shown = "".join(traceback.format_exception(caught.value))
    while error is not None:
        shown += repr(error) + str(error) + repr(vars(error))
        error = error.__context__
    assert "canary" not in shown
    return caught.value


def reason(error: WireError) -> str:
    assert isinstance(error, NotSent | Lost)
    return f"{type(error).__name__} {error.reason}"


@contextlib.contextmanager
def wired(
    base: str, ca_cert: Path | None = None, proxy: str | None = None, connect_timeout: float = 5
) -> Iterator[Wire]:
    with Wire(
        api_base=base, token=TOKEN, ca_cert=ca_cert, proxy=proxy, connect_timeout=connect_timeout
    ) as wire:
        yield wire
