"""The token goes to one place, and no server keeps a request from ending or fills the memory."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import socket
import ssl
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import canary
import pytest
import trustme
from hostileurls import GOOD, HOSTILE_URLS
from rawserver import (
    OK,
    PATIENCE,
    TOKEN,
    Handler,
    Serve,
    Server,
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
from served import Served

from cfstream_upload.cli import main
from cfstream_upload.outcome import Created, Refusal
from cfstream_upload.safetext import Redactor
from cfstream_upload.stream import Stream
from cfstream_upload.tus import Upload
from cfstream_upload.wire import Lost, Patience, Wire

API_HOST = "api.cloudflare.com"
API = f"https://{API_HOST}/client/v4"
CREATE = {"tus-resumable": "1.0.0", "upload-length": "9", "content-length": "0"}
MIB = 1 << 20


@pytest.fixture
def serve() -> Iterator[Serve]:
    with serving() as start:
        yield start


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_cert(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


# --- one place -----------------------------------------------------------------------------------


class World:
    """All of the internet on two listeners: Cloudflare's hosts at 443, and everybody else."""

    def __init__(self, cloudflare: Server, stranger: Server) -> None:
        self.cloudflare, self.stranger = cloudflare, stranger

    def look_up(self, host: str, port: int, *_: object, **__: object) -> list[Any]:
        known = (host, port) in {(API_HOST, 443), (GOOD, 443)}
        at = self.cloudflare.port if known else self.stranger.port
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", at))]


@pytest.fixture
def replies() -> list[bytes]:
    """What Cloudflare answers next; in the end 200."""
    return []


@pytest.fixture
def heads() -> list[bytes]:
    """The requests that Cloudflare got."""
    return []


@pytest.fixture
def world(
    serve: Serve,
    authority: trustme.CA,
    replies: list[bytes],
    heads: list[bytes],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> World:
    def cloudflare(sock: socket.socket) -> None:
        while head := head_of(sock):
            body_of(sock, head)
            heads.append(head)
            sock.sendall(replies.pop(0) if replies else OK)

    here = World(
        serve(cloudflare, certified(authority, API_HOST, GOOD)),
        serve(lambda sock: until_gone(sock)),
    )
    monkeypatch.setattr(socket, "getaddrinfo", here.look_up)
    # What requests, httpx and curl would heed, each with a way to the stranger.
    (tmp_path / "netrc").write_text(f"machine {API_HOST} login someone password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        for spelled in (name, name.lower()):
            monkeypatch.setenv(spelled, f"http://127.0.0.1:{here.stranger.port}")
    return here


def test_no_redirect_of_any_kind_leads_the_token_or_anything_else_to_a_stranger(
    world: World, ca_cert: Path, replies: list[bytes], heads: list[bytes]
) -> None:
    targets = ("https://evil.example/x", f"http://{API_HOST}/x", f"https://{API_HOST}:8443/x")
    api, upload = f"{API}/accounts/x/stream", f"https://{GOOD}/tus/x"
    asked = [("POST", api), ("GET", api), ("DELETE", api), ("PATCH", upload), ("HEAD", upload)]
    cases = list(itertools.product(asked, (301, 302, 303, 307, 308), targets))
    with wired(API, ca_cert) as wire:
        for (method, url), code, target in cases:
            reply = f"HTTP/1.1 {code} Go\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n"
            replies.append(reply.encode())
            got = send(wire, url, method, size=9 if method in ("POST", "PATCH") else None, block=9)
            assert (got.status, got.headers["location"]) == (code, target)
    assert world.stranger.accepted == []
    assert len(heads) == len(cases) == 75
    for head, ((method, url), _, _) in zip(heads, cases, strict=True):
        host = url.split("/")[2]
        assert head.startswith(f"{method} ".encode())
        assert f"\r\nhost: {host}\r\n".encode() in head
        assert (f"\r\nauthorization: Bearer {TOKEN}\r\n".encode() in head) == (host == API_HOST)
        assert (TOKEN.encode() in head) == (host == API_HOST)


def test_no_location_that_a_server_gives_leads_to_a_stranger(
    world: World, ca_cert: Path, replies: list[bytes], heads: list[bytes]
) -> None:
    assert len(HOSTILE_URLS) >= 60
    with wired(API, ca_cert) as wire:
        api = Stream(wire, API, "ab" * 16)
        for location in [*HOSTILE_URLS, f"https://{GOOD}/tus/good"]:
            text = b"HTTP/1.1 201 Made\r\nStream-Media-ID: %s\r\nContent-Length: 0\r\nLocation: %s"
            raw = location.encode("utf-8", "surrogatepass")
            replies.append(text % (b"ab" * 16, raw) + b"\r\n\r\n")
            made = api.create(CREATE, PATIENCE)
            replies.clear()
            if isinstance(made, Created):
                # A blank or line end around a good URL belongs to the header: it is no part of it.
                assert location.strip().startswith(f"https://{GOOD}/"), location
                Upload(wire, 9, {}).head(made.url, PATIENCE)
    assert world.stranger.accepted == []
    assert heads[-1].startswith(b"HEAD /tus/good ")
    assert all(TOKEN.encode() not in head for head in heads if head.startswith(b"HEAD"))


def test_no_url_of_a_journal_leads_to_a_stranger(
    world: World, ca_cert: Path, heads: list[bytes]
) -> None:
    with wired(API, ca_cert) as wire:
        for url in HOSTILE_URLS:
            assert isinstance(Upload(wire, 9, {}).head(url, PATIENCE), Refusal), url
    assert world.stranger.accepted == []
    assert heads == []


def test_the_stranger_would_have_been_reached(world: World) -> None:
    for host, port in (("evil.example", 443), (API_HOST, 80), (GOOD, 8443), ("127.0.0.1", 80)):
        ((*_, address),) = world.look_up(host, port)
        socket.create_connection(address).close()
    ends = time.monotonic() + 5
    while len(world.stranger.accepted) < 4:
        assert time.monotonic() < ends


def test_no_variable_makes_python_write_down_the_keys_of_a_connection(
    serve: Serve,
    authority: trustme.CA,
    ca_cert: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    keys = tmp_path / "keys.log"
    monkeypatch.setenv("SSLKEYLOGFILE", str(keys))
    server = serve(answering(OK), certified(authority, "localhost"))
    with wired(server.base, ca_cert) as wire:
        assert send(wire, server.base).status == 200
    assert not keys.exists() or "SECRET" not in keys.read_text()


# --- replies without measure or end --------------------------------------------------------------

CHUNK = b"x" * 65536
FLOODS = {
    "an error body": (b"HTTP/1.1 500 X\r\nContent-Length: 5000000000\r\n\r\n", CHUNK),
    "a chunked body": (
        b"HTTP/1.1 500 X\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"10000\r\n" + CHUNK + b"\r\n",
    ),
    "a gzip bomb": (
        b"HTTP/1.1 200 X\r\nContent-Encoding: gzip\r\nContent-Length: 5000000000\r\n\r\n",
        gzip.compress(bytes(64 * MIB), 1),
    ),
    "one long header": (b"HTTP/1.1 200 X\r\nX: ", CHUNK),
    "many headers": (b"HTTP/1.1 200 X\r\n", b"X: y\r\n" * 9999),
    "a long status line": (b"HTTP/1.1 200 ", CHUNK),
    "long trailers": (
        b"HTTP/1.1 500 X\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n",
        b"X: y\r\n" * 9999,
    ),
    "interim replies": (b"", b"HTTP/1.1 100 Continue\r\nX: y\r\n\r\n" * 999),
}


def flooding(head: bytes, piece: bytes, sent: list[int], *, reads: bool) -> Handler:
    """Sends ``head``, then ``piece`` for as long as anybody takes it."""

    def handle(sock: socket.socket) -> None:
        asked = head_of(sock)
        if reads:
            body_of(sock, asked)
        sock.sendall(head)
        while sent[0] < 5_000_000_000:
            sock.sendall(piece)
            sent[0] += len(piece)

    return handle


def peak_of(action: Callable[[], object]) -> int:
    """The most memory, in bytes, that Python held while it did this."""
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "PATCH"])
@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_ends_soon_and_leaves_the_memory_as_it_is(
    serve: Serve, name: str, method: str
) -> None:
    sent = [0]
    # A PATCH is answered while its body flows, and nobody reads that to its end.
    server = serve(flooding(*FLOODS[name], sent, reads=method != "PATCH"))
    size, url = (256 * MIB, server.upload) if method == "PATCH" else (None, server.base)
    patience = Patience(deadline=0.8, stall=0.8)

    def ask() -> None:
        # A reply that was cut at the cap, or an error of ours: both are ends.
        with contextlib.suppress(Lost):
            send(wire, url, method, size=size, patience=patience)

    with wired(server.base) as wire:
        began = time.monotonic()
        peak = peak_of(ask)
        assert time.monotonic() - began < 15
    assert peak < 6 * MIB
    if name != "interim replies":
        assert sent[0] < 24 * MIB


def test_what_follows_the_reply_to_a_head_is_nobodys_reply(serve: Serve) -> None:
    poison = b"HTTP/1.1 204 No\r\nUpload-Offset: 9\r\nContent-Length: 0\r\n\r\n"

    def handle(sock: socket.socket) -> None:
        while head := head_of(sock):
            offset = 5 if head.startswith(b"HEAD") else 7
            sock.sendall(
                b"HTTP/1.1 200 OK\r\nUpload-Offset: %d\r\nContent-Length: 0\r\n\r\n" % offset
                + (poison if head.startswith(b"HEAD") else b"")
            )

    server = serve(handle)
    with wired(server.base) as wire:
        assert send(wire, server.upload, "HEAD").headers["upload-offset"] == "5"
        time.sleep(0.05)
        assert send(wire, server.upload, "GET").headers["upload-offset"] == "7"


@pytest.mark.parametrize("method", ["GET", "HEAD", "PATCH"])
def test_a_final_reply_with_the_connection_left_open_ends_the_request(
    serve: Serve, method: str
) -> None:
    done = threading.Event()

    def handle(sock: socket.socket) -> None:
        head_of(sock)
        sock.sendall(b"HTTP/1.1 413 Large\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n")
        done.wait(30)

    server = serve(handle)
    size = 256 * MIB if method == "PATCH" else None
    with wired(server.base) as wire:
        began = time.monotonic()
        assert send(wire, server.upload, method, size=size).status == 413
        assert time.monotonic() - began < 15
    done.set()


# --- half TLS ------------------------------------------------------------------------------------


def records_of(authority: trustme.CA, sock: socket.socket, reply: bytes) -> bytes:
    """Shake hands over ``sock`` and read a request; ``reply`` as TLS would send it."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = certified(authority, "localhost").wrap_bio(incoming, outgoing, server_side=True)

    def until_done(step: Callable[[], Any]) -> None:
        while True:
            try:
                step()
            except ssl.SSLWantReadError:
                sock.sendall(outgoing.read())
                incoming.write(sock.recv(65536))
            else:
                sock.sendall(outgoing.read())
                return

    until_done(tls.do_handshake)
    until_done(lambda: tls.read(65536))
    tls.write(reply)
    return outgoing.read()


@pytest.mark.parametrize("dripping", [False, True])
def test_a_handshake_that_stops_half_way_or_drips_ends_at_the_connect_timeout(
    serve: Serve, authority: trustme.CA, ca_cert: Path, dripping: bool
) -> None:
    real = serve(answering(OK), certified(authority, "localhost"))

    def half(sock: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", real.port)) as onward:
            onward.sendall(sock.recv(65536))
            hello = onward.recv(65536)
        sock.sendall(hello[:100])
        for byte in hello[100:]:
            if not dripping:
                break
            sock.sendall(bytes([byte]))
            time.sleep(0.05)
        until_gone(sock)

    server = serve(half)
    base = f"https://localhost:{server.port}/client/v4"
    for url, method, size in ((base, "GET", None), (f"{base[:-9]}tus/x", "PATCH", 9)):
        with wired(base, ca_cert, connect_timeout=0.4) as wire:
            began = time.monotonic()
            body = None if size is None else iter_never()
            error = failing(wire, url, method, size=size, body=body)
            assert reason(error) == "NotSent timeout"
            assert time.monotonic() - began < 5


def iter_never() -> Iterator[bytes]:
    """A body that must not be asked for."""
    pytest.fail("the body was read")
    yield b""


@pytest.mark.parametrize(("kept", "expected"), [(40, "Lost stalled"), (-1, "Lost stalled")])
def test_half_a_tls_record_is_no_reply(
    serve: Serve, authority: trustme.CA, ca_cert: Path, kept: int, expected: str
) -> None:
    def half(sock: socket.socket) -> None:
        sock.sendall(records_of(authority, sock, OK)[:kept])
        until_gone(sock)

    server = serve(half)
    base = f"https://localhost:{server.port}/client/v4"
    with wired(base, ca_cert) as wire:
        error = failing(wire, base, patience=Patience(deadline=3, stall=0.3))
    assert reason(error) == expected


def test_a_damaged_tls_record_is_no_reply(
    serve: Serve, authority: trustme.CA, ca_cert: Path
) -> None:
    def damaged(sock: socket.socket) -> None:
        record = bytearray(records_of(authority, sock, OK))
        record[-1] ^= 1
        sock.sendall(record)
        until_gone(sock)

    server = serve(damaged)
    base = f"https://localhost:{server.port}/client/v4"
    with wired(base, ca_cert) as wire:
        assert reason(failing(wire, base)) == "Lost cut"


# --- wrong certificates --------------------------------------------------------------------------


def self_signed(authority: trustme.CA, folder: Path) -> ssl.SSLContext:
    """An authority's own certificate in place of a server's."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    alone = trustme.CA()
    del authority
    alone.cert_pem.write_to_path(str(folder / "alone.pem"))
    alone.private_key_pem.write_to_path(str(folder / "alone.key"))
    context.load_cert_chain(folder / "alone.pem", folder / "alone.key")
    return context


def lasting(authority: trustme.CA, begun: float, ended: float) -> ssl.SSLContext:
    """A certificate for localhost from ``begun`` to ``ended``, in days from now."""
    now, context = datetime.now(UTC), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    first, last = now + timedelta(days=begun), now + timedelta(days=ended)
    authority.issue_cert("localhost", not_before=first, not_after=last).configure_cert(context)
    return context


WRONG: dict[str, Callable[[trustme.CA, Path], ssl.SSLContext]] = {
    "expired": lambda ca, _: lasting(ca, -9, -1),
    "not yet": lambda ca, _: lasting(ca, 1, 9),
    "another host": lambda ca, _: certified(ca, "elsewhere.example"),
    "a wildcard above": lambda ca, _: certified(ca, "*.localhost"),
    "an address": lambda ca, _: certified(ca, "127.0.0.1"),
    "an unknown authority": lambda _, __: certified(trustme.CA(), "localhost"),
    "self-signed": self_signed,
}


@pytest.mark.parametrize("name", WRONG)
def test_before_a_wrong_certificate_no_byte_of_a_request_leaves(
    serve: Serve, authority: trustme.CA, ca_cert: Path, tmp_path: Path, name: str
) -> None:
    heads: list[bytes] = []
    server = serve(answering(OK, heads), WRONG[name](authority, tmp_path))
    with wired(server.base, ca_cert) as wire:
        for url, method in (
            (server.base, "GET"),
            (server.upload, "HEAD"),
            (server.upload, "PATCH"),
        ):
            body = iter_never() if method == "PATCH" else None
            error = failing(wire, url, method, size=9 if body else None, body=body)
            assert reason(error) == "NotSent certificate"
    assert heads == []


# --- what a server says back ---------------------------------------------------------------------


@pytest.mark.parametrize("quote", ["{}", "at {}.", "https:\\/\\/x{}"])
def test_secrets_that_a_server_repeats_are_in_no_message(serve: Serve, quote: str) -> None:
    said = '{{"success": false, "errors": [{{"code": 1, "message": "bad {}"}}]}}'
    path = "/tus/canary-upload-93ab?tusv2=true"

    def repeating(sock: socket.socket) -> None:
        while head := head_of(sock):
            secret = TOKEN if b"uthorization" in head else path
            text = said.format(quote.format(secret).replace("/", "\\/")).encode()
            sock.sendall(b"HTTP/1.1 500 X\r\nContent-Length: %d\r\n\r\n" % len(text) + text)

    server = serve(repeating)
    upload = f"http://127.0.0.1:{server.port}{path}"
    with wired(server.base) as wire:
        told = Upload(wire, 9, {})._meaning("PATCH", send(wire, upload, "PATCH"))
        answer = Stream(wire, server.base, "ab" * 16).create(CREATE, PATIENCE)
    for words in (repr(told), repr(answer)):
        assert "canary" not in words
        assert "***" in words


def test_a_list_without_end_is_given_up(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cfstream_upload.stream.PAGE", 2)
    monkeypatch.setattr("cfstream_upload.stream.MOST_PAGES", 5)
    numbers = itertools.count()

    def endless(sock: socket.socket) -> None:
        while head_of(sock):
            videos = ",".join(
                f'{{"uid": "{n:032x}", "created": "2026-01-01T00:00:00.{n:06d}Z",'
                ' "status": {"state": "ready"}}'
                for n in itertools.islice(numbers, 2)
            )
            text = f'{{"success": true, "result": [{videos}]}}'.encode()
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(text) + text)

    server = serve(endless)
    with wired(server.base) as wire:
        api = Stream(wire, server.base, "ab" * 16)
        pages = list(api.pages({}, None, lambda: PATIENCE))
    assert len(pages) == 6
    assert "read to its end" in repr(pages[-1])


def test_a_thread_that_dies_tells_where_and_not_what(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    with pytest.raises(SystemExit):
        main(["help", "exit-codes"])
    capfd.readouterr()

    def die() -> None:
        raise ValueError(f"Illegal header value {TOKEN}")

    thread = threading.Thread(target=die)
    thread.start()
    thread.join()
    told = capfd.readouterr().err
    assert told.startswith("error: A bug in cfupload: ValueError at test_walls.py:")
    assert (told.count("\n"), "canary" in told) == (1, False)


PROBE = """
import os, sys
log = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
watched = ("socket.connect", "socket.getaddrinfo", "socket.sendto", "subprocess.", "os.system",
           "os.exec", "os.spawn", "os.posix_spawn", "os.fork")
def heard(event, arguments):
    if event.startswith(watched):
        what = arguments[-1] if event == "socket.connect" else arguments
        os.write(log, f"{event} {what}\\n".encode())
sys.addaudithook(heard)
from cfstream_upload.cli import main
main(sys.argv[2:])
"""


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="this system has no /proc")
def test_a_run_speaks_to_its_two_hosts_alone_and_shows_no_secret_in_any_argv(
    stream: Served,
) -> None:
    path = stream.file(size=2 * MIB)
    stream.proxy.limit_rate(MIB)
    log = stream.folder / "audit.log"
    command = [sys.executable, "-P", "-c", PROBE, str(log), "send", "-vv", path.name]
    seen: set[bytes] = set()
    with subprocess.Popen(command, cwd=stream.folder, stderr=subprocess.PIPE) as process:
        while process.poll() is None:
            for file in Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):
                    seen.add(file.read_bytes())
            time.sleep(0.2)
        told = process.communicate()[1]
    assert process.returncode == 0, told
    assert stream.whole(path)
    assert any(path.name.encode() in line for line in seen)
    assert not any(canary.WORD.encode() in line for line in seen)
    ports = {urlsplit(stream.environment["CLOUDFLARE_API_BASE_URL"]).port, stream.proxy.port}
    events = log.read_text().splitlines()
    connects = {line for line in events if line.startswith("socket.connect ")}
    assert connects == {f"socket.connect ('127.0.0.1', {port})" for port in ports}
    assert {line.split()[0] for line in events} <= {"socket.connect", "socket.getaddrinfo"}
    assert all("'127.0.0.1'" in line for line in events)


def test_a_proxys_password_is_known_to_the_filter_of_all_output() -> None:
    redact = Redactor()
    proxy = "http://me:p%40ssw%2Ford@127.0.0.1:1"
    with Wire(api_base=API, token=TOKEN, proxy=proxy, redactor=redact):
        assert redact(f"a p@ssw/ord b {TOKEN} c") == "a *** b *** c"
