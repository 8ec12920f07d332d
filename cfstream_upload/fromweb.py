"""Files of the web, read in ranges over a client of their own: no header of Stream's goes there."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

import httpx

from cfstream_upload.errors import FileProblem
from cfstream_upload.locations import Location, no_folder
from cfstream_upload.stored import Facts, Hiccup, changed, forbidden, missing, whole
from cfstream_upload.webline import PASSING, is_encoded, range_told, taken, web_client, words

_NO_BYTES = re.compile(r"bytes \*/0\Z", re.ASCII)
_MOST_REDIRECTS = 5


class Web:
    """Every ``http://`` and ``https://`` host; proxies and trust are as the environment says."""

    def __init__(self) -> None:
        self._client = web_client()

    async def facts(self, where: Location, pinned: Facts | None) -> Facts:
        """Told by a GET of one byte: a HEAD is often not allowed, and promises no ranges."""
        status, headers, _ = await self._ranged(where, 0, 1, {})
        if status == 416 and _NO_BYTES.match(headers.get("content-range", "")):
            return Facts(0)
        return _facts(where, headers, 0, 1)

    async def read(self, where: Location, start: int, stop: int, pinned: Facts) -> bytes:
        """One range, held to what ``pinned`` tells."""
        condition = {"if-match": pinned.etag} if pinned.firm else {}
        status, headers, data = await self._ranged(where, start, stop, condition)
        if status == 416 or _facts(where, headers, start, stop) != pinned:
            raise changed(where)
        return whole(data, start, stop)

    async def below(self, folder: Location, *, deep: bool) -> AsyncIterator[tuple[str, Facts]]:
        """What a folder holds."""
        raise no_folder(folder)
        yield "", Facts(0)  # what makes it an iterator

    async def release(self, where: Location) -> None:
        """Nothing is kept for a source."""

    async def close(self) -> None:
        """Close every connection."""
        await self._client.aclose()

    async def _ranged(
        self, where: Location, start: int, stop: int, condition: Mapping[str, str]
    ) -> tuple[int, httpx.Headers, bytes]:
        headers = {**condition, "range": f"bytes={start}-{stop - 1}"}
        trouble = ""
        try:
            url = httpx.URL(where.url)
            for _ in range(_MOST_REDIRECTS + 1):
                async with self._client.stream("GET", url, headers=headers) as answer:
                    if answer.next_request is None:
                        _judge(where, answer.status_code, bool(condition))
                        data = await taken(answer, stop - start)
                        return answer.status_code, answer.headers, data
                    url = _followed(where, url, answer.next_request.url)
        except httpx.TransportError as error:
            trouble = words(error)
        except (httpx.InvalidURL, httpx.StreamError):
            raise FileProblem(f"not a proper URL: {where.text}", "Check it.") from None
        if trouble:
            # Raised out here: the library's text, which may quote the URL, is not in the context.
            raise Hiccup(f"{where.host}: {trouble}")
        raise FileProblem(f"too many redirects: {where.text}", "Check the address.")


def _followed(where: Location, before: httpx.URL, after: httpx.URL) -> httpx.URL:
    if before.scheme == "https" and after.scheme != "https":
        raise FileProblem(
            f"a redirect leads from https to {after.scheme}: {where.text}",
            "Name the final address if you trust it.",
        )
    return after


def _judge(where: Location, status: int, conditional: bool) -> None:
    """Raise what a status other than that of a range means."""
    if status in (206, 416):
        return
    if status == 412 and conditional:
        raise changed(where)
    if status in (404, 410):
        raise missing(where)
    if status in (401, 403, 407):
        signed = "A signed URL expires: make a new one and run the same command with it."
        raise forbidden(where, f"HTTP {status}", signed if where.query else "Check the address.")
    if status >= 500 or status in PASSING:
        raise Hiccup(f"{where.host}: HTTP {status}")
    if status == 200:
        raise _no_ranges(where)
    raise FileProblem(f"the server answered HTTP {status}: {where.text}", "Check the address.")


def _no_ranges(where: Location) -> FileProblem:
    return FileProblem(
        f"cannot be read in ranges: {where.text}",
        "Its server only sends whole files: download it first, then send the copy.",
    )


def _facts(where: Location, headers: httpx.Headers, start: int, stop: int) -> Facts:
    """What a 206 tells of the whole; it must be about the very range that was asked for."""
    if is_encoded(headers):
        raise FileProblem(
            f"the server sends it encoded: {where.text}", "Download it first, then send the copy."
        )
    found = range_told(headers)
    if found is None:
        raise _no_ranges(where)
    first, last, total = found
    if first != start or last != min(stop, total) - 1:
        raise Hiccup(f"{where.host}: another range than was asked for")
    return Facts(total, headers.get("etag", ""), "", _moment(headers.get("last-modified", "")))


def _moment(text: str) -> int:
    try:
        moment = parsedate_to_datetime(text)
        return int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()) * 1_000_000_000
    except (ValueError, TypeError, OverflowError, IndexError):
        return 0
