"""One guard of SECURITY.md, the change that takes it away, and the test that must notice."""

from __future__ import annotations

from dataclasses import dataclass

from laws.removal import Removal


@dataclass(frozen=True)
class Guard:
    """Without ``what``, ``old`` of ``file`` (below the package) being ``new``, ``test`` fails.

    ``rule`` is the row of SECURITY.md. ``more`` are further changes, as file, old and new text,
    where two guards stand one behind the other.
    """

    rule: str
    test: str
    what: str
    file: str
    old: str
    new: str
    more: tuple[tuple[str, str, str], ...] = ()

    @property
    def removal(self) -> Removal:
        """The same, as what `laws.copies.Copy` takes away."""
        return Removal(self.rule, self.what, self.file, self.old, self.new, self.more)
