"""tus over the shared client: one request a call, its reply believed strictly."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import httpx
import pytest
from pytest_httpx import HTTPXMock, IteratorStream

from cfstream_upload.attempt import Patch
from cfstream_upload.errors import FileChanged, FileProblem
from cfstream_upload.outcome import (
    Acked,
    FileFault,
    Offset,
    Outcome,
    Refusal,
    TooLarge,
    Trouble,
    UrlDead,
)
from cfstream_upload.tus import Upload
from cfstream_upload.wire import Patience, Wire

URL = "https://upload.cloudflarestream.com/tus/secretsecret?tusv2=true"
API = "https://api.cloudflare.com/client/v4"
SIZE, BLOCK = 3_000_000, 65_536


@dataclass
class Memory:
    """A file in memory that notes how far it was read."""

    size: int = SIZE
    fault: FileProblem | None = None
    read: list[int] = field(default_factory=list)

    def check(self) -> None:
        if isinstance(self.fault, FileChanged):
            raise self.fault

    def blocks(
        self,
        start: int,
        length: int,
        *,
        block: int = 0,
        before_last: Callable[[], None] | None = None,
        given_up: Callable[[], bool] | None = None,
    ) -> Iterator[bytes]:
        for position in range(start, start + length, BLOCK):
            if self.fault is not None and self.read:
                raise self.fault
            self.read.append(position)
            if position + BLOCK >= start + length and before_last is not None:
                before_last()
            yield b"v" * min(BLOCK, start + length - position)


@pytest.fixture
def wire() -> Iterator[Wire]:
    with Wire(api_base=API, token="canary", transport=httpx.HTTPTransport()) as wire:
        yield wire


@pytest.fixture
def upload(wire: Wire) -> Upload:
    return Upload(wire, SIZE, {})


def _patch(upload: Upload, source: Memory | None = None, start: int = 0) -> Outcome:
    step = Patch(start, 1_000_000, last=False)
    return upload.patch(URL, step, source or Memory(), Patience(), lambda sent: None, lambda: None)


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        ("0", 0),
        ("1000000", 1_000_000),
        ("007", 7),
        ("999999999999999", 999_999_999_999_999),
        *((text, None) for text in (
            "", "-1", "+5", "1_000", "5.0", "0x10", "12a", "1e3", "9" * 16, "1, 1", "\u0661",
        )),
    ],
)  # fmt: skip
def test_an_offset_is_plain_digits_or_nothing(
    text: str, offset: int | None, upload: Upload, httpx_mock: HTTPXMock
) -> None:
    headers = {b"Upload-Offset": text.encode()}
    httpx_mock.add_response(method="HEAD", headers=headers)
    httpx_mock.add_response(method="PATCH", status_code=204, headers=headers)
    head, patched = upload.head(URL, Patience()), _patch(upload)
    if offset is None:
        assert isinstance(head, Trouble)
        assert isinstance(patched, Trouble)
    else:
        assert head == Offset(offset)
        assert isinstance(patched, Acked)
        assert patched.offset == offset


def test_a_reply_without_an_offset_is_trouble(upload: Upload, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(status_code=200, html="<html>", is_reusable=True)
    assert isinstance(upload.head(URL, Patience()), Trouble)
    assert isinstance(_patch(upload), Trouble)


STATUSES: list[tuple[int, type[Outcome], bool]] = [
    *((status, UrlDead, False) for status in (401, 403, 404, 410)),
    *((status, Trouble, False) for status in (408, 409, 423, 425, 429, 460)),
    *((status, Trouble, False) for status in (500, 502, 503, 504, 520, 527, 599)),
    *((status, Refusal, True) for status in (301, 302, 303, 307, 308, 412, 415, 501)),
    *((status, Refusal, False) for status in (400, 402, 405, 418)),
]  # fmt: skip


@pytest.mark.parametrize(("status", "kind", "final"), STATUSES)
@pytest.mark.parametrize("method", ["HEAD", "PATCH"])
def test_what_a_status_of_the_upload_url_means(
    method: str, status: int, kind: type, final: bool, upload: Upload, httpx_mock: HTTPXMock
) -> None:
    httpx_mock.add_response(method=method, status_code=status, headers={"Upload-Offset": "5"})
    outcome = upload.head(URL, Patience()) if method == "HEAD" else _patch(upload)
    assert isinstance(outcome, kind)
    assert getattr(outcome, "final", False) is final
    assert "secretsecret" not in repr(outcome)


def test_a_chunk_that_is_too_large_is_told_apart(upload: Upload, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(status_code=413, is_reusable=True)
    assert isinstance(_patch(upload), TooLarge)
    assert isinstance(upload.head(URL, Patience()), Refusal)


def test_code_10059_is_final(upload: Upload, httpx_mock: HTTPXMock) -> None:
    errors = [{"code": 10059, "message": "not a video"}]
    document = {"success": False, "errors": errors, "messages": None}
    httpx_mock.add_response(status_code=400, json=document)
    outcome = _patch(upload)
    assert isinstance(outcome, Refusal)
    assert outcome.final


def test_retry_after_is_passed_on(upload: Upload, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(status_code=429, headers={"Retry-After": "17"})
    outcome = _patch(upload)
    assert isinstance(outcome, Trouble)
    assert outcome.retry_after == 17


def test_an_upload_url_of_another_length_is_refused(upload: Upload, httpx_mock: HTTPXMock) -> None:
    headers = {"Upload-Offset": "0", "Upload-Length": str(SIZE + 1)}
    httpx_mock.add_response(method="HEAD", headers=headers)
    outcome = upload.head(URL, Patience())
    assert isinstance(outcome, Refusal)
    assert outcome.final


def test_an_upload_url_on_a_strange_host_is_not_asked(upload: Upload) -> None:
    outcome = upload.head("https://evil.example/tus/x", Patience())
    assert isinstance(outcome, Refusal)


def test_a_redirect_is_never_followed(upload: Upload, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(status_code=307, headers={"Location": "https://evil.example/"})
    _patch(upload)
    assert len(httpx_mock.get_requests()) == 1


def test_the_upload_url_never_sees_the_token(upload: Upload, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(status_code=204, headers={"Upload-Offset": "0"}, is_reusable=True)
    upload.head(URL, Patience())
    _patch(upload)
    for request in httpx_mock.get_requests():
        assert "canary" not in repr(request.headers.raw)


def test_a_chunk_is_sent_with_its_offset_and_length(upload: Upload, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(status_code=204, headers={"Upload-Offset": "1500000"})
    outcome = _patch(upload, start=500_000)
    request = httpx_mock.get_request()
    assert request is not None
    assert request.headers["upload-offset"] == "500000"
    assert request.headers["content-length"] == "1000000"
    assert request.headers["content-type"] == "application/offset+octet-stream"
    assert request.headers["tus-resumable"] == "1.0.0"
    assert len(request.content) == 1_000_000
    assert isinstance(outcome, Acked)
    assert (outcome.offset, outcome.length, outcome.handed) == (1_500_000, 1_000_000, 1_500_000)


class Line(httpx.BaseTransport):
    """A line that takes ``most`` blocks of a body and is cut then."""

    def __init__(self, most: int) -> None:
        self._most = most

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        assert isinstance(request.stream, httpx.SyncByteStream)
        blocks = iter(request.stream)
        for _ in range(self._most):
            next(blocks)
        raise httpx.WriteError("reset")


def _patch_over(line: Line, source: Memory) -> Outcome:
    with Wire(api_base=API, token="canary", transport=line) as wire:
        return _patch(Upload(wire, SIZE, {}), source)


def test_bytes_are_counted_before_they_leave_and_read_when_they_do() -> None:
    source = Memory()
    outcome = _patch_over(Line(3), source)
    assert isinstance(outcome, Trouble)
    assert outcome.handed == 3 * BLOCK
    assert source.read == [0, BLOCK, 2 * BLOCK]


@pytest.mark.parametrize("fault", [FileChanged("changed"), FileProblem("bad disk")])
def test_a_fault_of_the_file_is_no_fault_of_the_line(fault: FileProblem) -> None:
    outcome = _patch_over(Line(3), Memory(fault=fault))
    assert isinstance(outcome, FileFault)
    expected = "changed" if isinstance(fault, FileChanged) else "file"
    assert outcome.failure.reason.value == expected


def test_for_a_file_that_changed_nothing_is_asked(upload: Upload) -> None:
    assert isinstance(_patch(upload, Memory(fault=FileChanged("changed"))), FileFault)


def test_a_reply_body_is_never_read_whole(upload: Upload, httpx_mock: HTTPXMock) -> None:
    read: list[int] = []

    def endless() -> Iterator[bytes]:
        while True:
            read.append(1)
            yield b"x" * BLOCK

    headers = {"Upload-Offset": "0"}
    httpx_mock.add_response(stream=IteratorStream(endless()), headers=headers)
    assert upload.head(URL, Patience()) == Offset(0)
    assert sum(read) * BLOCK <= 2 * 1024 * 1024


def test_metadata_is_encoded_with_flags_as_bare_keys_in_front(wire: Wire) -> None:
    metadata = {"requiresignedurls": None, "cfupload": "1.a.b", "name": "Ünï �.mp4"}
    headers = Upload(wire, SIZE, metadata).creation_headers()
    text = headers["upload-metadata"]
    parts = text.split(",")
    assert parts[0] == "requiresignedurls"
    decoded = {k: base64.b64decode(v).decode() for k, _, v in (p.partition(" ") for p in parts[1:])}
    assert decoded == {"cfupload": "1.a.b", "name": "Ünï �.mp4"}
    assert text == text.strip()
    assert headers["upload-length"] == str(SIZE)
    assert headers["content-length"] == "0"


def test_creating_is_not_left_to_tuspy(upload: Upload) -> None:
    with pytest.raises(RuntimeError):
        upload.create_url()
