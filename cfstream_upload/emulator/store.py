"""Where videos are kept: a folder that outlives the process, or memory for tests.

Bytes are written before the record that acknowledges them, and a record replaces the one before
in a single rename, so a process killed anywhere loses no acknowledged byte. Nothing is synced: a
power cut may lose the last seconds.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

from .containers import LOOK
from .endpoint import DataFolderUnusable
from .routes import is_hex32
from .videos import Video

BLOCK = 262_144


class Media(Protocol):
    """The bytes of one video, as far as they have come."""

    @property
    def path(self) -> Path | None:
        """The file that holds them; None where only their digest is kept."""

    @property
    def length(self) -> int:
        """How many bytes are held, acknowledged or not."""

    def append(self, block: bytes | memoryview) -> None:
        """Add bytes at the end."""

    def settle(self, length: int) -> None:
        """Keep this many bytes and forget what came after them."""

    def read(self, start: int, size: int) -> bytes:
        """Give the bytes there, as far as they are held; of the first `LOOK` all are."""

    def sha256(self) -> str:
        """Give the digest of the bytes held, in hex."""


class Store(Protocol):
    """Records and bytes of all videos."""

    def load(self) -> list[Video]:
        """Give every video that was saved, the oldest first."""

    def save(self, video: Video) -> None:
        """Keep this record in place of the one before."""

    def media(self, uid: str) -> Media:
        """Give the bytes of a video that was saved."""

    def drop_media(self, uid: str) -> None:
        """Forget the bytes of a video."""

    def forget(self, uid: str) -> None:
        """Forget a video, its record too."""


class DiskStore:
    """One folder per video: ``<uid>/record.json`` and ``<uid>/media``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def load(self) -> list[Video]:
        """Give every video that was saved, the oldest first."""
        records = (path / "record.json" for path in self._folder.iterdir() if is_hex32(path.name))
        videos = [_read(path) for path in records if path.exists()]
        for video in videos:
            if video.deleted is not None:
                self.drop_media(video.uid)
        return sorted(videos, key=lambda video: video.created)

    def save(self, video: Video) -> None:
        """Keep this record in place of the one before."""
        folder = self._folder / video.uid
        is_new = not folder.exists()
        try:
            if is_new:
                folder.mkdir(mode=0o700)
                (folder / "media").touch(mode=0o600)
            fresh = folder / "record.new"
            fresh.write_text(json.dumps(asdict(video)))
            fresh.replace(folder / "record.json")
        except OSError:
            if is_new:
                shutil.rmtree(folder, ignore_errors=True)
            raise

    def media(self, uid: str) -> DiskMedia:
        """Give the bytes of a video that was saved."""
        return DiskMedia(self._folder / uid / "media")

    def drop_media(self, uid: str) -> None:
        """Forget the bytes of a video."""
        (self._folder / uid / "media").unlink(missing_ok=True)

    def forget(self, uid: str) -> None:
        """Forget a video, its record too."""
        shutil.rmtree(self._folder / uid)


def _read(path: Path) -> Video:
    try:
        return Video(**json.loads(path.read_text()))
    except (ValueError, TypeError):
        raise DataFolderUnusable(
            f"The record {path} cannot be read", "Delete the folder that it is in."
        ) from None


class DiskMedia:
    """A file, opened anew for each block so that no descriptor outlives a cut connection."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def path(self) -> Path:
        """The file that holds them."""
        return self._path

    @property
    def length(self) -> int:
        """How many bytes are held, acknowledged or not."""
        return self._path.stat().st_size

    def append(self, block: bytes | memoryview) -> None:
        """Add bytes at the end."""
        with self._path.open("ab", buffering=0) as file:
            left = memoryview(block)
            while left:
                left = left[file.write(left) :]

    def settle(self, length: int) -> None:
        """Keep this many bytes and forget what came after them."""
        os.truncate(self._path, length)

    def read(self, start: int, size: int) -> bytes:
        """Give the bytes there, as far as they are held."""
        with self._path.open("rb") as file:
            file.seek(start)
            return file.read(size)

    def sha256(self) -> str:
        """Give the digest of the bytes held, in hex."""
        with self._path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


class MemoryStore:
    """Keeps lengths and digests instead of bytes, so that thousands of uploads are cheap."""

    def __init__(self) -> None:
        self._media: dict[str, MemoryMedia] = {}

    def load(self) -> list[Video]:
        """Give nothing: memory begins empty."""
        return []

    def save(self, video: Video) -> None:
        """Make room for the bytes; the record itself is held by `Library`."""
        self._media.setdefault(video.uid, MemoryMedia())

    def media(self, uid: str) -> MemoryMedia:
        """Give the bytes of a video that was saved."""
        return self._media[uid]

    def drop_media(self, uid: str) -> None:
        """Forget the bytes of a video."""
        self._media[uid] = MemoryMedia()

    def forget(self, uid: str) -> None:
        """Forget a video, its record too."""
        del self._media[uid]


class MemoryMedia:
    """A running digest, with a copy where the last body began and at its last whole block.

    Only there can bytes be given back: `settle` is called with no other length.
    """

    path: Path | None = None

    def __init__(self) -> None:
        self.length = 0
        self._head = b""
        self._hash = hashlib.sha256()
        self._start = (0, self._hash.copy())
        self._mark = self._start

    def append(self, block: bytes | memoryview) -> None:
        """Add bytes at the end."""
        left = memoryview(block)
        while left:
            to_mark = BLOCK - (self.length - self._start[0]) % BLOCK
            piece, left = left[:to_mark], left[to_mark:]
            self._hash.update(piece)
            self._head += bytes(piece[: LOOK - len(self._head)])
            self.length += len(piece)
            if len(piece) == to_mark:
                self._mark = (self.length, self._hash.copy())

    def settle(self, length: int) -> None:
        """Keep this many bytes and forget what came after them."""
        held = dict((self._start, self._mark, (self.length, self._hash)))
        self.length, self._hash = length, held[length].copy()
        self._head = self._head[:length]
        self._start = self._mark = (length, self._hash.copy())

    def read(self, start: int, size: int) -> bytes:
        """Give the bytes there, as far as they are held: of the first `LOOK` all are."""
        return self._head[start : start + size]

    def sha256(self) -> str:
        """Give the digest of the bytes held, in hex."""
        return self._hash.hexdigest()
