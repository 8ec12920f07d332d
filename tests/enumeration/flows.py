"""The runs under attack, their points, and every single fault and pair of faults in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from zlib import crc32

from enumeration.effects import AT_A_COMMIT, DEATHS, at_a_request
from simulation.stage import Play
from simulation.story import Act, Disaster, Story

ENDS = ("send", "sweep")
REFUSED = Disaster("412", "PATCH", 2, None)
"""What makes a run roll back: its second chunk is refused for good."""


@dataclass(frozen=True)
class Flow:
    """What happened before, the command under attack, and what goes wrong in it anyway."""

    before: tuple[Act, ...] = ()
    command: str = "send"
    always: tuple[Disaster, ...] = ()

    def story(self, *faults: Disaster, end: str = "send") -> Story:
        """The flow with these faults; after a death the next strikes the command that follows."""
        deadly = [n for n, fault in enumerate(faults) if fault.what in DEATHS]
        cut = deadly[0] + 1 if deadly else len(faults)
        acts = [Act((self.command,), (*self.always, *faults[:cut]))]
        if faults[cut:]:
            acts.append(Act(("send",), faults[cut:]))
        return Story(acts=(*self.before, *acts), end=end)


def _dies(what: str, point: str, nth: int) -> tuple[Act, ...]:
    return (Act(("send",), (Disaster(what, point, nth),)),)


FLOWS = {
    "fresh": Flow(),
    "resumed": Flow(_dies("dies after", "PATCH", 2)),
    "rolled back": Flow(always=(REFUSED,)),
    "swept": Flow(_dies("dies after", "PATCH", 2), "sweep"),
    "create lost": Flow(_dies("dies after", "POST", 1)),
    "create lost, swept": Flow(_dies("dies after", "POST", 1), "sweep"),
    "last reply lost": Flow(_dies("dies after", "PATCH", 3)),
    "last reply lost, swept": Flow(_dies("dies after", "PATCH", 3), "sweep"),
}


@dataclass(frozen=True)
class Reached:
    """One effect of a run: the ``nth`` request of it, made with ``method``, or the nth commit."""

    kind: str
    nth: int
    method: str = ""


def reached(story: Story, folder: Path, act: int) -> list[Reached]:
    """The points that an act of a story comes to, in their order."""
    play = Play(story, folder)
    return [
        Reached("commit", n) if kind == "commit" else Reached("request", n, method)
        for kind, n, method in play.points_of(act)
        if kind != "pause"
    ]


def faults_at(point: Reached, *, all_of_them: bool) -> Iterator[Disaster]:
    """What can befall this point."""
    effects: tuple[str, ...] = AT_A_COMMIT
    if point.kind == "request":
        effects = at_a_request(point.method, all_of_them=all_of_them)
    for effect in effects:
        yield Disaster(effect, point.kind, point.nth)


def ends_of(faults: tuple[Disaster, ...], *, one_end: bool) -> tuple[str, ...]:
    """Both ends; or one of them, always the same for these faults."""
    return (ENDS[crc32(repr(faults).encode()) % len(ENDS)],) if one_end else ENDS


def singles(flow: Flow, folder: Path) -> Iterator[tuple[Disaster, ...]]:
    """Every single fault, with each reply of the tables; one of each class also lasts."""
    for point in reached(flow.story(), folder, len(flow.before)):
        for fault in faults_at(point, all_of_them=True):
            yield (fault,)
        for fault in faults_at(point, all_of_them=False):
            if fault.what not in DEATHS:
                yield (replace(fault, times=3),)
                yield (replace(fault, times=None),)


def pairs(flow: Flow, folder: Path) -> Iterator[tuple[Disaster, ...]]:
    """Every pair: the second at each point that the run comes to after the first.

    Of effects that tell the client the same and make Stream do the same one stands for all.
    """
    first_act = len(flow.before)
    for point in reached(flow.story(), folder, first_act):
        for first in faults_at(point, all_of_them=False):
            dead = first.what in DEATHS
            story = flow.story(first, Disaster("nothing", "request", 10_000))
            then = reached(story, folder, first_act + dead)
            later = then if dead else then[_place(then, point) + 1 :]
            for second_point in later:
                for second in faults_at(second_point, all_of_them=False):
                    yield (first, second)


def _place(points: list[Reached], point: Reached) -> int:
    return next(n for n, one in enumerate(points) if (one.kind, one.nth) == (point.kind, point.nth))
