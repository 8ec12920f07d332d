"""The words of a fault as they were written, and what is wrong with them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

MOST = 1_000_000
_BYTES = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_SIZE = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)([kmg]?)(?:i?b)?")
_TIME = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,6})?)(ms|s|m|h)")


class BadFault(ValueError):
    """A fault that cannot be read: what is wrong, and at which ``column``, counted from 1.

    ``word`` is what was written there, ``words`` what could have been, where these are few;
    ``line`` is its line in a script, counted from 1.
    """

    def __init__(self, message: str, column: int, word: str, words: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.column = column
        self.word = word
        self.words = tuple(words)
        self.line: int | None = None

    def __str__(self) -> str:
        """The whole story in one line."""
        place = f"column {self.column}"
        if self.line is not None:
            place = f"line {self.line}, {place}"
        known = f"; there are: {', '.join(self.words)}" if self.words else ""
        return f"{self.message} ({place}){known}"


@dataclass(frozen=True)
class Word:
    """A word as it was written, and where; ``name=value`` is taken apart."""

    whole: str
    column: int

    @property
    def name(self) -> str:
        """What stands before ``=``, or all of it, in lower case."""
        return self.whole.partition("=")[0].lower()

    @property
    def value(self) -> str | None:
        """What stands after ``=``; None where there is none."""
        _, found, value = self.whole.partition("=")
        return value if found else None

    def bad(self, message: str, words: Iterable[str] = ()) -> BadFault:
        """Say that this word is wrong, and which would be right."""
        name = self.whole.partition("=")[0]
        return BadFault(message, self.column, name, words)

    def bad_value(self, wanted: str) -> BadFault:
        """Say that the value is wrong or missing."""
        if self.value is None:
            return self.bad(f"{self.name} needs a value: {wanted}")
        column = self.column + len(self.name) + 1
        return BadFault(f"{self.name}={self.value} is not {wanted}", column, self.value)


def count(word: Word, what: str, skip: int = 0) -> int:
    """Read the number of requests that follows ``skip`` letters."""
    number = int(word.whole[skip:]) if len(word.whole) <= len(str(MOST)) + skip else 0
    if not 1 <= number <= MOST:
        raise word.bad(f"{word.whole} is not {what} from 1 to {MOST}")
    return number


def bytes_in(text: str) -> int | None:
    """Read ``500K`` or ``1MB`` as bytes, K being 1024; None for what is none."""
    found = _SIZE.fullmatch(text.lower())
    return int(float(found[1]) * _BYTES[found[2]]) if found else None


def seconds_in(text: str) -> float | None:
    """Read ``500ms``, ``10s``, ``2m`` or ``1h`` as seconds; None for what is none."""
    found = _TIME.fullmatch(text.lower())
    return float(found[1]) * _SECONDS[found[2]] if found else None
