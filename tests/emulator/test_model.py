"""The model by itself: quota, bodies that break off, restarts, and requests side by side."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cfstream_upload.emulator.access import Validity
from cfstream_upload.emulator.containers import is_video
from cfstream_upload.emulator.exchange import Exchange, Request
from cfstream_upload.emulator.model import Stream
from cfstream_upload.emulator.switches import Switches
from emulator.driving import (
    ACCOUNT,
    BLOCK,
    CHUNK,
    TOKEN,
    Clock,
    Driver,
    Upload,
    code,
    document,
    in_process,
    metadata,
    result,
    uids,
    video_bytes,
)


class Gone(Exception):
    """The client left."""


def broken_body(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), 100_000):
        yield data[start : start + 100_000]
    raise Gone


def cut_patch(driver: Driver, upload: Upload, offset: int, data: bytes) -> None:
    with pytest.raises(Gone):
        driver.tus(
            "PATCH",
            upload,
            broken_body(data),
            content_type="application/offset+octet-stream",
            upload_offset=str(offset),
        )


def begin_patch(stream: Stream, upload: Upload, offset: int = 0) -> Exchange:
    headers = {
        "tus-resumable": "1.0.0",
        "content-type": "application/offset+octet-stream",
        "upload-offset": str(offset),
    }
    return stream.begin(Request("PATCH", upload.path, {"tusv2": "true"}, headers))


def lasting(seconds: int) -> str:
    return metadata(maxdurationseconds=str(seconds))


def limited(clock: Clock, minutes_limit: int) -> Driver:
    return in_process(Stream(account=ACCOUNT, token=TOKEN, now=clock, minutes_limit=minutes_limit))


def test_pending_uploads_fill_the_account_until_creates_are_refused(clock: Clock) -> None:
    driver = limited(clock, 20)
    driver.create(10, upload_metadata=lasting(600))
    driver.create(10, upload_metadata=lasting(600))
    reply = driver.post(10, upload_metadata=lasting(1))
    assert (reply.status, code(reply)) == (413, 10011)
    assert document(reply)["errors"][0]["message"] == "Storage capacity exceeded"
    detail = document(reply)["messages"][0]["message"]
    assert detail == "You have uploaded 20.00 minutes and are allocated 20 minutes."


def test_an_upload_without_a_duration_reserves_four_hours(clock: Clock) -> None:
    assert limited(clock, 239).post(10).status == 413
    assert limited(clock, 240).post(10).status == 201


@pytest.mark.parametrize("way", ["processed", "failed", "deleted", "expired"])
def test_a_reservation_is_released(clock: Clock, way: str) -> None:
    driver = limited(clock, 10)
    upload = driver.create(10, upload_metadata=lasting(600))
    if way == "deleted":
        driver.delete(upload.uid)
    elif way == "expired":
        clock.pass_by(24 * 3600)
    else:
        driver.patch(upload, 0, video_bytes(10) if way == "processed" else b"0123456789")
        assert driver.post(10, upload_metadata=lasting(600)).status == 413
        clock.pass_by(1)
    assert driver.post(10, upload_metadata=lasting(600)).status == 201


def test_a_wrong_token_is_refused_before_the_quota_is(clock: Clock) -> None:
    driver = limited(clock, 0)
    driver.token = "wrong"
    assert driver.post(10).status == 401


def test_a_read_only_token_reads_and_changes_nothing(clock: Clock) -> None:
    driver = in_process(Stream(account=ACCOUNT, token=TOKEN, read_only_token="ro", now=clock))
    uid = driver.create(10).uid
    driver.token = "ro"
    assert driver.listed() == [uid]
    assert driver.post(10).status == driver.delete(uid).status == 403


def test_an_edit_of_an_absent_video_tells_a_token_that_may_edit_from_one_that_may_not(
    clock: Clock,
) -> None:
    driver = in_process(Stream(account=ACCOUNT, token=TOKEN, read_only_token="ro", now=clock))
    reply = driver.edit("c" * 32, {})
    assert (reply.status, code(reply)) == (404, 10003)
    driver.token = "ro"
    reply = driver.edit("c" * 32, {})
    assert (reply.status, code(reply)) == (403, 10000)


def verified(driver: Driver) -> dict[str, object]:
    headers = {"authorization": f"Bearer {TOKEN}"}
    path = "/client/v4/user/tokens/verify"
    return result(driver.send(Request("GET", path, headers=headers)))


def test_a_token_that_ends_says_when_and_lets_nobody_in_afterwards(clock: Clock) -> None:
    validity = Validity(expires_on=clock.time + 60)
    driver = in_process(Stream(account=ACCOUNT, token=TOKEN, validity=validity, now=clock))
    assert driver.listed() == []
    assert verified(driver)["status"] == "active"
    assert verified(driver)["expires_on"] == "2027-01-15T08:01:00.000000000Z"
    clock.pass_by(60)
    assert verified(driver)["status"] == "expired"
    assert driver.api("GET").status == driver.post(10).status == 401


@pytest.mark.parametrize(
    ("validity", "status"),
    [({"disabled": True}, "disabled"), ({"not_before": 1_900_000_000.0}, "active")],
)
def test_a_token_that_is_not_in_force_lets_nobody_in(
    clock: Clock, validity: dict[str, Any], status: str
) -> None:
    stream = Stream(account=ACCOUNT, token=TOKEN, validity=Validity(**validity), now=clock)
    driver = in_process(stream)
    assert verified(driver)["status"] == status
    assert driver.api("GET").status == 401


@pytest.mark.parametrize(
    ("keep", "kept"), [("blocks", CHUNK + 2 * BLOCK), ("all", CHUNK + 600_000), ("nothing", CHUNK)]
)
@pytest.mark.parametrize("on_disk", [True, False])
def test_of_a_body_that_breaks_off_the_switch_says_what_stays(
    tmp_path: Path, clock: Clock, keep: str, kept: int, on_disk: bool
) -> None:
    switches = Switches(keep=keep)  # type: ignore[arg-type]
    stream = Stream(data=tmp_path if on_disk else None, now=clock, switches=switches)
    driver, data = in_process(stream), video_bytes(3 * CHUNK)
    upload = driver.create(len(data))
    assert driver.patch(upload, 0, data[:CHUNK]).status == 204
    cut_patch(driver, upload, CHUNK, data[CHUNK : CHUNK + 600_000])
    assert driver.offset(upload) == kept
    assert stream.sha256(upload.uid) == hashlib.sha256(data[:kept]).hexdigest()
    assert driver.patch(upload, kept, data[kept:]).status == 204
    assert stream.sha256(upload.uid) == hashlib.sha256(data).hexdigest()


def test_a_refused_chunk_of_unknown_length_leaves_nothing_behind(
    stream: Stream, driver: Driver
) -> None:
    upload = driver.create(3 * CHUNK)
    exchange = begin_patch(stream, upload)
    for _ in range(2):
        exchange.write(b"x" * BLOCK)
    assert exchange.finish().status == 400
    assert driver.offset(upload) == 0
    assert stream.sha256(upload.uid) == hashlib.sha256(b"").hexdigest()


def test_a_head_during_a_patch_tells_the_acknowledged_offset_at_once(
    stream: Stream, driver: Driver
) -> None:
    upload = driver.create(3 * CHUNK)
    exchange = begin_patch(stream, upload)
    exchange.write(b"x" * CHUNK)
    assert driver.offset(upload) == 0
    assert driver.state(upload.uid) == "pendingupload"
    assert exchange.finish().headers["upload-offset"] == str(CHUNK)
    assert driver.offset(upload) == CHUNK


def test_a_second_patch_is_locked_out_until_the_first_has_ended(
    stream: Stream, driver: Driver
) -> None:
    upload = driver.create(10)
    first = begin_patch(stream, upload)
    assert driver.patch(upload, 0, video_bytes(10)).status == 423
    first.cut()
    assert driver.patch(upload, 0, video_bytes(10)).status == 204


def test_a_video_deleted_during_a_patch_does_not_come_back(tmp_path: Path, clock: Clock) -> None:
    stream = Stream(data=tmp_path, now=clock)
    driver = in_process(stream)
    upload = driver.create(10)
    exchange = begin_patch(stream, upload)
    exchange.write(b"12345")
    driver.delete(upload.uid)
    exchange.write(b"67890")
    assert exchange.finish().status == 404
    assert driver.get(upload.uid).status == 404
    assert [path for path in tmp_path.rglob("media") if path.exists()] == []


def test_a_cut_after_the_end_changes_nothing(stream: Stream, driver: Driver) -> None:
    upload = driver.create(10)
    exchange = begin_patch(stream, upload)
    exchange.write(video_bytes(10))
    assert exchange.finish().status == 204
    exchange.cut()
    assert driver.offset(upload) == 10


def test_a_restart_shows_the_same_videos(tmp_path: Path, clock: Clock) -> None:
    def start() -> Stream:
        return Stream(data=tmp_path, account=ACCOUNT, token=TOKEN, now=clock)

    before = in_process(start())
    done = before.sent(1000, upload_metadata=metadata(name="a", tag="b"), creator="me")
    open_ = before.create(2 * CHUNK)
    before.patch(open_, 0, video_bytes(CHUNK))
    gone = before.create(10)
    before.delete(gone.uid)
    shown = document(before.api("GET"))
    stream = start()
    after = in_process(stream)
    assert document(after.api("GET")) == shown
    assert after.offset(open_) == CHUNK
    assert after.get(gone.uid).status == 404
    assert stream.sha256(done.uid) == hashlib.sha256(video_bytes(1000)).hexdigest()
    assert after.create(10).uid == after.listed()[0]


def test_bytes_that_were_never_acknowledged_are_a_cut_body_after_a_restart(
    tmp_path: Path, clock: Clock
) -> None:
    stream = Stream(data=tmp_path, now=clock)
    driver = in_process(stream)
    upload = driver.create(3 * CHUNK)
    begin_patch(stream, upload).write(b"x" * (BLOCK + 5))
    again = Stream(data=tmp_path, account=stream.account, token=stream.token, now=clock)
    assert in_process(again).offset(upload) == BLOCK
    assert (tmp_path / upload.uid / "media").stat().st_size == BLOCK


def test_more_than_a_thousand_videos_are_reached_by_the_cursor(driver: Driver) -> None:
    uids_made = [driver.create(10, upload_metadata=lasting(60)).uid for _ in range(1500)]
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while page := document(driver.api("GET", query=cursor))["result"]:
        assert len(page) <= 1000
        seen += [video["uid"] for video in page]
        cursor = {"before": page[-1]["created"]}
    assert seen == uids_made[::-1]


def test_thousands_of_uploads_take_no_memory_for_their_bytes(stream: Stream) -> None:
    driver, block = in_process(stream), b"\x00\x00\x00\x18ftyp" + bytes(BLOCK - 8)
    upload = driver.create(400 * BLOCK)
    exchange = begin_patch(stream, upload)
    for _ in range(400):
        exchange.write(block)
    assert exchange.finish().status == 204
    assert stream.sha256(upload.uid) == hashlib.sha256(block * 400).hexdigest()


def test_uploads_from_many_threads_all_arrive(stream: Stream) -> None:
    driver, done = in_process(stream), []

    def work(number: int) -> None:
        data = video_bytes(10_000 + number)
        upload = driver.create(len(data))
        driver.patch(upload, 0, data)
        done.append((upload.uid, hashlib.sha256(data).hexdigest()))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({uid for uid, _ in done}) == 20
    assert all(stream.sha256(uid) == digest for uid, digest in done)


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"\x00\x00\x00\x18ftypmp42", True),
        (b"\x00\x00\x00\x08wide", True),
        (b"\x00\x10\x00\x00moov", True),
        (b"\x1a\x45\xdf\xa3\x01", True),
        (b"RIFF\x00\x00\x00\x00AVI LIST", True),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", False),
        ((b"\x47" + bytes(187)) * 3, True),
        (b"G" + b"reat text" * 40, False),
        (b"\x00\x00\x01\xba\x44", True),
        (b"FLV\x01\x05", True),
        (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9", True),
        (b"OggS\x00", True),
        (b"\x89PNG\r\n", False),
        (b"", False),
    ],
)
def test_containers_are_told_by_their_first_bytes(head: bytes, expected: bool) -> None:
    assert is_video(head) is expected


def test_the_rate_limit_blocks_everything_for_five_minutes(clock: Clock) -> None:
    driver = in_process(Stream(account=ACCOUNT, token=TOKEN, now=clock, rate_limit=3))
    assert [driver.api("GET").status for _ in range(4)] == [200, 200, 200, 429]
    clock.pass_by(299)
    blocked = driver.api("GET")
    assert (blocked.status, blocked.headers["retry-after"]) == (429, "1")
    clock.pass_by(1)
    assert driver.api("GET").status == 200


def test_an_empty_video_is_complete_at_once_and_no_video(driver: Driver, clock: Clock) -> None:
    upload = driver.create(0)
    clock.pass_by(1)
    assert driver.state(upload.uid) == "error"


def test_upload_urls_begin_with_the_base_that_is_set(stream: Stream, driver: Driver) -> None:
    stream.upload_base = "http://127.0.0.1:9"
    assert driver.create(10).location.startswith("http://127.0.0.1:9/tus/")


def test_a_token_or_an_upload_url_is_in_no_representation(stream: Stream) -> None:
    driver = in_process(stream)
    upload = driver.create(10)
    request = Request("HEAD", upload.path, headers={"authorization": TOKEN})
    shown = f"{request!r} {driver.send(request)!r} {driver.post(10)!r} {driver.head(upload)!r}"
    assert upload.uid not in shown
    assert TOKEN not in shown


def test_uids_come_from_outside(clock: Clock) -> None:
    stream = Stream(now=clock, new_uid=uids())
    assert in_process(stream).create(10).uid == f"{1:032x}"
    assert stream.videos()[0]["uid"] == f"{1:032x}"
