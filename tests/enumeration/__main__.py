"""``python -m tests.enumeration``: every single fault, or with ``--pairs`` every pair of faults.

Each is followed by a clean ``send``, and in another run by ``cleanup --orphans``, which must leave
nothing pending, and then a clean ``send``; with ``--one-end`` by one of the two, half of them by
each. Prints how many were played and what broke the promise.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import sys
import tempfile
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from enumeration.effects import METHODS, kin
from enumeration.flows import ENDS, FLOWS, ends_of, pairs, singles
from postgres import Postgres, postgres
from simulation.playing import play
from simulation.scale import scaled
from simulation.stage import DATABASE
from simulation.story import Disaster, Story

Job = tuple[str, tuple[tuple[Disaster, ...], ...]]
BATCH = 100


def played(flow: str, faults: list[tuple[Disaster, ...]], *, one_end: bool) -> list[str]:
    """Play a flow with each of these; the stories that broke the promise."""
    broken: list[str] = []
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="cfupload-enum-", dir=memory) as name, scaled():
        for befalling in faults:
            for end in ends_of(befalling, one_end=one_end):
                story: Story = FLOWS[flow].story(*befalling, end=end)
                error = play(story, Path(name))[0]
                if error is not None:
                    broken.append(f"{flow}: {error}\n{story}\n")
    return broken


def faults_of(
    flow: str, *, twice: bool, one_in: int = 1, seed: int = 0
) -> list[tuple[Disaster, ...]]:
    """The single faults or pairs of a flow, or about one in so many of them, by ``seed``."""
    dice = random.Random(f"{flow} {seed}")
    with tempfile.TemporaryDirectory(prefix="cfupload-enum-") as name, scaled():
        found = (pairs if twice else singles)(FLOWS[flow], Path(name))
        return [faults for faults in found if one_in == 1 or dice.randrange(one_in) == 0]


def _tell_kin() -> None:
    with scaled():
        for method in METHODS:
            print(f"{method}: {len(kin(method))} classes")
            for effect, like_it in kin(method).items():
                print(f"  {effect}: {', '.join(like_it)}")


def main() -> int:
    """Play them all, report, and answer with the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.enumeration", description=__doc__)
    parser.add_argument("--pairs", action="store_true", help="every pair of faults")
    parser.add_argument("--kin", action="store_true", help="which effects stand for which others")
    parser.add_argument("--one-in", type=int, default=1, metavar="N", help="a sample of them")
    parser.add_argument("--seed", type=int, default=0, help="which sample")
    parser.add_argument("--one-end", action="store_true", help="not both ends after each")
    parser.add_argument("--flow", choices=FLOWS, action="append")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--journal", choices=("sqlite", "postgresql"), default="sqlite")
    asked = parser.parse_args()
    if asked.kin:
        _tell_kin()
        return 0
    with ExitStack() as stack:
        server = stack.enter_context(postgres()) if asked.journal == "postgresql" else None
        if server is not None:
            DATABASE[:] = [server.url(server.database())]
        return _played_all(asked, server)


def _settle(server: Postgres | None) -> None:
    """A process of its own has a database of its own."""
    if server is not None:
        DATABASE[:] = [server.url(server.database())]


def _played_all(asked: argparse.Namespace, server: Postgres | None) -> int:
    failures = 0
    for flow in asked.flow or FLOWS:
        started = time.monotonic()
        faults = faults_of(flow, twice=asked.pairs, one_in=asked.one_in, seed=asked.seed)
        batches = [faults[n : n + BATCH] for n in range(0, len(faults), BATCH)]
        broken: list[str] = []
        with multiprocessing.Pool(asked.jobs, _settle, (server,)) as pool:
            play_all = partial(played, flow, one_end=asked.one_end)
            for found in pool.imap_unordered(play_all, batches):
                broken += found
        failures += len(broken)
        what = "pairs" if asked.pairs else "single faults"
        count, seconds = len(faults), time.monotonic() - started
        plays = count * (1 if asked.one_end else len(ENDS))
        print(
            f"{flow}: {count:,} {what}, {plays:,} runs, {len(broken)} violations, {seconds:.0f} s"
        )
        for words in broken[:5]:
            print(f"\n{words}")
        sys.stdout.flush()
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
