"""What happens to an upload, as values for whoever wants to hear: console, scripts, callers.

Sizes are bytes, times seconds. Texts may hold file names and server words as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Started:
    """A file was opened and locked; its upload begins."""

    file: str
    size: int


@dataclass(frozen=True, slots=True)
class Created:
    """Stream made a video for the file."""

    file: str
    uid: str


@dataclass(frozen=True, slots=True)
class Resumed:
    """An earlier upload goes on from ``offset``."""

    file: str
    uid: str
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Progress:
    """``sent`` bytes were handed to the socket, ``acknowledged`` are known to be on Stream."""

    file: str
    acknowledged: int
    sent: int
    size: int


@dataclass(frozen=True, slots=True)
class Retrying:
    """Trouble: the next try, number ``tries`` in a row, comes in ``seconds``."""

    file: str
    message: str
    tries: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Confirming:
    """Every byte is acknowledged; Stream is asked whether it has the video."""

    file: str
    uid: str


@dataclass(frozen=True, slots=True)
class Reading:
    """The whole file is read for its digest, before anything is sent; ``read`` bytes were."""

    file: str
    read: int
    size: int


@dataclass(frozen=True, slots=True)
class Uploaded:
    """The video is on Stream and recorded, and is waited for from now on.

    ``document`` is the file's result so far, as scripts are shown it.
    """

    file: str
    uid: str
    document: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Waiting:
    """A video that is waited for was looked at; ``file`` is ``""`` where only its UID is known.

    ``percent`` of it is encoded, None where Stream does not say; ``news``: worth a line.
    """

    file: str
    uid: str
    state: str
    percent: float | None
    until: str
    news: bool


@dataclass(frozen=True, slots=True)
class Ready:
    """A video is as far as was waited for, after ``seconds``; ``file`` as in `Waiting`."""

    file: str
    uid: str
    state: str
    percent: float | None
    until: str
    seconds: float


@dataclass(frozen=True, slots=True)
class CleaningUp:
    """An upload failed (``message``) or is not wanted; it is being deleted."""

    file: str
    uid: str
    message: str


@dataclass(frozen=True, slots=True)
class Deleted:
    """The video is proven absent from Stream."""

    file: str
    uid: str


@dataclass(frozen=True, slots=True)
class CleanedUp:
    """The journal entry of a deleted video is gone too."""

    file: str
    uid: str
    attempt: str


@dataclass(frozen=True, slots=True)
class Notice:
    """Something worth a line that changes no outcome."""

    file: str
    message: str


Event = (
    Started
    | Created
    | Resumed
    | Progress
    | Retrying
    | Confirming
    | Reading
    | Uploaded
    | Waiting
    | Ready
    | CleaningUp
    | Deleted
    | CleanedUp
    | Notice
)

Listener = Callable[[Event], None]
