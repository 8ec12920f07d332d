"""``python -m tests.deaths``: every death and every error, at every system call, in four flows.

Run from the repository root, in a virtual environment with ``pip install .[test]``. Needs strace.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deaths.account import in_memory
from deaths.dying_process import why_not
from deaths.flows import FLOWS
from deaths.jobs import Results, told
from deaths.power import power_fails, recorded
from deaths.sweep import POINTS, Tally, arena, stretches


def _table(results: Results, seconds: float) -> int:
    total = Tally()
    print("\n| flow | effect | points | runs | violations |\n|---|---|---:|---:|---:|")
    for (flow, effect), tally in sorted(results.items()):
        total.add(tally)
        print(f"| {flow} | {effect} | {tally.points} | {tally.runs} | {len(tally.violations)} |")
    print(f"| all | | {total.points} | {total.runs} | {len(total.violations)} |")
    print(f"\n{seconds / 60:.1f} minutes")
    return 1 if total.violations else 0


def _power(flows: list[str]) -> int:
    """The power fails at every moment of a recorded run of each flow."""
    violations = 0
    print("| flow | moments | folders | different ones opened | requests | violations | minutes |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    with in_memory() as folder, arena(folder) as here:
        for flow in flows:
            started = time.monotonic()
            found = power_fails(recorded(here, flow), folder)
            figures = (found.moments, found.folders, found.opened, found.requests)
            violations += len(found.violations)
            minutes = (time.monotonic() - started) / 60
            cells = [flow, *map(str, figures), str(len(found.violations)), f"{minutes:.1f}"]
            print(f"| {' | '.join(cells)} |", flush=True)
            for violation in found.violations[:10]:
                print(f"  {violation}")
    return 1 if violations else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.deaths", description=__doc__)
    parser.add_argument("--flow", choices=FLOWS, action="append")
    parser.add_argument("--effect", choices=POINTS, action="append")
    parser.add_argument("--jobs", type=int, default=1, help="processes at once [1]")
    parser.add_argument("--every", type=int, default=1, help="only each so many points [1]")
    parser.add_argument("--power", action="store_true", help="power loss instead of deaths")
    chosen = parser.parse_args()
    if reason := why_not():
        print(f"not here: {reason}")
        return 2
    if chosen.power:
        return _power(chosen.flow or list(FLOWS))
    started = time.monotonic()
    todo = stretches(chosen.flow or FLOWS, chosen.effect or POINTS)
    return _table(told(todo, chosen.jobs, chosen.every), time.monotonic() - started)


if __name__ == "__main__":
    sys.exit(main())
