"""When an account takes no more: storage that is used up, and too many videos being encoded.

https://developers.cloudflare.com/stream/pricing/ and https://developers.cloudflare.com/stream/faq/
"""

from __future__ import annotations

from .envelopes import STORAGE_CAPACITY, Refused, failure
from .exchange import Reply
from .library import Library
from .switches import Switches

MOST_ENCODED_AT_ONCE = 120


class Limits:
    """``minutes``: storage bought; ``queued``: videos that may be queued or encoded at once."""

    def __init__(self, library: Library, switches: Switches, minutes: int, queued: int) -> None:
        self._library = library
        self._switches = switches
        self.minutes = minutes
        self._queued = queued

    def check(self, seconds: int) -> None:
        """Refuse a new video that would reserve so much storage, with 429 or 413."""
        self._check_queue()
        used = self._library.used_minutes() + self._library.reserved_minutes()
        if used + seconds / 60 > self.minutes:
            detail = (
                f"You have uploaded {used:.2f} minutes and are allocated {self.minutes} minutes."
            )
            raise Refused(failure(413, STORAGE_CAPACITY, "Storage capacity exceeded", detail))

    def usage(self, creator: str | None) -> dict[str, object]:
        """Answer ``storage-usage``."""
        videos = [v for v in self._library.listed() if creator in (None, v.creator)]
        minutes = self._library.used_minutes(creator)
        if self._switches.usage_counts_reservations:
            minutes += self._library.reserved_minutes(creator)
        found: dict[str, object] = {
            "totalStorageMinutes": minutes,
            "totalStorageMinutesLimit": self.minutes,
            "videoCount": len(videos),
        }
        return found if creator is None else {"creator": creator, **found}

    def _check_queue(self) -> None:
        if self._library.being_encoded() < self._queued:
            return
        detail = f"{self._queued} videos are queued or being encoded; wait until some are done"
        reply = failure(429, self._switches.queue_full_code, "Too Many Requests", detail)
        wait = self._switches.queue_full_wait
        after = {} if wait is None else {"retry-after": str(wait)}
        raise Refused(Reply(429, {**reply.headers, **after}, reply.body))
