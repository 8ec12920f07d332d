"""Storage that real videos use, the length of a video, and how many are encoded at once."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from cfstream_upload.emulator.containers import measure
from cfstream_upload.emulator.footage import sample
from cfstream_upload.emulator.model import Stream
from cfstream_upload.emulator.overview import overview
from emulator.driving import ACCOUNT, TOKEN, Clock, Driver, code, in_process, metadata, result

SECONDS = 4.0


@pytest.fixture
def kept(tmp_path: Path, clock: Clock) -> Driver:
    """A service that keeps bytes, so that it can look into them."""
    return in_process(Stream(data=tmp_path, account=ACCOUNT, token=TOKEN, now=clock))


def send(driver: Driver, data: bytes, **said: str) -> str:
    upload = driver.create(len(data), upload_metadata=metadata(**said))
    assert driver.patch(upload, 0, data).status == 204
    return upload.uid


def box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(body), kind) + body


def film(seconds: float, *, wide: bool = False) -> bytes:
    """An MP4 of nothing but a header that says how long it lasts, behind its bytes."""
    times = struct.pack(">QQIQ" if wide else ">IIII", 0, 0, 1000, int(seconds * 1000))
    header = box(b"mvhd", bytes([wide, 0, 0, 0]) + times + bytes(80))
    return box(b"ftyp", b"isom") + box(b"mdat", bytes(64)) + box(b"moov", header)


def test_a_ready_video_has_a_length_and_a_frame_and_uses_storage(
    kept: Driver, clock: Clock
) -> None:
    uid = send(kept, sample(), maxdurationseconds="600")
    before = kept.video(uid)
    assert (before["duration"], before["input"]) == (-1, {"width": -1, "height": -1})
    assert kept.storage()["totalStorageMinutes"] == 10.0
    clock.pass_by(1)
    video = kept.video(uid)
    assert video["duration"] == pytest.approx(SECONDS, abs=0.1)
    assert video["input"]["width"] > video["input"]["height"] > 0
    assert kept.storage()["totalStorageMinutes"] == pytest.approx(SECONDS / 60, abs=0.01)
    kept.delete(uid)
    assert kept.storage()["totalStorageMinutes"] == 0


@pytest.mark.parametrize(
    ("seconds", "allowed", "reason"),
    [
        (59.0, "60", ""),
        (60.9, "60", ""),
        (61.0, "60", "ERR_DURATION_EXCEED_CONSTRAINT"),
        (0.05, "60", "ERR_DURATION_TOO_SHORT"),
    ],
)
@pytest.mark.parametrize("wide", [False, True])
def test_a_video_that_lasts_too_long_or_not_at_all_is_taken_and_then_fails(
    kept: Driver, clock: Clock, seconds: float, allowed: str, reason: str, wide: bool
) -> None:
    uid = send(kept, film(seconds, wide=wide), maxdurationseconds=allowed)
    clock.pass_by(1)
    status = kept.video(uid)["status"]
    assert (status["state"], status["errorReasonCode"]) == ("error" if reason else "ready", reason)
    assert bool(status["errorReasonText"]) == bool(reason)
    assert (kept.storage()["totalStorageMinutes"] == 0) == bool(reason)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        box(b"ftyp", b""),
        box(b"moov", b""),
        box(b"moov", box(b"mvhd", b"")),
        box(b"moov", box(b"mvhd", bytes(100))),
        struct.pack(">I4s", 4, b"moov"),
        struct.pack(">I4s", 1 << 31, b"moov"),
        struct.pack(">I4sQ", 1, b"moov", 3),
        b"\x00\x00\x00\x08free" * 2000 + film(5),
    ],
)
def test_a_container_that_does_not_tell_its_length_has_none(data: bytes) -> None:
    assert measure(lambda start, size: data[start : start + size], len(data)) is None


def test_minutes_of_ready_videos_count_against_the_quota(tmp_path: Path, clock: Clock) -> None:
    stream = Stream(data=tmp_path, account=ACCOUNT, token=TOKEN, now=clock, minutes_limit=10)
    driver = in_process(stream)
    send(driver, film(540.0), maxdurationseconds="600")
    clock.pass_by(1)
    assert driver.post(10, upload_metadata=metadata(maxdurationseconds="60")).status == 201
    assert driver.post(10, upload_metadata=metadata(maxdurationseconds="60")).status == 413


def test_120_videos_are_encoded_at_once_and_pending_ones_do_not_count(clock: Clock) -> None:
    driver = in_process(Stream(account=ACCOUNT, token=TOKEN, now=clock, minutes_limit=10**9))
    for _ in range(130):
        driver.create(10)
    for _ in range(120):
        driver.sent(10)
    for reply in (driver.post(10), driver.direct_upload(), driver.basic(b"")):
        assert reply.status == 429
        assert "retry-after" not in reply.headers
    clock.pass_by(1)
    assert driver.post(10).status == 201


def test_a_scheduled_deletion_happens(driver: Driver, clock: Clock) -> None:
    made = result(driver.direct_upload(scheduledDeletion="2027-03-01T00:00:00Z"))
    clock.pass_by(46 * 24 * 3600)
    reply = driver.get(made["uid"])
    assert (reply.status, code(reply), driver.listed()) == (404, 10003, [])


@pytest.mark.parametrize(
    "path",
    [
        "/stream/copy",
        "/stream/clip",
        "/stream/live_inputs",
        "/stream/keys",
        "/stream/watermarks",
        "/stream/webhook",
        f"/stream/{'a' * 32}/captions",
        f"/stream/{'a' * 32}/captions/en",
        f"/stream/{'a' * 32}/downloads",
        f"/stream/{'a' * 32}/downloads/default",
        f"/stream/{'a' * 32}/token",
        f"/stream/{'a' * 32}/audio",
        f"/stream/{'a' * 32}/embed",
        "/stream/live_inputs/x/outputs",
        "/images/v1",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_what_is_not_modelled_is_no_route(driver: Driver, method: str, path: str) -> None:
    reply = driver.api(method, path, body=b"{}")
    assert (reply.status, code(reply)) == (404, 7003)


def test_the_overview_of_the_pages_tells_the_minutes_used_and_those_reserved(clock: Clock) -> None:
    model = Stream(now=clock)
    driver = in_process(model)
    send(driver, film(90.0), maxdurationseconds="600")
    clock.pass_by(60)
    driver.create(10, upload_metadata=metadata(maxdurationseconds="120"))
    totals = model.with_account(overview()).totals
    assert (totals["used_minutes"], totals["reserved_minutes"]) == (1.5, 2.0)
