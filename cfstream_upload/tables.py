"""Rows of data as text: columns where they fit, one value a line where they do not. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

_GAP = "  "


def laid_out(
    headers: Sequence[str],
    rows: Sequence[Sequence[str]],
    columns: int,
    width: Callable[[str], int],
) -> list[str]:
    """Lines of at most ``columns`` cells where that is possible without cutting a value.

    ``width`` counts the cells of a text. Nothing is ever cut, for half a UID is none: where the
    columns are too narrow side by side, each row becomes lines of header and value.
    """
    grid = [headers, *rows]
    widths = [max(width(row[i]) for row in grid) for i in range(len(headers))]
    if sum(widths) + len(_GAP) * (len(widths) - 1) <= columns:
        return [_joined(row, widths, width) for row in grid]
    names = max(map(width, headers))
    lines: list[str] = []
    for row in rows:
        lines += [""] if lines else []
        pairs = zip(headers, row, strict=True)
        lines += [_joined((header, cell), (names, 0), width) for header, cell in pairs]
    return lines


def _joined(cells: Sequence[str], widths: Sequence[int], width: Callable[[str], int]) -> str:
    padded = (cell + " " * (room - width(cell)) for cell, room in zip(cells, widths, strict=True))
    return _GAP.join(padded).rstrip()
