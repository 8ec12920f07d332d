"""The fault matrix: 120 numbered faults of docs/reliability.md, and what must come of each."""

from __future__ import annotations

from pathlib import Path

import matrix.creating
import matrix.deaths
import matrix.deleting
import matrix.disks
import matrix.files
import matrix.processes
import matrix.replies
import matrix.sending
import matrix.surroundings
import pytest
from matrix.rows import NOT_AUTOMATED, ROWS, Row, Scene

import matrix.later  # noqa: F401  isort: skip

LENGTH = 120


@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in ROWS])
def test_what_must_come_of_this_fault_comes(
    row: Row, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    row.check(Scene(tmp_path, request))


def test_every_row_is_automated_or_named_with_its_reason() -> None:
    automated = {row.number for row in ROWS}
    assert automated | set(NOT_AUTOMATED) == set(range(1, LENGTH + 1))
    assert not automated & set(NOT_AUTOMATED)
    assert len(automated) >= 110
