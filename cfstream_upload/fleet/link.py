"""The one connection of a process to the journal's database, watched for its death.

Locks are the session's, and rows are written on the connection that holds them: where the server
ended the session, and gave its locks to others, nothing can be written any more. That is the
fence. The watch makes it known soon; `timing` says how soon.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from cfstream_upload.errors import JournalProblem
from cfstream_upload.fleet import connecting, line, timing, words
from cfstream_upload.fleet.statements import ALIVE, SET, SETTINGS

if TYPE_CHECKING:
    import psycopg

Row = Sequence[Any]
Values = Mapping[str, object]


class Lost(Exception):
    """The connection is gone; whether the last statement was carried out is not known."""


def _now() -> float:
    """Seconds that also pass while the machine sleeps, where the system can tell."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


class Link:
    """A connection, and those that follow it.

    ``prepare`` is given each new connection before anybody else uses it, and ``gave_up`` ends a
    connecting early. ``tenure`` is the number of the connection: what was locked in an earlier one
    is locked no more. Threads share it, one statement at a time.
    """

    def __init__(
        self,
        url: str,
        name: str,
        prepare: Callable[[psycopg.Connection[Any]], None],
        gave_up: Callable[[], bool],
    ) -> None:
        self._url, self._name = url, name
        self._prepare, self._gave_up = prepare, gave_up
        self._driver = connecting.driver()
        self._connection: psycopg.Connection[Any] | None = None
        self._turn = threading.RLock()
        self._closing = threading.Event()
        self._watcher: threading.Thread | None = None
        self._heard = 0.0
        self._busy: tuple[psycopg.Connection[Any], float, float] | None = None
        self._failed_at = -1.0
        self._failure: JournalProblem | None = None
        self.tenure = 0
        self.where = connecting.where(self._driver, url)

    # --- what others ask -------------------------------------------------------------------------

    @property
    def alive(self) -> bool:
        """Whether the server was heard of lately; asks nobody."""
        connection = self._connection
        if connection is None or connection.closed:
            return False
        return _now() - self._heard < timing.SILENCE

    def run(
        self,
        sql: str,
        values: Values | None = None,
        *,
        tenure: int | None = None,
        within: float | None = None,
    ) -> list[Row]:
        """The rows that a statement brings, within so many seconds (else `timing.REPLY`).

        Raises `Lost`, also where the connection is no longer that of ``tenure``; `JournalProblem`
        for what the server says while the connection stands.
        """
        with self._turn:
            connection = self._connection
            if connection is None or (tenure is not None and tenure != self.tenure):
                raise Lost
            try:
                return self._on(connection, sql, values, within)
            except self._driver.Error as error:
                if self._is_over(connection, error):
                    self._drop()
                    raise Lost from None
                raise words.in_words(self.where, error) from None

    def connect(self) -> None:
        """Make sure of a connection that answers now. Raises `JournalProblem`."""
        with self._turn:
            if self._connection is not None and self._answers():
                return
            if self._failure and _now() - self._failed_at < timing.LOOK * 2:
                raise self._failure  # another thread asked just now
            try:
                self._connect()
            except JournalProblem as problem:
                self._failed_at, self._failure = _now(), problem
                raise
            self._failure = None

    def connection(self) -> psycopg.Connection[Any]:
        """The connection itself, for whoever has its `turn`. Raises `Lost`."""
        if self._connection is None:
            raise Lost
        return self._connection

    def turn(self) -> threading.RLock:
        """To be held over several statements."""
        return self._turn

    def close(self) -> None:
        """End the session, and its locks with it."""
        self._closing.set()
        with self._turn:
            self._drop()
        if self._watcher is not None and self._watcher is not threading.current_thread():
            self._watcher.join()

    # --- one statement ---------------------------------------------------------------------------

    def _on(
        self,
        connection: psycopg.Connection[Any],
        sql: str,
        values: Values | None,
        within: float | None,
    ) -> list[Row]:
        now = _now()
        self._busy = (connection, now + timing.HURRIED, now + (within or timing.REPLY))
        try:
            cursor = connection.execute(sql.encode(), values)
            found = cursor.fetchall() if cursor.description else []
        finally:
            self._busy = None
        self._heard = _now()
        return found

    def _is_over(self, connection: psycopg.Connection[Any], error: psycopg.Error) -> bool:
        state = error.sqlstate or ""
        # 57P01 to 57P05: the server ends, was ended, or ended this session.
        return connection.closed or connection.broken or state[:3] in ("57P", "08")

    def _answers(self) -> bool:
        if self.alive and not line.is_readable(self._connection):
            return True
        with suppress(Lost, JournalProblem):
            self.run(ALIVE)
            return True
        return False

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(self._driver.Error):
                connection.close()

    # --- a new connection ------------------------------------------------------------------------

    def _connect(self) -> None:
        self._drop()
        if self._watcher is None:
            self._watcher = threading.Thread(
                target=self._watch, name="cfupload-journal", daemon=True
            )
            self._watcher.start()
        connection = connecting.connected(
            self._driver, self._url, self._name, self.where, self._is_given_up
        )
        try:
            wished = {**SETTINGS, **timing.SERVER}
            self.ask_on(connection, SET, {"names": [*wished], "values": [*wished.values()]})
            self._prepare(connection)
        except self._driver.Error as error:
            over = self._is_over(connection, error)
            connection.close()
            judged = words.not_connected if over else words.in_words
            raise judged(self.where, error) from None
        except BaseException:
            connection.close()
            raise
        self._heard = _now()
        self._connection = connection
        self.tenure += 1

    def ask_on(
        self,
        connection: psycopg.Connection[Any],
        sql: str,
        values: Values | None = None,
        within: float | None = None,
    ) -> list[Row]:
        """As `run`, for a connection that nobody else has yet; raises what the driver raises."""
        return self._on(connection, sql, values, within)

    def _is_given_up(self) -> bool:
        return self._closing.is_set() or self._gave_up()

    # --- the watch -------------------------------------------------------------------------------

    def _watch(self) -> None:
        while not self._closing.wait(timing.LOOK):
            busy, connection = self._busy, self._connection
            if busy is not None:
                asked, soon, late = busy
                if _now() > (soon if self._gave_up() else late):
                    with suppress(self._driver.Error):  # it may have been closed meanwhile
                        line.cut(asked)
            elif connection is not None and self._turn.acquire(blocking=False):
                try:
                    self._look(connection)
                finally:
                    self._turn.release()

    def _look(self, connection: psycopg.Connection[Any]) -> None:
        if connection is not self._connection:
            return
        try:
            if line.is_readable(connection):
                # The server's farewell, or a notice to nobody.
                connection.pgconn.consume_input()
                if connection.pgconn.status != self._driver.pq.ConnStatus.OK:
                    self._drop()
                    return
                if line.is_readable(connection) and line.is_at_end(connection):
                    self._drop()
                    return
            if _now() - self._heard > timing.HEARTBEAT and not self._pulse(connection):
                self._drop()
        except (self._driver.Error, OSError, ValueError):
            self._drop()

    def _pulse(self, connection: psycopg.Connection[Any]) -> bool:
        """Ask for one word, and wait for it no longer than for any answer."""
        raw, ends = connection.pgconn, _now() + timing.REPLY
        raw.send_query(ALIVE.encode())
        while True:
            raw.flush()
            if not line.is_readable(connection, timing.LOOK):
                if self._closing.is_set() or _now() > ends:
                    return False
                continue
            raw.consume_input()
            while not raw.is_busy():
                if raw.get_result() is None:
                    self._heard = _now()
                    return True
