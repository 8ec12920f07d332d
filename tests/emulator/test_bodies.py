"""Bodies on real sockets: many at once, cut into blocks in any way, and what follows them."""

from __future__ import annotations

import hashlib
import itertools
import os
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cfstream_upload.emulator.endpoint import Endpoint
from cfstream_upload.emulator.model import Stream
from cfstream_upload.emulator.server import running
from emulator.driving import ACCOUNT, BLOCK, CHUNK, MP4, TOKEN, video_bytes

AT_ONCE = 50
SIZE = CHUNK + BLOCK + 11
MIB = 1024 * 1024
STATM = Path("/proc/self/statm")


@pytest.fixture(scope="module")
def real_time(tmp_path_factory: pytest.TempPathFactory) -> Stream:
    return Stream(data=tmp_path_factory.mktemp("data"), account=ACCOUNT, token=TOKEN)


@pytest.fixture(scope="module")
def endpoint(real_time: Stream) -> Iterator[Endpoint]:
    with running(real_time) as endpoint:
        yield endpoint


class Line:
    """One connection, and what a client of tus says on it."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.sock = socket.create_connection(("127.0.0.1", endpoint.port), timeout=30)
        self.came = b""

    def ask(self, first: str, *headers: str, body: bytes = b"") -> None:
        lines = [f"{first} HTTP/1.1", "host: x", "tus-resumable: 1.0.0", *headers, "", ""]
        self.sock.sendall("\r\n".join(lines).encode() + body)

    def reply(self) -> tuple[int, dict[str, str]]:
        while b"\r\n\r\n" not in self.came:
            came = self.sock.recv(65_536)
            assert came, "the connection was closed"
            self.came += came
        head, _, self.came = self.came.partition(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        return int(status.split()[1]), dict(line.split(": ", 1) for line in lines)

    def create(self, length: int) -> str:
        path = f"/client/v4/accounts/{ACCOUNT}/stream?direct_user=true"
        self.ask(f"POST {path}", f"authorization: Bearer {TOKEN}", f"upload-length: {length}")
        status, headers = self.reply()
        assert status == 201
        return headers["stream-media-id"]

    def begin_patch(
        self, uid: str, offset: int, length: int, *more: str, body: bytes = b""
    ) -> None:
        self.ask(
            f"PATCH /tus/{uid}",
            *("content-type: application/offset+octet-stream", f"upload-offset: {offset}"),
            *(more or (f"content-length: {length}",)),
            body=body,
        )


@pytest.fixture
def line(endpoint: Endpoint) -> Iterator[Line]:
    line = Line(endpoint)
    with line.sock:
        yield line


def resident() -> int:
    """Bytes of memory that this process holds."""
    return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_fifty_uploads_at_once_all_arrive_whole_in_bounded_memory(
    endpoint: Endpoint, real_time: Stream
) -> None:
    common = memoryview(video_bytes(SIZE))
    ready = threading.Barrier(AT_ONCE)

    def upload(number: int) -> str:
        line = Line(endpoint)
        with line.sock:
            uid = line.create(SIZE)
            ready.wait(30)
            own = MP4 + number.to_bytes(4, "big")
            line.begin_patch(uid, 0, CHUNK)
            line.sock.sendall(own)
            line.sock.sendall(common[len(own) : CHUNK])
            assert line.reply()[0] == 204
            line.begin_patch(uid, CHUNK, SIZE - CHUNK)
            line.sock.sendall(common[CHUNK:])
            status, headers = line.reply()
            assert (status, headers["upload-offset"]) == (204, str(SIZE))
        digest = hashlib.sha256(own)
        digest.update(common[len(own) :])
        assert real_time.sha256(uid) == digest.hexdigest()
        return uid

    before = resident() if STATM.exists() else 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = list(pool.map(upload, range(AT_ONCE)))
    assert len(set(found)) == AT_ONCE
    if before:
        # Of 265 MiB that came: a block for each connection, its thread and its stack.
        assert resident() - before < 64 * MIB


def test_a_request_right_behind_a_body_is_answered_after_it(line: Line) -> None:
    data = video_bytes(CHUNK)
    uid = line.create(CHUNK)
    line.begin_patch(uid, 0, CHUNK)
    head = f"HEAD /tus/{uid} HTTP/1.1\r\nhost: x\r\ntus-resumable: 1.0.0\r\n\r\n".encode()
    # In the same block as the end of the body, and one more behind it.
    line.sock.sendall(data + head + head)
    assert line.reply()[0] == 204
    for _ in range(2):
        status, headers = line.reply()
        assert (status, headers["upload-offset"]) == (200, str(CHUNK))


def test_bodies_of_one_connection_follow_each_other_however_they_are_cut(
    line: Line, real_time: Stream
) -> None:
    data = video_bytes(2 * CHUNK + 7)
    uid = line.create(len(data))
    for offset in range(0, len(data), CHUNK):
        part = data[offset : offset + CHUNK]
        line.begin_patch(uid, offset, len(part), body=part[:3])
        for begin, end in itertools.pairwise((3, 4, BLOCK + 1, CHUNK - 1, CHUNK)):
            line.sock.sendall(part[begin:end])
        assert line.reply()[0] == 204
    assert real_time.sha256(uid) == hashlib.sha256(data).hexdigest()


def test_a_body_of_unsaid_length_arrives_as_one_whose_length_was_said(
    line: Line, real_time: Stream
) -> None:
    data = video_bytes(CHUNK)
    uid = line.create(CHUNK)
    line.begin_patch(uid, 0, 0, "transfer-encoding: chunked")
    for begin in range(0, CHUNK, 1_000_000):
        part = data[begin : begin + 1_000_000]
        line.sock.sendall(b"%x\r\n%b\r\n" % (len(part), part))
    line.sock.sendall(b"0\r\n\r\n")
    assert line.reply()[0] == 204
    assert real_time.sha256(uid) == hashlib.sha256(data).hexdigest()


def test_a_body_that_was_announced_is_sent_for(line: Line) -> None:
    uid = line.create(CHUNK)
    line.begin_patch(uid, 0, CHUNK, f"content-length: {CHUNK}", "expect: 100-continue")
    assert line.reply()[0] == 100
    line.sock.sendall(video_bytes(CHUNK))
    assert line.reply()[0] == 204
