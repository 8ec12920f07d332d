"""What the pages show of the account: as it is, not as lagging lists would have it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .library import Library
from .timestamps import SECOND
from .uploads import Uploads
from .videos import FAILED, PENDING, READY, Video

LARGEST = 200
"""Videos on one page: what is pending comes first, then what is new."""


@dataclass(frozen=True)
class Overview:
    """The account at a moment: ``videos`` by UID, ``totals`` of all, in bytes and minutes.

    ``moving``: time alone will change it soon, for a video is being encoded.
    """

    videos: dict[str, dict[str, Any]] = field(default_factory=dict)
    totals: dict[str, Any] = field(default_factory=dict)
    moving: bool = False


def overview(only: str | None = None) -> Callable[[Library, Uploads], Overview]:
    """Look at the account, or at no more than one of its videos."""

    def look(library: Library, uploads: Uploads) -> Overview:
        existing = [v for v in map(_finding(library), library.records()) if v is not None]
        states = {video.uid: library.state(video) for video in existing}
        pending = [video for video in existing if states[video.uid] == PENDING]
        if only is None:
            rest = [video for video in existing if states[video.uid] != PENDING]
            chosen = [*pending[::-1], *rest[::-1]][:LARGEST]
        else:
            chosen = [video for video in existing if video.uid == only]
        totals = {
            "videos": len(existing),
            "pending": len(pending),
            "bytes": sum(video.offset for video in existing),
            "used_minutes": round(library.used_minutes(), 1),
            "reserved_minutes": round(library.reserved_minutes(), 1),
        }
        moving = any(v.whole is not None and states[v.uid] not in (READY, FAILED) for v in chosen)
        return Overview({v.uid: _shown(library, uploads, v) for v in chosen}, totals, moving)

    return look


def media_of(uid: str) -> Callable[[Library, Uploads], Path | None]:
    """Find the file of a whole video; None when there is none to show."""

    def look(library: Library, _: Uploads) -> Path | None:
        video = library.find(uid)
        if video is None or library.state(video) == PENDING:
            return None
        return library.media(uid).path

    return look


def _finding(library: Library) -> Callable[[Video], Video | None]:
    return lambda video: library.find(video.uid)


def _shown(library: Library, uploads: Uploads, video: Video) -> dict[str, Any]:
    status: Any = library.shown(video)["status"]
    reached = uploads.reached(video.uid)
    return {
        "uid": video.uid,
        "meta": {key: str(value) for key, value in video.meta.items()},
        "creator": video.creator,
        "state": status["state"],
        "percent": float(status.get("pctComplete", 0)),
        "reason": status["errorReasonText"],
        "created": video.created // 1_000_000,
        "expiry": video.expiry // 1_000_000,
        "expired": video.whole is None and library.now() >= video.expiry,
        "length": video.length,
        "offset": video.offset,
        "received": video.offset if reached is None else reached,
        "sending": reached is not None,
        "reserved_seconds": video.reservation,
        "whole": None if video.whole is None else video.whole / SECOND,
        "playable": status["state"] != PENDING and library.media(video.uid).path is not None,
    }
