"""What the program asks of a journal, whatever it is made of.

`journal.Journal` is one SQLite file of this machine; `fleet.journal.FleetJournal` is a database
that many machines share. Both pass one contract: ``tests/test_journal.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Protocol, Self

from cfstream_upload.attempt import Attempt, Identity
from cfstream_upload.events import Event
from cfstream_upload.result import Result

Wait = Callable[[int, str], bool]
"""Waits before try number ``n`` for the reason in words; False: it is not worth another try."""


class Held(Protocol):
    """A lock that is held; a context manager that frees it."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def release(self) -> None:
        """Free the lock; a second call does nothing."""

    def add_source(self, descriptor: int) -> None:
        """Lock the open file too, if its file system can. Raises `Busy`."""


class Company(Protocol):
    """Everybody else on the same journal. Nothing of the promise depends on it."""

    def spent(self) -> None:
        """One call of the API leaves; never waits."""

    def refused(self, retry_after: float | None) -> None:
        """The API answered 429, and perhaps with how many seconds to wait."""

    def admitted(self, encoding: Callable[[], int | None]) -> tuple[float, str]:
        """Take room for one more video; or so many seconds to wait first, and why.

        ``encoding`` asks Stream how many videos it has in encoding, None where it would not say.
        """

    def hear(self, event: Event) -> None:
        """Take in what happened to a file."""

    def plan(self, files: int, size: int, *, leads: bool = False) -> None:
        """This process is to see to so many files of so many bytes in all.

        ``leads``: others send them for it.
        """

    def shown_at(self, dashboard: str) -> None:
        """Where Dask shows people what this run does."""

    def known_as(self, name: str) -> None:
        """What Dask calls this process."""

    def finished(self, result: Result, *, elsewhere: bool = False) -> None:
        """A file is done with, for this run; ``elsewhere``: another process sent it."""

    def close(self) -> None:
        """Say goodbye."""


class Ledger(Protocol):
    """The rows, the watched markers and the locks of everybody who shares this journal.

    Safe to use from several threads. Any call may raise `JournalProblem`; one that writes raises
    `Estranged` where the lock of its row is no longer known to be held: nothing may be sent for
    that row until `regain` returned and the row was read anew.
    """

    @property
    def host(self) -> str:
        """The random name in markers, 32 hex digits: one for all who share this journal."""

    def record(self, attempt: Attempt, *, watch: bool = False) -> Attempt:
        """Write ``attempt`` durably, and watch its marker if told to; the answer has its row."""

    def remove(self, attempt: Attempt, *, watch: bool = True) -> None:
        """Drop the row of ``attempt``; its marker is watched from then on, unless told not to."""

    def rows(self, base: str | None = None, account: str | None = None) -> list[Attempt]:
        """All rows, or those of one account at one API base, oldest first."""

    def unsettled(self, base: str, account: str) -> list[Attempt]:
        """The rows of an account that are no receipts: few, however many files were sent."""

    def has(self, uid: str) -> bool:
        """Whether there is a row of this UID."""

    def uids_of(
        self, base: str, account: str, files: Sequence[tuple[Identity, str]]
    ) -> list[set[str | None]]:
        """For each file and its path: the UIDs of its rows, as `rows_of` finds them."""

    def rows_of(self, base: str, account: str, file: Identity, path: str) -> list[Attempt]:
        """The rows of a file, named as `named` names it: the same identity, or the same path."""

    def about(self, uids: Collection[str], ids: Collection[str]) -> list[Attempt]:
        """The rows of any of these UIDs or attempts, oldest first."""

    def again(self, attempt: Attempt) -> Attempt | None:
        """The row of ``attempt`` as it is on disk now, or None when it is gone."""

    def watch(self, attempt: Attempt) -> None:
        """Remember the marker of ``attempt``: a late or repeated create may still surface."""

    def watches(self, base: str, account: str) -> list[Attempt]:
        """The watched markers of an account, as attempts of which nothing else is known."""

    def unwatch(self, attempt: Attempt) -> None:
        """Forget the marker of ``attempt``."""

    def named(self, file: Identity, path: str) -> Identity:
        """``file`` as this journal names it; ``path`` is absolute, links kept."""

    def lock(self, key: str, descriptor: int | None = None) -> Held:
        """Hold the lock ``key``, and that of the source open as ``descriptor``. Raises `Busy`."""

    def taken(self) -> Callable[[str], bool] | None:
        """Whether anybody holds a lock, as it is now; None where only taking one can tell."""

    def stands(self, key: str) -> bool:
        """Whether the lock ``key``, taken here, was held all the time since; asks nobody."""

    def regain(self, key: str, wait: Wait) -> bool:
        """Hold the lock ``key`` again; whether its file's rows are as this process left them.

        Raises `Busy` where somebody else has it by now, `JournalProblem` when ``wait`` gave up.
        """

    def company(self, base: str, account: str, label: str, calls: int) -> Company | None:
        """The others who share this journal; None where it is of one machine.

        ``calls`` of the API may be made in five minutes by all together, 0: any number.
        """

    def close(self) -> None:
        """Free what is held and close it."""
