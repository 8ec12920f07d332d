"""What `doctor` found on this machine, judged: settings, journal, files, proxy, clock. Pure.

A check is one line for people and one object for scripts. What was asked, and how, is elsewhere:
here facts come in and a `Check` goes out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from cfstream_upload.errors import FAMILIES, CfuploadError, most_urgent
from cfstream_upload.units import human_size, human_time

Status = Literal["ok", "warning", "failed", "skipped"]

MARKS: Mapping[Status, str] = {"ok": "ok", "warning": "warn", "failed": "FAIL", "skipped": "skip"}
"""What stands before a line: words, for a terminal without colours or more than ASCII."""

CLOCK_OFF = 60.0
"""Seconds that this machine's clock may differ from Stream's without a word."""

LITTLE_ROOM = 16 * 1024 * 1024
"""Bytes free beside the journal, below which there is a warning."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    ``advice`` says what to do where the status is warning or failed. ``code`` is the exit code
    with which `send` would have ended, 0 unless failed.
    """

    name: str
    status: Status
    found: str
    advice: str | None = None
    code: int = 0

    def document(self) -> dict[str, str | None]:
        """This check as JSON shows it."""
        return {
            "name": self.name,
            "status": self.status,
            "found": self.found,
            "advice": self.advice,
        }


def fine(name: str, found: str) -> Check:
    """A check with nothing to do about."""
    return Check(name, "ok", found)


def warned(name: str, found: str, advice: str) -> Check:
    """A check that keeps nobody from sending."""
    return Check(name, "warning", found, advice)


def failed(name: str, found: str, advice: str, code: int) -> Check:
    """A check after which `send` would end with ``code``."""
    return Check(name, "failed", found, advice, code)


def skipped(name: str, why: str) -> Check:
    """A check that could not be made."""
    return Check(name, "skipped", why)


def refused(name: str, error: CfuploadError) -> Check:
    """The check of what `send` would refuse with ``error``."""
    return failed(name, error.message, error.hint, error.exit_code)


def verdict(checks: Sequence[Check]) -> CfuploadError | None:
    """One error for all checks that failed, with the most urgent of their codes; else None."""
    failures = [check for check in checks if check.status == "failed"]
    if not failures:
        return None
    code = most_urgent([check.code for check in failures])
    worst = next(check for check in failures if check.code == code)
    family = next((one for one in FAMILIES if one.exit_code == code), CfuploadError)
    names = ", ".join(dict.fromkeys(check.name for check in failures))
    looked_at = sum(check.status != "skipped" for check in checks)
    return family(f"{len(failures)} of {looked_at} checks failed: {names}", worst.advice or "")


# --- settings and the way to Stream --------------------------------------------------------------


def settings(
    shown: Mapping[str, tuple[str, str]],
    problems: Mapping[str, CfuploadError],
    warnings: Sequence[str],
) -> list[Check]:
    """Where the settings come from, then one check for each that is missing or wrong.

    ``shown`` is name to masked value and origin, ``problems`` as `config.examine` has them.
    """
    parts = []
    for name, problem, label in _NAMED:
        value, origin = shown.get(name, ("", "not set"))
        if origin != "not set" and problem not in problems:
            value = "" if label == "token" else f" {value}"
            parts.append(f"{label}{value} ({origin})")
    made = [refused("settings", error) for error in problems.values()]
    made += [warned("settings", text, "Rename or remove it.") for text in warnings]
    return [fine("settings", ", ".join(parts)), *made] if parts else made


_NAMED = (
    ("api_token", "token", "token"),
    ("account_id", "account", "account"),
    ("api_base_url", "base", "API"),
)


def proxy(
    shown: Mapping[str, tuple[str, str]],
    problem: CfuploadError | None,
    *,
    used: bool,
    plain_http: bool,
) -> Check:
    """Which proxy is used, its password masked, and what NO_PROXY changes."""
    if problem is not None:
        return refused("proxy", problem)
    url, origin = shown.get("proxy", ("", "not set"))
    _, exceptions = shown.get("no_proxy", ("", "not set"))
    if origin == "not set" or not url:
        return fine("proxy", "none: connections are direct")
    named = f"{url} ({origin})"
    if not used:
        return fine("proxy", f"none: {exceptions} takes Stream's hosts out of {named}")
    if plain_http:
        return fine("proxy", f"none: plain http to this machine never goes through {named}")
    return fine("proxy", named)


def clock(date: float | None, ours: float) -> Check:
    """This machine's clock against the ``Date`` of a reply; both are epoch seconds."""
    if date is None:
        return skipped("clock", "Stream's reply told no time")
    off = ours - date
    if abs(off) <= CLOCK_OFF:
        return fine("clock", f"within {max(1, round(abs(off)))} s of Stream's")
    side = "ahead of" if off > 0 else "behind"
    return warned(
        "clock",
        f"this machine's clock is {human_time(abs(off))} {side} Stream's",
        "Set it (NTP): --expiry and --scheduled-deletion are judged by Stream's clock.",
    )


# --- the journal and the files -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class JournalSeen:
    """A journal that can be used; ``size`` is None where there is none yet. Sizes are bytes."""

    folder: str
    size: int | None = None
    receipts: int = 0
    unfinished: int = 0
    kept: int = 0
    debts: int = 0
    free: int | None = None
    file_system: str = ""


def journal(seen: JournalSeen) -> Check:
    """The state directory and what its journal holds."""
    room = "" if seen.free is None else f", {human_size(seen.free)} free"
    kind = f" ({seen.file_system}{room})" if seen.file_system else room
    if seen.size is None:
        found = f"none yet, it will be made in {seen.folder}{kind}"
    else:
        counts = [
            f"{seen.receipts} receipt(s)",
            f"{seen.unfinished} unfinished",
            *([f"{seen.kept} kept"] if seen.kept else []),
            f"{seen.debts} debt(s)",
        ]
        found = f"{seen.folder}{kind}: {human_size(seen.size)}, {', '.join(counts)}"
    if seen.free is not None and seen.free < LITTLE_ROOM:
        return warned("journal", found, "Make room on that disk.")
    if seen.debts:
        return warned("journal", found, "Remove the failed uploads: cfupload cleanup")
    return fine("journal", found)


@dataclass(frozen=True, slots=True)
class SharedSeen:
    """A journal that machines share; ``place`` is in words, times are seconds.

    ``counts`` has ``receipts``, ``debts``, ``kept``, ``all`` and ``size`` in bytes, None where
    there is no journal yet. ``behind`` is how far this machine's clock is behind the server's.
    """

    place: str
    server: int
    answer: float
    behind: float
    counts: Mapping[str, int] | None


def shared_journal(seen: SharedSeen) -> Check:
    """The database and what its journal holds."""
    kind = f"PostgreSQL {seen.server // 10000}.{seen.server % 10000}"
    words = f"{seen.place} ({kind}, answers in {seen.answer * 1000:.0f} ms)"
    if seen.counts is None:
        return fine("journal", f"none yet, it will be made in {words}")
    counts = seen.counts
    others = counts["all"] - counts["receipts"] - counts["debts"] - counts["kept"]
    held = [
        f"{counts['receipts']} receipt(s)",
        f"{others} unfinished",
        *([f"{counts['kept']} kept"] if counts["kept"] else []),
        f"{counts['debts']} debt(s)",
    ]
    found = f"{words}: {human_size(counts['size'])}, {', '.join(held)}"
    if abs(seen.behind) > CLOCK_OFF:
        return warned("journal", found, "Its clock and this machine's differ: set them right.")
    if counts["debts"]:
        return warned("journal", found, "Remove the failed uploads: cfupload cleanup")
    return fine("journal", found)


@dataclass(frozen=True, slots=True)
class FileSeen:
    """A file that `send` would take.

    ``duration`` and ``reserved`` are seconds, None where not known. ``history`` is what the
    journal knows of it: nothing (""), ``receipt``, ``unfinished``, ``other`` (unfinished, of
    another version or account of it), ``debt``; ``offset`` bytes of it are on Stream.
    """

    path: str
    format: str
    size: int
    duration: float | None
    reserved: int | None
    history: str = ""
    uid: str = ""
    offset: int = 0
    busy: bool = False

    @property
    def needs_storage(self) -> bool:
        """Whether sending it reserves storage anew."""
        return self.history not in ("receipt", "unfinished")


def file(seen: FileSeen) -> Check:
    """A file, what would be reserved for it, and what became of it so far."""
    lasts = "of unknown duration" if seen.duration is None else human_time(seen.duration)
    what = f"{seen.path}: {seen.format}, {human_size(seen.size)}, {lasts}"
    if seen.busy:
        return failed(
            "file", f"{what}; another process is sending it", "Wait for it to end.", code=9
        )
    match seen.history:
        case "receipt":
            return fine("file", f"{what}; sent already as {seen.uid}, send prints that UID")
        case "unfinished":
            begun = f"{human_size(seen.offset)} of it are on Stream as {seen.uid}"
            return fine("file", f"{what}; {begun}, send goes on there")
        case "debt":
            what += "; an earlier upload of it failed, send removes that first"
        case "other":
            what += "; an upload of another version of it is unfinished, send replaces that"
    if seen.reserved is None:
        return warned(
            "file",
            f"{what}; Stream reserves its own default, hours of storage",
            "Name a longest duration: --max-duration-seconds",
        )
    return fine("file", f"{what}; {human_time(seen.reserved)} of storage would be reserved")


def versions(parts: Sequence[tuple[str, str]]) -> Check:
    """What runs here, for bug reports."""
    return fine("versions", ", ".join(f"{name} {number}" for name, number in parts))
