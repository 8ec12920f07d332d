"""The file on the disk in all its versions."""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from mp4 import padded_mp4


@dataclass
class Versions:
    """The file on the disk, its present digest, and what it held in all its versions."""

    path: Path
    version: int = 0
    contents: dict[str, bytes] = field(default_factory=dict)
    digest: str = ""

    def become(self, size: int) -> None:
        """Write another version; its time of change is always another one."""
        self.version += 1
        data = _content(size, self.version)
        if _ON_DISK.get(self.path) != data:
            self.path.write_bytes(data)
            _ON_DISK[self.path] = data
        os.utime(self.path, ns=(self.version * 10**9, self.version * 10**9))
        self.digest = _digest(data)
        self.contents[self.digest] = data


_ON_DISK: dict[Path, bytes] = {}


@cache
def _content(size: int, version: int) -> bytes:
    with tempfile.TemporaryDirectory() as name:
        return padded_mp4(Path(name) / "x", size, sparse=False, seed=version).read_bytes()


@cache
def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
