"""Videos to rehearse with: a small real MP4, made as large as wanted."""

from __future__ import annotations

import random
import struct
from importlib import resources
from pathlib import Path

_BLOCK_BYTES = 1024 * 1024


def sample() -> bytes:
    """Return the sample that ships with the package: 4 s of H.264 and AAC, moov first."""
    return (resources.files("cfstream_upload") / "sample.mp4").read_bytes()


def padded_mp4(path: Path, size: int, *, sparse: bool = True, seed: int = 0) -> Path:
    """Write the sample and one ``free`` box to ``path``, exactly ``size`` bytes; return ``path``.

    The box holds zeros that take no room on the disk, or with ``sparse=False`` bytes made from
    ``seed``. ``size`` is that of the sample, or at least 8 bytes more.
    """
    data = sample()
    extra = size - len(data)
    if extra != 0 and extra < 8:
        raise ValueError(f"{size} bytes: the sample has {len(data)}, a box at least 8 more")
    with path.open("wb") as file:
        file.write(data)
        if extra:
            file.write(_free_header(extra))
        if sparse:
            file.truncate(size)
        else:
            chance = random.Random(seed)
            while left := size - file.tell():
                file.write(chance.randbytes(min(left, _BLOCK_BYTES)))
    return path


def _free_header(size: int) -> bytes:
    """The header of a ``free`` box; the size needs 64 bits from 4 GiB on (ISO 14496-12)."""
    if size < 1 << 32:
        return struct.pack(">I4s", size, b"free")
    return struct.pack(">I4sQ", 1, b"free", size)
