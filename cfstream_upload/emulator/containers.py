"""Telling a video container by its first bytes, and how long an MP4 or MOV says it lasts.

Stream decides while it encodes; what the container says is enough for an emulator.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

LOOK = 4096
MOST_BOXES = 1000

Read = Callable[[int, int], bytes]

_ISO_BOXES = {b"ftyp", b"moov", b"free", b"skip", b"mdat", b"wide", b"pnot", b"styp"}
_MAGIC = (
    b"\x1a\x45\xdf\xa3",  # EBML: Matroska, WebM
    b"FLV\x01",
    b"OggS",
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",  # ASF: WMV
    b"\x00\x00\x01\xba",  # MPEG program stream
    b"\x00\x00\x01\xb3",  # MPEG video stream
)
_TS_PACKET = 188
_TS_SYNC = 0x47


@dataclass(frozen=True)
class Measured:
    """What a movie says of itself: seconds, and the frame in pixels (-1: it does not say)."""

    duration: float
    width: int
    height: int


def is_video(head: bytes) -> bool:
    """Whether a file that begins like this (its first `LOOK` bytes) is a video container."""
    return (
        head[4:8] in _ISO_BOXES
        or head.startswith(_MAGIC)
        or (head[:4] == b"RIFF" and head[8:12] == b"AVI ")
        or _is_transport_stream(head)
    )


def _is_transport_stream(head: bytes) -> bool:
    syncs = head[::_TS_PACKET]
    return len(syncs) > 1 and all(byte == _TS_SYNC for byte in syncs)


def measure(read: Read, length: int) -> Measured | None:
    """Look for the movie header (ISO 14496-12) in a file of this length; None: it has none.

    ``read`` takes an offset and a size and gives the bytes there, or fewer.
    """
    for start, end in _inside(read, 0, length, b"moov"):
        for body, _ in _inside(read, start, end, b"mvhd"):
            header = read(body, 32)
            wide = header[:1] == b"\x01"
            shape, position = (">IQ", 20) if wide else (">II", 12)
            if len(header) < 32:
                return None
            scale, units = struct.unpack_from(shape, header, position)
            return Measured(units / scale, *_frame(read, start, end)) if scale else None
    return None


def _frame(read: Read, start: int, end: int) -> tuple[int, int]:
    """The largest frame of all tracks; its sides are 16.16 numbers at the end of each ``tkhd``."""
    found = (-1, -1)
    for track, track_end in _inside(read, start, end, b"trak"):
        for _, header_end in _inside(read, track, track_end, b"tkhd"):
            sides = read(header_end - 8, 8)
            if len(sides) == 8:
                width, height = struct.unpack(">II", sides)
                found = max(found, (width >> 16 or -1, height >> 16 or -1))
    return found


def _inside(read: Read, start: int, end: int, wanted: bytes) -> Iterator[tuple[int, int]]:
    """Where the contents of the boxes of one kind begin and end."""
    for _ in range(MOST_BOXES):
        head = read(start, 16)
        if len(head) < 8:
            return
        size, kind = struct.unpack_from(">I4s", head)
        body = start + 8
        if size == 1 and len(head) == 16:
            size, body = struct.unpack_from(">Q", head, 8)[0], start + 16
        elif size == 0:
            size = end - start
        if size < body - start or start + size > end:
            return
        if kind == wanted:
            yield body, start + size
        start += size
