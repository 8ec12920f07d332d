"""Power loss: the state directory rebuilt at every moment, with what was not synced yet missing.

A disk may have kept any part of what was not synced: names given and taken as well as bytes, in any
order, and half a write. Syncing a file keeps its bytes and not its name; that takes a sync of the
folder. From each such folder the real journal is opened: its rows must be those before the commit
under way or those after it, and at each request those that the request needs.
"""

from __future__ import annotations

import random
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path

from cfstream_upload.attempt import Attempt, Stage
from cfstream_upload.journal import Journal

from .account import SIZE
from .flows import FLOWS
from .recording import RECORDED, Change, Folder, Moment, Said, Sync, read
from .sweep import Arena

MOST = 10
"""Up to this many unsynced changes every subset of them is tried (1,024 folders a moment)."""

DRAWN = 32
"""Beyond: each one alone missing, each one alone kept, none, all, and so many drawn by a seed."""

Files = dict[str, bytes]
Rows = list[Attempt]


@dataclass
class Lost:
    """The folders that a power loss may leave at each moment of a recording.

    ``deaf`` is a file of which the disk only pretends to sync anything: then rows must break.
    """

    moments: list[Moment]
    most: int = MOST
    deaf: str = ""

    def unsynced(self, now: int) -> list[int]:
        """Which of the changes before ``now`` the disk need not have kept."""
        waiting: dict[int, int] = {}
        for index, moment in enumerate(self.moments[:now]):
            if isinstance(moment, Change) and not moment.old:
                waiting[index] = 0 if moment.names else moment.file
            elif isinstance(moment, Sync) and (not self.deaf or moment.name != self.deaf):
                waiting = {i: file for i, file in waiting.items() if file != moment.file}
        return list(waiting)

    def folders(self, now: int) -> Iterator[Files]:
        """Every folder there may be if the power fails right before moment ``now``."""
        unsynced = self.unsynced(now)
        for missing in self._subsets(unsynced, now):
            yield self.folder(now, missing)
        if unsynced:
            yield from self._torn(now, unsynced[-1])

    def folder(self, now: int, missing: frozenset[int] = frozenset()) -> Files:
        kept = (m for i, m in enumerate(self.moments[:now]) if i not in missing)
        return _rebuilt(one for one in kept if isinstance(one, Change))

    def _torn(self, now: int, last: int) -> Iterator[Files]:
        """The last change but half: the first half of its bytes, or the second."""
        change = self.moments[last]
        half = len(change.data) // 2 if isinstance(change, Change) else 0
        if not isinstance(change, Change) or not half:
            return
        second = replace(change, offset=change.offset + half, data=change.data[half:])
        for part in (replace(change, data=change.data[:half]), second):
            before, after = self.moments[:last], self.moments[last + 1 : now]
            kept = [*before, part, *after]
            yield _rebuilt(one for one in kept if isinstance(one, Change))

    def _subsets(self, unsynced: list[int], now: int) -> Iterator[frozenset[int]]:
        if len(unsynced) <= self.most:
            for size in range(len(unsynced) + 1):
                yield from map(frozenset, combinations(unsynced, size))
            return
        everything = frozenset(unsynced)
        yield from (frozenset(), everything)
        for one in unsynced:
            yield from (frozenset({one}), everything - {one})
        chance = random.Random(now)
        for _ in range(DRAWN if self.most == MOST else 0):
            yield frozenset(one for one in unsynced if chance.random() < 0.5)


def _rebuilt(changes: Iterator[Change]) -> Files:
    names: dict[str, int] = {}
    contents: dict[int, bytearray] = {}
    for change in changes:
        for name, file in change.names:
            if file is None:
                names.pop(name, None)
            else:
                names[name] = file
        if change.names:
            continue
        content = contents.setdefault(change.file, bytearray())
        if change.cut is not None:
            del content[change.cut :]
            content.extend(bytes(change.cut - len(content)))
        else:
            end = change.offset + len(change.data)
            content.extend(bytes(max(0, end - len(content))))
            content[change.offset : end] = change.data
    return {name: bytes(contents.get(file, b"")) for name, file in names.items()}


@dataclass
class Reader:
    """Opens the journal of a folder that a power loss left, and remembers what it read."""

    scratch: Path
    opened: int = 0
    _known: dict[int, Rows | str] = field(default_factory=dict)

    def rows(self, files: Files) -> Rows | str:
        """The rows; or why the journal cannot be opened."""
        key = hash(frozenset(files.items()))
        if key not in self._known:
            self.opened += 1
            self._known[key] = self._read(files)
        return self._known[key]

    def _read(self, files: Files) -> Rows | str:
        folder = self.scratch / "state"
        folder.mkdir(mode=0o700)
        try:
            for name, content in files.items():
                (folder / name).write_bytes(content)
            journal = Journal.open(folder)
            try:
                return journal.rows()
            finally:
                journal.close()
        except Exception as problem:  # noqa: BLE001  whatever it is, it is what is looked for
            return f"{type(problem).__name__}: {problem}"
        finally:
            shutil.rmtree(folder)


def recorded(arena: Arena, flow: str) -> list[Moment]:
    """What a real run of ``flow`` does to its state directory and says to Stream."""
    run = arena.record(FLOWS[flow], RECORDED)
    folder = Folder(run.state)
    return [*folder.found(run.before), *folder.moments(read(run.trace))]


@dataclass
class Outage:
    """What a sweep over all moments found."""

    moments: int = 0
    folders: int = 0
    opened: int = 0
    requests: int = 0
    violations: list[str] = field(default_factory=list)


def power_fails(
    moments: list[Moment], scratch: Path, most: int = MOST, deaf: str = "", first: int = 0
) -> Outage:
    """Fail the power right before each moment from ``first`` on, and look at all that may be left.

    A deaf disk is found out once: then that is enough.
    """
    found = Outage()
    reader = Reader(scratch)
    lost, honest = Lost(moments, most, deaf), Lost(moments)
    quiet = [now for now in range(len(moments) + 1) if not honest.unsynced(now)]
    words = _Words()
    begun = sum(isinstance(moment, Change) and moment.old for moment in moments)
    for now in range(max(first, begun), len(moments) + 1):
        before = reader.rows(honest.folder(max(q for q in quiet if q <= now)))
        after = reader.rows(honest.folder(min((q for q in quiet if q >= now), default=now)))
        moment = moments[now] if now < len(moments) else None
        needs = words.needs(moment) if isinstance(moment, Said) else None
        if deaf and found.violations:
            break
        found.moments += 1
        found.requests += needs is not None
        for files in lost.folders(now):
            found.folders += 1
            rows = reader.rows(files)
            if isinstance(rows, str) or rows not in (before, after):
                found.violations.append(f"moment {now}: {rows}")
            elif needs is not None and not needs.met(rows):
                found.violations.append(f"moment {now}: {needs} and the disk says {rows}")
    found.opened = reader.opened
    return found


# --- what a request needs ------------------------------------------------------------------------


@dataclass(frozen=True)
class Need:
    """A row that must be on the disk before bytes leave."""

    why: str
    stages: tuple[Stage, ...]
    uid: str = ""
    url: str = ""
    tail: bool = False

    def met(self, rows: Rows) -> bool:
        return any(
            row.stage in self.stages
            and (not self.uid or row.uid == self.uid)
            and (not self.url or (row.url or "").endswith(self.url))
            and (row.tail or not self.tail)
            for row in rows
        )


_HEAD = re.compile(rb"(POST|PATCH|DELETE|HEAD|GET) (\S+) HTTP/1.1\r\n")
_OFFSET = re.compile(rb"upload-offset: (\d+)\r\n", re.IGNORECASE)
_UID = re.compile(rb"[0-9a-f]{32}\n")


class _Words:
    """Follows what is said to Stream: which bytes are whose request's body."""

    def __init__(self) -> None:
        self._position = 0
        self._url = ""

    def needs(self, said: Said) -> Need | None:
        if said.printed:
            uid = _UID.fullmatch(said.data)
            if uid is None or not self._url:
                return None  # a sweep tells what it swept
            return Need("the UID is told", (Stage.STORED,), uid[0].decode().strip())
        head = _HEAD.match(said.data)
        if head is None:
            return self._body(said.length)
        method, path = head[1].decode(), head[2].decode()
        match method:
            case "POST":
                return Need("a create leaves", (Stage.INTENDED,))
            case "PATCH":
                offset = _OFFSET.search(said.data)
                assert offset is not None
                self._position, self._url = int(offset[1]), path
                return Need("a chunk leaves", (Stage.CREATED,), url=path)
            case "DELETE":
                return Need("a delete leaves", (Stage.DISCARDING,), path.rpartition("/")[2])
        return None

    def _body(self, length: int) -> Need | None:
        self._position += length
        if self._position < SIZE:
            return None
        return Need("the last bytes leave", (Stage.CREATED,), url=self._url, tail=True)
