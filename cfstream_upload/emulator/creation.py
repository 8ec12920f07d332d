"""A new video, from what a client says of it: tus headers, a JSON document, or a form.

https://developers.cloudflare.com/api/resources/stream/methods/create/ and
https://developers.cloudflare.com/api/resources/stream/subresources/direct_upload/
"""

from __future__ import annotations

from typing import Any

from . import fields
from .editing import read_object
from .envelopes import BAD_REQUEST, Refused, bad_request, failure
from .exchange import Request
from .metadata import read_metadata
from .switches import Switches
from .timestamps import SECOND
from .uploads import VERSION, digits
from .videos import Video

LARGEST_VIDEO = 30_000_000_000
DIRECT_USER_RESERVATION = 14_400
FORM_WINDOW_SECONDS = 1800


def by_tus(request: Request, uid: str, created: int, switches: Switches) -> Video:
    """Read a tus create request; its body is of no interest."""
    headers = request.headers
    if "tus-resumable" not in headers:
        raise bad_request("Tus-Resumable is missing, and a form holds no field named file")
    if headers["tus-resumable"] != VERSION:
        raise Refused(failure(412, BAD_REQUEST, "Precondition Failed", "unsupported version"))
    direct_user = dict(request.pairs()).get("direct_user") == "true"
    chosen = read_metadata(headers.get("upload-metadata", ""), created, switches)
    default = DIRECT_USER_RESERVATION if direct_user else switches.tus_reservation
    given = {
        "reservation": chosen.get("max_duration", default),
        "expiry": created + int(switches.default_expiry * SECOND),
        "creator": fields.creator(headers.get("upload-creator")),
        **chosen,
    }
    length = _length(headers.get("upload-length", ""))
    return _video(uid, created, length=length, direct_user=direct_user, **given)


def by_document(
    body: bytes, creator: str | None, uid: str, created: int, switches: Switches
) -> Video:
    """Read the body of ``direct_upload``; its own ``creator`` beats the header's."""
    asked = read_object(body)
    if asked.get("maxDurationSeconds") is None:
        raise bad_request("required field maxDurationSeconds is missing")
    given: dict[str, Any] = {
        "creator": fields.creator(creator),
        "expiry": created + FORM_WINDOW_SECONDS * SECOND,
    }
    for name, value in asked.items():
        if value is not None:
            given |= _said(name, value, created, switches)
    return _video(uid, created, reservation=given["max_duration"], form="direct", **given)


def by_form(creator: str | None, uid: str, created: int) -> Video:
    """Begin a basic upload: a form that is sent to the API itself."""
    return _video(uid, created, form="basic", expiry=created, creator=fields.creator(creator))


def _video(uid: str, created: int, **given: Any) -> Video:  # noqa: ANN401  # fields of Video
    beginning = {"length": 0, "reservation": 0, "direct_user": True}
    return Video(uid=uid, created=created, modified=created, **{**beginning, **given})


def _said(name: str, value: object, created: int, switches: Switches) -> dict[str, Any]:
    match name:
        case "maxDurationSeconds":
            return {"max_duration": fields.max_duration(value)}
        case "expiry":
            return {"expiry": fields.form_expiry(value, created, switches.form_expiry_cap)}
        case "allowedOrigins":
            return {"allowed_origins": fields.allowed_origins(value)}
        case "creator":
            return {"creator": fields.creator(value)}
        case "meta":
            return {"meta": fields.document(name, value)}
        case "requireSignedURLs":
            return {"require_signed_urls": fields.switch(name, value)}
        case "scheduledDeletion":
            return {"scheduled_deletion": fields.scheduled_deletion(value, created)}
        case "thumbnailTimestampPct":
            return {"thumbnail_pct": fields.thumbnail_pct(value)}
        case "watermark":
            return {"watermark": fields.watermark(value)}
    return {}


def _length(text: str) -> int:
    length = digits(text)
    if length is None:
        raise bad_request("Upload-Length must be the size of the video in bytes")
    if length > LARGEST_VIDEO:
        detail = f"Upload-Length is over {LARGEST_VIDEO} bytes"
        raise Refused(failure(413, BAD_REQUEST, "Payload Too Large", detail))
    return length
