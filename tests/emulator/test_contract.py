"""What Stream's documents say, on the model called directly and on the served one alike."""

from __future__ import annotations

import pytest

from cfstream_upload.emulator.exchange import Request
from emulator.driving import (
    ACCOUNT,
    BLOCK,
    CHUNK,
    TOKEN,
    Clock,
    Driver,
    code,
    document,
    metadata,
    result,
    video_bytes,
)


def test_a_create_answers_201_with_an_empty_body_and_three_headers(either: Driver) -> None:
    reply = either.post(1000)
    uid = reply.headers["stream-media-id"]
    assert (reply.status, reply.body) == (201, b"")
    assert reply.headers["tus-resumable"] == "1.0.0"
    assert reply.headers["location"].startswith("http://127.0.0.1")
    assert reply.headers["location"].endswith(f"/tus/{uid}?tusv2=true")


def test_without_direct_user_the_upload_url_needs_the_token(either: Driver) -> None:
    upload = either.create(1000, direct_user=False)
    assert upload.path == f"/client/v4/accounts/{ACCOUNT}/media/{upload.uid}"
    assert either.head(upload).status == 400
    assert either.head(upload, authorization="Bearer wrong").status == 401
    assert either.head(upload, authorization=f"Bearer {TOKEN}").status == 200


def test_a_direct_upload_is_not_found_on_the_token_protected_path(either: Driver) -> None:
    upload = either.create(1000)
    upload.location = upload.location.replace("/tus/", f"/client/v4/accounts/{ACCOUNT}/media/")
    assert either.head(upload, authorization=f"Bearer {TOKEN}").status == 404


def test_known_metadata_becomes_fields_and_the_rest_becomes_meta(either: Driver) -> None:
    header = metadata(
        requiresignedurls=None,
        name="summer ☀.mp4",
        AllowedOrigins="example.com,test.com",
        thumbnailtimestamppct="0.25",
        watermark="w" * 32,
        maxDurationSeconds="600",
        cfupload_id="1.abc",
    ).replace(",", ", ", 1)
    video = either.video(either.create(1000, upload_metadata=header, upload_creator="me").uid)
    assert video["meta"] == {"name": "summer ☀.mp4", "cfupload_id": "1.abc"}
    assert video["requireSignedURLs"] is True
    assert video["allowedOrigins"] == ["example.com", "test.com"]
    assert video["thumbnailTimestampPct"] == 0.25
    assert video["watermark"] == {"uid": "w" * 32}
    assert video["maxDurationSeconds"] == 600
    assert video["creator"] == "me"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"upload_length": "ten"}, 400),
        ({"upload_length": "-1"}, 400),
        ({"upload_length": "30000000001"}, 413),
        ({"tus_resumable": "0.2.2"}, 412),
        ({"upload_creator": "c" * 65}, 400),
        ({"upload_metadata": "name not-base64!"}, 400),
        ({"upload_metadata": metadata(allowedorigins="https://example.com")}, 400),
        ({"upload_metadata": metadata(thumbnailtimestamppct="1.5")}, 400),
        ({"upload_metadata": metadata(maxdurationseconds="36001")}, 400),
        ({"upload_metadata": metadata(maxdurationseconds="soon")}, 400),
        ({"upload_metadata": metadata(scheduleddeletion="2027-01-16T00:00:00Z")}, 400),
        ({"upload_metadata": metadata(expiry="2001-01-01T00:00:00Z")}, 400),
        ({"upload_metadata": metadata(expiry="tomorrow")}, 400),
        ({"upload_metadata": "a YQ==,a YQ=="}, 400),
    ],
)
def test_a_bad_create_is_refused_and_makes_nothing(
    driver: Driver, headers: dict[str, str], status: int
) -> None:
    headers = dict(headers)
    length = headers.pop("upload_length", "1000")
    reply = driver.post(length, direct_user=True, **headers)
    envelope = document(reply)
    assert (reply.status, envelope["success"], envelope["result"]) == (status, False, None)
    assert envelope["errors"][0]["code"] == envelope["messages"][0]["code"] == 10005
    assert envelope["messages"][0]["message"] != envelope["errors"][0]["message"]
    assert driver.listed() == []


def test_chunks_are_acknowledged_until_the_video_is_whole(either: Driver, clock: Clock) -> None:
    data = video_bytes(2 * CHUNK + 7)
    upload = either.create(len(data))
    assert either.offset(upload) == 0
    for start in (0, CHUNK, 2 * CHUNK):
        assert either.state(upload.uid) == "pendingupload"
        piece = data[start : start + CHUNK]
        reply = either.patch(upload, start, piece)
        assert (reply.status, reply.body) == (204, b"")
        assert reply.headers["upload-offset"] == str(start + len(piece))
    head = either.head(upload)
    assert head.headers["upload-offset"] == head.headers["upload-length"] == str(len(data))
    states = [either.state(upload.uid)]
    for seconds in (0.31, 0.5):
        clock.pass_by(seconds)
        states.append(either.state(upload.uid))
    assert states == ["queued", "inprogress", "ready"]


def test_a_video_is_playable_and_has_its_addresses_once_it_is_ready(
    either: Driver, clock: Clock
) -> None:
    upload = either.sent(1000)
    clock.pass_by(0.5)
    halfway = either.video(upload.uid)
    assert halfway["readyToStream"] is False
    assert 49 < float(halfway["status"]["pctComplete"]) < 51
    clock.pass_by(1)
    video = either.video(upload.uid)
    assert video["readyToStream"] is True
    assert video["status"] == {
        "state": "ready",
        "pctComplete": "100.000000",
        "errorReasonCode": "",
        "errorReasonText": "",
    }
    assert (video["size"], video["duration"]) == (1000, -1)
    assert video["playback"]["hls"].endswith(f"/{upload.uid}/manifest/video.m3u8")
    assert upload.uid in video["preview"]
    assert upload.uid in video["thumbnail"]


def test_a_pending_video_has_no_addresses_and_expires_a_day_after_its_creation(
    either: Driver,
) -> None:
    video = either.video(either.create(1000).uid)
    assert not {"preview", "thumbnail", "playback"} & set(video)
    assert (video["size"], video["duration"], video["readyToStream"]) == (0, -1, False)
    assert video["created"] == "2027-01-15T08:00:00.000000000Z"
    assert video["uploadExpiry"] == "2027-01-16T08:00:00.000000000Z"


def test_what_is_no_video_ends_in_error(either: Driver, clock: Clock) -> None:
    upload = either.create(300)
    either.patch(upload, 0, b"plain text" * 30)
    assert either.state(upload.uid) == "queued"
    clock.pass_by(1)
    status = either.video(upload.uid)["status"]
    assert (status["state"], status["errorReasonCode"]) == ("error", "ERR_NON_VIDEO")


@pytest.mark.parametrize(
    ("sizes", "length", "status"),
    [
        ([CHUNK], 2 * CHUNK, 204),
        ([CHUNK - BLOCK], 2 * CHUNK, 400),
        ([CHUNK + 1], 3 * CHUNK, 400),
        ([0], CHUNK, 400),
        ([7], 7, 204),
        ([CHUNK, 1], CHUNK + 1, 204),
        ([CHUNK, 2], CHUNK + 1, 400),
    ],
)
def test_chunks_follow_streams_rules(
    either: Driver, sizes: list[int], length: int, status: int
) -> None:
    upload = either.create(length)
    offsets = [sum(sizes[:count]) for count in range(len(sizes))]
    replies = [
        either.patch(upload, offset, b"x" * size)
        for offset, size in zip(offsets, sizes, strict=True)
    ]
    assert replies[-1].status == status
    if status == 400:
        assert code(replies[-1]) == 10005
        assert either.offset(upload) == offsets[-1]


@pytest.mark.parametrize("size", [209_715_200 + BLOCK, 209_715_200 + 1])
def test_a_chunk_over_200_mib_is_refused_by_its_head(driver: Driver, size: int) -> None:
    upload = driver.create(10**9)
    reply = driver.patch(upload, 0, b"", **{"content-length": str(size)})
    assert (reply.status, code(reply)) == (400, 10005)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"tus_resumable": "0.9"}, 412),
        ({"content_type": "application/json"}, 400),
        ({"upload_offset": "1"}, 409),
        ({"upload_offset": "+0"}, 400),
        ({"upload_offset": ""}, 400),
    ],
)
def test_a_patch_with_a_wrong_head_is_refused_and_stores_nothing(
    either: Driver, headers: dict[str, str], status: int
) -> None:
    upload = either.create(10)
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    assert either.patch(upload, 0, video_bytes(10), **sent).status == status
    assert either.offset(upload) == 0


@pytest.mark.parametrize(("method", "status"), [("POST", 400), ("DELETE", 405), ("OPTIONS", 204)])
def test_other_methods_on_an_upload_url(either: Driver, method: str, status: int) -> None:
    assert either.tus(method, either.create(10)).status == status


def test_a_deleted_video_is_gone_everywhere(either: Driver) -> None:
    upload = either.create(1000)
    reply = either.delete(upload.uid)
    assert (reply.status, reply.body) == (200, b"")
    again = either.delete(upload.uid)
    assert (again.status, code(again)) == (404, 10003)
    assert code(either.get(upload.uid)) == 10003
    assert either.head(upload).status == 404
    assert either.patch(upload, 0, video_bytes(1000)).status == 404
    assert either.listed() == []


def test_an_edit_changes_what_it_names_and_replaces_meta(either: Driver) -> None:
    uid = either.create(1000, upload_metadata=metadata(name="old", tag="1")).uid
    changes = {
        "uid": uid,
        "meta": {"name": "new"},
        "creator": "you",
        "requireSignedURLs": True,
        "allowedOrigins": ["example.com"],
        "thumbnailTimestampPct": 0.5,
        "maxDurationSeconds": 60,
        "uploadExpiry": "2027-01-15T09:00:00Z",
        "scheduledDeletion": "2027-03-15T00:00:00Z",
        "publicDetails": {"title": "t"},
        "unheard": "of",
    }
    reply = either.edit(uid, changes)
    assert result(reply) == either.video(uid)
    video = either.video(uid)
    assert (video["meta"], video["creator"]) == ({"name": "new"}, "you")
    assert video["uploadExpiry"] == "2027-01-15T09:00:00.000000000Z"
    assert video["scheduledDeletion"] == "2027-03-15T00:00:00.000000000Z"
    assert result(either.edit(uid, {"scheduledDeletion": None}))["scheduledDeletion"] is None


@pytest.mark.parametrize(
    "changes",
    [
        {"uid": "f" * 32},
        {"meta": "text"},
        {"allowedOrigins": ["http://example.com"]},
        {"thumbnailTimestampPct": 2},
        {"maxDurationSeconds": 0},
        {"requireSignedURLs": "yes"},
        {"uploadExpiry": "soon"},
        {"creator": "c" * 65},
    ],
)
def test_a_bad_edit_changes_nothing(driver: Driver, changes: dict[str, object]) -> None:
    uid = driver.create(1000).uid
    before = driver.video(uid)
    assert code(driver.edit(uid, changes)) == 10005
    assert driver.video(uid) == before


def test_a_body_that_is_no_json_object_is_a_decoding_error(either: Driver) -> None:
    reply = either.api("POST", f"/stream/{either.create(9).uid}", body=b"[1")
    assert "Decoding Error" in document(reply)["messages"][0]["message"]


@pytest.mark.parametrize(
    ("path", "authorization", "status", "number"),
    [
        (f"/accounts/{ACCOUNT}/stream", "Bearer wrong", 401, 10000),
        (f"/accounts/{ACCOUNT}/stream", "Token x", 400, 6003),
        (f"/accounts/{'b' * 32}/stream", f"Bearer {TOKEN}", 403, 9109),
        ("/accounts/short/stream", f"Bearer {TOKEN}", 404, 7003),
        (f"/accounts/{ACCOUNT}/nothing", f"Bearer {TOKEN}", 404, 7003),
        ("/user/tokens/verify", "Bearer wrong", 401, 1000),
    ],
)
def test_strangers_are_refused(
    either: Driver, path: str, authorization: str, status: int, number: int
) -> None:
    headers = {"authorization": authorization}
    reply = either.send(Request("GET", f"/client/v4{path}", headers=headers))
    assert (reply.status, code(reply)) == (status, number)


def test_a_request_without_a_token_is_refused(either: Driver) -> None:
    reply = either.send(Request("GET", f"/client/v4/accounts/{ACCOUNT}/stream"))
    assert (reply.status, code(reply)) == (400, 9106)


@pytest.mark.parametrize("path", ["/user/tokens/verify", f"/accounts/{ACCOUNT}/tokens/verify"])
def test_a_token_can_be_verified(either: Driver, path: str) -> None:
    headers = {"authorization": f"Bearer {TOKEN}"}
    reply = either.send(Request("GET", f"/client/v4{path}", headers=headers))
    assert result(reply)["status"] == "active"
    assert document(reply)["messages"][0]["code"] == 10000


def test_every_reply_carries_the_services_own_date(either: Driver, clock: Clock) -> None:
    clock.pass_by(3600)
    upload = either.create(10)
    for reply in (either.head(upload), either.get(upload.uid), either.get("0" * 32)):
        assert reply.headers["date"] == "Fri, 15 Jan 2027 09:00:00 GMT"


def test_the_api_tells_its_rate_limit(either: Driver) -> None:
    headers = either.api("GET").headers
    assert headers["ratelimit"] == '"default";r=1199;t=300'
    assert headers["ratelimit-policy"] == '"burst";q=1200;w=300'
    assert "ratelimit" not in either.head(either.create(10)).headers


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, [4, 3, 2, 1]),
        ({"asc": "true"}, [1, 2, 3, 4]),
        ({"limit": "2"}, [4, 3]),
        ({"status": "pendingupload"}, [3, 2, 1]),
        ({"status": "pendingupload,ready"}, [4, 3, 2, 1]),
        ({"status": "error"}, []),
        ({"creator": "me"}, [2]),
        ({"video_name": "Beach day"}, [3]),
        ({"video_name": "Beach"}, []),
        ({"search": "beach"}, [3]),
        ({"id": f"{1:032x},{4:032x}"}, [4, 1]),
        ({"name": f"Beach day,{1:032x}"}, [3, 1]),
        ({"type": "vod"}, [4, 3, 2, 1]),
        ({"type": "live"}, []),
        ({"live_input_id": "f" * 32}, []),
        ({"before": "2027-01-15T08:00:20Z"}, [2, 1]),
        ({"end": "2027-01-15T08:00:20.000000001Z"}, [3, 2, 1]),
        ({"after": "2027-01-15T09:00:20+01:00"}, [4, 3]),
        ({"start": "2027-01-15T08:00:20.000000001Z"}, [4]),
    ],
)
def test_lists_are_filtered_and_ordered(
    either: Driver, clock: Clock, query: dict[str, str], expected: list[int]
) -> None:
    either.create(10)
    clock.pass_by(10)
    either.create(10, upload_creator="me")
    clock.pass_by(10)
    either.create(10, upload_metadata=metadata(name="Beach day"))
    clock.pass_by(10)
    either.sent(10)
    clock.pass_by(10)
    assert either.listed(**query) == [f"{number:032x}" for number in expected]


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "0"},
        {"limit": "1001"},
        {"status": "lost"},
        {"asc": "yes"},
        {"before": "yesterday"},
        {"type": "audio"},
    ],
)
def test_a_list_with_a_bad_filter_is_refused(either: Driver, query: dict[str, str]) -> None:
    assert code(either.api("GET", query=query)) == 10005


def test_counts_tell_what_matches_and_what_the_cursor_leaves(either: Driver, clock: Clock) -> None:
    for _ in range(5):
        either.create(10)
        clock.pass_by(1)
    query = {"include_counts": "true", "limit": "1", "before": "2027-01-15T08:00:03Z"}
    page = document(either.api("GET", query=query))
    assert (page["total"], page["range"], len(page["result"])) == (5, 3, 1)


def test_storage_counts_reservations_and_videos(either: Driver) -> None:
    either.create(10, upload_metadata=metadata(maxdurationseconds="600"), upload_creator="me")
    either.create(10)
    assert either.storage() == {
        "totalStorageMinutes": 250.0,
        "totalStorageMinutesLimit": 100_000,
        "videoCount": 2,
    }
    mine = either.storage(creator="me")
    assert (mine["creator"], mine["totalStorageMinutes"], mine["videoCount"]) == ("me", 10.0, 1)
