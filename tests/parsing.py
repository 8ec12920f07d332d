"""A command line parsed as the command would, without running it."""

from __future__ import annotations

import functools
from typing import Any

import typer

from cfstream_upload.cli.app import app

_command = functools.cache(typer.main.get_command)


def parsed(words: list[str]) -> Any:  # noqa: ANN401  # Click's context
    """The context of the command that ``words`` name; raises what its parser raises."""
    context: Any = _command(app).make_context("cfupload", list(words))
    while hasattr(context.command, "commands"):
        rest = [*context._protected_args, *context.args]
        name, command, rest = context.command.resolve_command(context, rest)
        context = command.make_context(name, rest, parent=context)
    return context
