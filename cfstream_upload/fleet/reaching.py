"""Statements for those who wait until an outage of the database is over."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from cfstream_upload.errors import Estranged, JournalProblem, Unreached
from cfstream_upload.fleet.link import Lost

if TYPE_CHECKING:
    from cfstream_upload.fleet.link import Link, Row, Values
    from cfstream_upload.ledger import Wait

MOST_LOST = 10
"""How often the connection may be lost over one statement (law 11)."""


_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Reach:
    """A link, and ``waits``, which makes a new patience for each outage."""

    link: Link
    waits: Callable[[], Wait]

    def connect(self, wait: Wait) -> None:
        """Make sure of a connection. Raises `JournalProblem` when ``wait`` gave up."""
        _waited(wait, self.link.connect)

    def ask(self, sql: str, values: Values | None = None) -> list[Row]:
        """What a statement brings that may be carried out twice."""
        wait = self.waits()
        for _ in range(MOST_LOST):
            self.connect(wait)
            with contextlib.suppress(Lost):
                return self.link.run(sql, values)
        raise self.estranged()

    def again(self, act: Callable[[], _T], wait: Wait) -> _T:
        """What ``act`` brings, from its beginning each time the connection is lost over it.

        Raises `JournalProblem` when ``wait`` gave up, or no connection lasts.
        """
        for _ in range(MOST_LOST):
            self.connect(wait)
            with contextlib.suppress(Lost):
                return act()
        raise JournalProblem(
            f"The connection to the journal in {self.link.where} is lost again and again",
            "Look at the server's log.",
        )

    def once(self, sql: str, values: Values) -> list[Row]:
        """What a statement brings that may not. Raises `Estranged`."""
        self.connect(self.waits())
        try:
            return self.link.run(sql, values)
        except Lost:
            raise self.estranged() from None

    def insisted(self, sql: str, values: Values, tenure: int) -> list[Row]:
        """As `Link.run`, waiting where somebody has the table locked (a migration, a backup)."""
        return _waited(self.waits(), lambda: self.link.run(sql, values, tenure=tenure))

    def estranged(self) -> Estranged:
        """The connection was lost, and with it what is known of the rows."""
        return Estranged(
            f"The connection to the journal in {self.link.where} was lost", "Run it again."
        )


def _waited(wait: Wait, act: Callable[[], _T]) -> _T:
    tries = 0
    while True:
        try:
            return act()
        except Unreached as problem:
            tries += 1
            if not wait(tries, problem.message):
                raise
