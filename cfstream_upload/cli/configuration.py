"""``cfupload config``: what is set, where it comes from, and setting it."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from cfstream_upload.cli.desk import Desk
from cfstream_upload.cli.everywhere import with_everywhere
from cfstream_upload.errors import UsageProblem


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = typer.Typer(
        name="config", help="Settings and where they come from.", rich_markup_mode=None
    )  # fmt: skip
    group.command("show")(with_everywhere(show))
    group.command("set")(with_everywhere(set_value))
    group.command("path")(with_everywhere(path))
    app.add_typer(group)


def show(desk: Desk) -> int:
    """Show each setting and where its value comes from; secrets are masked.

    Examples:

        cfupload config show

        cfupload config show --json
    """
    from cfstream_upload import config

    settings = config.explain(desk.flags(), os.environ)
    if desk.common.mode == "json":
        found = [
            {"name": one.name, "value": one.value_shown, "origin": one.origin} for one in settings
        ]
        desk.console.document({"version": 1, "settings": found, "error": None})
    else:
        rows = [[one.name, one.value_shown, one.origin] for one in settings]
        desk.console.table(["NAME", "VALUE", "FROM"], rows)
    return 0


def set_value(
    desk: Desk,
    key: Annotated[str, typer.Argument(metavar="KEY")],
    value: Annotated[str | None, typer.Argument(metavar="[VALUE]")] = None,
) -> int:
    """Write a setting to the config file; a token is read from stdin or a prompt.

    Examples:

        cfupload config set account_id 0123456789abcdef0123456789abcdef

        cfupload config set token < token.txt
    """
    from cfstream_upload import config

    key = "api_token" if key == "token" else key
    if key == "api_token" and value is not None:
        raise UsageProblem(
            "A token on the command line can be read by everybody on this machine",
            "Leave it out: it is read from stdin or asked for.",
        )
    if value is None:
        value = typer.prompt(key, hide_input=True, err=True) if sys.stdin.isatty() else _stdin()
    profile = desk.common.profile or "default"
    where = config.set_value(key, value, os.environ, profile=profile)
    if desk.common.mode == "json":
        desk.console.document({"version": 1, "settings": [], "error": None})
    desk.console.say(f"{key} is set in profile {profile} of {where}")
    return 0


def _stdin() -> str:
    text = sys.stdin.read()
    return text[:-1] if text.endswith("\n") else text


def path(desk: Desk) -> int:
    """Print the path of the config file.

    Examples:

        cfupload config path

        CFUPLOAD_CONFIG=/etc/cfupload.toml cfupload config path
    """
    from cfstream_upload import config

    found = str(config.config_path(os.environ))
    if desk.common.mode == "json":
        setting = {"name": "path", "value": found, "origin": None}
        desk.console.document({"version": 1, "settings": [setting], "error": None})
    else:
        desk.console.line(found)
    return 0
