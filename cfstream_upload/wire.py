"""The one HTTP client of the program: short calls to the API, HEAD and PATCH to the upload host.

It holds httpx's request and response types and httpcore's pool, and none of httpx's client: no
redirects, cookies, environment, netrc, decompression or log of URLs. It never repeats a request,
for whether that is safe is decided elsewhere.

One promise is kept here: the token goes to the API's origin, below the API's base path, attached
by `Wire` alone; and no connection is opened to any host but the API's and Stream's upload hosts.
"""

from __future__ import annotations

import contextlib
import logging
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import httpcore

from .addresses import (
    UPLOAD_HOSTS,
    acceptable_api_base,
    acceptable_proxy,
    acceptable_upload_url,
    origin,
    parsed,
)
from .lean import without
from .patience import Cancelled, Lost, NotSent, Patience, UnacceptableUrl, Watch, WireError
from .pools import Pools
from .safetext import Redactor
from .sockets import Sockets

with without("httpx._main"):
    import httpx

__all__ = [
    "UPLOAD_HOSTS",
    "Cancelled",
    "Lost",
    "NotSent",
    "Patience",
    "Reply",
    "UnacceptableUrl",
    "Wire",
    "WireError",
    "acceptable_api_base",
    "acceptable_proxy",
    "acceptable_upload_url",
]

MAX_BODY = 1024 * 1024
"""Bytes of a reply's body that are read, unless the caller asks for more of a 2xx."""

_HIDDEN_STEP = re.compile(r"%(?:2e|2f|5c)", re.IGNORECASE)
_HEADER_NAME = re.compile(r"[A-Za-z0-9-]+")
_HEADER_VALUE = re.compile(r"(?:[!-~](?:[ -~]*[!-~])?)?")
_OF_UPLOADS = frozenset({"HEAD", "PATCH"})  # sent to upload URLs alone
_OURS = frozenset(
    {"authorization", "proxy-authorization", "x-auth-key", "x-auth-email", "cookie", "host"}
    | {"connection", "transfer-encoding", "accept-encoding", "expect"}
)
_FOREIGN = (
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.TimeoutException,
    httpx.TransportError,
)

# At DEBUG httpcore logs reply headers, and a `Location` is a key to an upload.
logging.getLogger("httpcore").setLevel(logging.INFO)


@dataclass(frozen=True)
class Reply:
    """A whole reply, whatever its status; redirects are replies like any other.

    ``headers`` have lower-case names; one that came several times is joined by ``", "``, so that
    a strict reader of numbers refuses it. ``body`` ends at the request's ``max_body``. ``redact``
    takes out of its texts what the server knows and nobody else may read: token and upload URLs.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    redact: Callable[[str], str] = field(default=str, repr=False, compare=False)


class Wire:
    """Sends requests over one pool of connections; threads may share it.

    ``api_base`` is as `acceptable_api_base` returns it. ``ca_cert`` replaces the trusted
    certificates (else: the system's and certifi's). ``proxy`` is an ``http://`` URL, with user
    and password if it wants them; loopback http never goes through it. ``connect_timeout``
    covers name, TCP, proxy and TLS, in seconds. ``transport`` takes the place of all sockets.
    ``redactor`` is told every secret that is used here.
    """

    def __init__(
        self,
        *,
        api_base: str,
        token: str | None,
        ca_cert: Path | None = None,
        proxy: str | None = None,
        connect_timeout: float = 10.0,
        transport: httpx.BaseTransport | None = None,
        redactor: Redactor | None = None,
    ) -> None:
        self._api = httpx.URL(acceptable_api_base(api_base))
        self._token = token
        self._redactor = redactor or Redactor()
        self._redactor.add(token or "")
        self._proxied = proxy is not None
        self._sockets = Sockets(connect_timeout)
        address = None if proxy is None else acceptable_proxy(proxy)
        self._redactor.add(address.password if address else "")
        self._transport = transport or Pools(self._sockets, ca_cert, address)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection."""
        self._transport.close()

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        patience: Patience,
        body: Iterable[bytes] | None = None,
        max_body: int = MAX_BODY,
    ) -> Reply:
        """Send one request and read its reply; nothing is repeated or followed.

        A ``body`` needs a ``Content-Length`` in ``headers`` and goes out block by block. Whatever
        iterating it raises comes out unchanged. Raises `UnacceptableUrl`, `NotSent`, `Lost` or
        `Cancelled`, and ValueError for a header that only `Wire` may set or nobody may send.
        After anything but a whole reply to a whole request the connection is closed.
        """
        target = self._permitted(url, method)
        if not self._below_api(target):
            self._redactor.add_url(str(target))
        fields = self._fields(method, target, headers, body)
        blocks = _Blocks(() if body is None else body, int(fields.get("content-length", "0")))
        request = httpx.Request(method, target, headers=fields, stream=blocks)
        secure = target.scheme == "https"
        watch = Watch(
            patience,
            host=target.host,
            secure=secure,
            proxied=secure and self._proxied,
            bodiless=method == "HEAD",
        )
        watch.slice(time.monotonic())
        with self._sockets.watched(watch):
            try:
                with contextlib.closing(self._transport.handle_request(request)) as response:
                    return _reply(response, max_body, watch, self._redactor)
            except _FOREIGN as trouble:
                if trouble is blocks.trouble:
                    raise
                error = _in_our_words(trouble, watch)
        # Raised out here, the foreign exception and its text are not even in the context.
        raise error

    def _permitted(self, text: str, method: str) -> httpx.URL:
        url = parsed(text)
        # A journal that somebody wrote into must not aim these, with the token, at the API.
        if method in _OF_UPLOADS or origin(url) != origin(self._api):
            return httpx.URL(acceptable_upload_url(text, str(self._api)))
        if _HIDDEN_STEP.search(url.raw_path.partition(b"?")[0].decode("ascii")):
            raise UnacceptableUrl(f"{url.host}: the path hides its steps")
        return url

    def _fields(
        self, method: str, url: httpx.URL, headers: Mapping[str, str], body: object
    ) -> dict[str, str]:
        fields = {"user-agent": "cfstream-upload"}
        fields |= {name.lower(): value for name, value in headers.items()}
        if not _OURS.isdisjoint(fields):
            raise ValueError("a header that only the wire itself may set")
        if body is not None and "content-length" not in fields:
            raise ValueError("a body without Content-Length")
        if method in {"POST", "PATCH", "PUT"}:
            fields.setdefault("content-length", "0")
        fields |= {"host": url.netloc.decode("ascii"), "accept-encoding": "identity"}
        if self._token is not None and self._below_api(url):
            fields["authorization"] = f"Bearer {self._token}"
        for name, value in fields.items():
            if not (_HEADER_NAME.fullmatch(name) and _HEADER_VALUE.fullmatch(value)):
                # h11 would refuse it too, with the value (a token, say) in its message.
                raise ValueError(f"the header {name!r} has characters it cannot have")
        return fields

    def _below_api(self, url: httpx.URL) -> bool:
        base = self._api.path.rstrip("/")
        return origin(url) == origin(self._api) and (url.path + "/").startswith(base + "/")


class _Blocks(httpx.SyncByteStream):
    """The caller's body: held to its announced length, and its own trouble remembered."""

    def __init__(self, body: Iterable[bytes], length: int) -> None:
        self._body = body
        self._length = length
        self.trouble: BaseException | None = None

    def __iter__(self) -> Iterator[bytes]:
        left = self._length
        blocks = iter(self._body)
        while True:
            try:
                block = next(blocks, None)
            except BaseException as trouble:
                self.trouble = trouble
                raise
            if block is None:
                break
            left -= len(block)
            if left < 0:
                break
            yield block
        if left:
            raise Lost("protocol", "the body has not the length that was announced")


def _reply(
    response: httpx.Response, max_body: int, watch: Watch, redact: Callable[[str], str]
) -> Reply:
    if not 200 <= response.status_code < 300:
        max_body = min(max_body, MAX_BODY)
    headers: dict[str, str] = {}
    for raw_name, raw_value in response.headers.raw:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    body = bytearray()
    stream = response.stream
    if isinstance(stream, httpx.SyncByteStream):
        for part in stream:
            body += part[: max_body - len(body)]
            if len(body) >= max_body:
                break
    if response.status_code < 200:
        raise Lost("protocol", f"{watch.host}: an interim reply came last")
    if body and headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise Lost("protocol", f"{watch.host}: an encoded reply that was not asked for")
    return Reply(response.status_code, headers, bytes(body), redact)


def _in_our_words(trouble: Exception, watch: Watch) -> WireError:
    """What a library's exception means; its own text is dropped, for it may quote a secret."""
    host = watch.host
    if isinstance(trouble, (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError)):
        return NotSent("refused", f"{host}: no connection")
    if isinstance(trouble, httpx.TimeoutException):
        return Lost("stalled", f"{host}: no reply in time")
    if isinstance(trouble, httpcore.ProxyError):
        status = str(trouble)[:3]
        status = status if status.isascii() and status.isdigit() else "no"
        return NotSent("proxy", f"the proxy refused the way to {host} (status {status})")
    if not watch.sent and not isinstance(trouble, httpx.TransportError):
        return NotSent("proxy", f"the proxy broke off on the way to {host}")
    if watch.peer_closed or not isinstance(trouble, (httpcore.ProtocolError, httpx.ProtocolError)):
        return Lost("cut", f"{host}: the connection was cut")
    if getattr(trouble.args[0] if trouble.args else None, "error_status_hint", 0) == 431:
        return Lost("toolarge", f"{host}: the headers of the reply are too large")
    return Lost("protocol", f"{host}: the reply is not proper HTTP")
