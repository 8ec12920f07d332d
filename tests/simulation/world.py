"""Time, and who acts in it: commands that take turns, messages that arrive when they are due."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from dying import Death
from greenlet import getcurrent, greenlet
from simulation.story import Disaster

ROUND_TRIP = 0.02


class Clock:
    """Seconds that pass when somebody waits. The service's clock also runs while we sleep."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept = 1_800_000_000.0
        self._due: list[tuple[float, int, Callable[[], object]]] = []
        self._count = 0

    def here(self) -> float:
        """This machine's monotonic clock."""
        return self.now

    def there(self) -> float:
        """Stream's clock."""
        return self.now + self.slept

    def later(self, seconds: float, act: Callable[[], object]) -> None:
        """Let something happen by Stream's clock."""
        self._count += 1
        heapq.heappush(self._due, (self.there() + seconds, self._count, act))

    @property
    def is_awaited(self) -> bool:
        """Whether anything is still to happen by itself."""
        return bool(self._due)

    def pass_by(self, seconds: float, *, asleep: bool = False) -> None:
        """Move on; ``asleep``: only the rest of the world does."""
        ends = self.there() + seconds
        while self._due and self._due[0][0] <= ends:
            when, _, act = heapq.heappop(self._due)
            self._move(max(0.0, when - self.there()), asleep)
            act()
        self._move(max(0.0, ends - self.there()), asleep)

    def _move(self, seconds: float, asleep: bool) -> None:
        if asleep:
            self.slept += seconds
        else:
            self.now += seconds


@dataclass
class Actor:
    """A command under way beside others: it runs only while it has the turn."""

    thread: greenlet
    wakes: float


@dataclass
class World:
    """The clock, the disasters of the act that is played, and whose turn it is."""

    clock: Clock = field(default_factory=Clock)
    disasters: tuple[Disaster, ...] = ()
    struck: list[str] = field(default_factory=list)
    down_until: float = 0.0
    denied_until: float = 0.0
    trace: list[tuple[str, int, str]] = field(default_factory=list)
    _seen: dict[str, int] = field(default_factory=dict)
    _actors: list[Actor] = field(default_factory=list)
    _current: Actor | None = None
    _conductor: greenlet = field(default_factory=getcurrent)

    # --- disasters -------------------------------------------------------------------------------

    def befall(self, disasters: tuple[Disaster, ...]) -> None:
        """From here on these are what happens, counted anew."""
        self.disasters, self._seen, self.trace = disasters, {}, []

    def at(self, *points: str) -> list[Disaster]:
        """What strikes at a point that is now reached, known by these names."""
        for point in points:
            self._seen[point] = self._seen.get(point, 0) + 1
        self.trace.append((points[-1], self._seen[points[-1]], points[0]))
        striking = [one for one in self.disasters if one.point in points and self._is_due(one)]
        self.struck += [one.what for one in striking]
        return striking

    def _is_due(self, disaster: Disaster) -> bool:
        since = self._seen[disaster.point] - disaster.nth
        return since >= 0 and (disaster.times is None or since < disaster.times)

    # --- turns -----------------------------------------------------------------------------------

    def play(self, runs: Sequence[Callable[[], None]], turns: int) -> None:
        """Run commands to their ends, side by side if there are several."""
        if len(runs) == 1:
            _lived(runs[0])
            return
        dice = random.Random(turns)
        self._actors = [Actor(greenlet(partial(_lived, run)), self.clock.now) for run in runs]
        try:
            while self._actors:
                awake = [actor for actor in self._actors if actor.wakes <= self.clock.now]
                if not awake:
                    soonest = min(actor.wakes for actor in self._actors)
                    self.clock.pass_by(max(0.001, soonest - self.clock.now))
                    continue
                self._current = dice.choice(awake)
                self._current.thread.switch()
                self._actors = [actor for actor in self._actors if not actor.thread.dead]
        finally:
            self._actors, self._current = [], None

    @property
    def is_shared(self) -> bool:
        """Whether several commands are under way."""
        return self._current is not None

    def sleep(self, seconds: float) -> None:
        """The command that has the turn waits; others go on."""
        actor = self._current
        if actor is None:
            self.clock.pass_by(seconds)
            return
        actor.wakes = self.clock.now + seconds
        self._conductor.switch()


def _lived(run: Callable[[], None]) -> None:
    try:
        run()
    except Death:
        return
