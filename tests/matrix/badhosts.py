"""Rows 53 to 59: what a host can do to a connection, on bare sockets."""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import replace

from inprocess import MIB
from matrix.parts import part, video
from matrix.rawface import Harm, RawStage, listening, quiet, raw_stage, written
from matrix.rows import Scene, row
from matrix.scenes import assert_none, ends, then

from cfstream_upload.emulator.exchange import Request
from cfstream_upload.emulator.faults import Answer, Fault, Faulty

KIB = 1024
FIRST = Fault(Answer(412), "PATCH")
"""A PATCH that is refused for good: a rollback follows."""


def _until_gone(sock: socket.socket) -> None:
    while sock.recv(65536):
        pass


# --- 53, 55: offsets and early replies -----------------------------------------------------------


@row(53, "bytes that no text has")
def _offset_in_strange_bytes(scene: Scene) -> None:
    """``Upload-Offset`` twice, or in digits beyond ASCII: HEAD tells the truth, one video."""
    twice = b"Upload-Offset: 5242880\r\nUpload-Offset: 5242880\r\n"
    wide = "Upload-Offset: ５２４２８８０\r\n".encode()
    for number, line in enumerate((twice, wide)):

        def odd(sock: socket.socket, request: Request, line: bytes = line) -> bool:
            left = int(request.headers["content-length"])
            while left:
                left -= len(sock.recv(min(left, 1 << 18)))
            sock.sendall(b"HTTP/1.1 204 X\r\nContent-Length: 0\r\n" + line + b"\r\n")
            return True

        with raw_stage(part(scene, f"{number}")) as current:
            path = video(current, 6 * MIB)
            current.once(odd, "PATCH")
            ends(current.send(path), 0)
            assert current.asked()[:4] == ["POST", "PATCH", "HEAD", "PATCH"]
            then(current, path)


@row(55, "413 early")
def _early_413(scene: Scene) -> None:
    """413 comes while the body still flows, and nobody reads on: it is seen, the chunk halved."""

    def early(sock: socket.socket, request: Request) -> bool:
        del request
        sock.sendall(b"HTTP/1.1 413 Large\r\nContent-Length: 0\r\n\r\n")
        time.sleep(0.3)  # open, and not read from
        return True

    with raw_stage(scene) as current:
        current.policy = replace(current.policy, largest_chunk=16 * MIB)
        path = video(current, 20 * MIB)
        current.once(early, "PATCH")
        ends(current.send(path), 0)
        first, second, *_ = (head for head in current.heads if head.method == "PATCH")
        assert int(second.headers["content-length"]) * 2 == int(first.headers["content-length"])
        then(current, path)


@row(55, "413 early, for ever")
def _early_413_for_ever(scene: Scene) -> None:
    """Every chunk is answered by an early 413: exit 5 with that code, nothing left."""

    def early(sock: socket.socket, request: Request) -> bool:
        del request
        sock.sendall(b"HTTP/1.1 413 Large\r\nContent-Length: 0\r\n\r\n")
        time.sleep(0.1)
        return True

    with raw_stage(scene) as current:
        path = video(current)
        current.every(early, "PATCH")
        ends(current.send(path), 5, "HTTP 413")
        assert_none(current)
        quiet(current)
        then(current, path)


@row(55, "401 early")
def _early_401(scene: Scene) -> None:
    """401 comes while the body still flows: the Video API decides, and one video arrives."""

    def early(sock: socket.socket, request: Request) -> bool:
        del request
        sock.sendall(b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n")
        time.sleep(0.1)
        return True

    with raw_stage(scene) as current:
        path = video(current)
        current.once(early, "PATCH")
        result = ends(current.send(path), 0)
        assert result.attempts == 2, "its upload URL had died: a new video, the first one removed"
        then(current, path)


# --- 56 to 58: slow hosts ------------------------------------------------------------------------


def _drip(piece: bytes, before: bytes = b"") -> Harm:
    def harm(sock: socket.socket, request: Request) -> bool:
        del request
        sock.sendall(before)
        while True:
            sock.sendall(piece)
            time.sleep(0.05)

    return harm


def _dripped(scene: Scene, harm: Harm, most: float) -> None:
    """The requests of a run are each dripped upon once; the deadline of each ends that."""
    scene.monkeypatch.setattr("cfstream_upload.transfer.CALL_DEADLINE", 0.4)
    for method in ("POST", "PATCH", "HEAD", "GET", "DELETE"):
        with raw_stage(part(scene, method)) as current:
            current.stall = 0.3
            path = video(current, 6 * MIB)
            if method == "HEAD":
                current.service = Faulty(current.model, [Fault(Answer(500), "PATCH")])
            if method == "DELETE":
                current.service = Faulty(current.model, [FIRST])
            current.once(harm, method)
            began = time.monotonic()
            ends(current.send(path), 5 if method == "DELETE" else 0)
            assert time.monotonic() - began < most
            quiet(current)
            then(current, path)


@row(56, "a byte now and then")
def _headers_drip(scene: Scene) -> None:
    """A reply's headers come byte by byte: the deadline ends it, and the run ends as it should."""
    _dripped(scene, _drip(b"x", b"HTTP/1.1 200 OK\r\nX: "), 20)


@row(57, "interim replies without end")
def _endless_interim_replies(scene: Scene) -> None:
    """A host answers 100 Continue for ever: the deadline ends it, and the run ends as it should."""
    _dripped(scene, _drip(b"HTTP/1.1 100 Continue\r\n\r\n"), 20)


def _read_slowly(current: RawStage, piece: int, seconds: float) -> Harm:
    """Reads the first 2 MiB of a body in pieces, each followed by a rest."""

    def harm(sock: socket.socket, request: Request) -> bool:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        left = int(request.headers["content-length"])
        fast_from = left - 2 * MIB
        exchange = current.model.begin(request)
        while left:
            block = sock.recv(min(left, piece))
            if not block:
                exchange.cut()
                return True
            exchange.write(block)
            left -= len(block)
            time.sleep(seconds if left > fast_from else 0)
        sock.sendall(written(exchange.finish(), "PATCH"))
        return True

    return harm


@row(58, "slow but moving")
def _body_read_slowly(scene: Scene) -> None:
    """A body is read slowly for longer than the stall: no cut, for bytes move; one video."""
    with raw_stage(scene) as current:
        path = video(current, 6 * MIB)
        # Four seconds in all; what is left of them when the kernel has taken the rest is below 3.
        current.stall = 3.0
        current.once(_read_slowly(current, 64 * KIB, 0.12), "PATCH")
        began = time.monotonic()
        result = ends(current.send(path), 0)
        assert time.monotonic() - began > current.stall
        assert (result.retries, current.asked().count("PATCH")) == (0, 2)
        then(current, path)


@row(58, "1 KiB at a time")
def _body_hardly_read(scene: Scene) -> None:
    """A body is read at 5 KiB/s: given up after the stall, then on from Stream's offset."""
    done = threading.Event()

    def hardly(sock: socket.socket, request: Request) -> bool:
        del request
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        while not done.wait(0.2) and sock.recv(KIB):
            pass
        return True

    with raw_stage(scene) as current:
        path = video(current, 6 * MIB)
        current.once(hardly, "PATCH")
        result = ends(current.send(path), 0)
        done.set()
        assert result.retries == 1
        assert current.asked()[:4] == ["POST", "PATCH", "HEAD", "PATCH"]
        then(current, path)


@row(59, "no TLS answer")
def _handshake_without_answer(scene: Scene) -> None:
    """A host takes connections and never answers TLS: exit 6 within the connect timeouts."""
    with raw_stage(scene) as current, listening(_until_gone) as port:
        path = video(current, 6 * MIB)
        good, current.base = current.base, f"https://127.0.0.1:{port}/client/v4"
        current.connect_timeout, current.stall = 0.3, 30
        current.policy = replace(current.policy, retries=2)
        began = time.monotonic()
        ends(current.send(path), 6)
        assert 0.8 < time.monotonic() - began < 20
        assert (current.states(), current.open_rows()) == ([], [])
        current.base = good
        then(current, path)
