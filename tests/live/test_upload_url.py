"""Questions to the upload URL: what it says when, and what it keeps."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from live.answers import Answers
from live.service import BLOCK, CHUNK_TYPE, SMALLEST_CHUNK, HalfPatch, Live, Upload, body_kind, told

# Some wait for minutes, on Stream's clock.
pytestmark = [pytest.mark.live, pytest.mark.timeout(1200)]

EXPIRY_SECONDS = (130, 600)
OVERSIZE = 209_715_200 + BLOCK


def test_direct_user_needs_no_token(live: Live, answers: Answers) -> None:
    direct, own = live.create(10), live.create(10, direct_user=False)
    said = {"direct_user": live.head(direct), "own": live.head(own)}
    bare = live.tus("HEAD", own, authorization="")
    answers.note(
        "the token at the upload URL",
        f"direct_user, without: {said['direct_user'].status_code}; token kind, with:"
        f" {said['own'].status_code}, without: {bare.status_code}",
    )
    assert said["direct_user"].status_code == said["own"].status_code == 200


def test_after_completion(live: Live, answers: Answers) -> None:
    upload = live.sent()
    head = live.head(upload)
    patch = live.patch(upload, 0, b"x")
    goes_on = head.headers.get("upload-offset") == str(upload.length)
    answers.found(
        "after_completion",
        "offset" if goes_on else head.status_code,
        f"HEAD {head.status_code}, PATCH {told(patch)}",
    )


def test_after_expiry(live: Live, answers: Answers) -> None:
    window, longer = EXPIRY_SECONDS
    reply = live.try_create(10, live.metadata(expiry=live.moment(window * live.scale)))
    if reply.status_code != 201:
        window = longer
        reply = live.try_create(10, live.metadata(expiry=live.moment(window * live.scale)))
    if reply.status_code != 201:
        for switch in ("after_expiry", "expired_record"):
            answers.unanswered(switch, f"an expiry in {window} s is refused: {told(reply)}")
        return
    upload = live.made(reply, 10)
    live.wait(window + 5)
    head, patch = live.head(upload), live.patch(upload, 0, bytes(10))
    answers.found("after_expiry", head.status_code, f"HEAD {head.status_code}, PATCH {told(patch)}")
    gone = live.until(lambda: not live.exists(upload.uid), 120, every=10)
    seen = "still there after 120 s" if gone is None else f"gone after {gone[1]:.1f} s at most"
    answers.found("expired_record", "stays" if gone is None else "vanishes", seen)


def test_after_deletion(live: Live, answers: Answers) -> None:
    upload = live.create(10)
    first, second = live.delete(upload.uid), live.delete(upload.uid)
    assert first.status_code in (200, 204)
    answers.found(
        "delete_reply",
        "json" if first.content else "empty",
        f"first: {told(first)}, again: {told(second)}",
    )
    head, patch = live.head(upload), live.patch(upload, 0, bytes(10))
    answers.found(
        "after_deletion", head.status_code, f"HEAD {head.status_code}, PATCH {told(patch)}"
    )


def test_what_a_cut_leaves(live: Live, answers: Answers) -> None:
    upload, sent = live.create(3 * BLOCK), 2 * BLOCK + 1000
    with HalfPatch(upload) as patch:
        patch.send(bytes(sent))
        time.sleep(max(0.3, 4 * live.scale))
    kept = _settled(live, upload)
    known = {0: "nothing", 2 * BLOCK: "blocks", sent: "all"}
    answers.found("keep", known.get(kept, kept), f"{kept} of {sent} bytes")


def _settled(live: Live, upload: Upload) -> int:
    """The offset once Stream has noticed the cut: unchanged for a while, and no longer locked."""
    offset, since = -1, time.monotonic()
    while time.monotonic() - since < max(0.5, (5 if offset > 0 else 20) * live.scale):
        reply = live.head(upload)
        found = int(reply.headers["upload-offset"]) if reply.status_code == 200 else -1
        if found != offset:
            offset, since = found, time.monotonic()
        time.sleep(max(0.02, live.scale))
    return offset


def test_second_patch(live: Live, answers: Answers) -> None:
    upload = live.create(BLOCK + 10)
    with HalfPatch(upload) as first:
        first.send(bytes(BLOCK))
        time.sleep(max(0.3, 4 * live.scale))
        second = live.patch(upload, 0, bytes(BLOCK + 10))
        locked = second.status_code == 423
        answers.found("second_patch", "locked" if locked else "takes_over", told(second))


def test_delete_during_a_patch(live: Live, answers: Answers) -> None:
    upload = live.create(BLOCK)
    with HalfPatch(upload) as patch:
        patch.send(bytes(1000))
        time.sleep(max(0.1, 4 * live.scale))
        deleted = live.delete(upload.uid)
        patch.send(bytes(BLOCK - 1000))
        status = patch.status()
    there = live.exists(upload.uid)
    answers.note(
        "a DELETE during a PATCH",
        f"DELETE {deleted.status_code}, PATCH {status}, and the video is"
        f" {'there' if there else 'gone'}",
    )


def test_bodies_of_tus_errors(live: Live, answers: Answers) -> None:
    upload = live.create(2 * SMALLEST_CHUNK)
    conflict = live.patch(upload, BLOCK, bytes(SMALLEST_CHUNK))
    small = live.patch(upload, 0, bytes(1000))
    assert conflict.status_code >= 400
    answers.found("tus_errors", body_kind(conflict), f"wrong offset: {told(conflict)}")
    answers.note("a chunk that is too small", told(small))
    answers.note("429", "not provoked: it would block the account for five minutes")


def test_oversize_chunk(live: Live, answers: Answers, big: bool) -> None:
    if not big:
        pytest.skip("takes 200 MiB of traffic: --live-big")
    upload = live.create(OVERSIZE + SMALLEST_CHUNK)
    reply = live.tus(
        "PATCH",
        upload,
        _zeros(OVERSIZE),
        upload_offset="0",
        content_type=CHUNK_TYPE,
        content_length=str(OVERSIZE),
    )
    answers.found("oversize_chunk", reply.status_code, told(reply))


def _zeros(length: int) -> Iterator[bytes]:
    block = bytes(1 << 20)
    while length > 0:
        yield block[:length]
        length -= len(block)


def test_options(live: Live, answers: Answers) -> None:
    reply = live.tus("OPTIONS", live.create(10))
    speaks = reply.is_success and "tus-version" in reply.headers
    extensions = reply.headers.get("tus-extension", "none")
    answers.found(
        "options",
        "tus" if speaks else reply.status_code,
        f"{reply.status_code}, extensions: {extensions}",
    )


def test_upload_expires(live: Live, answers: Answers) -> None:
    upload = live.create(10)
    head = live.head(upload).headers.get("upload-expires")
    answers.found(
        "upload_expires_header",
        head is not None,
        f"HEAD: {head}, create: {upload.headers.get('upload-expires')}",
    )


def test_slow_line(live: Live, answers: Answers) -> None:
    upload, steps = live.create(BLOCK), 24
    with HalfPatch(upload) as patch:
        try:
            for _ in range(steps):
                patch.send(bytes(BLOCK // steps))
                live.wait(5)
            patch.send(bytes(BLOCK % steps))
        except OSError as error:
            answers.note("a line of two minutes for 256 KiB", f"cut: {type(error).__name__}")
            return
        answers.note("a line of two minutes for 256 KiB", patch.status())
