"""MP4 files for tests: the sample, cut or made as large as wanted."""

from __future__ import annotations

import struct

from cfstream_upload.emulator.footage import padded_mp4, sample

__all__ = ["boxes", "padded_mp4", "sample"]


def boxes(data: bytes) -> dict[str, bytes]:
    """Return the top-level boxes of ``data``, header and all, by type."""
    found: dict[str, bytes] = {}
    position = 0
    while position < len(data):
        size, kind = struct.unpack_from(">I4s", data, position)
        found[kind.decode()] = data[position : position + size]
        position += size
    return found
