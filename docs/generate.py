"""Write the pages of this folder that are made from the code: ``python docs/generate.py``.

A test compares them with what this would write.
"""

from __future__ import annotations

import sys
from pathlib import Path

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


PAGES = {"exit-codes.md": exit_codes, "fault-matrix.md": fault_matrix}


def main() -> None:
    """Write every generated page."""
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
