"""What a process that sends tells the others: which files, how far, how fast, since when.

It is told every few seconds, and read by ``cfupload fleet status``. Nothing is decided by it: who
runs a file is said by the file's lock alone.
"""

from __future__ import annotations

import json
import os
import platform
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from cfstream_upload import events
from cfstream_upload.errors import Busy, CfuploadError, Interrupted, NotStarted
from cfstream_upload.fleet import statements
from cfstream_upload.fleet.budgets import Database
from cfstream_upload.fleet.link import Lost
from cfstream_upload.meter import WINDOW, Meter
from cfstream_upload.result import Result

EVERY = 2.0
"""Seconds between two words to the database."""

SHOWN = 64
"""Files of one process that are told one by one."""

LONGEST_NAME = 200


@dataclass
class Presence:
    """One process among the others. ``clock`` is monotonic seconds. Close it.

    It is a listener for events, from any thread; the database hears of it from the first on.
    ``dashboard`` is where Dask shows people what it does, "" for nowhere; ``name`` what Dask calls
    this process, "" where it is no worker of Dask's.
    """

    database: Database
    label: str
    version: str
    clock: Callable[[], float] = time.monotonic
    id: str = field(default_factory=lambda: uuid4().hex)
    dashboard: str = ""
    name: str = ""
    _leads: bool = field(default=False, init=False)
    _planned: tuple[int, int] = field(default=(0, 0), init=False)
    _meters: dict[str, Meter] = field(default_factory=dict, init=False)
    _ends: Counter[str] = field(default_factory=Counter, init=False)
    _done_bytes: int = field(default=0, init=False)
    _acknowledged: int = field(default=0, init=False)
    _moved: int = field(default=0, init=False)
    _marks: deque[tuple[float, int]] = field(default_factory=deque, init=False)
    _turn: threading.Lock = field(default_factory=threading.Lock, init=False)
    _over: threading.Event = field(default_factory=threading.Event, init=False)
    _thread: threading.Thread | None = field(default=None, init=False)

    def hear(self, event: events.Event) -> None:
        """Take in what happened to a file."""
        with self._turn:
            if isinstance(event, events.Started):
                self._meters[event.file] = Meter(event.file, event.size)
            meter = self._meters.get(event.file)
            if meter is None:
                return
            before, sent = meter.acknowledged, meter.sent
            meter.hear(event, self.clock())
            self._acknowledged += max(0, meter.acknowledged - before)
            if isinstance(event, events.Progress):
                self._moved += max(0, meter.sent - sent)
        self._begin()

    def plan(self, files: int, size: int, *, leads: bool = False) -> None:
        """This process is to see to so many files of so many bytes in all.

        ``leads``: it sends none of them itself.
        """
        with self._turn:
            self._planned, self._leads = (files, size), leads
        self._begin()

    def finished(self, result: Result, *, elsewhere: bool = False) -> None:
        """A file is done with, for this run; ``elsewhere``: the process that sent it counts it."""
        with self._turn:
            self._meters.pop(result.file, None)
            if not elsewhere:
                self._ends[_end_of(result)] += 1
            self._done_bytes += result.size or 0
        if not elsewhere:
            self._begin()

    def close(self) -> None:
        """Say that this process has ended."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()
            self._say(over=True)

    # --- the database ----------------------------------------------------------------------------

    def _begin(self) -> None:
        with self._turn:
            if self._thread is not None:
                return
            self._thread = threading.Thread(target=self._keep_saying, name="presence", daemon=True)
        self._thread.start()

    def _keep_saying(self) -> None:
        self._try(statements.FORGET_WORKERS, {})
        while True:
            self._say()
            if self._over.wait(EVERY):
                return

    def _say(self, *, over: bool = False) -> None:
        self._try(statements.PRESENT, self._told(over=over))

    def _try(self, sql: str, values: Mapping[str, object]) -> None:
        # Nobody waits for this: a database out of reach hears the next word.
        with suppress(Lost, CfuploadError):
            self.database.run(sql, values)

    def _told(self, *, over: bool) -> dict[str, object]:
        with self._turn:
            now = self.clock()
            files = [_file_told(meter, now) for meter in list(self._meters.values())[:SHOWN]]
            self._marks.append((now, self._moved))
            while len(self._marks) > 1 and self._marks[1][0] <= now - WINDOW:
                self._marks.popleft()
            return {
                "id": self.id,
                "host": platform.node()[:64],
                "pid": os.getpid(),
                "label": self.label,
                "version": self.version,
                "files": json.dumps([] if over else files),
                "acknowledged": self._acknowledged,
                "speed": 0.0 if over else self._speed(),
                **{kind: self._ends[kind] for kind in ("done", "already", "passed", "failed")},
                "planned_files": self._planned[0],
                "planned_bytes": self._planned[1],
                "done_bytes": self._done_bytes,
                "dashboard": self.dashboard,
                "name": _text(self.name)[:LONGEST_NAME],
                "leads": self._leads,
                "over": over,
            }

    def _speed(self) -> float:
        """Bytes a second that left lately, in all files together; chunks are told only whole."""
        (since, before), (now, after) = self._marks[0], self._marks[-1]
        return (after - before) / (now - since) if now > since else 0.0


def _end_of(result: Result) -> str:
    """Whether a file was sent, was there, is for others to send, or needs somebody's attention."""
    if result.error is None:
        return "already" if result.outcome == "already" else "done"
    return "passed" if isinstance(result.error, Busy | Interrupted | NotStarted) else "failed"


def _file_told(meter: Meter, now: float) -> dict[str, Any]:
    speed = meter.speed(now)
    return {
        "file": _text(meter.file),
        "uid": meter.uid,
        "phase": meter.phase.value,
        "acknowledged": meter.acknowledged,
        "sent": max(meter.acknowledged, meter.sent),
        "size": meter.size,
        "speed": None if speed is None else round(speed, 1),
    }


def _text(name: str) -> str:
    # PostgreSQL takes neither NUL nor half a surrogate; people are told, not programs.
    return name.encode(errors="replace").decode().replace("\0", "?")
