"""What a file holds, as MediaInfo sees it from a few blocks at its ends."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from cfstream_upload.errors import ExtraMissing, FileProblem, shortage

_PROBE_BLOCK_BYTES = 64 * 1024
_PROBE_TEMPLATE = "General;%Format%|%Duration%|%VideoCount%|%IsTruncated%"


@dataclass(frozen=True, slots=True)
class Container:
    """What MediaInfo saw: ``format`` is "" for no container, ``duration`` in seconds."""

    format: str
    duration: float | None
    video_tracks: int
    truncated: bool
    path: str = "the file"


def require_video(container: Container) -> None:
    """Raise FileProblem unless ``container`` is a whole video container with a video track.

    MediaInfo sets ``IsTruncated`` on the general track where a box or element is said to reach
    beyond the end. An MP4 cut right before its index shows only as one without video tracks.
    """
    path = container.path
    if not container.format:
        raise FileProblem(
            f"not a video: {path}", "Send a video file, such as MP4, MOV, MKV, WebM or MPEG-TS."
        )
    if container.truncated:
        raise FileProblem(
            f"the video is cut off, its end is missing: {path}",
            "Copy or export it again, then run the same command.",
        )
    if container.video_tracks < 1:
        raise FileProblem(
            f"no video track in this {container.format} file: {path}",
            "If it should have one, the file is damaged: copy or export it again.",
        )


class _Reader:
    """What pymediainfo needs of a file object, with a position of its own."""

    mode = "rb"

    def __init__(self, size: int, read: Callable[[int, int], bytes]) -> None:
        self._size, self._read = size, read
        self._position = 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._position = offset + (self._size if whence == os.SEEK_END else 0)
        return self._position

    def tell(self) -> int:
        return self._position

    def read(self, count: int) -> bytes:
        count = max(0, min(count, self._size - self._position))
        data = self._read(self._position, count) if count else b""
        self._position += count
        return data


def container_of(path: str, size: int, read: Callable[[int, int], bytes]) -> Container:
    """What MediaInfo says of ``size`` bytes, of which ``read(offset, count)`` gives any."""
    # Imported here: it costs a tenth of a second, and most commands open no file.
    import pymediainfo

    try:
        # A template instead of XML: a title may hold characters that XML cannot.
        # Speed 0 reads the ends only: at the default a long MPEG-TS takes seconds.
        answer: str = pymediainfo.MediaInfo.parse(
            _Reader(size, read),
            output=_PROBE_TEMPLATE,
            parse_speed=0,
            buffer_size=_PROBE_BLOCK_BYTES,
        )
    except OSError as problem:
        short = shortage(problem)
        raise ExtraMissing(
            f"the MediaInfo library cannot be loaded: {problem}",
            short[1] if short else "Install your system's libmediainfo package.",
        ) from problem
    form, duration, video_tracks, truncated = answer.strip().rsplit("|", 3)
    return Container(
        format=form,
        duration=_seconds(duration),
        video_tracks=int(video_tracks or 0),
        truncated=truncated == "Yes",
        path=path,
    )


def _seconds(milliseconds: str) -> float | None:
    try:
        return float(milliseconds) / 1000
    except ValueError:
        return None
