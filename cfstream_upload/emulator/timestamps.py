"""Stream's times: nanoseconds since 1970 inside, RFC 3339 with nine digits outside."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import formatdate

SECOND = 1_000_000_000
_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:([Zz])|([+-]\d\d:\d\d))"
)


def rfc3339(nanoseconds: int) -> str:
    """Write a time as Stream does, e.g. ``2026-01-02T03:04:05.000000006Z``."""
    seconds, rest = divmod(nanoseconds, SECOND)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def parse_rfc3339(text: str) -> int:
    """Read an RFC 3339 time of any precision up to nanoseconds; `ValueError` otherwise."""
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError("not an RFC 3339 time")
    date, clock, fraction, zulu, offset = match.groups()
    moment = datetime.fromisoformat(f"{date}T{clock}{'+00:00' if zulu else offset}")
    return int(moment.timestamp()) * SECOND + int((fraction or "0").ljust(9, "0"))


def http_date(seconds: float) -> str:
    """Write the value of a ``Date`` header."""
    return formatdate(seconds, usegmt=True)
