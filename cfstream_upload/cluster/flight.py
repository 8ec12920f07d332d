"""One file that was given to the cluster: what happened to it there, and whether it goes again.

Dask runs a task anew when its worker is lost, and may run one twice at once. The journal and the
lock make that harmless; here the several ends of such a file become one result. Pure.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace

from cfstream_upload import events
from cfstream_upload.batch import Place
from cfstream_upload.cluster.letters import Reply
from cfstream_upload.errors import (
    Busy,
    CfuploadError,
    ConfigProblem,
    FileProblem,
    TroubleOutlasted,
    described,
)
from cfstream_upload.result import Result

MOST_LOST = 5
"""How often a file is given away anew without progress; each time Dask tries four workers."""

BUSY_FOR = 90.0
"""Seconds that the lock of a lost worker may outlive it."""

BUSY_PAUSE = 2.0


@dataclass
class Flight:
    """A file under way; ``lane`` are those that must come after it."""

    place: Place
    lane: deque[Place]
    absolute: str
    keys: int = 0
    """How many orders were given for it."""
    workers: set[str] = field(default_factory=set)
    """Those that began it."""
    lost: int = 0
    """How often it was given away anew since its last progress."""
    disturbed: bool = False
    """A worker was lost, or told to go, while it had the file: the lock may still be held."""
    busy_since: float | None = None
    again_at: float | None = None
    """When it is to be given away anew; None while somebody has it."""
    _high: int = 0
    _made: set[str] = field(default_factory=set)

    def hear(self, event: events.Event) -> None:
        """Take in what a worker tells of this file."""
        match event:
            case events.Created() | events.Resumed():
                self._made.add(event.uid)
            case events.Progress() if event.acknowledged > self._high:
                self._high, self.lost = event.acknowledged, 0

    def begun_at(self, worker: str) -> None:
        """A worker began it."""
        self.workers.add(worker)
        self.disturbed = self.disturbed or len(self.workers) > 1

    def goes_again(self, reply: Reply, now: float) -> float | None:
        """The seconds after which it is to be given away anew; None where ``reply`` is the end."""
        error = reply.result.error
        if reply.left:
            self.disturbed = True
            return self._spent(0.0) if error is not None else None
        if isinstance(error, Busy) and self.disturbed:
            self.busy_since = now if self.busy_since is None else self.busy_since
            return BUSY_PAUSE if now - self.busy_since < BUSY_FOR else None
        return None

    def crashed(self) -> float | None:
        """Too many workers died with it: the seconds until it goes again, None for no more."""
        self.disturbed = True
        return self._spent(BUSY_PAUSE)

    def _spent(self, pause: float) -> float | None:
        self.lost += 1
        return pause if self.lost <= MOST_LOST else None

    def result(self, reply: Reply) -> Result:
        """The file's result, under the name that the user gave it."""
        result = replace(reply.result, file=self.place[1])
        error = result.error
        if isinstance(error, FileProblem) and "://" in self.absolute:
            # Who may read a source is a matter of the worker's machine, and not of the command's.
            words = f"{error.message} (at the worker {reply.worker})"
            result = replace(result, error=type(error)(words, error.hint, uid=error.uid))
        if result.outcome == "already" and result.uid in self._made:
            # A worker was lost between the end of the upload and its reply.
            return replace(result, outcome="uploaded", sent=result.size or 0)
        return result


def is_passing(trouble: BaseException | None) -> bool:
    """Whether it was Dask that gave the file up, and not the file that failed."""
    return type(trouble).__name__ == "KilledWorker" or isinstance(trouble, OSError)


def trouble_of(trouble: BaseException | None, file: str) -> CfuploadError:
    """What Dask says in place of a reply, as an error of ours."""
    name = type(trouble).__name__
    if name == "KilledWorker":
        return TroubleOutlasted(
            f"Workers were lost again and again while they sent {file}",
            "Look at their logs (memory?), then run the same command again.",
        )
    if isinstance(trouble, ImportError) or "deserializ" in str(trouble):
        return ConfigProblem(
            "The scheduler or a worker has no cfupload, or another one",
            "Install the same Python, Dask and cfupload on every machine, the scheduler's too.",
        )
    if isinstance(trouble, OSError):
        return TroubleOutlasted(
            "The cluster gave the file up: its scheduler or a worker is gone",
            "Start it again, then run the same command: it does what is missing.",
        )
    if isinstance(trouble, Exception):
        return described(trouble)
    return CfuploadError(f"A task ended with {name}")
