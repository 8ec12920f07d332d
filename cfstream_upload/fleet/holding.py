"""Locks in the database: the server frees them when its session with the holder ends.

They are advisory locks of the session that writes the rows. Each key is taken together with a
shared lock on one gate, so that whoever must be alone (`cleanup --rebuild`) takes the gate.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from cfstream_upload.errors import Busy
from cfstream_upload.fleet import statements, timing
from cfstream_upload.lock import SourceLock

if TYPE_CHECKING:
    from cfstream_upload.fleet.link import Row, Values

Ask = Callable[[str, "Values"], "list[Row]"]
"""One statement on the connection that is to hold the lock."""

_TRIES = 5
_PAUSE_SECONDS = 0.02
_WORD = 1 << 32


def number_of(key: str) -> int:
    """The advisory lock of a key of 32 hex digits: its first 64 bits, signed as the server has it.

    Should two keys meet, one file waits for another: Busy, and no harm.
    """
    return int.from_bytes(bytes.fromhex(key[:16]), signed=True)


def taken(ask: Ask, key: str) -> bool:
    """Try the lock and the gate once; holds both or neither."""
    numbers = {"gate": statements.GATE, "key": number_of(key)}
    ((gate, lock),) = ask(statements.TAKE, numbers)
    if gate and lock:
        return True
    if lock:
        ask(statements.FREE, numbers)
    if gate:
        ask(statements.FREE_GATE, numbers)
    return False


def freed(ask: Ask, key: str) -> None:
    """Free the lock and this holder's part of the gate."""
    numbers = {"gate": statements.GATE, "key": number_of(key)}
    ask(statements.FREE, numbers)
    ask(statements.FREE_GATE, numbers)


def holder(ask: Ask, number: int) -> tuple[int, str] | None:
    """The backend and the application that hold an advisory lock, if anybody does."""
    unsigned = number % (1 << 64)
    rows = ask(statements.HOLDER, {"high": unsigned // _WORD, "low": unsigned % _WORD})
    return (int(rows[0][0]), str(rows[0][1])) if rows else None


def busy(ask: Ask, key: str) -> Busy:
    """Who has it, in words."""
    found = holder(ask, number_of(key)) or holder(ask, statements.GATE)
    name = shown(found[1]) if found else ""
    return Busy(f"another process{f' ({name})' if name else ''} is sending this file")


def shown(application: str) -> str:
    """``host:pid`` of the name of one of our sessions, "" for any other."""
    program, _, rest = application.partition(" ")
    return rest.partition(" ")[0] if program == "cfupload" else ""


def insisted(ask: Ask, key: str) -> None:
    """Take the lock, or raise `Busy`; whoever only looks holds a lock for a moment."""
    for attempt in range(_TRIES):
        if attempt:
            time.sleep(_PAUSE_SECONDS)
        if taken(ask, key):
            return
    raise busy(ask, key)


def taken_from_ghost(ask: Ask, key: str, ghost: int, name: str) -> bool:
    """As `taken`, where this process's own earlier session may still hold it: that one is ended.

    The server had not noticed yet that its line is dead.
    """
    ends = time.monotonic() + timing.GHOST
    while not taken(ask, key):
        found = holder(ask, number_of(key))
        if found is not None and (found[0], found[1]) != (ghost, name):
            return False
        if found is not None:
            ask(statements.END_GHOST, {"pid": ghost, "name": name})
        if time.monotonic() > ends:
            return False
        time.sleep(_PAUSE_SECONDS)
    return True


@dataclass(eq=False)
class Hold:
    """A lock of this process: `Held` in the sense of the ledger, and what was known under it.

    ``locked`` is the tenure in which the server gave it, ``stood`` the one in which its holder
    last made sure of what he knows. ``seals`` are the rows of its file as this process read or
    wrote them under it, by number; ``unsure`` what a write would have left whose answer was lost
    (number 0 for a new row, no seal for a removed one). ``file`` is (base, account, device, inode).
    """

    key: str
    locked: int
    stood: int
    free: Callable[[Hold], None]
    source: SourceLock = field(default_factory=SourceLock)
    seals: dict[int, bytes] = field(default_factory=dict)
    unsure: tuple[int, bytes | None] | None = None
    file: tuple[str, str, str, str] | None = None
    whole: bool = False
    """Whether ``seals`` are all rows of the file."""

    def __enter__(self) -> Self:
        """Return the lock itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Free it."""
        self.release()

    def release(self) -> None:
        """Free the lock; a second call does nothing."""
        self.source.release()
        self.free(self)

    def add_source(self, descriptor: int) -> None:
        """Lock the open file too, if its file system can; raises Busy if somebody else has it."""
        self.source.add_source(descriptor)

    def is_as_left(self, found: dict[int, bytes]) -> bool:
        """Whether the rows are as this process left them, its last write made or not."""
        before = dict(self.seals)
        after = dict(before)
        if self.unsure is not None:
            row, seal = self.unsure
            if seal is None:
                after.pop(row, None)
            elif row:
                after[row] = seal
            else:
                new = [n for n, one in found.items() if n not in before and one == seal]
                after.update(dict.fromkeys(new[:1], seal))
        # What this process never read is nobody's change, but for a row that is new to the file.
        seen = found if self.whole else {n: s for n, s in found.items() if n in before | after}
        return seen in (before, after)
