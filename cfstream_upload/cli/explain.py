"""``cfupload help``: what the exit codes mean."""

from __future__ import annotations

from typing import Annotated

import typer

from cfstream_upload.cli.desk import Desk
from cfstream_upload.cli.everywhere import with_everywhere
from cfstream_upload.errors import UsageProblem, exit_code_table


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("help")(with_everywhere(explain))


def explain(desk: Desk, topic: Annotated[str, typer.Argument(metavar="exit-codes")]) -> int:
    """Explain a topic.

    Examples:

        cfupload help exit-codes

        cfupload help exit-codes | less
    """
    if topic != "exit-codes":
        raise UsageProblem(f"There is no help on {topic!r}", "Topics: exit-codes")
    if desk.common.mode == "json":
        names = ("code", "meaning", "action")
        rows = [dict(zip(names, row, strict=True)) for row in exit_code_table()]
        desk.console.document({"version": 1, "exit_codes": rows, "error": None})
        return 0
    desk.console.table(["CODE", "MEANING", "WHAT TO DO"], [list(row) for row in exit_code_table()])
    return 0
