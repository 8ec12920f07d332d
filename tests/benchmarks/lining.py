"""A process between clients and the server that makes loopback as slow as a long line.

Started by `serving`: prints one line of JSON with its port; ends with its standard input. It takes
from a client only what the line would carry now, so that little more than a socket's buffers is
ahead of the line.
"""

from __future__ import annotations

import argparse
import contextlib
import heapq
import itertools
import json
import select
import socket
import sys
import time
from collections.abc import Callable

from benchmarks.connections import break_off
from benchmarks.line import SEGMENT, Link, Window

_BUFFER = 128 * 1024
_PIECE = 256 * 1024
_AHEAD = 0.01  # seconds of bytes that wait before the line: what hides a late wake-up
_PATIENCE = 30.0


class Line:
    """The line, its connections, and what happens when."""

    def __init__(self, target: int, round_trip: float, rate: float) -> None:
        self.round_trip = round_trip
        self.up, self.down = Link(rate), Link(rate)
        self._target = target
        self._number = itertools.count()
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._ways: list[Way] = []
        self._listener = socket.socket()
        # Before it listens: accepted sockets inherit these. A small segment keeps the client's
        # buffer small as well, which the kernel measures in segments.
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        self._listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(256)
        self.port = self._listener.getsockname()[1]

    def at(self, moment: float, work: Callable[[], None]) -> None:
        """Do ``work`` at a moment."""
        heapq.heappush(self._events, (moment, next(self._number), work))

    def run(self) -> None:
        """Carry until standard input ends."""
        while True:
            now = time.monotonic()
            while self._events and self._events[0][0] <= now:
                heapq.heappop(self._events)[2]()
            self._ways = [way for way in self._ways if not way.over]
            wake = self._events[0][0] - now if self._events else 1.0
            readers: list[socket.socket | int] = [self._listener, sys.stdin.fileno()]
            takers: dict[socket.socket, Way] = {}
            for way in self._ways:
                pause = way.pause(now)
                if pause == 0:
                    takers[way.source] = way
                elif pause is not None:
                    wake = min(wake, pause)
            ready, _, _ = select.select([*readers, *takers], [], [], max(0.0, wake))
            for one in ready:
                if one is self._listener:
                    self._accept()
                elif isinstance(one, int):
                    return
                else:
                    takers[one].take()

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        try:
            server = socket.create_connection(("127.0.0.1", self._target))
        except OSError:
            break_off(client)
            return
        for sock in (client, server):
            sock.settimeout(_PATIENCE)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        born = time.monotonic() + self.round_trip
        there = Way(self, client, server, self.up, Window(self.round_trip), born)
        back = Way(self, server, client, self.down, None, born)
        there.other, back.other = back, there
        self._ways += [there, back]


class Way:
    """One direction of one connection; the way back has no window, for replies are small."""

    def __init__(
        self,
        line: Line,
        source: socket.socket,
        sink: socket.socket,
        link: Link,
        window: Window | None,
        born: float,
    ) -> None:
        self.source = source
        self.other: Way | None = None
        self.over = False
        self._line = line
        self._sink = sink
        self._link = link
        self._window = window
        self._born = born

    def pause(self, now: float) -> float | None:
        """Seconds until this way may take bytes; None where an acknowledgement must come first."""
        if now < self._born:
            return self._born - now
        if (queued := self._link.queued(now)) > _AHEAD:
            return queued - _AHEAD
        window = self._window
        if window is not None and window.room(now) < (SEGMENT if window.flying else 1):
            return None
        return 0

    def take(self) -> None:
        """Take what the client has, as much as may leave, and put it on the line."""
        now = time.monotonic()
        room = _PIECE if self._window is None else min(_PIECE, self._window.room(now))
        try:
            data = self.source.recv(room)
        except OSError:
            self._ends(now, self._reset)
            return
        if not data:
            self._ends(now, self._shut)
            return
        gone = self._link.carry(len(data), now)
        self._line.at(gone + self._line.round_trip / 2, lambda: self._give(data))
        if self._window is not None:
            self._window.sent(len(data), now)
            acknowledged, count = self._window.acknowledged, len(data)
            self._line.at(gone + self._line.round_trip, lambda: acknowledged(count))

    def _ends(self, now: float, work: Callable[[], None]) -> None:
        self.over = True
        arrives = max(now, self._link.free_at) + self._line.round_trip / 2
        self._line.at(arrives, work)

    def _give(self, data: bytes) -> None:
        with contextlib.suppress(OSError):  # who reset the connection is heard on the other way
            self._sink.sendall(data)

    def _shut(self) -> None:
        with contextlib.suppress(OSError):
            self._sink.shutdown(socket.SHUT_WR)
        if self.other is not None and self.other.over:
            self.source.close()
            self._sink.close()

    def _reset(self) -> None:
        if self.other is not None:
            self.other.over = True
        with contextlib.suppress(OSError):
            break_off(self._sink)
        self.source.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", type=int, required=True)
    parser.add_argument("--round-trip", type=float, required=True, help="seconds")
    parser.add_argument("--rate", type=float, required=True, help="bytes a second")
    chosen = parser.parse_args()
    line = Line(chosen.target, chosen.round_trip, chosen.rate)
    print(json.dumps({"port": line.port}), flush=True)
    line.run()


if __name__ == "__main__":
    main()
