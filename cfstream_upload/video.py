"""Stream's video object as we read it, and the fields that may be set when one is created. Pure.

Field names and limits: Cloudflare's API reference of Stream and its "Resumable and large files"
page. Whatever else Stream sends is kept in ``raw`` and passed on untouched.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

from cfstream_upload.attempt import Marker, is_uid, read_marker
from cfstream_upload.errors import UsageProblem

MARKER_KEY = "cfupload"
SOURCE_KEY = "cfupload_source"
LONGEST = 36_000
SHORTEST_RESERVED = 120

_RESERVED = {
    MARKER_KEY, SOURCE_KEY, "name", "requiresignedurls", "allowedorigins", "thumbnailtimestamppct",
    "watermark", "scheduleddeletion", "maxdurationseconds", "expiry",
}  # fmt: skip
_META_KEY = re.compile(r"[a-z0-9_.-]{1,64}\Z")
_ORIGIN = re.compile(r"[A-Za-z0-9*.-]+(:\d+)?\Z")
_CREATOR = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,62}[\x21-\x7e])?\Z")


@dataclass(frozen=True, slots=True)
class Video:
    """One video as Stream describes it. Texts in it were chosen by strangers."""

    uid: str
    state: str
    raw: Mapping[str, Any] = field(repr=False)

    @property
    def meta(self) -> Mapping[str, Any]:
        """The user's key and value store."""
        meta = self.raw.get("meta")
        return meta if isinstance(meta, Mapping) else {}

    @property
    def name(self) -> str:
        """``meta.name``, which the dashboard shows."""
        name = self.meta.get("name")
        return name if isinstance(name, str) else ""

    @property
    def created(self) -> str:
        """When it was created, in Stream's own digits: the cursor of a list."""
        return str(self.raw.get("created") or "")

    @property
    def expiry(self) -> float | None:
        """When the upload window ends, epoch seconds."""
        return epoch(self.raw.get("uploadExpiry"))

    @property
    def marker_text(self) -> str | None:
        """What stands in ``meta`` under our key, whoever wrote it."""
        text = self.meta.get(MARKER_KEY)
        return text if isinstance(text, str) else None

    @property
    def marker(self) -> Marker | None:
        """This tool's marker, if the video carries one."""
        return read_marker(self.marker_text)

    @property
    def detail(self) -> str:
        """Why processing failed, in Stream's words; both spellings of the field are in use."""
        status = self.raw.get("status")
        if not isinstance(status, Mapping):
            return ""
        code = status.get("errorReasonCode") or status.get("errReasonCode") or ""
        text = status.get("errorReasonText") or status.get("errReasonText") or ""
        return ": ".join(str(part) for part in (code, text) if part)

    @property
    def links(self) -> dict[str, str | None]:
        """``preview``, ``thumbnail``, ``hls`` and ``dash``, None where Stream gives none yet."""
        playback = self.raw.get("playback")
        playback = playback if isinstance(playback, Mapping) else {}
        found = {
            "preview": self.raw.get("preview"),
            "thumbnail": self.raw.get("thumbnail"),
            "hls": playback.get("hls"),
            "dash": playback.get("dash"),
        }
        return {name: link if isinstance(link, str) else None for name, link in found.items()}


def video_of(result: object) -> Video | None:
    """The `Video` in an API result, or None where its shape is not that of one."""
    if not isinstance(result, Mapping) or not is_uid(result.get("uid")):
        return None
    status = result.get("status")
    state = status.get("state") if isinstance(status, Mapping) else None
    if not isinstance(state, str) or not state:
        return None
    return Video(result["uid"], state, result)


def epoch(text: object) -> float | None:
    """An RFC 3339 time as epoch seconds; None where it is none. Nine digits are cut to six."""
    if not isinstance(text, str):
        return None
    cut = re.sub(r"(\.\d{6})\d+", r"\1", text.strip().replace("Z", "+00:00"))
    try:
        moment = datetime.fromisoformat(cut)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


@dataclass(frozen=True, slots=True)
class VideoOptions:
    """What the user wants set at creation; None or empty means Stream's default."""

    name: str | None = None
    meta: tuple[tuple[str, str], ...] = ()
    creator: str | None = None
    require_signed_urls: bool = False
    allowed_origins: tuple[str, ...] = ()
    thumbnail_pct: float | None = None
    watermark: str | None = None
    scheduled_deletion: str | None = None
    max_duration_seconds: int | None = None
    expiry: str | None = None

    def checked(self) -> VideoOptions:
        """These options, if Stream could take them. Raises `UsageProblem`."""
        for key, _ in self.meta:
            if key in _RESERVED or not _META_KEY.match(key):
                raise UsageProblem(
                    f"--meta cannot set the key {key!r}",
                    "Use lower-case letters, digits and _ - . and no name of Stream's own.",
                )
        for origin in self.allowed_origins:
            if not _ORIGIN.match(origin):
                raise UsageProblem(
                    f"--allowed-origin {origin!r} is no origin", "Give the host alone: example.com"
                )
        if self.creator is not None and not _CREATOR.match(self.creator):
            raise UsageProblem(
                "--creator takes 1 to 64 printable ASCII characters", "Shorten or simplify it."
            )
        if self.thumbnail_pct is not None and not 0 <= self.thumbnail_pct <= 1:
            raise UsageProblem("--thumbnail-pct is outside 0 to 1", "0.5 is the middle.")
        seconds = self.max_duration_seconds
        if seconds is not None and not 1 <= seconds <= LONGEST:
            raise UsageProblem(
                f"--max-duration-seconds is outside 1 to {LONGEST}", "Stream takes up to ten hours."
            )
        if self.watermark is not None and not is_uid(self.watermark):
            raise UsageProblem("--watermark is no UID", "It has 32 hex digits.")
        for option in ("scheduled_deletion", "expiry"):
            text = getattr(self, option)
            if text is not None and epoch(text) is None:
                flag = "--" + option.replace("_", "-")
                raise UsageProblem(f"{flag} is no RFC 3339 time", "Like 2027-01-31T12:00:00Z")
        return self

    def canonical(self) -> str:
        """The options as JSON, the same for the same wishes: kept to notice other ones later."""
        chosen = {f.name: getattr(self, f.name) for f in fields(self)}
        set_ones = {name: value for name, value in chosen.items() if value not in (None, (), False)}
        return json.dumps(set_ones, sort_keys=True)

    def metadata(self, marker: str, file_name: str, seconds: int | None) -> dict[str, str | None]:
        """``Upload-Metadata`` as key to text, None for a flag; flags come first, ``name`` last.

        ``seconds`` is the duration to reserve where the user named none. Stream wants the text
        before base64; a lone surrogate of a file name has no UTF-8 and becomes U+FFFD.
        """
        wanted: dict[str, str | None] = {}
        if self.require_signed_urls:
            wanted["requiresignedurls"] = None
        if self.allowed_origins:
            wanted["allowedorigins"] = ",".join(self.allowed_origins)
        if self.thumbnail_pct is not None:
            wanted["thumbnailtimestamppct"] = str(self.thumbnail_pct)
        if self.watermark is not None:
            wanted["watermark"] = self.watermark
        if self.scheduled_deletion is not None:
            wanted["scheduleddeletion"] = self.scheduled_deletion
        reserve = self.max_duration_seconds or seconds
        if reserve is not None:
            wanted["maxdurationseconds"] = str(reserve)
        if self.expiry is not None:
            wanted["expiry"] = self.expiry
        wanted.update(self.meta)
        wanted[MARKER_KEY] = marker
        wanted["name"] = self.name or file_name
        return {key: None if text is None else _utf8(text) for key, text in wanted.items()}


def _utf8(text: str) -> str:
    return text.encode("utf-8", "replace").decode() if text.isascii() else _replaced(text)


def _replaced(text: str) -> str:
    return "".join("\ufffd" if "\ud800" <= letter <= "\udfff" else letter for letter in text)


def reserved_seconds(duration: float | None) -> int | None:
    """The duration to reserve for a container of ``duration`` seconds: 10 % more, at least 120.

    None where it is unknown or longer than Stream takes: then Stream reserves its own default.
    """
    if duration is None or duration <= 0:
        return None
    seconds = max(SHORTEST_RESERVED, -int(-duration * 1.1 // 1))
    return seconds if seconds <= LONGEST else None


def differing(ours: str, theirs: str) -> list[str]:
    """The names of the create options in which two canonical texts differ, as flags."""
    one, other = json.loads(ours), json.loads(theirs)
    names = sorted(set(one) | set(other))
    return ["--" + name.replace("_", "-") for name in names if one.get(name) != other.get(name)]
