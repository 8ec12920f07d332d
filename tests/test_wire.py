"""The wire against raw sockets that misbehave, over plain TCP, TLS and a CONNECT proxy."""

from __future__ import annotations

import base64
import contextlib
import gzip
import logging
import socket
import ssl
import struct
import threading
import time
import traceback
import tracemalloc
import warnings
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import trustme
from hostileurls import GOOD, HOSTILE_URLS
from rawserver import (
    OK,
    PATIENCE,
    SECRET,
    TOKEN,
    Handler,
    Serve,
    answering,
    body_of,
    certified,
    failing,
    head_of,
    reason,
    send,
    serving,
    until_gone,
    wired,
)

from cfstream_upload.wire import (
    UPLOAD_HOSTS,
    Cancelled,
    Lost,
    Patience,
    UnacceptableUrl,
    Wire,
    WireError,
    acceptable_api_base,
    acceptable_upload_url,
)


@pytest.fixture
def serve() -> Iterator[Serve]:
    with serving() as start:
        yield start


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def ca_cert(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


@contextlib.contextmanager
def cancelled_soon() -> Iterator[Patience]:
    """A patience whose flag goes up after 0.2 s, and must then be seen long before its deadline."""
    raised = time.monotonic() + 0.2
    yield Patience(deadline=10, stall=10, cancelled=lambda: time.monotonic() >= raised)
    assert 0 <= time.monotonic() - raised < 3


@contextlib.contextmanager
def black_hole(host: str = "127.0.0.1") -> Iterator[tuple[str, int]]:
    """An address that drops SYNs: its queue of connections is full."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket(family))
        listener.bind((host, 0))
        listener.listen(0)
        address = listener.getsockname()[:2]
        for _ in range(4):
            sock = stack.enter_context(socket.socket(family))
            sock.setblocking(False)
            sock.connect_ex(address)
        time.sleep(0.02)
        yield address


# --- replies ---------------------------------------------------------------------------------


def test_a_reply_comes_with_lower_case_headers_and_doubles_joined(serve: Serve) -> None:
    server = serve(
        answering(b"HTTP/1.1 204 No\r\nUpload-Offset: 5\r\nUPLOAD-OFFSET: 7\r\nX-A: \xe9\r\n\r\n")
    )
    with wired(server.base) as wire:
        reply = send(wire, server.upload, "HEAD")
    assert reply.status == 204
    assert reply.headers == {"upload-offset": "5, 7", "x-a": "é"}
    assert reply.body == b""


def test_one_upload_uses_one_connection(serve: Serve) -> None:
    server = serve(answering(OK))
    with wired(server.base) as wire:
        for _ in range(3):
            assert send(wire, server.base + "/x", "POST").body == b"ok"
            assert send(wire, server.upload, "PATCH", size=1 << 20).status == 200
    assert len(server.accepted) == 1


def test_threads_share_a_wire_and_each_gets_its_own_reply(serve: Serve) -> None:
    def echo(sock: socket.socket) -> None:
        while head := head_of(sock):
            path = head.split()[1]
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(path) + path)

    server = serve(echo)
    wrong: list[str] = []

    def run(name: str) -> None:
        for number in range(25):
            path = f"/client/v4/{name}/{number}"
            if send(wire, f"http://127.0.0.1:{server.port}{path}").body != path.encode():
                wrong.append(path)

    with wired(server.base) as wire:
        threads = [threading.Thread(target=run, args=(f"thread{n}",)) for n in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []
    assert len(server.accepted) <= 6


def test_a_connection_that_the_server_closed_meanwhile_is_replaced(serve: Serve) -> None:
    def once(sock: socket.socket) -> None:
        head_of(sock)
        sock.sendall(OK)
        sock.close()

    server = serve(once)
    with wired(server.base) as wire:
        assert send(wire, server.base).status == 200
        time.sleep(0.05)
        assert send(wire, server.base).status == 200
    assert len(server.accepted) == 2


def test_a_large_error_body_is_capped_in_memory_and_ends_the_connection(serve: Serve) -> None:
    def large(sock: socket.socket) -> None:
        status = b"200 OK" if b"/list " in head_of(sock) else b"500 No"
        sock.sendall(b"HTTP/1.1 " + status + b"\r\nContent-Length: 16000000000\r\n\r\n")
        block = bytes(1 << 16)
        while True:
            sock.sendall(block)

    server = serve(large)
    with wired(server.base) as wire:
        tracemalloc.start()
        try:
            reply = send(wire, server.base)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert (reply.status, len(reply.body)) == (500, 1 << 20)
        assert peak < 4 << 20
        # Only a list is asked for more, and a refusal of it needs no more than any other.
        assert len(send(wire, server.base, max_body=3 << 20).body) == 1 << 20
        assert len(send(wire, f"{server.base}/list", max_body=3 << 20).body) == 3 << 20
    assert len(server.accepted) == 3


def test_an_encoded_reply_is_refused_and_none_is_asked_for(serve: Serve) -> None:
    heads: list[bytes] = []
    packed = gzip.compress(bytes(100_000))
    server = serve(
        answering(
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b"
            % (len(packed), packed),
            heads,
        )
    )
    with wired(server.base) as wire:
        assert reason(failing(wire, server.base)) == "Lost protocol"
    assert b"accept-encoding: identity\r\n" in heads[0].lower()


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["POST", "PATCH", "HEAD", "GET", "DELETE"])
def test_a_redirect_is_a_reply_and_nobody_follows_it(serve: Serve, method: str, code: int) -> None:
    foreign = serve(answering(OK))
    head = f"HTTP/1.1 {code} Go\r\nLocation: {foreign.upload}\r\nContent-Length: 0\r\n\r\n"
    server = serve(answering(head.encode()))
    with wired(server.base) as wire:
        reply = send(wire, server.base, method)
    assert (reply.status, reply.headers["location"]) == (code, foreign.upload)
    assert foreign.accepted == []
    assert SECRET not in repr(reply)


# --- trouble while a reply is awaited ----------------------------------------------------------


def test_a_server_that_never_answers_is_stalled(serve: Serve) -> None:
    server = serve(until_gone)
    with wired(server.base) as wire:
        error = failing(wire, server.base, patience=Patience(deadline=5, stall=0.3))
    assert reason(error) == "Lost stalled"


@pytest.mark.parametrize("deadline", [0.4, None])
@pytest.mark.parametrize("drip", [b"X", b"HTTP/1.1 100 Continue\r\n\r\n"])
def test_a_dripping_head_and_endless_1xx_end_at_the_deadline(
    serve: Serve, drip: bytes, deadline: float | None
) -> None:
    def handle(sock: socket.socket) -> None:
        head_of(sock)
        if drip == b"X":
            sock.sendall(b"HTTP/1.1 200 OK\r\nX-Drip: ")
        while True:
            sock.sendall(drip)
            time.sleep(0.05)

    server = serve(handle)
    with wired(server.base) as wire:
        began = time.monotonic()
        error = failing(wire, server.base, patience=Patience(deadline=deadline, stall=0.2))
    assert reason(error) == "Lost deadline"
    assert 0.3 < time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (b"", "Lost cut"),
        (b"HTTP/1.1 200 O", "Lost cut"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", "Lost cut"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal", "Lost cut"),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "Lost protocol"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\n", "Lost protocol"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 300_000, "Lost toolarge"),
    ],
)
def test_a_broken_reply_is_lost(serve: Serve, reply: bytes, expected: str) -> None:
    def handle(sock: socket.socket) -> None:
        head_of(sock)
        sock.sendall(reply)
        if not expected.endswith("cut"):
            until_gone(sock)
        sock.shutdown(socket.SHUT_WR)

    server = serve(handle)
    with wired(server.base) as wire:
        assert reason(failing(wire, server.base)) == expected
        assert reason(failing(wire, server.base)) == expected
    assert len(server.accepted) == 2


# --- trouble while a body flows ----------------------------------------------------------------


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def test_a_reset_in_the_middle_of_the_body_is_a_cut(serve: Serve) -> None:
    def handle(sock: socket.socket) -> None:
        head_of(sock)
        sock.recv(100_000)
        reset(sock)

    server = serve(handle)
    with wired(server.base) as wire:
        error = failing(wire, server.upload, "PATCH", size=64 << 20)
    assert reason(error) == "Lost cut"


@pytest.mark.parametrize("secure", [False, True])
def test_an_early_reply_is_read_though_the_server_reads_no_more(
    serve: Serve, authority: trustme.CA, ca_cert: Path, secure: bool
) -> None:
    done = threading.Event()

    def handle(sock: socket.socket) -> None:
        head_of(sock)
        sock.sendall(b"HTTP/1.1 102 Wait\r\n\r\nHTTP/1.1 413 Large\r\nContent-Length: 2\r\n\r\nno")
        done.wait(5)

    server = serve(handle, certified(authority, "localhost") if secure else None)
    with wired(server.base, ca_cert) as wire:
        reply = send(wire, server.upload, "PATCH", size=64 << 20)
    done.set()
    assert (reply.status, reply.body) == (413, b"no")


def test_an_early_reply_before_a_close_is_read(serve: Serve) -> None:
    def handle(sock: socket.socket) -> None:
        head_of(sock)
        sock.sendall(b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n")
        sock.shutdown(socket.SHUT_WR)
        time.sleep(0.1)

    server = serve(handle)
    with wired(server.base) as wire:
        assert send(wire, server.upload, "PATCH", size=64 << 20).status == 401


def test_an_interim_reply_and_a_pause_do_not_end_a_body(
    serve: Serve, authority: trustme.CA, ca_cert: Path
) -> None:
    size = 24 << 20

    def handle(sock: socket.socket) -> None:
        head = head_of(sock)
        sock.sendall(b"HTTP/1.1 104 Upload Resumption Supported\r\n\r\n")
        time.sleep(0.4)
        received = len(body_of(sock, head))
        sock.sendall(b"HTTP/1.1 204 No\r\nUpload-Offset: %d\r\n\r\n" % received)

    # Under TLS session tickets lie in the socket too, and they are no reply either.
    server = serve(handle, certified(authority, "localhost"))
    with wired(server.base, ca_cert) as wire:
        reply = send(wire, server.upload, "PATCH", size=size)
    assert reply.headers["upload-offset"] == str(size)


def test_a_server_that_stops_reading_is_stalled(serve: Serve) -> None:
    done = threading.Event()
    server = serve(lambda _: done.wait(5) and None)
    with wired(server.base) as wire:
        patience = Patience(deadline=None, stall=0.4)
        error = failing(wire, server.upload, "PATCH", size=64 << 20, patience=patience)
    done.set()
    assert reason(error) == "Lost stalled"


@pytest.mark.parametrize("secure", [False, True])
def test_one_large_block_to_a_slow_reader_is_not_stalled(
    serve: Serve, authority: trustme.CA, ca_cert: Path, secure: bool
) -> None:
    def slow(sock: socket.socket) -> None:
        left = 1 << 23
        head_of(sock)
        while left and (part := sock.recv(min(left, 1 << 14))):
            left -= len(part)
            time.sleep(0.002)
        sock.sendall(OK)

    server = serve(slow, certified(authority, "localhost") if secure else None)
    server.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
    with wired(server.base, ca_cert) as wire:
        began = time.monotonic()
        patience = Patience(deadline=None, stall=0.6)
        block = bytes(1 << 23)
        reply = send(wire, server.upload, "PATCH", size=1 << 23, body=[block], patience=patience)
    assert reply.status == 200
    assert time.monotonic() - began > 1.0


def test_a_server_that_ends_its_side_and_reads_no_more_is_a_cut(serve: Serve) -> None:
    done = threading.Event()

    def handle(sock: socket.socket) -> None:
        head_of(sock)
        sock.shutdown(socket.SHUT_WR)
        done.wait(5)

    server = serve(handle)
    with wired(server.base) as wire:
        error = failing(wire, server.upload, "PATCH", size=64 << 20)
    done.set()
    assert reason(error) == "Lost cut"


def test_a_slow_body_without_deadline_may_take_longer_than_the_stall(serve: Serve) -> None:
    server = serve(answering(OK))

    def slow() -> Iterator[bytes]:
        for _ in range(8):
            time.sleep(0.06)
            yield bytes(1000)

    with wired(server.base) as wire:
        patience = Patience(deadline=None, stall=0.2)
        reply = send(wire, server.upload, "PATCH", size=8000, body=slow(), patience=patience)
    assert reply.status == 200


@pytest.mark.parametrize(
    "error", [OSError("read error"), httpx.ReadError("x"), KeyboardInterrupt(), Lost("cut", "x")]
)
def test_what_the_body_raises_comes_out_unchanged_and_the_connection_ends(
    serve: Serve, error: BaseException
) -> None:
    server = serve(answering(OK))

    def broken() -> Iterator[bytes]:
        yield bytes(1000)
        raise error

    with wired(server.base) as wire:
        with pytest.raises(type(error)) as caught:
            send(wire, server.upload, "PATCH", size=5000, body=broken())
        assert caught.value is error
        assert send(wire, server.base).status == 200
    assert len(server.accepted) == 2


@pytest.mark.parametrize("blocks", [[b"ab"], [b"ab", b"cd"]])
def test_a_body_of_another_length_than_announced_is_no_request(
    serve: Serve, blocks: list[bytes]
) -> None:
    server = serve(answering(OK))
    with wired(server.base) as wire:
        error = failing(wire, server.upload, "PATCH", size=3, body=blocks)
    assert reason(error) == "Lost protocol"


# --- cancelling --------------------------------------------------------------------------------


def test_cancelling_is_seen_before_anything_begins(serve: Serve) -> None:
    server = serve(answering(OK))
    with wired(server.base) as wire:
        error = failing(wire, server.base, patience=Patience(cancelled=lambda: True))
    assert isinstance(error, Cancelled)
    assert not error.sent
    assert server.accepted == []


def test_cancelling_is_seen_while_connecting() -> None:
    with (
        black_hole() as (host, port),
        wired(f"http://{host}:{port}") as wire,
        cancelled_soon() as patience,
    ):
        error = failing(wire, f"http://{host}:{port}/", patience=patience)
    assert isinstance(error, Cancelled)
    assert not error.sent


def test_cancelling_is_seen_while_the_name_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: release.wait(5) and [])
    with wired("https://slow.example/client/v4") as wire, cancelled_soon() as patience:
        error = failing(wire, "https://slow.example/client/v4/x", patience=patience)
    release.set()
    assert isinstance(error, Cancelled)
    assert not error.sent


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("size", [None, 64 << 20])
def test_cancelling_is_seen_while_reading_and_while_writing_to_a_full_socket(
    serve: Serve, authority: trustme.CA, ca_cert: Path, size: int | None, secure: bool
) -> None:
    done = threading.Event()
    server = serve(
        lambda _: done.wait(5) and None, certified(authority, "localhost") if secure else None
    )
    method = "GET" if size is None else "PATCH"
    with wired(server.base, ca_cert) as wire, cancelled_soon() as patience:
        error = failing(wire, server.upload, method, size=size, patience=patience)
    done.set()
    assert isinstance(error, Cancelled)
    assert error.sent


def test_cancelling_is_seen_while_a_body_flows_without_a_pause(serve: Serve) -> None:
    server = serve(until_gone)
    with wired(server.base) as wire, cancelled_soon() as patience:
        error = failing(wire, server.upload, "PATCH", size=1 << 40, patience=patience)
    assert isinstance(error, Cancelled)


@pytest.mark.parametrize("size", [None, 64 << 20])
def test_closing_the_wire_cuts_what_other_threads_wait_for(serve: Serve, size: int | None) -> None:
    done = threading.Event()
    server = serve(lambda _: done.wait(5) and None)
    with wired(server.base) as wire:
        timer = threading.Timer(0.1, wire.close)
        timer.start()
        method = "GET" if size is None else "PATCH"
        assert reason(failing(wire, server.upload, method, size=size)) == "Lost cut"
        timer.join()
    done.set()


def test_cancelling_is_seen_in_a_tls_handshake(serve: Serve) -> None:
    server = serve(until_gone)
    base = f"https://localhost:{server.port}"
    with wired(base) as wire, cancelled_soon() as patience:
        error = failing(wire, base + "/x", patience=patience)
    assert isinstance(error, Cancelled)
    assert not error.sent


# --- connecting --------------------------------------------------------------------------------


def test_nothing_was_sent_where_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        base = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with wired(base) as wire:
        assert reason(failing(wire, base, "POST")) == "NotSent refused"


def test_a_name_that_does_not_resolve_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "canary")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with wired("https://nowhere.example") as wire:
        assert reason(failing(wire, "https://nowhere.example/x")) == "NotSent dns"


def test_connecting_ends_at_the_connect_timeout() -> None:
    with black_hole() as (host, port), wired(f"http://{host}:{port}", connect_timeout=0.3) as wire:
        began = time.monotonic()
        assert reason(failing(wire, f"http://{host}:{port}/x")) == "NotSent timeout"
        assert time.monotonic() - began < 5


def test_an_ipv6_black_hole_is_passed_by(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve(answering(OK))
    hole = "::1" if socket.has_ipv6 and _has_ipv6_loopback() else "127.0.0.2"
    with black_hole(hole) as address:
        family = socket.AF_INET6 if ":" in hole else socket.AF_INET
        found = [
            (family, socket.SOCK_STREAM, 6, "", address),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", server.port)),
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        with wired(f"http://localhost:{server.port}") as wire:
            began = time.monotonic()
            assert send(wire, f"http://localhost:{server.port}/x").status == 200
            assert time.monotonic() - began < 5


def _has_ipv6_loopback() -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as sock:
        sock.bind(("::1", 0))
        return True
    return False


# --- TLS ---------------------------------------------------------------------------------------


def test_a_body_of_megabytes_arrives_intact_over_tls(
    serve: Serve, authority: trustme.CA, ca_cert: Path
) -> None:
    received: list[bytes] = []

    def handle(sock: socket.socket) -> None:
        while head := head_of(sock):
            received.append(bytes(body_of(sock, head)))
            sock.sendall(OK)

    server = serve(handle, certified(authority, "localhost"))
    blocks = [bytes([n]) * (300_000 + n) for n in range(20)]
    with wired(server.base, ca_cert) as wire:
        for _ in range(2):
            size = sum(map(len, blocks))
            assert send(wire, server.base, "PATCH", size=size, body=blocks).body == b"ok"
    assert received == [b"".join(blocks)] * 2
    assert len(server.accepted) == 1


def test_a_certificate_for_another_host_is_refused(
    serve: Serve, authority: trustme.CA, ca_cert: Path
) -> None:
    server = serve(answering(OK), certified(authority, "elsewhere.example"))
    with wired(server.base, ca_cert) as wire:
        error = failing(wire, server.base)
    assert reason(error) == "NotSent certificate"
    assert "localhost" in str(error)


def test_an_unknown_authority_is_refused(serve: Serve, ca_cert: Path) -> None:
    server = serve(answering(OK), certified(trustme.CA(), "localhost"))
    for trusted in (ca_cert, None):
        with wired(server.base, trusted) as wire:
            assert reason(failing(wire, server.base)) == "NotSent certificate"


def test_a_missing_ca_file_is_named_as_such(tmp_path: Path) -> None:
    with wired("https://localhost:1", tmp_path / "none.pem") as wire:
        assert reason(failing(wire, "https://localhost:1/")) == "NotSent certificate"


def test_old_tls_is_refused(serve: Serve, authority: trustme.CA, ca_cert: Path) -> None:
    context = certified(authority, "localhost")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    server = serve(answering(OK), context)
    with wired(server.base, ca_cert) as wire:
        assert reason(failing(wire, server.base)) == "NotSent tls"


def plain_answer(sock: socket.socket) -> None:
    sock.sendall(b"HTTP/1.1 400 No\r\n\r\n")
    until_gone(sock)


@pytest.mark.parametrize("handle", [reset, lambda _: None, plain_answer])
def test_a_handshake_that_breaks_off_is_not_sent(serve: Serve, handle: Handler) -> None:
    def closing(sock: socket.socket) -> None:
        sock.recv(1)
        handle(sock)
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)

    server = serve(closing)
    base = f"https://localhost:{server.port}"
    with wired(base) as wire:
        assert reason(failing(wire, base)) == "NotSent tls"


@pytest.mark.parametrize("secure", [False, True])
def test_the_connect_timeout_ends_with_the_connecting(
    serve: Serve, authority: trustme.CA, ca_cert: Path, secure: bool
) -> None:
    def late(sock: socket.socket) -> None:
        head_of(sock)
        time.sleep(0.5)
        sock.sendall(OK)

    server = serve(late, certified(authority, "localhost") if secure else None)
    with wired(server.base, ca_cert, connect_timeout=0.4) as wire:
        assert send(wire, server.base).status == 200


def test_a_handshake_without_an_answer_ends_at_the_connect_timeout(serve: Serve) -> None:
    server = serve(until_gone)
    base = f"https://localhost:{server.port}"
    with wired(base, connect_timeout=0.3) as wire:
        assert reason(failing(wire, base)) == "NotSent timeout"


def test_a_reply_without_length_cut_under_tls_is_lost(
    serve: Serve, authority: trustme.CA, ca_cert: Path
) -> None:
    def handle(sock: socket.socket) -> None:
        head_of(sock)
        sock.sendall(b'HTTP/1.1 200 OK\r\n\r\n{"result": []}')

    server = serve(handle, certified(authority, "localhost"))
    with wired(server.base, ca_cert) as wire:
        assert reason(failing(wire, server.base)) == "Lost cut"


# --- proxy -------------------------------------------------------------------------------------


def tunnel(heads: list[bytes]) -> Handler:
    def pump(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def handle(sock: socket.socket) -> None:
        head = head_of(sock)
        heads.append(head)
        port = int(head.split()[1].rpartition(b":")[2])
        with socket.create_connection(("127.0.0.1", port)) as onward:
            sock.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
            back = threading.Thread(target=pump, args=(onward, sock))
            back.start()
            pump(sock, onward)
            back.join()

    return handle


def test_a_connect_proxy_is_a_tunnel_that_sees_no_token(
    serve: Serve, authority: trustme.CA, ca_cert: Path
) -> None:
    server = serve(answering(OK), certified(authority, "localhost"))
    heads: list[bytes] = []
    proxy = serve(tunnel(heads))
    with wired(server.base, ca_cert, f"http://me:p%40ss@127.0.0.1:{proxy.port}") as wire:
        # No deadline: the proxy's own reply must not start the clock of Stream's reply.
        patience = Patience(deadline=None, stall=0.1)

        def slow() -> Iterator[bytes]:
            for _ in range(6):
                time.sleep(0.05)
                yield bytes(1000)

        reply = send(wire, server.base, "PATCH", size=6000, body=slow(), patience=patience)
        assert reply.body == b"ok"
        assert send(wire, server.base, "PATCH", size=4 << 20).body == b"ok"
    assert len(heads) == len(server.accepted) == 1
    assert heads[0].startswith(b"CONNECT localhost:%d " % server.port)
    assert base64.b64encode(b"me:p@ss") in heads[0]
    assert TOKEN.encode() not in heads[0]


@pytest.mark.parametrize(
    "reply",
    [b"HTTP/1.1 407 canary\r\nContent-Length: 0\r\n\r\n", b"", b"nonsense\r\n\r\n"],
)
def test_a_proxy_that_refuses_is_named_and_nothing_was_sent(serve: Serve, reply: bytes) -> None:
    def handle(sock: socket.socket) -> None:
        head_of(sock)
        sock.sendall(reply)
        sock.shutdown(socket.SHUT_RDWR)

    proxy = serve(handle)
    with wired("https://api.example", proxy=f"http://u:canary@127.0.0.1:{proxy.port}") as wire:
        error = failing(wire, "https://api.example/x", "POST")
    assert reason(error) == "NotSent proxy"
    assert ("407" in str(error)) == (b"407" in reply)


def test_a_dead_proxy_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with wired("https://api.example", proxy=f"http://u:canary@127.0.0.1:{port}") as wire:
        assert reason(failing(wire, "https://api.example/x")) == "NotSent proxy"


def test_a_silent_proxy_ends_at_the_connect_timeout(serve: Serve) -> None:
    proxy = serve(until_gone)
    address = f"http://127.0.0.1:{proxy.port}"
    with wired("https://api.example", proxy=address, connect_timeout=0.3) as wire:
        assert reason(failing(wire, "https://api.example/x")) == "NotSent timeout"


def test_loopback_http_and_the_environment_need_no_proxy(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    heads: list[bytes] = []
    server = serve(answering(OK, heads))
    foreign = serve(until_gone)
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{foreign.port}")
    with wired(server.base, proxy=f"http://127.0.0.1:{foreign.port}") as wire:
        assert send(wire, server.base).status == 200
    assert foreign.accepted == []
    assert f"\r\nauthorization: Bearer {TOKEN}\r\n".encode() in heads[0]


@pytest.mark.parametrize("proxy", ["https://p:1", "socks5://p:1", "p:1", "http://", "http://a b"])
def test_only_an_http_proxy_is_taken(proxy: str) -> None:
    with pytest.raises(UnacceptableUrl):
        Wire(api_base="https://api.example", token=None, proxy=proxy)


# --- secrets -----------------------------------------------------------------------------------


def test_the_token_goes_below_the_api_base_and_nowhere_else(serve: Serve) -> None:
    heads: list[bytes] = []
    server, other = serve(answering(OK, heads)), serve(answering(OK, heads))
    origin = f"http://127.0.0.1:{server.port}"
    below = [server.base, f"{server.base}/", f"{server.base}/accounts/x?y=1"]
    beside = [server.upload, f"{server.base}2", f"{origin}/", f"{server.base}/../tus", other.base]
    with wired(server.base) as wire:
        for url in below + beside:
            send(wire, url, "POST")
    assert [TOKEN.encode() in head for head in heads] == [True] * 3 + [False] * 5
    assert all(b"content-length: 0\r\n" in head for head in heads)


@pytest.mark.parametrize(
    "path",
    ["/%2e%2e/%2e%2e/tus", "/%2E%2E/tus", "/..%2ftus", "/a%5cb", "\\x", " x", "/\r\nX: y", "/é"],
)
def test_a_path_that_hides_its_steps_is_not_requested(serve: Serve, path: str) -> None:
    server = serve(answering(OK))
    with wired(server.base) as wire:
        assert isinstance(failing(wire, server.base + path), UnacceptableUrl)
    assert server.accepted == []


def test_no_other_host_is_ever_connected(serve: Serve) -> None:
    foreign = serve(answering(OK))
    for base in ("https://api.cloudflare.com/client/v4", "http://localhost:1/client/v4"):
        with wired(base) as wire:
            for scheme in ("http", "https"):
                url = f"{scheme}://127.0.0.1:{foreign.port}/{SECRET}"
                assert isinstance(failing(wire, url), UnacceptableUrl)
    assert foreign.accepted == []


@pytest.mark.parametrize(
    "name", ["Authorization", "PROXY-authorization", "X-Auth-Key", "Cookie", "Host", "a b"]
)
def test_a_caller_cannot_pass_headers_that_are_the_wires(name: str) -> None:
    with wired("http://localhost:1") as wire, pytest.raises(ValueError, match="header"):
        wire.request("GET", "http://localhost:1/", headers={name: "x"}, patience=PATIENCE)


@pytest.mark.parametrize("token", [TOKEN + "\n", TOKEN + "\r\nX: y", " ", "\xe9" + TOKEN])
def test_a_token_that_no_header_may_hold_is_not_shown(token: str) -> None:
    with (
        Wire(api_base="http://localhost:1", token=token) as wire,
        pytest.raises(ValueError, match="authorization") as caught,
    ):
        wire.request("GET", "http://localhost:1/", headers={}, patience=PATIENCE)
    assert "canary" not in "".join(traceback.format_exception(caught.value))
    assert "canary" not in repr(wire)


def test_nothing_secret_is_logged_even_at_debug(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    reply = f"HTTP/1.1 201 Created\r\nLocation: /{SECRET}\r\nContent-Length: 0\r\n\r\n"
    server = serve(answering(reply.encode()))
    with wired(server.base) as wire:
        assert send(wire, server.base, "POST").status == 201
        assert send(wire, server.upload, "HEAD").status == 201
    assert "canary" not in caplog.text


# --- in-process transport ----------------------------------------------------------------------


def test_a_transport_takes_the_place_of_the_sockets() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, content=request.content, headers={"X-Y": "z"})

    base = "https://api.cloudflare.com/client/v4"
    with Wire(api_base=base, token=TOKEN, transport=httpx.MockTransport(answer)) as wire:
        reply = send(wire, base + "/x", "POST", size=4, body=[b"ab", b"cd"])
        upload = f"https://{min(UPLOAD_HOSTS)}/client/v4/{SECRET}"
        send(wire, upload, "HEAD")
        with pytest.raises(Cancelled):
            send(wire, upload, patience=Patience(cancelled=lambda: True))
    assert (reply.status, reply.body, reply.headers["x-y"]) == (200, b"abcd", "z")
    assert [request.headers.get("authorization") for request in seen] == [f"Bearer {TOKEN}", None]


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (httpx.ConnectError("canary"), "NotSent refused"),
        (httpx.ConnectTimeout("canary"), "NotSent refused"),
        (httpx.ReadTimeout("canary"), "Lost stalled"),
        (httpx.ReadError("canary"), "Lost cut"),
        (httpx.RemoteProtocolError("canary"), "Lost protocol"),
        (Lost("cut", "as it is"), "Lost cut"),
    ],
)
def test_a_transports_errors_are_put_in_our_words(raised: Exception, expected: str) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise raised

    base = "https://api.cloudflare.com/client/v4"
    wire = Wire(api_base=base, token=None, transport=httpx.MockTransport(answer))
    with pytest.raises(WireError) as caught:
        send(wire, base)
    assert reason(caught.value) == expected
    assert "canary" not in repr(caught.value) + str(caught.value)


# --- URLs --------------------------------------------------------------------------------------

API = "https://api.cloudflare.com/client/v4"
LOCAL = "http://127.0.0.1:8787/client/v4"


@pytest.mark.parametrize("location", HOSTILE_URLS)
def test_a_hostile_location_is_refused(location: str) -> None:
    with pytest.raises(UnacceptableUrl) as caught:
        acceptable_upload_url(location + SECRET if location.endswith("/x") else location, API)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("location", "api_base", "url"),
    [
        (f"https://{GOOD}/tus/ab?tusv2=true", API, f"https://{GOOD}/tus/ab?tusv2=true"),
        (f"HTTPS://{GOOD.upper()}:443/x", API, f"https://{GOOD}/x"),
        (f"//{GOOD}/x", API, f"https://{GOOD}/x"),
        ("https://upload.videodelivery.net/x", API, "https://upload.videodelivery.net/x"),
        (f"https://{GOOD}/x", LOCAL, f"https://{GOOD}/x"),
        ("/tus/ab", LOCAL, "http://127.0.0.1:8787/tus/ab"),
        ("http://127.0.0.1:9999/ab", LOCAL, "http://127.0.0.1:9999/ab"),
        ("ab", LOCAL + "/accounts/a/stream", LOCAL + "/accounts/a/ab"),
        ("http://[::1]:9/ab", "http://[::1]:8/v4", "http://[::1]:9/ab"),
        ("https://localhost:9/ab", "http://localhost:8/v4", "https://localhost:9/ab"),
    ],
)
def test_a_location_on_streams_hosts_or_the_loopback_api_is_accepted(
    location: str, api_base: str, url: str
) -> None:
    assert acceptable_upload_url(location, api_base) == url


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.2:8787/x",
        "http://localhost:8787/x",
        "http://127.0.0.1:8787@evil.example/x",
        "http://me@127.0.0.1:8787/x",
        "ftp://127.0.0.1/x",
        "//evil.example/x",
        "a\\b",
        "é",
        "",
    ],
)
def test_a_loopback_api_vouches_only_for_its_own_host(location: str) -> None:
    with pytest.raises(UnacceptableUrl):
        acceptable_upload_url(location, LOCAL)


@pytest.mark.parametrize(
    ("text", "base"),
    [
        (API, API),
        (API + "/", API),
        ("https://API.example:443", "https://api.example"),
        ("http://localhost:8787/client/v4//", "http://localhost:8787/client/v4"),
        ("http://127.3.4.5:1", "http://127.3.4.5:1"),
        ("http://[::1]:1/v4", "http://[::1]:1/v4"),
    ],
)
def test_an_api_base_is_https_or_loopback(text: str, base: str) -> None:
    assert acceptable_api_base(text) == base


@pytest.mark.parametrize(
    "text",
    [
        "http://api.cloudflare.com",
        "http://localhost.evil.example",
        "http://127.1",
        "http://0.0.0.0",
        "http://[::]",
        "http://2130706433",
        "https://u@h",
        "https://h/?q",
        "https://h/#f",
        "https://h?",
        "https://h h",
        "https://h\\e",
        "https://é",
        "https://h:99999",
        "https://h%2e",
        "https://h\n",
        "https://",
        "ftp://localhost",
        "api.cloudflare.com",
        "//h",
        "/client/v4",
        "",
    ],
)
def test_any_other_api_base_is_refused(text: str) -> None:
    with pytest.raises(UnacceptableUrl):
        acceptable_api_base(text)
