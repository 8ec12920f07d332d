"""Rows 102 to 106: the terminal, TLS and proxies, the names of hosts."""

from __future__ import annotations

import socket
import ssl
import subprocess
import time
import warnings
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from canary import PASSWORD
from matrix import limits as limits  # registers rows 107 to 110
from matrix.here import open_rows, ran, then_here
from matrix.names import assert_harmless, on_terminal
from matrix.rows import Scene, row
from matrix.scenes import on_sockets
from matrix.tlsfront import Authority, Handler, connect_proxy, fronted, tls_to
from served import COMMAND, MIB, Served

from cfstream_upload.emulator.proxy import TcpProxy

# --- 102: where it is shown ----------------------------------------------------------------------

SHELLS = {
    "stdout closed": 'exec "$@" >&-',
    "all closed": 'exec "$@" <&- >&- 2>&-',
    "both full": 'exec "$@" >/dev/full 2>/dev/full',
    "nobody reads": '"$@" 2>&1 | true; exit ${PIPESTATUS[0]}',
}


@row(102, "streams")
def _broken_streams(scene: Scene) -> None:
    """Stdout or stderr is closed, full or unread: what becomes of files and exit code stays."""
    stream = on_sockets(scene)
    (stream.folder / "text.mp4").write_text("no video " * 1000)
    for number, (name, shell) in enumerate(SHELLS.items()):
        path = stream.file(f"{number}.mp4", 60_000 + number)
        # One that can be sent, and, each other time, one that cannot.
        files = [path.name, "text.mp4"] if number % 2 else [path.name]
        command = ["bash", "-c", shell, "bash", *COMMAND, "send", "-v", "--progress", *files]
        ended = subprocess.run(command, cwd=stream.folder, capture_output=True, check=False)
        assert ended.returncode == (4 if number % 2 else 0), (name, ended.stderr)
        assert b"Traceback" not in ended.stderr
        assert len(stream.states()) == number + 1, name
    assert "pendingupload" not in stream.states()
    assert open_rows(scene) == []


@row(102, "terminals")
def _odd_terminals(scene: Scene) -> None:
    """A dumb terminal, one of 20 columns, one of none: exit 0 and one video each."""
    stream = on_sockets(scene)
    for number, (columns, term) in enumerate([(80, "dumb"), (20, "xterm"), (0, "unheard-of")]):
        stream.file(f"{number}.mp4", 60_000 + number)
        code, screen = on_terminal(
            stream.folder, "send", f"{number}.mp4", columns=columns, term=term
        )
        assert code == 0, screen
        if term == "dumb":
            assert_harmless(screen.decode().replace("\r\n", "\n"))
        assert len(stream.states()) == number + 1
    assert "pendingupload" not in stream.states()
    assert open_rows(scene) == []


# --- 103, 104: TLS and proxies -------------------------------------------------------------------


def _sends(
    scene: Scene, stream: Served, port: int, trusted: Path, **environment: str
) -> tuple[int, str]:
    """Run ``send`` against https on ``port``: its exit code and stderr."""
    base = f"https://localhost:{port}/client/v4"
    ended = ran(
        scene, stream, "send", "--retries", "0", "--ca-cert", str(trusted), "big.mp4",
        CLOUDFLARE_API_BASE_URL=base, **environment,
    )  # fmt: skip
    assert stream.model.token not in ended.out + ended.err
    return ended.code, ended.err


def _endpoint_port(stream: Served) -> int:
    return int(stream.environment["CLOUDFLARE_API_BASE_URL"].split(":")[2].partition("/")[0])


def _cut_in_handshake(sock: socket.socket) -> None:
    sock.recv(50)


def _answers_plainly(sock: socket.socket) -> None:
    sock.recv(10)
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")


def _old(context: ssl.SSLContext) -> ssl.SSLContext:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


@row(103, "certificates and handshakes")
def _bad_tls(scene: Scene) -> None:
    """Bad certificates, old TLS, broken handshakes: exit 6 with the reason; no http, no request."""
    stream = on_sockets(scene)
    path = stream.file(size=100_000)
    ca, unknown = Authority(stream.folder), Authority(stream.folder, "unknown")
    yesterday = datetime.now(UTC) - timedelta(days=1)
    inner = _endpoint_port(stream)
    cases: dict[str, tuple[Handler, str]] = {
        "expired": (tls_to(inner, ca.context(ended=yesterday)), "expired"),
        "wrong host": (tls_to(inner, ca.context("elsewhere.example")), "localhost"),
        "unknown": (tls_to(inner, unknown.context()), "certificate"),
        "old": (tls_to(inner, _old(ca.context())), "TLS"),
        "cut": (_cut_in_handshake, "TLS"),
        "no TLS at all": (_answers_plainly, "TLS"),
    }
    for name, (handler, words) in cases.items():
        with fronted(handler) as front:
            code, told = _sends(scene, stream, front.port, ca.file)
        assert code == 6, (name, told)
        assert words in told, (name, told)
        assert (stream.states(), stream.methods()) == ([], []), name
    then_here(scene, stream, path)


@row(104, "five proxies")
def _proxies(scene: Scene) -> None:
    """A proxy works, is dead, refuses or inspects: it works or exits 6, no password shown."""
    stream = on_sockets(scene)
    stream.file(size=100_000)
    ca, company = Authority(stream.folder), Authority(stream.folder, "company")
    inner, heads = _endpoint_port(stream), list[bytes]()
    refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
    with fronted(tls_to(inner, ca.context())) as front:
        stream.model.upload_base = f"https://localhost:{front.port}"

        def via(port: int, trusted: Path = ca.file, no_proxy: str = "") -> tuple[int, str]:
            with scene.monkeypatch.context() as patched:
                patched.setenv("HTTPS_PROXY", f"http://me:{PASSWORD}@127.0.0.1:{port}")
                patched.setenv("NO_PROXY", no_proxy)
                code, told = _sends(scene, stream, front.port, trusted=trusted)
            assert PASSWORD not in told
            return code, told

        with fronted(connect_proxy([], refusal)) as proxy:
            code, told = via(proxy.port)
            assert code == 6, told
            assert "407" in told
        code, told = via(proxy.port)  # it is dead by now
        assert code == 6, told
        assert "roxy 127.0.0.1" in told, told
        with (
            fronted(tls_to(inner, company.context())) as inspecting,
            fronted(connect_proxy([], to=inspecting.port)) as proxy,
        ):
            code, told = via(proxy.port)
            assert code == 6, told
            assert "certificate" in told
            assert stream.methods() == []
            assert via(proxy.port, company.file)[0] == 0
        with fronted(connect_proxy(heads)) as proxy:
            code, told = via(proxy.port)
            assert (code, len(stream.states())) == (0, 1), told
            assert len(heads) >= 1
            tunnelled = len(heads)
            assert via(proxy.port, no_proxy="localhost")[0] == 0
            assert len(heads) == tunnelled
    assert stream.whole(stream.folder / "big.mp4")
    assert open_rows(scene) == []


# --- 105, 106: names of hosts --------------------------------------------------------------------

LookUp = Callable[..., list[Any]]


def _ran_here(scene: Scene, stream: Served, look_up: LookUp, *more: str) -> tuple[int, str]:
    """Run ``send`` with this in place of the system's look-up of names."""
    port = _endpoint_port(stream)
    stream.model.upload_base = f"http://localhost:{stream.proxy.port}"
    base = f"http://localhost:{port}/client/v4"
    scene.monkeypatch.setenv("CLOUDFLARE_API_BASE_URL", base)
    with scene.monkeypatch.context() as patched:
        patched.setattr(socket, "getaddrinfo", look_up)
        ended = ran(scene, stream, "send", *more, "big.mp4")
    return ended.code, ended.err


def _address(port: int, host: str = "127.0.0.1") -> Any:  # noqa: ANN401  # as getaddrinfo gives it
    return (socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port))


def _unresolved(*_: object, **__: object) -> list[Any]:
    raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


@row(105, "no name")
def _dns_fails(scene: Scene) -> None:
    """The name of the API cannot be resolved: exit 6, nothing was made, and it says so."""
    stream = on_sockets(scene)
    path = stream.file(size=100_000)
    code, told = _ran_here(scene, stream, _unresolved, "--retries", "1")
    assert code == 6
    assert "could not be resolved" in told
    assert (stream.states(), stream.methods(), open_rows(scene)) == ([], [], [])
    then_here(scene, stream, path)


@row(105, "another address")
def _dns_flips(scene: Scene) -> None:
    """The line breaks, the name fails, then leads elsewhere: the upload goes on there, exit 0."""
    stream = on_sockets(scene)
    path = stream.file(size=12 * MIB)
    inner = _endpoint_port(stream)
    answers: list[int] = []
    with TcpProxy("127.0.0.1", inner) as second:

        def look_up(host: str, port: int, *_: object, **__: object) -> list[Any]:
            assert host == "localhost"
            answers.append(port)
            if second.connections == 0 and stream.proxy.bytes_up < 6 * MIB:
                return [_address(stream.proxy.port)]
            if len(answers) % 2:
                return _unresolved()
            return [_address(second.port)]

        stream.proxy.die_after(7 * MIB)
        code, told = _ran_here(scene, stream, look_up)
    assert code == 0, told
    assert stream.whole(path)
    assert second.connections >= 1
    patches = [asked for asked in stream.ledger.asked if asked.method == "PATCH"]
    assert all(asked.offset == asked.known for asked in patches)
    assert open_rows(scene) == []


@row(106, "black hole")
def _ipv6_black_hole(scene: Scene) -> None:
    """The first address swallows every packet: the next one is tried beside it, exit 0 in time."""
    stream = on_sockets(scene)
    path = stream.file(size=100_000)
    with socket.socket() as hole:
        hole.bind(("127.0.0.2", 0))
        hole.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for sock in waiting:
            sock.setblocking(False)
            sock.connect_ex(hole.getsockname())
        # A queue that is full answers no SYN, as a broken IPv6 line does not.
        first = _address(hole.getsockname()[1], "127.0.0.2")
        started = time.monotonic()
        code, told = _ran_here(scene, stream, lambda host, port, *_, **__: [first, _address(port)])
        took = time.monotonic() - started
        for sock in waiting:
            sock.close()
    assert code == 0, told
    assert took < 10
    assert stream.whole(path)
    assert open_rows(scene) == []
