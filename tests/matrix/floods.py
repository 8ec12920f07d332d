"""Rows 60 and 61: replies without measure, and replies that send one elsewhere."""

from __future__ import annotations

import socket

from inprocess import MIB
from matrix.parts import part, video
from matrix.rawface import Harm, listening, quiet, raw_stage
from matrix.rows import Scene, row
from matrix.scenes import assert_none, ends, then

from cfstream_upload.emulator.exchange import Request
from cfstream_upload.emulator.faults import Answer, Fault, Faulty

FIRST = Fault(Answer(412), "PATCH")
"""A PATCH that is refused for good: a rollback follows."""


# --- 60: replies without measure -----------------------------------------------------------------

LIMIT = 12 * MIB
"""What a client that stops reading after 1 MiB can have been sent, with the kernel's buffers."""


def _flood(head: bytes, sent: list[int]) -> Harm:
    def harm(sock: socket.socket, request: Request) -> bool:
        left = int(request.headers.get("content-length", "0"))
        while left:
            left -= len(sock.recv(min(left, 1 << 18)))
        sock.sendall(head)
        while sent[0] < 2**32:
            sent[0] += sock.send(b"x" * 65536)
        return True

    return harm


@row(60, "floods")
def _replies_without_measure(scene: Scene) -> None:
    """A gzip bomb, a body of gigabytes, headers of megabytes: cut off, not read; one video."""
    heads = {
        "body": b"HTTP/1.1 500 X\r\nContent-Length: 5000000000\r\n\r\n",
        "gzip": b"HTTP/1.1 200 X\r\nContent-Encoding: gzip\r\nContent-Length: 5000000000\r\n\r\n",
        "headers": b"HTTP/1.1 200 X\r\nX: ",
    }
    for name, head in heads.items():
        for method in ("POST", "PATCH", "GET"):
            sent = [0]
            with raw_stage(part(scene, f"{name} {method}")) as current:
                path = video(current, 6 * MIB)
                current.once(_flood(head, sent), method)
                ends(current.send(path), 0)
                assert 0 < sent[0] < LIMIT
                assert {h.headers["accept-encoding"] for h in current.heads} == {"identity"}
                then(current, path)


# --- 61: redirects -------------------------------------------------------------------------------


def _redirect(code: int, target: str) -> Harm:
    def harm(sock: socket.socket, request: Request) -> bool:
        left = int(request.headers.get("content-length", "0"))
        while left:
            left -= len(sock.recv(min(left, 1 << 18)))
        head = f"HTTP/1.1 {code} Moved\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n"
        sock.sendall(head.encode())
        return True

    return harm


def _redirected(scene: Scene, code: int, method: str, target: str) -> None:
    with raw_stage(scene) as current:
        path = video(current, 6 * MIB)
        if method == "HEAD":
            current.service = Faulty(current.model, [Fault(Answer(500), "PATCH")])
        if method == "DELETE":
            current.service = Faulty(current.model, [FIRST])
        own = current.base.replace("/client/v4", "/elsewhere")
        current.once(_redirect(code, target or own), method)
        result = current.send(path)
        if method in ("POST", "GET"):
            ends(result, 0)
        else:
            ends(result, 5)
            assert_none(current)
        if method in ("PATCH", "HEAD"):
            ends(result, 5, "redirect, which is never followed")
        assert not any("elsewhere" in head.path for head in current.heads)
        quiet(current)
        then(current, path)


@row(61, "never followed")
def _redirects(scene: Scene) -> None:
    """A redirect on any request, to this host or another: never followed, nobody else is asked."""
    strangers: list[bytes] = []

    def noted(sock: socket.socket) -> None:
        strangers.append(sock.recv(4096))

    with listening(noted) as port:
        away = f"http://localhost:{port}/elsewhere"
        targets = ("", away, away.replace("localhost", "127.0.0.1"))
        for number, code in enumerate((301, 302, 303, 307, 308)):
            for other, method in enumerate(("POST", "PATCH", "HEAD", "GET", "DELETE")):
                target = targets[(number + other) % 3]
                _redirected(part(scene, f"{code} {method}"), code, method, target)
    assert strangers == []
