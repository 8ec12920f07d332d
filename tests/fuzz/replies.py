"""Replies: raw bytes after our request, and bodies and headers that pass for Stream's."""

from __future__ import annotations

import json
import math
import re
import socket
from collections.abc import Iterable
from contextlib import closing, suppress
from typing import Any

import httpcore
from hypothesis import strategies as st

from cfstream_upload import pace
from cfstream_upload.attempt import is_label, is_uid
from cfstream_upload.envelope import decipher
from cfstream_upload.outcome import Acked, Created, Offset, Outcome, Seen
from cfstream_upload.pools import Pools
from cfstream_upload.records import as_json
from cfstream_upload.sockets import Sockets, _Stream
from cfstream_upload.stream import Page, Stream
from cfstream_upload.tus import Upload
from cfstream_upload.video import video_of
from cfstream_upload.wire import UPLOAD_HOSTS, Patience, Wire, WireError

from .target import Target, near

BASE = "http://127.0.0.1:1/client/v4"
ACCOUNT = "0" * 32
UID = "a" * 32
SIZE = 10_000
LONGEST_WORDS = 2000
WORDS = [
    "HTTP/1.1 200 OK\r\n", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.0 404 x\r\n",
    "HTTP/1.1 999 \r\n", "Content-Length: 0\r\n", "Content-Length: 2\r\nContent-Length: 3\r\n",
    "content-length: +5\r\n", "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: gzip, chunked\r\n", "\r\n\r\n", "\n", "\r", "Upload-Offset: 5\r\n",
    "Upload-Offset: \u0665\r\n", "upload-offset: 1e3\r\n", "-1", "5, 5", "+1",
    "Upload-Length: 10000\r\n", f"stream-media-id: {UID}\r\n", "Content-Encoding: gzip\r\n",
    "Location: https://upload.cloudflarestream.com/tus/x\r\n", "Location: //evil.example/\r\n",
    "Retry-After: ", "Date: ", "99999999999", "Wed, 21 Oct 2099 07:28:00 GMT", "\x00", "\x80",
    ": ", "5\r\nhello\r\n0\r\n\r\n", "ffffffffffffffff\r\n", ";a=b", " ", "\t",
    '{"success":true}',
]  # fmt: skip


class Canned(Sockets):
    """Every connection finds the same bytes in its mailbox, and then the end."""

    def __init__(self, reply: bytes) -> None:
        super().__init__(5.0)
        self._reply = reply
        self.ends: list[socket.socket] = []

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """A pair of sockets instead of a way to ``host``."""
        ours, theirs = socket.socketpair()
        self.ends.append(theirs)
        theirs.sendall(self._reply)
        theirs.shutdown(socket.SHUT_WR)
        ours.setblocking(False)
        self.watch.connected()
        return _Stream(ours, self, host, tls=False)


def check_reply(data: bytes) -> None:
    """Raw bytes as the reply to a look, a list, a create, a HEAD and a PATCH."""
    canned = Canned(data[:50_000])
    wire = Wire(api_base=BASE, token="fuzz-token-77")
    wire._sockets = canned
    wire._transport = Pools(canned, None, None)
    patience = Patience(deadline=5, stall=5)
    with closing(wire):
        stream, upload = Stream(wire, BASE, ACCOUNT), Upload(wire, SIZE, {})
        _judge(stream.look(UID, patience), data)
        _judge(stream.delete(UID, patience), data)
        page = next(stream.pages({}, None, lambda: patience))
        if not isinstance(page, Page):
            _judge(page, data)
        _judge(stream.create(upload.creation_headers(), patience), data)
        address = BASE.replace("/client/v4", "/tus/secret")
        _judge(upload.head(address, patience), data)
        with suppress(WireError):
            reply = wire.request("GET", f"{BASE}/x", headers={}, patience=patience, max_body=64)
            assert len(reply.body) <= 64
            assert 200 <= reply.status <= 999
    for end in canned.ends:
        end.close()


def _judge(outcome: Outcome, data: bytes) -> None:
    match outcome:
        case Created(uid, url):
            assert is_uid(uid)
            assert re.match(rf"https://({'|'.join(UPLOAD_HOSTS)})/|http://127\.0\.0\.1:", url)
        case Offset(offset) | Acked(offset):
            assert re.search(rb"(?i)upload-offset:[ \t]*0*%d[ \t]*\r?\n" % offset, data)
        case Seen(state, marker, expiry):
            assert state
            assert marker is None or isinstance(marker, str)
            assert expiry is None or math.isfinite(expiry)
    asked = getattr(outcome, "retry_after", None)
    assert asked is None or 0 <= asked < math.inf
    assert 0 <= pace.wait(1, asked, 0.5) <= pace.RETRY_AFTER_CAP
    message = getattr(outcome, "message", "")
    assert len(message) <= LONGEST_WORDS
    assert "tus/secret" not in message


# --- bodies and headers ---------------------------------------------------------------------------

_leaf = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**400, -(2**63), 10059, 10011, 1e308, float("inf"), float("nan")])
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["ready", "pendingupload", UID, "2099-01-01T00:00:00Z", "1e999", "99.5"])
)  # fmt: skip
_KEYS = [
    "success", "errors", "messages", "result", "code", "message", "uid", "status", "state", "meta",
    "name", "cfupload", "pctComplete", "readyToStream", "uploadExpiry", "created",
    "errorReasonCode", "errReasonText", "playback", "hls", "preview", "thumbnail", "size",
]  # fmt: skip


def _table(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(_KEYS) | st.text(max_size=3), inner, max_size=5)


_json = st.recursive(_leaf, lambda inner: st.lists(inner, max_size=3) | _table(inner), max_leaves=8)
_problem = st.fixed_dictionaries({}, optional={"code": _leaf, "message": _leaf | _json})
_status = st.fixed_dictionaries(
    {"state": st.sampled_from(["ready", "error"]) | _leaf},
    optional=dict.fromkeys(("pctComplete", "errorReasonText", "errReasonCode"), _json),
)
_marked = st.text(max_size=70).map(lambda label: {"cfupload": f"1.{UID}.{UID}.{label}"})
_video = st.fixed_dictionaries(
    {"uid": st.just(UID) | _leaf, "status": _status | _json},
    optional={
        "meta": _table(_leaf) | _leaf | _marked,
        "size": _leaf,
        **dict.fromkeys(("playback", "preview", "created", "uploadExpiry"), _json),
    },
)
_problems = st.lists(_problem | _json, max_size=3) | _json
_envelope = st.fixed_dictionaries(
    {"success": st.booleans() | _leaf, "result": _video | st.lists(_video, max_size=2) | _json},
    optional={"errors": _problems, "messages": _problems},
)  # fmt: skip
_DATES = [
    "", "0", "-1", "1e9", "120", "999999999", "9999999999", " 7 ", "\u0665", "7;8", "1 2",
    "Wed, 21 Oct 2015 07:28:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT",
    "Mon, 01 Jan 0001 00:00:00 -2359", "Wed, 21 Oct 2015 07:28:00 +9999", "21 Oct 15 07:28",
    "Wed, 99 Oct 2015 99:99:99 GMT", "a b c d e", "Wed, 21 Oct 99999999 07:28:00 GMT",
    "Wed, 21 Oct 2015 07.28.00 GMT", "Oct 21 2015", "1,2,3",
]  # fmt: skip
_line = st.sampled_from(_DATES) | st.text("0123456789 :,+-GMTOct", max_size=20)


def _lines(status: int, after: str, date: str, body: object) -> bytes:
    text = body if isinstance(body, str) else json.dumps(body)
    return f"{status}\n{after}\n{date}\n{text}".encode("utf-8", "surrogatepass")


_envelopes = st.builds(
    _lines,
    st.sampled_from([200, 400, 401, 404, 413, 429, 500, 302]),
    _line,
    _line,
    _envelope | _json,
)


def check_envelope(data: bytes) -> None:
    """Status, ``Retry-After``, ``Date`` and a body, deciphered and read as a video."""
    status, after, date, body = [*data.split(b"\n", 3), b"", b"", b""][:4]
    headers = {"retry-after": after.decode("latin-1"), "date": date.decode("latin-1")}
    answer = decipher(int(status) if status.isdigit() and len(status) < 4 else 200, headers, body)
    asked = answer.retry_after
    assert asked is None or 0 <= asked < math.inf
    assert 0 <= pace.wait(3, asked, 0.5) <= pace.RETRY_AFTER_CAP
    assert answer.date is None or math.isfinite(answer.date)
    assert answer.code is None or type(answer.code) is int
    failure, trouble = answer.failure("to do it"), answer.trouble("Doing it")
    assert len(failure.message) <= LONGEST_WORDS
    assert len(trouble.message) <= LONGEST_WORDS
    if answer.success:
        assert answer.envelope
    _read(answer.result)


def _read(result: object) -> None:
    _strict(as_json(result, str))
    video = video_of(result)
    if video is None:
        return
    assert is_uid(video.uid)
    assert video.state
    assert video.percent is None or 0 <= video.percent <= 100
    assert video.expiry is None or math.isfinite(video.expiry)
    if marker := video.marker:
        # As it would enter the journal, which refuses itself for any other.
        assert is_uid(marker.attempt)
        assert is_uid(marker.host)
        assert not marker.label or is_label(marker.label)
    assert video.size is None or 0 < video.size < 1 << 63
    assert all(link is None or isinstance(link, str) for link in video.links.values())
    assert isinstance(video.detail + video.created + video.name, str)
    assert video.encoded in (True, False)
    assert video.playable in (True, False)


def _strict(text: str) -> None:
    """Read JSON as one who takes no Python for it."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    json.loads(text, parse_constant=refuse)


TARGETS = [
    Target("reply", near("reply", WORDS), check_reply, 200),
    Target("envelope", _envelopes | near("envelope", _KEYS + _DATES), check_envelope, 500),
]
