"""Stream as a plain callable from request to reply: no sockets, no sleeps, no threads of its own.

A second reading of Stream's documents, on purpose independent of the client's.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from . import creation
from .access import Access, Validity
from .bell import Bell, Ringing
from .editing import read_edit
from .envelopes import Refused, failure, no_route, not_found, success
from .exchange import Answered, Exchange, Reply, Request, converse
from .exchanges import Collecting, Signed
from .forms import Forms, is_form
from .library import Library
from .limits import MOST_ENCODED_AT_ONCE, Limits
from .listing import answer_list, read_filters
from .ratelimit import RateLimit
from .routes import API, Route, route_of
from .store import DiskStore, MemoryStore
from .switches import Switches
from .timestamps import http_date
from .uploads import VERSION, Uploads
from .videos import Pace, Video

T = TypeVar("T")


class Stream:
    """The service for one account. Safe to use from several threads.

    ``data`` is the folder that keeps videos beyond this process; None keeps lengths and digests
    in memory. ``now`` gives seconds since 1970, ``new_uid`` 32 hex digits, ``validity`` is that of
    both tokens, ``minutes_limit`` the storage bought, ``rate_limit`` the calls allowed in five
    minutes (None: any number), ``queue_limit`` the videos that may be encoded at once.

    Upload URLs begin with ``upload_base`` (``http://host:port``, no slash at the end), or, while
    it is None, with the host that the create request was sent to; those that need the token with
    ``token_upload_base``, or where the face takes them. Both may be set at any time.
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
        queue_limit: int = MOST_ENCODED_AT_ONCE,
        upload_base: str | None = None,
    ) -> None:
        self.account = account or secrets.token_hex(16)
        self.token = token or secrets.token_urlsafe(30)
        self.switches = switches or Switches()
        self.upload_base = upload_base
        self.token_upload_base: str | None = None
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
        self._forms = Forms(self._library, self._uploads, self.switches)
        self._limits = Limits(self._library, self.switches, minutes_limit, queue_limit)
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
        signed = Signed(self._lock, inner, lambda: self._common_headers(route))
        return Ringing(signed, self.bell)

    @property
    def minutes_limit(self) -> int:
        """The storage bought, in minutes. It may be changed at any time."""
        return self._limits.minutes

    @minutes_limit.setter
    def minutes_limit(self, minutes: int) -> None:
        self._limits.minutes = minutes

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
        by_token = route.kind == "upload" and route.account is not None
        if request.token_port is not None and by_token != request.at_token_port:
            raise no_route(request.path.removeprefix(API))
        if route.kind == "upload":
            return self._begin_upload(request, route)
        if route.kind == "form":
            return self._forms.begin(request, route.uid)
        if (route.kind, request.method) == ("videos", "POST") and _is_basic(request):
            self._let_in(request, route)
            self._limits.check(1)
            creator, created = request.headers.get("upload-creator"), self._library.now()
            video = creation.by_form(creator, self._new_uid(), created)
            return self._forms.begin_basic(request, video)
        return Collecting(lambda body: self._answer(request, route, body))

    def _begin_upload(self, request: Request, route: Route) -> Exchange:
        if self.switches.uploads_count_to_limit:
            self._rate.count(self._now())
        if route.account is not None:
            if "authorization" not in request.headers:
                raise self._uploads.refused_to_strangers("this upload URL needs the token")
            self._access.check(request, route, self._now())
        return self._uploads.begin(request, route.uid, direct_user=route.account is None)

    def _let_in(self, request: Request, route: Route) -> None:
        self._access.check(request, route, self._now())
        self._rate.count(self._now())

    def _answer(self, request: Request, route: Route, body: bytes) -> Reply:
        if route.kind == "unknown":
            raise no_route(request.path.removeprefix(API))
        self._let_in(request, route)
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
            case "direct-upload", "POST":
                return self._create_for_form(request, body)
            case "storage", "GET":
                return success(self._limits.usage(dict(request.pairs()).get("creator")))
            case (("verify-user" | "verify-account"), "GET"):
                return self._access.verified(route, self._now())
        raise Refused(failure(405, 7001, f"Method {request.method} not available for that URI."))

    def _create(self, request: Request) -> Reply:
        created = self._library.moment_of_creation()
        video = creation.by_tus(request, self._new_uid(), created, self.switches)
        self._limits.check(video.reservation)
        self._library.add(video)
        if video.length == 0:
            self._uploads.acknowledge(video.uid, 0)
        path = "/tus" if video.direct_user else f"{API}/accounts/{self.account}/media"
        base = self._base(request, by_token=not video.direct_user)
        headers = {
            "location": f"{base}{path}/{video.uid}?tusv2=true",
            "stream-media-id": video.uid,
            "tus-resumable": VERSION,
        }
        return Reply(201, headers)

    def _create_for_form(self, request: Request, body: bytes) -> Reply:
        creator, created = request.headers.get("upload-creator"), self._library.moment_of_creation()
        video = creation.by_document(body, creator, self._new_uid(), created, self.switches)
        self._limits.check(video.reservation)
        self._library.add(video)
        result: dict[str, object] = {
            "uid": video.uid,
            "uploadURL": f"{self._base(request, by_token=False)}/{video.uid}",
        }
        seen = self._library.shown(video)
        told = ("creator", "scheduledDeletion", "watermark")
        return success(result | {name: seen[name] for name in told if seen[name] is not None})

    def _base(self, request: Request, *, by_token: bool) -> str:
        """Where upload URLs of a kind begin: as it was set, or as this request came."""
        host = request.headers.get("host", "127.0.0.1")
        if by_token and self.token_upload_base is not None:
            return self.token_upload_base
        if by_token and request.token_port is not None:
            return f"http://{_name(host)}:{request.token_port}"
        return self.upload_base or f"http://{host}"

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
        self._forms.abandon(uid)
        self._library.delete(uid)
        return Reply(200) if self.switches.delete_reply == "empty" else success(None)

    def _common_headers(self, route: Route) -> dict[str, str]:
        now = self._now()
        limits = {} if route.kind in ("upload", "form") else self._rate.headers(now)
        return {"date": http_date(now), **limits}


def _is_basic(request: Request) -> bool:
    return is_form(request) and "tus-resumable" not in request.headers


def _name(host: str) -> str:
    """The name in a ``Host`` header; an IPv6 address keeps its brackets."""
    return host if host.endswith("]") else host.rpartition(":")[0] or host
