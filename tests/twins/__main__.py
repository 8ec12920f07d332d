"""``python -m tests.twins --rounds 1000``: the rounds of the suite, as many as wanted."""

from __future__ import annotations

import argparse
import os
import random
import resource
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

if TYPE_CHECKING:
    from twins.nursery import Nursery
    from twins.pairings import Pairing

AT_A_TIME = 36
"""Rounds on one service; then a fresh one, for videos take room in memory."""


def main() -> int:
    from twins.nursery import Nursery
    from twins.pairings import DYING, PAIRINGS

    parser = argparse.ArgumentParser(prog="python -m tests.twins", description=__doc__)
    parser.add_argument("--rounds", type=int, default=200, help="in all [200]")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="pairings whose names contain this")
    wanted = parser.parse_args()
    pairings = [one for one in (*PAIRINGS, DYING) if wanted.only in one.name]
    each = -(-wanted.rounds // len(pairings))
    chance = random.Random(wanted.seed)
    began, violations = time.monotonic(), 0
    with tempfile.TemporaryDirectory() as folder, Nursery(Path(folder)) as nursery:
        for pairing in pairings:
            violations += _told(pairing, _rounds(nursery, pairing, each, chance))
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu = sum(one.ru_utime + one.ru_stime for one in used)
    seconds = time.monotonic() - began
    print(
        f"{each * len(pairings)} rounds, seed {wanted.seed}: {violations} violations; "
        f"{seconds:.0f} s, {cpu:.0f} s of processor, {os.cpu_count()} cores"
    )
    return 1 if violations else 0


def _told(pairing: Pairing, played: tuple[Counter[tuple[str, str]], int]) -> int:
    ends, broken = played
    mix = ", ".join(f"{' / '.join(pair)} {count}" for pair, count in ends.most_common())
    print(f"{pairing.name}: {ends.total()} rounds: {mix}", flush=True)
    return broken


def _rounds(
    nursery: Nursery, pairing: Pairing, rounds: int, chance: random.Random
) -> tuple[Counter[tuple[str, str]], int]:
    from served import served

    from twins.pairings import play
    from twins.rounds import Ground

    ends: Counter[tuple[str, str]] = Counter()
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    broken = 0
    for left in range(rounds, 0, -AT_A_TIME):
        seed = chance.randrange(1 << 32)
        with tempfile.TemporaryDirectory(prefix="twins-", dir=memory) as name:
            folder = Path(name)
            with served(folder) as stream:
                ground = Ground(stream, nursery, random.Random(seed))
                try:
                    ends += play(ground, pairing, min(left, AT_A_TIME))
                except AssertionError as violation:
                    broken += 1
                    print(f"VIOLATION in {pairing.name}, {ground.count}: {violation!r}", flush=True)
    return ends, broken


if __name__ == "__main__":
    raise SystemExit(main())
