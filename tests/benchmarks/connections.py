"""Connections of the discarding server: bodies are counted and thrown away, not decrypted.

A server that decrypts costs as much as its clients and would hide what they cost. So OpenSSL does
the handshake, its key log tells the secrets, and from then on records are read here (RFC 8446,
5.2): heads of requests are decrypted, the records of a body are skipped by their length.
"""

from __future__ import annotations

import hmac
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

_ROOM = 1024 * 1024
_HEADER = 5
_ADDED = 17  # bytes that a record has beside its content: its type and its tag
_DATA = 23
_LARGEST = 16_000


class _Cipher(Protocol):
    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes, /) -> bytes: ...

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes, /) -> bytes: ...


_SUITES: dict[str, tuple[Callable[[bytes], _Cipher], int, str]] = {
    "TLS_AES_128_GCM_SHA256": (AESGCM, 16, "sha256"),
    "TLS_AES_256_GCM_SHA384": (AESGCM, 32, "sha384"),
    "TLS_CHACHA20_POLY1305_SHA256": (ChaCha20Poly1305, 32, "sha256"),
}
_RESET = struct.pack("ii", 1, 0)


class Connection(Protocol):
    """What the server needs of a connection."""

    sock: socket.socket

    def read(self) -> bytes:
        """Some bytes; none at the end."""

    def skip(self, count: int) -> int:
        """Throw up to ``count`` bytes away; how many it were, none at the end."""

    def write(self, data: bytes) -> None:
        """Send all of ``data``."""


class Plain:
    """TCP alone. The kernel throws bodies away (Linux: MSG_TRUNC), so nothing is copied."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._room = bytearray(_ROOM)
        self._flags = getattr(socket, "MSG_TRUNC", 0)

    def read(self) -> bytes:
        return self.sock.recv(65_536)

    def skip(self, count: int) -> int:
        return self.sock.recv_into(self._room, min(count, _ROOM), self._flags)

    def write(self, data: bytes) -> None:
        self.sock.sendall(data)


class Secrets:
    """The secrets of connections, from the key log of ``context``, by the client's random."""

    def __init__(self, context: ssl.SSLContext, path: Path) -> None:
        context.keylog_filename = str(path)
        self._file = path.open(encoding="ascii")
        self._known: dict[tuple[str, str], bytes] = {}
        self._begun = ""
        self._turn = threading.Lock()

    def take(self, label: str, random: bytes) -> bytes:
        """The secret named ``label``; it is forgotten here."""
        with self._turn:
            # Another thread may be in the middle of a line.
            *lines, self._begun = (self._begun + self._file.read()).split("\n")
            for line in lines:
                if line and not line.startswith("#"):
                    name, client, secret = line.split()
                    self._known[name, client] = bytes.fromhex(secret)
            return self._known.pop((label, random.hex()))

    def close(self) -> None:
        """Close the key log."""
        self._file.close()


class Secured:
    """TLS 1.3: the handshake is OpenSSL's, the records after it are read and written here."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext, secrets: Secrets) -> None:
        self.sock = sock
        self._room = bytearray(_ROOM)
        self._view = memoryview(self._room)
        self._start = self._end = 0
        name, random = self._shaken_hands(context)
        theirs = secrets.take("CLIENT_TRAFFIC_SECRET_0", random)
        ours = secrets.take("SERVER_TRAFFIC_SECRET_0", random)
        self._theirs, self._ours = Direction(name, theirs), Direction(name, ours)

    def _shaken_hands(self, context: ssl.SSLContext) -> tuple[str, bytes]:
        """The cipher suite's name, and the client's random."""
        came, goes = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(came, goes, server_side=True)
        random = b""
        while True:
            record = self._record()
            if record is None:
                raise ConnectionError("closed in the handshake")
            random = random or bytes(record[11:43])
            came.write(record)
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self.sock.sendall(goes.read())
        if rest := goes.read():
            self.sock.sendall(rest)
        cipher = tls.cipher()
        assert cipher is not None
        return cipher[0], random

    def read(self) -> bytes:
        while (record := self._record()) is not None:
            kind, content = self._theirs.opened(record)
            if kind == _DATA:
                return content
            if kind == 21:
                break
        return b""

    def skip(self, count: int) -> int:
        while True:
            skipped = 0
            while skipped < count and (length := self._length()) is not None:
                self._start += length
                self._theirs.number += 1
                skipped += length - _HEADER - _ADDED
            if skipped or not self._filled():
                return skipped

    def write(self, data: bytes) -> None:
        pieces = (data[at : at + _LARGEST] for at in range(0, len(data), _LARGEST))
        self.sock.sendall(b"".join(self._ours.sealed(piece) for piece in pieces))

    def _length(self) -> int | None:
        """The bytes of the next record, if all of it is here."""
        here = self._end - self._start
        if here < _HEADER:
            return None
        length = _HEADER + (self._room[self._start + 3] << 8) + self._room[self._start + 4]
        return length if length <= here else None

    def _filled(self) -> bool:
        if self._start:
            left = self._end - self._start
            self._view[:left] = bytes(self._view[self._start : self._end])
            self._start, self._end = 0, left
        count = self.sock.recv_into(self._view[self._end :])
        self._end += count
        return count > 0

    def _record(self) -> memoryview | None:
        while (length := self._length()) is None:
            if not self._filled():
                return None
        self._start += length
        return self._view[self._start - length : self._start]


class Direction:
    """One direction of a TLS 1.3 connection: its key, and the number of the next record."""

    def __init__(self, suite: str, secret: bytes) -> None:
        cipher, size, digest = _SUITES[suite]
        self._cipher: _Cipher = cipher(expanded(secret, b"key", size, digest))
        self._iv = int.from_bytes(expanded(secret, b"iv", 12, digest), "big")
        self.number = 0

    def _nonce(self) -> bytes:
        self.number += 1
        return (self._iv ^ (self.number - 1)).to_bytes(12, "big")

    def opened(self, record: memoryview) -> tuple[int, bytes]:
        """The type of a record, and its content."""
        inner = self._cipher.decrypt(
            self._nonce(), bytes(record[_HEADER:]), bytes(record[:_HEADER])
        ).rstrip(b"\0")
        return inner[-1], inner[:-1]

    def sealed(self, content: bytes) -> bytes:
        """The record that carries ``content``."""
        header = struct.pack(">BHH", _DATA, 0x0303, len(content) + _ADDED)
        return header + self._cipher.encrypt(self._nonce(), content + bytes([_DATA]), header)


def expanded(secret: bytes, label: bytes, size: int, digest: str) -> bytes:
    """RFC 8446's HKDF-Expand-Label with an empty context, for at most one digest's length."""
    label = b"tls13 " + label
    info = struct.pack(">HB", size, len(label)) + label + b"\0"
    return hmac.digest(secret, info + b"\x01", digest)[:size]


def break_off(sock: socket.socket) -> None:
    """Close ``sock`` so that the peer sees a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    sock.close()
