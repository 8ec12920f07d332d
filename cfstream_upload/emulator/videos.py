"""A video as Stream keeps it, the states it goes through, and how the Video API shows it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from .switches import Switches
from .timestamps import SECOND, rfc3339

PENDING, QUEUED, ENCODING = "pendingupload", "queued", "inprogress"
READY, FAILED = "ready", "error"
Form = Literal["no", "direct", "basic"]
STATES = (PENDING, "downloading", QUEUED, ENCODING, READY, FAILED, "live-inprogress")

REASONS = {
    "ERR_NON_VIDEO": "The file was not recognized as a valid video file.",
    "ERR_DURATION_EXCEED_CONSTRAINT": "The video is longer than maxDurationSeconds.",
    "ERR_DURATION_TOO_SHORT": "The video is shorter than 0.1 seconds.",
}


@dataclass(frozen=True)
class Video:
    """Everything known of one video. Times are nanoseconds since 1970, sizes bytes.

    ``offset`` is what was acknowledged, ``whole`` when the last byte was, ``reservation`` the
    seconds of storage it holds until it is processed, ``reason`` why encoding it will fail.
    ``form``: it comes in one form POST, to an upload URL of its own or to the API, and its length
    is 0 until then; ``draft``: that POST is under way and nobody is to see the video yet.
    ``duration`` (seconds) and size of the frame are what its container says, if it does.
    """

    uid: str
    length: int
    created: int
    modified: int
    expiry: int
    reservation: int
    direct_user: bool
    meta: dict[str, Any] = field(default_factory=dict)
    creator: str | None = None
    require_signed_urls: bool = False
    allowed_origins: list[str] = field(default_factory=list)
    thumbnail_pct: float = 0.0
    watermark: str | None = None
    scheduled_deletion: int | None = None
    max_duration: int | None = None
    public_details: dict[str, str] | None = None
    offset: int = 0
    whole: int | None = None
    reason: str = ""
    deleted: int | None = None
    form: Form = "no"
    draft: bool = False
    duration: float | None = None
    width: int = -1
    height: int = -1


@dataclass(frozen=True)
class Pace:
    """How fast videos are encoded: seconds after the last byte until each state begins.

    ``playable_after``: until ``readyToStream``, which may be before ``ready``; ``complete_after``:
    until ``pctComplete`` is 100, which may be after it. None for either: with ``ready``.
    """

    encoding_after: float = 0.3
    ready_after: float = 0.7
    playable_after: float | None = None
    complete_after: float | None = None

    @property
    def playable(self) -> float:
        """Seconds until one quality can be played."""
        return self.ready_after if self.playable_after is None else self.playable_after

    @property
    def complete(self) -> float:
        """Seconds until every quality is there."""
        return self.ready_after if self.complete_after is None else self.complete_after


def state_of(video: Video, now: int, pace: Pace, pending_after_whole: float) -> str:
    """Give ``status.state``: a function of the clock, so that nothing has to run meanwhile."""
    age = _seconds_whole(video, now, pending_after_whole)
    if age is None or age < 0:
        return PENDING
    if age < pace.encoding_after:
        return QUEUED
    if age < pace.ready_after:
        return ENCODING
    return FAILED if video.reason else READY


def shown(
    video: Video, now: int, pace: Pace, switches: Switches, customer: str
) -> dict[str, object]:
    """Give the video as JSON, in the field names of the Video API."""
    state = state_of(video, now, pace, switches.pending_after_whole)
    playable = _is_playable(video, state, now, pace, switches.pending_after_whole)
    document: dict[str, object] = {
        "uid": video.uid,
        "creator": video.creator,
        "meta": video.meta if state != PENDING or switches.meta_while_pending else {},
        "status": _status(video, state, now, pace, switches.pending_after_whole),
        "readyToStream": playable,
        "readyToStreamAt": _ready_at(video, pace, switches) if playable else None,
        "created": rfc3339(video.created),
        "modified": rfc3339(video.modified),
        "uploaded": _uploaded(video, state, switches),
        "uploadExpiry": None if video.form == "basic" else rfc3339(video.expiry),
        "scheduledDeletion": _time_or_none(video.scheduled_deletion),
        "maxDurationSeconds": video.max_duration,
        "maxSizeBytes": None,
        "size": _size(video, state, switches),
        **_measured(video, state),
        "requireSignedURLs": video.require_signed_urls,
        "allowedOrigins": video.allowed_origins,
        "thumbnailTimestampPct": video.thumbnail_pct,
        "watermark": None if video.watermark is None else {"uid": video.watermark},
        "liveInput": None,
        "clippedFrom": None,
        "publicDetails": video.public_details,
    }
    return document if state == PENDING else document | _addresses(video.uid, customer)


def _status(video: Video, state: str, now: int, pace: Pace, late: float) -> dict[str, str]:
    status = {"state": state, "errorReasonCode": "", "errorReasonText": ""}
    if state in (ENCODING, READY):
        spent = (_seconds_whole(video, now, late) or 0.0) - pace.encoding_after
        length = pace.complete - pace.encoding_after
        share = min(1.0, spent / length) if length > 0 else 1.0
        status |= {"pctComplete": f"{100 * share:.6f}"}
        if state == ENCODING:
            status["step"] = "encoding"
    elif state == FAILED:
        status |= {
            "step": "encoding",
            "pctComplete": "100.000000",
            "errorReasonCode": video.reason,
            "errorReasonText": REASONS.get(video.reason, "The video could not be processed."),
        }
    return status


def _is_playable(video: Video, state: str, now: int, pace: Pace, late: float) -> bool:
    age = _seconds_whole(video, now, late)
    return state in (ENCODING, READY) and age is not None and age >= pace.playable


def _seconds_whole(video: Video, now: int, late: float) -> float | None:
    return None if video.whole is None else (now - video.whole) / SECOND - late


def _ready_at(video: Video, pace: Pace, switches: Switches) -> str:
    delay = pace.playable + switches.pending_after_whole
    return rfc3339((video.whole or 0) + int(delay * SECOND))


def _uploaded(video: Video, state: str, switches: Switches) -> str | None:
    if switches.uploaded_at_creation:
        return rfc3339(video.created)
    return None if state == PENDING else _time_or_none(video.whole)


def _size(video: Video, state: str, switches: Switches) -> int:
    if state != PENDING or switches.size_while_pending == "length":
        return video.length
    return video.offset if switches.size_while_pending == "received" else 0


def _measured(video: Video, state: str) -> dict[str, object]:
    if state != READY or video.duration is None:
        return {"duration": -1, "input": {"width": -1, "height": -1}}
    return {
        "duration": video.duration,
        "input": {"width": video.width, "height": video.height},
    }


def _time_or_none(nanoseconds: int | None) -> str | None:
    return None if nanoseconds is None else rfc3339(nanoseconds)


def _addresses(uid: str, customer: str) -> dict[str, object]:
    base = f"https://customer-{customer}.cloudflarestream.com/{uid}"
    return {
        "preview": f"{base}/watch",
        "thumbnail": f"{base}/thumbnails/thumbnail.jpg",
        "playback": {
            "hls": f"{base}/manifest/video.m3u8",
            "dash": f"{base}/manifest/video.mpd",
        },
    }
