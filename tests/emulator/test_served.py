"""The served emulator on real sockets: cuts, requests side by side, its ports and its end."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from cfstream_upload.emulator.endpoint import IDENTITY_PATH, Endpoint
from cfstream_upload.emulator.listening import listen, listen_beside
from cfstream_upload.emulator.model import Stream
from cfstream_upload.emulator.proxy import TcpProxy
from cfstream_upload.emulator.routes import API
from cfstream_upload.emulator.server import Server, running
from emulator.driving import ACCOUNT, BLOCK, CHUNK, TOKEN, Driver, Upload, over_http, video_bytes

HEADERS = {"tus-resumable": "1.0.0", "content-type": "application/offset+octet-stream"}


@pytest.fixture(scope="module")
def real_time(tmp_path_factory: pytest.TempPathFactory) -> Stream:
    return Stream(data=tmp_path_factory.mktemp("data"), account=ACCOUNT, token=TOKEN)


@pytest.fixture(scope="module")
def endpoint(real_time: Stream) -> Iterator[Endpoint]:
    with running(real_time) as endpoint:
        yield endpoint


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False) as client:
        yield client


@pytest.fixture
def client(endpoint: Endpoint, http: httpx.Client) -> Driver:
    return over_http(endpoint, http)


def test_headers_are_lower_case_and_there_is_one_date_and_no_server(
    endpoint: Endpoint, client: Driver
) -> None:
    upload = client.create(10)
    text = f"HEAD {upload.path}?tusv2=true HTTP/1.1\r\nhost: x\r\ntus-resumable: 1.0.0\r\n\r\n"
    with socket.create_connection(("127.0.0.1", endpoint.port), timeout=5) as connection:
        connection.sendall(text.encode() * 2)
        received = b""
        while received.count(b"\r\n\r\n") < 2:
            received += connection.recv(65_536)
    lines = received.decode().split("\r\n\r\n")[0].split("\r\n")[1:]
    names = [line.partition(":")[0] for line in lines]
    assert names == [name.lower() for name in names]
    assert names.count("date") == 1
    assert "server" not in names
    assert received.endswith(b"\r\n\r\n")


def test_a_reply_with_a_body_does_not_wait_for_an_acknowledgement() -> None:
    # Headers and body are sent apart: with Nagle's algorithm the body comes 40 ms later.
    with (
        listen() as listener,
        socket.create_connection(listener.getsockname()),
        listener.accept()[0] as accepted,
    ):
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def stored(real_time: Stream, client: Driver, uid: str, offset: int) -> bool:
    """Wait until the server has noticed that a connection broke."""
    deadline = time.monotonic() + 5
    path = f"/tus/{uid}"
    while time.monotonic() < deadline:
        reply = client.send_head(path)
        if int(reply.headers["upload-offset"]) == offset:
            return real_time.sha256(uid) == hashlib.sha256(video_bytes(offset)).hexdigest()
        time.sleep(0.01)
    return False


@pytest.mark.parametrize("reset", [True, False])
def test_a_connection_cut_on_the_way_leaves_whole_blocks(
    endpoint: Endpoint, real_time: Stream, client: Driver, http: httpx.Client, reset: bool
) -> None:
    upload = client.create(3 * CHUNK)
    with TcpProxy("127.0.0.1", endpoint.port) as proxy:
        url = upload.location.replace(str(endpoint.port), str(proxy.port))
        http.head(url, headers=HEADERS)
        proxy.cut_after(5 * BLOCK - 1, reset=reset)
        with pytest.raises(httpx.TransportError):
            http.patch(
                url, headers={**HEADERS, "upload-offset": "0"}, content=video_bytes(2 * CHUNK)
            )
    assert stored(real_time, client, upload.uid, 4 * BLOCK)


def test_an_upload_goes_on_after_a_cut_and_ends_whole(
    endpoint: Endpoint, real_time: Stream, client: Driver
) -> None:
    data = video_bytes(2 * CHUNK + 11)
    upload = client.create(len(data))
    head = (
        f"PATCH {upload.path}?tusv2=true HTTP/1.1\r\nhost: x\r\ntus-resumable: 1.0.0\r\n"
        f"content-type: application/offset+octet-stream\r\nupload-offset: 0\r\n"
        f"content-length: {CHUNK}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", endpoint.port), timeout=5) as connection:
        connection.sendall(head.encode() + data[: 3 * BLOCK + 500])
    assert stored(real_time, client, upload.uid, 3 * BLOCK)
    for start in (3 * BLOCK, 3 * BLOCK + CHUNK):
        assert client.patch(upload, start, data[start : start + CHUNK]).status == 204
    assert real_time.sha256(upload.uid) == hashlib.sha256(data).hexdigest()


def test_a_head_is_answered_while_a_patch_is_half_way(endpoint: Endpoint, client: Driver) -> None:
    upload = client.create(3 * CHUNK)
    head = (
        f"PATCH {upload.path}?tusv2=true HTTP/1.1\r\nhost: x\r\ntus-resumable: 1.0.0\r\n"
        f"content-type: application/offset+octet-stream\r\nupload-offset: 0\r\n"
        f"content-length: {CHUNK}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", endpoint.port), timeout=5) as connection:
        connection.sendall(head.encode() + bytes(BLOCK))
        deadline = time.monotonic() + 5
        # At another offset, so that it cannot win the race and be stored itself.
        while client.patch(upload, CHUNK, bytes(CHUNK)).status != 423:
            assert time.monotonic() < deadline
        assert client.offset(upload) == 0
        connection.sendall(bytes(CHUNK - BLOCK))
        assert connection.recv(100).startswith(b"HTTP/1.1 204")
    assert client.offset(upload) == CHUNK


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_waits_for_100_continue_and_uploads(client: Driver, tmp_path: Path) -> None:
    file = tmp_path / "video.mp4"
    file.write_bytes(video_bytes(2 << 20))
    upload = client.create(2 << 20)
    headers = {**HEADERS, "upload-offset": "0", "expect": "100-continue"}
    options = [f"-H{name}: {value}" for name, value in headers.items()]
    command = ["curl", "-sv", "--noproxy", "*", "-X", "PATCH", "--data-binary", f"@{file}"]
    done = subprocess.run(
        [*command, *options, upload.location],
        capture_output=True,
        check=True,
        text=True,
    )
    assert "100 Continue" in done.stderr
    assert "HTTP/1.1 204" in done.stderr
    assert client.offset(upload) == 2 << 20


def test_an_upload_can_be_sent_to_a_proxy_that_the_api_does_not_pass(
    endpoint: Endpoint, real_time: Stream, client: Driver
) -> None:
    with TcpProxy("127.0.0.1", endpoint.port) as proxy:
        real_time.upload_base = f"http://127.0.0.1:{proxy.port}"
        try:
            upload = client.create(10)
        finally:
            real_time.upload_base = None
        assert urlsplit(upload.location).port == proxy.port
        assert httpx.head(upload.location, headers=HEADERS, trust_env=False).status_code == 200
        assert proxy.connections == 1


def test_with_a_token_port_each_kind_of_upload_is_taken_at_its_own(
    stream: Stream, http: httpx.Client
) -> None:
    with running(stream, with_token_port=True) as endpoint:
        client = over_http(endpoint, http)
        direct, by_token = client.create(10), client.create(10, direct_user=False)
        ports = [urlsplit(upload.location).port or 0 for upload in (direct, by_token)]
        assert ports[0] == endpoint.port != ports[1]
        headers = {**HEADERS, "authorization": f"Bearer {TOKEN}"}

        def status(upload: Upload, port: int) -> int:
            url = f"http://127.0.0.1:{port}{upload.path}?tusv2=true"
            return http.head(url, headers=headers).status_code

        assert [status(direct, port) for port in ports] == [200, 404]
        assert [status(by_token, port) for port in ports] == [404, 200]
        url = endpoint.base_url.replace(str(ports[0]), str(ports[1]))
        listed = http.get(f"{url}/accounts/{ACCOUNT}/stream", headers=headers)
        assert (listed.status_code, listed.json()["errors"][0]["code"]) == (404, 7003)
        assert http.head(by_token.location, headers=HEADERS).status_code == 400


def test_the_token_port_is_the_next_one_or_any_when_that_is_in_use() -> None:
    with listen() as first, listen_beside(first) as second, listen_beside(first) as third:
        ports = [one.getsockname()[1] for one in (first, second, third)]
    assert len(set(ports)) == 3
    # A stranger may have had the next port already.
    assert ports[1] == ports[0] + 1 or ports[2] != ports[0] + 1


def test_an_emulator_that_is_ending_no_longer_lets_anybody_attach(stream: Stream) -> None:
    server = Server(stream, listen())
    url = server.endpoint.base_url.replace(API, IDENTITY_PATH)
    headers = {"authorization": f"Bearer {stream.token}"}
    thread = threading.Thread(target=server.serve)
    thread.start()
    with httpx.Client(trust_env=False, headers=headers) as client:
        assert client.get(url, headers={"authorization": "Bearer wrong"}).status_code == 401
        assert client.get(url).json()["account"] == ACCOUNT
        server.stop()
        with contextlib.suppress(httpx.TransportError):
            assert client.get(url).status_code == 503
    thread.join()


def test_a_thread_that_serves_ends_with_its_block(stream: Stream) -> None:
    with running(stream) as endpoint:
        assert httpx.get(endpoint.base_url, trust_env=False).status_code == 404
    with pytest.raises(httpx.ConnectError):
        httpx.get(endpoint.base_url, trust_env=False)
