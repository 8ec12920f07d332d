"""What a careless or hostile client may send: the status and the envelope that it gets."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from cfstream_upload.emulator.endpoint import Endpoint
from cfstream_upload.emulator.model import Stream
from cfstream_upload.emulator.protocol import LARGEST_HEAD, LONGEST_URL
from cfstream_upload.emulator.server import running
from emulator.driving import ACCOUNT, CHUNK, TOKEN, Driver, Upload, over_http, video_bytes

ROOT = f"/client/v4/accounts/{ACCOUNT}"
AUTH = f"authorization: Bearer {TOKEN}"
TUS = "tus-resumable: 1.0.0"
CHUNKS = "content-type: application/offset+octet-stream"


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    service = Stream(data=tmp_path_factory.mktemp("data"), account=ACCOUNT, token=TOKEN)
    with running(service) as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def client(endpoint: Endpoint) -> Iterator[Driver]:
    with httpx.Client(trust_env=False) as http:
        yield over_http(endpoint, http)


@pytest.fixture(scope="module")
def upload(client: Driver) -> Upload:
    return client.create(3 * CHUNK)


@pytest.fixture(scope="module")
def form(client: Driver) -> Upload:
    return client.form_upload()


def raw(endpoint: Endpoint, request: bytes, *, end: bool = False) -> tuple[int, bytes]:
    """Send bytes and read one reply, which ends with the connection or its content-length."""
    with socket.create_connection(("127.0.0.1", endpoint.port), timeout=10) as connection:
        try:
            connection.sendall(request)
            if end:
                connection.shutdown(socket.SHUT_WR)
        except OSError:  # it has answered and hung up
            pass
        received = b""
        while True:
            block = connection.recv(65_536)
            received += block
            head, found, body = received.partition(b"\r\n\r\n")
            length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            if not block or (found and length and len(body) >= int(length)):
                break
    return int(received.split(b" ", 2)[1]), received.partition(b"\r\n\r\n")[2]


def request(method: str, target: str, *lines: str, body: bytes = b"") -> bytes:
    return "\r\n".join([f"{method} {target} HTTP/1.1", "host: x", *lines, "", ""]).encode() + body


def told(body: bytes) -> tuple[int, str]:
    """The code of an envelope, and what its message says."""
    found: Any = json.loads(body)
    assert (found["success"], found["result"]) == (False, None)
    return found["errors"][0]["code"], (found["messages"] or found["errors"])[0]["message"]


TARGETS = [
    (f"{ROOT}/stream/..", 404, 10003),
    (f"{ROOT}/stream/../../user/tokens/verify", 404, 7003),
    (f"{ROOT}/stream/%2e%2e", 404, 10003),
    (f"{ROOT}/stream/..%2f..%2fmedia", 404, 7003),
    (f"{ROOT}/stream/%2e%2e%2f%2e%2e%2fetc%2fpasswd", 404, 7003),
    (f"{ROOT}/stream/%00", 404, 10003),
    (f"{ROOT}/stream/%ff%fe", 404, 10003),
    (f"{ROOT}/stream/{'A' * 32}", 404, 10003),
    (f"{ROOT}/stream//", 404, 7003),
    (f"{ROOT}//stream", 404, 7003),
    (f"{ROOT}/stream/{'a' * 5000}", 404, 10003),
    ("/client/v4/accounts/../stream", 404, 7003),
    ("/client/v4/accounts/%2e%2e/stream", 404, 7003),
    (f"/client/v4/accounts/{'b' * 32}/stream", 403, 9109),
    ("/client/v4", 404, 7003),
    (f"{ROOT}/stream?limit=1&limit=0", 400, 10005),
    (f"{ROOT}/stream?limit=%31%30%30%31", 400, 10005),
    (f"{ROOT}/stream?limit=" + "9" * 5000, 400, 10005),
    (f"{ROOT}/stream?before=9999-12-31T23:59:59-23:59", 400, 10005),
    (f"{ROOT}/stream?after=2027-13-45T99:99:99Z", 400, 10005),
    (f"{ROOT}/stream?status=ready%00", 400, 10005),
]


@pytest.mark.parametrize(("target", "status", "code"), TARGETS)
def test_a_strange_path_or_query_leads_nowhere(
    endpoint: Endpoint, target: str, status: int, code: int
) -> None:
    answered, body = raw(endpoint, request("GET", target, AUTH))
    assert (answered, told(body)[0]) == (status, code)


UPLOADS = [
    ("/tus/..", 404, "no such upload"),
    ("/tus/%2e%2e", 404, "no such upload"),
    ("/tus/" + "0" * 32, 404, "no such upload"),
    ("/tus/" + "A" * 32, 404, "no such upload"),
]


@pytest.mark.parametrize(("target", "status", "words"), UPLOADS)
def test_a_strange_upload_url_is_no_upload(
    endpoint: Endpoint, target: str, status: int, words: str
) -> None:
    lines = (TUS, CHUNKS, "upload-offset: 0", "content-length: 4")
    answered, body = raw(endpoint, request("PATCH", target, *lines, body=b"data"))
    assert (answered, told(body)) == (status, (10005, words))


@pytest.mark.parametrize(
    "target", ["/tus/a%2f..%2fb", "/tus/", "/tus", f"/{'a' * 31}", "/etc/passwd"]
)
def test_what_is_near_an_upload_url_is_no_route(endpoint: Endpoint, target: str) -> None:
    answered, body = raw(endpoint, request("HEAD", target, TUS).replace(b"HEAD", b"POST", 1))
    assert (answered, told(body)[0]) == (404, 7003)


CREATES = [
    ((), 400, "Tus-Resumable is missing"),
    ((TUS,), 400, "Upload-Length"),
    ((TUS, "upload-length: "), 400, "Upload-Length"),
    ((TUS, "upload-length: +5"), 400, "Upload-Length"),
    ((TUS, "upload-length: 5.0"), 400, "Upload-Length"),
    ((TUS, "upload-length: 0x10"), 400, "Upload-Length"),
    ((TUS, "upload-length: 1e3"), 400, "Upload-Length"),
    ((TUS, "upload-length: \u0663"), 400, "Upload-Length"),
    ((TUS, "upload-length: " + "9" * 5000), 400, "Upload-Length"),
    ((TUS, "upload-length: 30000000001"), 413, "Upload-Length is over"),
    ((TUS, "upload-defer-length: 1"), 400, "Upload-Length"),
    (("tus-resumable: 1.0.1", "upload-length: 5"), 412, "unsupported version"),
    (("tus-resumable: 1.0", "upload-length: 5"), 412, "unsupported version"),
    ((TUS, "upload-length: 5", "upload-metadata: name"), 201, ""),
    ((TUS, "upload-length: 5", "upload-metadata: "), 201, ""),
    ((TUS, "upload-length: 5", "upload-metadata: name YQ"), 400, "base64"),
    ((TUS, "upload-length: 5", "upload-metadata: name Y Q="), 400, "base64"),
    ((TUS, "upload-length: 5", "upload-metadata: name  YQ=="), 400, "base64"),
    ((TUS, "upload-length: 5", "upload-metadata: name YQ==,"), 400, "empty or repeated"),
    ((TUS, "upload-length: 5", "upload-metadata: ,"), 400, "empty or repeated"),
    ((TUS, "upload-length: 5", "upload-metadata: name YQ==,name YQ=="), 400, "empty or repeated"),
    ((TUS, "upload-length: 5", "upload-metadata: n\xe4me YQ=="), 400, "empty or repeated"),
    ((TUS, "upload-length: 5", "upload-metadata: name /w=="), 400, "base64"),
    ((TUS, "upload-length: 5", "upload-metadata: maxdurationseconds MA=="), 400, "1 and 36000"),
    ((TUS, "upload-length: 5", "upload-metadata: maxdurationseconds"), 400, "1 and 36000"),
    ((TUS, "upload-length: 5", "upload-metadata: thumbnailtimestamppct bmFu"), 400, "0.0 and 1.0"),
    ((TUS, "upload-length: 5", "upload-metadata: expiry"), 400, "RFC 3339"),
    ((TUS, "upload-length: 5", "upload-creator: " + "c" * 65), 400, "64 characters"),
    ((TUS, "upload-length: 5", "content-type: application/json"), 201, ""),
    (("content-type: application/json",), 400, "Tus-Resumable is missing"),
    (("content-type: video/mp4",), 400, "Tus-Resumable is missing"),
    (("content-type: multipart/form-data",), 400, "Decoding Error"),
]


@pytest.mark.parametrize(("lines", "status", "words"), CREATES)
def test_a_malformed_create_is_refused_in_streams_envelope(
    endpoint: Endpoint, lines: tuple[str, ...], status: int, words: str
) -> None:
    head = (AUTH, *lines, "content-length: 0")
    sent = request("POST", f"{ROOT}/stream?direct_user=true", *head)
    answered, body = raw(endpoint, sent.decode().encode("latin-1", "replace"))
    assert answered == status
    assert words in (told(body)[1] if body else "")


PATCHES = [
    ((CHUNKS, "upload-offset: 0"), 412, "Tus-Resumable"),
    (("tus-resumable: 2.0.0", CHUNKS, "upload-offset: 0"), 412, "Tus-Resumable"),
    ((TUS, "upload-offset: 0"), 400, "Content-Type"),
    ((TUS, "content-type: application/json", "upload-offset: 0"), 400, "Content-Type"),
    ((TUS, "content-type: application/octet-stream", "upload-offset: 0"), 400, "Content-Type"),
    ((TUS, "content-type: multipart/form-data; boundary=x", "upload-offset: 0"), 400, "Content"),
    ((TUS, CHUNKS), 400, "Upload-Offset must be a number"),
    ((TUS, CHUNKS, "upload-offset: -1"), 400, "Upload-Offset must be a number"),
    ((TUS, CHUNKS, "upload-offset: 0.0"), 400, "Upload-Offset must be a number"),
    ((TUS, CHUNKS, "upload-offset: " + "0" * 5000), 400, "Upload-Offset must be a number"),
    ((TUS, CHUNKS, "upload-offset: 1"), 409, "Upload-Offset is 0"),
    ((TUS, CHUNKS, "upload-offset: 0"), 400, "at least 5242880"),
]


@pytest.mark.parametrize(("lines", "status", "words"), PATCHES)
def test_a_malformed_patch_is_refused_and_stores_nothing(
    endpoint: Endpoint,
    client: Driver,
    upload: Upload,
    lines: tuple[str, ...],
    status: int,
    words: str,
) -> None:
    sent = request("PATCH", upload.path, *lines, "content-length: 4", body=b"data")
    answered, body = raw(endpoint, sent)
    assert (answered, told(body)[0]) == (status, 10005)
    assert words in told(body)[1]
    assert client.offset(upload) == 0


@pytest.mark.parametrize(
    ("method", "lines", "status"),
    [
        ("GET", (TUS,), 405),
        ("PUT", (TUS,), 405),
        ("DELETE", (TUS,), 405),
        ("POST", (TUS, "x-http-method-override: PATCH"), 400),
        ("POST", (), 400),
    ],
)
def test_an_upload_url_takes_no_other_method(
    endpoint: Endpoint, upload: Upload, method: str, lines: tuple[str, ...], status: int
) -> None:
    answered, body = raw(endpoint, request(method, upload.path, *lines, "content-length: 0"))
    assert (answered, told(body)[0]) == (status, 10005)


def test_a_body_in_chunks_that_is_longer_than_the_upload_is_refused_and_forgotten(
    endpoint: Endpoint, client: Driver
) -> None:
    small = client.create(10)
    lines = (TUS, CHUNKS, "upload-offset: 0", "transfer-encoding: chunked")
    sent = request("PATCH", small.path, *lines, body=b"b\r\n" + video_bytes(11) + b"\r\n0\r\n\r\n")
    answered, body = raw(endpoint, sent)
    assert (answered, told(body)[1]) == (400, "the chunk goes beyond Upload-Length")
    assert client.offset(small) == 0


def test_what_follows_a_body_of_the_declared_length_is_no_part_of_it(
    endpoint: Endpoint, client: Driver
) -> None:
    small = client.create(10)
    lines = (TUS, CHUNKS, "upload-offset: 0", "content-length: 10")
    sent = request("PATCH", small.path, *lines, body=video_bytes(10) + b"too much")
    assert raw(endpoint, sent)[0] in (204, 400)
    assert client.offset(small) == 10


def test_a_body_shorter_than_declared_is_a_cut(endpoint: Endpoint, client: Driver) -> None:
    small = client.create(100)
    lines = (TUS, CHUNKS, "upload-offset: 0", "content-length: 100")
    with socket.create_connection(("127.0.0.1", endpoint.port), timeout=10) as connection:
        connection.sendall(request("PATCH", small.path, *lines, body=video_bytes(60)))
    assert client.patch(small, 0, video_bytes(100)).status in (204, 423)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\n\r\n", 400),
        (request("GET", f"{ROOT}/stream", AUTH, "content-length: x"), 400),
        (request("GET", f"{ROOT}/stream", AUTH, "content-length: 1", "content-length: 2"), 400),
        (request("GET", f"{ROOT}/stream", AUTH, "no colon here"), 400),
        (request("GET", f"/{'a' * LONGEST_URL}"), 414),
        (request("GET", f"{ROOT}/stream", AUTH, "x: " + "v" * LARGEST_HEAD), 431),
        (request("GET", f"{ROOT}/stream", AUTH, *(["x: " + "v" * 1000] * 200)), 431),
        (request("GET", f"{ROOT}/stream", AUTH)[:-2] + b"x: " + b"v" * (8 * LARGEST_HEAD), 431),
    ],
)
def test_what_the_edge_cannot_read_gets_a_page_and_the_connection_ends(
    endpoint: Endpoint, sent: bytes, status: int
) -> None:
    answered, body = raw(endpoint, sent)
    assert answered == status
    assert body.startswith(b"<html>")
    assert b"cloudflare" in body


def test_headers_that_are_large_but_allowed_pass(endpoint: Endpoint) -> None:
    lines = ["x: " + "v" * 1000] * 120
    assert raw(endpoint, request("GET", f"{ROOT}/stream", AUTH, *lines))[0] == 200


def test_a_document_that_is_too_large_is_refused(client: Driver) -> None:
    reply = client.api("POST", "/stream/direct_upload", body=b" " * (2 << 20))
    assert (reply.status, told(reply.body)[0]) == (413, 10005)


def test_a_form_that_stops_in_its_middle_leaves_its_url_as_it_was(
    endpoint: Endpoint, client: Driver, form: Upload
) -> None:
    lines = ("content-type: multipart/form-data; boundary=b", "content-length: 500")
    start = b'--b\r\ncontent-disposition: form-data; name="file"\r\n\r\n' + video_bytes(100)
    with socket.create_connection(("127.0.0.1", endpoint.port), timeout=10) as connection:
        connection.sendall(request("POST", form.path, *lines, body=start))
    assert client.state(form.uid) == "pendingupload"


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        (b"", 400),
        (b"{}", 200),
        (b"[]", 400),
        (b'{"meta": {"a": NaN}}', 400),
        (b'{"uploadExpiry": "9999-12-31T23:59:59-23:59"}', 400),
        (b'{"maxDurationSeconds": 1e999}', 400),
        (b'{"thumbnailTimestampPct": 1' + b"0" * 400 + b"}", 400),
        (b'{"meta": {"a": "\\ud800"}}', 200),
        (b"[" * 200_000, 400),
        (b'{"meta":' * 50_000, 400),
    ],
)
def test_a_strange_edit_is_refused_and_the_video_can_still_be_shown(
    client: Driver, upload: Upload, changes: bytes, status: int
) -> None:
    reply = client.api("POST", f"/stream/{upload.uid}", body=changes)
    assert reply.status == status
    assert status == 200 or told(reply.body)[0] == 10005
    assert upload.uid in client.listed()
