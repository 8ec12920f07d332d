"""Every source of a run: local files and those beyond this machine, by one name each.

Nothing of a service is imported, and no thread begun, before a URL of its kind is named.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from cfstream_upload.attempt import Identity
from cfstream_upload.errors import CfuploadError, ExtraMissing, FileProblem, UsageProblem, shortage
from cfstream_upload.interruption import Interruption
from cfstream_upload.locations import BUCKETS, Location, is_url, located, no_folder, path_of
from cfstream_upload.safetext import Redactor
from cfstream_upload.source import Sendable, Source, glance

if TYPE_CHECKING:
    from cfstream_upload.reading import Reader, Said
    from cfstream_upload.stored import Facts, Store

EXTRAS = {"s3": "s3", "gs": "gcs", "sftp": "sftp"}
"""Which extra a scheme needs; those of the web need none."""

_TRIES = 3
_LONGEST = 60.0


def _unsaid(file: str, words: str, tries: int, seconds: float) -> None:
    return None


class Stores:
    """Opens sources, lists folders of services, and knows what must not be shown of their URLs.

    Threads may share it. Close it, or use it in a ``with``.
    """

    def __init__(self, redactor: Redactor | None = None) -> None:
        self._redactor = redactor or Redactor()
        self._interruption, self._tries, self._longest = Interruption(), _TRIES, _LONGEST
        self._said: Said = _unsaid
        self._queries: dict[str, str] = {}
        self._seen: dict[str, Identity] = {}
        self._reader: Reader | None = None
        self._stores: dict[tuple[str, ...], Store] = {}
        self._turn = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the thread and every connection; what is used afterwards begins anew."""
        with self._turn:
            reader, self._reader = self._reader, None
            stores, self._stores = list(self._stores.values()), {}
        if reader is not None:
            reader.close(stores)

    def heed(self, interruption: Interruption, tries: int, longest: float, said: Said) -> None:
        """Waits end with ``interruption``.

        Lines that fail are tried ``tries`` times within ``longest`` seconds, and that is told.
        """
        self._interruption, self._said = interruption, said
        self._tries, self._longest = tries, longest
        if self._reader is not None:
            self._reader.interruption, self._reader.said = interruption, said
            self._reader.tries, self._reader.longest = tries, longest

    def admit(self, name: str) -> str:
        """``name`` as it is shown and recorded; a URL's query is kept here for reading alone.

        Raises `UsageProblem` for a URL that is none, or that differs from another by its query.
        """
        where = located(name)
        if where is None:
            return path_of(name)
        if where.query:
            self._redactor.add(where.query)
            for value in re.split(r"[&;=]", where.query):
                # Parts of it may come back alone, in a server's words; short ones are no secret.
                if len(value) >= 16:
                    self._redactor.add(value)
            if self._queries.setdefault(where.text, where.query) != where.query:
                raise UsageProblem(
                    f"Two URLs of {where.text} differ by their queries only",
                    "They count as one file: send them in runs of their own.",
                )
        return where.text

    def open(self, name: str) -> Sendable:
        """The source of that name, open. Raises as `Source.open`, `RemoteSource`, `admit` do."""
        where = self._located(name)
        if where is None:
            return Source.open(path_of(name))
        from cfstream_upload.remote import RemoteSource

        return RemoteSource(*self._reading(where), where)

    def glance(self, name: str) -> Identity | None:
        """What can be told without opening it; ``samples`` are empty. None where it cannot.

        What a listing told is not asked again.
        """
        where = located(name)
        if where is None:
            return glance(path_of(name))
        if (seen := self._seen.get(where.text)) is not None:
            return seen
        where = self._whole(where)
        with suppress(CfuploadError):
            reader, store = self._reading(where)
            facts = reader.persist(lambda: reader.start(store.facts(where, None)), where)
            return self._noticed(where, facts)
        return None

    def listed_size(self, name: str) -> int | None:
        """Its size in bytes, if that costs no request."""
        seen = self._seen.get(name) if is_url(name) else glance(name)
        return seen.size if seen is not None else None

    def below(self, folder: Location, *, deep: bool) -> Iterator[tuple[str, str]]:
        """Each file in ``folder``: its name as for `open`, and its path below. Raises as `open`."""
        if folder.scheme in ("http", "https"):
            raise no_folder(folder)
        reader, store = self._reading(folder)
        listing = store.below(folder, deep=deep)
        try:
            while True:
                # Not tried again: a listing that broke off cannot be gone on with.
                step = reader.persist(lambda: reader.start(_next(listing)), folder, tries=0)
                if step is None:
                    return
                for below, facts in step:
                    where = located(folder.text + below)
                    assert where is not None
                    self._noticed(where, facts)
                    yield where.text, below
        finally:
            close = getattr(listing, "aclose", None)
            if close is not None and self._reader is reader:
                reader.wait(reader.start(close()), lambda: False)

    def _noticed(self, where: Location, facts: Facts) -> Identity:
        seen = Identity(*where.numbers, facts.size, facts.modified_ns, "")
        self._seen[where.text] = seen
        return seen

    def _located(self, name: str) -> Location | None:
        where = located(self.admit(name))
        return None if where is None else self._whole(where)

    def _whole(self, where: Location) -> Location:
        return replace(where, query=self._queries.get(where.text, ""))

    def _reading(self, where: Location) -> tuple[Reader, Store]:
        with self._turn:
            key = _key(where)
            if key not in self._stores:
                self._stores[key] = _made(where)
            if self._reader is None:
                from cfstream_upload.reading import Reader

                self._reader = Reader(self._interruption, self._tries, self._longest, self._said)
            return self._reader, self._stores[key]


def kinship(name: str) -> tuple[int, int] | None:
    """Device and inode of ``name``, None where it leads nowhere; nobody is asked."""
    try:
        where = located(name)
        seen = glance(path_of(name)) if where is None else None
    except UsageProblem:
        return None
    if where is not None:
        return where.numbers
    return None if seen is None else (seen.device, seen.inode)


async def _next(listing: object) -> list[tuple[str, Facts]] | None:
    """The next few hundred of a listing: a word to the loop for each would cost more than it."""
    found: list[tuple[str, Facts]] = []
    async for one in listing:  # type: ignore[attr-defined]  # an asynchronous iterator
        found.append(one)
        if len(found) >= 500:
            return found
    return found or None


def _key(where: Location) -> tuple[str, ...]:
    if where.scheme == "sftp":
        return ("sftp", where.user, where.host, str(where.port))
    return (where.scheme,) if where.scheme in BUCKETS else ("web",)


def _made(where: Location) -> Store:
    try:
        if where.scheme == "s3":
            from cfstream_upload.froms3 import Buckets

            return Buckets()
        if where.scheme == "gs":
            from cfstream_upload.fromgcs import GoogleBuckets

            return GoogleBuckets()
        if where.scheme == "sftp":
            from cfstream_upload.fromsftp import Host

            return Host()
    except ImportError as missing:
        if short := shortage(missing):
            raise FileProblem(f"{short[0]}: {where.text}", short[1]) from None
        extra = EXTRAS[where.scheme]
        raise ExtraMissing(
            f"{where.scheme}:// needs the extra '{extra}' ({missing.name} is not installed)",
            f"Run: pip install 'cfstream-upload[{extra}]'",
        ) from None
    from cfstream_upload.fromweb import Web

    return Web()
