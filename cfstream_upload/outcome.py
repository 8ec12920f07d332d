"""What one request told us. Pure values; `stream` and `tus` make them, `after` learns from them.

``date`` is Stream's own clock (epoch seconds, from the Date header), ``at`` this machine's
monotonic clock when the outcome was known, ``handed`` the highest file position given to a socket.
Messages are words for people; they hold no token and no upload URL.
"""

from __future__ import annotations

from dataclasses import dataclass

from cfstream_upload.attempt import Failure


@dataclass(frozen=True, slots=True)
class Created:
    """The create was answered with a UID and an acceptable upload URL."""

    uid: str
    url: str
    date: float | None = None


@dataclass(frozen=True, slots=True)
class NotMade:
    """The create was refused so that nothing was made: a 4xx in Stream's own envelope."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class NotSent:
    """The create had no connection: nothing of it left this machine."""

    message: str


@dataclass(frozen=True, slots=True)
class Unanswered:
    """The create may or may not have made a video: nobody told us."""

    message: str
    retry_after: float | None = None
    date: float | None = None


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something transient, or no whole reply. ``cut`` says that a shorter chunk may help."""

    message: str
    retry_after: float | None = None
    cut: bool = False
    handed: int | None = None
    date: float | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A working list: the UIDs that carry the marker, and whether our own UID is listed."""

    uids: tuple[str, ...]
    listed: bool
    date: float | None = None


@dataclass(frozen=True, slots=True)
class Offset:
    """HEAD: Stream has ``offset`` bytes."""

    offset: int


@dataclass(frozen=True, slots=True)
class Acked:
    """PATCH: Stream now has ``offset`` bytes; ``length`` were sent in ``seconds``."""

    offset: int
    length: int
    seconds: float
    handed: int


@dataclass(frozen=True, slots=True)
class UrlDead:
    """The upload URL answered 401, 403, 404 or 410: no verdict, the Video API decides."""

    status: int


@dataclass(frozen=True, slots=True)
class TooLarge:
    """PATCH was refused with 413: something on the way takes no chunk of this size."""

    message: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """A plain no to HEAD or PATCH that repeating will not change. ``final``: do not even ask."""

    failure: Failure
    final: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """GET: the video is there, with its ``links``; ``marker`` is ``meta.cfupload`` if shown."""

    state: str
    marker: str | None = None
    expiry: float | None = None
    date: float | None = None
    detail: str = ""
    links: tuple[tuple[str, str | None], ...] = ()


@dataclass(frozen=True, slots=True)
class Absent:
    """GET: 404 in Stream's own JSON envelope, ``success: false``."""

    date: float | None = None


@dataclass(frozen=True, slots=True)
class Denied:
    """The API refused the credentials."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class Deleted:
    """DELETE was answered with 2xx or 404: asked for, not yet proven."""


@dataclass(frozen=True, slots=True)
class FileFault:
    """The local file could not be read as it was opened."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class Stop:
    """A signal was noticed. ``hard``: the second one; leave the rest as a debt."""

    signum: int
    hard: bool = False
    handed: int | None = None


Outcome = (
    Created
    | NotMade
    | NotSent
    | Unanswered
    | Trouble
    | Found
    | Offset
    | Acked
    | UrlDead
    | TooLarge
    | Refusal
    | Seen
    | Absent
    | Denied
    | Deleted
    | FileFault
    | Stop
)
