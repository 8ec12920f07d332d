"""How long an upload window may be: asked for longer and longer ones."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import httpx

from live.answers import Answers
from live.service import Live, told

HOUR, DAY = 3600, 86_400
WINDOWS = (HOUR, 6 * HOUR, DAY, 7 * DAY, 30 * DAY, 365 * DAY)


def find_longest(
    live: Live, answers: Answers, switch: str, ask: Callable[[str], tuple[httpx.Response, str]]
) -> None:
    """Answer ``switch``; ``ask`` tries one end of the window and gives the reply and the UID."""
    longest: int | None = None
    for window in WINDOWS:
        # A minute less than the round number, for clocks that differ.
        reply, uid = ask(live.moment(window - 60))
        if not reply.is_success:
            limit = f"{window} s: {told(reply)}"
            break
        given = length_of(live.shown(uid))
        live.delete(uid)
        if given < window - 180:
            longest, limit = round(given), f"{window} s is cut to {given:.0f} s"
            break
        longest = window
    else:
        answers.found(switch, None, f"{WINDOWS[-1]} s is taken")
        return
    if longest is None:
        answers.unanswered(switch, f"an hour is too long: {limit}")
    else:
        answers.found(switch, longest, f"{longest} s is taken, {limit}")


def length_of(video: dict[str, str]) -> float:
    """Seconds from ``created`` to ``uploadExpiry``."""
    ends, begins = (_time(video[name]) for name in ("uploadExpiry", "created"))
    return (ends - begins).total_seconds()


def _time(text: str) -> datetime:
    whole, _, fraction = text.removesuffix("Z").partition(".")
    return datetime.fromisoformat(f"{whole}.{fraction[:6] or '0'}+00:00")
