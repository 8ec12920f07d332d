"""Takes the laws away one at a time and shows which test dies.

    pip install .[test]
    python -m tests.laws                     # all of them: 160 s of CPU, shared by two jobs
    python -m tests.laws --jobs 1 5 7.2      # law 5 and one clause of law 7
    python -m tests.laws --record            # look for killers anew and write killers.toml

Each removal is applied to a copy of the package in a temporary folder, alone. The test that is
known to notice (``killers.toml``) runs first; only if it survives do the others run, the core's
before those of the whole program. The exit code is 1 where a clause has no killer, 2 where a
removal no longer fits the source.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import shutil
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.util import Finalize
from pathlib import Path

TESTS = Path(__file__).parent.parent
sys.path.insert(0, str(TESTS))

from laws.copies import LIBRARIES, PACKAGE, Copy, Unusable  # noqa: E402  the path comes first
from laws.removal import Removal, StaleRemoval  # noqa: E402
from laws.removals import REMOVALS  # noqa: E402

KILLERS = Path(__file__).parent / "killers.toml"
# Asked first: the tests of the file that a removal changes.
AREAS = {
    "stream.py": ("test_stream",),
    "tus.py": ("test_tus",),
    "source.py": ("test_source",),
    "journal.py": ("test_journal",),
    "journalfile.py": ("test_journal", "test_private_state"),
    "rows.py": ("test_journal", "test_private_state"),
    "wire.py": ("test_wire", "test_walls"),
    "pools.py": ("test_wire", "test_walls"),
    "addresses.py": ("test_wire",),
    "patience.py": ("test_wire",),
    **{
        f"{name}.py": ("test_attempt", "test_core_mutants")
        for name in ("attempt", "after", "ending", "offsets")
    },
}
# A table names its law better than a random history does: the properties come late.
WIDER = (
    ("test_laws_defended", "test_sending", "test_sweeping"),
    ("test_attempt", "test_pace", "test_core_mutants", "test_stream", "test_tus", "test_journal"),
    ("test_source", "test_lock", "test_video", "test_wire", "test_cli", "test_acceptance"),
    ("test_properties", "test_simulation"),
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.laws")
    parser.add_argument("laws", nargs="*", help="a law (5) or a clause (5.2); all if none")
    parser.add_argument("--jobs", type=int, default=2, help="copies that are worked on at once")
    parser.add_argument("--record", action="store_true", help="look for killers anew, and write")
    arguments = parser.parse_args()
    wanted = [one for one in REMOVALS if not arguments.laws or _is_named(one, arguments.laws)]
    if stale := list(_stale(wanted)):
        print("\n\n".join(stale))
        return 2
    known = {} if arguments.record else recorded()
    for name in LIBRARIES:
        import_module(name)
    started = time.monotonic()
    with ProcessPoolExecutor(arguments.jobs, get_context("fork")) as pool:
        found = list(pool.map(_tried, wanted, [known.get(one.law) for one in wanted]))
    killers = {one.law: killer for one, killer in zip(wanted, found, strict=True) if killer}
    if arguments.record:
        _write({**recorded(), **killers})
    return _summed_up(wanted, killers, time.monotonic() - started)


def _is_named(removal: Removal, names: list[str]) -> bool:
    return removal.law in names or str(removal.number) in names


def _stale(removals: list[Removal]) -> Iterator[str]:
    for removal in removals:
        try:
            removal.applied(PACKAGE)
        except StaleRemoval as stale:
            yield str(stale)


@functools.cache
def _copy() -> Copy:
    """The copy that this process works on."""
    folder = tempfile.mkdtemp(prefix="cfupload-laws-")
    Finalize(None, shutil.rmtree, args=[folder, True], exitpriority=1)
    return Copy(Path(folder))


def _tried(removal: Removal, known: str | None) -> str | None:
    killer = None
    try:
        killer = _copy().killer(removal, [known]) if known else None
        for names in (AREAS.get(removal.file, ()), *WIDER):
            if names and not killer:
                killer = _copy().killer(removal, [f"tests/{name}.py" for name in names])
    except Unusable as problem:
        print(f"law {removal.law:6} no test could be run: {problem}", flush=True)
        return None
    fate = f"killed by {killer}" if killer else f"SURVIVES: {removal.clause}"
    print(f"law {removal.law:6} {fate}", flush=True)
    return None if killer is None else killer.partition("[")[0]


def _summed_up(removals: list[Removal], killers: dict[str, str], seconds: float) -> int:
    print(f"\n{'law':>4} {'clauses':>8} {'killed':>7}")
    for number in sorted({one.number for one in removals}):
        clauses = [one for one in removals if one.number == number]
        killed = sum(one.law in killers for one in clauses)
        print(f"{number:4} {len(clauses):8} {killed:7}")
    print(f" all {len(removals):8} {len(killers):7}   in {seconds:.0f} s")
    return 0 if len(killers) == len(removals) else 1


def recorded() -> dict[str, str]:
    """The test that is known to notice the loss of a clause, by the clause's number."""
    with contextlib.suppress(FileNotFoundError):
        document = tomllib.loads(KILLERS.read_text(encoding="utf-8"))
        return {str(law): str(test) for law, test in document.items()}
    return {}


def _write(killers: dict[str, str]) -> None:
    lines = ["# Which test dies without which clause. Written by: python -m tests.laws --record"]
    ours = [one.law for one in REMOVALS if one.law in killers]
    lines += [f'"{law}" = {_quoted(killers[law])}' for law in ours]
    KILLERS.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _quoted(text: str) -> str:
    return f"'{text}'" if "'" not in text else '"' + text.replace('"', '\\"') + '"'


if __name__ == "__main__":
    sys.exit(main())
