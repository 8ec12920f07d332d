"""Streams that are written to for as long as they take anything, and never complain.

A closed pipe, a full disk or a terminal that is gone must not change what becomes of an upload:
the stream goes quiet.
"""

from __future__ import annotations

import os
from typing import TextIO


class Outlet:
    """One stream.

    ``stream`` may be None or closed, as Python leaves a standard stream that was closed at the
    start. What its encoding cannot hold is written with backslashes. It is enough of a file for
    rich to draw on.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    @property
    def encoding(self) -> str:
        """The stream's encoding; ``utf-8`` where it has none."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    def fitting(self, text: str) -> str:
        """``text`` with backslashes for what the encoding cannot hold."""
        return text.encode(self.encoding, "backslashreplace").decode(self.encoding)

    def isatty(self) -> bool:
        """Whether a terminal is behind it."""
        try:
            return self._stream is not None and self._stream.isatty()
        except (OSError, ValueError):
            return False

    def fileno(self) -> int:
        """The descriptor; OSError where there is none, as a file does."""
        if self._stream is None:
            raise OSError("no stream")
        return self._stream.fileno()

    def size(self) -> tuple[int, int]:
        """Columns and lines of the terminal; 80 and 24 where it does not say."""
        try:
            columns, lines = os.get_terminal_size(self.fileno())
        except (OSError, ValueError):
            return 80, 24
        return columns or 80, lines or 24

    def write(self, text: str) -> int:
        """Write ``text``, or nothing for ever after the first failure. Never raises."""
        stream = self._stream
        if stream is not None:
            try:
                stream.write(self.fitting(text))
                stream.flush()
            except (OSError, ValueError, LookupError):
                self._give_up(stream)
        return len(text)

    def flush(self) -> None:
        """Nothing to do: `write` flushes."""

    def _give_up(self, stream: TextIO) -> None:
        self._stream = None
        # What is left in the buffer would fail once more when Python ends, with exit code 120.
        try:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            try:
                os.dup2(nowhere, stream.fileno())
            finally:
                os.close(nowhere)
        except (OSError, ValueError):
            return
