"""Stream's video object as we read it, and the fields that may be set when one is created. Pure.

Field names and limits: Cloudflare's API reference of Stream and its "Resumable and large files"
page. Whatever else Stream sends is kept in ``raw`` and passed on untouched.
"""

from __future__ import annotations

import json
import math
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
READY = "ready"
LARGEST_METADATA = 16 * 1024
"""Bytes of ``Upload-Metadata``: Stream tells no limit, and servers take no endless header."""
SHORTEST_WINDOW = 120.0
DAY = 24 * 3600.0

_RESERVED = {
    MARKER_KEY, SOURCE_KEY, "name", "requiresignedurls", "allowedorigins", "thumbnailtimestamppct",
    "watermark", "scheduleddeletion", "maxdurationseconds", "expiry",
}  # fmt: skip
_META_KEY = re.compile(r"[a-z0-9_.-]{1,64}\Z")
_ORIGIN = re.compile(r"[A-Za-z0-9*.-]+(:\d+)?\Z")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)\Z", re.A)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
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
    def size(self) -> int | None:
        """How many bytes it has; None where Stream does not say (yet) or it is no count."""
        told = self.raw.get("size")
        return told if type(told) is int and 0 < told < 1 << 63 else None

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
    def percent(self) -> float | None:
        """How much of it is encoded, 0 to 100; None where Stream does not say."""
        status = self.raw.get("status")
        text = status.get("pctComplete") if isinstance(status, Mapping) else None
        try:
            number = float(text) if isinstance(text, str | int | float) else math.nan
        except (ValueError, OverflowError):
            return None
        return min(100.0, max(0.0, number)) if math.isfinite(number) else None

    @property
    def playable(self) -> bool:
        """Whether Stream can play it, if not in every quality yet."""
        return self.raw.get("readyToStream") is True

    @property
    def encoded(self) -> bool:
        """Whether every quality is there: Stream may say ``ready`` before it has all of them."""
        finished = self.percent is None or self.percent >= 100
        return self.state == READY and finished and self.raw.get("readyToStream") is not False

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
    cut = re.sub(r"(\.\d{6})\d+", r"\1", text.strip().upper().replace("Z", "+00:00"))
    try:
        moment = datetime.fromisoformat(cut)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _date(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d")


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
        """These options, if Stream could take them at some time. Raises `UsageProblem`.

        What depends on the time of the create is left to `check_times`.
        """
        self._check_texts()
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
            if text is not None and not (_MOMENT.match(text) and epoch(text) is not None):
                flag = "--" + option.replace("_", "-")
                raise UsageProblem(f"{flag} is no RFC 3339 time", "Like 2027-01-31T12:00:00Z")
        self._check_length()
        return self

    def _check_texts(self) -> None:
        if self.name is not None and (not self.name.strip() or _CONTROL.search(self.name)):
            raise UsageProblem(
                "--name is empty or has control characters", "Leave it out for the file's own."
            )
        seen: set[str] = set()
        for key, _ in self.meta:
            if key in _RESERVED or not _META_KEY.match(key):
                raise UsageProblem(
                    f"The video's meta cannot have the key {key!r}",
                    "Use lower-case letters, digits and _ - . and no name of Stream's own.",
                )
            if key in seen:
                raise UsageProblem(
                    f"The video's meta has the key {key!r} twice", "Give it one value."
                )
            seen.add(key)

    def _check_length(self) -> None:
        """The header that Stream is sent, with the longest marker and name of a file."""
        travelling = self.metadata("m" * 150, "n" * 255, LONGEST)
        texts = {key: (text or "").encode() for key, text in travelling.items()}
        length = sum(len(key) + 2 + -(-len(text) // 3) * 4 for key, text in texts.items()) - 1
        if length > LARGEST_METADATA:
            longest = max(texts, key=lambda key: len(texts[key]))
            raise UsageProblem(
                f"The video's fields take {length} bytes, more than {LARGEST_METADATA}",
                f"Shorten them; the longest is {longest!r}. Large data belongs elsewhere.",
            )

    def check_duration(self, seconds: float | None) -> None:
        """Refuse a video of ``seconds`` that Stream would take whole and then fail to process.

        Raises `UsageProblem`.
        """
        most = self.max_duration_seconds
        # A container's duration is a little more or less than what Stream measures.
        if most is not None and seconds is not None and seconds > most + 1:
            raise UsageProblem(
                f"--max-duration-seconds is {most}, and the video lasts {seconds:.0f} s",
                f"Stream would not process it: give at least {int(seconds) + 2}.",
            )

    def check_times(self, now: float) -> None:
        """Refuse dates that Stream would refuse of a video created ``now`` (epoch seconds).

        They are for a create alone: a video that was made is not made wrong by time passing.
        Raises `UsageProblem`.
        """
        deletion = epoch(self.scheduled_deletion)
        if deletion is not None and not now + 30 * DAY <= deletion <= now + 1096 * DAY:
            earliest, latest = _date(now + 31 * DAY), _date(now + 1095 * DAY)
            raise UsageProblem(
                "--scheduled-deletion must be 30 to 1096 days ahead",
                f"From {earliest} to {latest} is safe today.",
            )
        ends = epoch(self.expiry)
        if ends is not None and ends < now + SHORTEST_WINDOW:
            ago = "is in the past" if ends < now else "is less than two minutes ahead"
            raise UsageProblem(
                f"--expiry {self.expiry} {ago}", "The upload must end before it: name a later time."
            )

    def canonical(self) -> str:
        """The options as JSON, the same for the same wishes: kept to notice other ones later."""
        chosen = {f.name: getattr(self, f.name) for f in fields(self)}
        set_ones = {name: value for name, value in chosen.items() if value not in (None, (), False)}
        return json.dumps(set_ones, sort_keys=True)

    def metadata(
        self, marker: str, file_name: str, seconds: int | None, digest: str | None = None
    ) -> dict[str, str | None]:
        """``Upload-Metadata`` as key to text, None for a flag; flags come first, ``name`` last.

        ``seconds`` is the duration to reserve where the user named none, ``digest`` that of the
        file's bytes where they were read. Stream wants the text before base64; a lone surrogate of
        a file name has no UTF-8 and becomes U+FFFD.
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
        if digest is not None:
            wanted[SOURCE_KEY] = digest
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
