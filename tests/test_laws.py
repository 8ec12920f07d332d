"""The list of removals fits the source, and taking a law away is noticed."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from laws.copies import PACKAGE, ROOT
from laws.removal import Removal, StaleRemoval
from laws.removals import REMOVALS

KILLERS: dict[str, str] = tomllib.loads(
    (ROOT / "tests/laws/killers.toml").read_text(encoding="utf-8")
)


@pytest.mark.parametrize("removal", REMOVALS, ids=lambda removal: removal.law)
def test_a_removal_fits_the_source(removal: Removal) -> None:
    for path, text in removal.applied(PACKAGE).items():
        compile(text, path, "exec")


def test_every_clause_has_a_number_of_its_own() -> None:
    for number in range(1, 13):
        counts = [int(one.law.partition(".")[2]) for one in REMOVALS if one.number == number]
        assert counts == list(range(1, len(counts) + 1))
        assert counts
    assert {one.number for one in REMOVALS} == set(range(1, 13))


def test_every_clause_has_a_killer_that_exists() -> None:
    assert list(KILLERS) == [one.law for one in REMOVALS]
    for killer in KILLERS.values():
        file, _, name = killer.partition("::")
        assert f"def {name.rpartition('::')[2]}(" in (ROOT / file).read_text(encoding="utf-8")


def test_a_stale_removal_names_itself() -> None:
    stale = Removal("5.99", "no such clause", "pace.py", "this is nowhere", "")
    with pytest.raises(StaleRemoval, match=r"law 5\.99 \(no such clause\): pace.py has 0 times"):
        stale.applied(PACKAGE)


PROBE = """
import sys
from pathlib import Path
from laws.copies import Copy
from laws.removals import REMOVALS
copy = Copy(Path(sys.argv[1]))
before = copy.sources()
for law, killer in zip(sys.argv[2::2], sys.argv[3::2]):
    (removal,) = (one for one in REMOVALS if one.law == law)
    print(copy.killer(removal, [killer]), copy.sources() == before, copy.first_failing([killer]))
"""


@pytest.mark.long
def test_taking_a_law_away_kills_its_test_and_only_then(tmp_path: Path) -> None:
    wanted = [word for law in ("5.5", "11.1") for word in (law, KILLERS[law])]
    ended = subprocess.run(
        [sys.executable, "-P", "-c", PROBE, str(tmp_path), *wanted],
        env={**os.environ, "PYTHONPATH": str(ROOT / "tests")},
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    lines = ended.stdout.splitlines()
    assert len(lines) == 2, ended.stderr
    for line, killer in zip(lines, wanted[1::2], strict=True):
        assert line.startswith(killer)
        assert line.endswith(" True None")
