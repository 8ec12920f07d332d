"""A sweep in several processes at once, each with servers and a nursery of its own."""

from __future__ import annotations

import queue
import time
from collections import defaultdict
from collections.abc import Iterator
from multiprocessing import get_context
from multiprocessing.context import SpawnProcess
from multiprocessing.queues import Queue

from .account import in_memory
from .sweep import Stretch, Tally, arena, sweep

Swept = tuple[Stretch, Tally, float]
Results = dict[tuple[str, str], Tally]


def _work(todo: Queue[Stretch], done: Queue[Swept], every: int) -> None:
    with in_memory() as folder, arena(folder) as here:
        while True:
            try:
                stretch = todo.get(timeout=1)
            except queue.Empty:
                return
            started = time.monotonic()
            tally = sweep(here, stretch, every)
            done.put((stretch, tally, time.monotonic() - started))


def swept(stretches: list[Stretch], jobs: int, every: int) -> Iterator[Swept]:
    """Each stretch when it is done, and the seconds that it took."""
    context = get_context("spawn")
    todo: Queue[Stretch] = context.Queue()
    done: Queue[Swept] = context.Queue()
    for stretch in stretches:
        todo.put(stretch)
    workers = [context.Process(target=_work, args=(todo, done, every)) for _ in range(jobs)]
    for worker in workers:
        worker.start()
    for _ in stretches:
        yield _next(done, workers)
    for worker in workers:
        worker.join()


def _next(done: Queue[Swept], workers: list[SpawnProcess]) -> Swept:
    while True:
        try:
            return done.get(timeout=5)
        except queue.Empty:
            if any(worker.exitcode for worker in workers):
                raise SystemExit("a worker broke") from None


def told(stretches: list[Stretch], jobs: int, every: int) -> Results:
    """Sweep, and tell of each stretch; the tallies by flow and effect."""
    results: Results = defaultdict(Tally)
    for stretch, tally, seconds in swept(stretches, jobs, every):
        ever = " for ever" if stretch.for_ever else ""
        results[stretch.flow, stretch.effect + ever].add(tally)
        found = f", {len(tally.violations)} VIOLATIONS" if tally.violations else ""
        print(f"{stretch}: {tally.points} points, {seconds:.0f} s{found}", flush=True)
        for violation in tally.violations:
            print(f"  {violation}", flush=True)
    return results
