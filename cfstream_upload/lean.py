"""Importing libraries without those parts of theirs that this program never runs.

Half of the start and a third of the memory of an upload went there (`tests/benchmarks`).
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any


class _OnDemand(ModuleType):
    """Stands for a module until somebody uses it; then the real one is imported and asked."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  whatever the module holds
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


@contextmanager
def on_demand(*names: str) -> Iterator[None]:
    """Let what is imported in this block get modules of these ``names`` that load when used.

    Whoever imports them afterwards gets the real ones.
    """
    with _standing_in({name: _OnDemand(name) for name in names}):
        yield


@contextmanager
def without(*names: str) -> Iterator[None]:
    """Let what is imported in this block find that modules of these ``names`` are missing."""
    with _standing_in(dict.fromkeys(names)):
        yield


@contextmanager
def _standing_in(modules: dict[str, _OnDemand] | dict[str, None]) -> Iterator[None]:
    seated = {name: module for name, module in modules.items() if name not in sys.modules}
    # None is Python's own way to say that an import must fail.
    table: dict[str, ModuleType | None] = sys.modules  # type: ignore[assignment]
    table.update(seated)
    try:
        yield
    finally:
        for name, module in seated.items():
            if table.get(name, module) is module:
                table.pop(name, None)
