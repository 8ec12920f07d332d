"""Cloudflare's JSON envelope, and the refusals that Stream is known to answer with.

Stream puts the generic text into ``errors`` and what really happened into ``messages``.
"""

from __future__ import annotations

import json
from typing import Any

from .exchange import Reply

AUTHENTICATION = 10000
NOT_FOUND = 10003
BAD_REQUEST = 10005
STORAGE_CAPACITY = 10011
NON_VIDEO = 10059
NO_ROUTE = 7003


class Refused(Exception):
    """A request is answered with an error; ``reply`` is that answer."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(f"refused with status {reply.status}")
        self.reply = reply


def success(result: object, messages: list[dict[str, Any]] | None = None, **extra: object) -> Reply:
    """Answer 200 with a result; ``extra`` lands beside it (``total``, ``range``)."""
    return _json(
        200,
        {"result": result, "success": True, "errors": [], "messages": messages or [], **extra},
    )


def failure(status: int, code: int, text: str, detail: str | None = None) -> Reply:
    """Answer with an error; without a detail ``messages`` is null, as it is on the real service."""
    return _json(
        status,
        {
            "result": None,
            "success": False,
            "errors": [{"code": code, "message": text}],
            "messages": None if detail is None else [{"code": code, "message": detail}],
        },
    )


def bad_request(detail: str) -> Refused:
    """Refuse what cannot be understood or breaks a rule: 400, code 10005."""
    return Refused(failure(400, BAD_REQUEST, "Bad Request", detail))


def undecodable() -> Refused:
    """Refuse a body that is not what it should be, in the words of the real service."""
    return bad_request("Decoding Error: A portion of the request could not be decoded")


def not_found() -> Refused:
    """Refuse an identifier that names no video: 404, code 10003."""
    return Refused(failure(404, NOT_FOUND, "Not Found", "Not Found"))


def out_of_order() -> Reply:
    """Answer 500, as a page: what fails inside Stream is told by the edge, in no envelope."""
    words = "500 Internal Server Error"
    page = f"<html><head><title>{words}</title></head><body><h1>{words}</h1></body></html>"
    return Reply(500, {"content-type": "text/html; charset=UTF-8"}, page.encode())


def no_route(path: str) -> Refused:
    """Refuse a path that leads nowhere: 404, code 7003."""
    detail = f"Could not route to {path}, perhaps your object identifier is invalid?"
    return Refused(failure(404, NO_ROUTE, detail))


def _json(status: int, document: dict[str, Any]) -> Reply:
    return Reply(status, {"content-type": "application/json"}, json.dumps(document).encode())
