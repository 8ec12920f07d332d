"""HTTP/1.1 as Cloudflare's edge lets it in: heads of a limited size, and words when it does not."""

from __future__ import annotations

import contextlib
from http import HTTPStatus
from typing import Any

import httptools
from starlette.requests import ClientDisconnect
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .bodies import Body

BODY = "cfstream.body"
CONNECTION = "cfstream.connection"
# https://developers.cloudflare.com/workers/platform/limits/: a URL of 16 KB, headers of 128 KB.
LONGEST_URL = 16_384
LARGEST_HEAD = 131_072


class Protocol(HttpToolsProtocol):
    """uvicorn's protocol, reachable from a request: ASGI itself has no way to cut a connection."""

    _body: Body | None = None
    _left = 0
    _in_head = True
    _head_size = 0
    _problem = HTTPStatus.BAD_REQUEST

    def data_received(self, data: bytes) -> None:
        """Take what came; a head that never ends is not collected for ever."""
        if self._in_head:
            self._head_size += len(data)
            # The first block may hold a body as well, so this is only the coarse limit.
            if self._head_size > 4 * LARGEST_HEAD:
                self._problem = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
                self.send_400_response("")
                return
        elif self._left:
            data = self._passed_by(data)
        if data:
            super().data_received(data)

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._in_head, self._head_size, self._sum = True, 0, 0
        scope: Any = self.scope
        scope[CONNECTION] = self

    def on_url(self, url: bytes) -> None:
        """Take the target, or a part of it."""
        super().on_url(url)
        if len(self.url) > LONGEST_URL:
            self._refuse(HTTPStatus.REQUEST_URI_TOO_LONG)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        super().on_header(name, value)
        self._sum += len(name) + len(value) + 4
        if self._sum > LARGEST_HEAD:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def on_headers_complete(self) -> None:
        """End the head."""
        self._in_head = False
        super().on_headers_complete()
        self._body = Body(self.cycle.receive, self.flow.resume_reading)
        scope: Any = self.cycle.scope
        scope[BODY] = self._body
        self._left = 0 if self.parser.should_upgrade() else _length(self.headers)

    def on_body(self, body: bytes) -> None:
        """Take a block of the body."""
        self._left = max(0, self._left - len(body))
        if self._body is None or not self._body.takes(body):
            super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request; what comes next is a head again."""
        self._in_head, self._head_size, self._left = True, 0, 0
        super().on_message_complete()
        if self._body is not None:
            self._body.end()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever takes a body that there is no more of it."""
        super().connection_lost(exc)
        if self._body is not None:
            self._body.end(ClientDisconnect())

    def _passed_by(self, data: bytes) -> bytes:
        """Take what is left of a body without the parser, which copies it; give what follows."""
        self._unset_keepalive_if_required()
        body, rest = data[: self._left], data[self._left :]
        self.on_body(body)
        if not self._left:
            # The old one still waits for what it has not seen.
            self.parser = httptools.HttpRequestParser(self)
            with contextlib.suppress(AttributeError):  # before httptools 0.6.3, as uvicorn has it
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            self.on_message_complete()
        return rest

    def send_400_response(self, msg: str) -> None:
        """Answer what could not be read with a page, as the edge does, and hang up."""
        title = f"{self._problem.value} {self._problem.phrase}"
        page = (
            f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n"
            f"<center><h1>{title}</h1></center>\r\n<hr><center>cloudflare</center>\r\n"
            "</body>\r\n</html>\r\n"
        )
        head = (
            f"HTTP/1.1 {title}\r\ncontent-type: text/html\r\n"
            f"content-length: {len(page)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(f"{head}{page}".encode())
        self.transport.close()

    def _refuse(self, problem: HTTPStatus) -> None:
        """End the parsing: uvicorn turns any error of the parser into `send_400_response`."""
        self._problem = problem
        raise httptools.HttpParserError(problem.phrase)


def _length(headers: list[tuple[bytes, bytes]]) -> int:
    """Read how long a body is, of a head that the parser has accepted; 0: only it can tell."""
    lengths = [value for name, value in headers if name == b"content-length"]
    chunked = any(name == b"transfer-encoding" for name, _ in headers)
    return int(lengths[0]) if len(lengths) == 1 and not chunked and lengths[0].isdigit() else 0
