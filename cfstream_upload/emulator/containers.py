"""Telling a video container by its first bytes.

Stream decides while it encodes; its first bytes are enough for an emulator.
"""

from __future__ import annotations

LOOK = 4096

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
