"""Write the pages of this folder that are made from the code: ``python docs/generate.py``.

A test compares them with what this would write.
"""

from __future__ import annotations

from pathlib import Path

from cfstream_upload.errors import URGENCY, exit_code_table

FOLDER = Path(__file__).parent


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


PAGES = {"exit-codes.md": exit_codes}


def main() -> None:
    """Write every generated page."""
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
