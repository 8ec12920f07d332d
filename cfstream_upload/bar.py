"""The progress of running uploads on a terminal, two lines for each file, drawn with rich.

Nobody draws here by himself: `draw` and `erase` are called by one thread at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TextIO, cast

from rich.cells import cell_len, set_cell_size
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from cfstream_upload.meter import Meter, Phase, Totals
from cfstream_upload.streams import Outlet

_NARROWEST_BAR = 8
_FULL = ("━", "╍", "─")
_ASCII = ("#", "=", "-")
_GONE = (Phase.DELETING, Phase.DELETED)
_CALM = (Phase.READING, Phase.STARTING, Phase.CONFIRMING, Phase.WAITING)


class _Screen(Console):
    """A rich console that leaves the cursor visible: a killed process could not bring it back."""

    def show_cursor(self, show: bool = True) -> bool:
        return False


class Bar:
    """What is drawn below everything else on ``outlet``, a terminal.

    ``clean`` makes the words of strangers safe to show.
    """

    def __init__(
        self,
        outlet: Outlet,
        environ: Mapping[str, str],
        clean: Callable[[str], str],
        *,
        color: bool,
    ) -> None:
        self._outlet = outlet
        self._clean = clean
        self._screen = _Screen(
            file=cast("TextIO", outlet),
            force_terminal=True,
            force_interactive=True,
            force_jupyter=False,
            color_system="standard" if color else None,
            markup=False,
            highlight=False,
            emoji=False,
            _environ={"TERM": environ.get("TERM", "")},
        )
        self._glyphs = _FULL if outlet.encoding.lower().startswith("utf") else _ASCII
        self._live: Live | None = None

    def draw(self, meters: Sequence[Meter], now: float, totals: Totals | None = None) -> None:
        """Show each meter under its file's name, in place of what was drawn before.

        ``totals`` of a batch come first.
        """
        columns, lines = self._outlet.size()
        above = self._totals(totals, meters, now, columns - 1) if totals else []
        rows = above + self._rows(meters, now, columns - 1, max(1, lines - 1 - len(above)))
        if not rows:
            self.erase()
            return
        # Set by hand: rich would ask the terminal behind stdin first.
        self._screen.size = (columns, lines)
        if self._live is None:
            self._live = Live(
                console=self._screen,
                auto_refresh=False,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
                vertical_overflow="crop",
            )
            self._live.start()
        self._live.update(Group(*rows), refresh=True)

    def erase(self) -> None:
        """Take away what was drawn; the cursor is where it began."""
        live, self._live = self._live, None
        if live is not None:
            live.stop()

    def _totals(
        self, totals: Totals, meters: Sequence[Meter], now: float, width: int
    ) -> list[Text]:
        words, percent = totals.words(), totals.percent(meters)
        done = totals.acknowledged(meters)
        sent = totals.settled + sum(meter.reached for meter in meters)
        row = Text(words, "bold", no_wrap=True, end="\n")
        self._append_bar(row, width - cell_len(words) - 6, (done, sent, totals.size), "green")
        row.append(f" {percent:3d}%")
        row.truncate(width)
        return [row, self._numbers(totals.numbers(meters, now), width)]

    def _append_bar(self, row: Text, cells: int, amounts: tuple[int, int, int], color: str) -> None:
        """``amounts`` are bytes done, handed over, and in all; neither fills the bar."""
        if cells < _NARROWEST_BAR:
            return
        stored, on_the_way, missing = self._glyphs
        whole = max(1, amounts[2])
        done, reached = (int(cells * min(0.99, part / whole)) for part in amounts[:2])
        sent = max(0, reached - done)
        row.append(" ")
        row.append(stored * done, color)
        row.append(on_the_way * sent, "cyan")
        row.append(missing * (cells - done - sent), "dim")

    def _rows(self, meters: Sequence[Meter], now: float, width: int, lines: int) -> list[Text]:
        detailed = 2 * len(meters) <= lines
        room = len(meters) if detailed or len(meters) <= lines else max(0, lines - 1)
        names = [self._clean(Path(meter.file).name or meter.file) for meter in meters[:room]]
        longest = min(max(map(cell_len, names), default=0), max(8, width // 3))
        rows: list[Text] = []
        for name, meter in zip(names, meters, strict=False):
            rows.append(self._bar(name, longest, meter, width))
            if detailed:
                rows.append(self._detail(meter, now, width))
        if room < len(meters):
            rows.append(_row(f"and {len(meters) - room} more", width))
        return rows

    def _bar(self, name: str, names: int, meter: Meter, width: int) -> Text:
        row = Text(fitted(name, names), no_wrap=True, end="\n")
        amounts = (meter.acknowledged, meter.reached, meter.size)
        color = "red" if meter.phase in _GONE else "green"
        self._append_bar(row, width - names - 6, amounts, color)
        row.append(f" {meter.percent:3d}%")
        row.truncate(width)
        return row

    def _detail(self, meter: Meter, now: float, width: int) -> Text:
        if state := meter.state(now):
            calm = meter.phase in _CALM and not meter.waits(now)
            return _row(f"  {self._clean(state)}", width, "" if calm else "yellow")
        return self._numbers(meter.numbers(now), width)

    def _numbers(self, parts: Sequence[str], width: int) -> Text:
        text = ""
        for part in parts:
            longer = f"{text}  {part}"
            if text and len(longer) > width:
                break
            text = longer
        return _row(text, width, "dim")


def _row(text: str, width: int, style: str = "") -> Text:
    return Text(_cut(text, width), style, no_wrap=True, end="\n")


def _cut(text: str, width: int) -> str:
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, width) if width <= 3 else set_cell_size(text, width - 3) + "..."


def fitted(name: str, cells: int) -> str:
    """``name`` in exactly ``cells`` columns: padded, or cut in its middle, for its end tells."""
    if cell_len(name) <= cells or cells < 8:
        return set_cell_size(name, cells)
    tail = name[-(cells // 2 - 2) :]
    while cell_len(tail) > cells // 2 - 2:
        tail = tail[1:]
    return set_cell_size(name, cells - 3 - cell_len(tail)) + "..." + tail
