"""One clause of one law, and the small change of the package that takes it away."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


class StaleRemoval(Exception):
    """A removal that no longer fits the source; the text names it."""


@dataclass(frozen=True)
class Removal:
    """What is lost without a clause: ``old`` becomes ``new`` in ``file``.

    ``law`` is the law's number and a count within it. ``more`` are further changes, as file, old
    and new text, where a clause is kept in two places.
    """

    law: str
    clause: str
    file: str
    old: str
    new: str
    more: tuple[tuple[str, str, str], ...] = ()

    @property
    def edits(self) -> tuple[tuple[str, str, str], ...]:
        """Every change, as file, old and new text."""
        return ((self.file, self.old, self.new), *self.more)

    @property
    def number(self) -> int:
        """The law that the clause belongs to."""
        return int(self.law.partition(".")[0])

    def applied(self, package: Path) -> dict[Path, str]:
        """The files of ``package`` that change, with their text as it is then."""
        texts: dict[Path, str] = {}
        for file, old, new in self.edits:
            path = package / file
            text = texts.get(path) or path.read_text(encoding="utf-8")
            found = text.count(old)
            if found != 1:
                words = f"law {self.law} ({self.clause}): {file} has {found} times:\n{old}"
                raise StaleRemoval(words)
            texts[path] = text.replace(old, new)
        return texts
