"""Videos that come in one ``multipart/form-data`` POST: basic uploads, and ``direct_upload``.

https://developers.cloudflare.com/stream/uploading-videos/upload-video-file/ and
https://developers.cloudflare.com/stream/uploading-videos/direct-creator-uploads/
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

from .containers import LOOK, is_video
from .envelopes import BAD_REQUEST, NON_VIDEO, Refused, failure, success, undecodable
from .exchange import Answered, Exchange, Reply, Request
from .library import Library
from .multipart import FileField
from .switches import Switches
from .uploads import TEXTS, Uploads, digits
from .videos import Video

LARGEST_FORM = 200_000_000
# What a form may have around its file: boundaries, headers of parts, small fields.
AROUND = 65_536
CROSS_ORIGIN_FORM = {
    "access-control-allow-origin": "*",
    "access-control-allow-methods": "POST, OPTIONS",
    "access-control-allow-headers": "Content-Type",
}


class Forms:
    """Forms of one library, at most one for each upload URL under way."""

    def __init__(self, library: Library, uploads: Uploads, switches: Switches) -> None:
        self._library = library
        self._uploads = uploads
        self._switches = switches
        self._under_way: dict[str, Receiving] = {}

    def begin(self, request: Request, uid: str) -> Exchange:
        """Start an exchange on an upload URL of ``direct_upload``: good for one POST."""
        if request.method == "OPTIONS":
            return Answered(Reply(204, CROSS_ORIGIN_FORM))
        try:
            video = self._open(uid)
            if request.method != "POST":
                raise _refused(self._switches.form_not_post, "must use POST")
            field = self._field(request, video)
        except Refused as refused:
            raise _with_headers(refused, CROSS_ORIGIN_FORM) from None
        self._under_way[uid] = Receiving(field, _ToItsUrl(self, video), self._switches)
        return self._under_way[uid]

    def begin_basic(self, request: Request, video: Video) -> Exchange:
        """Start a basic upload, the video of which exists once its form is complete."""
        self._library.draft(video)
        try:
            field = self._field(request, video)
        except Refused:
            self._library.drop(video.uid)
            raise
        return Receiving(field, _ToTheApi(self, video), self._switches)

    def abandon(self, uid: str) -> None:
        """Stop taking bytes for a video that is about to be deleted."""
        if receiving := self._under_way.pop(uid, None):
            status = self._switches.after_deletion
            receiving.refused = _refused(status, "the video was deleted")

    def publish(self, draft: Video, name: str, length: int) -> Reply:
        """Make a video of a draft that is complete."""
        created = self._library.moment_of_creation()
        meta = {"name": name} if name and self._switches.form_name else {}
        video = replace(draft, length=length, created=created, modified=created, meta=meta)
        self._library.add(video)
        return success(self._library.shown(self._uploads.acknowledge(video.uid, length)))

    def fill(self, video: Video, length: int) -> Reply:
        """Take the file of an upload URL as the whole video."""
        del self._under_way[video.uid]
        self._library.change(video.uid, {"length": length})
        self._uploads.acknowledge(video.uid, length)
        return Reply(200, CROSS_ORIGIN_FORM)

    def drop(self, draft: Video) -> None:
        """Forget a basic upload that came to nothing."""
        self._library.drop(draft.uid)

    def empty(self, video: Video, *, cut: bool) -> None:
        """Forget what came to an upload URL; it stays usable, but for a switch."""
        if self._under_way.pop(video.uid, None) is None:
            return
        self._library.media(video.uid).settle(0)
        if cut and self._switches.form_after_cut == "used":
            self._library.change(video.uid, {"expiry": self._library.now()})

    def _field(self, request: Request, video: Video) -> FileField:
        if not is_form(request):
            raise undecodable()
        declared = digits(request.headers.get("content-length"))
        if declared is not None and declared > LARGEST_FORM + AROUND:
            raise _too_large(self._switches)
        return FileField(request.headers["content-type"], self._library.media(video.uid))

    def _open(self, uid: str) -> Video:
        video = self._library.record(uid)
        if video is None or video.form != "direct":
            raise _refused("404", "no such upload")
        if video.deleted is not None:
            raise _refused(self._switches.after_deletion, "the video was deleted")
        if video.whole is not None or uid in self._under_way:
            raise _refused(self._switches.form_used, "a video was already uploaded to this URL")
        if self._library.now() >= video.expiry:
            raise _refused(self._switches.after_expiry, "the upload URL has expired")
        return video


class _Ending(Protocol):
    """What becomes of a form; ``headers`` are added to a refusal."""

    headers: Mapping[str, str]

    def whole(self, name: str, length: int) -> Reply: ...

    def broken(self, *, cut: bool) -> None: ...


class _ToItsUrl:
    headers: Mapping[str, str] = CROSS_ORIGIN_FORM

    def __init__(self, forms: Forms, video: Video) -> None:
        self._forms = forms
        self._video = video

    def whole(self, name: str, length: int) -> Reply:
        return self._forms.fill(self._video, length)

    def broken(self, *, cut: bool) -> None:
        self._forms.empty(self._video, cut=cut)


class _ToTheApi:
    headers: Mapping[str, str] = {}

    def __init__(self, forms: Forms, draft: Video) -> None:
        self._forms = forms
        self._draft = draft

    def whole(self, name: str, length: int) -> Reply:
        return self._forms.publish(self._draft, name, length)

    def broken(self, *, cut: bool) -> None:
        self._forms.drop(self._draft)


class Receiving:
    """A form under way. Once it is ``refused`` its body is read to the end before that is said."""

    def __init__(self, field: FileField, ending: _Ending, switches: Switches) -> None:
        self.refused: Refused | None = None
        self._field = field
        self._ending = ending
        self._switches = switches
        self._ended = False

    def write(self, block: bytes) -> None:
        """Store what belongs to the file."""
        if self.refused is not None:
            return
        try:
            self._field.write(block)
        except Refused as refused:
            self.refused = refused
        if self._field.length > LARGEST_FORM:
            self.refused = _too_large(self._switches)

    def finish(self) -> Reply:
        """Accept the file, or refuse the form and forget its bytes."""
        self._ended = True
        try:
            if self.refused is not None:
                raise self.refused
            self._field.finish()
            # Told at once for a form, while a tus upload ends in ``error``.
            if not is_video(self._field.media.read(0, LOOK)):
                raise Refused(failure(400, NON_VIDEO, "Bad Request", "the file is not a video"))
        except Refused as refused:
            self._ending.broken(cut=False)
            raise _with_headers(refused, self._ending.headers) from None
        return self._ending.whole(self._field.name, self._field.length)

    def cut(self) -> None:
        """Forget what came: the whole file has to be sent again."""
        if not self._ended:
            self._ended = True
            self._ending.broken(cut=True)


def is_form(request: Request) -> bool:
    """Whether the body is said to be a form."""
    kind = request.headers.get("content-type", "").partition(";")[0]
    return kind.strip().lower() == "multipart/form-data"


def _refused(status: str, detail: str) -> Refused:
    return Refused(failure(int(status), BAD_REQUEST, TEXTS[int(status)], detail))


def _too_large(switches: Switches) -> Refused:
    return _refused(switches.form_too_large, f"a form takes at most {LARGEST_FORM} bytes")


def _with_headers(refused: Refused, headers: Mapping[str, str]) -> Refused:
    reply = refused.reply
    return Refused(replace(reply, headers={**reply.headers, **headers}))
