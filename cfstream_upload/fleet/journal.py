"""The journal that machines share: rows, watched markers and locks in one PostgreSQL database.

A row is written only under its file's lock, on the connection that holds that lock. Where the
connection was lost, a write raises `Estranged`: `regain` takes the lock again and reads the file's
rows anew; nothing may be sent for them before that. What is written without a lock (a stray video's
row, a watched marker) may be written twice and is the same.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from cfstream_upload import __version__
from cfstream_upload.attempt import Attempt, Identity, is_uid
from cfstream_upload.errors import Busy, Estranged, JournalProblem, Unreached
from cfstream_upload.fleet import holding, naming, schema, statements, words
from cfstream_upload.fleet.budgets import Budgets
from cfstream_upload.fleet.company import Company
from cfstream_upload.fleet.holding import Hold
from cfstream_upload.fleet.link import Link, Lost, Row
from cfstream_upload.fleet.presence import Presence
from cfstream_upload.lock import key_of
from cfstream_upload.rows import (
    COLUMNS,
    WATCH,
    Unsound,
    attempt_of,
    path_of,
    seal_of,
    values_of,
    watch_of,
    watched_of,
)
from cfstream_upload.statedir import prepare_folder, remembered_host, write_private

if TYPE_CHECKING:
    import psycopg

    from cfstream_upload.fleet.link import Values
    from cfstream_upload.ledger import Wait


MOST_LOST = 10
"""How often the connection may be lost over one statement (law 11)."""


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
class FleetJournal:
    """A `Ledger` in a database. Use `FleetJournal.open`."""

    url: str = field(repr=False)
    trust: Trust
    host: str = ""
    """The journal's random name, 32 hex digits: one for all machines, part of every marker."""
    server: int = 0
    """The server's version, as ``server_version_num`` has it."""
    _held: dict[str, Hold] = field(default_factory=dict)

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
        self._remembered: str | None = None
        self.link = Link(self.url, self._name, self._welcome, self.trust.gave_up)

    def close(self) -> None:
        """Free what is held and end the session."""
        for hold in list(self._held.values()):
            hold.source.release()
        self._held.clear()
        self.link.close()

    # --- a new connection ------------------------------------------------------------------------

    def _welcome(self, connection: psycopg.Connection[Any]) -> None:
        """Judge it, and take again what this process held."""
        found = schema.examined(self.link, connection, anew=self.trust.anew)
        self.server = found.server
        self._remembered = remembered_host(self.trust.state_dir, self._file(connection))
        if not self.trust.anew:
            self._known(connection, found)

        def ask(sql: str, values: Values) -> list[Row]:
            return self.link.ask_on(connection, sql, values)

        for key, hold in list(self._held.items()):
            if holding.taken_from_ghost(ask, key, self._ghost, self._name):
                hold.locked = self.link.tenure + 1
        self._ghost = connection.info.backend_pid

    def _known(self, connection: psycopg.Connection[Any], found: schema.Found) -> None:
        """Make it if it was never there, and see that it is the one that was there before."""
        before = self.host or self._remembered
        if before and not found.version and not found.filled:
            raise words.unusable(self.link.where, "was emptied or deleted")
        if self.trust.look and found.version < statements.VERSION and not found.filled:
            return
        schema.migrated(self.link, connection, found, None)
        host = schema.host_of(self.link, connection)
        if before and before != host:
            raise words.strange(self.link.where)
        self.host = host
        if not before:
            self._remember(connection)

    def _remember(self, connection: psycopg.Connection[Any]) -> None:
        """Tell the next run of this machine which journal this is; not every machine can."""
        folder = self.trust.state_dir
        with contextlib.suppress(OSError, JournalProblem):
            prepare_folder(folder)
            write_private(folder / self._file(connection), self.host.encode())

    def _file(self, connection: psycopg.Connection[Any]) -> str:
        info = connection.info
        address = f"{info.host}\0{info.port}\0{info.dbname}".encode()
        return f"fleet-{hashlib.sha256(address).hexdigest()[:16]}.id"

    # --- moved aside -----------------------------------------------------------------------------

    def old_host(self) -> str | None:
        """The name of a journal that may be damaged, as it or this machine remembers it."""
        found = None
        with contextlib.suppress(JournalProblem, Lost):
            rows = self.link.run(statements.HOST_OF)
            found = rows[0][0] if len(rows) == 1 else None
        return str(found) if is_uid(found) else self._remembered

    def begin_anew(self, host: str | None) -> None:
        """Rename the schema and make a new one, for ``host`` where that is known."""
        with self.link.turn():
            connection = self.link.connection()
            schema.moved_aside(self.link, connection)
            found = schema.examined(self.link, connection)
            schema.migrated(self.link, connection, found, host)
            self.host = schema.host_of(self.link, connection)
            self._remember(connection)

    # --- asking ----------------------------------------------------------------------------------

    def ask(self, sql: str, values: Values | None = None) -> list[Row]:
        """What a statement brings that may be carried out twice; waits for an outage to end."""
        wait = self.trust.waits()
        for _ in range(MOST_LOST):
            self._reached(wait)
            with contextlib.suppress(Lost):
                return self.link.run(sql, values)
        raise self._estranged()

    def _reached(self, wait: Wait) -> None:
        tries = 0
        while True:
            try:
                self.link.connect()
            except Unreached as problem:
                tries += 1
                if not wait(tries, problem.message):
                    raise
            else:
                return

    def _write(
        self, attempt: Attempt, sql: str, values: Values, left: tuple[int, bytes | None]
    ) -> list[Row]:
        """Write what belongs to a row; ``left`` is the row and the seal that it leaves."""
        hold = self._held.get(_key(attempt))
        if hold is None:
            if not left[0] and attempt.uid is None:
                return self._once(sql, values)
            return self.ask(sql, values)
        if not self._stands(hold):
            raise self._estranged()
        try:
            rows = self._insisted(sql, values, hold.stood)
        except Lost:
            hold.unsure = left
            raise self._estranged() from None
        row, seal = left
        if seal is None:
            hold.seals.pop(row, None)
        elif rows:
            hold.seals[rows[0][0]] = seal
        hold.file = _file_of(attempt)
        return rows

    def _insisted(self, sql: str, values: Values, tenure: int) -> list[Row]:
        """As `Link.run`, waiting where somebody has the table locked (a migration, a backup)."""
        wait, tries = self.trust.waits(), 0
        while True:
            try:
                return self.link.run(sql, values, tenure=tenure)
            except Unreached as problem:
                tries += 1
                if not wait(tries, problem.message):
                    raise

    def _once(self, sql: str, values: Values) -> list[Row]:
        self._reached(self.trust.waits())
        try:
            return self.link.run(sql, values)
        except Lost:
            raise self._estranged() from None

    def _estranged(self) -> Estranged:
        return Estranged(
            f"The connection to the journal in {self.link.where} was lost", "Run it again."
        )

    # --- rows ------------------------------------------------------------------------------------

    def record(self, attempt: Attempt, *, watch: bool = False) -> Attempt:
        """Write ``attempt`` durably, and watch its marker if told to; the answer has its row."""
        listed = values_of(attempt)
        seal = seal_of(listed)
        values = dict(zip(COLUMNS, listed, strict=True))
        values |= {"seal": seal, "row": attempt.row, "place": self.trust.place}
        if attempt.row:
            update = statements.UPDATE_AND_WATCH if watch else statements.UPDATE
            if not self._write(attempt, update, values, (attempt.row, seal)):
                # Under its lock nobody may: the database was restored. Its rows are read anew.
                family = Estranged if _key(attempt) in self._held else JournalProblem
                raise family(
                    f"Somebody removed an upload under way from the journal in {self.link.where}",
                    "See: cfupload status",
                )
            return attempt
        insert = statements.INSERT_AND_WATCH if watch else statements.INSERT
        rows = self._write(attempt, insert, values, (0, seal))
        if rows:
            return replace(attempt, row=int(rows[0][0]))
        # Two processes may find the same leftover: the row of the first stands for both.
        (known,) = self._select(statements.OF_UID, {"uid": attempt.uid})
        return replace(attempt, row=known.row)

    def remove(self, attempt: Attempt, *, watch: bool = True) -> None:
        """Drop the row of ``attempt``; its marker is watched from then on, unless told not to."""
        values = {**_watch_values(attempt), "row": attempt.row}
        drop = statements.DELETE_AND_WATCH if watch else statements.DELETE
        self._write(attempt, drop, values, (attempt.row, None))

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
        hold = self._held.get(key_of(base, account, file.device, file.inode))
        with self._learning(hold) as learn:
            found = self._select(statements.OF_FILE, values)
            named = (base, account, device, inode)
            learn(named, [row for row in found if _file_of(row) == named], whole=True)
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
        with self._learning(self._held.get(_key(attempt))) as learn:
            found = self._select(statements.AGAIN, {"row": attempt.row})
            learn(_file_of(attempt), [row for row in found if _key(row) == _key(attempt)])
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
        return [self._attempt(row) for row in self.ask(sql, values)]

    def _attempt(self, row: Row) -> Attempt:
        *values, seal, number = row
        try:
            return attempt_of(values, seal, int(number))
        except Unsound:
            file = path_of(values[COLUMNS.index("path")])
            of = f" of {file}" if file else ""
            raise words.unusable(
                self.link.where, f"has a damaged row, number {number}{of}"
            ) from None

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
        except Unsound:
            raise words.unusable(self.link.where, "has a damaged row, a watched marker") from None

    def unwatch(self, attempt: Attempt) -> None:
        """Forget the marker of ``attempt``."""
        self.ask(statements.UNWATCH, {"id": attempt.id})

    # --- locks -----------------------------------------------------------------------------------

    def named(self, file: Identity, path: str) -> Identity:
        """``file`` as every machine of the same place names it: by its real path."""
        return naming.named(file, path, self.trust.place)

    def lock(self, key: str, descriptor: int | None = None) -> Hold:
        """Hold the lock ``key``, and that of the source open as ``descriptor``. Raises `Busy`."""
        while True:
            self._reached(self.trust.waits())
            with contextlib.suppress(Lost):
                hold = self._taken(key)
                break
        if descriptor is not None:
            try:
                hold.add_source(descriptor)
            except BaseException:
                hold.release()
                raise
        return hold

    def _taken(self, key: str) -> Hold:
        with self.link.turn():
            # To the server, a session may hold a lock twice.
            if key in self._held:
                raise Busy("this process is already sending this file, under this or another name")
            tenure = self.link.tenure
            holding.insisted(self._asking(tenure), key)
            hold = Hold(key, tenure, tenure, self._freed)
            self._held[key] = hold
            return hold

    def _asking(self, tenure: int) -> holding.Ask:
        def ask(sql: str, values: Values) -> list[Row]:
            return self.link.run(sql, values, tenure=tenure)

        return ask

    def _freed(self, hold: Hold) -> None:
        with self.link.turn():
            if self._held.get(hold.key) is not hold:
                return
            del self._held[hold.key]
            # What a lost connection held is free already, or will be.
            with contextlib.suppress(Lost, JournalProblem):
                if hold.locked == self.link.tenure:
                    holding.freed(self._asking(hold.locked), hold.key)

    def taken(self) -> Callable[[str], bool]:
        """Whether anybody holds a lock, as it is now."""
        numbers = {int(row[0]) for row in self.ask(statements.TAKEN)}
        return lambda key: holding.number_of(key) in numbers

    def stands(self, key: str) -> bool:
        """Whether the lock ``key``, taken here, was held all the time since; asks nobody."""
        hold = self._held.get(key)
        return hold is None or self._stands(hold)

    def _stands(self, hold: Hold) -> bool:
        return hold.stood == self.link.tenure and self.link.alive

    def regain(self, key: str, wait: Wait) -> bool:
        """Hold the lock ``key`` again; whether its file's rows are as this process left them.

        Raises `Busy` where somebody else has it by now, `JournalProblem` when ``wait`` gave up.
        """
        hold = self._held.get(key)
        if hold is None:
            return True
        while True:
            self._reached(wait)
            with contextlib.suppress(Lost):
                return self._regained(hold)

    def _regained(self, hold: Hold) -> bool:
        with self.link.turn():
            tenure = self.link.tenure
            ask = self._asking(tenure)
            if hold.locked != tenure:
                holding.insisted(ask, hold.key)
                hold.locked = tenure
            found: dict[int, bytes] = {}
            if hold.file is not None:
                names = dict(zip(("base", "account", "device", "inode"), hold.file, strict=True))
                rows = [*hold.seals, *([hold.unsure[0]] if hold.unsure else [])]
                found = {n: bytes(s) for n, s in ask(statements.SEALS, {**names, "rows": rows})}
            # Of what was never read under the lock nobody knows who touched it.
            same = hold.file is not None and hold.is_as_left(found)
            known = found if hold.whole else {n: s for n, s in found.items() if n in hold.seals}
            hold.seals, hold.unsure, hold.stood = known, None, tenure
            return same

    @contextlib.contextmanager
    def _learning(self, hold: Hold | None) -> Iterator[Callable[..., None]]:
        """What is read under a lock that stands, before and after, is what its holder knows."""
        before = hold is not None and self._stands(hold)

        def learn(
            file: tuple[str, str, str, str], rows: list[Attempt], *, whole: bool = False
        ) -> None:
            if hold is None or not (before and self._stands(hold)):
                return
            seals = {row.row: seal_of(values_of(row)) for row in rows}
            hold.seals = seals if whole else {**hold.seals, **seals}
            hold.whole, hold.file = hold.whole or whole, file

        yield learn


def _key(attempt: Attempt) -> str:
    file = attempt.file
    return key_of(attempt.base, attempt.account, file.device, file.inode)


def _file_of(attempt: Attempt) -> tuple[str, str, str, str]:
    file = attempt.file
    return attempt.base, attempt.account, str(file.device), str(file.inode)


def _watch_values(attempt: Attempt) -> dict[str, object]:
    return dict(zip(WATCH, watch_of(attempt), strict=True))
