"""What is known of one upload, and the first thing that is missing. Pure.

Rules of this file:

1. It does no I/O and knows no clock, no chance, no library: all of that enters by parameters.
2. `next_step` only reads. The one place where knowledge changes is `after` (module `after`).
3. What a new process would know is in `Attempt`; what only this process knows is in `Attempt.now`.
   Forgetting ``now`` is always safe: the next step then asks Stream again.

The stages, what leads from one to the next, and the laws they keep are in ``docs/design.md``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from enum import StrEnum

from cfstream_upload import pace

PENDING = "pendingupload"
ERROR = "error"

_HEX32 = re.compile(r"[0-9a-f]{32}\Z")
_LABEL = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.:/@+-]{0,63}\Z")


def is_uid(text: object) -> bool:
    """Whether ``text`` has the shape of a UID, an account id or an attempt id: 32 hex digits."""
    return isinstance(text, str) and _HEX32.match(text) is not None


def is_label(text: str) -> bool:
    """Whether ``text`` may stand in a marker as the user's label."""
    return _LABEL.match(text) is not None


class Stage(StrEnum):
    """How far an attempt is known to have got; ``docs/design.md`` has the table."""

    INTENDED = "intended"
    CREATED = "created"
    SENT = "sent"
    STORED = "stored"
    DISCARDING = "discarding"
    GONE = "gone"


class Reason(StrEnum):
    """Why an attempt is wanted gone, or why it ended."""

    TROUBLE = "trouble"
    REFUSED = "refused"
    QUOTA = "quota"
    DENIED = "denied"
    FILE = "file"
    CHANGED = "changed"
    INTERRUPTED = "interrupted"
    PROCESSING = "processing"
    EXPIRED = "expired"
    VANISHED = "vanished"
    SUPERSEDED = "superseded"
    STRAY = "stray"
    ORPHAN = "orphan"
    FOREIGN = "foreign"
    BUG = "bug"


class Verdict(StrEnum):
    """How the loop ended for an attempt."""

    STORED = "stored"
    GONE = "gone"
    NOTHING = "nothing"
    UNANSWERED = "unanswered"
    LEFT = "left"
    KEPT = "kept"
    UNCONFIRMED = "unconfirmed"
    VANISHED = "vanished"
    UNPROCESSED = "unprocessed"
    UNREACHED = "unreached"


@dataclass(frozen=True, slots=True)
class Failure:
    """The first thing that went wrong: a reason, one line of words, the signal if there was one."""

    reason: Reason
    message: str
    hint: str = ""
    signum: int = 0


@dataclass(frozen=True, slots=True)
class Identity:
    """What tells one file from another, and one version of it from the next.

    ``size`` is bytes, ``mtime_ns`` nanoseconds since the epoch; ``samples`` is the hex xxh3-128 of
    sixteen samples of 64 KiB, evenly spread, or of the whole file where that is shorter.
    """

    device: int
    inode: int
    size: int
    mtime_ns: int
    samples: str


@dataclass(frozen=True, slots=True)
class Now:
    """What only this process knows of an attempt; a failure forgets parts of it.

    ``asked``: a create may be on its way. ``certain``: ``offset`` is Stream's own word.
    ``state``: what a Look just said. ``short``: a HEAD just said less than the length. ``dead``:
    the upload URL answered 404, 410, 401 or 403. ``absent`` (first said at ``absent_at``) and
    ``unlisted``: proofs that the video is gone. Times are monotonic seconds, ``until`` a deadline;
    ``high`` the highest offset seen, ``handed`` the highest position given to a socket (None where
    an earlier process gave some).
    ``pause`` and ``backoff`` say how long to wait before the next step.
    """

    asked: bool = False
    certain: bool = False
    state: str | None = None
    short: bool = False
    headed: bool = False
    dead: bool = False
    deleted: bool = False
    absent: int = 0
    absent_at: float = 0.0
    unlisted: bool = False
    finds: int = 0
    twins: tuple[str, ...] = ()
    spent: int = 0
    refusals: int = 0
    high: int = 0
    handed: int | None = None
    chunk: int = pace.FIRST
    pause: float = 0.0
    backoff: int = 0
    retry_after: float | None = None
    progress_at: float | None = None
    waiting_since: float | None = None
    until: float | None = None
    trouble: str = ""
    failure: Failure | None = None
    verdict: Verdict | None = None
    retries: int = 0


@dataclass(frozen=True, slots=True)
class Attempt:
    """One create call and all that follows from it.

    ``id`` is the marker's 32 hex digits, ``options`` the user's create options as canonical JSON,
    ``since`` and ``expiry`` are Stream's own times (epoch seconds), ``doomed`` is a `Reason` or "".
    ``started`` is this machine's clock, for people only; ``row`` the journal's handle, 0 before it
    has one. An attempt without ``url`` was learned from a listing: it can only be discarded.
    """

    id: str
    host: str
    label: str
    base: str
    account: str
    path: str
    file: Identity
    options: str = "{}"
    stage: Stage = Stage.INTENDED
    uid: str | None = None
    url: str | None = field(default=None, repr=False)
    offset: int = 0
    doomed: str = ""
    tail: bool = False
    kept: bool = False
    told: bool = False
    since: float | None = None
    expiry: float | None = None
    started: float = 0.0
    row: int = 0
    now: Now = field(default_factory=Now, compare=False)

    @property
    def marker(self) -> str:
        """The value of the metadata key ``cfupload``: ``1.<attempt>.<host>[.<label>]``."""
        return f"1.{self.id}.{self.host}" + (f".{self.label}" if self.label else "")

    @property
    def is_debt(self) -> bool:
        """Whether this row, run by nobody, must be paid before its file is sent again."""
        return self.stage in (Stage.INTENDED, Stage.DISCARDING) or bool(self.doomed)

    def knows(self, **changes: object) -> Attempt:
        """This attempt with other knowledge of the moment."""
        return replace(self, now=replace(self.now, **changes))  # type: ignore[arg-type]  # by name


@dataclass(frozen=True, slots=True)
class Marker:
    """A marker that this tool wrote, read back from a video's ``meta``."""

    attempt: str
    host: str
    label: str


def read_marker(text: object) -> Marker | None:
    """The marker in ``text``, or None when it is not one of ours."""
    if not isinstance(text, str):
        return None
    version, _, rest = text.partition(".")
    attempt, _, rest = rest.partition(".")
    host, _, label = rest.partition(".")
    if version != "1" or not is_uid(attempt) or not is_uid(host):
        return None
    # Whoever may create videos may write anything there, and it would enter the journal.
    if label and not is_label(label):
        return None
    return Marker(attempt, host, label)


# --- steps: one request each -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Create:
    """POST the create."""


@dataclass(frozen=True, slots=True)
class Find:
    """List the account's videos: which carry the marker, and is the UID among them."""


@dataclass(frozen=True, slots=True)
class Head:
    """Ask the upload URL for its offset."""


@dataclass(frozen=True, slots=True)
class Patch:
    """Send ``length`` bytes from ``offset``; ``last`` when they end the file."""

    offset: int
    length: int
    last: bool


@dataclass(frozen=True, slots=True)
class Look:
    """GET the video."""


@dataclass(frozen=True, slots=True)
class Delete:
    """DELETE the video."""


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing is missing any more, or nothing more can be done now."""

    verdict: Verdict


Step = Create | Find | Head | Patch | Look | Delete | Done


def next_step(attempt: Attempt) -> Step:
    """The first thing that is missing for this attempt to end."""
    now = attempt.now
    if now.verdict is not None:
        return Done(now.verdict)
    match attempt.stage:
        case Stage.INTENDED:
            return Find() if now.asked else Create()
        case Stage.CREATED if attempt.doomed:
            return _towards_absence(attempt)
        case Stage.CREATED:
            return _towards_arrival(attempt)
        case Stage.DISCARDING:
            return _towards_absence(attempt) if now.deleted else Delete()
        case Stage.SENT | Stage.STORED:
            if now.absent == 1 and not now.unlisted:
                return Find()
            # A video that says pending may have lost its tail: only HEAD can tell.
            return Head() if now.state == PENDING and not now.headed and attempt.url else Look()
        case Stage.GONE:
            return Done(Verdict.GONE)


def _towards_arrival(attempt: Attempt) -> Step:
    now = attempt.now
    if now.absent == 1 and not now.unlisted:
        return Find()
    if now.absent or now.dead or attempt.url is None:
        return Look()
    if not now.certain:
        return Head()
    left = attempt.file.size - attempt.offset
    length = min(now.chunk, left)
    return Patch(attempt.offset, length, last=length == left)


def _towards_absence(attempt: Attempt) -> Step:
    now = attempt.now
    if now.absent == 1 and not now.unlisted:
        return Find()
    if now.state == PENDING and attempt.tail and attempt.url and not now.headed:
        return Head()
    return Look()


def braced(attempt: Attempt, step: Step) -> Attempt:
    """What must be on disk before ``step`` can no longer be undone.

    For a create that is before the request leaves; for a last chunk before its last block does:
    until then the video cannot be whole, so a dead upload host does not stop a rollback.
    """
    match step:
        case Create():
            return attempt.knows(asked=True)
        case Patch(last=True):
            return replace(attempt, tail=True)
        case _:
            return attempt
