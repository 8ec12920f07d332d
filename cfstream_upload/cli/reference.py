"""What the commands are and take, as data: for help, completion, the docs and ``config show``."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import typer

from cfstream_upload.origins import FLAGS

_DEFAULT = re.compile(r" \[([^\]]+)\](\.?)\Z")

_MEANINGS = {"UID": "A video's UID: 32 hex digits, as cfupload list shows them."}


@dataclass(frozen=True)
class Option:
    """One option. ``metavar`` is empty for a flag, ``variable`` where none is read.

    ``no`` takes a flag back; ``implied`` says that it goes without saying, and is not shown.
    """

    names: tuple[str, ...]
    no: str
    implied: bool
    metavar: str
    variable: str
    default: str
    meaning: str
    repeatable: bool
    panel: str

    @property
    def long(self) -> str:
        """Its name in full, like ``--quiet``."""
        return max(self.names, key=len)

    @property
    def shown(self) -> str:
        """Its names and what it takes, as help shows them."""
        no = f"/{self.no}" if self.no and not self.implied else ""
        return f"{', '.join(self.names)}{no} {self.metavar}".rstrip()


@dataclass(frozen=True)
class Argument:
    """What stands in a command line without an option's name."""

    metavar: str
    meaning: str
    required: bool
    repeatable: bool

    @property
    def shown(self) -> str:
        """As the usage line shows it: ``FILE...``, ``[UID]``."""
        name = self.metavar if self.required else f"[{self.metavar}]"
        return f"{name}..." if self.repeatable else name


@dataclass(frozen=True)
class Page:
    """A command, or a group with its commands. ``path`` begins with the program's name."""

    path: tuple[str, ...]
    summary: str
    text: str
    examples: tuple[str, ...]
    arguments: tuple[Argument, ...]
    options: tuple[Option, ...]
    pages: tuple[Page, ...]

    @property
    def name(self) -> str:
        """As it is typed: ``cfupload config show``."""
        return " ".join(self.path)

    def below(self, words: list[str]) -> Page | None:
        """The page that ``words`` lead to from here, or None."""
        if not words:
            return self
        found = next((page for page in self.pages if page.path[-1] == words[0]), None)
        return found.below(words[1:]) if found else None

    def commands(self) -> Iterator[Page]:
        """Every command from here on, no groups."""
        if not self.pages:
            yield self
        for page in self.pages:
            yield from page.commands()


@functools.cache
def everything() -> Page:
    """The whole program."""
    from cfstream_upload.cli.app import app

    return page_of(typer.main.get_command(app), ("cfupload",))


def page_of(command: Any, path: tuple[str, ...]) -> Page:  # noqa: ANN401  # a Click command
    """The page of ``command``."""
    paragraphs = inspect.cleandoc(command.help or "").split("\n\n")
    told, examples = paragraphs, list[str]()
    if "Examples:" in paragraphs:
        at = paragraphs.index("Examples:")
        told, examples = paragraphs[:at], paragraphs[at + 1 :]
    takes = [one for one in command.params if not getattr(one, "hidden", False)]
    return Page(
        path=path,
        summary=" ".join(told[0].split()),
        text="\n\n".join(" ".join(one.split()) for one in told[1:]),
        examples=tuple(one.strip() for one in examples),
        arguments=tuple(_argument(one) for one in takes if one.param_type_name == "argument"),
        options=tuple(
            _option(one, path, one.name in command.implied)
            for one in takes
            if one.param_type_name == "option"
        ),
        pages=tuple(
            page_of(one, (*path, name)) for name, one in getattr(command, "commands", {}).items()
        ),
    )


def _argument(one: Any) -> Argument:  # noqa: ANN401  # a Click argument
    metavar = (one.metavar or one.name.upper()).strip("[].")
    meaning = one.help or _MEANINGS.get(metavar, "")
    return Argument(metavar, meaning, one.required, one.nargs == -1)


def _option(one: Any, path: tuple[str, ...], implied: bool) -> Option:  # noqa: ANN401  # a Click option
    meaning, default = one.help or "", ""
    if found := _DEFAULT.search(meaning):
        meaning, default = meaning[: found.start()] + found[2], found[1]
    elif one.default not in (None, False, (), []) and not one.count:
        default = str(one.default)
    takes = not (one.is_flag or one.count)
    return Option(
        names=tuple(sorted(one.opts, key=len)),
        no=one.secondary_opts[0] if one.secondary_opts else "",
        implied=implied,
        metavar=(one.metavar or "VALUE") if takes else "",
        variable=_variable(one, path),
        default=default,
        meaning=meaning,
        repeatable=one.multiple or one.count,
        panel=one.rich_help_panel or "Options",
    )


def _variable(one: Any, path: tuple[str, ...]) -> str:  # noqa: ANN401  # a Click option
    if one.envvar:
        return str(one.envvar)
    # The settings read these themselves: a profile may stand between the flag and the variable.
    if one.name in FLAGS and (one.name != "label" or path[-1] == "send"):
        return "CFUPLOAD_" + str(one.name).upper()
    return ""
