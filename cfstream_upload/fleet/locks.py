"""The locks that this process holds, and what it knows and may write under them.

A row is written only under its file's lock, on the connection that holds that lock. Where the
connection was lost, a write raises `Estranged`: `regain` takes the lock again and reads the file's
rows anew; nothing may be sent for them before that.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from cfstream_upload.attempt import Attempt
from cfstream_upload.errors import Busy, JournalProblem
from cfstream_upload.fleet import holding, statements
from cfstream_upload.fleet.holding import Hold
from cfstream_upload.fleet.link import Lost
from cfstream_upload.lock import key_of
from cfstream_upload.rows import seal_of, values_of

if TYPE_CHECKING:
    from cfstream_upload.fleet.link import Row, Values
    from cfstream_upload.fleet.reaching import Reach
    from cfstream_upload.ledger import Wait


class Locks:
    """What this process holds, by the keys of `lock.key_of`. Safe to use from several threads."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._link = reach.link
        self._held: dict[str, Hold] = {}

    def close(self) -> None:
        """Free the sources; the locks end with the session."""
        for hold in list(self._held.values()):
            hold.source.release()
        self._held.clear()

    def take_again(self, ask: holding.Ask, ghost: int, name: str) -> None:
        """Take on a connection that is to be the next one what backend ``ghost`` held for us."""
        for key, hold in list(self._held.items()):
            if holding.taken_from_ghost(ask, key, ghost, name):
                hold.locked = self._link.tenure + 1

    # --- taken and freed -------------------------------------------------------------------------

    def take(self, key: str, descriptor: int | None = None) -> Hold:
        """Hold the lock ``key``, and that of the source open as ``descriptor``.

        Raises `Busy`, and `JournalProblem` where the database cannot be reached.
        """
        hold = self._reach.again(lambda: self._taken(key), self._reach.waits())
        if descriptor is not None:
            try:
                hold.add_source(descriptor)
            except BaseException:
                hold.release()
                raise
        return hold

    def _taken(self, key: str) -> Hold:
        with self._link.turn():
            # To the server, a session may hold a lock twice.
            if key in self._held:
                raise Busy("this process is already sending this file, under this or another name")
            tenure = self._link.tenure
            holding.insisted(self._asking(tenure), key)
            hold = Hold(key, tenure, tenure, self._freed)
            self._held[key] = hold
            return hold

    def _asking(self, tenure: int) -> holding.Ask:
        def ask(sql: str, values: Values) -> list[Row]:
            return self._link.run(sql, values, tenure=tenure)

        return ask

    def _freed(self, hold: Hold) -> None:
        with self._link.turn():
            if self._held.get(hold.key) is not hold:
                return
            del self._held[hold.key]
            # What a lost connection held is free already, or will be.
            with contextlib.suppress(Lost, JournalProblem):
                if hold.locked == self._link.tenure:
                    holding.freed(self._asking(hold.locked), hold.key)

    # --- lost and regained -----------------------------------------------------------------------

    def stands(self, key: str) -> bool:
        """Whether the lock ``key``, taken here, was held all the time since; asks nobody."""
        hold = self._held.get(key)
        return hold is None or self._stands(hold)

    def _stands(self, hold: Hold) -> bool:
        return hold.stood == self._link.tenure and self._link.alive

    def regain(self, key: str, wait: Wait) -> bool:
        """Hold the lock ``key`` again; whether its file's rows are as this process left them.

        Raises `Busy` where somebody else has it by now, `JournalProblem` when ``wait`` gave up.
        """
        hold = self._held.get(key)
        if hold is None:
            return True
        return self._reach.again(lambda: self._regained(hold), wait)

    def _regained(self, hold: Hold) -> bool:
        with self._link.turn():
            tenure = self._link.tenure
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

    def holds(self, attempt: Attempt) -> bool:
        """Whether the lock of the file of ``attempt`` was taken here."""
        return key_in(attempt) in self._held

    # --- rows under a lock -----------------------------------------------------------------------

    @contextlib.contextmanager
    def learning(self, key: str) -> Iterator[Callable[..., None]]:
        """What is read under a lock that stands, before and after, is what its holder knows."""
        hold = self._held.get(key)
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

    def write(
        self, attempt: Attempt, sql: str, values: Values, left: tuple[int, bytes | None]
    ) -> list[Row]:
        """Write what belongs to a row; ``left`` is the row and the seal that it leaves.

        Without a lock (a stray video's row) it may be written twice and is the same. Raises
        `Estranged`.
        """
        hold = self._held.get(key_in(attempt))
        if hold is None:
            if not left[0] and attempt.uid is None:
                return self._reach.once(sql, values)
            return self._reach.ask(sql, values)
        if not self._stands(hold):
            raise self._reach.estranged()
        try:
            rows = self._reach.insisted(sql, values, hold.stood)
        except Lost:
            hold.unsure = left
            raise self._reach.estranged() from None
        row, seal = left
        if seal is None:
            hold.seals.pop(row, None)
        elif rows:
            hold.seals[rows[0][0]] = seal
        hold.file = file_in(attempt)
        return rows


def key_in(attempt: Attempt) -> str:
    """The key of the lock of the file of ``attempt``."""
    file = attempt.file
    return key_of(attempt.base, attempt.account, file.device, file.inode)


def file_in(attempt: Attempt) -> tuple[str, str, str, str]:
    """The file of ``attempt`` as (base, account, device, inode) of its rows."""
    file = attempt.file
    return attempt.base, attempt.account, str(file.device), str(file.inode)
