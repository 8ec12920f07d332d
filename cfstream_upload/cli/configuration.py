"""``cfupload config``: what is set, where it comes from, and setting it."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from cfstream_upload.cli.commands import App
from cfstream_upload.cli.desk import Desk
from cfstream_upload.cli.everywhere import keeping_everywhere, with_everywhere
from cfstream_upload.errors import UsageProblem

if TYPE_CHECKING:
    from cfstream_upload.config import Setting

SECRET = ("api_token", "proxy", "journal")
_KEY = typer.Argument(metavar="KEY", help="The setting, like account_id or token.")


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = App(
        name="config",
        help="""Settings and where they come from.

        Examples:

        cfupload config show

        cfupload config set account_id 0123456789abcdef0123456789abcdef
        """,
    )
    group.callback()(keeping_everywhere())
    group.command("show")(with_everywhere(show))
    group.command("set")(with_everywhere(set_value))
    group.command("unset")(with_everywhere(unset))
    group.command("path")(with_everywhere(path))
    app.add_typer(group)


def show(desk: Desk) -> int:
    """Show each setting and where its value comes from; secrets are masked.

    After the settings come the options that a variable sets.

    Examples:

        cfupload config show

        cfupload config show --profile work --json
    """
    from cfstream_upload import config

    settings = config.explain(desk.flags(), os.environ)
    if desk.common.local:
        # Asking it would start it: what it is called is known only then.
        theirs = ("account_id", "api_token", "api_base_url")
        its_own = {"value_shown": "the embedded Stream's own", "origin": "--local"}
        settings = [replace(one, **its_own) if one.name in theirs else one for one in settings]
    settings += _options({one.origin for one in settings})
    _tell(desk, settings)
    for warning in (*config.warnings(desk.flags(), os.environ), *_unread()):
        desk.console.warning(warning)
    return 0


def _tell(desk: Desk, settings: list[Setting]) -> None:
    mode = desk.common.mode
    found = [{"name": one.name, "value": one.value_shown, "origin": one.origin} for one in settings]
    if mode == "json":
        desk.console.document({"version": 1, "settings": found, "error": None})
    elif mode == "ndjson":
        for row in found:
            desk.console.event({"message_type": "setting", **row})
    else:
        rows = [[one.name, one.value_shown, one.origin] for one in settings]
        desk.console.table(["NAME", "VALUE", "FROM"], rows)


def _options(shown: set[str]) -> list[Setting]:
    """The options whose variables are set, but for those that are settings and ``shown``."""
    from cfstream_upload.cli.topics import option_variables
    from cfstream_upload.config import Setting
    from cfstream_upload.origins import VARIABLES

    settings = {name for names in VARIABLES.values() for name in names} | {"CFUPLOAD_PROFILE"}
    return [
        Setting(option.long, os.environ[name], name)
        for name, (option, _) in option_variables().items()
        if os.environ.get(name) and name not in settings | shown
    ]


def _unread() -> list[str]:
    """Warnings of variables that look like ours and that nothing reads."""
    from cfstream_upload.cli.topics import variables
    from cfstream_upload.nearest import nearest

    known = [row.name for row in variables()]
    found = []
    for name in sorted(os.environ):
        if name.startswith("CFUPLOAD_") and name not in known:
            meant = nearest(name, known)
            found.append(f"nothing reads {name}" + (f": did you mean {meant}?" if meant else ""))
    return found


def set_value(
    desk: Desk,
    key: Annotated[str, _KEY],
    value: Annotated[
        str | None, typer.Argument(metavar="VALUE", help="Left out: stdin, or a prompt.")
    ] = None,
) -> int:
    """Write a setting to the config file; a token is read from stdin or a prompt.

    A value is judged before it is written. The file is yours alone (mode 0600).

    Examples:

        cfupload config set account_id 0123456789abcdef0123456789abcdef

        cfupload config set token --profile work < token.txt
    """
    from cfstream_upload import config
    from cfstream_upload.credentials import passwords_in

    key = _known(key)
    if key == "api_token" and value is not None:
        raise UsageProblem(
            "A token on the command line can be read by everybody on this machine",
            "Leave it out: it is read from stdin or asked for.",
        )
    if key == "proxy" and value is not None and "@" in value:
        raise UsageProblem(
            "A proxy's user or password on the command line can be read by everybody here",
            "Leave the value out: it is read from stdin or asked for.",
        )
    if key == "journal" and value is not None and passwords_in(value):
        raise UsageProblem(
            "A database's password on the command line can be read by everybody here",
            "Leave the value out: it is read from stdin or asked for; or use PGPASSFILE.",
        )
    profile = desk.common.profile or os.environ.get("CFUPLOAD_PROFILE") or "default"
    text = _asked(key) if value is None else value
    where = config.set_value(key, text, os.environ, profile=profile)
    _written(desk, key, profile)
    desk.console.say(f"{key} is set in profile {profile} of {where}")
    return 0


def unset(desk: Desk, key: Annotated[str, _KEY]) -> int:
    """Take a setting out of the config file.

    Examples:

        cfupload config unset label

        cfupload config unset token --profile work
    """
    from cfstream_upload import config

    key = _known(key)
    profile = desk.common.profile or os.environ.get("CFUPLOAD_PROFILE") or "default"
    where = config.set_value(key, None, os.environ, profile=profile)
    _written(desk, key, profile)
    desk.console.say(f"{key} is no longer set in profile {profile} of {where}")
    return 0


def _known(key: str) -> str:
    from cfstream_upload.config import KEYS
    from cfstream_upload.nearest import did_you_mean

    name = "api_token" if key == "token" else key.replace("-", "_")
    if name not in KEYS:
        raise UsageProblem(f"There is no setting {key!r}", did_you_mean(key, ("token", *KEYS)))
    return name


def _written(desk: Desk, key: str, profile: str) -> None:
    """Tell a script what the profile holds now under ``key``."""
    from cfstream_upload import config
    from cfstream_upload.config import Setting

    if desk.common.mode in ("json", "ndjson"):
        held = config.held(key, os.environ, profile=profile)
        origin = "not set" if held is None else f"profile {profile}"
        _tell(desk, [Setting(key, held or "", origin)])


def _asked(key: str) -> str:
    """The value from stdin, or typed by whoever sits there."""
    if not sys.stdin.isatty():
        text = sys.stdin.read()
        return text[:-1] if text.endswith("\n") else text
    if not sys.stderr.isatty():
        raise UsageProblem(
            f"There is no terminal to ask at for {key}", "Give it on stdin, or redirect less."
        )
    return _typed(key)


def _typed(key: str) -> str:
    import getpass

    try:
        if key in SECRET:
            return getpass.getpass(f"{key}: ")
        sys.stderr.write(f"{key}: ")
        sys.stderr.flush()
        line = sys.stdin.readline()
    except EOFError:
        line = ""
    if not line:
        raise UsageProblem(f"No value was given for {key}", "Nothing was written.")
    return line.removesuffix("\n")


def path(desk: Desk) -> int:
    """Print the path of the config file.

    Examples:

        cfupload config path

        CFUPLOAD_CONFIG=/etc/cfupload.toml cfupload config path
    """
    from cfstream_upload import config
    from cfstream_upload.config import Setting

    found = str(config.config_path(os.environ))
    if desk.common.mode in ("json", "ndjson"):
        named = "CFUPLOAD_CONFIG" if os.environ.get("CFUPLOAD_CONFIG") else "default"
        _tell(desk, [Setting("path", found, named)])
    else:
        desk.console.line(found)
    return 0
