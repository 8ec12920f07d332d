"""A command's help as text: for 80 columns, and readable at 40."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable, Sequence

from cfstream_upload.cli.reference import Page

_WIDEST = 100
_NARROW = 60
_LEFT = 27
_LAST = "Everywhere"
_NO = "What a variable switched on is switched off by --no-..., as --no-quiet does."


def terminal_width() -> int:
    """The columns there are for text; 80 where nobody knows."""
    return max(20, min(shutil.get_terminal_size((80, 24)).columns, _WIDEST))


def laid_out(page: Page, width: int) -> str:
    """The help page. No line is longer than ``width``, but for examples: they are to be copied."""
    lines = _wrapped(f"Usage: {page.name} {_takes(page)}", width, "    ")
    for paragraph in (page.summary, *page.text.split("\n\n")):
        if paragraph:
            lines += ["", *_wrapped(paragraph, width)]
    if page.examples:
        lines += ["", "Examples:", *(f"  {example}" for example in page.examples)]
    if page.arguments and any(one.meaning for one in page.arguments):
        rows = [(one.metavar, one.meaning) for one in page.arguments]
        lines += ["", "Arguments:", *definitions(rows, width)]
    if page.pages:
        rows = [(one.path[-1], one.summary) for one in page.pages]
        lines += ["", "Commands:", *definitions(rows, width)]
    for panel, rows in _panels(page):
        lines += ["", f"{panel}:", *definitions(rows, width)]
    if any(one.implied for one in page.options):
        lines += ["", *_wrapped(f"{_NO} All variables: cfupload help environment", width)]
    elif page.pages:
        lines += ["", *_wrapped(f"More: {page.name} COMMAND --help", width)]
    return "\n".join(lines)


def definitions(rows: Iterable[Sequence[str]], width: int, left: int = _LEFT) -> list[str]:
    """Names and meanings side by side, or one below the other where there is little room."""
    pairs = [(row[0], row[1]) for row in rows]
    longest = max((len(name) for name, _ in pairs), default=0)
    column = 4 if width < _NARROW else min(longest, left) + 4
    lines: list[str] = []
    for name, meaning in pairs:
        text = _wrapped(meaning, width - column)
        head = f"  {name}"
        if text and width >= _NARROW and len(head) + 2 <= column:
            head = f"{head:<{column}}{text.pop(0)}"
        lines += [head, *(" " * column + line for line in text)]
    return lines


def _takes(page: Page) -> str:
    if page.pages:
        return "[OPTIONS] COMMAND ..."
    return " ".join(["[OPTIONS]", *(one.shown for one in page.arguments)])


def _panels(page: Page) -> list[tuple[str, list[tuple[str, str]]]]:
    panels: dict[str, list[tuple[str, str]]] = {}
    for one in page.options:
        default = f" [{one.default}]" if one.default else ""
        panels.setdefault(one.panel, []).append((one.shown, one.meaning + default))
    panels.setdefault(_LAST, []).append(("-h, --help", "This page."))
    return [*((k, v) for k, v in panels.items() if k != _LAST), (_LAST, panels[_LAST])]


def _wrapped(text: str, width: int, later: str = "") -> list[str]:
    return textwrap.wrap(
        text, max(width, 16), subsequent_indent=later, break_on_hyphens=False,
        break_long_words=False,
    )  # fmt: skip
