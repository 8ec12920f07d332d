"""Waiting for a video that is on Stream: until it can be played, or is encoded.

Nothing here sends, records or deletes. What is waited for was recorded and may have been told, so
whatever goes wrong, the video stays.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

from cfstream_upload import events, pace
from cfstream_upload.attempt import ERROR, PENDING, Reason
from cfstream_upload.errors import (
    ConfigProblem,
    Interrupted,
    NoSuchVideo,
    NotConfirmed,
    ProcessingFailed,
)
from cfstream_upload.outcome import Absent, Denied, Trouble
from cfstream_upload.session import Session
from cfstream_upload.stream import Page
from cfstream_upload.units import human_time
from cfstream_upload.video import Video, video_of
from cfstream_upload.wire import Patience

Until = Literal["stored", "playable", "ready"]

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 20.0
GROWTH = 1.5
CALL_DEADLINE = 60.0
SHORTEST_CALL = 2.0
NEWS_EVERY = 10.0
"""Percent more that are worth a line."""


@dataclass(frozen=True, slots=True)
class Goal:
    """How far a video is to get, and the most ``seconds`` that this may take.

    ``stored``: Stream has the whole file. ``playable``: it can be played, perhaps not in every
    quality yet. ``ready``: every quality is encoded.
    """

    until: Until = "stored"
    seconds: float = 1800.0

    def is_met(self, video: Video) -> bool:
        """Whether ``video`` is that far."""
        match self.until:
            case "stored":
                return video.state != PENDING
            case "playable":
                return video.playable
            case _:
                return video.encoded


@dataclass
class Vigil:
    """The wait for one video. ``file`` is how its file was named, ``""`` where nobody knows.

    ``video`` is what Stream said last. ``clock`` is monotonic seconds, ``chance`` in [0, 1).
    """

    session: Session
    uid: str
    goal: Goal
    file: str = ""
    clock: Callable[[], float] = time.monotonic
    chance: Callable[[], float] = random.random
    video: Video | None = field(default=None, init=False)
    _started: float = field(default=0.0, init=False)
    _tries: int = field(default=0, init=False)
    _absent: bool = field(default=False, init=False)
    _trouble: str = field(default="", init=False)
    _shown: tuple[str, float] | None = field(default=None, init=False)

    def wait(self) -> Video:
        """The video, once it is as far as the goal.

        Raises `NotConfirmed` when the time is over or a signal came, `ProcessingFailed`,
        `NoSuchVideo` when its absence is proven, and `ConfigProblem` for refused credentials.
        """
        self._started = self.clock()
        pause = FIRST_PAUSE
        try:
            while True:
                answer = self._asked()
                if isinstance(answer, Video) and self._is_met(answer):
                    return answer
                asked = self._learned(answer)
                seconds = self._pause_after(answer, pause, asked)
                self._rest(seconds, asked)
                pause = min(LONGEST_PAUSE, pause * GROWTH)
        except Interrupted as interrupted:
            words = f"Interrupted while waiting for {self.uid}, {self._last_seen()}"
            raise NotConfirmed(words, self._hint(), uid=self.uid) from interrupted

    # --- one look --------------------------------------------------------------------------------

    def _asked(self) -> Video | Absent | Denied | Trouble:
        """GET the video; a 404 in Stream's own envelope is held against a list."""
        answer = self.session.api.get(self.uid, self._patience())
        if isinstance(answer, Trouble):
            return answer
        video = video_of(answer.result) if answer.success else None
        if answer.status == 200 and video is not None and video.uid == self.uid:
            return video
        if answer.denied:
            return Denied(answer.failure("to show the video"))
        if answer.status == 404 and answer.envelope and not answer.success:
            return self._listed()
        return answer.trouble("Asking for the video")

    def _listed(self) -> Absent | Denied | Trouble:
        """What a list says of a video that is not shown: a stale read, or one more proof."""
        # Where the filter is unknown, all are listed: the answer is the same.
        for page in self.session.api.pages({"id": self.uid}, None, self._patience):
            if isinstance(page, Denied) and page.failure.reason is not Reason.DENIED:
                return Trouble(page.failure.message)
            if not isinstance(page, Page):
                return page
            if any(video.uid == self.uid for video in page.videos):
                return Trouble("Stream lists the video and does not show it")
        return Absent()

    def _patience(self) -> Patience:
        left = self._started + self.goal.seconds - self.clock()
        deadline = min(CALL_DEADLINE, max(SHORTEST_CALL, left))
        ours = self.session.patience()
        if self.session.interruption.count:
            raise Interrupted("Interrupted", signum=self.session.interruption.signum)
        return replace(ours, deadline=deadline, stall=min(ours.stall, deadline))

    # --- what it means ---------------------------------------------------------------------------

    def _is_met(self, video: Video) -> bool:
        """Note what was seen, and tell of it. Raises `ProcessingFailed`."""
        self.video, self._tries, self._absent, self._trouble = video, 0, False, ""
        if video.state == ERROR:
            why = video.detail or "it gives no reason"
            raise ProcessingFailed(
                f"Stream has the video but could not process it: {why}",
                f"Look at it: cfupload get {self.uid}",
                uid=self.uid,
            )
        goal = self.goal
        if not goal.is_met(video):
            self._tell_of(video)
            return False
        took = self.clock() - self._started
        self.session.tell(
            events.Ready(self.file, self.uid, video.state, video.percent, goal.until, took)
        )
        return True

    def _tell_of(self, video: Video) -> None:
        percent = video.percent or 0.0
        news = (
            self._shown is None
            or self._shown[0] != video.state
            or percent >= self._shown[1] + NEWS_EVERY
        )
        if news:
            self._shown = (video.state, percent)
        until = self.goal.until
        self.session.tell(
            events.Waiting(self.file, self.uid, video.state, video.percent, until, news)
        )

    def _learned(self, answer: Video | Absent | Denied | Trouble) -> float:
        """The seconds that Stream asks to be left alone. Raises what ends the wait."""
        match answer:
            case Denied(failure):
                raise ConfigProblem(failure.message, failure.hint, uid=self.uid)
            case Absent() if self._absent:
                raise NoSuchVideo(
                    f"Stream has no video {self.uid}", "See: cfupload list", uid=self.uid
                )
            case Absent():
                self._absent = True
            case Trouble(message):
                self._absent, self._trouble = False, message
                self._tries += 1
                return answer.retry_after or 0.0
            case _:
                pass
        return 0.0

    def _pause_after(
        self, answer: Video | Absent | Denied | Trouble, pause: float, asked: float
    ) -> float:
        if isinstance(answer, Absent):
            return self.session.policy.proof_gap
        if not isinstance(answer, Trouble):
            return pause
        seconds = pace.wait(self._tries, asked, self.chance())
        self.session.tell(events.Retrying(self.file, answer.message, self._tries, seconds))
        return seconds

    def _rest(self, seconds: float, asked: float) -> None:
        """Pause, but not beyond the deadline: the last look is at the deadline itself."""
        left = self._started + self.goal.seconds - self.clock()
        if left <= 0 or asked > left:
            raise self._overdue()
        self.session.interruption.pause(min(seconds, left), 0)

    def _overdue(self) -> NotConfirmed:
        took = human_time(self.clock() - self._started)
        words = f"The video {self.uid} is not {self.goal.until} after {took}, {self._last_seen()}"
        return NotConfirmed(words, self._hint(), uid=self.uid)

    def _last_seen(self) -> str:
        parts = [f"its state was {self.video.state}" if self.video else "it was not seen"]
        if self.video is not None and self.video.percent is not None:
            parts.append(f"{int(self.video.percent)} %")
        if self._trouble:
            parts.append(f"then: {self._trouble}")
        return ", ".join(parts)

    def _hint(self) -> str:
        how = "" if self.goal.until == "ready" else f" --wait {self.goal.until}"
        return f"It stays on Stream. To wait on: cfupload wait {self.uid}{how}"


def wait_for_sent(vigil: Vigil) -> Video:
    """`Vigil.wait` for a video that was sent whole and recorded.

    Refused credentials and a proven absence are then `NotConfirmed` too: it arrived, and no later
    word of Stream makes it one that may be sent again by itself.
    """
    uid = vigil.uid
    try:
        return vigil.wait()
    except NoSuchVideo:
        words = f"The video {uid} was on Stream and is no longer there"
        raise NotConfirmed(
            words, "To send that file once more, and no other: cfupload send --again", uid=uid
        ) from None
    except ConfigProblem as problem:
        words = f"The video {uid} is on Stream, but its state is not shown: {problem.message}"
        raise NotConfirmed(words, problem.hint, uid=uid) from None
