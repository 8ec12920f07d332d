"""``python -m tests.simulation --seeds N``: seeded disasters, and whether the promise held.

Prints the seeds, the violations and the mix. A violation prints its seed and a shortest story.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from simulation.playing import play
from simulation.scale import scaled
from simulation.shortening import shortest
from simulation.story import story_of

BATCH = 250
Batch = tuple[int, list[tuple[int, str]], Counter[str], Counter[str], int]


def played(seeds: range) -> Batch:
    """Play these seeds in a folder of their own."""
    failed: list[tuple[int, str]] = []
    ends: Counter[str] = Counter()
    struck: Counter[str] = Counter()
    requests = 0
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="cfupload-sim-", dir=memory) as name, scaled():
        for seed in seeds:
            broken, mix, disasters, count = play(story_of(seed), Path(name))
            ends += mix
            struck += disasters
            requests += count
            if broken is not None:
                failed.append((seed, str(broken)))
    return len(seeds), failed, ends, struck, requests


def batches(first: int, count: int) -> Iterator[range]:
    """The seeds in portions."""
    for start in range(first, first + count, BATCH):
        yield range(start, min(start + BATCH, first + count))


def tell(counts: Counter[str]) -> str:
    """Counts in one line, the most frequent first."""
    return ", ".join(f"{name} {count:,}" for name, count in counts.most_common())


def main() -> int:
    """Play, report, and answer with the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=5000, help="how many stories")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--tell", action="store_true", help="print the story of the first seed")
    asked = parser.parse_args()
    if asked.tell:
        print(story_of(asked.first))
    started = time.monotonic()
    done, failures = 0, list[tuple[int, str]]()
    ends: Counter[str] = Counter()
    struck: Counter[str] = Counter()
    requests = 0
    with multiprocessing.Pool(asked.jobs) as pool:
        for count, failed, mix, disasters, sent in pool.imap_unordered(
            played, batches(asked.first, asked.seeds)
        ):
            done += count
            failures += failed
            for seed, words in failed:
                print(f"seed {seed}: {words}", flush=True)
            ends += mix
            struck += disasters
            requests += sent
            if done % 50_000 < BATCH and done < asked.seeds:
                minutes = (time.monotonic() - started) / 60
                print(f"{done:,} seeds, {len(failures)} violations, {minutes:.1f} min", flush=True)
    seconds = time.monotonic() - started
    last = asked.first + asked.seeds - 1
    print(f"seeds {asked.first} to {last}: {len(failures)} violations, {seconds:.0f} s")
    print(f"requests: {requests:,}")
    print(f"ends: {tell(ends)}")
    print(f"disasters: {sum(struck.values()):,} ({tell(struck)})")
    for seed, words in sorted(failures)[:5]:
        print(f"\nseed {seed}: {words}")
        print(shortest(story_of(seed)))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
