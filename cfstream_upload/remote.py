"""A file beyond this machine: pinned to what it was when opened, read ahead, never copied to disk.

It has the face of `source.Source`. What differs is below it: one event loop in a thread of its own
reads pieces ahead while earlier ones are sent, and who waits for a piece looks every moment whether
to give up. A line that fails is tried again; what the service says for good is a `FileProblem`.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from functools import partial
from typing import ClassVar, Self

import xxhash

from cfstream_upload.attempt import Identity
from cfstream_upload.container import Container, container_of
from cfstream_upload.locations import Location
from cfstream_upload.reading import GivenUp, Reader
from cfstream_upload.source import (
    BLOCK_BYTES,
    SAMPLE_BYTES,
    digest_of_all,
    refuse_size,
    sample_offsets,
)
from cfstream_upload.stored import Facts, Hiccup, Store, changed

PIECE = 4 * 1024 * 1024
"""Bytes that one request asks for."""

AHEAD = 4
"""Pieces of a file that are held or under way at a time: what bounds its memory."""

_AT_ONCE = 2  # more would share the line, and the piece that is waited for would come later
_LOOK = 256 * 1024
_LOOKS = 16
_TRIES_IN_PATCH = 1  # the upload's own tries, which ask Stream again, go on from there


class RemoteSource:
    """One file of a service, pinned; a context manager that lets go of it.

    ``path`` is its URL without query. Device and inode of its ``identity`` are halves of a digest
    of that URL, ``mtime_ns`` is 0 where the service tells no time, and ``samples`` is a digest of
    all that the service told; where that is no strong ETag and no version, of sixteen samples of
    the bytes besides, as of a local file.
    """

    anywhere: ClassVar[bool] = True

    def __init__(self, reader: Reader, store: Store, where: Location) -> None:
        """Ask what is there; raises `FileProblem`, `TroubleOutlasted`, `Interrupted`."""
        self.path, self.name = where.text, where.name
        self._reader, self._store, self._where = reader, store, where
        self._pieces: dict[int, Future[bytes]] = {}
        self._looks: OrderedDict[int, bytes] = OrderedDict()
        self._turn, self._first = threading.Lock(), 0
        self._closed = False
        try:
            self._facts = self._asked(None)
            refuse_size(self._facts.size, self.path)
            self.size = self._facts.size
            device, inode = where.numbers
            modified = self._facts.modified_ns
            self.identity = Identity(device, inode, self.size, modified, self._samples())
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        """Return the source itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of it."""
        self.close()

    def close(self) -> None:
        """Stop reading ahead and let go of it; a second call does nothing."""
        if self._closed:
            return
        with self._turn:
            self._closed = True
            pieces, self._pieces = list(self._pieces.values()), {}
        for future in pieces:
            future.cancel()
        self._looks.clear()
        wait([self._reader.start(self._store.release(self._where))], 1.0)

    def fileno(self) -> int:
        """Return -1: there is no descriptor, and nothing to lock."""
        return -1

    def check(self) -> None:
        """Ask the service again; raise FileChanged unless it tells the same as when opened.

        Of a pinned version that means: it is still there. Raises `TroubleOutlasted` too.
        """
        interruption = self._reader.interruption
        heard = interruption.count
        # What was heard before was decided on: an upload may have to go on to its end.
        self._check(lambda: interruption.count > heard, _TRIES_IN_PATCH)

    def blocks(
        self,
        start: int,
        length: int,
        *,
        block: int = BLOCK_BYTES,
        before_last: Callable[[], None] | None = None,
        given_up: GivenUp | None = None,
    ) -> Iterator[bytes]:
        """Yield the bytes ``start`` to ``start + length`` in pieces of at most ``block`` bytes.

        As of `Source.blocks`, the file is checked before the last piece leaves; each read before
        was refused by the service, or its answer here, if it was of other bytes. ``given_up`` is
        asked while waiting: then Interrupted is raised. Raises TroubleOutlasted when the line to
        the service fails for longer; with ``given_up``, that is after a second try.
        """
        if not 0 <= start <= start + length <= self.size:
            raise ValueError(f"bytes {start} + {length} are outside a file of {self.size} bytes")
        tries = None if given_up is None else _TRIES_IN_PATCH
        end = start + length
        for offset in range(start, end, block):
            data = self._read(offset, min(block, end - offset), given_up, tries)
            if offset + block >= end:
                self._check(given_up, tries)
                if before_last is not None:
                    before_last()
            yield data

    def probe(self) -> Container:
        """Ask MediaInfo what the file holds, over a few ranged reads at its ends."""
        container = container_of(self.path, self.size, self._look)
        self._looks.clear()
        return container

    def full_digest(self, cancelled: Callable[[], bool]) -> str:
        """As of `Source.full_digest`: every byte is read, and nothing of it is kept."""
        return digest_of_all(self, cancelled)

    # --- what the service tells ------------------------------------------------------------------

    def _asked(
        self, pinned: Facts | None, given_up: GivenUp | None = None, tries: int | None = None
    ) -> Facts:
        return self._reader.persist(
            lambda: self._reader.start(self._store.facts(self._where, pinned)),
            self._where,
            given_up,
            tries,
        )

    def _check(self, given_up: GivenUp | None, tries: int | None) -> None:
        if self._asked(self._facts, given_up, tries) != self._facts:
            raise changed(self._where)
        # Of a service that tells nothing, only the bytes themselves can tell.
        tells = self._facts.etag or self._facts.version or self._facts.modified_ns
        if not tells and self._samples() != self.identity.samples:
            raise changed(self._where)

    def _samples(self) -> str:
        facts = self._facts
        told = f"{facts.etag}\0{facts.version}\0{facts.modified_ns}\0{facts.size}"
        digest = xxhash.xxh3_128(told.encode("utf-8", "replace"))
        if facts.firm:
            return digest.hexdigest()
        places = [
            (offset, min(offset + SAMPLE_BYTES, facts.size))
            for offset in sample_offsets(facts.size)
        ]
        under_way = [self._ranged(start, stop) for start, stop in places]
        for number, (start, stop) in enumerate(places):

            def sample(number: int = number, start: int = start, stop: int = stop) -> Future[bytes]:
                if _is_passing(under_way[number]):
                    under_way[number] = self._ranged(start, stop)
                return under_way[number]

            digest.update(self._reader.persist(sample, self._where))
        return digest.hexdigest()

    # --- bytes -----------------------------------------------------------------------------------

    def _ranged(self, start: int, stop: int) -> Future[bytes]:
        return self._reader.start(self._store.read(self._where, start, stop, self._facts))

    def _look(self, offset: int, count: int) -> bytes:
        """Bytes for a probe, which comes back to the same few places."""
        found = b""
        while len(found) < count:
            number, inner = divmod(offset + len(found), _LOOK)
            if number not in self._looks:
                start, stop = number * _LOOK, min((number + 1) * _LOOK, self.size)
                self._looks[number] = self._reader.persist(
                    partial(self._ranged, start, stop), self._where
                )
                if len(self._looks) > _LOOKS:
                    self._looks.popitem(last=False)
            self._looks.move_to_end(number)
            found += self._looks[number][inner : inner + count - len(found)]
        return found

    def _read(self, offset: int, count: int, given_up: GivenUp | None, tries: int | None) -> bytes:
        parts: list[bytes] = []
        while count:
            number, inner = divmod(offset, PIECE)
            piece = self._reader.persist(partial(self._piece, number), self._where, given_up, tries)
            parts.append(piece[inner : inner + count])
            offset, count = offset + len(parts[-1]), count - len(parts[-1])
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _piece(self, number: int) -> Future[bytes]:
        """Piece ``number``, with those after it to come; what is behind it is dropped."""
        with self._turn:
            self._first = number
            there, begun = self._pieces.get(number), False
            gone = [one for one in self._pieces if not number <= one < number + AHEAD]
            dropped = [self._pieces.pop(one) for one in gone]
            if there is None or _is_passing(there):
                there, begun = self._begun(number), True
        # Outside the lock: of what is done, these call back at once.
        for future in dropped:
            future.cancel()
        if begun:
            there.add_done_callback(self._advance)
        self._advance(there)
        return there

    def _begun(self, number: int) -> Future[bytes]:
        start = number * PIECE
        self._pieces[number] = self._ranged(start, min(start + PIECE, self.size))
        return self._pieces[number]

    def _advance(self, _: Future[bytes]) -> None:
        """Begin what comes next, whenever a piece came: whoever sends is busy with another."""
        begun: list[Future[bytes]] = []
        with self._turn:
            last = min(self._first + AHEAD, -(-self.size // PIECE))
            for number in range(self._first, last):
                under_way = sum(not future.done() for future in self._pieces.values())
                if self._closed or under_way >= _AT_ONCE:
                    break
                if number not in self._pieces:
                    begun.append(self._begun(number))
        for future in begun:
            future.add_done_callback(self._advance)


def _is_passing(future: Future[bytes]) -> bool:
    """Whether it failed and may be asked for anew; what says that the file changed stands."""
    return future.done() and (future.cancelled() or isinstance(future.exception(), Hiccup))
