"""Raises an exception of its own at a chosen line of the package, as a bug there would."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any
from warnings import catch_warnings, simplefilter

import cfstream_upload

PACKAGE = str(Path(cfstream_upload.__file__).parent) + os.sep
FOREIGN = str(Path(PACKAGE, "emulator")) + os.sep
"""The embedded Stream is not the client."""

Line = tuple[str, int]


class Injected(Exception):
    """A bug at this line."""


@dataclass
class Injector:
    """Counts lines of the package while ``armed``, and raises before the ``nth`` pass of ``line``.

    Without a line it only counts: ``passed`` is how often each was reached.
    """

    line: Line | None = None
    nth: int = 1
    error: type[BaseException] = Injected
    armed: bool = False
    struck: bool = False
    passed: dict[Line, int] = field(default_factory=dict)

    def arm(self) -> None:
        self.armed = True

    def _entered(self, frame: FrameType, event: str, detail: Any) -> Any:  # noqa: ANN401  # sys.settrace's own types
        name = frame.f_code.co_filename
        ours = name.startswith(PACKAGE) and not name.startswith(FOREIGN)
        return self._stepped if ours else None

    def _stepped(self, frame: FrameType, event: str, detail: Any) -> Any:  # noqa: ANN401  # as above
        if event == "line" and self.armed and not self.struck:
            here = (frame.f_code.co_filename.removeprefix(PACKAGE), frame.f_lineno)
            self.passed[here] = self.passed.get(here, 0) + 1
            if here == self.line and self.passed[here] == self.nth:
                self.struck = True
                raise self.error(f"{here[0]}:{here[1]}")
        return self._stepped

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Trace this thread, and give the tracing back to whoever did it before."""
        before = sys.gettrace()
        sys.settrace(self._entered)
        try:
            yield
        finally:
            sys.settrace(before)


@contextmanager
def process_end() -> Iterator[None]:
    """What a process leaves open is closed when it ends: its locks, its files, its journal."""
    before = _open_descriptors()
    try:
        yield
    finally:
        with catch_warnings():
            simplefilter("ignore", ResourceWarning)
            gc.collect()
        for descriptor in _open_descriptors() - before:
            with suppress(OSError):
                os.close(descriptor)


def _open_descriptors() -> set[int]:
    folder = next((f for f in ("/proc/self/fd", "/dev/fd") if Path(f).exists()), None)
    return set() if folder is None else {int(path.name) for path in Path(folder).iterdir()}


def places(passed: dict[Line, int], every: Callable[[Line], bool]) -> list[tuple[Line, int]]:
    """Each chosen line at its first and its last pass."""
    chosen = [(line, count) for line, count in sorted(passed.items()) if every(line)]
    return [(line, nth) for line, count in chosen for nth in sorted({1, count})]
