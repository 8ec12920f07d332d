"""Sizes and times as people write and read them. Pure.

``K``, ``M`` and ``G`` are 1024, 1024² and 1024³ bytes everywhere; shown, they are called KiB, MiB
and GiB.
"""

from __future__ import annotations

import re

from cfstream_upload.errors import UsageProblem

_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)([KMG]?)\Z", re.IGNORECASE)
_TIME = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|s|m|h)\Z")
_BYTES = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3}
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def parse_size(text: str) -> int:
    """The bytes in ``50M``: a number above 0 and ``K``, ``M``, ``G`` or nothing.

    Raises `UsageProblem`.
    """
    found = _SIZE.match(text)
    size = int(float(found[1]) * _BYTES[found[2].upper()]) if found else 0
    if size < 1:
        raise UsageProblem(f"{text!r} is no size", "Like 500K, 50M or 1.5G; K is 1024 bytes.")
    return size


def parse_time(text: str) -> float:
    """The seconds in ``500ms``, ``30s``, ``10m`` or ``1h``. Raises `UsageProblem`."""
    found = _TIME.match(text)
    if not found:
        raise UsageProblem(f"{text!r} is no time", "Like 500ms, 30s, 10m or 1h.")
    return float(found[1]) * _SECONDS[found[2]]


def human_size(size: float) -> str:
    """Bytes for people: ``17 B``, ``1.7 GiB``, ``712 MiB``."""
    unit = "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        # Not 1024: no number shown has more than three digits before its point.
        if size < 999.5:
            break
        size, unit = size / 1024, larger
    return f"{size:.0f} {unit}" if unit == "B" or size >= 99.95 else f"{size:.1f} {unit}"


def human_time(seconds: float) -> str:
    """A duration for people: ``42 s``, ``1m22s``, ``1h02m``, ``2d03h``."""
    whole = max(0, int(seconds + 0.5))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    minutes = whole // 60
    if minutes < 24 * 60:
        return f"{minutes // 60}h{minutes % 60:02}m"
    hours = minutes // 60
    return f"{hours // 24}d{hours % 24:02}h"
