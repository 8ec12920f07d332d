"""Storage reserved and used, kept up as videos change: a create asks and looks at few of them."""

from __future__ import annotations

import heapq
from collections.abc import Callable

from .videos import ENCODING, FAILED, QUEUED, READY, Video


class Tally:
    """Sums over the videos of an account. Not thread safe.

    ``state`` gives a video's state now, ``has_vanished`` whether nobody sees it any more, ``now``
    the time in nanoseconds. Videos change through `put` alone, and by time.
    """

    def __init__(
        self,
        now: Callable[[], int],
        state: Callable[[Video], str],
        has_vanished: Callable[[Video], bool],
    ) -> None:
        self._now = now
        self._state = state
        self._has_vanished = has_vanished
        self._pending: dict[str, Video] = {}
        self._pending_seconds = 0
        self._expiries: list[tuple[int, str]] = []
        # Whole, and still to change by time: queued, being encoded, to be deleted at some moment.
        self._moving: dict[str, Video] = {}
        self._settled: dict[str, float] = {}
        self._settled_seconds = 0.0

    def put(self, video: Video) -> None:
        """Take in a video as it is now, in place of what it was."""
        if (before := self._pending.pop(video.uid, None)) is not None:
            self._pending_seconds -= before.reservation
        self._moving.pop(video.uid, None)
        self._settled_seconds -= self._settled.pop(video.uid, 0.0)
        if video.deleted is not None:
            return
        if video.whole is not None:
            self._moving[video.uid] = video
            return
        self._pending[video.uid] = video
        self._pending_seconds += video.reservation
        heapq.heappush(self._expiries, (_released(video), video.uid))

    def reserved_seconds(self) -> float:
        """Give the storage that uploads hold which are not processed yet.

        https://developers.cloudflare.com/stream/pricing/: a reservation is released when the
        video is processed, has failed, or its upload URL has expired.
        """
        self._settle()
        moving = (v for v in self._moving.values() if self._state(v) not in (READY, FAILED))
        return self._pending_seconds + sum(video.reservation for video in moving)

    def used_seconds(self) -> float:
        """Give the length of all videos that can be played."""
        self._settle()
        moving = (v for v in self._moving.values() if self._state(v) == READY)
        return self._settled_seconds + sum(video.duration or 0.0 for video in moving)

    def being_encoded(self) -> int:
        """How many videos are queued or being encoded."""
        self._settle()
        return sum(self._state(video) in (QUEUED, ENCODING) for video in self._moving.values())

    def _settle(self) -> None:
        now = self._now()
        while self._expiries and self._expiries[0][0] <= now:
            moment, uid = heapq.heappop(self._expiries)
            # An edit may have moved the moment since it was noted.
            if (video := self._pending.get(uid)) is not None and _released(video) == moment:
                del self._pending[uid]
                self._pending_seconds -= video.reservation
        for uid, video in list(self._moving.items()):
            state = self._state(video)
            if self._has_vanished(video) or state == FAILED:
                del self._moving[uid]
            elif state == READY and video.scheduled_deletion is None:
                del self._moving[uid]
                self._settled[uid] = video.duration or 0.0
                self._settled_seconds += self._settled[uid]


def _released(video: Video) -> int:
    deletion = video.scheduled_deletion
    return video.expiry if deletion is None else min(video.expiry, deletion)
