"""Rows of the journal: what is kept of an attempt, and whether what was read can be one.

A row is untrusted input. Its seal, a digest of its columns, tells of accidents; whoever can write
to the file can make a seal too, so each value is judged besides: what would enter a URL, a file
offset or a decision has the shape that this program writes, or the row is `Unsound`.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from cfstream_upload.attempt import Attempt, Identity, Reason, Stage, is_label, is_uid

COLUMNS = (
    "id", "host", "label", "base", "account", "path",
    "device", "inode", "size", "mtime_ns", "samples",
    "options", "stage", "uid", "url", "position", "doomed",
    "tail", "kept", "told", "since", "expiry", "started",
)  # fmt: skip
"""Of an attempt, in the order in which they are sealed."""

WATCH = (
    "id", "host", "label", "base", "account", "path", "device", "inode", "since", "expiry",
)  # fmt: skip
"""Of a watched marker."""

_NUMBER = re.compile(r"-?[0-9]{1,40}", re.ASCII)


class Unsound(ValueError):
    """A row that this program did not write, or that something changed; says which."""


def values_of(attempt: Attempt) -> tuple[object, ...]:
    """What is kept of ``attempt``, in the order of `COLUMNS`."""
    file = attempt.file
    return (
        attempt.id, attempt.host, attempt.label, attempt.base, attempt.account,
        os.fsencode(attempt.path),
        # Text: an inode may need all 64 bits, SQLite's integers are signed.
        str(file.device), str(file.inode), file.size, file.mtime_ns, file.samples,
        attempt.options, attempt.stage.value, attempt.uid, attempt.url, attempt.offset,
        attempt.doomed, int(attempt.tail), int(attempt.kept), int(attempt.told),
        attempt.since, attempt.expiry, attempt.started,
    )  # fmt: skip


def watch_of(attempt: Attempt) -> tuple[object, ...]:
    """What is kept of a marker that is watched, in the order of `WATCH`."""
    file = attempt.file
    return (
        attempt.id, attempt.host, attempt.label, attempt.base, attempt.account,
        os.fsencode(attempt.path), str(file.device), str(file.inode),
        attempt.since, attempt.expiry,
    )  # fmt: skip


def seal_of(values: Sequence[object]) -> bytes:
    """The digest that stands beside ``values``."""
    text = repr(tuple(values)).encode("utf-8", "replace")
    return hashlib.blake2b(text, digest_size=8).digest()


def attempt_of(values: Sequence[object], seal: object, row: int) -> Attempt:
    """The attempt in row number ``row``. Raises `Unsound`."""
    if seal != seal_of(values):
        raise Unsound
    named: dict[str, Any] = dict(zip(COLUMNS, values, strict=True))
    _judge(named)
    file = Identity(
        device=int(named.pop("device")),
        inode=int(named.pop("inode")),
        **{name: named.pop(name) for name in ("size", "mtime_ns", "samples")},
    )
    named["path"] = path_of(named["path"])
    named["stage"] = Stage(named["stage"])
    named["offset"] = named.pop("position")
    for flag in ("tail", "kept", "told"):
        named[flag] = bool(named[flag])
    attempt = Attempt(file=file, row=row, **named)
    # Whoever reads a row does not know whether its create, or its delete, left: he asks first.
    intended, discarding = Stage.INTENDED, Stage.DISCARDING
    return attempt.knows(asked=attempt.stage is intended, deleted=attempt.stage is discarding)


def attempt_in(row: Sequence[object]) -> Attempt:
    """The attempt in a row as a journal gives it: `COLUMNS`, its seal, its number.

    Raises `Unsound`.
    """
    *values, seal, number = row
    try:
        return attempt_of(values, seal, int(str(number)))
    except Unsound:
        file = path_of(values[COLUMNS.index("path")])
        of = f" of {file}" if file else ""
        raise Unsound(f"a damaged row, number {number}{of}") from None


def watched_of(values: Sequence[object]) -> Attempt:
    """A watched marker, as an attempt of which nothing else is known. Raises `Unsound`."""
    named: dict[str, Any] = dict(zip(WATCH, values, strict=True))
    try:
        _judge_marker(named)
    except Unsound:
        raise Unsound("a damaged row, a watched marker") from None
    file = Identity(int(named.pop("device")), int(named.pop("inode")), 0, 0, "")
    named["path"] = path_of(named["path"])
    return Attempt(file=file, **named)


def path_of(blob: object) -> str:
    """The path in a column."""
    return os.fsdecode(blob) if isinstance(blob, bytes) else ""


def _judge(named: Mapping[str, Any]) -> None:
    _judge_marker(named)
    size, offset, uid = named["size"], named["position"], named["uid"]
    numbers = (size, offset, named["mtime_ns"], named["tail"], named["kept"], named["told"])
    _require(all(isinstance(number, int) for number in numbers))
    _require(0 <= offset <= size)
    _require(named["stage"] in set(Stage) - {Stage.GONE})
    _require(named["doomed"] in {"", *Reason})
    _require(is_uid(uid) or (uid is None and named["stage"] == Stage.INTENDED))
    _require(named["url"] is None or isinstance(named["url"], str))
    _require(isinstance(named["samples"], str) and isinstance(named["started"], float))
    _require(math.isfinite(named["started"]) and _is_table(named["options"]))


def _judge_marker(named: Mapping[str, Any]) -> None:
    _require(all(is_uid(named[name]) for name in ("id", "host", "account")))
    _require(isinstance(named["label"], str) and isinstance(named["base"], str))
    _require(not named["label"] or is_label(named["label"]))
    _require(all(_NUMBER.fullmatch(str(named[name])) for name in ("device", "inode")))
    for moment in (named["since"], named["expiry"]):
        _require(moment is None or (isinstance(moment, float) and math.isfinite(moment)))


def _is_table(text: object) -> bool:
    try:
        return isinstance(text, str) and isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _require(sound: bool) -> None:
    if not sound:
        raise Unsound
