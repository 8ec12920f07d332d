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
_LONGEST_LINE = 1 << 12


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
        self._chunks: _Chunks | None = None
        self._rest = b""

    def parts(self, piece: bytes) -> Iterator[Head | bytes | End]:
        """Give what a piece completes: heads, bytes of bodies, and where these end."""
        while piece:
            if self._left == 0 and self._chunks is None:
                yield from self._in_head(piece)
                piece, self._rest = self._rest, b""
                continue
            length = self._length_of_body(piece)
            body, piece = piece[:length], piece[length:]
            yield body
            if self._left == 0 and self._chunks is None:
                yield End()

    def _length_of_body(self, piece: bytes) -> int:
        """Give how much of a piece is the body's, and remember what is still to come."""
        if self._left is None:
            return len(piece)
        if self._chunks is None:
            length = min(self._left, len(piece))
            self._left -= length
            return length
        try:
            end = self._chunks.end_in(piece)
        except ValueError:
            end, self._left = None, None
        if end is not None or self._left is None:
            self._chunks = None
        return len(piece) if end is None else end

    def _in_head(self, piece: bytes) -> Iterator[Head | bytes | End]:
        """Collect a head; what follows it stays in ``_rest``."""
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
        self._chunks = _Chunks() if _CHUNKED.search(head.raw) else None
        self._left = int(length[1]) if length and self._chunks is None else 0
        yield head
        if self._left == 0 and self._chunks is None:
            yield End()
        self._rest = rest


class _Chunks:
    """A chunked body: how far it goes."""

    def __init__(self) -> None:
        self._data = 0
        self._line = b""
        self._after_last = False

    def end_in(self, piece: bytes) -> int | None:
        """Give where the body ends in a piece, or None; `ValueError` for what are no chunks."""
        place = 0
        while place < len(piece):
            if self._data:
                step = min(self._data, len(piece) - place)
                self._data -= step
                place += step
                continue
            line, found, _ = piece[place : place + _LONGEST_LINE].partition(b"\n")
            self._line += line
            place += len(line) + len(found)
            if len(self._line) > _LONGEST_LINE:
                raise ValueError("a line without an end")
            if found and self._line_ends():
                return place
        return None

    def _line_ends(self) -> bool:
        """Read a line: the size of a chunk, or a trailer; True for the empty one at the end."""
        line, self._line = self._line.strip(), b""
        if self._after_last:
            return not line
        size = int(line.partition(b";")[0], 16)
        self._after_last = size == 0
        self._data = size + 2 if size else 0
        return False


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
