"""Pairings: which two commands are started together, and how the pair of them may end."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from served import MIB, Asked

from .nursery import Child, Ended, Order
from .rounds import CLEANUP, SEND, Ground, Round, outcome, told_by


@dataclass(frozen=True)
class Pairing:
    """Two commands, what they find, and how the pair of them may end."""

    name: str
    orders: Callable[[Round], tuple[Order, Order]]
    allowed: frozenset[tuple[str, str]]
    before: tuple[Callable[[Round], None], ...] = ()
    creates: int | None = None
    """Creates of a round where each sends, or None where discarding makes the number vary."""
    at_once: int = 1
    together: float = 0.5
    lag: float = 0.25
    """How many start at the same instant; seconds by which the second is late in the others."""
    kills: bool = False
    """The first is killed within a moment of its create."""


def _ends(*pairs: tuple[str, str]) -> frozenset[tuple[str, str]]:
    return frozenset(pairs)


EITHER_SENDS = _ends(("sent", "busy"), ("busy", "sent"), ("sent", "already"), ("already", "sent"))
# "whole": the row was read while the sender lived, and looked at again once it had ended;
# "waiting": rows were read before the sender's, and the list after its create.
SENT_BESIDE_CLEANUP = _ends(
    ("sent", "nothing"), ("sent", "busy"), ("sent", "whole"), ("sent", "waiting")
)
ONE_DISCARDS = _ends(
    ("discarded", "busy"), ("busy", "discarded"), ("discarded", "nothing"),
    ("nothing", "discarded"), ("discarded", "discarded"),
)  # fmt: skip
RESUMED_OR_DISCARDED = SENT_BESIDE_CLEANUP | _ends(
    ("busy", "discarded"), ("sent", "discarded"), ("already", "whole")
)

PAIRINGS = (
    Pairing(
        "the same path",
        lambda r: (r.order(*SEND, r.path.name), r.order(*SEND, r.path.name)),
        EITHER_SENDS, creates=1,
    ),
    Pairing(
        "a hard link",
        lambda r: (r.order(*SEND, r.path.name), r.order(*SEND, r.link)),
        EITHER_SENDS, creates=1,
    ),
    Pairing(
        "a symbolic link",
        lambda r: (r.order(*SEND, r.symlink), r.order(*SEND, r.path.name)),
        EITHER_SENDS, creates=1,
    ),
    Pairing(
        "a relative and an absolute path",
        lambda r: (
            r.order(*SEND, f"../{r.path.name}", folder="below"), r.order(*SEND, str(r.path))
        ),
        EITHER_SENDS, creates=1,
    ),
    Pairing(
        "send and send after a killed run",
        lambda r: (r.order(*SEND, f"./{r.path.name}"), r.order(*SEND, r.link)),
        EITHER_SENDS, before=(Round.killed,), creates=0,
    ),
    Pairing(
        "send and cleanup",
        lambda r: (r.order(*SEND, r.path.name), r.order(*CLEANUP)),
        SENT_BESIDE_CLEANUP, creates=1, together=0.2, lag=0.5,
    ),
    Pairing(
        "send and cleanup after a killed run",
        lambda r: (r.order(*SEND, r.path.name), r.order(*CLEANUP)),
        RESUMED_OR_DISCARDED, before=(Round.killed,), at_once=9,
        together=0.2, lag=0.6,
    ),
    Pairing(
        "cleanup and cleanup with a leftover",
        lambda r: (r.order(*CLEANUP), r.order(*CLEANUP)),
        ONE_DISCARDS, before=(Round.killed, Round.unanswered), at_once=9,
    ),
)  # fmt: skip


def _another(one: Round) -> Order:
    return one.order(*SEND, one.link) if one.ground.count % 2 else one.order(*CLEANUP)


DYING = Pairing(
    "a sender killed as another command starts",
    lambda r: (r.order(*SEND, r.path.name), _another(r)),
    frozenset(
        (first, second)
        for first in ("killed", "sent", "already", "busy")
        for second in ("sent", "busy", "already", "nothing", "waiting", "discarded", "whole")
    ),
    together=0.2, lag=0.6, kills=True,
)  # fmt: skip


def play(ground: Ground, pairing: Pairing, rounds: int) -> Counter[tuple[str, str]]:
    """Play ``rounds`` of a pairing; how often the two ended how."""
    seen: Counter[tuple[str, str]] = Counter()
    while rounds:
        batch = [ground.round() for _ in range(min(rounds, pairing.at_once))]
        rounds -= len(batch)
        seen.update(_play(ground, pairing, batch))
    assert {video["uid"] for video in ground.stream.videos()} == set(ground.told.values())
    return seen


def _play(ground: Ground, pairing: Pairing, batch: list[Round]) -> list[tuple[str, str]]:
    stream = ground.stream
    for number, one in enumerate(batch):
        if pairing.at_once > 1:
            # Neighbours must not meet in one journal: their sweeps would be one another's.
            one.state = one.path.parent / "state"
        if pairing.before:
            pairing.before[number % len(pairing.before)](one)
    # On a slow line the second meets the first; on a fast one it may come after its end.
    rate = 2 * MIB if ground.is_slow else ground.chance.choice((None, 4 * MIB, 12 * MIB))
    stream.proxy.limit_rate(rate)
    stream.ledger.asked.clear()
    orders = [order for one in batch for order in _spread(ground, pairing, one)]
    children = ground.nursery.start(*orders)
    if pairing.kills:
        _kill(ground, children[0])
    ended = [child.wait() for child in children]
    stream.proxy.limit_rate(None)
    if pairing.creates is not None:
        assert stream.methods().count("POST") == pairing.creates
        assert "DELETE" not in stream.methods()
    _nothing_sent_twice(stream.ledger.asked, late_bytes=pairing.kills)
    pairs = [(ended[n], ended[n + 1]) for n in range(0, len(ended), 2)]
    return [_settled(pairing, one, pair) for one, pair in zip(batch, pairs, strict=True)]


def _nothing_sent_twice(requests: Sequence[Asked], *, late_bytes: bool) -> None:
    """Each PATCH begins where Stream is, or, beside late bytes of the dead, where a HEAD saw it."""
    told: dict[str, int] = {}
    for asked in requests:
        if asked.known is None:
            continue
        if asked.method == "HEAD":
            told[asked.path] = asked.known
        else:
            least = told.get(asked.path, 0) if late_bytes else asked.known
            assert asked.offset is not None
            assert least <= asked.offset <= asked.known, (asked, least)


def _kill(ground: Ground, child: Child) -> None:
    there = len(ground.told)
    ground.stream.wait_until(lambda: len(ground.stream.videos()) > there)
    time.sleep(ground.chance.uniform(0.0, 0.3))
    child.kill()


def _spread(ground: Ground, pairing: Pairing, one: Round) -> tuple[Order, Order]:
    """At the same instant, or the second later, to meet the first anywhere."""
    first, second = pairing.orders(one)
    if ground.chance.random() < pairing.together or (ground.is_slow and pairing.lag < 0.3):
        return first, second
    return first, replace(second, delay=ground.chance.uniform(0.0, pairing.lag))


def _settled(pairing: Pairing, one: Round, pair: tuple[Ended, Ended]) -> tuple[str, str]:
    """Check how the two ended, send once more where neither did, and check what is there."""
    first, second = outcome(pair[0]), outcome(pair[1])
    assert (first, second) in pairing.allowed, (first, second, pair)
    told = [uid for ended in pair if (uid := told_by(ended))]
    if not told:
        again = one.run(*SEND, one.path.name)
        # A sender may be killed between its receipt and its word.
        assert outcome(again) in ("sent", *(["already"] if pairing.kills else [])), again
        told = [told_by(again) or ""]
    one.check(told)
    return first, second
