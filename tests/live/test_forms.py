"""Questions about videos that come in one form."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from live.answers import Answers
from live.service import SAMPLE, Live, told
from live.windows import find_longest

# Some wait for minutes, on Stream's clock.
pytestmark = [pytest.mark.live, pytest.mark.timeout(1200)]

TOO_MUCH = 200_100_000
BORDER = "cfupload-live"
HEAD = (
    f'--{BORDER}\r\ncontent-disposition: form-data; name="file"; filename="live.mp4"\r\n'
    "content-type: video/mp4\r\n\r\n"
).encode()
TAIL = f"\r\n--{BORDER}--\r\n".encode()
TYPE = f"multipart/form-data; boundary={BORDER}"


def test_a_form_that_is_sent_twice(live: Live, answers: Answers) -> None:
    _, url = live.direct_upload()
    first, second = live.form(url), live.form(url)
    assert first.is_success, told(first)
    answers.found("form_used", second.status_code, f"first {told(first)}, again {told(second)}")


def test_a_form_that_breaks_off(live: Live, answers: Answers) -> None:
    _, url = live.direct_upload()
    parts, data = urlsplit(url), SAMPLE.read_bytes()
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.netloc, timeout=60)
    connection.putrequest("POST", url.removeprefix(f"{parts.scheme}://{parts.netloc}"))
    connection.putheader("content-type", TYPE)
    connection.putheader("content-length", str(len(HEAD) + len(data) + len(TAIL)))
    connection.endheaders(HEAD + data[: len(data) // 2])
    time.sleep(max(0.3, 4 * live.scale))
    connection.close()
    time.sleep(max(0.3, 10 * live.scale))
    again = live.form(url)
    answers.found("form_after_cut", "usable" if again.is_success else "used", told(again))


def test_a_form_url_that_is_asked_otherwise(live: Live, answers: Answers) -> None:
    _, url = live.direct_upload()
    replies = {method: live.plain(method, url) for method in ("PATCH", "PUT", "HEAD")}
    seen = ", ".join(f"{method} {told(reply)}" for method, reply in replies.items())
    answers.found("form_not_post", replies["PATCH"].status_code, seen)


def test_a_form_that_is_too_large(live: Live, answers: Answers, big: bool) -> None:
    if not big:
        pytest.skip("takes 200 MB of traffic: --live-big")
    _, url = live.direct_upload()
    length = str(len(HEAD) + TOO_MUCH + len(TAIL))
    reply = live.plain(
        "POST", url, _large(), headers={"content-type": TYPE, "content-length": length}
    )
    answers.found("form_too_large", reply.status_code, told(reply))


def _large() -> Iterator[bytes]:
    yield HEAD
    left, block = TOO_MUCH, bytes(1 << 20)
    while left > 0:
        yield block[:left]
        left -= len(block)
    yield TAIL


def test_longest_expiry_of_a_form(live: Live, answers: Answers) -> None:
    def ask(moment: str) -> tuple[httpx.Response, str]:
        reply = live.try_direct_upload(expiry=moment)
        return reply, reply.json()["result"]["uid"] if reply.is_success else ""

    find_longest(live, answers, "form_expiry_cap", ask)


def test_name_of_a_basic_upload(live: Live, answers: Answers) -> None:
    reply = live.basic(f"{live.mark}.mp4")
    assert reply.is_success, told(reply)
    name = reply.json()["result"]["meta"].get("name")
    answers.found("form_name", name is not None, f"name: {name}")
