"""The last requests, and what was done to them: for people and for tests."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from .exchange import ConnectionCut, Exchange, Later, NoReply, Reply
from .routes import is_hex32, route_of

LENGTH = 1000


class RequestLog:
    """A ring of the last requests that ended; safe to use from several threads.

    It holds neither paths nor headers, for these may carry an upload URL or a token. ``now`` gives
    seconds since 1970.
    """

    def __init__(self, now: Callable[[], float] = time.time, length: int = LENGTH) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._entries: deque[dict[str, object]] = deque(maxlen=length)
        self._next = 1

    def begin(self, method: str, path: str, fault: str | None) -> Note:
        """Note a request that begins now, struck by ``fault`` or not."""
        return Note(self, method, path, fault, self._now())

    def after(self, number: int) -> dict[str, object]:
        """Give the entries from this number on, and as ``next`` what to ask for the next time.

        A number is given when a request ends, so that who asks again and again sees each once.
        """
        with self._lock:
            found = [dict(entry) for entry in self._entries if _number(entry) >= number]
            return {"entries": found, "next": self._next}

    def _add(self, note: Note, status: int | None) -> None:
        route = route_of(note.path)
        uid = note.uid or route.uid
        moment = datetime.fromtimestamp(note.began, UTC)
        entry: dict[str, object] = {
            "at": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "method": note.method,
            "kind": route.kind,
            "uid": uid if is_hex32(uid) else None,
            "status": status,
            "bytes": note.bytes,
            "seconds": round(max(0.0, self._now() - note.began), 3),
            "fault": note.fault,
        }
        with self._lock:
            self._entries.append({"n": self._next, **entry})
            self._next += 1


class Note:
    """A request under way; it is logged once, when it ends."""

    def __init__(
        self, log: RequestLog, method: str, path: str, fault: str | None, began: float
    ) -> None:
        self.method = method
        self.path = path
        self.fault = fault
        self.began = began
        self.bytes = 0
        self.uid = ""
        self._log: RequestLog | None = log

    def ended(self, status: int | None) -> None:
        """Log the request, with the status of its reply or None; harmless when repeated."""
        log, self._log = self._log, None
        if log is not None:
            log._add(self, status)  # the two are one


class Noted:
    """An exchange that is logged when it ends."""

    def __init__(self, inner: Exchange, note: Note) -> None:
        self._inner = inner
        self._note = note

    def write(self, block: bytes) -> None:
        """Count the block."""
        self._note.bytes += len(block)
        try:
            self._inner.write(block)
        except ConnectionCut:
            self._note.ended(None)
            raise

    def finish(self) -> Reply:
        """Log the reply, or that there is none."""
        try:
            return self._replied(self._inner.finish())
        except (ConnectionCut, NoReply):
            self._note.ended(None)
            raise
        except Later as late:
            deliver, drop = late.deliver, late.drop
            raise Later(late.seconds, lambda: self._replied(deliver()), drop) from None

    def cut(self) -> None:
        """Log a request that was never complete."""
        self._inner.cut()
        self._note.ended(None)

    def _replied(self, reply: Reply) -> Reply:
        self._note.uid = _created(reply.headers)
        self._note.ended(reply.status)
        return reply


def _created(headers: Mapping[str, str]) -> str:
    return headers.get("stream-media-id", "")


def _number(entry: Mapping[str, object]) -> int:
    number = entry["n"]
    return number if isinstance(number, int) else 0
