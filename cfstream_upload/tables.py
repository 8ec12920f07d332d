"""Rows of data as text: columns where they fit, one value a line where they do not. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

_GAP = "  "
_SMALLEST = 11
"""Cells that a name is cut to at the most: ``clip...mp4``."""


def laid_out(
    headers: Sequence[str],
    rows: Sequence[Sequence[str]],
    columns: int,
    width: Callable[[str], int],
    *,
    name: int | None = None,
    spare: int | None = None,
) -> list[str]:
    """Lines of at most ``columns`` cells where that is possible without cutting a value.

    ``width`` counts the cells of a text. Only the column ``name`` may be cut, in the middle of its
    values: half a UID is none. Where that is not enough, the column ``spare`` is left out; where
    the columns are too narrow all the same, each row becomes lines of header and value.
    """
    for left_out in (None, *(() if spare is None else (spare,))):
        grid = [_without(row, left_out) for row in (headers, *rows)]
        widths = [max(width(row[i]) for row in grid) for i in range(len(grid[0]))]
        over = sum(widths) + len(_GAP) * (len(widths) - 1) - columns
        if over <= 0:
            return [_joined(row, widths, width) for row in grid]
        if name is not None and widths[name] - over >= _SMALLEST:
            widths[name] -= over
            cut = [shortened(row[name], widths[name], width) for row in grid]
            grid = [
                (*row[:name], short, *row[name + 1 :]) for row, short in zip(grid, cut, strict=True)
            ]
            return [_joined(row, widths, width) for row in grid]
    names = max(map(width, headers))
    lines: list[str] = []
    for row in rows:
        lines += [""] if lines else []
        pairs = zip(headers, row, strict=True)
        lines += [_joined((header, cell), (names, 0), width) for header, cell in pairs]
    return lines


def shortened(text: str, cells: int, width: Callable[[str], int]) -> str:
    """``text`` in at most ``cells`` cells: a path without folders, a name without its middle."""
    for whole in (text, text.rpartition("/")[2]):
        if whole and width(whole) <= cells:
            return whole
    text = text.rpartition("/")[2] or text
    head, tail = text[: len(text) // 2], text[len(text) // 2 :]
    while head + tail and width(head) + width(tail) > cells - 3:
        if width(head) > width(tail):
            head = head[:-1]
        else:
            tail = tail[1:]
    return f"{head}...{tail}"


def _without(row: Sequence[str], left_out: int | None) -> Sequence[str]:
    return [cell for number, cell in enumerate(row) if number != left_out]


def _joined(cells: Sequence[str], widths: Sequence[int], width: Callable[[str], int]) -> str:
    padded = (cell + " " * (room - width(cell)) for cell, room in zip(cells, widths, strict=True))
    return _GAP.join(padded).rstrip()
