"""The local file: opened once, named by what it is, and watched while it is sent.

Everything here goes through one descriptor and never through its shared position, so a file that
is renamed or unlinked while it is sent is still the same file, and several readers do not meet.
"""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Callable, Iterator
from typing import ClassVar, Protocol, Self

import xxhash

from cfstream_upload.attempt import Identity
from cfstream_upload.container import Container, container_of
from cfstream_upload.errors import FileChanged, FileProblem, Interrupted

MAX_BYTES = 30_000_000_000
"""Stream's largest video, in bytes (Cloudflare's docs: "Videos … up to 30 GB")."""

BLOCK_BYTES = 256 * 1024
SAMPLE_BYTES = 64 * 1024
_SAMPLES = 16
_DIGEST_BLOCK_BYTES = 1024 * 1024


class Sendable(Protocol):
    """What sending needs of a file, wherever it is: a `Source`, or one beyond this machine.

    ``anywhere``: it is the same file, of the same identity, on every machine.
    """

    anywhere: ClassVar[bool]
    path: str
    name: str
    size: int
    identity: Identity

    def __enter__(self) -> Self:
        """Return the source itself."""

    def __exit__(self, *_: object) -> None:
        """Close it."""

    def close(self) -> None:
        """Close it."""

    def fileno(self) -> int:
        """A descriptor that can be locked, -1 where there is none."""

    def check(self) -> None:
        """As `Source.check`."""

    def blocks(
        self,
        start: int,
        length: int,
        *,
        block: int = ...,
        before_last: Callable[[], None] | None = None,
        given_up: Callable[[], bool] | None = None,
    ) -> Iterator[bytes]:
        """As `Source.blocks`; who must wait asks ``given_up``, and raises Interrupted then."""

    def probe(self) -> Container:
        """As `Source.probe`."""

    def full_digest(self, cancelled: Callable[[], bool]) -> str:
        """As `Source.full_digest`."""


class Source:
    """One regular file, open for reading; a context manager that closes it.

    ``path`` is absolute, with symbolic links kept in it; ``identity`` is that of their target.
    """

    anywhere: ClassVar[bool] = False

    def __init__(self, descriptor: int, path: str) -> None:
        """Take over ``descriptor``, open on ``path``; raises FileProblem. Use `Source.open`."""
        self.path = path
        self.name = os.path.basename(path)
        self._descriptor = descriptor
        self._seeking = threading.Lock()
        status = self._status()
        self.size = status.st_size
        _refuse_unsendable(status, path)
        self._stamp = _stamp(status)
        self.identity = Identity(*self._stamp, samples=self._sample())
        self.check()

    @classmethod
    def open(cls, path: str | bytes | os.PathLike[str] | os.PathLike[bytes]) -> Self:
        """Open ``path`` and take its identity.

        Raises FileProblem for what cannot be read or is no regular file of 1 to `MAX_BYTES`
        bytes, and FileChanged if it changes meanwhile.
        """
        name = os.fsdecode(path)
        flags = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
        try:
            # O_NONBLOCK: opening a FIFO would otherwise wait for its writer.
            descriptor = os.open(name, flags | getattr(os, "O_NONBLOCK", 0))
        except (OSError, ValueError) as problem:
            raise _cannot_open(name, problem) from problem
        try:
            return cls(descriptor, _absolute(name))
        except BaseException:
            os.close(descriptor)
            raise

    def __enter__(self) -> Self:
        """Return the source itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def fileno(self) -> int:
        """Return the descriptor, -1 once closed; its position means nothing and may be moved."""
        return self._descriptor

    def check(self) -> None:
        """Raise FileChanged unless device, inode, size and mtime are as they were when opened."""
        if _stamp(self._status()) != self._stamp:
            raise FileChanged(
                f"the file changed while it was being read: {self.path}",
                "Let the program that writes it finish, then run the same command again.",
            )

    def blocks(
        self,
        start: int,
        length: int,
        *,
        block: int = BLOCK_BYTES,
        before_last: Callable[[], None] | None = None,
        given_up: Callable[[], bool] | None = None,
    ) -> Iterator[bytes]:
        """Yield the bytes ``start`` to ``start + length`` in pieces of at most ``block`` bytes.

        The file is checked before the first piece leaves and, with nothing left to read, before
        the last one does; then ``before_last`` is called. So a mixed file never becomes whole.
        Raises FileChanged for that and for a short read, FileProblem for a read error. A disk is
        waited for: ``given_up`` is for sources that may have to be.
        """
        if not 0 <= start <= start + length <= self.size:
            raise ValueError(f"bytes {start} + {length} are outside a file of {self.size} bytes")
        self.check()
        end = start + length
        for offset in range(start, end, block):
            data = self._read(offset, min(block, end - offset))
            if offset + block >= end:
                self.check()
                if before_last is not None:
                    before_last()
            yield data

    def probe(self) -> Container:
        """Ask MediaInfo what the file holds; raises FileProblem for a read error.

        Reads a few blocks at the ends, whatever the size.
        """
        return container_of(self.path, self.size, self._looked_at)

    def full_digest(self, cancelled: Callable[[], bool]) -> str:
        """Return the hex xxh3-128 of the whole file.

        ``cancelled`` is asked before each MiB; once it says so, Interrupted is raised.
        """
        return digest_of_all(self, cancelled)

    def _looked_at(self, offset: int, count: int) -> bytes:
        return b"".join(self.blocks(offset, count))

    def _sample(self) -> str:
        digest = xxhash.xxh3_128()
        if self.size <= _SAMPLES * SAMPLE_BYTES:
            digest.update(self._read(0, self.size))
            return digest.hexdigest()
        for offset in sample_offsets(self.size):
            digest.update(self._read(offset, SAMPLE_BYTES))
        return digest.hexdigest()

    def _status(self) -> os.stat_result:
        try:
            return os.fstat(self._descriptor)
        except OSError as problem:
            raise _cannot_read(self.path, problem) from problem

    def _read(self, offset: int, count: int) -> bytes:
        """Read exactly ``count`` bytes; fewer mean that the file was cut meanwhile."""
        data = b""
        while len(data) < count:
            try:
                piece = self._read_some(offset + len(data), count - len(data))
            except OSError as problem:
                raise _cannot_read(self.path, problem) from problem
            if not piece:
                raise FileChanged(
                    f"the file became shorter while it was being read: {self.path}",
                    "Let the program that writes it finish, then run the same command again.",
                )
            data = data + piece if data else piece
        return data

    def _read_some(self, offset: int, count: int) -> bytes:
        if hasattr(os, "pread"):
            data: bytes = os.pread(self._descriptor, count, offset)
            return data
        with self._seeking:  # Windows has no pread
            os.lseek(self._descriptor, offset, os.SEEK_SET)
            return os.read(self._descriptor, count)


def digest_of_all(source: Sendable, cancelled: Callable[[], bool]) -> str:
    """As `Source.full_digest`."""
    digest = xxhash.xxh3_128()
    for data in source.blocks(0, source.size, block=_DIGEST_BLOCK_BYTES):
        if cancelled():
            raise Interrupted(f"interrupted while reading {source.path}")
        digest.update(data)
    return digest.hexdigest()


def sample_offsets(size: int) -> list[int]:
    """Where samples of `SAMPLE_BYTES` begin, evenly spread; of a small file all lie end to end."""
    if size <= _SAMPLES * SAMPLE_BYTES:
        return list(range(0, size, SAMPLE_BYTES))
    return [number * (size - SAMPLE_BYTES) // (_SAMPLES - 1) for number in range(_SAMPLES)]


def glance(path: str) -> Identity | None:
    """What can be told of a local file without opening it; ``samples`` are empty."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return Identity(*_stamp(status), samples="")


def _refuse_unsendable(status: os.stat_result, path: str) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise FileProblem(f"this is a folder, not a file: {path}", "Name the files in it.")
    if not stat.S_ISREG(status.st_mode):
        raise _not_regular(path)
    refuse_size(status.st_size, path)


def refuse_size(size: int, path: str) -> None:
    """Raise FileProblem unless Stream takes a file of ``size`` bytes."""
    if size == 0:
        raise FileProblem(f"the file is empty: {path}", "Name a file with a video in it.")
    if size > MAX_BYTES:
        raise FileProblem(
            f"the file has {size} bytes, Stream takes at most {MAX_BYTES}: {path}",
            "Cut it into parts or encode it smaller.",
        )


def _not_regular(path: str) -> FileProblem:
    return FileProblem(
        f"not a regular file: {path}",
        "A pipe, socket or device cannot be resumed: save the video to a file first.",
    )


def _cannot_open(path: str, problem: OSError | ValueError) -> FileProblem:
    if isinstance(problem, FileNotFoundError | NotADirectoryError):
        return FileProblem(f"no such file: {path}", "Check the name.")
    if isinstance(problem, ValueError):
        return FileProblem(f"not a file name: {path}", "Check the name.")
    if os.path.isdir(path):  # Windows opens no folder
        return FileProblem(f"this is a folder, not a file: {path}", "Name the files in it.")
    if problem.errno in (errno.ENXIO, errno.ENODEV):
        return _not_regular(path)
    return _cannot_read(path, problem)


def _cannot_read(path: str, problem: OSError) -> FileProblem:
    reason = problem.strerror or type(problem).__name__
    return FileProblem(
        f"cannot read the file ({reason}): {path}", "Check its permissions and its disk."
    )


def _absolute(name: str) -> str:
    folder, base = os.path.split(name)
    if os.pardir in folder.replace(os.altsep or os.sep, os.sep).split(os.sep):
        # ".." after a linked folder is not the folder that the text says.
        folder = os.path.realpath(folder)
    return os.path.abspath(os.path.join(folder, base))


def _stamp(status: os.stat_result) -> tuple[int, int, int, int]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
