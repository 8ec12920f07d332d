"""What the live suite found out: the value of each switch, or why there is none."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from cfstream_upload.emulator.switches import Switches
from cfstream_upload.emulator.switchtext import as_text, names, read_switches
from live.unknowns import NOT_ASKED


@dataclass
class Answers:
    """Answers by switch, in the order of the switches, and notes by question."""

    where: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    seen: dict[str, str] = field(default_factory=dict)
    unfit: dict[str, str] = field(default_factory=dict)
    open: dict[str, str] = field(default_factory=lambda: dict(NOT_ASKED))
    notes: dict[str, str] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)

    def found(self, switch: str, value: object, seen: str) -> None:
        """A switch takes this value; one that the model does not know is told as such."""
        self.seen[switch] = seen
        self.open.pop(switch, None)
        try:
            read = read_switches([f"{switch}={as_text(value)}"])
        except ValueError:
            self.unfit[switch] = as_text(value)
            return
        self.values[switch] = getattr(read, switch)

    def unanswered(self, switch: str, why: str) -> None:
        self.open[switch] = why

    def note(self, question: str, text: str) -> None:
        """Something that no switch stands for."""
        self.notes[question] = text

    def lines(self) -> list[str]:
        """The table that is printed at the end."""
        model = Switches()
        rows = [("switch", "answer", "model", "seen")]
        for name in names():
            default = as_text(getattr(model, name))
            if name in self.values:
                rows.append((name, as_text(self.values[name]), default, self.seen[name]))
            elif name in self.unfit:
                rows.append((name, f"{self.unfit[name]} (new)", default, self.seen[name]))
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        table = [
            "  ".join(
                [*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]]
            )
            for row in rows
        ]
        differing = [
            f"--switch {name}={as_text(value)}"
            for name, value in self.values.items()
            if value != getattr(model, name)
        ]
        told = [f"Asked: {self.where}", "", *table]
        told += ["", "Not answered:", *(f"  {name}: {why}" for name, why in self.open.items())]
        told += ["", "Besides:", *(f"  {name}: {text}" for name, text in self.notes.items())]
        told += ["", f"The model behaves like this with: {' '.join(differing) or 'its defaults'}"]
        return told

    def document(self) -> str:
        content = {
            "asked": self.where,
            "switches": self.values,
            "seen": self.seen,
            "no_value_fits": self.unfit,
            "not_answered": self.open,
            "notes": self.notes,
            "not_deleted": self.left,
        }
        return json.dumps(content, indent=2) + "\n"
