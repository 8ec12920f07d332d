"""Whole processes, measured by the kernel: wall, CPU, and the most memory held."""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

MIB = 1024 * 1024


class Failed(Exception):
    """A measured process ended with a code that was not expected."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What one process took: seconds, seconds of CPU (user and system), MiB at its peak.

    ``server_cpu`` are the server's seconds of CPU meanwhile, ``ended`` the monotonic moment.
    """

    wall: float
    cpu: float
    peak: float
    server_cpu: float = 0.0
    ended: float = 0.0


def measured(
    command: Sequence[str], environment: Mapping[str, str], expected: Iterable[int] = (0,)
) -> Taken:
    """Run ``command`` to its end. Raises `Failed` with what it said."""
    with tempfile.TemporaryFile() as said:
        started = time.monotonic()
        process = subprocess.Popen(command, env=environment, stdout=said, stderr=said)
        _, status, usage = os.wait4(process.pid, 0)
        ended = time.monotonic()
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in set(expected):
            said.seek(0)
            words = said.read().decode("utf-8", "replace")[-2000:]
            raise Failed(f"{command[0]} ended with {process.returncode}:\n{words}")
    # Linux counts KiB. A process starts with the peak of whoever started it: keep that small.
    return Taken(ended - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, 0, ended)


def medians(runs: Sequence[Taken]) -> dict[str, float]:
    """The median of each quantity, how far its walls spread, and how many runs these are."""
    columns = {name: [asdict(run)[name] for run in runs] for name in ("wall", "cpu", "peak")}
    middle = {name: statistics.median(values) for name, values in columns.items()}
    middle["server_cpu"] = statistics.median(run.server_cpu for run in runs)
    middle["wall_least"], middle["wall_most"] = min(columns["wall"]), max(columns["wall"])
    middle["cpu_least"], middle["cpu_most"] = min(columns["cpu"]), max(columns["cpu"])
    return {**{name: round(value, 4) for name, value in middle.items()}, "runs": len(runs)}
