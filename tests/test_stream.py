"""Stream's words: envelopes deciphered, and one call of the Video API, one outcome."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from pytest_httpx import HTTPXMock
from scripted import UID, created, intended

from cfstream_upload.attempt import Reason
from cfstream_upload.envelope import decipher
from cfstream_upload.outcome import (
    Absent,
    Created,
    Deleted,
    Denied,
    Found,
    NotMade,
    NotSent,
    Outcome,
    Seen,
    Trouble,
    Unanswered,
)
from cfstream_upload.stream import PAGE, Page, Stream
from cfstream_upload.wire import Patience, Wire

API = "https://api.cloudflare.com/client/v4"
ACCOUNT = "ab" * 16
DATE = {"Date": "Fri, 15 Jan 2027 08:00:00 GMT"}
NOON = 1_800_000_000.0
GOOD = "https://upload.cloudflarestream.com/tus/secretsecret?tusv2=true"
OTHER = "c3" * 16


@pytest.fixture
def api() -> Iterator[Stream]:
    with Wire(api_base=API, token="canary", transport=httpx.HTTPTransport()) as wire:
        yield Stream(wire, API, ACCOUNT)


def _envelope(code: int, text: str = "no", messages: object = None) -> dict[str, Any]:
    errors = [{"code": code, "message": text}]
    return {"success": False, "errors": errors, "messages": messages, "result": None}


def _good(result: object) -> dict[str, Any]:
    return {"success": True, "errors": [], "messages": [], "result": result}


def _video(uid: str = UID, state: str = "ready", **more: object) -> dict[str, Any]:
    return {"uid": uid, "status": {"state": state}, "created": "2027-01-15T08:00:00Z", **more}


# --- envelopes -----------------------------------------------------------------------------------

# Replies as they were recorded by users of the service.
QUOTA = (
    b'{"result": null, "success": false, "errors": [{"code": 10011, "message":'
    b' "Storage capacity exceeded"}], "messages": [{"code": 10011, "message": "You have'
    b' uploaded 5.00 minutes and are allocated 5 minutes."}]}'
)
NO_ROUTE = (
    b'{"success":false,"errors":[{"code":7003,"message":"Could not route to /accounts/x/stream,'
    b' perhaps your object identifier is invalid?"}],"messages":[],"result":null}'
)
NOT_A_VIDEO = (
    b'{"result":null,"success":false,"errors":[{"code":10059,"message":"Decoding Error: not a'
    b' video"}],"messages":null}'
)
HTML = b"<html><head><title>502 Bad Gateway</title></head></html>"


def test_the_generic_word_and_the_detail_are_both_read() -> None:
    answer = decipher(413, {}, QUOTA)
    assert answer.envelope
    assert answer.code == 10011
    assert answer.text.startswith("Storage capacity exceeded; You have uploaded 5.00 minutes")
    assert answer.failure("it").reason is Reason.QUOTA


def test_messages_may_be_null() -> None:
    answer = decipher(400, {}, NOT_A_VIDEO)
    assert (answer.code, answer.text) == (10059, "Decoding Error: not a video")
    assert answer.failure("it").reason is Reason.REFUSED


def test_a_wrong_account_is_a_matter_of_credentials() -> None:
    answer = decipher(404, {}, NO_ROUTE)
    assert answer.code == 7003
    assert answer.failure("it").reason is Reason.DENIED


@pytest.mark.parametrize("status", [401, 403])
def test_html_is_no_refusal_of_credentials(status: int) -> None:
    assert not decipher(status, {}, HTML).denied
    assert decipher(status, {}, json.dumps(_envelope(10000)).encode()).denied


@pytest.mark.parametrize(
    "body",
    [
        b"",
        HTML,
        b"null",
        b"[]",
        b'"x"',
        b"{",
        b'{"success": "yes"}',
        b'{"success": 1}',
        b"[" * 100_000,
        b"\xff\xfe",
        b'{"errors": [{"code": 1, "message": "x"}]}',
    ],
    ids=lambda body: repr(body[:20]),
)
def test_a_body_that_is_no_envelope_says_nothing(body: bytes) -> None:
    answer = decipher(404, {}, body)
    assert (answer.envelope, answer.success, answer.code, answer.text) == (False, False, None, "")


@pytest.mark.parametrize("errors", [None, {}, "x", [None], [1], [{"code": "1", "message": 3}]])
def test_errors_of_a_strange_shape_are_left_out(errors: object) -> None:
    document = {"success": False, "errors": errors, "messages": errors}
    answer = decipher(400, {}, json.dumps(document).encode())
    assert (answer.envelope, answer.code, answer.text) == (True, None, "")


@pytest.mark.parametrize(
    ("text", "seconds"), [("17", 17.0), (" 3 ", 3.0), ("-1", None), ("1e9", None), ("", None)]
)
def test_retry_after_is_digits_or_a_date(text: str, seconds: float | None) -> None:
    assert decipher(429, {"retry-after": text}, b"").retry_after == seconds
    past = {"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}
    assert decipher(429, past, b"").retry_after == 0


@pytest.mark.parametrize("text", ["", "yesterday", "99 Xyz 99999"])
def test_a_date_that_is_none_is_none(text: str) -> None:
    assert decipher(200, {"date": text}, b"").date is None
    assert decipher(200, {"date": DATE["Date"]}, b"").date == NOON


# --- create: every reply of law 1 ----------------------------------------------------------------


def _create(api: Stream) -> Outcome:
    return api.create({"tus-resumable": "1.0.0", "content-length": "0"}, Patience())


def test_a_create_is_a_direct_user_post_with_the_token(api: Stream, httpx_mock: HTTPXMock) -> None:
    headers = {"stream-media-id": UID, "location": GOOD, **DATE}
    httpx_mock.add_response(status_code=201, headers=headers)
    assert _create(api) == Created(UID, GOOD, NOON)
    request = httpx_mock.get_request()
    assert request is not None
    assert str(request.url) == f"{API}/accounts/{ACCOUNT}/stream?direct_user=true"
    assert request.headers["authorization"] == "Bearer canary"
    assert api.date == NOON


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (201, {}),
        (201, {"location": GOOD}),
        (201, {"stream-media-id": UID}),
        (201, {"stream-media-id": "", "location": GOOD}),
        (201, {"stream-media-id": "../x", "location": GOOD}),
        (201, {"stream-media-id": f"{UID}, {UID}", "location": GOOD}),
        (201, {"stream-media-id": UID, "location": GOOD.replace("https", "http")}),
        (201, {"stream-media-id": UID, "location": "https://evil.example/tus/x"}),
        (201, {"stream-media-id": UID, "location": "https://upload.cloudflarestream.com@evil/"}),
        (201, {"stream-media-id": UID, "location": "https://upload.cloudflarestream.com:444/"}),
        (200, {}),
        (302, {"stream-media-id": UID, "location": GOOD}),
        (500, {"stream-media-id": UID, "location": GOOD}),
        (502, {}),
        (520, {}),
        (400, {}),
        (404, {}),
        (413, {}),
    ],
)
def test_a_create_reply_that_names_no_usable_upload_is_no_answer(
    status: int, headers: dict[str, str], api: Stream, httpx_mock: HTTPXMock
) -> None:
    httpx_mock.add_response(status_code=status, headers=headers, html="<html>")
    outcome = _create(api)
    assert isinstance(outcome, Unanswered)
    assert "secretsecret" not in repr(outcome)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 412, 413, 415, 422])
def test_a_plain_refusal_proves_that_nothing_was_made(
    status: int, api: Stream, httpx_mock: HTTPXMock
) -> None:
    httpx_mock.add_response(status_code=status, json=_envelope(10005))
    assert isinstance(_create(api), NotMade)


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 520])
def test_an_envelope_that_may_come_from_the_middle_is_no_answer(
    status: int, api: Stream, httpx_mock: HTTPXMock
) -> None:
    httpx_mock.add_response(status_code=status, json=_envelope(10005), headers={"Retry-After": "9"})
    outcome = _create(api)
    assert isinstance(outcome, Unanswered)
    assert outcome.retry_after == 9


def test_a_2xx_in_an_envelope_of_failure_is_no_answer(api: Stream, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(status_code=200, json=_envelope(10011))
    assert isinstance(_create(api), Unanswered)


@pytest.mark.parametrize("error", [httpx.ReadError("x"), httpx.ReadTimeout("x")])
def test_a_lost_reply_to_a_create_is_no_answer(
    error: Exception, api: Stream, httpx_mock: HTTPXMock
) -> None:
    httpx_mock.add_exception(error)
    assert isinstance(_create(api), Unanswered)


def test_without_a_connection_nothing_was_sent() -> None:
    with Wire(api_base="http://127.0.0.1:1/client/v4", token="canary") as wire:
        outcome = _create(Stream(wire, "http://127.0.0.1:1/client/v4", ACCOUNT))
    assert isinstance(outcome, NotSent)


# --- look and delete -----------------------------------------------------------------------------


def test_a_look_reads_state_marker_expiry_and_links(api: Stream, httpx_mock: HTTPXMock) -> None:
    video = _video(
        state="queued", meta={"cfupload": "1.a.b"}, uploadExpiry="2027-01-15T08:00:01Z",
        preview="https://x/watch", playback={"hls": "https://x/hls"},
    )  # fmt: skip
    httpx_mock.add_response(json=_good(video), headers=DATE)
    seen = api.look(UID, Patience())
    assert isinstance(seen, Seen)
    assert (seen.state, seen.marker, seen.expiry) == ("queued", "1.a.b", NOON + 1)
    assert seen.date == NOON
    assert dict(seen.links)["hls"] == "https://x/hls"


@pytest.mark.parametrize(
    ("status", "document", "kind"),
    [
        (404, _envelope(10003), Absent),
        (404, _envelope(7003), Absent),
        (404, None, Trouble),
        (404, _good(None), Trouble),
        (410, _envelope(10003), Trouble),
        (401, _envelope(10000), Denied),
        (403, _envelope(10000), Denied),
        (401, None, Trouble),
        (403, None, Trouble),
        (429, _envelope(971), Trouble),
        (500, _envelope(10001), Trouble),
        (301, None, Trouble),
        (200, None, Trouble),
        (200, _good(None), Trouble),
        (200, _good({}), Trouble),
        (200, _good(_video(OTHER)), Trouble),
        (200, {**_good(_video()), "success": False}, Trouble),
        (206, _good(_video()), Trouble),
    ],
)
def test_what_a_reply_to_a_look_means(
    status: int, document: object, kind: type, api: Stream, httpx_mock: HTTPXMock
) -> None:
    body = b"<html>" if document is None else json.dumps(document).encode()
    httpx_mock.add_response(status_code=status, content=body)
    assert isinstance(api.look(UID, Patience()), kind)


@pytest.mark.parametrize(
    ("status", "document", "kind"),
    [
        (200, None, Deleted),
        (204, None, Deleted),
        (200, _good(None), Deleted),
        (404, _envelope(10003), Deleted),
        (404, None, Deleted),
        (401, _envelope(10000), Denied),
        (403, None, Trouble),
        (429, _envelope(971), Trouble),
        (500, None, Trouble),
        (302, None, Trouble),
    ],
)
def test_what_a_reply_to_a_delete_means(
    status: int, document: object, kind: type, api: Stream, httpx_mock: HTTPXMock
) -> None:
    body = b"" if document is None else json.dumps(document).encode()
    httpx_mock.add_response(status_code=status, content=body)
    assert isinstance(api.delete(UID, Patience()), kind)


# --- lists ---------------------------------------------------------------------------------------


def _moment(number: int) -> str:
    return f"2027-01-15T{number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}Z"


def _serve(httpx_mock: HTTPXMock, videos: list[dict[str, Any]], *, inclusive: bool) -> None:
    """Lists as Stream answers them: by status and start, oldest first, a thousand at most."""

    def answer(request: httpx.Request) -> httpx.Response:
        query = request.url.params
        start = query.get("start", "")
        found = [
            video
            for video in videos
            if (video["created"] >= start if inclusive else video["created"] > start)
            and query.get("status") in (None, video["status"]["state"])
        ]
        assert query["asc"] == "true"
        return httpx.Response(200, json=_good(found[: int(query["limit"])]), headers=DATE)

    httpx_mock.add_callback(answer, is_reusable=True)


@pytest.mark.parametrize("inclusive", [True, False])
@pytest.mark.parametrize("together", [1, 2, 400, 998])
def test_a_marker_is_found_beyond_a_thousand_with_equal_times(
    together: int, inclusive: bool, api: Stream, httpx_mock: HTTPXMock
) -> None:
    """``together`` videos each share one creation time, to the second."""
    lost = intended()
    videos = [
        _video(f"{n:032x}", "pendingupload", created=_moment(n // together)) for n in range(2500)
    ]
    videos[-1]["meta"] = {"cfupload": lost.marker}
    _serve(httpx_mock, videos, inclusive=inclusive)
    found = api.find(lost, Patience)
    assert found == Found((f"{2499:032x}",), listed=False, date=NOON)


def test_a_list_that_cannot_be_read_to_its_end_proves_nothing(
    api: Stream, httpx_mock: HTTPXMock
) -> None:
    videos = [_video(f"{n:032x}", "pendingupload", created=_moment(0)) for n in range(PAGE + 1)]
    _serve(httpx_mock, videos, inclusive=True)
    assert isinstance(api.find(intended(), Patience), Trouble)
    assert len(httpx_mock.get_requests()) < 5


def test_every_page_is_given_and_no_video_twice(api: Stream, httpx_mock: HTTPXMock) -> None:
    videos = [_video(f"{n:032x}", created=_moment(n // 3)) for n in range(2100)]
    _serve(httpx_mock, videos, inclusive=True)
    pages = list(api.pages({}, None, Patience))
    uids = [video.uid for page in pages if isinstance(page, Page) for video in page.videos]
    assert uids == [video["uid"] for video in videos]


def test_a_uid_is_absent_only_where_no_state_lists_it(api: Stream, httpx_mock: HTTPXMock) -> None:
    """A GET may be stale: whole or failed videos are not among the pending ones."""
    for state in ("pendingupload", "queued", "ready", "error"):
        httpx_mock.reset()
        _serve(httpx_mock, [_video(UID, state)], inclusive=True)
        found = api.find(created(), Patience)
        assert isinstance(found, Found)
        assert found.listed


def test_only_pending_videos_are_twins(api: Stream, httpx_mock: HTTPXMock) -> None:
    meta = {"cfupload": created().marker}
    _serve(httpx_mock, [_video(OTHER, "ready", meta=meta)], inclusive=True)
    assert api.find(created(), Patience) == Found((), listed=False, date=NOON)


@pytest.mark.parametrize(
    ("status", "document", "kind"),
    [
        (404, _envelope(7003), Denied),
        (404, None, Trouble),
        (403, _envelope(10000), Denied),
        (403, None, Trouble),
        (500, _envelope(10001), Trouble),
        (200, None, Trouble),
        (200, _good({}), Trouble),
        (200, {**_good([]), "success": False}, Trouble),
        (200, _good([]), Found),
        (200, _good([None, {}, {"uid": "x"}]), Found),
    ],
)
def test_what_a_reply_to_a_list_means(
    status: int, document: object, kind: type, api: Stream, httpx_mock: HTTPXMock
) -> None:
    body = b"<html>" if document is None else json.dumps(document).encode()
    httpx_mock.add_response(status_code=status, content=body)
    assert isinstance(api.find(intended(), Patience), kind)
