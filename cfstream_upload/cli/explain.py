"""``cfupload help``: topics, and the help of each command."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from cfstream_upload.cli.desk import Desk
from cfstream_upload.cli.everywhere import with_everywhere
from cfstream_upload.errors import UsageProblem


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("help")(with_everywhere(explain))


def explain(
    desk: Desk,
    topic: Annotated[
        list[str] | None, typer.Argument(metavar="TOPIC", help="A topic or a command.")
    ] = None,
) -> int:
    """Explain a topic or a command; alone it lists the topics.

    Examples:

        cfupload help exit-codes

        cfupload help config set
    """
    from cfstream_upload.cli.helppage import laid_out, terminal_width
    from cfstream_upload.cli.reference import everything
    from cfstream_upload.cli.topics import TOPICS
    from cfstream_upload.nearest import did_you_mean

    words = topic or []
    if not words:
        return _topics(desk)
    if words[0] in TOPICS:
        return TOPICS[words[0]].show(desk, words[1:])
    page = everything().below(words)
    if page is None:
        known = [*TOPICS, *(one.name.partition(" ")[2] for one in everything().commands())]
        asked = " ".join(words)
        raise UsageProblem(f"There is no help on {asked!r}", did_you_mean(asked, known))
    if desk.common.mode == "json":
        desk.console.document({"version": 1, "command": asdict(page), "error": None})
    else:
        for line in laid_out(page, terminal_width()).splitlines():
            desk.console.line(line)
    return 0


def _topics(desk: Desk) -> int:
    from cfstream_upload.cli.topics import TOPICS, show_rows

    rows = [(name, topic.summary) for name, topic in TOPICS.items()]
    if desk.answered(
        "topics", "topic", [{"name": name, "summary": summary} for name, summary in rows]
    ):
        return 0
    show_rows(desk, ["TOPIC", "WHAT IT EXPLAINS"], rows)
    desk.console.say("Each command: cfupload help COMMAND")
    return 0
