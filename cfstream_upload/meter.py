"""How one file gets on, in the numbers and words that people and scripts are shown. Pure.

Two truths: *acknowledged* bytes are on Stream, *sent* bytes were handed to the socket and may be
lost again. The percentage is of the first, and is 100 only once Stream confirmed the video. What
is shown never goes back, unless Stream made a new video for the file.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field
from enum import Enum

from cfstream_upload import events
from cfstream_upload.units import human_size, human_time

WINDOW = 15.0
"""Seconds over which the speed is taken."""

STALLED = 5.0
"""Seconds without a byte that are worth a word."""

_MARK_EVERY = 0.5

GOALS = {
    "stored": "Stream has all of it",
    "playable": "it can be played",
    "ready": "all of it is encoded",
}
"""What a video is waited for, in words."""


class Phase(Enum):
    """What is being done for the file."""

    READING = "reading"
    STARTING = "starting"
    SENDING = "sending"
    CONFIRMING = "confirming"
    WAITING = "waiting"
    DELETING = "deleting"
    DELETED = "deleted"


@dataclass
class Meter:
    """The progress of ``file``; ``size`` in bytes, all times monotonic seconds.

    ``reached`` is the highest position ever handed to the socket, ``sent`` the current one.
    """

    file: str
    size: int
    uid: str | None = None
    phase: Phase = Phase.STARTING
    acknowledged: int = 0
    sent: int = 0
    reached: int = 0
    words: str = ""
    retry_at: float = 0.0
    retry_words: str = ""
    moved_at: float | None = None
    _moved: int = 0
    _marks: deque[tuple[float, int]] = field(default_factory=deque)

    def hear(self, event: events.Event, now: float) -> None:
        """Take in what happened at ``now``."""
        match event:
            case events.Started():
                self.size, self.phase = event.size, Phase.STARTING
            case events.Created():
                self._begin_at(0, event.uid, now)
            case events.Resumed():
                self._begin_at(event.offset, event.uid, now)
            case events.Progress():
                self._move_to(event.acknowledged, event.sent, now)
            case events.Retrying():
                self.retry_at, self.retry_words = now + event.seconds, event.message
            case events.Reading():
                self.phase = Phase.READING
                self.words = f"{100 * event.read // event.size if event.size else 0} %"
            case events.Waiting():
                share = "" if event.percent is None else f" {int(event.percent)} %"
                self.phase = Phase.WAITING
                self.words = f"{event.state}{share}, waiting until {GOALS[event.until]}"
            case events.Confirming():
                self.phase = Phase.CONFIRMING
            case events.CleaningUp():
                self.phase, self.words, self.uid = Phase.DELETING, event.message, event.uid
            case events.CleanedUp():
                self.phase = Phase.DELETED
            case _:
                pass

    def _begin_at(self, offset: int, uid: str, now: float) -> None:
        self.uid, self.phase = uid, Phase.SENDING
        self.acknowledged = self.sent = self.reached = offset
        self._moved, self.moved_at = 0, now
        self._marks.clear()
        self._marks.append((now, 0))

    def _move_to(self, acknowledged: int, sent: int, now: float) -> None:
        if self.phase not in (Phase.DELETING, Phase.DELETED):
            self.phase = Phase.SENDING
        self.retry_at = 0.0
        grown = sent - self.sent
        self.sent = sent
        self.acknowledged = max(self.acknowledged, min(acknowledged, self.size))
        self.reached = max(self.reached, self.acknowledged, min(sent, self.size))
        if grown > 0:
            self._moved, self.moved_at = self._moved + grown, now
        if not self._marks or now - self._marks[-1][0] >= _MARK_EVERY:
            self._marks.append((now, self._moved))
        # The mark before the window stays, so that a silence shows as a falling speed.
        while len(self._marks) > 1 and self._marks[1][0] <= now - WINDOW:
            self._marks.popleft()

    @property
    def fraction(self) -> float:
        """What of the file Stream acknowledged, below 1: only a confirmed video is whole."""
        return min(0.99, self.acknowledged / self.size) if self.size else 0.0

    @property
    def percent(self) -> int:
        """`fraction` in whole percent, 99 at most."""
        return int(self.fraction * 100)

    def speed(self, now: float) -> float | None:
        """Bytes a second handed to the socket over the last `WINDOW`; None where unknown."""
        if not self._marks or self.phase is not Phase.SENDING:
            return None
        since, before = self._marks[0]
        if now - since < 1.0 or self._moved == before:
            return None
        return (self._moved - before) / (now - since)

    def seconds_left(self, now: float) -> float | None:
        """Until every byte is handed over, at this speed; None where unknown."""
        speed = self.speed(now)
        return None if speed is None else max(0, self.size - self.sent) / speed

    def stalled_for(self, now: float) -> float | None:
        """Seconds since a byte was taken, where that is long enough to mention; else None."""
        if self.phase is not Phase.SENDING or self.moved_at is None:
            return None
        silence = now - self.moved_at
        return silence if silence >= STALLED else None

    def waits(self, now: float) -> bool:
        """Whether the next try is still to come."""
        return now < self.retry_at

    def state(self, now: float) -> str:
        """What keeps the file from moving, in words; ``""`` while bytes flow."""
        if self.waits(now):
            return f"retrying in {human_time(self.retry_at - now + 0.49)}: {self.retry_words}"
        if silence := self.stalled_for(now):
            return f"no bytes for {human_time(silence)}"
        match self.phase:
            case Phase.READING:
                return f"reading the whole file first, {self.words}"
            case Phase.STARTING:
                return "starting"
            case Phase.WAITING:
                return f"on Stream: {self.words}"
            case Phase.CONFIRMING:
                return "every byte is sent, waiting for Stream to confirm"
            case Phase.DELETING:
                return f"deleting the failed upload ({self.words})"
            case Phase.DELETED:
                return "the failed upload is deleted"
            case Phase.SENDING:
                return ""

    def numbers(self, now: float) -> list[str]:
        """The numbers worth showing, the most important first."""
        shown = [f"{human_size(self.acknowledged)} of {human_size(self.size)}"]
        speed, left = self.speed(now), self.seconds_left(now)
        if left is not None:
            shown.append(f"{human_time(left)} left")
        if speed is not None:
            shown.append(f"{human_size(speed)}/s")
        if self.phase is Phase.SENDING and self.sent > self.acknowledged:
            shown.append(f"{human_size(self.sent - self.acknowledged)} on the way")
        return shown


@dataclass
class Totals:
    """A batch of ``files`` with ``size`` bytes; ``settled`` are the bytes of files that ended."""

    files: int
    size: int
    ended: int = 0
    settled: int = 0
    _furthest: int = 0

    def end(self, size: int) -> None:
        """A file of ``size`` bytes ended, however it did: nothing more is to be done for it."""
        self.ended += 1
        self.settled += size

    def acknowledged(self, running: Collection[Meter]) -> int:
        """Bytes that are done with or on Stream; never less than it said before."""
        now = self.settled + sum(meter.acknowledged for meter in running)
        self._furthest = max(self._furthest, min(now, self.size))
        return self._furthest

    def percent(self, running: Collection[Meter]) -> int:
        """Whole percent of the bytes, 99 at most."""
        return min(99, 100 * self.acknowledged(running) // self.size) if self.size else 0

    def words(self) -> str:
        """How many files are done with."""
        return f"{self.ended} of {self.files} files"

    def numbers(self, running: Collection[Meter], now: float) -> list[str]:
        """The numbers worth showing, the most important first."""
        done = self.acknowledged(running)
        shown = [f"{human_size(done)} of {human_size(self.size)}"]
        speed = sum(meter.speed(now) or 0.0 for meter in running)
        if speed:
            sent = self.settled + sum(meter.sent for meter in running)
            shown.append(f"{human_time(max(0, self.size - sent) / speed)} left")
            shown.append(f"{human_size(speed)}/s")
        return shown
