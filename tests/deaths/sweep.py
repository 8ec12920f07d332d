"""Every point of a flow, one after the other: strike there, then look at what is left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from .account import Ground, ground
from .dying_process import Ended, Nursery, Strike, nursery
from .flows import FLOWS, Flow
from .promise import check_arrival, check_death

NETWORK = ("connect", "sendto", "recvfrom")
WRITES = ("mkdir", "pwrite64", "write", "fsync", "fdatasync", "ftruncate", "unlink", "rename")
JOURNAL = ("openat", *WRITES)
LOCKS = ("flock", "fcntl")

MISSES = 3
"""Runs without a strike that end a stretch of sockets: how often they say "not now" differs."""

POINTS: dict[str, tuple[str, ...]] = {
    "kill": (*NETWORK, *JOURNAL, *LOCKS),
    "enospc": JOURNAL,
    "eio": JOURNAL,
    "epipe": NETWORK,
    "econnreset": NETWORK,
}
"""Which system calls each effect strikes. Locks and closes do not answer with these errors."""


@dataclass
class Tally:
    """What a sweep counted."""

    points: int = 0
    runs: int = 0
    violations: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        self.points += other.points
        self.runs += other.runs
        self.violations += other.violations


@dataclass(frozen=True)
class Recorded:
    """The trace of a run, its state directory, and what was in that before."""

    trace: str
    state: Path
    before: dict[str, bytes]


@dataclass
class Arena:
    """Where processes die: the account and the nursery."""

    ground: Ground
    nursery: Nursery

    def record(self, flow: Flow, syscalls: tuple[str, ...]) -> Recorded:
        """One run of ``flow`` that nobody strikes, its calls told in full."""
        with self.ground.case() as case:
            flow.prepare(case)
            self.ground.front.service = flow.met(case.stage.model)
            state = case.stage.folder / case.stage.state
            found = [path for path in state.glob("*") if path.is_file()]
            before = {path.name: path.read_bytes() for path in found}
            environment = self.ground.environment(case)
            ended = self.nursery.run(flow.arguments(case), environment, recorded=syscalls)
            return Recorded(ended.trace, state, before)

    def strike(self, flow: Flow, strike: Strike | None, *, cleanup: bool) -> Ended:
        """One run of ``flow`` with one strike, and all that must hold after it."""
        with self.ground.case() as case:
            flow.prepare(case)
            self.ground.front.service = flow.met(case.stage.model)
            arguments = flow.arguments(case)
            ended = self.nursery.run(arguments, self.ground.environment(case), strike)
            self.ground.settle()
            asked = list(self.ground.front.asked)
            check_death(case, asked, ended, sending=arguments[0] == "send")
            check_arrival(case, cleanup=cleanup)
            return ended


@contextmanager
def arena(folder: Path) -> Iterator[Arena]:
    with ExitStack() as stack:
        here = stack.enter_context(ground(folder))
        yield Arena(here, stack.enter_context(nursery(folder / "words")))


@dataclass(frozen=True)
class Stretch:
    """All points of one system call in one flow, for one effect."""

    flow: str
    syscall: str
    effect: str
    for_ever: bool = False

    def __str__(self) -> str:
        ever = " for ever" if self.for_ever else ""
        return f"{self.flow}: {self.effect}{ever} at each {self.syscall}"


def stretches(flows: Iterable[str], effects: Iterable[str]) -> list[Stretch]:
    """All there is to sweep: deaths first, and the longest first."""
    found = [
        Stretch(flow, syscall, effect, for_ever)
        for effect in effects
        for flow in flows
        for syscall in POINTS[effect]
        for for_ever in ((False,) if effect == "kill" else (False, True))
    ]
    long = ("pwrite64", "sendto", "fcntl")
    return sorted(found, key=lambda one: (one.effect != "kill", one.syscall not in long))


def sweep(arena: Arena, stretch: Stretch, every: int = 1) -> Tally:
    """Strike at every point of a stretch: N rises until a run ends without having been struck.

    With ``every`` only at each such point.
    """
    tally, misses = Tally(), 0
    apart = _not_of_the_journal(arena, stretch)
    for nth in count((every + 1) // 2, every):
        if nth in apart:
            continue
        strike = Strike(stretch.syscall, nth, stretch.effect, stretch.for_ever)
        tally.runs += 1
        struck = _tried(arena, stretch.flow, strike, tally, cleanup=tally.runs % 2 == 0)
        tally.points += struck
        misses = 0 if struck else misses + 1
        if misses == (MISSES if stretch.syscall in NETWORK else 1):
            return tally
    raise AssertionError("endless")


def _tried(arena: Arena, flow: str, strike: Strike, tally: Tally, *, cleanup: bool) -> bool:
    try:
        return arena.strike(FLOWS[flow], strike, cleanup=cleanup).struck
    except AssertionError as violation:
        after = "cleanup and send" if cleanup else "send"
        tally.violations.append(f"{flow}, {strike}, then {after}: {violation}")
        return True


def _not_of_the_journal(arena: Arena, stretch: Stretch) -> set[int]:
    """The openings of other files: errors there are no errors of the journal."""
    if stretch.syscall != "openat" or stretch.effect == "kill":
        return set()
    ended = arena.strike(FLOWS[stretch.flow], None, cleanup=False)
    opened = [line for line in calls(ended.trace) if line.startswith("openat(")]
    return {nth for nth, line in enumerate(opened, 1) if "/state" not in line}


def calls(trace: str) -> list[str]:
    """The system calls of the traced process's own thread, in their order."""
    lines = [line.split(maxsplit=1) for line in trace.splitlines()]
    own = lines[0][0]
    return [line[1] for line in lines if line[0] == own and not line[1].startswith("<...")]


def points(arena: Arena, flow: str) -> dict[str, int]:
    """How often a flow that nobody strikes makes each system call."""
    ended = arena.strike(FLOWS[flow], None, cleanup=False)
    return dict(Counter(line.partition("(")[0] for line in calls(ended.trace)))
