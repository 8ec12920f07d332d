"""Pages for people at the server's root: the account, a video, and what can be done to them.

- ``/``: the account; ``/videos/UID``: one video
- ``/emulator/assets/NAME``: styles, scripts, icons
- ``/emulator/events[?uid=UID]``: server-sent events, see `watching`
- ``DELETE /emulator/videos/UID``
- ``/emulator/videos/UID/media``: the bytes of a whole video, with ranges
- ``/emulator/videos/UID/thumbnail``: a JPEG, or a neutral picture
"""

from __future__ import annotations

import asyncio
import functools
import re
from collections.abc import Collection, Mapping
from importlib import resources
from pathlib import Path

from starlette.requests import Request as HttpRequest
from starlette.responses import FileResponse, PlainTextResponse, Response

from .gate import LOOPBACK, refusal
from .model import Stream
from .overview import media_of, overview
from .thumbnails import Thumbnails
from .watching import Watcher

EVENTS = "/emulator/events"
WATCHERS = 32
_TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_UID = "(?P<uid>[0-9a-f]{32})"
_ASSET = re.compile(r"/emulator/assets/(?P<name>[a-z]+\.(css|js|svg))")
_VIDEO_PAGE = re.compile(f"/videos/{_UID}")
_VIDEO = re.compile(f"/emulator/videos/{_UID}(?P<part>/media|/thumbnail)?")
# What a file of somebody else's may do, should a browser open it by itself: nothing.
_INERT = {
    "content-security-policy": "default-src 'none'; sandbox",
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": "same-origin",
}
_PAGE = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
        " media-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none';"
        " frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


class Pages:
    """The pages of one account.

    ``control``: whether this server takes faults over HTTP; ``hosts`` as `gate.refusal` has it.
    """

    def __init__(
        self, stream: Stream, *, control: bool = False, hosts: Collection[str] = LOOPBACK
    ) -> None:
        self._hosts = hosts
        self._stream = stream
        self._control = control
        self._thumbnails = Thumbnails()
        self._over = asyncio.Event()
        self._watchers: list[Watcher] = []

    def close(self) -> None:
        """Let every page that watches go, so that the server can end at once."""
        self._over.set()

    async def answer(self, http: HttpRequest) -> Response | None:
        """Give the response to a request; None for a path that is not of the pages."""
        path = http.scope["path"]
        found = _VIDEO.fullmatch(path)
        if not (found or path in ("/", EVENTS) or _is_static(path)):
            return None
        token = self._stream.token
        if why := refusal(http.method, _as_followed(http), token, self._hosts):
            return PlainTextResponse(why + "\n", 403, _INERT)
        if http.method == "DELETE" and found and not found["part"]:
            return self._delete(found["uid"])
        reading = ("GET",) if path == EVENTS else ("GET", "HEAD")
        if http.method not in reading or (found and not found["part"]):
            return PlainTextResponse("This path does not take that.\n", 405, _INERT)
        if found:
            return await self._of_video(found["uid"], found["part"])
        if path == EVENTS:
            return self._events(http)
        return _static(path)

    def _delete(self, uid: str) -> Response:
        return Response(status_code=204 if self._stream.remove(uid) else 404, headers=_INERT)

    async def _of_video(self, uid: str, part: str) -> Response:
        path = self._stream.with_account(media_of(uid))
        if path is None or not path.exists():
            return Response(status_code=404, headers=_INERT)
        if part == "/media":
            return FileResponse(path, media_type=_media_type(path), headers=_INERT)
        picture = await self._thumbnails.of(uid, path)
        if picture is None:
            return _asset("film.svg")
        kept = {**_INERT, "cache-control": "private, max-age=3600"}
        return Response(picture, media_type="image/jpeg", headers=kept)

    def _events(self, http: HttpRequest) -> Response:
        self._watchers = [one for one in self._watchers if not one.ended]
        if len(self._watchers) >= WATCHERS:
            return PlainTextResponse("Too many pages watch already.\n", 503, _INERT)
        only = http.query_params.get("uid")
        facts = {
            "account": self._stream.account,
            "limit_minutes": self._stream.minutes_limit,
            "control": self._control,
            "now": self._stream.with_account(lambda library, _: library.now() // 1_000_000),
        }
        look = functools.partial(self._stream.with_account, overview(only))
        watcher = Watcher(self._stream.bell, look, facts, self._over)
        self._watchers.append(watcher)
        return watcher


def _as_followed(http: HttpRequest) -> Mapping[str, str]:
    """The headers of a request; a link on another site to a page is as good as one typed in."""
    headers = dict(http.headers.items())
    if headers.get("sec-fetch-dest") == "document" and not http.scope["path"].startswith(
        "/emulator"
    ):
        headers.pop("sec-fetch-site", None)
    return headers


def _is_static(path: str) -> bool:
    return bool(_ASSET.fullmatch(path) or _VIDEO_PAGE.fullmatch(path))


def _static(path: str) -> Response:
    if asset := _ASSET.fullmatch(path):
        return _asset(asset["name"])
    page = "account.html" if path == "/" else "video.html"
    return Response(_read(page), media_type="text/html", headers=_PAGE)


def _asset(name: str) -> Response:
    try:
        content = _read(name)
    except FileNotFoundError:
        return Response(status_code=404, headers=_INERT)
    headers: Mapping[str, str] = {**_INERT, "cache-control": "no-store"}
    return Response(content, media_type=_TYPES[name.rpartition(".")[2]], headers=dict(headers))


@functools.cache
def _read(name: str) -> bytes:
    return (resources.files(__package__) / "assets" / name).read_bytes()


def _media_type(path: Path) -> str:
    """A type that a browser plays; never one that it would show as a document."""
    with path.open("rb") as file:
        head = file.read(64)
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return "video/webm" if b"webm" in head else "video/x-matroska"
    return "video/ogg" if head.startswith(b"OggS") else "video/mp4"
