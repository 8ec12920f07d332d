"""A video with the bytes of a file that somebody sent before, on this machine or another.

Best effort: a list may lag, and two machines may look at the same moment. Nothing is recorded: the
video that is found belongs to whoever sent it.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from cfstream_upload import events, pace
from cfstream_upload.attempt import ERROR, PENDING
from cfstream_upload.errors import Interrupted
from cfstream_upload.outcome import Denied, Trouble
from cfstream_upload.session import Session
from cfstream_upload.source import Sendable
from cfstream_upload.stream import Page
from cfstream_upload.sweeping import api_problem
from cfstream_upload.video import SOURCE_KEY, Video

SHOWN_EVERY = 0.25
"""Seconds between two words on how far the reading is."""

READ_BLOCK = 1024 * 1024


def digest_of(session: Session, file: str, source: Sendable) -> str:
    """The xxh3-128 of every byte of ``source``, in hex; tells of its progress as ``file``.

    Raises `FileChanged`, `FileProblem` or `Interrupted`.
    """
    interruption = session.interruption
    blocks, shown_at = -1, float("-inf")

    def heed() -> bool:
        # Asked before each block is counted in.
        nonlocal blocks, shown_at
        if interruption.count:
            raise Interrupted("Interrupted", signum=interruption.signum)
        blocks += 1
        now = time.monotonic()
        if now - shown_at >= SHOWN_EVERY:
            shown_at = now
            session.tell(events.Reading(file, min(blocks * READ_BLOCK, source.size), source.size))
        return False

    return source.full_digest(heed)


def find_existing(
    session: Session,
    file: str,
    digest: str,
    size: int,
    chance: Callable[[], float] = random.random,
) -> Video | None:
    """The oldest video that was made of ``size`` bytes with ``digest``, past ``pendingupload``.

    None where there is none. Raises what an API call meets once the retries are spent: then
    nothing was created yet.
    """
    tries = 0
    while True:
        answer = _looked_for(session, digest, size)
        if not isinstance(answer, Trouble | Denied):
            return answer
        tries += 1
        if isinstance(answer, Denied) or tries > session.policy.retries:
            raise api_problem(answer)
        seconds = pace.wait(tries, answer.retry_after, chance())
        session.tell(events.Retrying(file, answer.message, tries, seconds))
        session.interruption.pause(seconds, 0)


def _looked_for(session: Session, digest: str, size: int) -> Video | Trouble | Denied | None:
    # Stream filters by its own fields alone, and the digest is in `meta`: all pages are read.
    for page in session.api.pages({}, None, session.patience):
        if not isinstance(page, Page):
            return page
        for video in page.videos:
            if _is_made_of(video, digest, size):
                return video
    return None


def _is_made_of(video: Video, digest: str, size: int) -> bool:
    # A size that Stream does not know yet contradicts nothing.
    differs = video.size not in (None, size)
    return (
        video.meta.get(SOURCE_KEY) == digest and not differs and video.state not in (PENDING, ERROR)
    )
