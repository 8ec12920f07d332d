"""What is asked of any service that files are read from, and what it may answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from cfstream_upload.errors import FileChanged, FileProblem
from cfstream_upload.locations import Location

READ_TIMEOUT = 30.0
"""Seconds that a service may be silent before its answer is given up."""

CONNECT_TIMEOUT = 10.0


@dataclass(frozen=True, slots=True)
class Facts:
    """What a service tells of a file: ``size`` in bytes, ``modified_ns`` 0 where it is not told.

    ``etag`` is as it stands in the header, ``version`` pins what is read where versions are kept.
    """

    size: int
    etag: str = ""
    version: str = ""
    modified_ns: int = 0

    @property
    def firm(self) -> bool:
        """Whether other bytes are sure to have other facts."""
        return bool(self.version or (self.etag and not self.etag.startswith("W/")))


class Hiccup(Exception):
    """The line or the service failed in a way that may pass; the text holds no secret."""


class Store(Protocol):
    """A service, or one host of a kind. All of it runs in one event loop.

    Methods raise `FileProblem` or `FileChanged` for what stays so, `Hiccup` for what may pass.
    """

    async def facts(self, where: Location, pinned: Facts | None) -> Facts:
        """What is there now; of a ``pinned`` version, that version."""

    async def read(self, where: Location, start: int, stop: int, pinned: Facts) -> bytes:
        """The bytes ``start`` to ``stop``, of what ``pinned`` tells of and of nothing else."""

    def below(self, folder: Location, *, deep: bool) -> AsyncIterator[tuple[str, Facts]]:
        """Each file in ``folder`` by its path below it, in a settled order; ``deep``: in all."""

    async def release(self, where: Location) -> None:
        """A source is closed: let go of what was kept for it."""

    async def close(self) -> None:
        """Close every connection."""


def changed(where: Location) -> FileChanged:
    """It is no longer what was opened."""
    return FileChanged(
        f"the file changed while it was being read: {where.text}",
        "Let the program that writes it finish, then run the same command again.",
    )


def missing(where: Location) -> FileProblem:
    """It is not there, or not any more."""
    return FileProblem(
        f"no such file: {where.text}", "Check the name; a folder's ends with a slash."
    )


def no_bucket(where: Location) -> FileProblem:
    """Not even the bucket is there."""
    return FileProblem(
        f"no such bucket: {where.text}", "Check the bucket's name, and whose credentials ask where."
    )


def forbidden(where: Location, words: str, hint: str) -> FileProblem:
    """The service does not let us read it; ``words`` are the service's code for it."""
    return FileProblem(f"reading is not allowed ({words}): {where.text}", hint)


def whole(data: bytes, start: int, stop: int) -> bytes:
    """``data``, if it is as long as was asked for; a short read is an error, not an end."""
    if len(data) != stop - start:
        raise Hiccup(f"the answer had {len(data)} bytes instead of {stop - start}")
    return data
