"""The journal that machines share: rows, watched markers and locks in one PostgreSQL database.

Which journal that is, is found out in `knowing`; under which locks rows are written, in `locks`.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from cfstream_upload import __version__
from cfstream_upload.attempt import Attempt, Identity
from cfstream_upload.errors import Estranged, JournalProblem
from cfstream_upload.fleet import naming, statements, words
from cfstream_upload.fleet.budgets import Budgets
from cfstream_upload.fleet.company import Company
from cfstream_upload.fleet.holding import Hold, number_of
from cfstream_upload.fleet.knowing import Known, Trust
from cfstream_upload.fleet.link import Link, Row
from cfstream_upload.fleet.locks import Locks, file_in, key_in
from cfstream_upload.fleet.presence import Presence
from cfstream_upload.fleet.reaching import Reach
from cfstream_upload.lock import key_of
from cfstream_upload.rows import (
    COLUMNS,
    WATCH,
    Unsound,
    attempt_in,
    seal_of,
    values_of,
    watch_of,
    watched_of,
)

if TYPE_CHECKING:
    import psycopg

    from cfstream_upload.fleet.link import Values
    from cfstream_upload.ledger import Wait

__all__ = ["FleetJournal", "Trust"]


@dataclass
class FleetJournal:
    """A `Ledger` in a database. Use `FleetJournal.open`."""

    url: str = field(repr=False)
    trust: Trust

    @classmethod
    def open(cls, url: str, trust: Trust) -> FleetJournal:
        """The journal in the database that ``url`` leads to, made if it was never there.

        Raises `JournalProblem` when it cannot be reached or used, `ExtraMissing` without a driver.
        """
        journal = cls(url, trust)
        try:
            journal.link.connect()
        except BaseException:
            journal.link.close()
            raise
        return journal

    def __post_init__(self) -> None:
        # The hand-made part tells this process from its namesake in another container.
        machine = socket.gethostname()[:30].replace(" ", "-")
        self._name = f"cfupload {machine}:{os.getpid()} {uuid4().hex[:8]}"
        self._ghost = 0
        self._known = Known(self.trust)
        self.link = Link(self.url, self._name, self._welcome, self.trust.gave_up)
        self._reach = Reach(self.link, self.trust.waits)
        self._locks = Locks(self._reach)

    def close(self) -> None:
        """Free what is held and end the session."""
        self._locks.close()
        self.link.close()

    def _welcome(self, connection: psycopg.Connection[Any]) -> None:
        """Judge a new connection, and take again what this process held."""
        self._known.welcome(self.link, connection)

        def ask(sql: str, values: Values) -> list[Row]:
            return self.link.ask_on(connection, sql, values)

        self._locks.take_again(ask, self._ghost, self._name)
        self._ghost = connection.info.backend_pid

    # --- which journal it is ---------------------------------------------------------------------

    @property
    def host(self) -> str:
        """The journal's random name, 32 hex digits: one for all machines, part of every marker."""
        return self._known.host

    @property
    def server(self) -> int:
        """The server's version, as ``server_version_num`` has it."""
        return self._known.server

    def old_host(self) -> str | None:
        """The name of a journal that may be damaged, as it or this machine remembers it."""
        return self._known.old_host(self.link)

    def begin_anew(self, host: str | None) -> None:
        """Rename the schema and make a new one, for ``host`` where that is known."""
        self._known.begin_anew(self.link, host)

    def ask(self, sql: str, values: Values | None = None) -> list[Row]:
        """What a statement brings that may be carried out twice; waits for an outage to end."""
        return self._reach.ask(sql, values)

    # --- rows ------------------------------------------------------------------------------------

    def record(self, attempt: Attempt, *, watch: bool = False) -> Attempt:
        """Write ``attempt`` durably, and watch its marker if told to; the answer has its row."""
        listed = values_of(attempt)
        seal = seal_of(listed)
        values = dict(zip(COLUMNS, listed, strict=True))
        values |= {"seal": seal, "row": attempt.row, "place": self.trust.place}
        if attempt.row:
            update = statements.UPDATE_AND_WATCH if watch else statements.UPDATE
            if not self._locks.write(attempt, update, values, (attempt.row, seal)):
                # Under its lock nobody may: the database was restored. Its rows are read anew.
                family = Estranged if self._locks.holds(attempt) else JournalProblem
                raise family(
                    f"Somebody removed an upload under way from the journal in {self.link.where}",
                    "See: cfupload status",
                )
            return attempt
        insert = statements.INSERT_AND_WATCH if watch else statements.INSERT
        rows = self._locks.write(attempt, insert, values, (0, seal))
        if rows:
            return replace(attempt, row=int(rows[0][0]))
        # Two processes may find the same leftover: the row of the first stands for both.
        (known,) = self._select(statements.OF_UID, {"uid": attempt.uid})
        return replace(attempt, row=known.row)

    def remove(self, attempt: Attempt, *, watch: bool = True) -> None:
        """Drop the row of ``attempt``; its marker is watched from then on, unless told not to."""
        values = {**_watch_values(attempt), "row": attempt.row}
        drop = statements.DELETE_AND_WATCH if watch else statements.DELETE
        self._locks.write(attempt, drop, values, (attempt.row, None))

    def rows(self, base: str | None = None, account: str | None = None) -> list[Attempt]:
        """All rows, or those of one account at one API base, oldest first."""
        return list(self.each(base, account))

    def each(self, base: str | None = None, account: str | None = None) -> Iterator[Attempt]:
        """As `rows`, page by page."""
        sql = statements.ROWS if base is None else statements.ROWS_OF_ACCOUNT
        after = 0
        while True:
            page = self._select(sql, {"after": after, "base": base, "account": account})
            yield from page
            if len(page) < statements.PAGE:
                return
            after = page[-1].row

    def unsettled(self, base: str, account: str) -> list[Attempt]:
        """The rows of an account that are no receipts: few, however many files were sent."""
        return self._select(statements.UNSETTLED, {"base": base, "account": account})

    def unfinished(self, base: str, account: str) -> list[Attempt]:
        """As `unsettled`; without an account those of all."""
        return self._select(statements.UNFINISHED, {"base": base, "account": account})

    def has(self, uid: str) -> bool:
        """Whether there is a row of this UID."""
        return bool(self.ask(statements.HAS, {"uid": uid}))

    def rows_of(self, base: str, account: str, file: Identity, path: str) -> list[Attempt]:
        """The rows of a file, named as `named` names it: the same identity, or the same path."""
        device, inode = str(file.device), str(file.inode)
        values = {
            "base": base, "account": account, "device": device, "inode": inode,
            "path": os.fsencode(path), "place": self.trust.place,
        }  # fmt: skip
        with self._locks.learning(key_of(base, account, file.device, file.inode)) as learn:
            found = self._select(statements.OF_FILE, values)
            named = (base, account, device, inode)
            learn(named, [row for row in found if file_in(row) == named], whole=True)
        return found

    def uids_of(
        self, base: str, account: str, files: Sequence[tuple[Identity, str]]
    ) -> list[set[str | None]]:
        """For each file and its path: the UIDs of its rows, as `rows_of` finds them.

        Rows are not judged: this is for leaving work out, and whoever works reads them anew.
        """
        values = {
            "base": base, "account": account,
            "devices": [str(file.device) for file, _ in files],
            "inodes": [str(file.inode) for file, _ in files],
            "paths": [os.fsencode(path) for _, path in files],
            "place": self.trust.place,
        }  # fmt: skip
        found: list[set[str | None]] = [set() for _ in files]
        for number, uid in self.ask(statements.UIDS_OF, values):
            found[number - 1].add(uid)
        return found

    def about(self, uids: Collection[str], ids: Collection[str]) -> list[Attempt]:
        """The rows of any of these UIDs or attempts, oldest first."""
        return self._select(statements.ABOUT, {"uids": list(uids), "ids": list(ids)})

    def again(self, attempt: Attempt) -> Attempt | None:
        """The row of ``attempt`` as it is on disk now, or None when it is gone."""
        with self._locks.learning(key_in(attempt)) as learn:
            found = self._select(statements.AGAIN, {"row": attempt.row})
            learn(file_in(attempt), [row for row in found if key_in(row) == key_in(attempt)])
        return next(iter(found), None)

    def counts(self) -> Mapping[str, int]:
        """How many rows are ``receipts``, ``debts``, ``kept`` and in ``all``, and the ``size``."""
        names = ("receipts", "debts", "kept", "all", "size")
        return dict(zip(names, self.ask(statements.COUNTS)[0], strict=True))

    def health(self) -> tuple[bool, float, float]:
        """Whether it may be written, the seconds of one answer, and the server's time of day."""
        rights = statements.RIGHTS if self.host else statements.RIGHT_TO_MAKE
        ((allowed,),) = self.ask(rights)
        began = time.monotonic()
        ((clock,),) = self.ask(statements.CLOCK)
        return bool(allowed), time.monotonic() - began, float(clock)

    def _select(self, sql: str, values: Values) -> list[Attempt]:
        found = self.ask(sql, values)
        try:
            return [attempt_in(row) for row in found]
        except Unsound as damage:
            raise words.unusable(self.link.where, f"has {damage}") from None

    # --- everybody else ---------------------------------------------------------------------------

    def company(self, base: str, account: str, label: str, calls: int) -> Company:
        """The others who share this journal; ``calls`` of the API in five minutes by all."""
        return Company(
            Budgets(self.link, base, account, calls), Presence(self.link, label, __version__)
        )

    # --- watched markers -------------------------------------------------------------------------

    def watch(self, attempt: Attempt) -> None:
        """Remember the marker of ``attempt``: a late or repeated create may still surface."""
        self.ask(statements.WATCH_IT, _watch_values(attempt))

    def watches(self, base: str, account: str) -> list[Attempt]:
        """The watched markers of an account, as attempts of which nothing else is known."""
        found = self.ask(statements.WATCHES, {"base": base, "account": account})
        try:
            return [watched_of(row) for row in found]
        except Unsound as damage:
            raise words.unusable(self.link.where, f"has {damage}") from None

    def unwatch(self, attempt: Attempt) -> None:
        """Forget the marker of ``attempt``."""
        self.ask(statements.UNWATCH, {"id": attempt.id})

    # --- locks -----------------------------------------------------------------------------------

    def named(self, file: Identity, path: str) -> Identity:
        """``file`` as every machine of the same place names it: by its real path."""
        return naming.named(file, path, self.trust.place)

    def lock(self, key: str, descriptor: int | None = None) -> Hold:
        """Hold the lock ``key``, and that of the source open as ``descriptor``. Raises `Busy`."""
        return self._locks.take(key, descriptor)

    def taken(self) -> Callable[[str], bool]:
        """Whether anybody holds a lock, as it is now."""
        numbers = {int(row[0]) for row in self.ask(statements.TAKEN)}
        return lambda key: number_of(key) in numbers

    def stands(self, key: str) -> bool:
        """Whether the lock ``key``, taken here, was held all the time since; asks nobody."""
        return self._locks.stands(key)

    def regain(self, key: str, wait: Wait) -> bool:
        """Hold the lock ``key`` again; whether its file's rows are as this process left them.

        Raises `Busy` where somebody else has it by now, `JournalProblem` when ``wait`` gave up.
        """
        return self._locks.regain(key, wait)


def _watch_values(attempt: Attempt) -> dict[str, object]:
    return dict(zip(WATCH, watch_of(attempt), strict=True))
