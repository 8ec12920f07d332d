"""Plain values of the command line, taken as they are.

Typer judges each value with pydantic, even None; that takes 0.2 s of every command. Text, whole
numbers and paths with nothing to complain of need no judge. All else is left to Typer.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args, get_origin

_NUMBER = re.compile(r"-?[0-9]{1,18}", re.ASCII)
_NOT_PLAIN = object()


class Judge:
    """Makes values of what was written for ``parameter``; ``typers_own`` brings Typer's judge."""

    def __init__(self, parameter: Any, typers_own: Callable[[], Any]) -> None:  # noqa: ANN401  # Typer's
        self._kind = parameter.type_descriptor.annotation
        self._limits = parameter.type_descriptor.parameter_info
        self._is_many = parameter.multiple or parameter.nargs == -1
        self._typers_own = typers_own

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:  # noqa: ANN401  # Typer's own
        """The value that the command gets."""
        plain = self._many(value) if self._is_many else self._one(value, self._kind)
        if plain is not _NOT_PLAIN:
            return plain
        return self._typers_own().coerce(value, param=param, ctx=ctx)

    def _many(self, value: object) -> object:
        if value is None:
            return ()
        if get_origin(self._kind) is not list or not isinstance(value, list | tuple):
            return _NOT_PLAIN
        made = [self._one(item, get_args(self._kind)[0]) for item in value]
        return _NOT_PLAIN if any(item is _NOT_PLAIN or item is None for item in made) else made

    def _one(self, value: object, kind: object) -> object:
        if value is None or (kind is str and isinstance(value, str)):
            return value
        if kind is Path and isinstance(value, str | Path):
            return self._path(value)
        if kind is int and isinstance(value, int | str) and _NUMBER.fullmatch(str(value)):
            return self._number(int(value))
        return _NOT_PLAIN

    def _path(self, value: str | Path) -> object:
        limits = self._limits
        if limits.exists or limits.writable or limits.resolve_path:
            return _NOT_PLAIN
        if not (limits.file_okay and limits.dir_okay):
            return _NOT_PLAIN
        if limits.readable and Path(value).exists() and not os.access(value, os.R_OK):
            return _NOT_PLAIN
        return Path(value)

    def _number(self, value: int) -> object:
        low, high = self._limits.min, self._limits.max
        within = (low is None or value >= low) and (high is None or value <= high)
        return value if within and not self._limits.clamp else _NOT_PLAIN
