"""Clients that die at a request or at a commit."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from beside import Beside

from cfstream_upload.emulator.exchange import Exchange, Reply, Request
from cfstream_upload.journal import Journal


class Death(BaseException):
    """The process dies here."""


@dataclass
class Dying(Beside):
    """A service whose client dies at the ``nth`` request: before it, in its body or after it."""

    nth: int
    when: str
    seen: int = 0

    def begin(self, request: Request) -> Exchange:
        self.seen += 1
        if self.seen != self.nth:
            return self.service.begin(request)
        if self.when == "before":
            raise Death
        return _Dying(self.service.begin(request), self.when)


@dataclass
class _Dying:
    inner: Exchange
    when: str

    def write(self, block: bytes) -> None:
        self.inner.write(block)
        if self.when == "in its body":
            raise Death

    def finish(self) -> Reply:
        reply = self.inner.finish()
        raise Death(reply.status)

    def cut(self) -> None:
        self.inner.cut()


class MortalJournal(Journal):
    """A journal in whose ``nth`` commit the process dies: before it or after it."""

    nth = 0
    after = False
    seen = 0

    def _commit(self, *statements: tuple[str, tuple[object, ...]]) -> sqlite3.Cursor:
        self.seen += 1
        if self.seen == self.nth and not self.after:
            raise Death
        row = super()._commit(*statements)
        if self.seen == self.nth:
            raise Death
        return row
