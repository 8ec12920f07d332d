"""Where requests begin and end in a stream of bytes."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from cfstream_upload.emulator.framing import LONGEST_HEAD, End, Framing, Head

BODY = st.binary(max_size=200)


def parts(pieces: list[bytes]) -> list[tuple[str, str, bytes, bool]]:
    """The requests in these pieces: method, path, body, and whether it was complete."""
    framing, found = Framing(), list[tuple[str, str, bytes, bool]]()
    for piece in pieces:
        for part in framing.parts(piece):
            match part:
                case Head():
                    found.append((part.method, part.path, b"", False))
                case End():
                    found[-1] = (*found[-1][:3], True)
                case _:
                    found[-1] = (*found[-1][:2], found[-1][2] + part, found[-1][3])
    return found


def written(method: str, body: bytes, *, chunked: bool) -> tuple[bytes, bytes]:
    """A request and its body, as they are on the wire."""
    head = f"{method} /a%20b?c=d HTTP/1.1\r\nHost: x\r\n".encode()
    if chunked:
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
        return head + b"Transfer-Encoding: chunked\r\n\r\n" + body, body
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body, body


@given(
    requests=st.lists(
        st.tuples(st.sampled_from(["GET", "PATCH"]), BODY),
        min_size=1, max_size=4,
    ),
    chunked=st.booleans(),
    cuts=st.lists(st.integers(0, 1200), max_size=8),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_requests_are_found_however_the_bytes_come(
    requests: list[tuple[str, bytes]], chunked: bool, cuts: list[int]
) -> None:
    whole = [written(method, body, chunked=chunked) for method, body in requests]
    stream = b"".join(raw for raw, _ in whole)
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    pieces = [stream[a:b] for a, b in itertools.pairwise(places)]
    expected = [
        (method, "/a b", body, True) for (method, _), (_, body) in zip(requests, whole, strict=True)
    ]
    assert parts(pieces) == expected


def test_what_is_no_http_is_passed_on_as_it_is() -> None:
    for pieces in ([b"\x16\x03\x01\r\n\r\nhello", b" world"], [b"x" * (LONGEST_HEAD + 1), b"y"]):
        assert b"".join(p for piece in [Framing()] for w in pieces for p in _bytes(piece, w)) == (
            b"".join(pieces)
        )


def _bytes(framing: Framing, piece: bytes) -> list[bytes]:
    return [part for part in framing.parts(piece) if isinstance(part, bytes)]


def test_a_header_can_be_written_into_a_head() -> None:
    (head, _) = Framing().parts(b"HEAD / HTTP/1.1\r\nhost: x\r\n\r\n")
    assert isinstance(head, Head)
    assert head.with_header("a", "b") == b"HEAD / HTTP/1.1\r\na: b\r\nhost: x\r\n\r\n"
