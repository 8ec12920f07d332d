"""What of the client is not as it is in real life: its waits, and the journal's place."""

from __future__ import annotations

import signal
import sqlite3
from collections.abc import Callable
from functools import cache
from pathlib import Path

from dying import Death
from simulation.story import Disaster
from simulation.world import World

from cfstream_upload.attempt import Attempt
from cfstream_upload.errors import JournalProblem
from cfstream_upload.fleet.journal import FleetJournal
from cfstream_upload.fleet.link import Lost, Row
from cfstream_upload.interruption import Interruption
from cfstream_upload.journal import Journal


class Notice(Interruption):
    """Signals whose waits take the world's time."""

    def __init__(self, world: World, befall: Callable[[Disaster], None]) -> None:
        super().__init__()
        self._world = world
        self._befall = befall
        self._at: float | None = None

    def stop(self, signum: int = signal.SIGINT) -> None:
        super().stop(signum)
        self._at = self._world.clock.now if self._at is None else self._at

    def asked_for(self, seconds: float) -> bool:
        return self._at is not None and self._world.clock.now - self._at >= seconds

    def pause(self, seconds: float, heard: int) -> None:
        struck = self._world.at("pause")
        for disaster in struck:
            self._befall(disaster)
        if self.count <= heard:
            self._world.sleep(seconds)
        if any(disaster.what == "dies after" for disaster in struck):
            raise Death


class Ledger(Journal):
    """A journal in memory, each of whose commits may be struck."""

    world: World
    befall: Callable[[Disaster], None]

    def __init__(self, folder: Path, connection: sqlite3.Connection) -> None:
        super().__init__(folder, connection)
        self._read: dict[object, list[Attempt]] = {}

    def _select(self, where: str, values: tuple[object, ...]) -> list[Attempt]:
        # Between two commits it answers the same: asking SQLite each time took a tenth of all.
        if (where, values) not in self._read:
            self._read[where, values] = super()._select(where, values)
        return list(self._read[where, values])

    def watches(self, base: str, account: str) -> list[Attempt]:
        if (base, account) not in self._read:
            self._read[base, account] = super().watches(base, account)
        return list(self._read[base, account])

    def _transact(self, statements: tuple[tuple[str, tuple[object, ...]], ...]) -> sqlite3.Cursor:
        struck = self.world.at("commit")
        for disaster in struck:
            self.befall(disaster)
        if any(disaster.what == "the commit fails" for disaster in struck):
            raise _broken_disk()
        self._read.clear()
        made = super()._transact(statements)
        for disaster in struck:
            if disaster.what == "the commit fails but is made":
                raise _broken_disk()
            if disaster.what == "dies after":
                raise Death
        return made


class FleetLedger(FleetJournal):
    """A journal in a database, each of whose commits may be struck; replies may be lost there."""

    world: World
    befall: Callable[[Disaster], None]

    def __post_init__(self) -> None:
        super().__post_init__()
        self._run = self.link.run
        self.link.run = self._struck  # type: ignore[method-assign]

    def _struck(self, sql: str, values: object = None, **how: object) -> list[Row]:
        ours = "cfupload.attempts" in sql or "cfupload.watches" in sql
        if not ours or not sql.startswith(("INSERT", "UPDATE", "DELETE", "WITH")):
            return self._run(sql, values, **how)  # type: ignore[arg-type]  # passed through
        struck = self.world.at("commit")
        for disaster in struck:
            self.befall(disaster)
        if any(disaster.what == "the commit fails" for disaster in struck):
            raise JournalProblem("The database has no room left")
        made = self._run(sql, values, **how)  # type: ignore[arg-type]
        for disaster in struck:
            if disaster.what == "the commit fails but is made":
                # Only a lost reply leaves that in doubt, and the session is lost with it.
                self.link._drop()
                raise Lost
            if disaster.what == "dies after":
                raise Death
        return made


def _broken_disk() -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR
    return error


@cache
def empty_journal() -> bytes:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    Journal(Path("/nowhere"), connection)._create()
    made = connection.serialize()
    connection.close()
    return made


class Kept:
    """A journal that one command's end does not close."""

    def __init__(self, journal: Journal | FleetLedger) -> None:
        self._journal = journal

    def __getattr__(self, name: str) -> object:
        return getattr(self._journal, name)

    def close(self) -> None:
        """The next command goes on with it."""
