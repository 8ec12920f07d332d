"""tus over the shared client: tuspy's `Uploader`, one HEAD or one PATCH per call.

tuspy encodes the metadata and keeps headers, request length and offset; every request goes through
`wire`. Its constructor must get a stream and a headerless client, never a URL: with one it would
do I/O of its own.
"""

from __future__ import annotations

import io
import re
import time
from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Protocol

from cfstream_upload.attempt import Failure, Patch, Reason
from cfstream_upload.envelope import decipher
from cfstream_upload.errors import FileChanged, FileProblem, Interrupted, TroubleOutlasted
from cfstream_upload.lean import on_demand
from cfstream_upload.outcome import (
    Acked,
    FileFault,
    Offset,
    Outcome,
    Refusal,
    TooLarge,
    Trouble,
    UrlDead,
)
from cfstream_upload.throttle import Throttle
from cfstream_upload.wire import Cancelled, Lost, NotSent, Patience, Reply, UnacceptableUrl, Wire

# Only tuspy's own transports use these, and ours takes their place.
with on_demand("requests", "aiohttp"):
    from tusclient.client import TusClient
    from tusclient.uploader import Uploader

_SMALLEST_BLOCK, _LARGEST_BLOCK = 64 * 1024, 1024 * 1024
_NUMBER = re.compile(r"[0-9]{1,15}\Z", re.ASCII)
_TRANSIENT = {408, 409, 423, 425, 429, 460}
_NOT_A_VIDEO = 10059
_SAID_PLAINLY = {
    409: "it and this client disagree on what has arrived",
    423: "another request holds this upload",
    460: "bytes were damaged on the way",
}


def block_of(length: int) -> int:
    """Bytes to hand over at a time, of a chunk of ``length``: at most a sixth of a second of line.

    A chunk is about ten seconds of it. Large blocks cost less, small ones show progress sooner.
    """
    return max(_SMALLEST_BLOCK, min(_LARGEST_BLOCK, length // 64 // 4096 * 4096))


class Readable(Protocol):
    """The part of a source file that an upload needs."""

    def check(self) -> None:
        """Raise `FileChanged` when the file is no longer what was opened."""

    def blocks(
        self,
        start: int,
        length: int,
        *,
        block: int = ...,
        before_last: Callable[[], None] | None = None,
        given_up: Callable[[], bool] | None = None,
    ) -> Iterator[bytes]:
        """The bytes of a range; ``before_last`` is called before the last block is given.

        Who must wait for them asks ``given_up``, and raises `Interrupted` then.
        """


class _Extent(io.RawIOBase):
    """A file of which tuspy may know the size only: the bytes go from the source to the socket."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size, self._position = size, 0

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._position = offset + (self._size if whence == io.SEEK_END else 0)
        return self._position

    def tell(self) -> int:
        return self._position


class _Told(Exception):
    """A reply that is no offset; carries what it means out of tuspy's methods."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__()
        self.outcome = outcome


class Upload(Uploader):  # type: ignore[misc]  # tuspy has no types
    """The tus side of one file of ``size`` bytes, over the shared client.

    ``handed`` is the highest position of the file that was given to a socket.
    """

    def __init__(self, wire: Wire, size: int, metadata: Mapping[str, str | None]) -> None:
        valued = {key: text for key, text in metadata.items() if text is not None}
        super().__init__(file_stream=_Extent(size), client=TusClient(""), metadata=valued)
        self._flags = [key for key, text in metadata.items() if text is None]
        self._wire = wire
        self._size = size
        self._patience = Patience()
        self._body: Iterator[bytes] = iter(())
        self.handed = 0

    # --- what the conductor calls ----------------------------------------------------------------

    def creation_headers(self) -> dict[str, str]:
        """The tus headers of a create call."""
        return {**self.get_url_creation_headers(), "content-length": "0"}

    def head(self, url: str, patience: Patience) -> Outcome:
        """Ask ``url`` for its offset."""
        self.set_url(url)
        self._patience = patience
        try:
            self.offset = self.get_offset()
        except _Told as told:
            return told.outcome
        return Offset(self.offset)

    def patch(
        self,
        url: str,
        step: Patch,
        source: Readable,
        patience: Patience,
        progress: Callable[[int], None],
        before_last: Callable[[], None],
        throttle: Throttle | None = None,
    ) -> Outcome:
        """Send the bytes of ``step``; ``progress`` hears each new position that left.

        ``before_last`` is called before the last block is given away; what it raises comes out.
        ``throttle`` says when each block may leave.
        """
        self.set_url(url)
        self.offset, self.chunk_size = step.offset, step.length
        self._patience = patience
        block = block_of(step.length)
        if throttle is not None:
            block = throttle.block(block)
        blocks = source.blocks(
            step.offset,
            step.length,
            block=block,
            before_last=before_last,
            given_up=patience.cancelled,
        )
        if throttle is not None:
            blocks = self._throttled(blocks, throttle, step.length, block)
        self._body = self._counted(blocks, progress)
        started = time.monotonic()
        try:
            source.check()
            self.upload_chunk()
        except _Told as told:
            return told.outcome
        except FileProblem as fault:
            changed = isinstance(fault, FileChanged)
            reason = Reason.CHANGED if changed else Reason.FILE
            return FileFault(Failure(reason, fault.message, fault.hint))
        except TroubleOutlasted as trouble:
            # A line that failed, as the one to Stream may: it is tried in the same way.
            return Trouble(trouble.message, handed=self.handed)
        except Interrupted:
            raise Cancelled(sent=True) from None
        return Acked(self.offset, step.length, time.monotonic() - started, self.handed)

    def _counted(self, blocks: Iterator[bytes], progress: Callable[[int], None]) -> Iterator[bytes]:
        position = self.offset
        for block in blocks:
            # Counted before it leaves: a block that may have left must not be unknown.
            position += len(block)
            self.handed = max(self.handed, position)
            yield block
            progress(position)

    def _throttled(
        self, blocks: Iterator[bytes], throttle: Throttle, length: int, block: int
    ) -> Iterator[bytes]:
        for left in range(length, 0, -block):
            # Before the block is taken: the last look at the file comes right before it leaves.
            throttle.wait(min(block, left), self._patience.cancelled)
            if self._patience.cancelled():
                raise Cancelled(sent=True)
            yield next(blocks)

    # --- tuspy's methods, over our client --------------------------------------------------------

    def encode_metadata(self) -> list[str]:
        """Encode as tuspy does, with flags as bare keys: h11 refuses a trailing space."""
        return [*self._flags, *super().encode_metadata()]

    def create_url(self) -> str:
        """Never used: creating is Stream's own call, whose reply names the UID."""
        raise RuntimeError("uploads are created through the Video API")

    def get_offset(self) -> int:
        """One HEAD; the strict number of its ``Upload-Offset``."""
        reply = self._request("HEAD", {}, None)
        length = reply.headers.get("upload-length")
        if length is not None and _NUMBER.match(length) and int(length) != self._size:
            words = "the upload URL belongs to a file of another length"
            raise _Told(Refusal(Failure(Reason.REFUSED, words), final=True))
        return self._offset_of(reply)

    def _do_request(self) -> None:
        headers = {
            "upload-offset": str(self.offset),
            "content-type": "application/offset+octet-stream",
            "content-length": str(self.get_request_length()),
        }
        reply = self._request("PATCH", headers, self._body)
        headers = {"upload-offset": str(self._offset_of(reply))}
        self.request = SimpleNamespace(response_headers=headers)

    def _request(
        self, method: str, headers: Mapping[str, str], body: Iterator[bytes] | None
    ) -> Reply:
        try:
            reply = self._wire.request(
                method,
                self.url,
                headers={**self.get_headers(), **headers},
                body=body,
                patience=self._patience,
            )
        except NotSent as error:
            raise _Told(Trouble(str(error), handed=self.handed)) from None
        except Lost as error:
            cut = error.reason in ("cut", "stalled", "deadline")
            raise _Told(Trouble(str(error), cut=cut, handed=self.handed)) from None
        except UnacceptableUrl as error:
            raise _Told(Refusal(Failure(Reason.REFUSED, str(error)), final=True)) from None
        if not 200 <= reply.status < 300:
            raise _Told(self._meaning(method, reply))
        return reply

    def _offset_of(self, reply: Reply) -> int:
        text = reply.headers.get("upload-offset", "")
        if not _NUMBER.match(text):
            words = "the upload server's reply has no proper Upload-Offset"
            raise _Told(Trouble(words, handed=self.handed))
        return int(text)

    def _meaning(self, method: str, reply: Reply) -> Outcome:
        answer = decipher(reply.status, reply.headers, reply.body, reply.redact)
        status = reply.status
        if status in (401, 403, 404, 410):
            return UrlDead(status)
        if status in _TRANSIENT or (status >= 500 and status != 501):
            trouble = answer.trouble("The upload server")
            plainly = f", {_SAID_PLAINLY[status]}" if status in _SAID_PLAINLY else ""
            words = trouble.message + plainly
            return Trouble(words, trouble.retry_after, trouble.cut, self.handed)
        if status == 413 and method == "PATCH":
            return TooLarge("the upload server refuses the size of the chunk (HTTP 413)")
        if 300 <= status < 400:
            words = "the upload server answered with a redirect, which is never followed"
            return Refusal(Failure(Reason.REFUSED, words), final=True)
        if answer.code == _NOT_A_VIDEO:
            return Refusal(Failure(Reason.REFUSED, "Stream says that this is not a video"), True)
        return Refusal(answer.failure("the upload"), final=status in (412, 415, 501))
