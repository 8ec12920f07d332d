"""A work of the fleet: more workers, each with a line of its own."""

from __future__ import annotations

import os
import random
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from postgres import postgres, why_not
from storm.crew import crew

from benchmarks.bench import Bench, Json
from benchmarks.clients import CFUPLOAD, environment
from benchmarks.measuring import measured

LINE = 100e6 / 8
"""Bytes a second of each worker's line: 100 Mbit/s."""

ENOUGH = 0.95
"""The share of the machine's cores that counts as all of them."""

FILES = 3
"""A worker's part, so that it also goes from one file to the next."""


def scaling(bench: Bench) -> Json:
    """1, 2, 4, 8 workers and more, each on a line of 100 Mbit/s of its own, over TLS."""
    if why := why_not():
        return {"missing": why}
    size = bench.sized(150_000_000, 40_000_000)
    found: Json = {"megabytes": size / 1e6, "files_a_worker": FILES}
    with postgres() as database:
        for workers in (1, 2, 4, 8) if bench.quick else (1, 2, 4, 8, 12, 16, 24):
            url = database.url(database.database())
            found[str(workers)] = one = _sent(bench, workers, size, url)
            # More of them would only share what the machine has.
            if one["cores"] >= ENOUGH * (os.cpu_count() or 1):
                break
    return found


def _sent(bench: Bench, workers: int, size: int, journal: str) -> Json:
    files = bench.files(FILES * workers, size)
    server = bench.secure
    server.reset(rate=LINE)
    variables = {**environment(server, bench.state()), "CFUPLOAD_JOURNAL": journal}
    with (
        tempfile.TemporaryDirectory() as name,
        crew(Path(name), workers, variables, random.Random(0)) as gang,
    ):
        gang.wait()
        command = [*CFUPLOAD, "send", "-q", "--cluster", gang.address, *map(str, files)]
        with busiest() as cores:
            taken = measured(command, variables)
    told = server.child.ask("told")
    if told["came"] != size * len(files):
        raise RuntimeError(f"{told['came']} of {size * len(files)} bytes came")
    patches = [one for one in told["asked"] if one["method"] == "PATCH"]
    moving = max(one["ended"] for one in patches) - min(one["began"] for one in patches)
    rate = size * len(files) / moving
    return {
        "wall": round(taken.wall, 2),
        "moving": round(moving, 2),
        "mbit": round(rate * 8 / 1e6, 1),
        "share": round(rate / (LINE * workers), 3),
        "cores": round(max(cores), 2),
    }


@contextmanager
def busiest(seconds: float = 10.0) -> Iterator[list[float]]:
    """How many of the machine's cores are busy, over each stretch of so many seconds."""
    found, over = [0.0], threading.Event()
    seen: deque[tuple[float, float]] = deque()

    def watch() -> None:
        while not over.wait(0.5):
            seen.append((time.monotonic(), _busy()))
            if seen[-1][0] - seen[0][0] >= seconds:
                (began, before), (now, after) = seen.popleft(), seen[-1]
                found.append((after - before) / (now - began))

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield found
    finally:
        over.set()
        watching.join()


def _busy() -> float:
    """Seconds that all cores worked since the machine started; the kernel's own work counts too."""
    words = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:]
    user, nice, system, _, _, *interrupts = map(int, words[:7])
    return (user + nice + system + sum(interrupts)) / os.sysconf("SC_CLK_TCK")
