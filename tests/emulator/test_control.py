"""Faults and the log over HTTP while the emulator runs, and who may use them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from cfstream_upload.emulator.faults import Faulty
from cfstream_upload.emulator.gate import LOOPBACK, refusal
from cfstream_upload.emulator.model import Stream
from cfstream_upload.emulator.requestlog import LENGTH, RequestLog
from cfstream_upload.emulator.stage import Stage, staged
from emulator.driving import BLOCK, CHUNK, TOKEN, in_process, over_http, video_bytes


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with staged(Stream()) as stage:
        yield stage


@pytest.fixture
def http(stage: Stage) -> Iterator[httpx.Client]:
    """A program that knows the token, at the emulator's own paths."""
    stage.faulty.clear()
    token = {"authorization": f"Bearer {stage.endpoint.token}"}
    origin = f"http://127.0.0.1:{stage.endpoint.port}"
    with httpx.Client(base_url=origin, headers=token, trust_env=False, timeout=5) as client:
        yield client


def faults(http: httpx.Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = http.get("/emulator/faults").json()["faults"]
    return found


def test_faults_are_set_seen_and_removed(stage: Stage, http: httpx.Client) -> None:
    reply = http.post("/emulator/faults", json={"fault": "list  2 status=500"})
    first = {"text": "list 2 status=500", "struck": 0, "seen": 0, "left": 1}
    assert reply.status_code == 201
    number = reply.json()["id"]
    assert reply.json() == {"id": number, **first}
    http.post("/emulator/faults", content="GET hang *", headers={"content-type": "text/plain"})
    assert [fault["left"] for fault in faults(http)] == [1, None]
    assert http.delete(f"/emulator/faults/{number + 1}").status_code == 204
    assert http.delete(f"/emulator/faults/{number + 1}").status_code == 404
    driver = over_http(stage.endpoint, http)
    assert [driver.api("GET").status for _ in range(3)] == [200, 500, 200]
    assert faults(http) == [{"id": number, **first, "struck": 1, "seen": 3, "left": 0}]
    assert http.delete("/emulator/faults").status_code == 204
    assert faults(http) == []


def test_a_script_is_set_as_a_whole_or_not_at_all(http: httpx.Client) -> None:
    plain = {"content-type": "text/plain; charset=utf-8"}
    reply = http.post("/emulator/faults", content="GET lose\nGET loose", headers=plain)
    assert reply.status_code == 400
    assert "line 2, column 5" in reply.json()["error"]
    assert faults(http) == []
    reply = http.post("/emulator/faults", content="GET lose\n\nwait 1h\nGET 2 lose", headers=plain)
    assert [fault["text"] for fault in reply.json()["faults"]] == ["GET lose", "GET 2 lose"]


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b'{"fault": 3}', "application/json", 400),
        (b"[" * 50_000, "application/json", 400),
        (b'{"fault": "GET loose"}', "application/json", 400),
        (b"", "text/plain", 400),
        (b"# nothing", "text/plain", 400),
        (b"\xff", "text/plain", 400),
        (b"#" * 70_000, "text/plain", 413),
    ],
)
def test_what_is_no_fault_is_refused_in_words(
    http: httpx.Client, body: bytes, kind: str, status: int
) -> None:
    reply = http.post("/emulator/faults", content=body, headers={"content-type": kind})
    assert (reply.status_code, list(reply.json())) == (status, ["error"])
    assert faults(http) == []


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("PUT", "/emulator/faults", 405),
        ("POST", "/emulator/log", 405),
        ("GET", "/emulator/faults/1", 405),
        ("DELETE", "/emulator/faults/x", 404),
        ("GET", "/emulator/log?after=x", 400),
        ("GET", "/emulator", 200),
    ],
)
def test_other_requests_beside_stream(
    http: httpx.Client, method: str, path: str, status: int
) -> None:
    assert http.request(method, path).status_code == status


def test_a_fault_on_the_wire_puts_a_proxy_before_a_server_that_runs() -> None:
    model = Stream()
    with staged(model) as stage, httpx.Client(trust_env=False, timeout=5) as http:
        driver = over_http(stage.endpoint, http)
        upload = driver.create(3 * CHUNK)
        origin = f"http://127.0.0.1:{stage.endpoint.port}"
        token = {"authorization": f"Bearer {stage.endpoint.token}"}
        for _ in range(2):
            reply = http.post(
                f"{origin}/emulator/faults",
                json={"fault": f"PATCH cut={BLOCK + 9}"},
                headers=token,
            )
            assert reply.status_code == 201
            start = driver.offset(upload)
            with pytest.raises(httpx.TransportError):
                driver.patch(upload, start, video_bytes(CHUNK))
        while (offset := driver.offset(upload)) != 2 * BLOCK:
            assert offset == BLOCK
        assert driver.patch(upload, offset, video_bytes(CHUNK)).status == 204


# --- the log -------------------------------------------------------------------------------------


def test_the_log_tells_each_request_once_and_no_secret(stage: Stage, http: httpx.Client) -> None:
    start = http.get("/emulator/log").json()["next"]
    driver = over_http(stage.endpoint, http)
    http.post("/emulator/faults", json={"fault": "HEAD status=503"})
    upload = driver.sent(1000)
    driver.head(upload)
    reply = http.get(f"/emulator/log?after={start}")
    entries = reply.json()["entries"]
    assert [(e["n"] - start, e["method"], e["kind"], e["status"], e["bytes"]) for e in entries] == [
        (0, "POST", "videos", 201, 0),
        (1, "PATCH", "upload", 204, 1000),
        (2, "HEAD", "upload", 503, 0),
    ]
    assert {entry["uid"] for entry in entries} == {upload.uid}
    assert [entry["fault"] for entry in entries] == [None, None, "HEAD status=503"]
    assert all(entry["at"].endswith("Z") and entry["seconds"] >= 0 for entry in entries)
    assert "/tus" not in reply.text
    assert stage.endpoint.token not in reply.text
    again = http.get(f"/emulator/log?after={reply.json()['next']}").json()
    assert again == {"entries": [], "next": start + 3}


def test_the_log_keeps_the_last_thousand_requests() -> None:
    log = RequestLog(now=lambda: 0.0)
    driver = in_process(Faulty(Stream(), log=log))
    for _ in range(LENGTH + 5):
        driver.api("GET", "/nothing")
    kept = json.loads(json.dumps(log.after(0)))
    assert (len(kept["entries"]), kept["entries"][0]["n"], kept["next"]) == (LENGTH, 6, LENGTH + 6)
    assert kept["entries"][0]["at"] == "1970-01-01T00:00:00.000Z"
    assert log.after(LENGTH + 6) == {"entries": [], "next": LENGTH + 6}


# --- who may -------------------------------------------------------------------------------------

HOST = {"host": "127.0.0.1:8787"}
BEARER = {"authorization": f"Bearer {TOKEN}"}
OWN = {"origin": "http://127.0.0.1:8787"}
EVIL = {"origin": "http://evil.example"}


@pytest.mark.parametrize(
    ("headers", "reads", "writes"),
    [
        (HOST, True, False),
        ({"host": "localhost"}, True, False),
        ({"host": "LOCALHOST:1"} | BEARER, True, True),
        ({"host": "[::1]:80"} | BEARER, True, True),
        (HOST | BEARER, True, True),
        (HOST | {"authorization": f"Bearer {TOKEN}x"}, True, False),
        (HOST | {"authorization": "Bearer \udcff"}, True, False),
        (HOST | OWN, True, True),
        (HOST | {"sec-fetch-site": "same-origin"}, True, True),
        (HOST | {"sec-fetch-site": "none"}, True, False),
        (HOST | {"sec-fetch-site": "same-site"} | BEARER, False, False),
        (HOST | {"sec-fetch-site": "cross-site"}, False, False),
        (HOST | EVIL | BEARER, False, False),
        (HOST | EVIL | {"sec-fetch-site": "same-origin"}, False, False),
        (HOST | {"origin": "null"}, False, False),
        (HOST | {"origin": "http://127.0.0.1:9"}, False, False),
        (HOST | {"origin": "https://127.0.0.1:8787"}, False, False),
        ({} | BEARER, False, False),
        ({"host": "evil.example:8787"} | BEARER, False, False),
        ({"host": "evil.example", "origin": "http://evil.example"}, False, False),
        ({"host": "127.0.0.1.evil.example"} | BEARER, False, False),
        ({"host": "evil.example#127.0.0.1"} | BEARER, False, False),
        ({"host": "stream:8787"} | BEARER, False, False),
    ],
)
def test_who_may_read_and_who_may_write(headers: dict[str, str], reads: bool, writes: bool) -> None:
    assert (refusal("GET", headers, TOKEN) is None) == reads
    for method in ("POST", "DELETE", "PUT"):
        assert (refusal(method, headers, TOKEN) is None) == writes


def test_a_server_may_go_by_another_name() -> None:
    hosts = LOOPBACK | {"stream"}
    assert refusal("POST", {"host": "stream:8787"} | BEARER, TOKEN, hosts) is None
    assert refusal("POST", {"host": "other:8787"} | BEARER, TOKEN, hosts) is not None


def test_strangers_change_nothing(stage: Stage, http: httpx.Client) -> None:
    http.post("/emulator/faults", json={"fault": "OPTIONS lose"})
    before = faults(http)
    for headers in ({"host": "evil.example"}, EVIL, {"authorization": ""}):
        for method, path in (("POST", ""), ("DELETE", ""), ("DELETE", f"/{before[0]['id']}")):
            reply = http.request(
                method, f"/emulator/faults{path}", headers=headers, content=b"GET lose"
            )
            assert reply.status_code == 403
            assert list(reply.json()) == ["error"]
            assert "access-control-allow-origin" not in reply.headers
    assert http.get("/emulator/log", headers={"host": "evil.example"}).status_code == 403
    assert faults(http) == before
