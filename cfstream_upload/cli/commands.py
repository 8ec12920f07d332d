"""Typer's commands and groups as this program wants them.

Variables hold repeated values one a line, every value is judged by what its metavar promises, a
flag that a variable may set can be taken back, and help is our own page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from cfstream_upload.cli import kinds
from cfstream_upload.cli.plain import Judge
from cfstream_upload.errors import UsageProblem
from cfstream_upload.locations import is_url
from cfstream_upload.nearest import nearest


class Argument(TyperArgument):
    """An argument; plain values are taken as they are."""

    def get_runtime_param(self) -> Any:  # noqa: ANN401  # Typer's own
        """What makes a value of the text."""
        return Judge(self, super().get_runtime_param)


class Option(TyperOption):
    """An option; plain values are taken as they are."""

    def get_runtime_param(self) -> Any:  # noqa: ANN401  # Typer's own
        """What makes a value of the text."""
        return Judge(self, super().get_runtime_param)


class Lines(Option):
    """An option that may be repeated: in its variable each line is a value."""

    def split_envvar_value(self, rv: str) -> list[str]:
        """The values in a variable; Click would split at every blank."""
        return [line for line in rv.splitlines() if line]

    def value_from_envvar(self, ctx: Any) -> list[str] | None:  # noqa: ANN401  # Click's context
        """What the variable says, or None. Typer would split paths at colons."""
        text = self.resolve_envvar_value(ctx)
        return None if text is None else self.split_envvar_value(text)


class Command(TyperCommand):
    """A command; see the module."""

    def __init__(self, *arguments: Any, **more: Any) -> None:  # noqa: ANN401  # Typer's own
        super().__init__(*arguments, **more)
        self.implied = _prepared(self.params, lambda one: one.envvar is not None)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401  # Click's context
        """Parse, then judge what was parsed."""
        rest = super().parse_args(ctx, args)
        _judge(ctx, self.params)
        return rest

    def get_help_option(self, ctx: Any) -> Any:  # noqa: ANN401  # Click's own
        """The option ``--help``."""
        return _ours(super().get_help_option(ctx))

    def get_help(self, ctx: Any) -> str:  # noqa: ANN401  # Click's context
        """The help page."""
        return _help(self, ctx)


class Group(TyperGroup):
    """A group of commands; see the module."""

    def __init__(self, *arguments: Any, **more: Any) -> None:  # noqa: ANN401  # Typer's own
        super().__init__(*arguments, **more)
        self.implied = _prepared(self.params, lambda one: "--version" not in one.opts)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401  # Click's context
        """Parse, then judge. Whoever types a group's name alone wants to know what there is."""
        rest = super().parse_args(ctx, args or ["--help"])
        _judge(ctx, self.params)
        return rest

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401  # Click's own
        """The command that is named first in ``args``. Raises `UsageProblem`."""
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            raise _unknown(ctx.command_path, name, self.commands)
        return super().resolve_command(ctx, args)

    def get_help_option(self, ctx: Any) -> Any:  # noqa: ANN401  # Click's own
        """The option ``--help``."""
        return _ours(super().get_help_option(ctx))

    def get_help(self, ctx: Any) -> str:  # noqa: ANN401  # Click's context
        """The help page."""
        return _help(self, ctx)


class App(typer.Typer):
    """A Typer application made of these commands and groups."""

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401  # Typer's own
        super().__init__(cls=Group, rich_markup_mode=None, **settings)

    def command(self, name: str | None = None, **settings: Any) -> Callable[..., Any]:  # noqa: ANN401  # Typer's own
        """Typer's decorator, for commands of our kind."""
        return super().command(name, cls=Command, **settings)


def source_of(ctx: Any, name: str) -> str:  # noqa: ANN401  # Click's context
    """Where the value of a parameter came from: ``COMMANDLINE``, ``ENVIRONMENT``, ``DEFAULT``."""
    found = ctx.get_parameter_source(name)
    return "" if found is None else str(found.name)


def place_of(ctx: Any, parameter: Any) -> str:  # noqa: ANN401  # Click's own
    """What somebody wrote to give ``parameter`` its value: the option, variable or argument."""
    if isinstance(parameter, TyperArgument):
        metavar = (parameter.metavar or "").strip("[].")
        return str(parameter.name if "|" in metavar else metavar or parameter.name).upper()
    if parameter.envvar and source_of(ctx, parameter.name) == "ENVIRONMENT":
        return str(parameter.envvar)
    return str(max(parameter.opts, key=len))


def _prepared(parameters: Iterable[Any], has_no: Callable[[TyperOption], bool]) -> set[str]:
    """Make ``parameters`` ours; the names of those that can be taken back now."""
    implied = set()
    for one in parameters:
        if not isinstance(_ours(one), TyperOption):
            continue
        if one.is_bool_flag and not one.secondary_opts and has_no(one):
            long = max(one.opts, key=len).removeprefix("--")
            no = long.removeprefix("no-") if long.startswith("no-") else f"no-{long}"
            one.secondary_opts = [f"--{no}"]
            implied.add(one.name)
    return implied


def _ours(parameter: Any) -> Any:  # noqa: ANN401  # Typer's own
    # Typer makes them itself and asks nobody which class they are to have.
    if isinstance(parameter, TyperArgument):
        parameter.__class__ = Argument
    elif isinstance(parameter, TyperOption):
        parameter.__class__ = Lines if parameter.multiple else Option
    return parameter


def _judge(ctx: Any, parameters: Iterable[Any]) -> None:  # noqa: ANN401  # Click's context
    if ctx.resilient_parsing:
        return
    for one in parameters:
        value = ctx.params.get(one.name)
        if not one.metavar or value is None or source_of(ctx, one.name) == "DEFAULT":
            continue
        for text in value if isinstance(value, list | tuple) else [value]:
            if isinstance(text, str):
                kinds.check(one.metavar, place_of(ctx, one), text)


def _unknown(path: str, name: str, commands: Iterable[str]) -> UsageProblem:
    names = list(commands)
    if meant := nearest(name, names):
        hint = f"Did you mean {meant}? See: {path} --help"
    elif is_url(name):
        # Its query may be a secret.
        name = name.partition("?")[0]
        hint = f"To upload it: {path} send URL"
    elif _exists(name):
        hint = f"To upload it: {path} send {name}"
    else:
        hint = f"There are: {', '.join(names)}."
    return UsageProblem(f"There is no command {name!r}", hint)


def _exists(name: str) -> bool:
    try:
        return Path(name).exists()
    except (OSError, ValueError):
        return False


def _help(command: Any, ctx: Any) -> str:  # noqa: ANN401  # Click's own
    from cfstream_upload.cli.helppage import laid_out, terminal_width
    from cfstream_upload.cli.reference import page_of

    return laid_out(page_of(command, tuple(ctx.command_path.split())), terminal_width())
