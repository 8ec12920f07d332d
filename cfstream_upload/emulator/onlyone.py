"""A lock between processes that the kernel frees when its holder dies."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

if sys.platform == "win32":
    import msvcrt

    def _try(file: IO[bytes]) -> None:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _try(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


_POLL_SECONDS = 0.02


@contextlib.contextmanager
def only_one(path: Path, seconds: float = 30.0) -> Iterator[None]:
    """Hold the lock of this file while the block runs; `TimeoutError` if it is not to be had.

    The file is never removed: a second holder could lock its successor.
    """
    with path.open("ab") as file:
        deadline = time.monotonic() + seconds
        while True:
            try:
                _try(file)
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"another process holds {path.name}") from None
                time.sleep(_POLL_SECONDS)
        yield
