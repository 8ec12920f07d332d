"""The TCP proxy: what it does to bytes, and that it leaves nothing behind."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from cfstream_upload.emulator.proxy import TcpProxy


class Echo:
    """A server that keeps what it is sent and sends it back."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.ended = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            if self.ended.is_set() and not self._threads:
                connection.close()
                return
            thread = threading.Thread(target=self._echo, args=(connection,), daemon=True)
            thread.start()
            if self._threads:
                self._threads.append(thread)

    def _echo(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            while piece := connection.recv(65_536):
                self.received += piece
                connection.sendall(piece)
        self.ended.set()

    def close(self) -> None:
        threads, self._threads = self._threads, []
        self.ended.set()
        socket.create_connection(("127.0.0.1", self.port)).close()
        for thread in threads:
            thread.join(5)
        self._listener.close()


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo()
    yield server
    server.close()


@pytest.fixture
def proxy(echo: Echo) -> Iterator[TcpProxy]:
    with TcpProxy("127.0.0.1", echo.port) as proxy:
        yield proxy


@pytest.fixture
def client(proxy: TcpProxy) -> Iterator[socket.socket]:
    with socket.create_connection((proxy.host, proxy.port), timeout=5) as client:
        yield client


def exchange(client: socket.socket, data: bytes) -> bytes:
    client.sendall(data)
    back = b""
    while len(back) < len(data) and (piece := client.recv(65_536)):
        back += piece
    return back


def test_bytes_pass_unharmed_and_are_counted(proxy: TcpProxy, client: socket.socket) -> None:
    data = bytes(range(256)) * 2000
    threading.Thread(target=client.sendall, args=(data,), daemon=True).start()
    back = b""
    while len(back) < len(data):
        back += client.recv(65_536)
    assert back == data
    assert (proxy.connections, proxy.bytes_up, proxy.bytes_down) == (1, len(data), len(data))


def test_an_end_of_stream_passes_while_replies_still_come(client: socket.socket) -> None:
    client.sendall(b"last words")
    client.shutdown(socket.SHUT_WR)
    back = b""
    while piece := client.recv(100):
        back += piece
    assert back == b"last words"


@pytest.mark.parametrize("reset", [True, False])
def test_a_cut_gives_the_server_its_bytes_and_the_client_an_end(
    proxy: TcpProxy, client: socket.socket, echo: Echo, reset: bool
) -> None:
    assert exchange(client, b"before") == b"before"
    proxy.swallow_replies()
    proxy.cut_after(1000, reset=reset)
    client.sendall(bytes(4000))
    if reset:
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    else:
        assert client.recv(1) == b""
    assert echo.ended.wait(5)
    assert echo.received == b"before" + bytes(1000)


def test_a_cut_happens_once(proxy: TcpProxy, client: socket.socket) -> None:
    proxy.cut_after(1)
    with contextlib.suppress(OSError):
        exchange(client, b"x")
    with socket.create_connection((proxy.host, proxy.port), timeout=5) as second:
        assert exchange(second, b"again") == b"again"


def test_swallowed_replies_are_lost_but_requests_arrive(
    proxy: TcpProxy, client: socket.socket, echo: Echo
) -> None:
    proxy.swallow_replies()
    client.sendall(b"lost")
    client.settimeout(0.1)
    with pytest.raises(TimeoutError):
        client.recv(1)
    assert echo.received == b"lost"


def test_a_stalled_connection_goes_on_where_it_stopped(
    proxy: TcpProxy, client: socket.socket, echo: Echo
) -> None:
    proxy.stall()
    client.sendall(b"late")
    client.settimeout(0.1)
    with pytest.raises(TimeoutError):
        client.recv(1)
    assert echo.received == b""
    proxy.stall(on=False)
    client.settimeout(5)
    assert client.recv(100) == b"late"


def test_a_limited_rate_takes_its_time(proxy: TcpProxy, client: socket.socket) -> None:
    proxy.limit_rate(50_000)
    began = time.monotonic()
    assert exchange(client, bytes(10_000)) == bytes(10_000)
    assert 0.15 < time.monotonic() - began < 3
    proxy.limit_rate(None)
    assert exchange(client, b"fast") == b"fast"


def test_a_dead_proxy_cuts_old_and_new_connections_until_it_is_revived(
    proxy: TcpProxy, client: socket.socket
) -> None:
    assert exchange(client, b"alive") == b"alive"
    proxy.die()
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    # The reset may come as early as the connect itself.
    with (
        pytest.raises(ConnectionResetError),
        socket.create_connection((proxy.host, proxy.port), timeout=5) as second,
    ):
        second.recv(1)
    proxy.revive()
    with socket.create_connection((proxy.host, proxy.port), timeout=5) as third:
        assert exchange(third, b"again") == b"again"


def test_a_server_that_is_not_there_is_a_cut_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with (
        TcpProxy("127.0.0.1", port) as proxy,
        pytest.raises(ConnectionResetError),
        socket.create_connection((proxy.host, proxy.port), timeout=5) as client,
    ):
        client.recv(1)


def test_closing_ends_connections_and_the_thread_even_when_stalled(echo: Echo) -> None:
    before = threading.active_count()
    proxy = TcpProxy("127.0.0.1", echo.port)
    with socket.create_connection((proxy.host, proxy.port), timeout=5) as client:
        assert exchange(client, b"x") == b"x"
        proxy.stall()
        client.sendall(b"stuck")
        proxy.close()
        proxy.close()
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((proxy.host, proxy.port), timeout=5)
    assert echo.ended.wait(5)
    assert threading.active_count() <= before + 1
