"""A story: what Stream is like, which runs follow each other, and what befalls each of them.

A story is written before it is played, so that it can be told, shortened and played again.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any, get_args, get_type_hints

from faulted import EFFECTS

from cfstream_upload.emulator.switches import Switches

HOUR = 3600.0


@dataclass(frozen=True)
class Disaster:
    """Something that befalls the ``nth`` to ``nth + times``-th point of a kind in one run.

    ``point`` is a method, ``request`` (any method), ``commit`` or ``pause``; ``times`` None means
    for ever; ``seconds`` is how late, or how long.
    """

    what: str
    point: str
    nth: int = 1
    times: int | None = 1
    seconds: float = 0.0

    def __str__(self) -> str:
        often = {1: "", None: ", and each one after"}.get(self.times, f", {self.times} times")
        long = f" ({self.seconds:g} s)" if self.seconds else ""
        return f"{self.what}{long} at {self.point} {self.nth}{often}"


@dataclass(frozen=True)
class Act:
    """Commands at one time, what befalls them, and the seconds until the next act.

    ``edit`` is how the file changes before it; ``turns`` seeds the order of two commands' steps.
    """

    commands: tuple[str, ...] = ("send",)
    disasters: tuple[Disaster, ...] = ()
    edit: str = ""
    wait: float = 0.0
    turns: int = 0

    def __str__(self) -> str:
        before = f"the file is {self.edit}; " if self.edit else ""
        befalls = "; ".join(map(str, self.disasters)) or "nothing befalls it"
        return f"{before}{' beside '.join(self.commands)}: {befalls}; then {self.wait:g} s pass"


@dataclass(frozen=True)
class Story:
    """Acts on one Stream, and the command that ends them: ``send``, or ``sweep`` before it."""

    switches: dict[str, Any] = field(default_factory=dict)
    acts: tuple[Act, ...] = ()
    end: str = "send"
    shared_host: bool = False

    def __str__(self) -> str:
        thrown = ", ".join(f"{name}={value!r}" for name, value in self.switches.items())
        lines = [f"Stream: {thrown or 'as by default'}"]
        lines += [f"{number}. {act}" for number, act in enumerate(self.acts, 1)]
        shared = ", two state directories share a host id" if self.shared_host else ""
        return "\n".join([*lines, f"in the end: {self.end}{shared}"])


TIMES: dict[str, tuple[float, ...]] = {
    "pending_after_whole": (0.0, 0.0, 0.0, 5.0, 5.0, 90.0),
    "list_lag": (0.0, 0.0, 3.0, 20.0),
    "false_404s": (0, 0, 1, 2, 3),
}
# What no story throws, and why: a client can do nothing about a smaller quota of calls, the next
# four are about sizes and windows that these uploads do not reach, the others about forms, which
# the client never sends, and a queue that is never full here.
LEFT_OUT = {
    "uploads_count_to_limit", "expiry_cap", "tus_reservation", "meta_limit", "default_expiry",
    "form_used", "form_after_cut", "form_not_post", "form_too_large", "form_expiry_cap",
    "form_name", "queue_full_code", "queue_full_wait",
}  # fmt: skip

METHODS = ("request", "request", "POST", "PATCH", "HEAD", "GET", "DELETE")
POINTS = (*METHODS, "commit", "pause")
ANYWHERE = (
    "dies before", "dies before", "dies after", "dies after", "a signal", "two signals",
    "the file is edited", "the file is cut", "the tail is lost", "the machine sleeps",
    "the network is down", "the token is dead", "Stream cannot process it",
)  # fmt: skip
AT_REQUESTS = ("dies in the body", "late", "late", "late", "twice", "twice, late", "second reply")
AT_COMMITS = ("the commit fails", "the commit fails but is made")
COMMANDS: tuple[tuple[str, ...], ...] = (
    *(("send",),) * 10, *(("sweep",),) * 3,
    ("send", "send"), ("send", "sweep"), ("send", "sweep"), ("sweep", "sweep"),
)  # fmt: skip
BESIDE_ANOTHER: tuple[tuple[str, ...], ...] = (
    ("send", "other sweep"), ("send", "other sweep"), ("other sweep",), ("send",), ("sweep",),
)  # fmt: skip


def story_of(seed: int) -> Story:
    """The story of this number, always the same one."""
    dice = random.Random(seed)
    shared = dice.random() < 0.06
    acts = tuple(_act(dice, shared=shared) for _ in range(dice.choice((1, 1, 1, 1, 1, 2, 2, 3))))
    end = dice.choice(("send", "send", "sweep"))
    return Story(_switches(dice), acts, end, shared)


@cache
def _table() -> tuple[tuple[str, Any, Any], ...]:
    """Each switch: its name, its type and its default."""
    hints = get_type_hints(Switches)
    return tuple((one.name, hints[one.name], one.default) for one in fields(Switches))


def _switches(dice: random.Random) -> dict[str, Any]:
    if dice.random() < 0.25:
        return {}
    chosen: dict[str, Any] = {}
    for name, kind, default in _table():
        value = default
        if name in TIMES:
            value = dice.choice(TIMES[name])
        elif name in LEFT_OUT:
            continue
        elif kind is bool:
            value = dice.random() < 0.5
        elif get_args(kind) and isinstance(get_args(kind)[0], str):
            value = dice.choice(get_args(kind))
        if value != default:
            chosen[name] = value
    return chosen


def _act(dice: random.Random, *, shared: bool) -> Act:
    return Act(
        commands=dice.choice(BESIDE_ANOTHER if shared else COMMANDS),
        disasters=tuple(_disaster(dice) for _ in range(dice.choice((0, 1, 1, 1, 2, 2, 3)))),
        edit=dice.choice(("rewritten", "longer", "shorter")) if dice.random() < 0.08 else "",
        wait=dice.choice((0.0, 0.0, 0.0, 1.0, 30.0, 100.0, 2 * HOUR, 27 * HOUR)),
        turns=dice.randrange(1 << 30),
    )


def _disaster(dice: random.Random) -> Disaster:
    times = dice.choice((1, 1, 1, 2, 4, None))
    nth = dice.choice((1, 1, 2, 2, 3, 3, 4, 5, 6, 7, 8))
    if dice.random() < 0.5:
        return Disaster(dice.choice(list(EFFECTS)), dice.choice(METHODS), nth, times)
    point = dice.choice(POINTS)
    kinds: tuple[str, ...] = ANYWHERE
    if point == "commit":
        kinds = AT_COMMITS + ANYWHERE[:6]
    elif point != "pause":
        kinds = ANYWHERE + AT_REQUESTS
    what = dice.choice(kinds)
    seconds = 0.0
    if what in ("late", "twice, late"):
        seconds = dice.choice((0.2, 20.0, 62.0, 300.0, 2 * HOUR, 20 * HOUR))
    elif what in ("the network is down", "the token is dead"):
        seconds = dice.choice((3.0, 40.0, 400.0, 3 * HOUR))
    elif what == "the machine sleeps":
        seconds = dice.choice((300.0, 2 * HOUR, 25 * HOUR))
    repeated = what.startswith(("late", "twice", "the commit"))
    return Disaster(what, point, nth, times if repeated else 1, seconds)
