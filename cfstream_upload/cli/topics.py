"""What ``cfupload help`` can explain beside the commands; a topic is a row of `TOPICS`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from cfstream_upload.cli.reference import Option, everything
from cfstream_upload.cli.schemas import explain_schema
from cfstream_upload.errors import URGENCY, exit_code_table
from cfstream_upload.origins import MEANINGS, VARIABLES

if TYPE_CHECKING:
    from cfstream_upload.cli.desk import Desk


@dataclass(frozen=True)
class Topic:
    """``show`` gets the desk and the words after the topic's name, and answers the exit code."""

    summary: str
    show: Callable[[Desk, Sequence[str]], int]


@dataclass(frozen=True)
class Variable:
    """An environment variable and what it is for; ``option`` where it stands for one."""

    name: str
    meaning: str
    option: str


AROUND = (
    ("CFUPLOAD_CONFIG", "The config file."),
    ("CFUPLOAD_OUTPUT_FILE", "Events are appended to this file, one a line."),
    ("NO_COLOR", "Set: no colours."),
    ("TERM", "dumb: no bar and no colours."),
    ("GITHUB_ACTIONS", "true: errors and warnings become annotations."),
    ("GITHUB_OUTPUT", "There: the file that gets uid, uids and exit_code."),
    ("GITHUB_STEP_SUMMARY", "There: the file that gets a table of the files."),
)
"""What is read outside the options and the settings."""


def option_variables() -> dict[str, tuple[Option, list[str]]]:
    """Each variable of an option: that option, and the commands that read it."""
    found: dict[str, tuple[Option, list[str]]] = {}
    for page in everything().commands():
        for option in page.options:
            if option.variable:
                found.setdefault(option.variable, (option, []))[1].append(page.name)
    return found


def variables() -> list[Variable]:
    """Every variable that is read: of the settings, around, and of the options."""
    rows = {
        name: Variable(name, MEANINGS[setting], "")
        for setting, names in VARIABLES.items()
        for name in names
    }
    rows |= {name: Variable(name, meaning, "") for name, meaning in AROUND}
    for name, (option, _) in option_variables().items():
        more = " One value a line." if option.repeatable and option.metavar else ""
        meaning = rows[name].meaning if name in rows else option.meaning + more
        rows[name] = Variable(name, meaning, option.long)
    return list(rows.values())


def show_rows(desk: Desk, headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table for programs; for people its first column, and the rest wrapped beside it."""
    if not (sys.stdout and sys.stdout.isatty()):
        desk.console.table(headers, rows)
        return
    from cfstream_upload.cli.helppage import definitions, terminal_width

    # The terminal's last column is left free: some wrap when it is filled.
    shown = [(row[0], " -- ".join(cell for cell in row[1:] if cell)) for row in rows]
    for line in definitions(shown, terminal_width() - 1):
        desk.console.line(line)


def _exit_codes(desk: Desk, _words: Sequence[str]) -> int:
    table = exit_code_table()
    names = ("code", "meaning", "action")
    rows = [dict(zip(names, row, strict=True)) for row in table]
    if desk.answered("exit_codes", "exit_code", rows):
        return 0
    show_rows(desk, ["CODE", "MEANING", "WHAT TO DO"], table)
    order = ", ".join(str(code) for code in URGENCY)
    desk.console.say(f"Several files end with the most urgent of their codes: {order}")
    return 0


def _environment(desk: Desk, _words: Sequence[str]) -> int:
    rows = variables()
    if desk.answered("variables", "variable", [asdict(row) for row in rows]):
        return 0
    show_rows(
        desk,
        ["VARIABLE", "OPTION", "MEANING"],
        [(row.name, row.option, row.meaning) for row in rows],
    )
    desk.console.say("A flag beats a variable. Flags are 1 or 0; repeated values, one a line.")
    return 0


TOPICS: Mapping[str, Topic] = {
    "exit-codes": Topic("What each exit code means, and what a script does.", _exit_codes),
    "environment": Topic("Every variable that is read.", _environment),
    "schema": Topic("The JSON Schemas of every document and event.", explain_schema),
}
