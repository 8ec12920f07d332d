"""The upload URL: tus HEAD and PATCH, with Stream's own rules for the size of a chunk.

https://tus.io/protocols/resumable-upload and
https://developers.cloudflare.com/stream/uploading-videos/resumable-uploads/
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from .containers import LOOK, is_video, measure
from .envelopes import BAD_REQUEST, Refused, failure
from .exchange import Answered, Exchange, Reply, Request
from .library import Library
from .store import BLOCK
from .switches import Switches
from .timestamps import SECOND, http_date
from .videos import Video

SMALLEST_CHUNK = 5_242_880
LARGEST_CHUNK = 209_715_200
SHORTEST_VIDEO = 0.1
VERSION = "1.0.0"
CHUNK_TYPE = "application/offset+octet-stream"
TAKES = "an upload URL takes HEAD and PATCH"
TEXTS = {
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    410: "Gone",
    412: "Precondition Failed",
    413: "Payload Too Large",
    423: "Locked",
}
# Browsers talk to the upload URL directly (tus-js-client, Uppy).
CROSS_ORIGIN = {
    "access-control-allow-origin": "*",
    "access-control-allow-methods": "PATCH, HEAD, OPTIONS",
    "access-control-allow-headers": "Content-Type, Tus-Resumable, Upload-Offset",
    "access-control-expose-headers": "Tus-Resumable, Upload-Offset, Upload-Length",
}


class Uploads:
    """Uploads of one library, at most one PATCH of each under way."""

    def __init__(self, library: Library, switches: Switches) -> None:
        self._library = library
        self._switches = switches
        self._under_way: dict[str, Receiving] = {}
        for video in library.records():
            if video.deleted is None and video.whole is None:
                self._pick_up(video)

    def begin(self, request: Request, uid: str, *, direct_user: bool) -> Exchange:
        """Start an exchange on an upload URL of this kind; refuse what the head already shows."""
        if request.method == "OPTIONS" and self._switches.options == "tus":
            return Answered(Reply(204, {**_protocol(), **CROSS_ORIGIN}))
        if request.method == "POST":
            override = "x-http-method-override" in request.headers
            detail = "X-HTTP-Method-Override is not supported" if override else TAKES
            raise self.refused(400, detail)
        if request.method not in ("HEAD", "PATCH"):
            raise self.refused(405, TAKES)
        if request.headers.get("tus-resumable") != VERSION:
            raise self.refused(412, f"Tus-Resumable must be {VERSION}")
        video = self._open(uid, direct_user)
        if request.method == "HEAD":
            return Answered(Reply(200, self._offset_headers(video) | {"cache-control": "no-store"}))
        return self._receive(request.headers, video)

    def abandon(self, uid: str) -> None:
        """Stop taking bytes for a video that is about to be deleted."""
        if receiving := self._under_way.pop(uid, None):
            receiving.over = True

    def acknowledge(self, uid: str, offset: int) -> Video:
        """Make everything up to ``offset`` count; with the last byte the video is whole."""
        video, now = self._library.record(uid), self._library.now()
        assert video is not None
        changes: dict[str, object] = {"offset": offset}
        if self._switches.modified_while_uploading and offset > video.offset:
            changes["modified"] = now
        if offset == video.length and video.whole is None:
            changes |= {"modified": now, "whole": now, **self._examined(video)}
        return self._library.change(uid, changes)

    def _examined(self, video: Video) -> dict[str, object]:
        """What encoding will find out; a container that does not tell is taken to be in order."""
        media = self._library.media(video.uid)
        if not is_video(media.read(0, LOOK)):
            return {"reason": "ERR_NON_VIDEO"}
        found = measure(media.read, video.length)
        if found is None:
            return {"reason": ""}
        reason = ""
        # Whole seconds are reserved; a film of 4.02 s was declared as one of 4.
        if video.max_duration is not None and found.duration >= video.max_duration + 1:
            reason = "ERR_DURATION_EXCEED_CONSTRAINT"
        elif found.duration < SHORTEST_VIDEO:
            reason = "ERR_DURATION_TOO_SHORT"
        return {"reason": reason, **asdict(found)}

    def reached(self, uid: str) -> int | None:
        """Give how far the PATCH under way has come; None when there is none."""
        receiving = self._under_way.get(uid)
        return None if receiving is None else receiving.reached

    def end(self, receiving: Receiving, *, kept: int) -> Video:
        """End a PATCH of which ``kept`` bytes stay."""
        del self._under_way[receiving.uid]
        offset = receiving.start + kept
        self._library.media(receiving.uid).settle(offset)
        return self.acknowledge(receiving.uid, offset)

    def kept(self, received: int) -> int:
        """How many bytes of a body that was cut after ``received`` bytes stay."""
        match self._switches.keep:
            case "all":
                return received
            case "nothing":
                return 0
            case _:
                return received - received % BLOCK

    def check_chunk(self, video: Video, size: int) -> None:
        """Refuse a chunk of a size that Stream does not take at this offset."""
        end = video.offset + size
        if end > video.length:
            raise self.refused(400, "the chunk goes beyond Upload-Length")
        if size > LARGEST_CHUNK:
            status = int(self._switches.oversize_chunk)
            raise self.refused(status, f"Chunk size must be at most {LARGEST_CHUNK} bytes")
        if end == video.length:
            return
        if size < SMALLEST_CHUNK:
            raise self.refused(400, f"Chunk size must be at least {SMALLEST_CHUNK} bytes")
        if size % BLOCK:
            raise self.refused(400, "Chunk size must be a multiple of 256KiB")

    def refused(self, status: int, detail: str) -> Refused:
        """Refuse a request on an upload URL, in the form that the switch asks for."""
        match self._switches.tus_errors:
            case "json":
                reply = failure(status, BAD_REQUEST, TEXTS[status], detail)
            case "text":
                reply = Reply(status, {"content-type": "text/plain"}, f"{detail}\n".encode())
            case _:
                reply = Reply(status)
        headers = {**reply.headers, **CROSS_ORIGIN, "tus-resumable": VERSION}
        return Refused(Reply(status, headers, reply.body))

    def refused_to_strangers(self, detail: str) -> Refused:
        """Refuse, as the host of the token-only URLs does: without a word for browsers."""
        reply = self.refused(400, detail).reply
        headers = {name: reply.headers[name] for name in reply.headers.keys() - CROSS_ORIGIN}
        return Refused(Reply(400, headers, reply.body))

    def stored(self, video: Video) -> Reply:
        """Answer a PATCH whose bytes are stored."""
        return Reply(204, self._offset_headers(video))

    def superseded(self, uid: str) -> Refused:
        """Refuse the end of a PATCH that was ended meanwhile: by a deletion, or by a newer one."""
        video = self._library.record(uid)
        if video is None or video.deleted is None:
            return self.refused(423, "another request is writing to this upload")
        return self.refused(int(self._switches.after_deletion), "the video was deleted")

    def _open(self, uid: str, direct_user: bool) -> Video:
        video = self._library.record(uid)
        if video is None or video.direct_user != direct_user or video.form != "no":
            raise self.refused(404, "no such upload")
        if video.deleted is not None:
            raise self.refused(int(self._switches.after_deletion), "the video was deleted")
        if video.whole is not None:
            if self._switches.after_completion != "offset":
                raise self.refused(int(self._switches.after_completion), "the upload is complete")
        elif self._library.now() >= video.expiry:
            raise self.refused(int(self._switches.after_expiry), "the upload has expired")
        return video

    def _receive(self, headers: Mapping[str, str], video: Video) -> Receiving:
        if headers.get("content-type") != CHUNK_TYPE:
            raise self.refused(400, f"Content-Type must be {CHUNK_TYPE}")
        offset = digits(headers.get("upload-offset"))
        if offset is None:
            raise self.refused(400, "Upload-Offset must be a number")
        if older := self._under_way.get(video.uid):
            if self._switches.second_patch == "locked":
                raise self.refused(423, "another request is writing to this upload")
            older.cut()
            video = self._open(video.uid, video.direct_user)
        if offset != video.offset:
            raise self.refused(409, f"Upload-Offset is {video.offset}")
        declared = digits(headers.get("content-length"))
        if declared is not None:
            self.check_chunk(video, declared)
        media = self._library.media(video.uid)
        if media.length > video.offset:
            # The disk was full when the body before ended: its bytes could not be acknowledged.
            media.settle(video.offset)
        self._under_way[video.uid] = Receiving(self, self._library, video, declared)
        return self._under_way[video.uid]

    def _pick_up(self, video: Video) -> None:
        """Treat bytes that were never acknowledged, the process having died, as a cut body."""
        media = self._library.media(video.uid)
        unknown = 0 if video.form != "no" else max(0, media.length - video.offset)
        kept = self.kept(unknown)
        offset = min(video.offset, media.length) + kept
        media.settle(offset)
        if offset != video.offset:
            self.acknowledge(video.uid, offset)

    def _offset_headers(self, video: Video) -> dict[str, str]:
        headers = {
            "tus-resumable": VERSION,
            "upload-offset": str(video.offset),
            "upload-length": str(video.length),
        }
        if self._switches.upload_expires_header:
            headers["upload-expires"] = http_date(video.expiry / SECOND)
        return headers | CROSS_ORIGIN


class Receiving:
    """A PATCH under way: bytes are stored as they come, and count once it ends."""

    def __init__(
        self, uploads: Uploads, library: Library, video: Video, declared: int | None
    ) -> None:
        self.uid = video.uid
        self.start = video.offset
        self.over = False
        self._uploads = uploads
        self._video = video
        self._declared = declared
        self._room = min(video.length - video.offset, LARGEST_CHUNK)
        self._received = 0
        self._media = library.media(video.uid)

    @property
    def reached(self) -> int:
        """Where the upload stands with what has come, acknowledged or not."""
        return self.start + min(self._received, self._room)

    def write(self, block: bytes) -> None:
        """Store the next bytes; what exceeds the upload or a chunk is counted, not stored."""
        if self.over:
            return
        self._media.append(block[: max(0, self._room - self._received)])
        self._received += len(block)

    def finish(self) -> Reply:
        """Acknowledge the chunk, or refuse it and forget its bytes."""
        if self.over:
            raise self._uploads.superseded(self.uid)
        if self._declared not in (None, self._received):
            self.cut()
            raise self._uploads.refused(400, "the body is shorter than its Content-Length")
        self.over = True
        try:
            self._uploads.check_chunk(self._video, self._received)
        except Refused:
            self._uploads.end(self, kept=0)
            raise
        return self._uploads.stored(self._uploads.end(self, kept=self._received))

    def cut(self) -> None:
        """Keep of a broken body what the switch says."""
        if not self.over:
            self.over = True
            self._uploads.end(self, kept=self._uploads.kept(min(self._received, self._room)))


def _protocol() -> dict[str, str]:
    return {"tus-resumable": VERSION, "tus-version": VERSION, "tus-extension": "creation"}


def digits(text: str | None) -> int | None:
    """Read a number of bytes; nothing of more than 30 digits is one, and int() has a limit too."""
    known = text is not None and text.isascii() and text.isdigit() and len(text) <= 30
    return int(text or "") if known else None
