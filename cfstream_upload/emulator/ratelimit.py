"""Cloudflare's global limit: 1 200 calls in five minutes, then five minutes of 429.

https://developers.cloudflare.com/fundamentals/api/reference/limits/
"""

from __future__ import annotations

import math

from .envelopes import Refused, failure
from .exchange import Reply

WINDOW_SECONDS = 300.0
DOCUMENTED_QUOTA = 1200


class RateLimit:
    """Counts calls in windows of five minutes; a quota of None counts and never refuses."""

    def __init__(self, quota: int | None) -> None:
        self._quota = quota
        self._since = -math.inf
        self._used = 0

    def count(self, now: float) -> None:
        """Count a call at ``now`` (seconds); refuse it with 429 when the quota is used up."""
        if now >= self._since + WINDOW_SECONDS:
            self._since, self._used = now, 0
        self._used += 1
        if self._quota is None or self._used <= self._quota:
            return
        if self._used == self._quota + 1:
            self._since = now
        reply = failure(429, 971, "Please wait and consider throttling your request speed")
        wait = {"retry-after": str(math.ceil(self._since + WINDOW_SECONDS - now))}
        raise Refused(Reply(reply.status, {**reply.headers, **wait}, reply.body))

    def headers(self, now: float) -> dict[str, str]:
        """Give the headers that every reply of the API carries."""
        quota = self._quota or DOCUMENTED_QUOTA
        left = max(0, quota - self._used)
        seconds = max(0, math.ceil(self._since + WINDOW_SECONDS - now)) if self._used else 0
        return {
            "ratelimit": f'"default";r={left};t={seconds}',
            "ratelimit-policy": f'"burst";q={quota};w={WINDOW_SECONDS:.0f}',
        }
