"""Takes guards away one at a time and shows that each one's test dies.

    pip install .[test]
    python -m tests.guards               # all of them: some minutes, shared by two jobs
    python -m tests.guards --jobs 1 S7 S9
    python -m tests.guards F                # what a fleet relies on

They are those of SECURITY.md (S) and of docs/fleet.md (F). Each removal is applied to a copy of the
tree in a temporary folder, alone, and only the test that is named for it runs there. The exit code
is 1 where a test does not notice, 2 where a removal no longer fits the source.
"""

from __future__ import annotations

import argparse
import functools
import shutil
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.util import Finalize
from pathlib import Path

TESTS = Path(__file__).parent.parent
sys.path.insert(0, str(TESTS))

from laws.copies import LIBRARIES, PACKAGE, Copy, Unusable  # noqa: E402
from laws.removal import StaleRemoval  # noqa: E402

from guards.guard import Guard  # noqa: E402  the path comes first
from guards.guards import ALL  # noqa: E402

BESIDE = (".ci", ".github", "SECURITY.md", "LICENSE", ".gitignore")
"""What the tests of these rules read beside the package, the tests and the documents."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.guards")
    parser.add_argument("rules", nargs="*", help="rules (S7, F2) or letters (F); all if none")
    parser.add_argument("--jobs", type=int, default=2, help="copies that are worked on at once")
    arguments = parser.parse_args()
    rules = {*arguments.rules}
    wanted = [one for one in ALL if not rules or {one.rule, one.rule[0]} & rules]
    if stale := [str(trouble) for guard in wanted if (trouble := _misfit(guard))]:
        print("\n\n".join(stale))
        return 2
    for name in LIBRARIES:
        import_module(name)
    started = time.monotonic()
    with ProcessPoolExecutor(arguments.jobs, get_context("fork")) as pool:
        noticed = list(pool.map(_is_noticed, wanted))
    print(f"{len(wanted)} guards, {sum(noticed)} noticed, {time.monotonic() - started:.0f} s")
    return 0 if all(noticed) else 1


def _misfit(guard: Guard) -> StaleRemoval | None:
    try:
        guard.removal.applied(PACKAGE)
    except StaleRemoval as stale:
        return stale
    return None


@functools.cache
def _copy() -> Copy:
    """The copy that this process works on."""
    folder = tempfile.mkdtemp(prefix="cfupload-guards-")
    Finalize(None, shutil.rmtree, args=[folder, True], exitpriority=1)
    return Copy(Path(folder), BESIDE)


@functools.cache
def _passes(test: str) -> bool:
    """Whether ``test`` passes while no guard is missing: else its failing would say nothing."""
    return _copy().first_failing([test]) is None


def _is_noticed(guard: Guard) -> bool:
    test = f"tests/{guard.test}"
    try:
        killer = _copy().killer(guard.removal, [test]) if _passes(test) else None
        fate = "noticed by" if killer else "SURVIVES" if _passes(test) else "fails anyway:"
    except Unusable as problem:
        killer, fate = None, f"no test could be run: {problem}"
    print(f"{guard.rule:4} {guard.what}: {fate} {guard.test}", flush=True)
    return killer is not None


if __name__ == "__main__":
    sys.exit(main())
