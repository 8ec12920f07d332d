"""Tests that need no fixture, called as the plain functions they are: most mutants die of these.

Collecting a few hundred tests costs pytest more time than running them. Whatever passes here goes
on to pytest; whatever fails here would fail there.
"""

from __future__ import annotations

import inspect
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any


def pass_plainly(folder: Path, files: Sequence[str]) -> bool:
    """Whether every plain test of ``files`` passes; ``folder`` is where their helpers are."""
    sys.path.insert(0, str(folder))
    warnings.simplefilter("error")
    for file in files:
        for name, test in list(vars(import_module(Path(file).stem)).items()):
            if name.startswith("test_") and inspect.isfunction(test):
                for arguments in _cases(test):
                    test(**arguments)
    return True


def _cases(test: Callable[..., object]) -> Iterator[dict[str, Any]]:
    """What ``test`` is called with; nothing where it needs more than its parameters."""
    marks = [mark for mark in getattr(test, "pytestmark", []) if mark.name == "parametrize"]
    spread = [list(_spread(mark.args[0], mark.args[1])) for mark in marks]
    for parts in product(*spread):
        arguments = {name: value for part in parts for name, value in part.items()}
        if arguments.keys() == inspect.signature(test).parameters.keys():
            yield arguments


def _spread(names: str | Sequence[str], rows: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401  pytest's own
    split = [one.strip() for one in names.split(",")] if isinstance(names, str) else list(names)
    for row in rows:
        values = getattr(row, "values", row) if not isinstance(row, dict) else row
        if callable(values):
            values = row
        yield dict(zip(split, [values] if len(split) == 1 else values, strict=True))
