"""Stream as a plain callable from request to reply: no sockets, no sleeps, no threads of its own.

A second reading of Stream's documents, on purpose independent of the client's.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from . import fields
from .access import Access, Validity
from .bell import Bell, Ringing
from .editing import read_edit
from .envelopes import (
    BAD_REQUEST,
    STORAGE_CAPACITY,
    Refused,
    bad_request,
    failure,
    no_route,
    not_found,
    out_of_order,
    success,
)
from .exchange import Answered, Exchange, Reply, Request, converse
from .library import Library
from .listing import answer_list, read_filters
from .metadata import read_metadata
from .ratelimit import RateLimit
from .routes import API, Route, route_of
from .store import DiskStore, MemoryStore
from .switches import Switches
from .timestamps import SECOND, http_date
from .uploads import VERSION, Uploads
from .videos import Pace, Video

LARGEST_VIDEO = 30_000_000_000
DIRECT_USER_RESERVATION = 14_400
LARGEST_DOCUMENT = 1 << 20
T = TypeVar("T")


class Stream:
    """The service for one account. Safe to use from several threads.

    ``data`` is the folder that keeps videos beyond this process; None keeps lengths and digests
    in memory. ``now`` gives seconds since 1970, ``new_uid`` 32 hex digits, ``validity`` is that of
    both tokens, ``minutes_limit`` the storage bought, ``rate_limit`` the calls allowed in five
    minutes (None: any number).

    Upload URLs begin with ``upload_base`` (``http://host:port``, no slash at the end), or, while
    it is None, with the host that the create request was sent to. It may be set at any time.
    """

    def __init__(
        self,
        *,
        data: Path | None = None,
        account: str | None = None,
        token: str | None = None,
        read_only_token: str | None = None,
        validity: Validity | None = None,
        now: Callable[[], float] = time.time,
        new_uid: Callable[[], str] = lambda: secrets.token_hex(16),
        switches: Switches | None = None,
        pace: Pace | None = None,
        minutes_limit: int = 100_000,
        rate_limit: int | None = None,
        upload_base: str | None = None,
    ) -> None:
        self.account = account or secrets.token_hex(16)
        self.token = token or secrets.token_urlsafe(30)
        self.switches = switches or Switches()
        self.upload_base = upload_base
        self.minutes_limit = minutes_limit
        self.bell = Bell()
        self._access = Access(
            self.account, self.token, read_only_token, self.switches, validity or Validity()
        )
        self._now = now
        self._new_uid = new_uid
        self._rate = RateLimit(rate_limit)
        self._lock = threading.Lock()
        self._library = Library(
            MemoryStore() if data is None else DiskStore(data),
            now,
            self.switches,
            pace or Pace(),
            self.account[:16],
        )
        self._uploads = Uploads(self._library, self.switches)
        self._hidden: dict[str, int] = {}

    def __call__(self, request: Request) -> Reply:
        """Answer a whole request."""
        return converse(self, request)

    def begin(self, request: Request) -> Exchange:
        """Start an exchange from the request's head, to be fed block by block."""
        route = route_of(request.path)
        with self._lock:
            try:
                inner = self._begin(request, route)
            except Refused as refused:
                inner = Answered(refused.reply)
        signed = _Signed(self._lock, inner, lambda: self._common_headers(route))
        return Ringing(signed, self.bell)

    def sha256(self, uid: str) -> str:
        """Give the digest of the bytes that a video holds, in hex; `KeyError` if there is none."""
        with self._lock:
            if self._library.find(uid) is None:
                raise KeyError(uid)
            return self._library.media(uid).sha256()

    def videos(self) -> list[dict[str, object]]:
        """Give every video that exists, the oldest first, as the Video API shows it."""
        with self._lock:
            found = (self._library.find(video.uid) for video in self._library.records())
            return [self._library.shown(video) for video in found if video is not None]

    def fail(self, uid: str, reason: str) -> None:
        """Let the encoding of a video end in ``error``, with ``reason`` as its code."""
        with self._lock:
            self._library.change(uid, {"reason": reason})
        self.bell.ring()

    def remove(self, uid: str) -> bool:
        """Delete a video as the Video API does; False when there is none."""
        with self._lock:
            existed = self._library.find(uid) is not None
            if existed:
                self._delete(uid)
        self.bell.ring()
        return existed

    def with_account(self, work: Callable[[Library, Uploads], T]) -> T:
        """Do something with the videos themselves, while no request is looked at."""
        with self._lock:
            return work(self._library, self._uploads)

    def _begin(self, request: Request, route: Route) -> Exchange:
        if route.kind != "upload":
            return _Collecting(lambda body: self._answer(request, route, body))
        if self.switches.uploads_count_to_limit:
            self._rate.count(self._now())
        if route.account is not None:
            if "authorization" not in request.headers:
                raise self._uploads.refused(400, "this upload URL needs the token")
            self._access.check(request, route, self._now())
        return self._uploads.begin(request, route.uid, direct_user=route.account is None)

    def _answer(self, request: Request, route: Route, body: bytes) -> Reply:
        if route.kind == "unknown":
            raise no_route(request.path.removeprefix(API))
        self._access.check(request, route, self._now())
        self._rate.count(self._now())
        match route.kind, request.method:
            case "videos", "GET":
                filters = read_filters(request.pairs(), self.switches)
                return answer_list(self._library, filters, self.switches, request.lag)
            case "videos", "POST":
                return self._create(request)
            case "video", "GET":
                return success(self._library.shown(self._looked_up(route.uid)))
            case "video", "POST":
                return self._edit(route.uid, body)
            case "video", "DELETE":
                return self._delete(route.uid)
            case "storage", "GET":
                return self._storage(dict(request.pairs()).get("creator"))
            case (("verify-user" | "verify-account"), "GET"):
                return self._access.verified(route, self._now())
        raise Refused(failure(405, 7001, f"Method {request.method} not available for that URI."))

    def _create(self, request: Request) -> Reply:
        video = self._new_video(request)
        self._check_quota(video.reservation)
        self._library.add(video)
        if video.length == 0:
            self._uploads.acknowledge(video.uid, 0)
        base = self.upload_base or f"http://{request.headers.get('host', '127.0.0.1')}"
        path = "/tus" if video.direct_user else f"{API}/accounts/{self.account}/media"
        headers = {
            "location": f"{base}{path}/{video.uid}?tusv2=true",
            "stream-media-id": video.uid,
            "tus-resumable": VERSION,
        }
        return Reply(201, headers)

    def _new_video(self, request: Request) -> Video:
        headers, created = request.headers, self._library.moment_of_creation()
        if "tus-resumable" not in headers:
            raise bad_request("Tus-Resumable is missing, and a form holds no field named file")
        if headers["tus-resumable"] != VERSION:
            raise Refused(failure(412, BAD_REQUEST, "Precondition Failed", "unsupported version"))
        direct_user = dict(request.pairs()).get("direct_user") == "true"
        chosen = read_metadata(headers.get("upload-metadata", ""), created, self.switches)
        expiry = created + int(self.switches.default_expiry * SECOND)
        default = DIRECT_USER_RESERVATION if direct_user else self.switches.tus_reservation
        return Video(
            uid=self._new_uid(),
            length=_length(headers.get("upload-length", "")),
            created=created,
            modified=created,
            reservation=chosen.get("max_duration", default),
            direct_user=direct_user,
            creator=fields.creator(headers.get("upload-creator")),
            **{"expiry": expiry, **chosen},
        )

    def _check_quota(self, seconds: int) -> None:
        if self._library.reserved_minutes() + seconds / 60 <= self.minutes_limit:
            return
        detail = (
            f"You have uploaded {self._library.reserved_minutes():.2f} minutes"
            f" and are allocated {self.minutes_limit} minutes."
        )
        raise Refused(failure(413, STORAGE_CAPACITY, "Storage capacity exceeded", detail))

    def _looked_up(self, uid: str) -> Video:
        video = self._library.find(uid)
        if video is None:
            raise not_found()
        if self._hidden.setdefault(uid, self.switches.false_404s) > 0:
            self._hidden[uid] -= 1
            raise not_found()
        return video

    def _edit(self, uid: str, body: bytes) -> Reply:
        video = self._library.find(uid)
        if video is None:
            raise not_found()
        changes = {**read_edit(body, video), "modified": self._library.now()}
        return success(self._library.shown(self._library.change(uid, changes)))

    def _delete(self, uid: str) -> Reply:
        if self._library.find(uid) is None:
            raise not_found()
        self._uploads.abandon(uid)
        self._library.delete(uid)
        return Reply(200) if self.switches.delete_reply == "empty" else success(None)

    def _storage(self, creator: str | None) -> Reply:
        videos = [v for v in self._library.listed() if creator in (None, v.creator)]
        counted = self.switches.usage_counts_reservations
        usage: dict[str, object] = {
            "totalStorageMinutes": self._library.reserved_minutes(creator) if counted else 0.0,
            "totalStorageMinutesLimit": self.minutes_limit,
            "videoCount": len(videos),
        }
        return success(usage if creator is None else {"creator": creator, **usage})

    def _common_headers(self, route: Route) -> dict[str, str]:
        now = self._now()
        limits = {} if route.kind == "upload" else self._rate.headers(now)
        return {"date": http_date(now), **limits}


class _Collecting:
    """An exchange of the Video API, answered once its small body is there."""

    def __init__(self, answer: Callable[[bytes], Reply]) -> None:
        self._answer = answer
        self._body = bytearray()

    def write(self, block: bytes) -> None:
        if len(self._body) <= LARGEST_DOCUMENT:
            self._body += block

    def finish(self) -> Reply:
        if len(self._body) > LARGEST_DOCUMENT:
            raise Refused(failure(413, BAD_REQUEST, "Payload Too Large"))
        return self._answer(bytes(self._body))

    def cut(self) -> None:
        """A request that was never complete is never acted upon."""


class _Signed:
    """Holds the service's lock, never across blocks, and adds what every reply carries.

    A disk that fails, or is full, ends the exchange with 500; what was acknowledged stays.
    """

    def __init__(
        self, lock: threading.Lock, inner: Exchange, headers: Callable[[], dict[str, str]]
    ) -> None:
        self._lock = lock
        self._inner = inner
        self._headers = headers

    def write(self, block: bytes) -> None:
        with self._lock:
            try:
                self._inner.write(block)
            except OSError:
                self._cut()
                self._inner = Answered(out_of_order())

    def finish(self) -> Reply:
        with self._lock:
            try:
                reply = self._inner.finish()
            except Refused as refused:
                reply = refused.reply
            except OSError:
                self._cut()
                reply = out_of_order()
            return replace(reply, headers={**reply.headers, **self._headers()})

    def cut(self) -> None:
        with self._lock:
            self._cut()

    def _cut(self) -> None:
        with contextlib.suppress(OSError):
            self._inner.cut()


def _length(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise bad_request("Upload-Length must be the size of the video in bytes")
    if int(text) > LARGEST_VIDEO:
        detail = f"Upload-Length is over {LARGEST_VIDEO} bytes"
        raise Refused(failure(413, BAD_REQUEST, "Payload Too Large", detail))
    return int(text)
