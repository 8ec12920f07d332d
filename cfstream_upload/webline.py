"""A line of HTTP to a service that files are read from; no header of Stream's is known to it."""

from __future__ import annotations

import re

import httpx

from cfstream_upload.stored import CONNECT_TIMEOUT, READ_TIMEOUT

PASSING = {408, 425, 429}
"""Statuses below 500 that may pass."""

_CONTENT_RANGE = re.compile(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15})\Z", re.ASCII)


def web_client() -> httpx.AsyncClient:
    """A client that asks for bytes as they are stored; proxies, trust are as the environment's."""
    context = httpx.create_ssl_context()
    # Beside certifi's: a company's own authority lives in the system's store.
    context.load_default_certs()
    # Python writes the keys of every connection to the file that SSLKEYLOGFILE names.
    context.keylog_filename = None  # type: ignore[assignment]  # a path, say the stubs
    return httpx.AsyncClient(
        verify=context,
        timeout=httpx.Timeout(READ_TIMEOUT, connect=CONNECT_TIMEOUT, pool=None),
        headers={"user-agent": "cfstream-upload", "accept-encoding": "identity"},
        limits=httpx.Limits(max_connections=None),
    )


async def taken(answer: httpx.Response, most: int) -> bytes:
    """The body as it came, of which no more than ``most`` bytes and a little are read."""
    data = bytearray()
    async for part in answer.aiter_raw():
        data += part
        if len(data) > most:
            break
    return bytes(data)


def is_encoded(headers: httpx.Headers) -> bool:
    """Whether the body is something else than the file's own bytes."""
    return headers.get("content-encoding", "identity").strip().lower() not in ("identity", "")


def range_told(headers: httpx.Headers) -> tuple[int, int, int] | None:
    """First byte, last byte and total of a ``Content-Range``; None where it tells none."""
    found = _CONTENT_RANGE.match(headers.get("content-range", ""))
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


def words(error: httpx.TransportError) -> str:
    """What failed: the library's own text may quote the URL."""
    return _WORDS.get(type(error), "the connection was cut")


_WORDS: dict[type[Exception], str] = {
    httpx.ConnectError: "no connection",
    httpx.ConnectTimeout: "no connection in time",
    httpx.ReadTimeout: "no answer in time",
    httpx.ProxyError: "the proxy refused the way",
    httpx.UnsupportedProtocol: "a redirect to something that is not http",
}
