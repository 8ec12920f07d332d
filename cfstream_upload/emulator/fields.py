"""The rules for a video's own fields, shared by creating one and editing one.

Each function takes a value as it came and gives it checked, or refuses with 400.
"""

from __future__ import annotations

from typing import Any

from .envelopes import bad_request
from .timestamps import SECOND, parse_rfc3339

MAX_DURATION_SECONDS = 36_000
MAX_CREATOR = 64
DAY = 24 * 3600 * SECOND
SHORTEST_FORM_WINDOW = 120
END_OF_TIME = 253_402_300_800 * SECOND


def creator(value: object) -> str | None:
    """At most 64 characters, or null."""
    if value is not None and not (isinstance(value, str) and len(value) <= MAX_CREATOR):
        raise bad_request(f"creator must be a string of at most {MAX_CREATOR} characters")
    return value


def allowed_origins(value: object) -> list[str]:
    """Host names without a protocol."""
    if not isinstance(value, list) or not all(isinstance(origin, str) for origin in value):
        raise bad_request("allowedOrigins must be a list of strings")
    for origin in value:
        if "://" in origin:
            raise bad_request(f"allowed origin must not specify protocol: {origin}")
    return [origin for origin in value if origin]


def thumbnail_pct(value: object) -> float:
    """A share from 0.0 to 1.0."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 <= value <= 1.0:
        raise bad_request("thumbnailTimestampPct must be between 0.0 and 1.0")
    return float(value)


def max_duration(value: object) -> int:
    """Whole seconds from 1 to 36 000."""
    if type(value) is not int or not 1 <= value <= MAX_DURATION_SECONDS:
        raise bad_request(f"maxDurationSeconds must be between 1 and {MAX_DURATION_SECONDS}")
    return value


def moment(name: str, value: object) -> int:
    """An RFC 3339 time, in nanoseconds since 1970."""
    try:
        when = parse_rfc3339(value if isinstance(value, str) else "")
    except ValueError:
        raise bad_request(f"{name} must be an RFC 3339 time") from None
    # An offset can lead beyond the year 9999, which could not be written again.
    if not 0 <= when < END_OF_TIME:
        raise bad_request(f"{name} must be a time from 1970 to 9999")
    return when


def scheduled_deletion(value: object, created: int) -> int:
    """A time at least 30 and at most 1 096 days after the video was created."""
    when = moment("scheduledDeletion", value)
    if not created + 30 * DAY <= when <= created + 1096 * DAY:
        raise bad_request("scheduledDeletion must be 30 to 1096 days after the video was created")
    return when


def expiry(value: object, now: int, cap: float | None) -> int:
    """A time in the future, and no further away than ``cap`` seconds."""
    when = moment("expiry", value)
    if when <= now:
        raise bad_request("expiry must be in the future")
    if cap is not None and when > now + cap * SECOND:
        raise bad_request(f"expiry must be at most {cap:.0f} seconds in the future")
    return when


def form_expiry(value: object, now: int, cap: float | None) -> int:
    """As `expiry`, and at least two minutes away."""
    when = expiry(value, now, cap)
    if when < now + SHORTEST_FORM_WINDOW * SECOND:
        raise bad_request(f"expiry must be at least {SHORTEST_FORM_WINDOW} seconds in the future")
    return when


def watermark(value: object) -> str | None:
    """The UID in ``{"uid": ...}``, or null."""
    uid = value.get("uid") if isinstance(value, dict) else value
    if uid is not None and not isinstance(uid, str):
        raise bad_request("watermark must be an object with a uid")
    return uid


def document(name: str, value: object) -> dict[str, Any]:
    """An object."""
    if not isinstance(value, dict):
        raise bad_request(f"{name} must be an object")
    return value


def switch(name: str, value: object) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise bad_request(f"{name} must be true or false")
    return value
