"""Write the pages of this folder that are made from the code: ``python docs/generate.py``.

A test compares them with what this would write.
"""

from __future__ import annotations

import inspect
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from cfstream_upload.cli.reference import Option, Page, everything
from cfstream_upload.cli.topics import variables
from cfstream_upload.emulator.switches import Switches
from cfstream_upload.emulator.switchtext import as_text, values_of
from cfstream_upload.errors import URGENCY, exit_code_table

FOLDER = Path(__file__).parent
TESTS = FOLDER.parent / "tests"


def exit_codes() -> str:
    """The page on exit codes, made from the error classes."""
    lines = [
        "# Exit codes",
        "",
        "Made from `cfstream_upload/errors.py` by `python docs/generate.py`.",
        "",
        "| code | meaning | what a script does |",
        "|---|---|---|",
        *(f"| {code} | {meaning} | {action} |" for code, meaning, action in exit_code_table()),
        "",
        "Several files: the most urgent of their codes, in this order: "
        + ", ".join(str(code) for code in URGENCY)
        + ".",
        "",
        "Refused credentials after a UID exists end with 7 (the delete needs them too), after the",
        "last byte with 8. Another file's old debt warns and changes no code.",
    ]
    return "\n".join(lines) + "\n"


def fault_matrix() -> str:
    """The page on the fault matrix, made from the checks of its rows."""
    if str(TESTS) not in sys.path:
        sys.path.insert(0, str(TESTS))
    import test_fault_matrix  # registers every row
    from matrix.rows import NOT_AUTOMATED, ROWS

    numbers = {row.number for row in ROWS}
    lines = [
        "# The fault matrix",
        "",
        f"{test_fault_matrix.LENGTH} faults, {len(numbers)} automated by {len(ROWS)} checks. By",
        "`python docs/generate.py`; run one with `pytest -k 031 tests/test_fault_matrix.py`.",
        "",
        "| row | check | what goes wrong, and what must come of it |",
        "|---|---|---|",
    ]
    for row in sorted(ROWS, key=lambda row: row.number):
        words = " ".join((row.check.__doc__ or "").split()).replace("|", "\\|")
        lines.append(f"| {row.number} | {row.case} | {words} |")
    lines += [f"| {number} | not automated | {why} |" for number, why in NOT_AUTOMATED.items()]
    return "\n".join(lines) + "\n"


def contract() -> str:
    """The page on each promise of the command line and the tests that hold it."""
    promises = tomllib.loads((TESTS / "contract.toml").read_text(encoding="utf-8"))["line"]
    lines = [
        "# The command line, line by line",
        "",
        "What users type and see, and the tests that hold it. By `python docs/generate.py`.",
    ]
    part = ""
    for promise in promises:
        if promise["part"] != part:
            part = promise["part"]
            lines += ["", f"## {part}", "", "| line | tests |", "|---|---|"]
        named = {k: v for k, v in promise.items() if k.startswith("test_")}
        tests = "<br>".join(f"`{file}` {name}" for file, names in named.items() for name in names)
        lines.append(f"| {_cell(promise['words'])} | {tests} |")
    return "\n".join(lines) + "\n"


def commands() -> str:
    """The page on every command and option, made from the commands themselves."""
    pages = list(everything().commands())
    lines = [
        "# Commands and options",
        "",
        "Made from the commands by `python docs/generate.py`; [usage.md](usage.md) says how things",
        "behave, [exit-codes.md](exit-codes.md) how they end. `cfupload COMMAND --help` shows the",
        "same in a terminal.",
        "",
        *(f"- [`{page.name}`](#{page.name.replace(' ', '-')}): {page.summary}" for page in pages),
        "",
        "## Everywhere",
        "",
        "Before or after the command's name.",
        "",
        *_option_table(pages[0].options, "Everywhere"),
        "",
        "A flag beats a variable, and a variable that contradicts a flag is as if it were not set:",
        "`--json` beats `CFUPLOAD_QUIET=1`, `--profile work` beats `CFUPLOAD_LOCAL=1`. A flag's",
        "variable is 1 or 0, and on the line it is taken back by its `--no-` form: `--no-quiet`,",
        "`--no-local` (`--color` for `--no-color`). A variable of an option that may be repeated",
        "holds one value a line. `-vv` is `CFUPLOAD_VERBOSE=2`. An empty variable is not set.",
    ]
    for page in pages:
        lines += ["", *_command(page)]
    lines += ["", "## Environment", "", "| variable | option | meaning |", "|---|---|---|"]
    lines += [f"| `{v.name}` | {_code(v.option)} | {_cell(v.meaning)} |" for v in variables()]
    return "\n".join(lines) + "\n"


def switches() -> str:
    """The page on what is unknown of Stream, made from the switches themselves."""
    defaults = {field.name: field.default for field in fields(Switches)}
    lines = [
        "# Switches of the embedded Stream",
        "",
        "What nobody outside Cloudflare knows about Stream, and what can be chosen for each. The",
        "defaults are what is most likely or most often reported; a client should hold under every",
        "value. From `cfstream_upload/emulator/switches.py` by `python docs/generate.py`.",
    ]
    for title, explained in _explained(inspect.getdoc(Switches) or ""):
        lines += [
            "",
            f"## {title}",
            "",
            "| switch | default | values | meaning |",
            "|---|---|---|---|",
        ]
        for name, meaning in explained.items():
            default = f"`{as_text(defaults.pop(name))}`"
            values = values_of(name)
            lines.append(
                f"| `{name}` | {default} | {values} | {_cell(meaning).replace('``', '`')} |"
            )
    assert not defaults, f"no line explains {sorted(defaults)}"
    return "\n".join(lines) + "\n"


def _explained(text: str) -> list[tuple[str, dict[str, str]]]:
    """Read the docstring: titles, and below each the name of a switch and what it means."""
    parts: list[tuple[str, dict[str, str]]] = []
    name = ""
    for line in text.splitlines()[1:]:
        indent, words = len(line) - len(line.lstrip()), line.split()
        if words and indent == 0:
            parts.append((line.strip(), {}))
        elif words and indent == 4:
            name = words[0]
            parts[-1][1][name] = " ".join(words[1:])
        elif words:
            parts[-1][1][name] += " " + " ".join(words)
    return [(title, found) for title, found in parts if found]


def _command(page: Page) -> list[str]:
    takes = " ".join(argument.shown for argument in page.arguments)
    lines = [f"## {page.name}", "", page.summary, "", *([page.text, ""] if page.text else [])]
    lines += ["```", f"{page.name} [OPTIONS] {takes}".rstrip(), "```", "", "Examples:", "", "```"]
    lines += [*page.examples, "```"]
    if page.arguments:
        lines += ["", "| argument | meaning |", "|---|---|"]
        lines += [f"| `{_cell(one.shown)}` | {_cell(one.meaning)} |" for one in page.arguments]
    panels = dict.fromkeys(one.panel for one in page.options)
    for panel in panels:
        if panel != "Everywhere":
            title = [] if panel == "Options" else [f"{panel}:", ""]
            lines += ["", *title, *_option_table(page.options, panel)]
    return lines


def _option_table(options: Sequence[Option], panel: str) -> list[str]:
    rows = ["| option | variable | default | meaning |", "|---|---|---|---|"]
    for one in options:
        if one.panel == panel:
            cells = (_code(one.shown), _code(one.variable), one.default, one.meaning)
            rows.append(f"| {' | '.join(map(_cell, cells))} |")
    return rows


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


PAGES = {
    "cli.md": commands,
    "contract.md": contract,
    "exit-codes.md": exit_codes,
    "emulator-switches.md": switches,
    "fault-matrix.md": fault_matrix,
}


def main() -> None:
    """Write every generated page."""
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
