"""A shared journal that is damaged or was emptied: its schema is moved aside, its name is kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from cfstream_upload.errors import Busy
from cfstream_upload.fleet import holding, statements
from cfstream_upload.fleet.journal import FleetJournal, Trust


@dataclass
class Damaged:
    """A journal that nobody uses. ``host`` is its name in markers, as far as it is known."""

    journal: FleetJournal
    host: str | None

    def move_aside(self) -> None:
        """Rename what is there, and begin a new journal of the same name."""
        self.journal.begin_anew(self.host)


@contextmanager
def anew(url: str, trust: Trust, host: str | None) -> Iterator[Damaged]:
    """Hold what keeps everybody else from sending. Raises `Busy` while anybody does."""
    journal = FleetJournal.open(url, replace(trust, anew=True))
    try:
        numbers = {"gate": statements.GATE}
        ((alone,),) = journal.link.run(statements.TAKE_GATE_ALONE, numbers)
        if not alone:
            found = holding.holder(journal.link.run, statements.GATE)
            name = holding.shown(found[1]) if found else ""
            raise Busy(
                f"another process{f' ({name})' if name else ''} is sending with this journal"
            )
        yield Damaged(journal, journal.old_host() or host)
    finally:
        journal.close()
