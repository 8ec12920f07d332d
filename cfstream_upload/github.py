"""What GitHub Actions is told: annotations, a step's outputs and its summary.

The texts are pure; `report` writes them where the runner's variables say. File names and a
server's words can neither begin a workflow command, nor another output, nor Markdown or HTML.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cfstream_upload.result import Result
from cfstream_upload.safetext import safe
from cfstream_upload.units import human_size, human_time

ON_STREAM = ("uploaded", "resumed", "already")
MOST_ROWS = 500
"""Rows of a summary: the runner takes 1 MiB for a step."""

_LONGEST_CELL = 200
_UID = re.compile(r"[0-9a-f]{32}\Z")


def on_actions(environ: Mapping[str, str]) -> bool:
    """Whether a GitHub Actions runner reads what is printed."""
    return environ.get("GITHUB_ACTIONS") == "true"


def obeys_output(environ: Mapping[str, str]) -> bool:
    """Whether a CI runner looks for commands in what is printed: GitHub's, Azure's, TeamCity's."""
    return on_actions(environ) or bool(environ.get("TF_BUILD") or environ.get("TEAMCITY_VERSION"))


def annotation(level: str, text: str, file: str = "") -> str:
    """A workflow command that shows ``text`` as an ``error`` or a ``warning``, about ``file``."""
    where = f",file={_property(file)}" if file else ""
    return f"::{level} title=cfupload{where}::{_data(text)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def outputs(results: Sequence[Result], exit_code: int) -> str:
    """The lines of a step's outputs: ``uid`` of a single file, ``uids``, and ``exit_code``.

    Each value is one line by its nature: hex digits, a JSON list of them, a number.
    """
    uids = [
        result.uid
        for result in results
        if result.outcome in ON_STREAM and result.uid and _UID.match(result.uid)
    ]
    single = uids[0] if len(results) == len(uids) == 1 else ""
    return f"uid={single}\nuids={json.dumps(uids)}\nexit_code={exit_code}\n"


def step_summary(results: Sequence[Result], totals: Mapping[str, Any]) -> str:
    """A Markdown table of ``results``; of too many those that are not on Stream come first."""
    done = totals["uploaded"] + totals["already"]
    shown = list(results)
    if len(shown) > MOST_ROWS:
        shown = sorted(shown, key=lambda one: one.outcome in ON_STREAM)[:MOST_ROWS]
    lines = [
        f"### cfupload: {done} of {totals['files']} on Stream",
        "",
        "| file | outcome | uid | size | time |",
        "|---|---|---|---:|---:|",
        *(f"| {' | '.join(_cells(result))} |" for result in shown),
    ]
    if len(results) > len(shown):
        lines += ["", f"{len(results) - len(shown)} more are not shown."]
    return "\n".join([*lines, "", ""])


def _cells(result: Result) -> Iterator[str]:
    yield _code(result.file)
    if result.error is None:
        yield result.outcome
    else:
        yield f"{result.outcome}, exit {result.exit_code}: {_code(result.error.message)}"
    yield _code(result.uid or "")
    yield "" if result.size is None else human_size(result.size)
    yield human_time(result.seconds)


def _code(text: str) -> str:
    """``text`` as a code span, where nothing is markup; what could end span or cell is escaped."""
    line = safe(text, _LONGEST_CELL).replace("`", "\\x60").replace("|", "\\x7c")
    return f"`{line}`" if line.strip() else ""


def report(
    environ: Mapping[str, str],
    results: Sequence[Result],
    totals: Mapping[str, Any],
    redact: Callable[[str], str],
) -> list[str]:
    """Append outputs and summary for the runner, if there is one; what could not be written."""
    if not on_actions(environ):
        return []
    texts = {
        "GITHUB_OUTPUT": outputs(results, totals["exit_code"]),
        "GITHUB_STEP_SUMMARY": step_summary(results, totals),
    }
    problems = []
    for name, text in texts.items():
        path = environ.get(name)
        if not path:
            continue
        try:
            with Path(path).open("a", encoding="utf-8", newline="\n") as file:
                file.write(redact(text))
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "not a proper path"
            problems.append(f"{name} {path} cannot be written: {why}")
    return problems
