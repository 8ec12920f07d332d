"""What `doctor` heard from Cloudflare, judged: network, token, account, permission, storage. Pure.

Every text in an answer was chosen by a stranger, and every number may be none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cfstream_upload.attempt import PENDING
from cfstream_upload.checks import Check, FileSeen, failed, fine, skipped, warned
from cfstream_upload.envelope import Answer
from cfstream_upload.units import human_time
from cfstream_upload.video import Video, epoch, video_of

SOON = 7 * 24 * 3600.0
"""Seconds before a token's end from which on there is a warning."""

DEFAULT_RESERVATION = 14_400
"""Seconds that Stream reserves for an upload whose duration nobody named, as far as reported."""

_NEW_TOKEN = "Make a new one with Stream: Edit on this account."
_COPY_AGAIN = (
    "Copy it again and check CLOUDFLARE_ACCOUNT_ID, or make a new one with Stream: Edit on it."
)
_GIVE_EDIT = "Give the token Stream: Edit on this account."
_BETWEEN = (
    "Something stands between (a login page, a proxy), or CLOUDFLARE_API_BASE_URL is not the API's."
)
_WAIT = "Wait and try again; see https://www.cloudflarestatus.com"
_UNREACHED = {
    "dns": "Check the name in CLOUDFLARE_API_BASE_URL and this machine's DNS; "
    "behind a proxy set HTTPS_PROXY.",
    "refused": "Check the network and firewall; behind a proxy set HTTPS_PROXY.",
    "timeout": "Check the network and firewall; behind a proxy set HTTPS_PROXY.",
    "certificate": "If a proxy here opens TLS, name its authority's certificate: --ca-cert FILE "
    "(or SSL_CERT_FILE). Check this machine's clock too.",
    "tls": "Something between speaks no TLS 1.2: check HTTPS_PROXY and CLOUDFLARE_API_BASE_URL.",
    "proxy": "Check HTTPS_PROXY: its host and port, its user and password.",
    "local": "This machine has no more sockets, threads or memory: close something.",
}
_RATE = 429


@dataclass(frozen=True, slots=True)
class Heard:
    """How one question ended: with an answer, or with ``words`` and a ``reason`` of the wire's.

    ``at`` is this machine's clock (epoch seconds) when it ended, ``seconds`` how long it took.
    """

    answer: Answer | None
    seconds: float = 0.0
    at: float = 0.0
    reason: str = ""
    words: str = ""

    @property
    def result(self) -> Any:  # noqa: ANN401  # whatever the server said
        """The result in the API's envelope, None where there is none."""
        good = self.answer is not None and self.answer.status == 200 and self.answer.success
        return self.answer.result if good and self.answer is not None else None

    @property
    def refused(self) -> bool:
        """Whether the credentials were refused, malformed ones included."""
        answer = self.answer
        return answer is not None and answer.envelope and answer.status in (400, 401, 403)

    @property
    def said(self) -> str:
        """What came, in one phrase."""
        if self.answer is None:
            return self.words
        code = "" if self.answer.code is None else f", code {self.answer.code}"
        text = f"{self.answer.text} " if self.answer.text else ""
        return f"{text}(HTTP {self.answer.status}{code})"


def network(heard: Heard, host: str, way: str) -> Check:
    """Whether the API answers at all; ``way`` says how it was reached."""
    answer = heard.answer
    if answer is None:
        return failed("network", heard.words, _UNREACHED.get(heard.reason, _WAIT), 6)
    if answer.status >= 500:
        return failed("network", f"{host} has trouble: {heard.said}", _WAIT, 6)
    if answer.status == _RATE:
        words = f"{host} takes no more calls for now: {heard.said}"
        return failed("network", words, "Wait five minutes: the account's limit is reached.", 6)
    if not answer.envelope:
        redirect = ", a redirect, which is never followed" if 300 <= answer.status < 400 else ""
        words = f"{host} does not answer as Cloudflare's API does: HTTP {answer.status}{redirect}"
        return failed("network", words, _BETWEEN, 6)
    return fine("network", f"{host} answered in {heard.seconds * 1000:.0f} ms, {way}")


# --- who we are ----------------------------------------------------------------------------------


def is_in_force(heard: Heard | None) -> bool:
    """Whether a ``tokens/verify`` says that the token is active."""
    found = None if heard is None else heard.result
    return isinstance(found, Mapping) and found.get("status") == "active"


def token(user: Heard, account: Heard | None, listed: Heard | None, ours: float) -> Check:
    """The token: ``user`` and ``account`` are the two ``tokens/verify``, ``listed`` a list.

    A token that cannot be verified may still be good. ``ours`` is this machine's clock, for where
    Stream told no time.
    """
    for heard, owner in ((user, "a user's"), (account, "the account's own")):
        found = None if heard is None else heard.result
        if heard is None or heard.answer is None or not isinstance(found, Mapping):
            continue
        if isinstance(found.get("status"), str):
            return _by_status(found, owner, heard.answer.date or ours)
    if listed is not None and isinstance(listed.result, list):
        words = "it cannot be verified, but the account lets it in"
        return warned("token", f"{words}: {user.said}", "If uploads are refused: make a new one.")
    if user.refused and (account is None or account.refused):
        if account is None:
            words = "no user's token; without an account it cannot be asked whether it is its own"
            return warned("token", words, "Set CLOUDFLARE_ACCOUNT_ID.")
        words = f"neither a user's token nor one of this account: {account.said}"
        return failed("token", words, _COPY_AGAIN, 3)
    return failed("token", f"it cannot be verified: {user.said}", _WAIT, 6)


def _by_status(found: Mapping[str, Any], owner: str, now: float) -> Check:
    status = found["status"]
    if status != "active":
        return failed("token", f"{owner} token, and it is {status}", _NEW_TOKEN, 3)
    begins, ends = epoch(found.get("not_before")), epoch(found.get("expires_on"))
    if begins is not None and begins > now:
        words = f"{owner} token, not in force before {_day(begins)}"
        return failed("token", words, "Wait, or make another.", 3)
    if ends is None:
        return fine("token", f"{owner} token, active, without an end")
    if ends <= now:
        return failed("token", f"{owner} token, over since {_day(ends)}", _NEW_TOKEN, 3)
    if ends - now < SOON:
        words = f"{owner} token, active, but it ends in {human_time(ends - now)}"
        return warned("token", words, "Make a new one before.")
    return fine("token", f"{owner} token, active until {_day(ends)}")


def account(listed: Heard, name: str, *, in_force: bool) -> Check:
    """Whether the videos of account ``name`` can be listed; ``in_force``: the token is good."""
    answer = listed.answer
    if isinstance(listed.result, list):
        return fine("account", f"the videos of {name} can be listed")
    if answer is None or not answer.envelope or answer.success or not _is_no(answer.status):
        return failed("account", f"the videos cannot be listed: {listed.said}", _WAIT, 6)
    if answer.status == 404 or answer.code in (7000, 7003):
        words = f"Cloudflare knows no account {name}: {listed.said}"
        return failed("account", words, "Check CLOUDFLARE_ACCOUNT_ID.", 3)
    if answer.denied and not in_force:
        return skipped("account", "the token was refused")
    if answer.denied and answer.code == 9109:
        words = f"the token is good, but not for account {name}: {listed.said}"
        advice = "Check CLOUDFLARE_ACCOUNT_ID, or include that account in the token."
        return failed("account", words, advice, 3)
    if answer.denied:
        words = f"the token is good, but has no Stream permission on {name}: {listed.said}"
        return failed("account", words, _GIVE_EDIT, 3)
    return failed("account", f"the list is refused: {listed.said}", "Read the message.", 5)


def _is_no(status: int) -> bool:
    return 400 <= status < 500 and status not in (408, _RATE)


def permission(edited: Heard) -> Check:
    """Whether the token may change videos: the edit of one that cannot be there was answered.

    404 in the API's envelope comes from behind the check of permissions, 401 and 403 from it.
    """
    answer = edited.answer
    if answer is not None and answer.denied:
        words = f"the token can read but not change videos: {edited.said}"
        return failed("permission", words, _GIVE_EDIT, 3)
    if answer is not None and answer.envelope and not answer.success and answer.status == 404:
        return fine("permission", "the token may change videos (edit of an absent one: 404)")
    return warned(
        "permission",
        f"whether the token may change videos cannot be told: {edited.said}",
        "The first create will show it; the token needs Stream: Edit.",
    )


# --- storage -------------------------------------------------------------------------------------


def storage(usage: Heard, files: Sequence[FileSeen]) -> Check:
    """The minutes that are left, against what sending ``files`` would reserve."""
    used, limit = (
        _minutes(usage, "totalStorageMinutes"),
        _minutes(usage, "totalStorageMinutesLimit"),
    )
    if used is None or limit is None:
        words = f"how much is left cannot be told: {usage.said}"
        return warned("storage", words, "The dashboard shows it, under Stream.")
    if limit <= 0:
        return failed(
            "storage", "the account has no minutes of storage", "Buy Stream's storage.", 5
        )
    left = limit - used
    found = f"{max(0.0, left):.1f} of {limit:.0f} minutes left"
    if left <= 0:
        return failed("storage", found, _MAKE_ROOM, 5)
    needs = [_needed(seen) / 60 for seen in files if seen.needs_storage]
    if not needs:
        return fine("storage", found)
    if max(needs) > left:
        words = f"{found}, too few for {max(needs):.1f} minutes that a file would reserve"
        return warned("storage", words, _MAKE_ROOM)
    if sum(needs) > left:
        words = f"{found}, perhaps too few: all files together would reserve {sum(needs):.1f}"
        return warned("storage", words, _MAKE_ROOM)
    return fine("storage", f"{found}, {sum(needs):.1f} would be reserved")


_MAKE_ROOM = "Pending uploads hold minutes too: cfupload cleanup --orphans, delete videos, or buy."


def _minutes(usage: Heard, name: str) -> float | None:
    found = usage.result
    number = found.get(name) if isinstance(found, Mapping) else None
    if isinstance(number, bool) or not isinstance(number, int | float):
        return None
    return float(number) if abs(number) < 1e15 and math.isfinite(number) else None


def _needed(seen: FileSeen) -> int:
    return DEFAULT_RESERVATION if seen.reserved is None else seen.reserved


@dataclass(frozen=True, slots=True)
class Sweepable:
    """What cleanup would remove: ``debts``, and with ``--orphans`` the ``interrupted`` too.

    ``host`` is the name of this state directory in markers, None before it has one.
    """

    host: str | None = None
    debts: int = 0
    interrupted: int = 0


def pending(page: Heard, most: int, ours: Sweepable) -> Check:
    """The unfinished uploads of the account, whose they are, and what cleanup would do.

    ``most`` is the longest list that was asked for.
    """
    if not isinstance(page.result, list):
        words = f"unfinished uploads cannot be listed: {page.said}"
        return warned("pending", words, "Try again: cfupload list --state pendingupload")
    videos = [video for item in page.result if (video := video_of(item)) is not None]
    videos = [video for video in videos if video.state == PENDING]
    here = sum(video.marker is not None and video.marker.host == ours.host for video in videos)
    marked = sum(video.marker is not None for video in videos)
    parts = [
        f"{count} {whose}"
        for count, whose in (
            (here, "of this machine"),
            (marked - here, "of this tool elsewhere"),
            (len(videos) - marked, "of other tools"),
        )
        if count
    ]
    number = f"{len(page.result)} or more" if len(page.result) >= most else f"{len(videos)}"
    found = f"{number} unfinished upload(s)" if videos else "no unfinished uploads"
    if videos:
        minutes = sum(map(_reserved, videos)) / 60
        found += f": {', '.join(parts)}; they may hold {minutes:.0f} minutes"
    if not (ours.debts or ours.interrupted):
        return fine("pending", found)
    what = []
    if ours.debts:
        what.append(f"cfupload cleanup removes {ours.debts} that failed")
    if ours.interrupted:
        what.append(f"cleanup --orphans also {ours.interrupted} interrupted, send resumes them")
    return warned("pending", found, f"{'; '.join(what)}.")


def _reserved(video: Video) -> int:
    seconds = video.raw.get("maxDurationSeconds")
    if isinstance(seconds, int) and 0 < seconds < 10**6:
        return seconds
    return DEFAULT_RESERVATION


def _day(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M UTC")
