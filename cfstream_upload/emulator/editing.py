"""The body of ``POST /stream/{uid}``: what may be changed of a video, in the API's names."""

from __future__ import annotations

import json
from typing import Any

from . import fields
from .envelopes import bad_request, undecodable
from .videos import Video


def read_edit(body: bytes, video: Video) -> dict[str, Any]:
    """Give the fields of `Video` that the body changes; refuse with 400 what breaks a rule.

    Names that are not known are ignored. ``meta`` is replaced as a whole.
    """
    asked = read_object(body)
    if asked.get("uid", video.uid) != video.uid:
        raise bad_request("uid does not match the video")
    changes: dict[str, Any] = {}
    for name, value in asked.items():
        changes |= _change(name, value, video)
    return changes


def read_object(body: bytes) -> dict[str, Any]:
    """Read a JSON object; refuse anything else in the words of the real service."""
    try:
        document = json.loads(body, parse_constant=_no_number)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise undecodable()
    return document


def _no_number(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


def _change(name: str, value: object, video: Video) -> dict[str, Any]:
    match name:
        case "allowedOrigins":
            return {"allowed_origins": fields.allowed_origins(value)}
        case "creator":
            return {"creator": fields.creator(value)}
        case "maxDurationSeconds":
            return {"max_duration": fields.max_duration(value)}
        case "meta" | "publicDetails":
            field = "meta" if name == "meta" else "public_details"
            return {field: fields.document(name, value)}
        case "requireSignedURLs":
            return {"require_signed_urls": fields.switch(name, value)}
        case "scheduledDeletion":
            when = None if value is None else fields.scheduled_deletion(value, video.created)
            return {"scheduled_deletion": when}
        case "thumbnailTimestampPct":
            return {"thumbnail_pct": fields.thumbnail_pct(value)}
        case "uploadExpiry":
            return {"expiry": fields.moment(name, value)}
    return {}
