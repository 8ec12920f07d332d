"""Everybody else on the same journal: what is shared with them, and what they are told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cfstream_upload import events
from cfstream_upload.fleet.budgets import Budgets
from cfstream_upload.fleet.presence import Presence
from cfstream_upload.result import Result


@dataclass
class Company:
    """A `ledger.Company` in the journal's database."""

    budgets: Budgets
    presence: Presence

    def spent(self) -> None:
        """One call of the API leaves."""
        self.budgets.spent()

    def refused(self, retry_after: float | None) -> None:
        """The API answered 429."""
        self.budgets.refused(retry_after)

    def admitted(self, encoding: Callable[[], int | None]) -> tuple[float, str]:
        """Take room for one more video; or seconds to wait first, and why."""
        return self.budgets.admitted(encoding)

    def hear(self, event: events.Event) -> None:
        """Take in what happened to a file."""
        self.presence.hear(event)

    def plan(self, files: int, size: int, *, leads: bool = False) -> None:
        """This process is to see to so many files of so many bytes in all.

        ``leads``: others send them for it.
        """
        self.presence.plan(files, size, leads=leads)

    def shown_at(self, dashboard: str) -> None:
        """Where Dask shows people what this run does."""
        self.presence.dashboard = dashboard

    def known_as(self, name: str) -> None:
        """What Dask calls this process."""
        self.presence.name = name

    def finished(self, result: Result, *, elsewhere: bool = False) -> None:
        """A file is done with, for this run; ``elsewhere``: another process sent it."""
        self.presence.finished(result, elsewhere=elsewhere)

    def close(self) -> None:
        """Say goodbye."""
        self.presence.close()
