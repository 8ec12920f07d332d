"""Which journal a connection leads to, and whether it is the one that this machine knew."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cfstream_upload.attempt import is_uid
from cfstream_upload.errors import JournalProblem
from cfstream_upload.fleet import schema, statements, words
from cfstream_upload.fleet.link import Lost
from cfstream_upload.statedir import prepare_folder, remembered_host, write_private

if TYPE_CHECKING:
    import psycopg

    from cfstream_upload.fleet.link import Link
    from cfstream_upload.ledger import Wait

    Connection = psycopg.Connection[Any]


def _impatient(tries: int, why: str) -> bool:
    return False


@dataclass
class Trust:
    """How a journal is opened.

    ``state_dir`` remembers which journal this machine knew; ``place`` is part of files' names;
    ``waits`` makes a new patience for each outage; ``gave_up`` ends a connecting early; ``anew``:
    what is there may be damaged, for it is moved aside; ``look``: none is made where there is
    none.
    """

    state_dir: Path
    place: str = ""
    waits: Callable[[], Wait] = lambda: _impatient
    gave_up: Callable[[], bool] = lambda: False
    anew: bool = False
    look: bool = False


@dataclass
class Known:
    """What is known of a journal: its name in markers, and its server's version."""

    trust: Trust
    host: str = ""
    server: int = 0
    _remembered: str | None = field(default=None, init=False)

    def welcome(self, link: Link, connection: Connection) -> None:
        """Judge what a new connection leads to. Raises `JournalProblem`."""
        found = schema.examined(link, connection, anew=self.trust.anew)
        self.server = found.server
        self._remembered = remembered_host(self.trust.state_dir, _file(connection))
        if not self.trust.anew:
            self._settle(link, connection, found)

    def _settle(self, link: Link, connection: Connection, found: schema.Found) -> None:
        """Make it if it was never there, and see that it is the one that was there before."""
        before = self.host or self._remembered
        if before and not found.version and not found.filled:
            raise words.unusable(link.where, "was emptied or deleted")
        if self.trust.look and found.version < statements.VERSION and not found.filled:
            return
        schema.migrated(link, connection, found, None)
        host = schema.host_of(link, connection)
        if before and before != host:
            raise words.strange(link.where)
        self.host = host
        if not before:
            self._remember(connection)

    def _remember(self, connection: Connection) -> None:
        """Tell the next run of this machine which journal this is; not every machine can."""
        folder = self.trust.state_dir
        with contextlib.suppress(OSError, JournalProblem):
            prepare_folder(folder)
            write_private(folder / _file(connection), self.host.encode())

    def old_host(self, link: Link) -> str | None:
        """The name of a journal that may be damaged, as it or this machine remembers it."""
        found = None
        with contextlib.suppress(JournalProblem, Lost):
            rows = link.run(statements.HOST_OF)
            found = rows[0][0] if len(rows) == 1 else None
        return str(found) if is_uid(found) else self._remembered

    def begin_anew(self, link: Link, host: str | None) -> None:
        """Rename the schema and make a new one, for ``host`` where that is known."""
        with link.turn():
            connection = link.connection()
            schema.moved_aside(link, connection)
            found = schema.examined(link, connection)
            schema.migrated(link, connection, found, host)
            self.host = schema.host_of(link, connection)
            self._remember(connection)


def _file(connection: Connection) -> str:
    info = connection.info
    address = f"{info.host}\0{info.port}\0{info.dbname}".encode()
    return f"fleet-{hashlib.sha256(address).hexdigest()[:16]}.id"
