"""Where requests begin and end in the bytes that a client sends on one connection."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

LONGEST_HEAD = 1 << 16
_FIRST_LINE = re.compile(rb"([A-Za-z]{1,30}) (\S+) HTTP/1\.[01]\r\n")
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,18})[ \t]*\r\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[^\r]*chunked", re.IGNORECASE)
_LAST_CHUNK = b"0\r\n\r\n"


@dataclass(frozen=True)
class Head:
    """The head of a request: its bytes as they came, the method, the path percent-decoded."""

    raw: bytes = field(repr=False)
    method: str
    path: str = field(repr=False)

    def with_header(self, name: str, value: str) -> bytes:
        """Give the bytes with one header more."""
        line, end, rest = self.raw.partition(b"\r\n")
        return line + end + f"{name}: {value}\r\n".encode() + rest


@dataclass(frozen=True)
class End:
    """The body is complete."""


class Framing:
    """Takes a client's bytes apart, as they come.

    What is no HTTP/1 is given as a body that never ends.
    """

    def __init__(self) -> None:
        self._head = b""
        self._left: int | None = 0
        self._chunked = False
        self._tail = b""

    def parts(self, piece: bytes) -> Iterator[Head | bytes | End]:
        """Give what a piece completes: heads, bytes of bodies, and where these end."""
        while piece:
            if self._left == 0 and not self._chunked:
                yield from self._in_head(piece)
                piece, self._tail = self._tail, b""
            elif self._chunked:
                self._tail = (self._tail + piece)[-len(_LAST_CHUNK) :]
                yield piece
                piece = b""
                if self._tail == _LAST_CHUNK:
                    self._chunked, self._tail = False, b""
                    yield End()
            elif self._left is None:
                yield piece
                return
            else:
                body, piece = piece[: self._left], piece[self._left :]
                self._left -= len(body)
                yield body
                if self._left == 0:
                    yield End()

    def _in_head(self, piece: bytes) -> Iterator[Head | bytes | End]:
        """Collect a head; what follows it stays in ``_tail``."""
        collected = (self._head + piece).lstrip(b"\r\n")
        raw, end, rest = collected.partition(b"\r\n\r\n")
        if not end and len(collected) <= LONGEST_HEAD:
            self._head = collected
            return
        self._head = b""
        head = _read(raw + end) if end else None
        if head is None:
            self._left = None
            yield collected
            return
        length = _LENGTH.search(head.raw)
        self._chunked = _CHUNKED.search(head.raw) is not None
        self._left = int(length[1]) if length and not self._chunked else 0
        yield head
        if self._left == 0 and not self._chunked:
            yield End()
        self._tail = rest


def _read(raw: bytes) -> Head | None:
    line = _FIRST_LINE.match(raw)
    if line is None:
        return None
    target = line[2].decode("latin-1")
    try:
        path = target.partition("?")[0] if target.startswith("/") else urlsplit(target).path
    except ValueError:
        return None
    return Head(raw, line[1].decode().upper(), unquote(path))
