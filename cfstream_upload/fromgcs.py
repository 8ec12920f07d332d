"""Objects of Google Cloud Storage, by its JSON API; google-auth finds out who asks.

Each range names the generation that was opened: other bytes always have another one.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import warnings
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlsplit

import google.auth
import httpx
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError, TransportError
from google.auth.transport.requests import Request

from cfstream_upload.errors import ConfigProblem, FileProblem
from cfstream_upload.locations import Location
from cfstream_upload.stored import Facts, Hiccup, changed, forbidden, missing, no_bucket, whole
from cfstream_upload.webline import PASSING, is_encoded, range_told, taken, web_client, words

_SERVICE = "https://storage.googleapis.com"
_SCOPE = "https://www.googleapis.com/auth/devstorage.read_only"
_FIELDS = "name,size,generation,timeCreated,md5Hash,crc32c"
_MOST = 16 * 1024 * 1024  # of an answer in JSON: a page of 1,000 names of 1 KiB has a few
_REASON = re.compile(rb'"reason": ?"([A-Za-z]{1,64})"')
_TOO_OFTEN = {"rateLimitExceeded", "userRateLimitExceeded"}
_KEYS = "Run: gcloud auth application-default login, or set GOOGLE_APPLICATION_CREDENTIALS."
_EPOCH, _MICROSECOND = datetime.fromtimestamp(0, UTC), timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class _Question:
    """A GET about ``where``. Of its answer ``most`` bytes and a little more are read."""

    where: Location
    path: str
    asked: Mapping[str, str]
    headers: Mapping[str, str] = field(default_factory=dict)
    most: int = _MOST


class GoogleBuckets:
    """Every bucket that this machine's application default credentials may read, or anybody."""

    def __init__(self) -> None:
        self._base, self._identity = _endpoint()
        self._client = web_client()

    async def facts(self, where: Location, pinned: Facts | None) -> Facts:
        """What the service tells now, of a ``pinned`` generation while that is kept."""
        told = await self._told(where, pinned)
        if told is None:
            raise await self._gone(where, pinned)
        if "gzip" in str(told.get("contentEncoding", "")).lower():
            raise _compressed(where)
        return _facts(told)

    async def read(self, where: Location, start: int, stop: int, pinned: Facts) -> bytes:
        """One range, held to what ``pinned`` tells."""
        asked = {"alt": "media", "generation": pinned.version}
        wanted = {"range": f"bytes={start}-{stop - 1}"}
        question = _Question(where, _object(where), asked, wanted, stop - start)
        status, headers, data = await self._get(question)
        if status == 404:
            raise await self._gone(where, pinned)
        if status in (412, 416):
            raise changed(where)
        _judge(where, status, data, 206, self._identity is not None)
        if headers.get("x-goog-generation", pinned.version) != pinned.version:
            raise changed(where)
        if is_encoded(headers):
            raise _compressed(where)
        if range_told(headers) != (start, stop - 1, pinned.size):
            raise Hiccup("the service sent another range than was asked for")
        return whole(data, start, stop)

    async def below(self, folder: Location, *, deep: bool) -> AsyncIterator[tuple[str, Facts]]:
        """What a folder holds."""
        asked = {"prefix": folder.path, "fields": f"items({_FIELDS}),nextPageToken"}
        if not deep:
            asked["delimiter"] = "/"
        while True:
            status, _, data = await self._get(_Question(folder, _objects(folder), asked))
            if status == 404:
                raise no_bucket(folder)
            _judge(folder, status, data, 200, self._identity is not None)
            page = _parsed(data)
            for one in page.get("items", ()):
                name = one["name"].removeprefix(folder.path)
                # Consoles make an empty object of a folder's own name.
                if name and not name.endswith("/"):
                    yield name, _facts(one)
            if not page.get("nextPageToken"):
                return
            asked["pageToken"] = page["nextPageToken"]

    async def release(self, where: Location) -> None:
        """Nothing is kept for a source."""

    async def close(self) -> None:
        """Close every connection."""
        await self._client.aclose()
        if self._identity is not None:
            self._identity.close()

    async def _told(self, where: Location, pinned: Facts | None) -> Mapping[str, Any] | None:
        asked = {"fields": f"{_FIELDS},contentEncoding"}
        if pinned is not None:
            asked["generation"] = pinned.version
        status, _, data = await self._get(_Question(where, _object(where), asked))
        if status == 404:
            return None
        _judge(where, status, data, 200, self._identity is not None)
        return _parsed(data)

    async def _gone(self, where: Location, pinned: Facts | None) -> FileProblem:
        """Of a generation that is no more: whether another took its place."""
        another = pinned is not None and await self._told(where, None) is not None
        if another:
            return changed(where)
        # Of an object and of its bucket the service says the same; of a list only the latter.
        asked = {"maxResults": "1", "fields": "kind"}
        status, _, _ = await self._get(_Question(where, _objects(where), asked))
        return no_bucket(where) if status == 404 else missing(where)

    async def _get(self, question: _Question) -> tuple[int, httpx.Headers, bytes]:
        """Status, headers and body of an answer."""
        where = question.where
        known = await self._identity.headers(where, anew=False) if self._identity else {}
        answer = await self._once(question, known)
        if answer[0] != 401 or not known or self._identity is None:
            return answer
        # A token may be withdrawn before its time; then another may do.
        known = await self._identity.headers(where, anew=True)
        return await self._once(question, known)

    async def _once(
        self, question: _Question, known: Mapping[str, str]
    ) -> tuple[int, httpx.Headers, bytes]:
        trouble = ""
        headers = {**question.headers, **known}
        try:
            url = httpx.URL(self._base + question.path, params=question.asked)
            async with self._client.stream("GET", url, headers=headers) as answer:
                # An error's words may be longer than a range.
                enough = question.most if answer.status_code == 206 else _MOST
                return answer.status_code, answer.headers, await taken(answer, enough)
        except httpx.TransportError as error:
            trouble = words(error)
        except (httpx.InvalidURL, httpx.StreamError):
            trouble = ""
        if trouble:
            # Raised out here: the library's text, which may quote the URL, is not in the context.
            raise Hiccup(f"the service: {trouble}")
        raise FileProblem(f"gs cannot be asked: {question.where.text}", "Check name and settings.")


class _Identity:
    """Who asks: whom Google's own libraries would find on this machine, else nobody."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._request = Request()
        self._credentials: Any = None
        self._is_sought = True
        # It would warn of projects that reading needs not, and could log tokens.
        logging.getLogger("google.auth").setLevel(logging.CRITICAL)
        warnings.filterwarnings("ignore", module=r"google\.auth")

    async def headers(self, where: Location, *, anew: bool) -> dict[str, str]:
        """What tells the service who asks; ``anew``: what it was told last was not believed."""
        trouble: Exception | None = None
        async with self._turn:
            try:
                if self._is_sought or anew or (self._credentials and not self._credentials.valid):
                    # In a thread: these libraries block.
                    await asyncio.to_thread(self._refreshed)
            except Exception as error:  # noqa: BLE001  each kind of credentials has its own
                trouble = _unknown(error, where)
        if trouble is not None:
            # Raised out here: the libraries' words may quote a key.
            raise trouble
        found: dict[str, str] = {}
        if self._credentials is not None:
            self._credentials.apply(found)
        return found

    def _refreshed(self) -> None:
        if self._is_sought:
            try:
                self._credentials, _ = google.auth.default(scopes=[_SCOPE], request=self._request)
            except DefaultCredentialsError as error:
                # Nobody at all may still read what is public; a broken file is told.
                if "credentials were not found" not in str(error):
                    raise
            self._is_sought = False
        if self._credentials is not None:
            self._credentials.refresh(self._request)

    def close(self) -> None:
        self._request.session.close()


def _endpoint() -> tuple[str, _Identity | None]:
    """Where the service is, and who asks there: an emulator is never told a token."""
    emulator = os.environ.get("STORAGE_EMULATOR_HOST", "").rstrip("/")
    if emulator:
        return emulator if "://" in emulator else f"http://{emulator}", None
    base = os.environ.get("API_ENDPOINT_OVERRIDE", "").rstrip("/") or _SERVICE
    parts = urlsplit(base)
    if parts.scheme != "https" and parts.hostname not in ("127.0.0.1", "::1", "localhost"):
        raise ConfigProblem(
            "API_ENDPOINT_OVERRIDE is no https:// address, and a token would go there",
            "An emulator's address belongs in STORAGE_EMULATOR_HOST.",
        )
    return base, _Identity()


def _object(where: Location) -> str:
    if where.path in ("", ".", ".."):
        # No object has such a name, and in a URL the dots would mean a folder.
        raise missing(where)
    return f"{_objects(where)}/{quote(where.path, safe='')}"


def _objects(where: Location) -> str:
    return f"/storage/v1/b/{where.host}/o"


def _parsed(data: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(data)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Hiccup("the service's answer was none of Google's")
    return found


def _facts(told: Mapping[str, Any]) -> Facts:
    try:
        # Not "updated", nor the ETag: those change with labels too, and the bytes do not.
        created = (datetime.fromisoformat(told["timeCreated"]) - _EPOCH) // _MICROSECOND * 1000
        content = told.get("md5Hash") or told.get("crc32c", "")
        return Facts(int(told["size"]), content, str(int(told["generation"])), created)
    except (KeyError, ValueError, TypeError):
        raise Hiccup("the service's answer was none of Google's") from None


def _compressed(where: Location) -> FileProblem:
    return FileProblem(
        f"stored compressed (Content-Encoding: gzip), so it cannot be read in ranges: {where.text}",
        "Download it first, then send the copy. If it is not compressed at all, run: "
        "gcloud storage objects update --clear-content-encoding",
    )


def _judge(where: Location, status: int, data: bytes, wanted: int, known: bool) -> None:
    """Raise what a status other than ``wanted`` means."""
    if status == wanted:
        return
    found = _REASON.search(data) if status != 200 else None
    shown = found[1].decode("ascii") if found else f"HTTP {status}"
    if status >= 500 or status in PASSING or shown in _TOO_OFTEN:
        raise Hiccup(f"the service answered {shown}")
    if status in (401, 403):
        raise forbidden(where, shown, f"Check who you are there. {_KEYS}" if known else _ALONE)
    if status == 200:
        raise Hiccup("the service sent another range than was asked for")
    raise FileProblem(f"the service answered {shown}: {where.text}", "Check the name.")


_ALONE = "Where STORAGE_EMULATOR_HOST is set, nobody in particular asks: unset it."


def _unknown(error: Exception, where: Location) -> Exception:
    """Why nobody could be made out, in our words."""
    kind = type(error).__name__
    passing = isinstance(error, TransportError) or getattr(error, "retryable", False)
    if passing:
        return Hiccup("whoever gives Google's tokens was not reached")
    if isinstance(error, GoogleAuthError | ValueError | OSError):
        return FileProblem(f"no credentials for gs ({kind}): {where.text}", _KEYS)
    return error
