"""Each fault that can be asked for, on real sockets: what the client sees, and what Stream did."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator

import httpx
import pytest

from cfstream_upload.emulator.effects import Drip, Fault, Gone, Interim, Rate
from cfstream_upload.emulator.faults import Faulty, Strike, parse_fault
from cfstream_upload.emulator.model import Stream
from cfstream_upload.emulator.stage import Stage, staged
from emulator.driving import BLOCK, CHUNK, Driver, Upload, in_process, over_http, video_bytes

WIRE = parse_fault("OPTIONS 1000000 cut")
"""It strikes nothing, but puts the proxy before the server."""


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """A Stream behind its proxy, for all tests here."""
    with staged(Stream(), faults=[WIRE]) as stage:
        yield stage


@pytest.fixture
def http(stage: Stage) -> Iterator[httpx.Client]:
    stage.faulty.clear()
    with httpx.Client(trust_env=False, timeout=5) as client:
        yield client


@pytest.fixture
def client(stage: Stage, http: httpx.Client) -> Driver:
    return over_http(stage.endpoint, http)


def strike(stage: Stage, *texts: str) -> None:
    stage.strike(*texts)


def raw(stage: Stage, driver: Driver, method: str, path: str, *lines: str) -> socket.socket:
    """Send a request by hand, its head complete."""
    head = [f"{method} {path} HTTP/1.1", "host: 127.0.0.1", *lines]
    head.append(f"authorization: Bearer {driver.token}")
    connection = socket.create_connection(("127.0.0.1", stage.endpoint.port), timeout=5)
    connection.sendall("\r\n".join([*head, "", ""]).encode())
    return connection


def raw_patch(stage: Stage, driver: Driver, upload: Upload, length: int) -> socket.socket:
    return raw(
        stage, driver, "PATCH", upload.path, "tus-resumable: 1.0.0", "upload-offset: 0",
        "content-type: application/offset+octet-stream", f"content-length: {length}",
    )  # fmt: skip


def offset_becomes(driver: Driver, upload: Upload, offset: int) -> bool:
    deadline = time.monotonic() + 5
    while driver.offset(upload) != offset:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def logged(stage: Stage, fault: str) -> list[dict[str, object]]:
    entries = json.loads(json.dumps(stage.log.after(0)["entries"]))
    return [entry for entry in entries if entry["fault"] == fault]


def test_a_status_is_answered_in_streams_place(stage: Stage, client: Driver) -> None:
    before = len(client.listed())
    strike(stage, "create status=503 retry-after=7", "create 2 status=500 acts")
    reply = client.post(10)
    assert (reply.status, reply.headers["retry-after"]) == (503, "7")
    assert len(client.listed()) == before
    assert client.post(10).status == 500
    assert len(client.listed()) == before + 1
    assert client.post(10).status == 201


def test_a_reply_is_lost_after_the_deed(stage: Stage, client: Driver) -> None:
    before = len(client.listed())
    strike(stage, "POST 1 lose")
    with pytest.raises(httpx.TransportError):
        client.post(10)
    assert len(client.listed()) == before + 1


@pytest.mark.parametrize("word", ["cut", "reset"])
def test_a_connection_ends_in_the_middle_of_a_body(stage: Stage, client: Driver, word: str) -> None:
    upload = client.create(3 * CHUNK)
    size = 2 * BLOCK + 9
    strike(stage, f"PATCH {word}={size}")
    with raw_patch(stage, client, upload, CHUNK) as connection:
        # No more than what is read before the end, so that FIN is not turned into RST.
        connection.sendall(video_bytes(size + 1))
        if word == "reset":
            with pytest.raises(ConnectionResetError):
                connection.recv(100)
        else:
            assert connection.recv(100) == b""
    assert offset_becomes(client, upload, 2 * BLOCK)
    (entry,) = logged(stage, f"PATCH {word}={size}")
    assert (entry["method"], entry["uid"], entry["status"], entry["bytes"]) == (
        "PATCH", upload.uid, None, size,
    )  # fmt: skip


def test_a_body_that_is_shorter_than_the_cut_is_delivered_and_its_reply_lost(
    stage: Stage, client: Driver
) -> None:
    upload = client.create(1000)
    strike(stage, "PATCH cut=1000")
    with pytest.raises(httpx.TransportError):
        client.patch(upload, 0, video_bytes(1000))
    assert client.state(upload.uid) != "pendingupload"


def test_a_cut_without_a_size_leaves_stream_nothing(stage: Stage, client: Driver) -> None:
    uid = client.create(10).uid
    strike(stage, "DELETE cut")
    with pytest.raises(httpx.TransportError):
        client.delete(uid)
    assert client.get(uid).status == 200
    (entry,) = logged(stage, "DELETE cut")
    assert (entry["kind"], entry["uid"], entry["status"]) == ("video", uid, None)


@pytest.mark.parametrize("acts", [True, False])
def test_a_request_hangs_acted_upon_or_not(stage: Stage, client: Driver, acts: bool) -> None:
    uid = client.create(10).uid
    strike(stage, "DELETE hang acts" if acts else "DELETE hang")
    path = f"/client/v4/accounts/{client.account}/stream/{uid}"
    with raw(stage, client, "DELETE", path) as connection:
        connection.settimeout(0.3)
        with pytest.raises(TimeoutError):
            connection.recv(1)
    assert client.get(uid).status == (404 if acts else 200)


def test_a_stalled_reply_comes_late_to_what_was_done_at_once(stage: Stage, client: Driver) -> None:
    uid = client.create(10).uid
    strike(stage, "DELETE stall=500ms")
    path = f"/client/v4/accounts/{client.account}/stream/{uid}"
    with raw(stage, client, "DELETE", path) as connection:
        deadline = time.monotonic() + 0.4
        while client.get(uid).status != 404:
            assert time.monotonic() < deadline
        assert connection.recv(12) == b"HTTP/1.1 200"


def test_a_late_create_arrives_after_its_client_gave_up(
    stage: Stage, client: Driver, http: httpx.Client
) -> None:
    before = len(client.listed())
    strike(stage, "create late=500ms")
    http.timeout = httpx.Timeout(0.1)
    with pytest.raises(httpx.ReadTimeout):
        client.post(10)
    http.timeout = httpx.Timeout(5)
    assert len(client.listed()) == before
    deadline = time.monotonic() + 5
    while len(client.listed()) == before:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    (entry,) = logged(stage, "create late=500ms")
    assert entry["status"] == 201


def test_a_late_patch_arrives_whole_and_is_answered_if_its_client_waits(
    stage: Stage, client: Driver
) -> None:
    upload = client.create(3 * CHUNK)
    strike(stage, "PATCH late=100ms")
    assert client.patch(upload, 0, video_bytes(CHUNK)).status == 204
    assert client.offset(upload) == CHUNK


def test_a_video_is_gone_from_then_on(stage: Stage, client: Driver) -> None:
    upload = client.create(3 * CHUNK)
    strike(stage, "PATCH 2 gone")
    assert client.patch(upload, 0, video_bytes(CHUNK)).status == 204
    assert client.patch(upload, CHUNK, video_bytes(CHUNK)).status == 404
    assert client.head(upload).status == client.get(upload.uid).status == 404
    assert upload.uid not in client.listed()


def test_an_upload_url_expires_and_the_video_stays_pending(stage: Stage, client: Driver) -> None:
    upload = client.create(3 * CHUNK)
    strike(stage, "PATCH expire")
    assert client.patch(upload, 0, video_bytes(CHUNK)).status == 404
    assert client.head(upload).status == 404
    assert client.state(upload.uid) == "pendingupload"
    assert client.offset(client.create(10)) == 0


def test_a_token_expires_until_the_fault_is_removed(stage: Stage, client: Driver) -> None:
    upload = client.create(10)
    strike(stage, "list 2 expire")
    statuses = [client.api("GET").status, client.api("GET").status, client.get(upload.uid).status]
    assert statuses == [200, 401, 401]
    assert client.post(10).status == 401
    assert client.offset(upload) == 0
    stage.faulty.clear()
    assert client.api("GET").status == 200


def test_a_list_lags(stage: Stage, client: Driver) -> None:
    uid = client.create(10).uid
    strike(stage, "list 2 lag=1h x1")
    seen = [uid in client.listed() for _ in range(3)]
    assert seen == [True, False, True]
    assert client.get(uid).status == 200


def test_bytes_pass_at_a_rate(stage: Stage, client: Driver) -> None:
    upload = client.create(60_000)
    strike(stage, "PATCH rate=128K")
    started = time.monotonic()
    assert client.patch(upload, 0, video_bytes(60_000)).status == 204
    assert 0.4 < time.monotonic() - started < 4


def test_a_reply_drips(stage: Stage, client: Driver) -> None:
    upload = client.create(10)
    strike(stage, "HEAD drip=2ms")
    with raw(stage, client, "HEAD", upload.path, "tus-resumable: 1.0.0") as connection:
        pieces: list[bytes] = []
        while not b"".join(pieces).endswith(b"\r\n\r\n"):
            pieces.append(connection.recv(1000))
    assert b"".join(pieces).startswith(b"HTTP/1.1 200")
    assert len(pieces) > 20


@pytest.mark.parametrize("acts", [True, False])
def test_interim_replies_come_for_ever_and_no_other(
    stage: Stage, client: Driver, acts: bool
) -> None:
    uid = client.create(10).uid
    strike(stage, "DELETE 1xx=5ms acts" if acts else "DELETE 1xx=5ms")
    path = f"/client/v4/accounts/{client.account}/stream/{uid}"
    heard = b""
    with raw(stage, client, "DELETE", path) as connection:
        while heard.count(b"\r\n\r\n") < 20:
            heard += connection.recv(100)
    assert heard.count(b"HTTP/") == heard.count(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert client.get(uid).status == (404 if acts else 200)


def test_effects_on_the_wire_and_on_replies_come_together(stage: Stage, client: Driver) -> None:
    strike(stage, "ANY rate=1M *", "list status=500", "list drip=1ms")
    assert client.api("GET").status == 500
    (entry,) = logged(stage, "ANY rate=1M * + list drip=1ms + list status=500")
    assert entry["status"] == 500


def test_nobody_but_the_proxy_can_say_that_it_struck(stage: Stage, client: Driver) -> None:
    strike(stage, "list rate=1M")
    assert client.api("GET", headers={"x-emulator-0": "a lie"}).status == 200
    assert not logged(stage, "a lie")


# --- which requests ------------------------------------------------------------------------------


def struck(text: str, count: int = 12) -> str:
    """Which of so many lists a fault strikes."""
    driver = in_process(Faulty(Stream(), [parse_fault(text)]))
    return "".join("x" if driver.api("GET").status == 500 else "-" for _ in range(count))


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("list status=500", "x-----"),
        ("GET 2 status=500 x3", "-xxx--"),
        ("any 4 status=500 *", "---xxx"),
        ("look status=500 *", "------"),
        ("list p=1 status=500", None),
        ("list status=500 p=1", "xxxxxx"),
        ("list 2 status=500 p=1 x2", "-xx---"),
    ],
)
def test_a_fault_strikes_what_it_says(text: str, pattern: str | None) -> None:
    if pattern is None:
        with pytest.raises(ValueError, match="column 6"):
            parse_fault(text)
        return
    assert struck(text, 6) == pattern


def test_chance_is_the_same_for_the_same_seed() -> None:
    first, again, other = (struck(f"list status=500 p=0.5 seed={n}", 40) for n in (7, 7, 8))
    assert first == again != other
    assert 8 < first.count("x") < 32


def test_a_fault_may_wait_before_it_counts() -> None:
    now = [0.0]
    faulty = Faulty(Stream(), [parse_fault("list status=500 after=5s")], clock=lambda: now[0])
    driver = in_process(faulty)
    assert driver.api("GET").status == 200
    now[0] = 5.0
    assert driver.api("GET").status == 500


def test_a_strike_is_told_with_its_request() -> None:
    strikes: list[Strike] = []
    faulty = Faulty(Stream(), [Fault(Gone(), "GET")], on_strike=strikes.append)
    driver = in_process(faulty)
    uid = driver.create(10).uid
    assert driver.listed() == [uid]
    assert driver.get(uid).status == 404
    (told,) = strikes
    assert (told.method, told.kind, told.uid, told.number) == ("GET", "video", uid, 1)
    assert (told.fault.text, told.fault.struck, told.fault.left) == ("GET gone", 1, 0)


@pytest.mark.parametrize("effect", [Rate(1), Drip(1.0), Interim(1.0)])
def test_what_needs_a_proxy_is_refused_where_there_is_none(effect: Rate | Drip | Interim) -> None:
    with pytest.raises(ValueError, match="needs a proxy"):
        Faulty(Stream()).set(Fault(effect))


@pytest.mark.parametrize("early", [True, False])
def test_faults_on_the_wire_reach_the_port_of_uploads_by_token(
    http: httpx.Client, early: bool
) -> None:
    faults = [WIRE] if early else []
    with staged(Stream(), faults=faults, with_token_port=True) as stage:
        client = over_http(stage.endpoint, http)
        upload = client.create(2 * CHUNK, direct_user=False)
        headers = {
            "tus-resumable": "1.0.0",
            "content-type": "application/offset+octet-stream",
            "authorization": f"Bearer {stage.endpoint.token}",
        }
        stage.strike(f"PATCH 1 cut={2 * BLOCK}")
        body, first = video_bytes(2 * CHUNK), {**headers, "upload-offset": "0"}
        with pytest.raises(httpx.TransportError):
            http.patch(upload.location, headers=first, content=body)
        known = http.head(upload.location, headers=headers)
        assert known.headers["upload-offset"] == str(2 * BLOCK)
        rest = {**headers, "upload-offset": str(2 * BLOCK)}
        assert http.patch(upload.location, headers=rest, content=body[2 * BLOCK :]).is_success
        elsewhere = upload.location.replace(
            f":{httpx.URL(upload.location).port}", f":{stage.endpoint.port}"
        )
        assert http.head(elsewhere, headers=headers).status_code == 404
