"""Forms: ``direct_upload`` and its upload URL, and basic uploads to the API itself."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from cfstream_upload.emulator.exchange import Request
from cfstream_upload.emulator.footage import sample
from cfstream_upload.emulator.model import Stream
from emulator.driving import (
    ACCOUNT,
    TOKEN,
    Clock,
    Driver,
    code,
    document,
    form,
    in_process,
    result,
    video_bytes,
)

MISSING = {
    "result": None,
    "success": False,
    "errors": [{"code": 10005, "message": "Bad Request"}],
    "messages": [{"code": 10005, "message": "required field maxDurationSeconds is missing"}],
}


class Gone(Exception):
    """The client left."""


def detail(driver: Driver, reply_to: object) -> str:
    return str(document(reply_to)["messages"][0]["message"])  # type: ignore[arg-type]


def broken(data: bytes) -> Iterator[bytes]:
    yield data
    raise Gone


def test_direct_upload_answers_with_a_uid_and_a_url_and_the_video_is_pending(
    either: Driver,
) -> None:
    made = result(either.direct_upload(creator="me", meta={"name": "a"}))
    assert made["uploadURL"].endswith(f"/{made['uid']}")
    assert (made["creator"], set(made)) == ("me", {"uid", "uploadURL", "creator"})
    video = either.video(made["uid"])
    assert (video["status"]["state"], video["meta"]) == ("pendingupload", {"name": "a"})
    assert video["uploadExpiry"] == "2027-01-15T08:30:00.000000000Z"
    assert either.storage()["totalStorageMinutes"] == 10.0


def test_direct_upload_takes_every_documented_field(driver: Driver) -> None:
    made = result(
        driver.direct_upload(
            maxDurationSeconds=36_000,
            expiry="2027-01-15T14:00:00Z",
            allowedOrigins=["example.com"],
            requireSignedURLs=True,
            scheduledDeletion="2027-03-01T00:00:00Z",
            thumbnailTimestampPct=0.5,
            watermark={"uid": "w" * 32},
            somethingElse=1,
            meta=None,
        )
    )
    assert made["scheduledDeletion"] == "2027-03-01T00:00:00.000000000Z"
    assert made["watermark"] == {"uid": "w" * 32}
    video = driver.video(made["uid"])
    assert video["uploadExpiry"] == "2027-01-15T14:00:00.000000000Z"
    assert (video["maxDurationSeconds"], video["requireSignedURLs"]) == (36_000, True)
    assert (video["allowedOrigins"], video["thumbnailTimestampPct"]) == (["example.com"], 0.5)


def test_the_header_names_a_creator_and_the_document_beats_it(driver: Driver) -> None:
    for body, creator in ((b'{"maxDurationSeconds": 5}', "header"),
                          (b'{"maxDurationSeconds": 5, "creator": "body"}', "body")):  # fmt: skip
        headers = {"upload-creator": "header"}
        made = driver.api("POST", "/stream/direct_upload", headers=headers, body=body)
        assert result(made)["creator"] == creator


@pytest.mark.parametrize(
    "said",
    [
        {"maxDurationSeconds": 0},
        {"maxDurationSeconds": 36_001},
        {"maxDurationSeconds": "60"},
        {"maxDurationSeconds": True},
        {"expiry": "2027-01-15T08:01:59Z"},
        {"expiry": "2027-01-15T14:00:01Z"},
        {"expiry": 5},
        {"allowedOrigins": ["https://example.com"]},
        {"allowedOrigins": "example.com"},
        {"creator": "c" * 65},
        {"meta": []},
        {"requireSignedURLs": "true"},
        {"scheduledDeletion": "2027-01-16T00:00:00Z"},
        {"thumbnailTimestampPct": 1.1},
        {"watermark": {"uid": 7}},
    ],
)
def test_a_direct_upload_that_breaks_a_rule_makes_nothing(
    driver: Driver, said: dict[str, object]
) -> None:
    reply = driver.direct_upload(**{"seconds": 600, **said})  # type: ignore[arg-type]
    assert (reply.status, code(reply)) == (400, 10005)
    assert driver.listed() == []


def test_a_missing_duration_is_told_as_the_real_service_tells_it(driver: Driver) -> None:
    reply = driver.direct_upload(None)
    assert (reply.status, document(reply)) == (400, MISSING)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b"[" * 100_000])
def test_a_direct_upload_that_is_no_document_cannot_be_decoded(driver: Driver, body: bytes) -> None:
    reply = driver.api("POST", "/stream/direct_upload", body=body)
    assert (reply.status, code(reply)) == (400, 10005)
    assert "Decoding Error" in detail(driver, reply)


def test_a_form_fills_its_url_and_the_video_goes_on_to_ready(
    either: Driver, stream: Stream, clock: Clock
) -> None:
    upload = either.form_upload()
    reply = either.post_form(upload, sample(), extra="note")
    assert (reply.status, reply.headers["access-control-allow-origin"]) == (200, "*")
    assert stream.sha256(upload.uid) == hashlib.sha256(sample()).hexdigest()
    assert either.state(upload.uid) == "queued"
    clock.pass_by(1)
    video = either.video(upload.uid)
    assert (video["status"]["state"], video["size"]) == ("ready", len(sample()))


def test_a_form_url_is_good_for_one_video(either: Driver, stream: Stream) -> None:
    upload = either.form_upload()
    either.post_form(upload, video_bytes(100))
    reply = either.post_form(upload, video_bytes(200))
    assert (reply.status, code(reply)) == (400, 10005)
    assert "already uploaded" in detail(either, reply)
    assert stream.sha256(upload.uid) == hashlib.sha256(video_bytes(100)).hexdigest()


def test_a_form_url_ends_with_its_expiry_and_with_its_video(either: Driver, clock: Clock) -> None:
    upload, deleted = either.form_upload(), either.form_upload()
    either.delete(deleted.uid)
    clock.pass_by(1800)
    assert either.post_form(upload, video_bytes(9)).status == 404
    assert either.post_form(deleted, video_bytes(9)).status == 404
    assert either.storage()["totalStorageMinutes"] == 0


def test_what_is_no_video_is_refused_at_once_and_its_url_stays(either: Driver) -> None:
    upload = either.form_upload()
    for data in (b"plain text", b""):
        reply = either.post_form(upload, data)
        assert (reply.status, code(reply)) == (400, 10059)
        assert either.state(upload.uid) == "pendingupload"
    assert either.post_form(upload, video_bytes(9)).status == 200


@pytest.mark.parametrize(
    ("headers", "body", "words"),
    [
        ({"tus-resumable": "1.0.0", "upload-length": "9"}, b"", "Decoding Error"),
        ({"content-type": "video/mp4"}, video_bytes(9), "Decoding Error"),
        ({"content-type": "application/json"}, b"{}", "Decoding Error"),
        ({"content-type": "application/offset+octet-stream"}, b"x", "Decoding Error"),
        ({"content-type": "multipart/form-data"}, b"--x", "Decoding Error"),
        ({"content-type": "multipart/form-data; boundary=" + "b" * 500}, b"", "Decoding Error"),
        (form(b"x")[0], b"", "Decoding Error"),
        (form(b"x")[0], b"no boundary at all", "Decoding Error"),
        (form(b"x")[0], form(video_bytes(9))[1][:-9], "Decoding Error"),
        (form(b"x")[0], form(video_bytes(9), extra="e" * 9000)[1], "Decoding Error"),
        (form(b"x")[0], form(video_bytes(9), "video")[1], "no field named file"),
        (
            form(b"x")[0],
            form(video_bytes(9))[1].replace(b"--frontier--", b"") + form(video_bytes(9))[1],
            "more than one",
        ),
    ],
)
def test_what_is_no_form_with_one_file_is_refused_and_keeps_nothing(
    driver: Driver, stream: Stream, headers: dict[str, str], body: bytes, words: str
) -> None:
    upload = driver.form_upload()
    reply = driver.send(Request("POST", upload.path, (), headers, [body]))
    assert (reply.status, code(reply)) == (400, 10005)
    assert words in detail(driver, reply)
    assert driver.post_form(upload, video_bytes(50)).status == 200
    assert stream.sha256(upload.uid) == hashlib.sha256(video_bytes(50)).hexdigest()


@pytest.mark.parametrize("method", ["PATCH", "HEAD", "PUT", "GET", "DELETE"])
def test_a_tus_client_hears_that_a_form_url_takes_post(either: Driver, method: str) -> None:
    reply = either.tus(method, either.form_upload())
    assert reply.status == 405
    if method != "HEAD":
        assert detail(either, reply) == "must use POST"


def test_a_form_is_refused_on_a_tus_url_and_a_tus_url_is_no_form_url(either: Driver) -> None:
    upload = either.create(100)
    assert either.post_form(upload, video_bytes(100)).status == 400
    upload.location = upload.location.replace("/tus/", "/")
    assert either.post_form(upload, video_bytes(100)).status == 404
    form_upload = either.form_upload()
    assert either.send_head(f"/tus/{form_upload.uid}").status == 404


def test_a_browser_may_ask_a_form_url_first(either: Driver) -> None:
    reply = either.tus("OPTIONS", either.form_upload())
    assert (reply.status, reply.headers["access-control-allow-methods"]) == (204, "POST, OPTIONS")


def test_a_second_form_is_refused_while_one_is_under_way(driver: Driver) -> None:
    upload, seen = driver.form_upload(), []
    headers, body = form(video_bytes(1000))

    def slowly() -> Iterator[bytes]:
        yield body[:500]
        seen.append(driver.post_form(upload, video_bytes(9)).status)
        yield body[500:]

    assert driver.send(Request("POST", upload.path, (), headers, slowly())).status == 200
    assert seen == [400]


def test_a_video_that_is_deleted_under_a_form_is_gone(driver: Driver) -> None:
    upload = driver.form_upload()
    headers, body = form(video_bytes(1000))

    def slowly() -> Iterator[bytes]:
        yield body[:500]
        driver.delete(upload.uid)
        yield body[500:]

    assert driver.send(Request("POST", upload.path, (), headers, slowly())).status == 404
    assert driver.get(upload.uid).status == 404


def test_a_form_over_200_mb_is_refused_whether_or_not_it_says_so(driver: Driver) -> None:
    upload, blocks = driver.form_upload(), [b"x" * 10_000_000] * 20
    headers, body = form(b"")
    head, tail = body[:-16], body[-16:]
    reply = driver.send(Request("POST", upload.path, (), headers, [head, *blocks, b"x", tail]))
    assert (reply.status, code(reply)) == (413, 10005)
    reply = driver.send(
        Request("POST", upload.path, (), {**headers, "content-length": "300000000"})
    )
    assert reply.status == 413
    assert driver.post_form(upload, video_bytes(9)).status == 200


def test_a_basic_upload_answers_with_its_video(either: Driver, stream: Stream) -> None:
    video = result(either.basic(sample()))
    assert video["status"]["state"] == "queued"
    assert video["meta"] == {"name": "video.mp4"}
    assert (video["size"], video["uploadExpiry"]) == (len(sample()), None)
    assert stream.sha256(video["uid"]) == hashlib.sha256(sample()).hexdigest()
    assert either.listed() == [video["uid"]]


@pytest.mark.parametrize(
    ("data", "field", "number"), [(b"text", "file", 10059), (video_bytes(9), "video", 10005)]
)
def test_a_basic_upload_that_is_refused_makes_no_video(
    either: Driver, data: bytes, field: str, number: int
) -> None:
    reply = either.basic(data, field=field)
    assert (reply.status, code(reply)) == (400, number)
    assert either.listed() == []


def test_a_basic_upload_is_seen_once_it_is_whole_and_a_broken_one_never(
    tmp_path: Path, clock: Clock
) -> None:
    stream = Stream(data=tmp_path, account=ACCOUNT, token=TOKEN, now=clock)
    driver = in_process(stream)
    headers, body = form(video_bytes(1000))
    path = f"/client/v4/accounts/{ACCOUNT}/stream"
    headers |= {"authorization": f"Bearer {TOKEN}"}
    with pytest.raises(Gone):
        driver.send(Request("POST", path, (), headers, broken(body[:500])))
    assert (driver.listed(), list(tmp_path.iterdir())) == ([], [])
    exchange = stream.begin(Request("POST", path, (), headers))
    exchange.write(body[:500])
    assert driver.listed() == []
    # The process dies here: what a folder holds of an unfinished form is no video.
    assert in_process(Stream(data=tmp_path, account=ACCOUNT, token=TOKEN)).listed() == []
    assert list(tmp_path.iterdir()) == []


def test_a_form_that_a_dead_process_left_can_be_sent_again(tmp_path: Path, clock: Clock) -> None:
    first = Stream(data=tmp_path, account=ACCOUNT, token=TOKEN, now=clock)
    upload = in_process(first).form_upload()
    headers, body = form(video_bytes(1000))
    first.begin(Request("POST", upload.path, (), headers)).write(body[:500])
    stream = Stream(data=tmp_path, account=ACCOUNT, token=TOKEN, now=clock)
    assert in_process(stream).post_form(upload, video_bytes(9)).status == 200
    assert stream.sha256(upload.uid) == hashlib.sha256(video_bytes(9)).hexdigest()


def test_a_form_is_refused_to_strangers_and_to_a_full_account(clock: Clock) -> None:
    driver = in_process(Stream(account=ACCOUNT, token=TOKEN, now=clock, minutes_limit=0))
    assert code(driver.basic(video_bytes(9))) == code(driver.direct_upload()) == 10011
    driver.token = "wrong"
    assert driver.basic(video_bytes(9)).status == driver.direct_upload().status == 401


def test_a_form_that_is_cut_once_it_was_answered_keeps_its_video(stream: Stream) -> None:
    driver = in_process(stream)
    headers, body = form(video_bytes(100))
    path = f"/client/v4/accounts/{ACCOUNT}/stream"
    headers |= {"authorization": f"Bearer {TOKEN}"}
    exchange = stream.begin(Request("POST", path, (), headers))
    exchange.write(body)
    uid = result(exchange.finish())["uid"]
    exchange.cut()
    assert stream.sha256(uid) == hashlib.sha256(video_bytes(100)).hexdigest()
    assert driver.listed() == [uid]
