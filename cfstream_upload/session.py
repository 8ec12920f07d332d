"""One account, opened: its API, the wire to it, and the journal of this state directory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Self

from cfstream_upload import events
from cfstream_upload.attempt import Attempt
from cfstream_upload.config import Settings
from cfstream_upload.ending import Policy
from cfstream_upload.errors import Busy, Interrupted
from cfstream_upload.interruption import Interruption
from cfstream_upload.journal import Journal
from cfstream_upload.locations import is_url
from cfstream_upload.lock import Lock, hold, key_of
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
    stores: Stores = field(default_factory=Stores)
    looked_at: float | None = field(default=None, init=False)
    """When this run last looked for the account's watched markers."""

    def __post_init__(self) -> None:
        def said(file: str, words: str, tries: int, seconds: float) -> None:
            self.tell(events.Retrying(file, words, tries, seconds))

        self.stores.heed(self.interruption, self.policy.retries, said)

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
        return Stream(self.wire, self.settings.base, self.settings.account)

    @cached_property
    def journal(self) -> Journal:
        """The journal of the state directory. Raises `JournalProblem`."""
        return Journal.open(self.settings.state_dir)

    @cached_property
    def room(self) -> Room:
        """What the conductor works with."""
        return Room(
            self.journal, self.wire, self.api, self.policy, self.interruption, self.tell,
            self.stall, throttle=self.throttle,
        )  # fmt: skip

    @property
    def host(self) -> str:
        """The host part of the markers that this session writes."""
        return self.settings.host_id or self.journal.host

    @property
    def locks(self) -> Path:
        """Where lock files are."""
        return self.settings.state_dir / "locks"

    def patience(self) -> Patience:
        """For one small call outside an upload."""
        return Patience(60.0, self.stall, self._noticed)

    def _noticed(self) -> bool:
        if self.interruption.count:
            raise Interrupted("Interrupted", signum=self.interruption.signum)
        return False

    def key(self, attempt: Attempt) -> str:
        """The name of the lock under which ``attempt`` is run."""
        file = attempt.file
        return key_of(attempt.base, attempt.account, file.device, file.inode)

    def lock(self, key: str, descriptor: int | None = None) -> Lock:
        """Hold a file's lock. Raises `Busy`."""
        return hold(self.locks, key, descriptor=None if descriptor == -1 else descriptor)

    @contextmanager
    def lock_of(self, attempt: Attempt) -> Iterator[None]:
        """Hold the lock of a row, and that on its file where it still is. Raises `Busy`.

        A lock file that somebody deleted lets a second holder in; the file itself does not.
        """
        descriptor = _opened_as(attempt)
        try:
            with self.lock(self.key(attempt), descriptor):
                yield
        finally:
            if descriptor is not None:
                os.close(descriptor)

    @contextmanager
    def nobody_sending(self) -> Iterator[None]:
        """Hold every lock of the state directory. Raises `Busy` if anybody has one."""
        with ExitStack() as held:
            for path in sorted(self.locks.glob("*.lock")):
                held.enter_context(self.lock(path.stem))
            yield

    def is_running(self, attempt: Attempt) -> bool:
        """Whether some process holds the lock of ``attempt``."""
        try:
            with self.lock_of(attempt):
                return False
        except Busy:
            return True

    def rows(self) -> list[Attempt]:
        """The journal's rows of this account; all of them where none is set."""
        if not self.settings.account:
            return self.journal.rows()
        return self.journal.rows(self.settings.base, self.settings.account)

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

    def close(self) -> None:
        """Close what was opened."""
        for name in ("wire", "journal"):
            if name in self.__dict__:
                self.__dict__.pop(name).close()
        self.stores.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _opened_as(attempt: Attempt) -> int | None:
    """A descriptor of the file of ``attempt``, None where its path leads elsewhere by now."""
    if is_url(attempt.path):
        return None
    try:
        descriptor = os.open(attempt.path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except (OSError, ValueError):
        return None
    status, file = os.fstat(descriptor), attempt.file
    if (status.st_dev, status.st_ino) == (file.device, file.inode):
        return descriptor
    os.close(descriptor)
    return None
