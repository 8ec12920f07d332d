"""One account, opened: its API, the wire to it, and the journal of this state directory."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Self

from cfstream_upload import events
from cfstream_upload.attempt import Attempt, Identity
from cfstream_upload.config import Secret, Settings
from cfstream_upload.ending import Policy
from cfstream_upload.errors import Busy, Estranged, Interrupted
from cfstream_upload.interruption import Interruption
from cfstream_upload.journal import Journal
from cfstream_upload.ledger import Company, Held, Ledger
from cfstream_upload.locations import is_url
from cfstream_upload.lock import key_of
from cfstream_upload.outage import Outage
from cfstream_upload.result import Result
from cfstream_upload.safetext import Redactor
from cfstream_upload.stores import Stores
from cfstream_upload.stream import Stream
from cfstream_upload.throttle import Throttle
from cfstream_upload.transfer import Room
from cfstream_upload.wire import Patience, Wire


def _silent(_: events.Event) -> None:
    return None


@dataclass
class Session:
    """What every command works with; the journal is opened by the first that needs it.

    ``stall`` and ``connect_timeout`` are seconds, ``throttle`` limits all uploads together,
    ``redactor`` learns the secrets that are used, ``stores`` open what is sent. Close it, or use
    it in a ``with``.
    """

    settings: Settings
    policy: Policy = field(default_factory=Policy)
    interruption: Interruption = field(default_factory=Interruption)
    tell: events.Listener = _silent
    stall: float = 60.0
    connect_timeout: float = 10.0
    throttle: Throttle | None = None
    redactor: Redactor = field(default_factory=Redactor)
    calls: int = 1200
    """Of the API in five minutes, by all who share the journal; 0: any number."""
    stores: Stores = field(default_factory=Stores)
    looked_at: float | None = field(default=None, init=False)
    """When this run last looked for the account's watched markers."""
    said_at: float | None = field(default=None, init=False)
    """When this run last said that new uploads wait for their turn."""

    def __post_init__(self) -> None:
        def said(file: str, words: str, tries: int, seconds: float) -> None:
            self.tell(events.Retrying(file, words, tries, seconds))

        policy = self.policy
        self.stores.heed(self.interruption, policy.retries, policy.retry_max_time, said)

    @cached_property
    def wire(self) -> Wire:
        """The one HTTP client."""
        settings = self.settings
        return Wire(
            api_base=settings.base,
            token=settings.token.reveal(),
            ca_cert=settings.ca_cert,
            proxy=settings.proxy.reveal() if settings.proxy else None,
            connect_timeout=self.connect_timeout,
            redactor=self.redactor,
        )

    @cached_property
    def api(self) -> Stream:
        """The Video API of the account."""
        return Stream(self.wire, self.settings.base, self.settings.account, self)

    def spent(self) -> None:
        """A call of the API leaves: whoever shares the journal hears of it."""
        # A command that needs no journal opens none for that.
        if "journal" in self.__dict__ and self.company is not None:
            self.company.spent()

    def refused(self, retry_after: float | None) -> None:
        """A call of the API was answered with 429."""
        if "journal" in self.__dict__ and self.company is not None:
            self.company.refused(retry_after)

    @cached_property
    def company(self) -> Company | None:
        """Everybody else on the same journal; None where it is of this machine alone."""
        settings = self.settings
        return self.journal.company(settings.base, settings.account, settings.label, self.calls)

    @cached_property
    def journal(self) -> Ledger:
        """The journal of the state directory. Raises `JournalProblem`."""
        if self.settings.journal is not None:
            return self._shared_journal(self.settings.journal)
        return Journal.open(self.settings.state_dir)

    def _shared_journal(self, url: Secret) -> Ledger:
        # Its driver costs 0.3 s: only who shares a journal pays for it.
        from cfstream_upload.fleet.journal import FleetJournal, Trust

        settings, gave_up = self.settings, self.outage().gave_up
        trust = Trust(settings.state_dir, settings.place, self.outage, gave_up)
        return FleetJournal.open(url.reveal(), trust)

    def forget_journal(self) -> None:
        """Close the journal; the next use opens it anew."""
        if "journal" in self.__dict__:
            self.__dict__.pop("journal").close()

    def outage(self, file: str = "") -> Outage:
        """A patience with a journal that does not answer, told as that of ``file``."""
        tell = self.tell
        return Outage(self.policy, self.interruption, tell, time.monotonic, random.random, file)

    @cached_property
    def room(self) -> Room:
        """What the conductor works with."""
        _ = self.company  # before there are threads
        return Room(
            self.journal, self.wire, self.api, self.policy, self.interruption, self.told,
            self.stall, throttle=self.throttle,
        )  # fmt: skip

    @property
    def host(self) -> str:
        """The host part of the markers that this session writes."""
        return self.settings.host_id or self.journal.host

    def patience(self) -> Patience:
        """For one small call outside an upload."""
        return Patience(60.0, self.stall, self._noticed)

    def _noticed(self) -> bool:
        if self.interruption.count:
            raise Interrupted("Interrupted", signum=self.interruption.signum)
        return False

    def named(self, file: Identity, path: str) -> Identity:
        """``file`` as the journal names it; none is made for that where there is none yet."""
        if self.settings.journal is None and "journal" not in self.__dict__:
            return file
        return self.journal.named(file, path)

    def key(self, attempt: Attempt) -> str:
        """The name of the lock under which ``attempt`` is run."""
        file = attempt.file
        return key_of(attempt.base, attempt.account, file.device, file.inode)

    def lock(self, key: str, descriptor: int | None = None) -> Held:
        """Hold a file's lock. Raises `Busy`."""
        return self.journal.lock(key, None if descriptor == -1 else descriptor)

    @contextmanager
    def lock_of(self, attempt: Attempt) -> Iterator[None]:
        """Hold the lock of a row, and that on its file where it still is. Raises `Busy`.

        A lock file that somebody deleted lets a second holder in; the file itself does not.
        """
        descriptor = self._opened_as(attempt)
        try:
            with self.lock(self.key(attempt), descriptor):
                yield
        finally:
            if descriptor is not None:
                os.close(descriptor)

    def _opened_as(self, attempt: Attempt) -> int | None:
        """A descriptor of the file of ``attempt``, None where its path leads elsewhere by now."""
        if is_url(attempt.path):
            return None
        try:
            descriptor = os.open(attempt.path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        except (OSError, ValueError):
            return None
        status, file = os.fstat(descriptor), attempt.file
        here = Identity(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, "")
        here = self.named(here, attempt.path)
        if (here.device, here.inode) == (file.device, file.inode):
            return descriptor
        os.close(descriptor)
        return None

    def is_running(self, attempt: Attempt) -> bool:
        """Whether some process holds the lock of ``attempt``."""
        try:
            with self.lock_of(attempt):
                return False
        except Busy:
            return True

    def running(self) -> Callable[[Attempt], bool]:
        """As `is_running`, for many rows: at once where the journal can tell."""
        taken = self.journal.taken()
        return self.is_running if taken is None else lambda attempt: taken(self.key(attempt))

    def regain(self, key: str, file: str) -> bool:
        """Hold a file's lock again; whether its rows are as they were left. As the ledger's."""
        while True:
            with suppress(Estranged):  # lost once more, between the two
                return self.journal.regain(key, self.outage(file))

    def rows(self) -> list[Attempt]:
        """The journal's rows of this account; all of them where none is set."""
        if not self.settings.account:
            return self.journal.rows()
        return self.journal.rows(self.settings.base, self.settings.account)

    def about(self, uids: Collection[str], ids: Collection[str]) -> list[Attempt]:
        """The rows of this account with any of these UIDs or attempts."""
        here = (self.settings.base, self.settings.account)
        found = self.journal.about(uids, ids)
        return [row for row in found if (row.base, row.account) == here]

    def unsettled(self) -> list[Attempt]:
        """The rows of this account that are no receipts."""
        return self.journal.unsettled(self.settings.base, self.settings.account)

    def wanted(self, attempt: Attempt) -> Attempt:
        """``attempt`` as a debt to be paid now: with a time in which that must be done."""
        until = self.room.clock() + self.policy.rollback
        # A lost create that was looked for before needs one more look, not the whole series.
        finds = 0 if attempt.since is None else len(self.policy.find_pauses) - 1
        return attempt.knows(until=until, finds=finds)

    def resumable(self, attempt: Attempt) -> Attempt:
        """``attempt`` as this run's own: what an earlier run wanted kept is taken up again."""
        return replace(attempt, kept=False)

    def finished(self, result: Result, *, elsewhere: bool = False) -> None:
        """A file is done with, for this run; ``elsewhere``: another process sent it."""
        if "journal" in self.__dict__ and self.company is not None:
            self.company.finished(result, elsewhere=elsewhere)

    def told(self, event: events.Event) -> None:
        """Let everybody hear of ``event`` who is to: console or caller, and the fleet."""
        if self.company is not None:
            self.company.hear(event)
        self.tell(event)

    def close(self) -> None:
        """Close what was opened."""
        for name in ("wire", "company", "journal"):
            if opened := self.__dict__.pop(name, None):
                opened.close()
        self.stores.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
