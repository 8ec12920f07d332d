"""The running sums of storage are those that a look at every video gives."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cfstream_upload.emulator.tally import Tally
from cfstream_upload.emulator.timestamps import SECOND
from cfstream_upload.emulator.videos import FAILED, READY, Pace, Video, state_of

PACE = Pace()
CHANGES = st.sampled_from(
    ["made", "whole", "failed", "deleted", "expiry", "to be deleted", "looked"]
)
STEPS = st.lists(st.tuples(CHANGES, st.integers(0, 1), st.integers(0, 8)), max_size=40)


class World:
    """Videos, a clock, and the sums over all of them."""

    def __init__(self) -> None:
        self.now = 1000 * SECOND
        self.videos: dict[str, Video] = {}
        self.tally = Tally(lambda: self.now, self.state, self.is_gone)

    def state(self, video: Video) -> str:
        return state_of(video, self.now, PACE, 0.0)

    def is_gone(self, video: Video) -> bool:
        return video.scheduled_deletion is not None and self.now >= video.scheduled_deletion

    def step(self, change: str, which: int, wait: int) -> None:
        self.now += wait * SECOND // 2
        uid = str(which)
        video = self.videos.get(uid)
        if change == "made" and video is None:
            later = self.now + (2 + which) * SECOND
            video = Video(uid, 9, self.now, self.now, later, 60 + which, True, duration=7.5 + which)
        elif video is None or change in ("made", "looked"):
            return
        elif change in ("whole", "failed"):
            video = replace(video, whole=self.now, reason="x" if change == "failed" else "")
        elif change == "deleted":
            video = replace(video, deleted=self.now)
        elif change == "expiry":
            video = replace(video, expiry=self.now + 3 * SECOND)
        else:
            video = replace(video, scheduled_deletion=self.now + 3 * SECOND)
        self.videos[uid] = video
        self.tally.put(video)

    def sums(self) -> tuple[float, float]:
        held = [v for v in self.videos.values() if v.deleted is None and not self.is_gone(v)]
        reserved = sum(
            video.reservation
            for video in held
            if self.state(video) not in (READY, FAILED) and (video.whole or self.now < video.expiry)
        )
        return reserved, sum(v.duration or 0.0 for v in held if self.state(v) == READY)


@settings(deadline=None)
@given(STEPS)
@example([("made", 0, 0), ("whole", 0, 0), ("to be deleted", 0, 4), ("looked", 0, 8)])
@example([("made", 0, 0), ("expiry", 0, 0), ("looked", 0, 5), ("looked", 0, 8)])
def test_running_sums_are_the_sums_over_all_videos(steps: list[tuple[str, int, int]]) -> None:
    world = World()
    for step in steps:
        world.step(*step)
        found = (world.tally.reserved_seconds(), world.tally.used_seconds())
        assert found == pytest.approx(world.sums())
