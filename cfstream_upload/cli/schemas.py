"""``cfupload help schema``: the JSON Schemas that ship with the package."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import resources
from typing import TYPE_CHECKING, Any

from cfstream_upload.documents import KEYS
from cfstream_upload.errors import UsageProblem

if TYPE_CHECKING:
    from cfstream_upload.cli.desk import Desk


def schema_names() -> list[str]:
    """Every schema of the package, by name."""
    folder = resources.files("cfstream_upload") / "schemas"
    return sorted(one.name[:-5] for one in folder.iterdir() if one.name.endswith(".json"))


def schema_text(name: str) -> str:
    """The schema ``name`` as JSON; a command's name finds the schema of its document.

    Raises `UsageProblem`.
    """
    names = schema_names()
    key = KEYS.get(name, name)
    found = next((one for one in (name, key) if one in names), "send" if key == "uploads" else None)
    if found is None:
        raise UsageProblem(f"There is no schema {name!r}", _nearest(name, names))
    return (resources.files("cfstream_upload") / "schemas" / f"{found}.json").read_text("utf-8")


def _nearest(name: str, names: list[str]) -> str:
    import difflib

    near = difflib.get_close_matches(name, [*names, *KEYS], 1)
    return f"Did you mean {near[0]}?" if near else f"There are: {', '.join(names)}."


def explain_schema(desk: Desk, words: Sequence[str]) -> int:
    """Print the schema that the first of ``words`` names, or list them all."""
    if words:
        name = words[0]
        text = schema_text(name)
        if desk.common.mode == "ndjson":
            content: Any = json.loads(text)
            fields = {"name": name, "title": content["title"], "schema": content}
            desk.console.event({"message_type": "schema", **fields})
        else:
            desk.console.document(json.loads(text))
        return 0
    rows = [{"name": one, "title": json.loads(schema_text(one))["title"]} for one in schema_names()]
    if not desk.answered("schemas", "schema", rows):
        desk.console.table(["NAME", "WHAT"], [[row["name"], row["title"]] for row in rows])
    return 0
