"""How long a journal that does not answer is waited for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from cfstream_upload import events, pace
from cfstream_upload.ending import Policy
from cfstream_upload.interruption import Interruption

GRACE = 5.0
"""Seconds after the first signal: then what is on disk must do (law 10)."""

LONGEST_PAUSE = 5.0

STOPPING_PAUSE = 0.5
"""After a signal: two of `LONGEST_PAUSE` would not fit into the time for a rollback."""


@dataclass
class Outage:
    """A `Wait` of the ledger: paced, told, within ``--retry-max-time`` in all.

    ``file`` is what events name, ``""`` where it is nobody's in particular.
    """

    policy: Policy
    interruption: Interruption
    tell: events.Listener
    clock: Callable[[], float]
    chance: Callable[[], float]
    file: str = ""
    _since: float | None = field(default=None, init=False)

    def __call__(self, tries: int, why: str) -> bool:
        """Wait before the next try; False when it is not worth one."""
        if self._since is None:
            self._since = self.clock()
        left = self.policy.retry_max_time - (self.clock() - self._since)
        if left <= 0 or not self.policy.retries or self.gave_up():
            return False
        longest = STOPPING_PAUSE if self.interruption.count else LONGEST_PAUSE
        seconds = min(longest, left, pace.wait(tries, None, self.chance()))
        self.tell(events.Retrying(self.file, why, tries, seconds))
        self.interruption.pause(seconds, self.interruption.count)
        return True

    def gave_up(self) -> bool:
        """Whether who asked to stop has waited long enough."""
        return self.interruption.count > 1 or self.interruption.asked_for(GRACE)
