"""What the pages are made of, without a browser: who is let in, media, pictures, events."""

from __future__ import annotations

import asyncio
import json
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

import httpx
import pytest

from cfstream_upload.emulator import thumbnails
from cfstream_upload.emulator.endpoint import Endpoint
from cfstream_upload.emulator.footage import sample
from cfstream_upload.emulator.listening import listen
from cfstream_upload.emulator.model import Stream
from cfstream_upload.emulator.server import Server, running
from emulator.driving import BLOCK, CHUNK, Clock, Driver, Upload, in_process

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://%s\n#EXT-X-ENDLIST\n"


@pytest.fixture
def stream(tmp_path: Path) -> Stream:
    return Stream(data=tmp_path / "data")


@pytest.fixture
def driver(stream: Stream) -> Driver:
    return in_process(stream)


@pytest.fixture
def http(stream: Stream) -> Iterator[httpx.Client]:
    """A client of the pages; the server ends with the test."""
    with running(stream) as endpoint, client_of(endpoint) as client:
        yield client


def client_of(endpoint: Endpoint) -> httpx.Client:
    return httpx.Client(base_url=f"http://127.0.0.1:{endpoint.port}", trust_env=False)


def whole(driver: Driver, content: bytes) -> str:
    """A video past pending, whatever it holds."""
    upload = driver.create(len(content))
    driver.patch(upload, 0, content)
    return upload.uid


@contextmanager
def events(http: httpx.Client, query: str = "") -> Iterator[Iterator[dict[str, Any]]]:
    """What a watching page hears."""
    with http.stream("GET", f"/emulator/events{query}", timeout=20) as reply:
        assert reply.status_code == 200
        lines = (line for line in reply.iter_lines() if line.startswith("data: "))
        yield (json.loads(line.removeprefix("data: ")) for line in lines)


# --- who is let in -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "rebound.example"},
        {"origin": "https://elsewhere.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {},
    ],
)
def test_a_foreign_page_deletes_nothing(
    driver: Driver, stream: Stream, http: httpx.Client, headers: dict[str, str]
) -> None:
    uid = whole(driver, sample())
    assert http.delete(f"/emulator/videos/{uid}", headers=headers).status_code == 403
    assert len(stream.videos()) == 1


@pytest.mark.parametrize("path", ["/", "/emulator/events", "/emulator/videos/{}/media"])
def test_a_page_under_a_foreign_name_reads_nothing(
    driver: Driver, http: httpx.Client, path: str
) -> None:
    path = path.format(whole(driver, sample()))
    assert http.get(path, headers={"host": "rebound.example:80"}).status_code == 403


def test_a_link_on_another_site_leads_to_a_page_and_to_nothing_else(
    driver: Driver, http: httpx.Client
) -> None:
    followed = {"sec-fetch-site": "cross-site", "sec-fetch-dest": "document"}
    assert http.get("/", headers=followed).status_code == 200
    uid = whole(driver, sample())
    assert http.get(f"/emulator/videos/{uid}/media", headers=followed).status_code == 403


def test_the_pages_own_requests_and_the_tokens_owner_may_delete(
    driver: Driver, stream: Stream, http: httpx.Client
) -> None:
    own = {"origin": str(http.base_url).rstrip("/"), "sec-fetch-site": "same-origin"}
    for headers in (own, {"authorization": f"Bearer {stream.token}"}):
        uid = whole(driver, sample())
        assert http.delete(f"/emulator/videos/{uid}", headers=headers).status_code == 204
        assert http.delete(f"/emulator/videos/{uid}", headers=headers).status_code == 404
    assert stream.videos() == []


def test_a_page_may_be_read_only_and_all_else_goes_to_stream(http: httpx.Client) -> None:
    own = {"sec-fetch-site": "same-origin"}
    assert http.post("/", headers=own).status_code == 405
    assert http.get("/emulator/videos/" + "0" * 32).status_code == 405
    assert http.get("/emulator/assets/nothing.js").status_code == 404
    for path in ("/videos/", "/emulator/assets/../pages.py", "/videos/" + "0" * 31):
        reply = http.get(path)
        assert reply.status_code == 404
        assert reply.json()["success"] is False, "that is Stream's own answer"


# --- media and pictures --------------------------------------------------------------------------


def test_media_come_in_ranges_as_something_that_is_no_document(
    driver: Driver, http: httpx.Client
) -> None:
    path = f"/emulator/videos/{whole(driver, sample())}/media"
    part = http.get(path, headers={"range": "bytes=4-11"})
    assert (part.status_code, part.content) == (206, b"ftypisom")
    assert http.get(path).content == sample()
    evil = http.get(f"/emulator/videos/{whole(driver, b'<script>alert(1)</script>')}/media")
    assert evil.headers["content-type"] == "video/mp4"
    assert evil.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in evil.headers["content-security-policy"]


def test_media_and_pictures_are_there_only_of_whole_videos(
    driver: Driver, http: httpx.Client
) -> None:
    pending = driver.create(100)
    for part in ("media", "thumbnail"):
        assert http.get(f"/emulator/videos/{pending.uid}/{part}").status_code == 404
        assert http.get(f"/emulator/videos/{'0' * 32}/{part}").status_code == 404


@needs_ffmpeg
def test_a_picture_is_made_of_a_video_and_a_neutral_one_of_anything_else(
    driver: Driver, http: httpx.Client, tmp_path: Path
) -> None:
    film = whole(driver, sample())
    picture = http.get(f"/emulator/videos/{film}/thumbnail")
    assert picture.headers["content-type"] == "image/jpeg"
    assert picture.content.startswith(b"\xff\xd8")
    secret = tmp_path / "secret.mp4"
    secret.write_bytes(sample())
    for content in (b"%PDF-1.4", PLAYLIST % str(secret).encode(), b""):
        neutral = http.get(f"/emulator/videos/{whole(driver, content)}/thumbnail")
        assert neutral.headers["content-type"].startswith("image/svg+xml"), content


def test_a_picture_that_takes_too_long_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = tmp_path / "slow"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o700)
    monkeypatch.setattr(thumbnails, "SECONDS", 0.2)

    async def made_by(program: str) -> bytes | None:
        return await thumbnails.Thumbnails(program).of("a" * 32, slow)

    began = time.monotonic()
    assert asyncio.run(made_by(str(slow))) is None
    assert asyncio.run(made_by(str(tmp_path / "missing"))) is None
    assert time.monotonic() - began < 20


# --- events --------------------------------------------------------------------------------------


def test_a_page_hears_of_bytes_before_they_are_acknowledged(
    driver: Driver, stream: Stream, http: httpx.Client
) -> None:
    upload = driver.create(2 * CHUNK)
    with events(http) as heard:
        first = next(heard)
        assert first["fresh"]
        assert first["videos"][upload.uid]["received"] == 0
        exchange = begun(stream, upload)
        exchange.write(b"x" * BLOCK)
        video = next(heard)["videos"][upload.uid]
        assert (video["received"], video["offset"], video["sending"]) == (BLOCK, 0, True)
        exchange.cut()
        assert next(heard)["videos"][upload.uid]["offset"] == BLOCK
        stream.remove(upload.uid)
        assert next(heard)["gone"] == [upload.uid]


def begun(stream: Stream, upload: Upload) -> Any:  # noqa: ANN401  # the model's own kind
    from cfstream_upload.emulator.exchange import Request

    headers = {
        "tus-resumable": "1.0.0",
        "content-type": "application/offset+octet-stream",
        "upload-offset": "0",
    }
    return stream.begin(Request("PATCH", upload.path, (), headers))


def test_a_page_hears_of_what_time_alone_changes(driver: Driver, http: httpx.Client) -> None:
    uid = whole(driver, sample())
    with events(http, f"?uid={uid}") as heard:
        states = []
        for event in heard:
            states.append(event.get("videos", {}).get(uid, {}).get("state"))
            if states[-1] == "ready":
                break
    assert states[0] in ("queued", "inprogress")


def test_a_busy_upload_is_told_at_most_ten_times_a_second(
    driver: Driver, stream: Stream, http: httpx.Client
) -> None:
    upload = driver.create(CHUNK)
    exchange = begun(stream, upload)
    with events(http) as heard:
        next(heard)
        ends, told = time.monotonic() + 1, 0
        writer = threading.Thread(target=lambda: _write_until(exchange, ends))
        writer.start()
        while time.monotonic() < ends:
            next(heard)
            told += 1
        writer.join()
        exchange.cut()
    assert 3 <= told <= 11


def _write_until(exchange: Any, ends: float) -> None:  # noqa: ANN401
    while time.monotonic() < ends:
        exchange.write(b"x" * 1000)
        time.sleep(0.002)


def test_a_request_that_changed_nothing_is_told_for_the_log(
    driver: Driver, http: httpx.Client
) -> None:
    with events(http) as heard:
        next(heard)
        driver.listed()
        assert next(heard) == {}


def test_who_left_costs_nothing_more(driver: Driver, stream: Stream, http: httpx.Client) -> None:
    with events(http) as heard:
        next(heard)
        assert len(stream.bell.listeners) == 1
    ends = time.monotonic() + 10
    while stream.bell.listeners:
        assert time.monotonic() < ends
        time.sleep(0.01)


def test_a_server_that_is_watched_ends_at_once_and_in_good_order(stream: Stream) -> None:
    server = Server(stream, listen())
    thread = threading.Thread(target=server.serve)
    thread.start()
    with client_of(server.endpoint) as http, events(http) as heard:
        next(heard)
        began = time.monotonic()
        server.stop()
        assert list(heard) == [{"over": True}], "the response ends, it is not cut"
    thread.join()
    assert time.monotonic() - began < 1.9, "less than the server's patience"


# --- what it costs -------------------------------------------------------------------------------


def test_all_that_a_page_loads_is_small_and_in_the_package() -> None:
    assets = resources.files("cfstream_upload.emulator") / "assets"
    sizes = {item.name: len(item.read_bytes()) for item in assets.iterdir()}
    assert {"account.html", "video.html", "style.css", "common.js", "film.svg"} <= set(sizes)
    assert sum(sizes.values()) < 40_000


def test_an_account_of_thousands_is_shown_as_its_pending_and_its_newest_videos(
    stream: Stream,
) -> None:
    from cfstream_upload.emulator.overview import LARGEST, overview

    model = Stream(now=Clock(), queue_limit=10**6)
    driver = in_process(model)
    old = driver.create(10)
    newest = [driver.sent(10).uid for _ in range(LARGEST + 20)]
    seen = model.with_account(overview())
    assert len(seen.videos) == LARGEST
    assert old.uid in seen.videos
    assert newest[-1] in seen.videos
    assert seen.totals["videos"] == LARGEST + 21
    assert seen.totals["pending"] == 1
