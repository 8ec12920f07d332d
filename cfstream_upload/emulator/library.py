"""All videos of the account: who can see which of them at this moment, and what they reserve."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from .store import Media, Store
from .switches import Switches
from .tally import Tally
from .timestamps import SECOND
from .videos import Pace, Video, shown, state_of

TOMBSTONE_LIFE = 24 * 3600 * SECOND


class Library:
    """Records by UID in the order of their creation. Not thread safe: `Stream` holds the lock.

    A deleted video stays as a record without bytes, so that its upload URL and lagging lists can
    still tell that it once was.
    """

    def __init__(
        self,
        store: Store,
        clock: Callable[[], float],
        switches: Switches,
        pace: Pace,
        customer: str,
    ) -> None:
        self._store = store
        self._clock = clock
        self._switches = switches
        self._pace = pace
        self._customer = customer
        self._videos: dict[str, Video] = {}
        self._tally = Tally(self.now, self.state, self._has_vanished)
        for video in store.load():
            if video.draft or self._is_long_gone(video):
                store.forget(video.uid)
            else:
                self._videos[video.uid] = video
                self._tally.put(video)
        self._newest = max((video.created for video in self._videos.values()), default=0)

    def now(self) -> int:
        """Give the time in nanoseconds since 1970."""
        return int(self._clock() * SECOND)

    def moment_of_creation(self) -> int:
        """Give a time for ``created`` that no other video has: lists are paged by it."""
        self._newest = max(self.now(), self._newest + 1)
        return self._newest

    def add(self, video: Video) -> None:
        """Take in a new video."""
        self._store.save(video)
        self._videos[video.uid] = video
        self._tally.put(video)

    def draft(self, video: Video) -> Media:
        """Make room for the bytes of a video that nobody sees before `add` is called with it."""
        self._store.save(replace(video, draft=True))
        return self._store.media(video.uid)

    def drop(self, uid: str) -> None:
        """Forget a draft."""
        self._store.forget(uid)

    def change(self, uid: str, fields: Mapping[str, Any]) -> Video:
        """Replace fields of a video, durably, and give what it is now."""
        video = replace(self._videos[uid], **fields)
        self._store.save(video)
        self._videos[uid] = video
        self._tally.put(video)
        return video

    def delete(self, uid: str) -> None:
        """Delete a video and its bytes."""
        self.change(uid, {"deleted": self.now()})
        self._store.drop_media(uid)

    def record(self, uid: str) -> Video | None:
        """Give what is known under a UID, deleted or expired as it may be."""
        return self._videos.get(uid)

    def records(self) -> list[Video]:
        """Give every record, the oldest first."""
        return list(self._videos.values())

    def media(self, uid: str) -> Media:
        """Give the bytes of a video."""
        return self._store.media(uid)

    def find(self, uid: str) -> Video | None:
        """Give a video as the Video API sees it: None once it is deleted or has vanished."""
        video = self._videos.get(uid)
        if video is None or video.deleted is not None or self._has_vanished(video):
            return None
        return video

    def listed(self, lag_seconds: float = 0.0) -> Iterator[Video]:
        """Give the videos that a list shows now, or so many seconds late, the oldest first."""
        now, lag = self.now(), int(max(lag_seconds, self._switches.list_lag) * SECOND)
        for video in self._videos.values():
            hidden = lag > 0 and now < video.created + lag
            gone = video.deleted is not None and now >= video.deleted + lag
            if not (hidden or gone or self._has_vanished(video)):
                yield video

    def state(self, video: Video) -> str:
        """Give ``status.state`` of a video at this moment."""
        return state_of(video, self.now(), self._pace, self._switches.pending_after_whole)

    def shown(self, video: Video) -> dict[str, object]:
        """Give a video as JSON at this moment."""
        return shown(video, self.now(), self._pace, self._switches, self._customer)

    def reserved_minutes(self, creator: str | None = None) -> float:
        """Give the storage held by uploads that are not processed yet, in minutes."""
        return self._tally_of(creator).reserved_seconds() / 60

    def used_minutes(self, creator: str | None = None) -> float:
        """Give the length of all videos that can be played, in minutes."""
        return self._tally_of(creator).used_seconds() / 60

    def being_encoded(self) -> int:
        """How many videos are queued or being encoded."""
        return self._tally.being_encoded()

    def _tally_of(self, creator: str | None) -> Tally:
        if creator is None:
            return self._tally
        tally = Tally(self.now, self.state, self._has_vanished)
        for video in self._videos.values():
            if video.creator == creator:
                tally.put(video)
        return tally

    def _is_long_gone(self, video: Video) -> bool:
        return video.deleted is not None and self.now() > video.deleted + TOMBSTONE_LIFE

    def _has_vanished(self, video: Video) -> bool:
        if video.scheduled_deletion is not None and self.now() >= video.scheduled_deletion:
            return True
        return (
            self._switches.expired_record == "vanishes"
            and video.whole is None
            and self.now() >= video.expiry
        )
