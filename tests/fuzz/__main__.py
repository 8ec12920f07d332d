"""Fuzzes what reads text of others, for as long as you like.

    pip install .[test]
    python -P -m pytest tests/test_fuzz.py            # what CI does: a fixed sample, and the corpus
    python -m tests.fuzz --minutes 60                 # every target in turn, other inputs each time
    python -m tests.fuzz --minutes 600 --target url --target reply

A finding is shrunk, shown, and written as a line of a corpus; the exit code is 1. Put the line into
``tests/fuzz/corpus/TARGET.txt`` with a comment: CI replays every line. ``--seed`` repeats a run.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import random
import sys
import time
import traceback
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings

TESTS = Path(__file__).parent.parent
sys.path.insert(0, str(TESTS))

from fuzz.target import Target, escaped  # noqa: E402  the path comes first
from fuzz.targets import TARGETS  # noqa: E402

ROUND = 500
"""Examples before the next target has its turn."""
HANG = 60.0
"""Seconds after which a round is called hanging: every input is a few milliseconds of work."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--target", action="append", choices=sorted(TARGETS), default=None)
    parser.add_argument("--seed", type=int, default=None)
    arguments = parser.parse_args()
    first = random.randrange(2**32) if arguments.seed is None else arguments.seed
    chosen = [TARGETS[name] for name in arguments.target or sorted(TARGETS)]
    tried, found = dict.fromkeys((one.name for one in chosen), 0), 0
    until = time.monotonic() + 60 * arguments.minutes
    number = 0
    print(f"--seed {first}")
    while time.monotonic() < until and not found:
        target = chosen[number % len(chosen)]
        found += not _round(target, first + number, until, tried)
        number += 1
    print(", ".join(f"{name} {count}" for name, count in tried.items()) + f"; {found} findings")
    return 1 if found else 0


def _round(target: Target, number: int, until: float, tried: dict[str, int]) -> bool:
    """Whether one round of ``target`` found nothing."""
    last = [b""]
    found = False

    def one(data: bytes) -> None:
        nonlocal found
        if time.monotonic() > until and not found:
            return
        tried[target.name] += 1
        last[0] = data
        faulthandler.dump_traceback_later(HANG * 10, exit=True)
        started = time.monotonic()
        try:
            target.check(data)
            assert time.monotonic() - started < HANG, "it took too long"
        except BaseException:
            found = True  # it is shrunk to its end, however late it is
            raise

    searched = settings(
        max_examples=ROUND,
        deadline=None,
        database=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
        print_blob=False,
    )
    try:
        with contextlib.redirect_stderr(sys.stdout):
            seed(number)(searched(given(data=target.inputs)(one)))()
    except BaseException as finding:
        if isinstance(finding, KeyboardInterrupt):
            raise
        traceback.print_exc()
        print(
            f"\n{target.name}: a line for tests/fuzz/corpus/{target.name}.txt\n{escaped(last[0])}"
        )
        return False
    finally:
        faulthandler.cancel_dump_traceback_later()
    return True


if __name__ == "__main__":
    raise SystemExit(main())
