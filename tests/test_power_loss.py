"""The power fails at every moment of a real run, and the disk keeps what it likes of the rest.

Every subset of what was not synced is tried where that is little; more are tried by
``python -m tests.deaths --power``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from deaths.account import in_memory
from deaths.dying_process import why_not
from deaths.flows import FLOWS
from deaths.power import power_fails, recorded
from deaths.recording import FOLDER, RECORDED, Moment, Said, read
from deaths.sweep import Arena, arena

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "strace is here")


@pytest.fixture(scope="module")
def here() -> Iterator[Arena]:
    with in_memory() as folder, arena(folder) as made:
        yield made


@pytest.fixture(scope="module")
def fresh(here: Arena) -> list[Moment]:
    return recorded(here, "fresh")


def test_a_power_loss_leaves_the_rows_from_before_a_commit_or_after_it(
    fresh: list[Moment], tmp_path: Path
) -> None:
    found = power_fails(fresh, tmp_path, most=2)
    assert found.violations == []
    # The create, five chunks, the last bytes and the word: each needs a row on the disk.
    assert found.requests == 8
    assert found.opened > 500


def test_a_power_loss_while_rolling_back_loses_no_row(here: Arena, tmp_path: Path) -> None:
    moments = recorded(here, "rollback")
    refused = next(n for n, m in enumerate(moments) if isinstance(m, Said) and b"DELETE" in m.data)
    found = power_fails(moments, tmp_path, most=2, first=refused - 60)
    assert found.violations == []
    assert found.requests == 1


@pytest.mark.parametrize("deaf", ["journal.db", "journal.db-journal", FOLDER])
def test_a_disk_that_ignores_a_sync_is_found_out(
    deaf: str, fresh: list[Moment], tmp_path: Path
) -> None:
    created = next(n for n, m in enumerate(fresh) if isinstance(m, Said) and b"PATCH" in m.data)
    assert power_fails(fresh[:created], tmp_path, most=0, deaf=deaf).violations


def test_a_new_state_directory_is_on_the_disk_before_anything_is_asked(here: Arena) -> None:
    run = here.record(FLOWS["fresh"], RECORDED)
    calls = list(read(run.trace))
    made = next(n for n, c in enumerate(calls) if (c.name, c.path) == ("mkdir", str(run.state)))
    asked = next(n for n, c in enumerate(calls) if c.name == "sendto")
    parent = os.fspath(run.state.parent)
    synced = [c for c in calls[made:asked] if c.name in ("fsync", "fdatasync") and c.path == parent]
    assert synced
