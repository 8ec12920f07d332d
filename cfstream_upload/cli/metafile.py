"""The file of ``--meta-file``: one flat table, in JSON or in TOML."""

from __future__ import annotations

import contextlib
import json
import tomllib
from pathlib import Path
from typing import Any

from cfstream_upload.errors import UsageProblem

LARGEST = 1024 * 1024
_SHAPE = 'One flat table, like {"team": "red"} in JSON or team = "red" in TOML.'


def read_meta(path: Path) -> dict[str, str]:
    """The keys and texts of ``path``, in its order.

    Numbers become the text that stands in the file, true and false their JSON words: Stream's
    ``meta`` holds texts. Anything else is refused. Raises `UsageProblem`.
    """
    text = _text_of(path)
    in_json = path.suffix.lower() == ".json" or (
        path.suffix.lower() != ".toml" and text.lstrip().startswith("{")
    )
    try:
        table = _json(text) if in_json else tomllib.loads(text, parse_float=str)
    except UsageProblem:
        raise
    except (ValueError, RecursionError) as problem:
        kind = "JSON" if in_json else "TOML"
        why = " ".join(str(problem).split()) or "too deep"
        raise UsageProblem(f"--meta-file {path} is no {kind}: {why}", _SHAPE) from None
    if not isinstance(table, dict):
        raise UsageProblem(f"--meta-file {path} holds no table", _SHAPE)
    return {key: _as_text(path, key, value) for key, value in table.items()}


def _text_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UsageProblem(f"--meta-file {path} is not UTF-8 text", _SHAPE) from None
    except (OSError, ValueError) as problem:
        why = getattr(problem, "strerror", None) or "not a proper path"
        raise UsageProblem(
            f"--meta-file {path} cannot be read: {why}", "Name a JSON or TOML file."
        ) from None
    if len(data) > LARGEST:
        raise UsageProblem(f"--meta-file {path} is larger than 1 MiB", _SHAPE)
    return text


def _json(text: str) -> Any:  # noqa: ANN401  # whatever the file holds
    return json.loads(text, object_pairs_hook=_unique, parse_int=str, parse_float=str)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise UsageProblem(f"--meta-file has the key {twice!r} twice", "Give it one value.")
    return table


def _as_text(path: Path, key: str, value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    with contextlib.suppress(ValueError):  # TOML's 0xff may have more digits than Python writes
        if isinstance(value, str | int):
            return str(value)
    raise UsageProblem(
        f"--meta-file {path}: the value of {key!r} is neither text, number, true nor false",
        "Stream's meta is flat: put a longer value in quotes.",
    )
