"""What commands print as JSON, held against the schemas that ship with the package."""

from __future__ import annotations

import functools
import json
from typing import Any

from cfstream_upload.cli.schemas import schema_names, schema_text


@functools.cache
def validator(name: str) -> Any:  # noqa: ANN401  # jsonschema's own protocol
    """The judge of what the schema ``name`` describes."""
    from jsonschema import Draft202012Validator

    return Draft202012Validator(json.loads(schema_text(name)))


@functools.cache
def _names() -> frozenset[str]:
    return frozenset(schema_names())


def schema_of(document: dict[str, Any]) -> str:
    """The name of the schema that ``document`` is to fit."""
    keys = set(document) - {"version", "error", "summary", "fleet"}
    if not keys:
        return "failure"
    (key,) = sorted(keys)[:1]
    return "send" if key == "uploads" else key


def complaints(text: str, *, line: bool = False) -> list[str]:
    """Why ``text`` is no document of a command, or no ``line`` of events; nothing if it is one."""
    content = json.loads(text)
    if "$schema" in content:
        return []
    name = "event" if line else schema_of(content)
    if name not in _names():
        return [f"no schema describes {sorted(content)}"]
    if validator(name).is_valid(content):
        return []
    judge = _explaining(str(content.get("message_type"))) if line else validator(name)
    return [
        f"{name}: {'.'.join(map(str, error.absolute_path))}: {error.message[:300]}"
        for error in judge.iter_errors(content)
    ]


def _explaining(kind: str) -> Any:  # noqa: ANN401  # as above
    """A judge of events of one ``kind``: of many branches it would say only that none fits."""
    schema = dict(validator("event").schema)
    if f"event_{kind}" in schema["$defs"]:
        del schema["oneOf"]
        schema["allOf"] = [{"$ref": f"#/$defs/event_{kind}"}]
    return validator("event").evolve(schema=schema)


def judge_output(out: str) -> None:
    """Hold all that a command printed against the schemas, if it is JSON."""
    if not out.startswith("{"):
        return
    try:
        json.loads(out)
    except ValueError:
        wrong = [why for line in out.splitlines() for why in complaints(line, line=True)]
    else:
        wrong = complaints(out, line="message_type" in json.loads(out))
    assert not wrong, wrong
