"""The ``Upload-Metadata`` header: Stream's own keys become fields, all others become ``meta``.

https://developers.cloudflare.com/stream/uploading-videos/resumable-uploads/
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any

from . import fields
from .envelopes import bad_request
from .switches import Switches


def read_metadata(header: str, now: int, switches: Switches) -> dict[str, Any]:
    """Give the fields of `Video` that this header sets (``meta`` always); refuse a bad one."""
    if switches.meta_limit is not None and len(header) > switches.meta_limit:
        raise bad_request(f"Upload-Metadata is longer than {switches.meta_limit} bytes")
    known = _known(now, switches)
    found: dict[str, Any] = {"meta": {}}
    for key, text in _entries(header):
        if key.lower() == "name":
            found["meta"]["name"] = text
        elif key.lower() in known:
            field, read = known[key.lower()]
            found[field] = read(text)
        else:
            found["meta"][key if switches.meta_keys == "kept" else key.lower()] = text
    return found


def _known(now: int, switches: Switches) -> dict[str, tuple[str, Callable[[str], Any]]]:
    return {
        "requiresignedurls": ("require_signed_urls", lambda _: True),
        "allowedorigins": (
            "allowed_origins",
            lambda text: fields.allowed_origins([part.strip() for part in text.split(",")]),
        ),
        "thumbnailtimestamppct": (
            "thumbnail_pct",
            lambda text: fields.thumbnail_pct(_number(text, float)),
        ),
        "watermark": ("watermark", str),
        "scheduleddeletion": (
            "scheduled_deletion",
            lambda text: fields.scheduled_deletion(text, now),
        ),
        "maxdurationseconds": (
            "max_duration",
            lambda text: fields.max_duration(_number(text, int)),
        ),
        "expiry": ("expiry", lambda text: fields.expiry(text, now, switches.expiry_cap)),
    }


def _entries(header: str) -> list[tuple[str, str]]:
    """Take the header apart; the official example has a space after the comma, so it is allowed."""
    entries: list[tuple[str, str]] = []
    for part in header.split(",") if header.strip() else ():
        key, _, value = part.strip().partition(" ")
        if not key or not key.isascii() or key in (seen for seen, _ in entries):
            raise bad_request("Upload-Metadata holds an empty or repeated key")
        entries.append((key, _decoded(value)))
    return entries


def _decoded(value: str) -> str:
    try:
        return base64.b64decode(value, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise bad_request("Upload-Metadata holds a value that is not base64 of text") from None


def _number(text: str, kind: type[int | float]) -> object:
    try:
        return kind(text)
    except ValueError:
        return None
