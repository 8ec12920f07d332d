"""What a file is called where many machines share a journal: its real path, and a place."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace

from cfstream_upload.attempt import Identity


def named(file: Identity, path: str, place: str) -> Identity:
    """``file`` with a name in place of device and inode, which mean nothing on another machine.

    The name is two halves of 64 bits of a digest of ``place`` and the real path; size, mtime and
    samples stay, for they say which version it is.
    """
    real = os.fsencode(os.path.realpath(path))
    whole = hashlib.blake2b(b"\0".join((place.encode(), real)), digest_size=16).digest()
    return replace(
        file,
        device=int.from_bytes(whole[:8]),
        inode=int.from_bytes(whole[8:]),
    )
