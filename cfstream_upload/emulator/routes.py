"""Which part of the service a path belongs to."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

API = "/client/v4"
Kind = Literal[
    "videos",
    "video",
    "direct-upload",
    "upload",
    "form",
    "storage",
    "verify-user",
    "verify-account",
    "unknown",
]

_HEX32 = re.compile(r"[0-9a-f]{32}")
_SHAPES: list[tuple[re.Pattern[str], Kind]] = [
    (re.compile(r"/tus/(?P<uid>[^/]+)"), "upload"),
    (re.compile(r"/(?P<uid>[0-9a-f]{32})"), "form"),
    (re.compile(API + r"/accounts/(?P<account>[^/]+)/media/(?P<uid>[^/]+)"), "upload"),
    (re.compile(API + r"/accounts/(?P<account>[^/]+)/stream/?"), "videos"),
    (re.compile(API + r"/accounts/(?P<account>[^/]+)/stream/storage-usage"), "storage"),
    (re.compile(API + r"/accounts/(?P<account>[^/]+)/stream/direct_upload"), "direct-upload"),
    # Parts of Stream that are not modelled: without this line their names would be taken for UIDs.
    (
        re.compile(
            API + r"/accounts/[^/]+/stream/(?:clip|copy|keys|live_inputs|watermarks|webhook)"
        ),
        "unknown",
    ),
    (re.compile(API + r"/accounts/(?P<account>[^/]+)/stream/(?P<uid>[^/]+)"), "video"),
    (re.compile(API + r"/accounts/(?P<account>[^/]+)/tokens/verify"), "verify-account"),
    (re.compile(API + r"/user/tokens/verify"), "verify-user"),
]


@dataclass(frozen=True)
class Route:
    """A path, taken apart. ``account`` is None where the path names none (``/tus/<uid>``)."""

    kind: Kind
    account: str | None = None
    uid: str = field(default="", repr=False)


def route_of(path: str) -> Route:
    """Take a path apart; what leads nowhere is of the kind "unknown"."""
    for shape, kind in _SHAPES:
        if match := shape.fullmatch(path):
            parts = match.groupdict()
            return Route(kind, parts.get("account"), parts.get("uid") or "")
    return Route("unknown")


def is_hex32(text: str) -> bool:
    """Whether this has the shape of an account id or a UID: 32 lower-case hex digits."""
    return _HEX32.fullmatch(text) is not None
