"""The rows of the fault matrix: a number, what goes wrong, and what must come of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

Check = Callable[["Scene"], None]


@dataclass(frozen=True)
class Scene:
    """What a check may use: a folder of its own and pytest's own tools."""

    folder: Path
    request: pytest.FixtureRequest

    @property
    def monkeypatch(self) -> pytest.MonkeyPatch:
        found: pytest.MonkeyPatch = self.request.getfixturevalue("monkeypatch")
        return found


@dataclass(frozen=True)
class Row:
    """One check of a row; ``case`` tells the checks of one row apart."""

    number: int
    case: str
    check: Check

    @property
    def name(self) -> str:
        return f"{self.number:03}-{self.case}"


ROWS: list[Row] = []
NOT_AUTOMATED: dict[int, str] = {}
"""Rows without a check, and why."""


def row(number: int, case: str = "") -> Callable[[Check], Check]:
    """Register a check of this row; its docstring or name says what must come of the fault."""

    def registered(check: Check) -> Check:
        ROWS.append(Row(number, case or check.__name__, check))
        return check

    return registered
