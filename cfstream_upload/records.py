"""What scripts are told of an upload: events as records, and records as JSON. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from cfstream_upload import events
from cfstream_upload.documents import VERSION as VERSION
from cfstream_upload.meter import Meter

_DEEPEST = 64


def as_json(content: object, change: Callable[[str], str], indent: int | None = None) -> str:
    r"""``content`` as ASCII JSON with ``change`` applied to every text in it.

    A lone surrogate of a file name appears as ``\udcff``; no control character is left as it is.
    A number without end, which JSON cannot say, is null, and so is what a server nested too deeply.
    """
    return json.dumps(_mapped(content, change), indent=indent, default=str, allow_nan=False)


def described(event: events.Event, meter: Meter | None, now: float) -> dict[str, object] | None:
    """``event`` as the fields that scripts know; None for what they are not told."""
    file = event.file or None
    match event:
        case events.Started():
            return {"message_type": "started", "file": file, "total_bytes": event.size}
        case events.Resumed():
            return {
                "message_type": "resumed", "file": file, "uid": event.uid,
                "bytes_acknowledged": event.offset, "total_bytes": event.size,
            }  # fmt: skip
        case events.Progress():
            return {
                "message_type": "progress", "file": file, "uid": meter.uid if meter else None,
                "bytes_acknowledged": event.acknowledged, "bytes_sent": event.sent,
                "total_bytes": event.size,
                "bytes_per_second": _rounded(meter.speed(now) if meter else None),
                "seconds_remaining": _rounded(meter.seconds_left(now) if meter else None),
            }  # fmt: skip
        case events.Retrying():
            return {
                "message_type": "retrying", "file": file, "message": event.message,
                "tries": event.tries, "seconds": round(event.seconds, 3),
            }  # fmt: skip
        case events.Uploaded():
            return {"message_type": "uploaded", **event.document}
        case events.Ready():
            return {
                "message_type": "ready", "file": file, "uid": event.uid,
                "state": event.state, "percent": event.percent, "until": event.until,
                "seconds": round(event.seconds, 3),
            }  # fmt: skip
        case events.CleaningUp():
            return {
                "message_type": "cleaning_up", "file": file, "uid": event.uid,
                "message": event.message,
            }  # fmt: skip
        case events.CleanedUp():
            return {
                "message_type": "cleaned_up", "file": file, "uid": event.uid,
                "attempt": event.attempt,
            }  # fmt: skip
        case _:
            return None


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, 1)


def _mapped(content: object, change: Callable[[str], str], depth: int = 0) -> Any:  # noqa: ANN401  it is JSON
    """``content`` with ``change`` applied to every text in it, keys too."""
    if isinstance(content, str):
        return change(content)
    if depth > _DEEPEST or (isinstance(content, float) and not math.isfinite(content)):
        return None
    if isinstance(content, Mapping):
        return {
            change(str(key)): _mapped(value, change, depth + 1) for key, value in content.items()
        }
    if isinstance(content, list | tuple):
        return [_mapped(item, change, depth + 1) for item in content]
    return content
