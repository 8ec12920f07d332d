"""The served Stream behind TLS: a front that ends the TLS and passes the bytes on, and proxies."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import trustme

Handler = Callable[[socket.socket], None]


class Front:
    """Accepts on loopback and hands each connection to ``handler`` in a thread of its own."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                self._open.append(sock)
                thread = threading.Thread(target=self._serve, args=(sock,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError), sock:
            self._handler(sock)

    def close(self) -> None:
        """Close every socket and wait for the threads."""
        for sock in [self._listener, *self._open]:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        for thread in self._threads:
            thread.join(10)


@contextlib.contextmanager
def fronted(handler: Handler) -> Iterator[Front]:
    front = Front(handler)
    try:
        yield front
    finally:
        front.close()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def joined(one: socket.socket, other: socket.socket) -> None:
    """Carry bytes both ways until both sides have ended."""
    back = threading.Thread(target=_pump, args=(other, one), daemon=True)
    back.start()
    _pump(one, other)
    back.join()


def tls_to(port: int, context: ssl.SSLContext) -> Handler:
    """Speaks TLS to clients and plain HTTP to what listens on ``port``."""

    def handle(sock: socket.socket) -> None:
        with (
            contextlib.suppress(OSError),
            context.wrap_socket(sock, server_side=True) as secured,
            socket.create_connection(("127.0.0.1", port)) as onward,
        ):
            _relay(secured, onward)

    return handle


def _relay(secured: ssl.SSLSocket, onward: socket.socket) -> None:
    """Both directions in this thread: OpenSSL's objects are not for two at once."""
    import selectors

    secured.setblocking(False)
    with selectors.DefaultSelector() as selector:
        selector.register(secured, selectors.EVENT_READ)
        selector.register(onward, selectors.EVENT_READ)
        while True:
            ready = {key.fileobj for key, _ in selector.select()}
            if secured in ready or secured.pending():
                try:
                    data = secured.recv(65536)
                except ssl.SSLWantReadError:
                    data = None
                if data == b"":
                    return
                if data:
                    onward.sendall(data)
            if onward in ready:
                data = onward.recv(65536)
                if not data:
                    return
                secured.setblocking(True)
                secured.sendall(data)
                secured.setblocking(False)


def connect_proxy(
    heads: list[bytes], reply: bytes = b"HTTP/1.1 200 Connected\r\n\r\n", to: int | None = None
) -> Handler:
    """An HTTP proxy that opens tunnels to loopback, or answers each CONNECT with ``reply``.

    With ``to`` every tunnel ends at that port, whatever was asked for.
    """

    def handle(sock: socket.socket) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            if not (byte := sock.recv(1)):
                return
            head += byte
        heads.append(head)
        if b" 200 " not in reply:
            sock.sendall(reply)
            return
        port = to or int(head.split()[1].rpartition(b":")[2])
        with socket.create_connection(("127.0.0.1", port)) as onward:
            sock.sendall(reply)
            joined(sock, onward)

    return handle


class Authority:
    """A certificate authority of the test's own, and its certificate in a file."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self._ca = trustme.CA()
        self.file = folder / f"{name}.pem"
        self._ca.cert_pem.write_to_path(str(self.file))

    def context(self, name: str = "localhost", ended: datetime | None = None) -> ssl.SSLContext:
        """A server's context with a certificate for ``name``, good until ``ended``."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        begun = None if ended is None else ended - timedelta(days=9)
        self._ca.issue_cert(name, not_before=begun, not_after=ended).configure_cert(context)
        return context
