"""Small pictures of videos, made by ffmpeg where it is installed.

What was uploaded is foreign: ffmpeg may read it as one of a few containers and nothing else (a
playlist could name other files), with a limit on its time, threads and picture size.
"""

from __future__ import annotations

import asyncio
import shutil
from collections import OrderedDict
from pathlib import Path

SECONDS = 10.0
AT_ONCE = 2
KEPT = 256
LARGEST = 200_000
WIDTH = 320
_CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,flv,ogg,asf,mpeg,mpegts,mpegvideo,mxf"
_INPUT = (
    "-nostdin", "-v", "quiet", "-threads", "1", "-max_pixels", "40000000",
    "-protocol_whitelist", "file", "-format_whitelist", _CONTAINERS,
)  # fmt: skip
# The first picture is black more often than not; of the first second the most typical is taken.
_OUTPUT = (
    "-map", "0:v:0", "-frames:v", "1", "-vf", f"thumbnail=n=24,scale=w='min({WIDTH},iw)':h=-2",
    "-c:v", "mjpeg", "-q:v", "5", "-fs", str(LARGEST), "-f", "image2pipe", "pipe:1",
)  # fmt: skip


class Thumbnails:
    """JPEG pictures by UID, of the videos that were asked for last."""

    def __init__(self, program: str | None = None) -> None:
        self._program = program or shutil.which("ffmpeg")
        self._made: OrderedDict[str, asyncio.Task[bytes | None]] = OrderedDict()
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def of(self, uid: str, path: Path) -> bytes | None:
        """Give the picture of a whole video; None where none can be made of it."""
        if self._program is None:
            return None
        if uid not in self._made:
            self._made[uid] = asyncio.create_task(self._make(self._program, path))
        self._made.move_to_end(uid)
        while len(self._made) > KEPT:
            self._made.popitem(last=False)
        # One page that is closed must not take the picture from another that waits for it.
        return await asyncio.shield(self._made[uid])

    async def _make(self, program: str, path: Path) -> bytes | None:
        async with self._turn:
            try:
                picture = await _output(program, *_INPUT, "-i", f"file:{path}", *_OUTPUT)
            except (OSError, TimeoutError):
                return None
        return picture if picture.startswith(b"\xff\xd8") else None


async def _output(*command: str) -> bytes:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        return (await asyncio.wait_for(process.communicate(), SECONDS))[0]
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
