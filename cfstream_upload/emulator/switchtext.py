"""Switches as text: ``NAME=VALUE``, and a value as it is typed there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

from .switches import Switches


def read_switches(assignments: Iterable[str]) -> Switches:
    """Make switches of texts like ``after_expiry=410``; `ValueError` says what is wrong."""
    kinds = get_type_hints(Switches)
    chosen: dict[str, Any] = {}
    for text in assignments:
        name, _, value = text.partition("=")
        if name not in kinds:
            raise ValueError(f"There is no switch {name!r}")
        chosen[name] = _read(name, value.strip(), kinds[name])
    return Switches(**chosen)


def as_text(value: object) -> str:
    """Write a switch's value as `read_switches` takes it."""
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def values_of(name: str) -> str:
    """Tell the values of a switch, e.g. ``404, 410, 403``."""
    kind = get_type_hints(Switches)[name]
    words = {bool: "true, false", int: "a whole number", float: "a number"}
    if get_origin(kind) is Literal:
        return ", ".join(get_args(kind))
    parts = [words[one] for one in get_args(kind) or (kind,) if one in words]
    return ", ".join([*parts, *(["none"] if type(None) in get_args(kind) else [])])


def names() -> list[str]:
    """Give the names of all switches, in the order of their declaration."""
    return [field.name for field in fields(Switches)]


def _read(name: str, text: str, kind: Any) -> object:  # noqa: ANN401  # an annotation
    options = get_args(kind)
    if get_origin(kind) is Literal:
        known: dict[str, object] = {word: word for word in options}
    elif kind is bool:
        known = {"true": True, "false": False}
    else:
        known = {"none": None} if type(None) in options else {}
    if text in known:
        return known[text]
    for number in (int, float):
        if number in (options or (kind,)) and get_origin(kind) is not Literal:
            try:
                found = number(text)
            except ValueError:
                continue
            if found >= 0:
                return found
    raise ValueError(f"The switch {name} takes {values_of(name)}, not {text!r}")
