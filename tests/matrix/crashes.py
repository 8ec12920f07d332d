"""The named crash points of one upload, C01 to C42, each as a way to die there in one process."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from beside import Beside
from dying import Death, Dying, MortalJournal
from inprocess import Stage, Waiting

from cfstream_upload.emulator.exchange import Exchange, Reply, Request
from cfstream_upload.emulator.faults import Answer, Fault, Faulty, LoseReply
from cfstream_upload.journal import Journal
from cfstream_upload.onefile import OneFile
from cfstream_upload.sending import Sending
from cfstream_upload.session import Session
from cfstream_upload.source import Source
from cfstream_upload.stream import Stream

MIB = 1024 * 1024
SIZE = 11 * MIB
"""Three chunks of 5, 5 and 1 MiB; a run is POST, three PATCHes, GET, and six commits."""

Arm = Callable[[Stage, pytest.MonkeyPatch], None]
"""Make the next run of a stage die at one point."""


# --- ways to die ---------------------------------------------------------------------------------


def _call(owner: Any, name: str, nth: int = 1, *, after: bool = False) -> Arm:  # noqa: ANN401
    """Die at the ``nth`` call of a function, before it or after it."""

    def arm(_: Stage, patch: pytest.MonkeyPatch) -> None:
        inner, seen = getattr(owner, name), [0]

        def mortal(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401
            seen[0] += 1
            if seen[0] == nth and not after:
                raise Death
            made = inner(*arguments, **named)
            if seen[0] == nth:
                raise Death
            return made

        patch.setattr(owner, name, mortal)

    return arm


def _text(path: str) -> Arm:
    """Die where the module's function of this name is called."""

    def arm(_: Stage, patch: pytest.MonkeyPatch) -> None:
        def mortal(*_arguments: object) -> None:
            raise Death

        patch.setattr(path, mortal)

    return arm


def _request(nth: int, when: str) -> Arm:
    def arm(current: Stage, _: pytest.MonkeyPatch) -> None:
        current.service = Dying(current.service, nth, when)

    return arm


def _commit(nth: int, when: str) -> Arm:
    """Die ``before`` the ``nth`` commit begins, ``within`` it (written, not committed) or after."""

    def arm(current: Stage, _: pytest.MonkeyPatch) -> None:
        def opened(folder: Path) -> Journal:
            kind = HalfCommitting if when == "within" else MortalJournal
            journal = kind.open(folder)
            assert isinstance(journal, HalfCommitting | MortalJournal)
            journal.nth, journal.after = nth, when == "after"
            return journal

        current.opened = opened

    return arm


def _and(*arms: Arm) -> Arm:
    def arm(current: Stage, patch: pytest.MonkeyPatch) -> None:
        for one in arms:
            one(current, patch)

    return arm


def _fault(*faults: Fault) -> Arm:
    def arm(current: Stage, _: pytest.MonkeyPatch) -> None:
        current.service = Faulty(current.service, faults)

    return arm


def _hints(_: Stage, patch: pytest.MonkeyPatch) -> None:
    """Write every offset, so that the hints are commits too."""
    patch.setattr("cfstream_upload.entry.HINT_EVERY", 0.0)


class HalfCommitting(Journal):
    """A journal that dies with its ``nth`` commit written and not yet committed."""

    nth, seen, after = 0, 0, False

    def _transact(self, statements: tuple[tuple[str, tuple[object, ...]], ...]) -> sqlite3.Cursor:
        self.seen += 1
        if self.seen != self.nth:
            return super()._transact(statements)
        with self._writing():
            for sql, values in statements:
                self._db.execute(sql, values)
            raise Death


class Full(Journal):
    """A journal on a disk that is full at its second commit, and a death just after the reserve."""

    seen = 0

    def _transact(self, statements: tuple[tuple[str, tuple[object, ...]], ...]) -> sqlite3.Cursor:
        self.seen += 1
        if self.seen == 2:
            full = sqlite3.OperationalError("database or disk is full")
            full.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise full
        return super()._transact(statements)

    def _spend_reserve(self) -> bool:
        assert super()._spend_reserve()
        raise Death


def _full(current: Stage, _: pytest.MonkeyPatch) -> None:
    current.opened = Full.open


@dataclass
class DyingInBody(Beside):
    """A service whose client dies when ``count`` bytes of its ``nth`` PATCH have left."""

    nth: int
    count: int
    seen: int = 0

    def begin(self, request: Request) -> Exchange:
        self.seen += request.method == "PATCH"
        inner = self.service.begin(request)
        due = request.method == "PATCH" and self.seen == self.nth
        return _Bleeding(inner, self.count) if due else inner


@dataclass
class _Bleeding:
    inner: Exchange
    left: int

    def write(self, block: bytes) -> None:
        self.inner.write(block[: self.left])
        self.left -= len(block)
        if self.left <= 0:
            raise Death

    def finish(self) -> Reply:
        raise AssertionError("it was to die before")

    def cut(self) -> None:
        self.inner.cut()


def _body(nth: int, count: int) -> Arm:
    def arm(current: Stage, _: pytest.MonkeyPatch) -> None:
        current.service = DyingInBody(current.service, nth, count)

    return arm


_REFUSED = _fault(Fault(Answer(412), "PATCH", nth=2, times=None))
"""The second chunk is refused for good: a rollback of GET, DELETE, GET, list, GET, five commits."""


# --- where ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Point:
    """A crash point: how to die there, and what is on Stream and in the journal then."""

    name: str
    arm: Arm
    states: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()

    @contextmanager
    def armed(self, current: Stage) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            self.arm(current, patch)
            yield


Pending = partial(Point, states=("pendingupload",))

POINTS: dict[int, tuple[Point, ...]] = {
    1: (
        Point("C01 folder made", _text("cfstream_upload.journalfile.make_private")),
        Point("C02 lock file made, not locked", _text("cfstream_upload.lock._try")),
        Point("C03 locked, no row read", _call(OneFile, "send")),
        Point("C04 journal empty", _call(Journal, "_create")),
        Point("C05 schema half made", _text("cfstream_upload.journalfile.uuid4")),
        Point("C05 schema made, its sentinel not", _call(Journal, "_complete")),
        Point("C06 before the samples", _call(Source, "_sample")),
        Point("C07 in the samples", _call(Source, "_read", 3)),
        Point("C08 before the first row", _commit(1, "before")),
        Point("C09 first row not committed", _commit(1, "within")),
    ),
    2: (
        Point("C10 first row committed", _commit(1, "after"), rows=("intended",)),
        Point("C11 before the create leaves", _request(1, "before"), rows=("intended",)),
    ),
    3: (
        Pending("C13 create out, no reply", _request(1, "after"), rows=("intended",)),
        Pending("C15 reply read", _call(Stream, "_created"), rows=("intended",)),
        Pending("C16 before the row", _commit(2, "before"), rows=("intended",)),
        Pending("C16 row not committed", _commit(2, "within"), rows=("intended",)),
        Pending("C41 reserve spent, row not retried", _full, rows=("intended",)),
        Pending(
            "C38 list read",
            _and(_fault(Fault(LoseReply(), "POST")), _request(2, "after")),
            rows=("intended",),
        ),
    ),
    4: tuple(
        Pending(name, arm, rows=("created",))
        for name, arm in (
            ("C17 UID and URL committed", _commit(2, "after")),
            ("C18 before chunk 1", _request(2, "before")),
            ("C18 before chunk 2", _request(3, "before")),
            ("C19 one byte out", _body(1, 1)),
            ("C19 half a chunk out", _body(2, 5 * MIB // 2)),
            ("C19 all but one byte out", _body(2, 5 * MIB - 1)),
            ("C19 all but the last byte of the file out", _body(3, MIB - 1)),
            ("C20 chunk out, no reply", _request(2, "after")),
            ("C21 before the hint", _and(_hints, _commit(3, "before"))),
            ("C22 hint written", _and(_hints, _commit(3, "after"))),
            ("C22 tail written", _commit(3, "after")),
            (
                "C36 in a retry's sleep",
                _and(_fault(Fault(Answer(500), "PATCH", nth=2)), _call(Waiting, "pause")),
            ),
            ("C37 before HEAD", _and(_fault(Fault(LoseReply(), "PATCH")), _request(3, "before"))),
            ("C37 HEAD read", _and(_fault(Fault(LoseReply(), "PATCH")), _request(3, "after"))),
        )
    ),
    5: (
        Point("C23 last chunk out, no reply", _request(4, "after"), ("whole",), ("created",)),
        Point("C24 last reply read", _commit(4, "before"), ("whole",), ("created",)),
    ),
    6: (
        Point("C25 sent", _commit(4, "after"), ("whole",), ("sent",)),
        Point("C25 before GET", _request(5, "before"), ("whole",), ("sent",)),
        Point("C26 GET read", _request(5, "after"), ("whole",), ("sent",)),
        Point("C26 receipt not committed", _commit(5, "within"), ("whole",), ("sent",)),
        Point("C27 receipt committed", _commit(5, "after"), ("whole",)),
        Point("C27 before it counts as told", _commit(6, "before"), ("whole",)),
        Point("C28 told, lock freed (C42)", _call(Sending, "_succeeded"), ("whole",)),
        Point("C40 at the end", _call(Session, "close", after=True), ("whole",)),
    ),
    7: tuple(
        Pending(name, _and(_REFUSED, arm), rows=("created",))
        for name, arm in (
            ("C29 failure decided, before GET", _request(4, "before")),
            ("C30 GET read", _request(4, "after")),
            ("C30 decision not committed", _commit(4, "within")),
        )
    ),
    8: (
        Pending("C31 decided", _and(_REFUSED, _commit(4, "after")), rows=("discarding",)),
        Pending("C31 before DELETE", _and(_REFUSED, _request(5, "before")), rows=("discarding",)),
        Point("C32 DELETE out", _and(_REFUSED, _request(5, "after")), rows=("discarding",)),
        Point("C33 before GET", _and(_REFUSED, _request(6, "before")), rows=("discarding",)),
        Point("C34 GET 404 read", _and(_REFUSED, _request(6, "after")), rows=("discarding",)),
        Point("C34 list read", _and(_REFUSED, _request(7, "after")), rows=("discarding",)),
        Point("C34 second 404 read", _and(_REFUSED, _request(8, "after")), rows=("discarding",)),
        Point("C34 row not removed", _and(_REFUSED, _commit(5, "within")), rows=("discarding",)),
        Point("C35 row removed", _and(_REFUSED, _commit(5, "after"))),
    ),
}
