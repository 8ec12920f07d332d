"""Every switch changes what a client sees."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields

import pytest

from cfstream_upload.emulator.exchange import Reply, Request
from cfstream_upload.emulator.model import Stream
from cfstream_upload.emulator.switches import Switches
from emulator.driving import (
    ACCOUNT,
    CHUNK,
    TOKEN,
    Clock,
    Driver,
    Upload,
    document,
    form,
    in_process,
    metadata,
    result,
    video_bytes,
)

DAY = 24 * 3600.0
Look = Callable[[Driver, Clock], object]


def statuses(driver: Driver, upload: Upload) -> tuple[int, int]:
    return driver.head(upload).status, driver.patch(upload, 0, video_bytes(10)).status


def after_completion(driver: Driver, clock: Clock) -> object:
    return statuses(driver, driver.sent(10))


def after_expiry(driver: Driver, clock: Clock) -> object:
    upload = driver.create(10)
    clock.pass_by(DAY)
    return statuses(driver, upload)


def after_deletion(driver: Driver, clock: Clock) -> object:
    upload = driver.create(10)
    driver.delete(upload.uid)
    return statuses(driver, upload)


def second_patch(driver: Driver, clock: Clock) -> object:
    """The status of a PATCH while another one is half way, and then that one's own."""
    upload = driver.create(10)
    seen: list[int] = []

    def body() -> Iterator[bytes]:
        yield b"12"
        seen.append(driver.patch(upload, 0, video_bytes(10)).status)
        yield b"34567890"

    headers = {"upload_offset": "0", "content_type": "application/offset+octet-stream"}
    return [*seen, driver.tus("PATCH", upload, body(), **headers).status, *seen]


def keep(driver: Driver, clock: Clock) -> object:
    upload = driver.create(3 * CHUNK)
    headers = {"upload_offset": "0", "content_type": "application/offset+octet-stream"}
    driver.tus("PATCH", upload, [bytes(300_000)], content_length=str(CHUNK), **headers)
    return driver.offset(upload)


def tus_errors(driver: Driver, clock: Clock) -> object:
    reply = driver.patch(driver.create(10), 5, b"12345")
    return reply.status, reply.headers.get("content-type"), bool(reply.body)


def oversize_chunk(driver: Driver, clock: Clock) -> object:
    upload = driver.create(10**9)
    return driver.patch(upload, 0, b"", **{"content-length": str(10**9)}).status


def default_expiry(driver: Driver, clock: Clock) -> object:
    return driver.video(driver.create(10).uid)["uploadExpiry"]


def expiry_cap(driver: Driver, clock: Clock) -> object:
    header = metadata(expiry="2027-01-15T15:00:00Z")
    return driver.post(10, upload_metadata=header).status


def tus_reservation(driver: Driver, clock: Clock) -> object:
    driver.create(10, direct_user=False)
    return driver.storage()["totalStorageMinutes"]


def meta_limit(driver: Driver, clock: Clock) -> object:
    return driver.post(10, upload_metadata=metadata(name="n" * 100)).status


def pending(field: str) -> Look:
    def look(driver: Driver, clock: Clock) -> object:
        upload = driver.create(2 * CHUNK, upload_metadata=metadata(Tag="1"))
        clock.pass_by(1)
        driver.patch(upload, 0, video_bytes(CHUNK))
        return driver.video(upload.uid)[field]

    return look


def pending_after_whole(driver: Driver, clock: Clock) -> object:
    upload = driver.sent(10)
    states = []
    for _ in range(3):
        clock.pass_by(4)
        states.append(driver.state(upload.uid))
    return states


def expired_record(driver: Driver, clock: Clock) -> object:
    upload = driver.create(10)
    clock.pass_by(DAY)
    return driver.get(upload.uid).status, len(driver.listed())


def list_lag(driver: Driver, clock: Clock) -> object:
    upload, seen = driver.create(10), []
    for _ in range(2):
        seen.append(len(driver.listed()))
        clock.pass_by(5)
        seen.append(len(driver.listed()))
        driver.delete(upload.uid)
    return seen


def false_404s(driver: Driver, clock: Clock) -> object:
    uid = driver.create(10).uid
    return [driver.get(uid).status for _ in range(3)], len(driver.listed())


def bound(name: str) -> Look:
    def look(driver: Driver, clock: Clock) -> object:
        created = driver.video(driver.create(10).uid)["created"]
        return len(driver.listed(**{name: created}))

    return look


def total_as(driver: Driver, clock: Clock) -> object:
    driver.create(10)
    return document(driver.api("GET", query={"include_counts": "true"}))["total"]


def wrong_token(driver: Driver, clock: Clock) -> object:
    driver.token = "wrong"
    reply = driver.api("GET")
    return reply.status, document(reply)["errors"][0]["code"]


def wrong_account(driver: Driver, clock: Clock) -> object:
    driver.account = "c" * 32
    return driver.api("GET").status


def token_owner(driver: Driver, clock: Clock) -> object:
    headers = {"authorization": f"Bearer {TOKEN}"}
    by_user = driver.send(Request("GET", "/client/v4/user/tokens/verify", headers=headers))
    return by_user.status, driver.api("GET", "/tokens/verify").status


def usage(driver: Driver, clock: Clock) -> object:
    driver.create(10)
    return driver.storage()["totalStorageMinutes"]


def counted(driver: Driver, clock: Clock) -> object:
    upload = driver.create(10)
    return [driver.head(upload).status for _ in range(3)]


def upload_expires(driver: Driver, clock: Clock) -> object:
    return driver.head(driver.create(10)).headers.get("upload-expires")


def form_used(driver: Driver, clock: Clock) -> object:
    upload = driver.form_upload()
    return [driver.post_form(upload, video_bytes(9)).status for _ in range(2)]


def form_after_cut(driver: Driver, clock: Clock) -> object:
    upload = driver.form_upload()
    headers, body = form(video_bytes(90_000))

    def broken() -> Iterator[bytes]:
        yield body[:50_000]
        raise EOFError

    with pytest.raises(EOFError):
        driver.send(Request("POST", upload.path, (), headers, broken()))
    return driver.post_form(upload, video_bytes(9)).status


def form_too_large(driver: Driver, clock: Clock) -> object:
    headers, _ = form(b"")
    upload = driver.form_upload()
    headers["content-length"] = "210000000"
    return driver.send(Request("POST", upload.path, (), headers, [])).status


def form_name(driver: Driver, clock: Clock) -> object:
    return result(driver.basic(video_bytes(9)))["meta"]


def queue_full(driver: Driver) -> Reply:
    driver.sent(10)
    return driver.post(10)


CASES: list[tuple[str, object, Look, object, object]] = [
    ("after_completion", "410", after_completion, (200, 409), (410, 410)),
    ("after_completion", "403", after_completion, (200, 409), (403, 403)),
    ("after_expiry", "410", after_expiry, (404, 404), (410, 410)),
    ("after_deletion", "403", after_deletion, (404, 404), (403, 403)),
    ("second_patch", "takes_over", second_patch, [204, 423], [423, 204]),
    ("keep", "all", keep, 262_144, 300_000),
    ("keep", "nothing", keep, 262_144, 0),
    ("tus_errors", "text", tus_errors, (409, "application/json", True), (409, "text/plain", True)),
    ("tus_errors", "empty", tus_errors, (409, "application/json", True), (409, None, False)),
    ("oversize_chunk", "413", oversize_chunk, 400, 413),
    (
        "options",
        "405",
        lambda driver, _: driver.tus("OPTIONS", driver.create(10)).status,
        204,
        405,
    ),
    ("upload_expires_header", True, upload_expires, None, "Sat, 16 Jan 2027 08:00:00 GMT"),
    (
        "default_expiry",
        1800.0,
        default_expiry,
        "2027-01-16T08:00:00.000000000Z",
        "2027-01-15T08:30:00.000000000Z",
    ),
    ("expiry_cap", 6 * 3600.0, expiry_cap, 201, 400),
    ("tus_reservation", 18_000, tus_reservation, 240.0, 300.0),
    ("form_used", "409", form_used, [200, 400], [200, 409]),
    ("form_after_cut", "used", form_after_cut, 200, 404),
    (
        "form_not_post",
        "400",
        lambda driver, _: driver.patch(driver.form_upload(), 0, b"x").status,
        405,
        400,
    ),
    ("form_too_large", "400", form_too_large, 413, 400),
    (
        "form_expiry_cap",
        None,
        lambda driver, _: driver.direct_upload(expiry="2027-01-15T15:00:00Z").status,
        400,
        200,
    ),
    ("form_name", False, form_name, {"name": "video.mp4"}, {}),
    (
        "queue_full_code",
        971,
        lambda driver, _: document(queue_full(driver))["errors"][0]["code"],
        10005,
        971,
    ),
    (
        "queue_full_wait",
        30,
        lambda driver, _: queue_full(driver).headers.get("retry-after"),
        None,
        "30",
    ),
    ("meta_while_pending", False, pending("meta"), {"Tag": "1"}, {}),
    ("meta_keys", "lower", pending("meta"), {"Tag": "1"}, {"tag": "1"}),
    ("meta_limit", 100, meta_limit, 201, 400),
    ("size_while_pending", "received", pending("size"), 0, CHUNK),
    ("size_while_pending", "length", pending("size"), 0, 2 * CHUNK),
    (
        "modified_while_uploading",
        True,
        pending("modified"),
        "2027-01-15T08:00:00.000000000Z",
        "2027-01-15T08:00:01.000000000Z",
    ),
    ("uploaded_at_creation", False, pending("uploaded"), "2027-01-15T08:00:00.000000000Z", None),
    (
        "pending_after_whole",
        8.5,
        pending_after_whole,
        ["ready"] * 3,
        ["pendingupload", "pendingupload", "ready"],
    ),
    ("expired_record", "vanishes", expired_record, (200, 1), (404, 0)),
    ("list_lag", 5.0, list_lag, [1, 1, 0, 0], [0, 1, 1, 0]),
    ("false_404s", 1, false_404s, ([200] * 3, 1), ([404, 200, 200], 1)),
    ("before_inclusive", True, bound("before"), 0, 1),
    ("after_inclusive", False, bound("after"), 1, 0),
    ("total_as", "str", total_as, 1, "1"),
    (
        "delete_reply",
        "json",
        lambda driver, _: driver.delete(driver.create(10).uid).body[:1],
        b"",
        b"{",
    ),
    ("wrong_token", "403", wrong_token, (401, 10000), (403, 9109)),
    ("wrong_account", "404", wrong_account, 403, 404),
    ("token_owner", "account", token_owner, (200, 200), (401, 200)),
    ("token_owner", "user", token_owner, (200, 200), (200, 401)),
    ("usage_counts_reservations", False, usage, 240.0, 0.0),
    ("uploads_count_to_limit", True, counted, [200, 200, 200], [200, 429, 429]),
]


@pytest.mark.parametrize(
    ("name", "setting", "look", "default", "changed"),
    [pytest.param(*case, id=f"{case[0]}-{case[1]}") for case in CASES],
)
def test_a_switch_changes_what_a_client_sees(
    name: str, setting: object, look: Look, default: object, changed: object
) -> None:
    def seen(switches: Switches) -> object:
        clock = Clock()
        limit = 2 if name == "uploads_count_to_limit" else None
        queue = 1 if name.startswith("queue_full") else 120
        stream = Stream(
            account=ACCOUNT,
            token=TOKEN,
            now=clock,
            switches=switches,
            rate_limit=limit,
            queue_limit=queue,
        )
        return look(in_process(stream), clock)

    assert seen(Switches()) == default
    assert seen(Switches(**{name: setting})) == changed  # type: ignore[arg-type]


def test_every_switch_is_tried_and_explained() -> None:
    names = {field.name for field in fields(Switches)}
    assert names == {case[0] for case in CASES}
    assert all(name in (Switches.__doc__ or "") for name in names)
