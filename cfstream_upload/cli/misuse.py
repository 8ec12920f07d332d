"""Typer's own errors in our words: what is wrong, and the nearest thing that is right."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from typer.exceptions import TyperException

from cfstream_upload.cli.commands import place_of
from cfstream_upload.cli.reference import Option, Page, everything
from cfstream_upload.errors import UsageProblem
from cfstream_upload.nearest import nearest

_EXTRA = re.compile(r"Got unexpected extra argument\S* \((.*)\)\Z")


def misused(error: TyperException) -> UsageProblem:
    """``error`` as one of ours."""
    page = _page(error)
    # The classes themselves are in a private module of Typer's.
    match type(error).__name__:
        case "NoSuchOption":
            return _no_such_option(str(getattr(error, "option_name", "")), page)
        case "BadOptionUsage":
            return _badly_used(str(getattr(error, "option_name", "")), error.message, page)
        case "MissingParameter":
            return UsageProblem(f"{_place(error)} is missing", _example(page))
        case "BadParameter":
            return _bad_value(error, page)
    words = " ".join(error.format_message().split())
    if extra := _EXTRA.match(words):
        return UsageProblem(f"{page.name} does not take: {extra[1]}", _example(page))
    if words == "Missing command.":
        return UsageProblem("No command was given", f"See: {page.name} --help")
    return UsageProblem(words, f"See: {page.name} --help")


def _page(error: TyperException) -> Page:
    context: Any = getattr(error, "ctx", None)
    words = context.command_path.split() if context is not None else []
    return everything().below(words[1:]) or everything()


def _place(error: TyperException) -> str:
    parameter, context = getattr(error, "param", None), getattr(error, "ctx", None)
    return "A value" if parameter is None else place_of(context, parameter)


def _example(page: Page) -> str:
    if page.pages or not page.examples:
        return f"See: {page.name} --help"
    return f"Like: {page.examples[0]}"


def _no_such_option(name: str, page: Page) -> UsageProblem:
    message = f"There is no option {name}"
    others = sorted({one.name for one in everything().commands() if name in _names(one)})
    own = list(_names(page))
    meant = nearest(name, [one for one in own if len(one) > 2]) if len(name) > 2 else None
    if page.pages and others:
        hint = f"It goes after the command's name: {others[0]} {name}"
    elif meant:
        hint = f"Did you mean {meant}?"
    elif others:
        hint = f"It is an option of: {', '.join(others)}"
    else:
        hint = f"See: {page.name} --help"
    if any(one.metavar.startswith("FILE") for one in page.arguments):
        hint += " (a file name that begins with '-' goes after '--')"
    return UsageProblem(message, hint)


def _badly_used(name: str, message: str, page: Page) -> UsageProblem:
    pages = (page, *everything().commands())
    options = (one for page in pages for one in page.options if name in one.names)
    if "does not take" in message:
        return UsageProblem(f"{name} takes no value", f"Write it alone: {name}")
    takes = next((one.metavar for one in options), "VALUE")
    return UsageProblem(f"{name} needs a value", f"Like: {name} {takes}")


def _bad_value(error: TyperException, page: Page) -> UsageProblem:
    parameter: Any = getattr(error, "param", None)
    place = _place(error)
    if parameter is None:
        return UsageProblem(" ".join(error.message.split()), f"See: {page.name} --help")
    kind = parameter.type_descriptor.annotation
    if kind is bool:
        return UsageProblem(f"{place} is neither yes nor no", "Use 1 or 0.")
    if kind in (int, float):
        number = "a whole number" if kind is int else "a number"
        return UsageProblem(f"{place} takes {number}{_range(parameter)}", _example(page))
    return UsageProblem(f"{place}: {' '.join(error.message.split())}", _example(page))


def _range(parameter: Any) -> str:  # noqa: ANN401  # a Click parameter
    if parameter.min is not None and parameter.max is not None:
        return f" from {parameter.min} to {parameter.max}"
    if parameter.min is not None:
        return f" of at least {parameter.min}"
    return "" if parameter.max is None else f" of at most {parameter.max}"


def _names(page: Page) -> Iterator[str]:
    options: tuple[Option, ...] = page.options
    for one in options:
        yield from one.names
        if one.no:
            yield one.no
    yield from ("-h", "--help")
