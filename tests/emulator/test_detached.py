"""The emulator as a process of its own: shared, killed, restarted, idle."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

import httpx
import pytest

from cfstream_upload.emulator import detached
from cfstream_upload.emulator.endpoint import DidNotStart, Endpoint, ExtraMissing
from emulator.driving import BLOCK, CHUNK, Driver, over_http, video_bytes


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "local"
    yield folder
    detached.stop(folder)


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False) as client:
        yield client


def ended(pid: int) -> bool:
    """Wait until a process is gone; one started here is reaped by a thread of `detached`."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.01)
    return False


def kill(endpoint: Endpoint) -> None:
    os.kill(endpoint.pid, signal.SIGKILL)
    assert ended(endpoint.pid)


def test_the_second_attach_finds_the_first_ones_process(folder: Path) -> None:
    first = detached.attach_or_start(folder)
    assert detached.attach_or_start(folder) == first == detached.running(folder)


def test_its_files_are_private_and_its_token_is_in_no_log(folder: Path) -> None:
    endpoint = detached.attach_or_start(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
    assert modes["emulator.json"] == modes["emulator.log"] == modes["token"] == 0o600
    assert modes["data"] == 0o700
    assert endpoint.token not in (folder / "emulator.log").read_text()
    assert endpoint.token not in repr(endpoint)
    assert json.loads((folder / "emulator.json").read_text())["pid"] == endpoint.pid


def test_the_users_own_token_does_not_reach_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", "canary-of-a-person")
    endpoint = detached.attach_or_start(folder)
    environment = Path(f"/proc/{endpoint.pid}/environ")
    if not environment.exists():
        pytest.skip("this system has no /proc")
    assert b"canary" not in environment.read_bytes()
    assert endpoint.token != "canary-of-a-person"


def test_killed_and_started_again_it_has_every_acknowledged_byte(
    folder: Path, http: httpx.Client
) -> None:
    data = video_bytes(2 * CHUNK + 3)
    before = detached.attach_or_start(folder)
    driver = over_http(before, http)
    upload = driver.create(len(data))
    assert driver.patch(upload, 0, data[:CHUNK]).status == 204
    address = ("127.0.0.1", before.port)
    with socket.create_connection(address, timeout=5) as connection:
        connection.sendall(half_a_patch(upload.path, data[CHUNK : CHUNK + 2 * BLOCK + 9]))
        wait_for_size(folder / "data" / upload.uid / "media", CHUNK + 2 * BLOCK + 9)
        kill(before)
    after = detached.attach_or_start(folder)
    assert (after.port, after.account, after.token) == (before.port, before.account, before.token)
    assert after.pid != before.pid
    driver = over_http(after, http)
    assert driver.offset(upload) == CHUNK + 2 * BLOCK
    finish(driver, upload.path, data, CHUNK + 2 * BLOCK)
    media = (folder / "data" / upload.uid / "media").read_bytes()
    assert hashlib.sha256(media).digest() == hashlib.sha256(data).digest()


def half_a_patch(path: str, body: bytes) -> bytes:
    head = (
        f"PATCH {path}?tusv2=true HTTP/1.1\r\nhost: x\r\ntus-resumable: 1.0.0\r\n"
        f"content-type: application/offset+octet-stream\r\nupload-offset: {CHUNK}\r\n"
        f"content-length: {CHUNK}\r\n\r\n"
    )
    return head.encode() + body


def wait_for_size(path: Path, size: int) -> None:
    deadline = time.monotonic() + 5
    while path.stat().st_size < size:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def finish(driver: Driver, path: str, data: bytes, offset: int) -> None:
    reply = driver.send_patch(path, offset, data[offset:])
    assert (reply.status, reply.headers["upload-offset"]) == (204, str(len(data)))


def test_processes_that_start_it_at_once_get_the_same_one(folder: Path) -> None:
    code = (
        "import sys, pathlib; from cfstream_upload.emulator import detached;"
        "print(detached.attach_or_start(pathlib.Path(sys.argv[1])).pid)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(detached.__file__).parents[2])}
    starters = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(folder)],
            stdout=subprocess.PIPE,
            env=environment,
        )
        for _ in range(4)
    ]
    pids = {process.communicate(timeout=20)[0] for process in starters}
    assert len(pids) == 1
    endpoint = detached.running(folder)
    assert endpoint is not None
    assert pids == {f"{endpoint.pid}\n".encode()}


def test_it_ends_by_itself_when_nobody_uses_it_and_tells_the_page_that_watches(
    folder: Path, http: httpx.Client
) -> None:
    endpoint = detached.attach_or_start(folder, idle=0.2)
    address = f"http://127.0.0.1:{endpoint.port}/emulator/events"
    with http.stream("GET", address, timeout=20) as reply:
        heard = [line for line in reply.iter_lines() if line.startswith("data: ")]
    assert json.loads(heard[-1].removeprefix("data: ")) == {"over": True}
    assert ended(endpoint.pid)
    assert detached.running(folder) is None


def test_a_request_under_way_keeps_it_from_its_idle_end(folder: Path, http: httpx.Client) -> None:
    endpoint = detached.attach_or_start(folder, idle=0.2)
    upload = over_http(endpoint, http).create(3 * CHUNK)
    with socket.create_connection(("127.0.0.1", endpoint.port), timeout=5) as connection:
        connection.sendall(half_a_patch(upload.path, b"").replace(b"offset: 5242880", b"offset: 0"))
        time.sleep(0.5)
        connection.sendall(bytes(CHUNK))
        assert connection.recv(100).startswith(b"HTTP/1.1 204")
    assert detached.running(folder) == endpoint


def test_stop_ends_it_and_the_next_one_is_reached_at_the_same_place(folder: Path) -> None:
    before = detached.attach_or_start(folder)
    assert detached.stop(folder) is True
    assert ended(before.pid)
    assert detached.stop(folder) is False
    after = detached.attach_or_start(folder)
    assert (after.base_url, after.token) == (before.base_url, before.token)


class Stranger(socketserver.StreamRequestHandler):
    """Some other program on the port, which answers whatever it is asked."""

    def handle(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")


class Impostor(BaseHTTPRequestHandler):
    """Some other user's program on the port, which has seen the process's number and arguments."""

    asked: ClassVar[list[str]] = []
    said: ClassVar[bytes] = b""

    def do_GET(self) -> None:
        self.asked.append(str(self.headers))
        self.send_response(200)
        self.send_header("content-length", str(len(self.said)))
        self.end_headers()
        self.wfile.write(self.said)

    def log_message(self, *_: object) -> None:
        """Nothing."""


def test_who_took_the_port_over_is_not_believed_and_gets_no_token(folder: Path) -> None:
    folder.mkdir()
    with HTTPServer(("127.0.0.1", 0), Impostor) as stranger:
        known = {"account": "ab" * 16, "pid": os.getpid()}
        Impostor.said = json.dumps({**known, "proof": "00" * 32}).encode()
        written = {**known, "port": stranger.server_port, "token": "canary-token-77"}
        (folder / "emulator.json").write_text(json.dumps(written))
        thread = threading.Thread(target=stranger.serve_forever, args=(0.01,))
        thread.start()
        assert detached.running(folder) is None
        assert detached.stop(folder) is False
        stranger.shutdown()
        thread.join()
    assert len(Impostor.asked) == 2
    assert all("canary" not in head for head in Impostor.asked)


def test_a_port_taken_by_a_stranger_is_left_to_it(folder: Path) -> None:
    before = detached.attach_or_start(folder)
    kill(before)
    with socketserver.TCPServer(("127.0.0.1", before.port), Stranger) as stranger:
        thread = threading.Thread(target=stranger.serve_forever, args=(0.01,))
        thread.start()
        after = detached.attach_or_start(folder)
        stranger.shutdown()
        thread.join()
    assert after.port != before.port
    assert (after.account, after.token) == (before.account, before.token)


def test_a_file_that_names_a_living_stranger_is_not_believed(folder: Path) -> None:
    before = detached.attach_or_start(folder)
    kill(before)
    known = json.loads((folder / "emulator.json").read_text())
    known["pid"] = os.getpid()
    (folder / "emulator.json").write_text(json.dumps(known))
    assert detached.running(folder) is None
    assert detached.stop(folder) is False


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"port": "x"}', "\x00"])
def test_a_damaged_endpoint_file_is_written_anew(folder: Path, text: str) -> None:
    folder.mkdir()
    (folder / "emulator.json").write_text(text)
    assert detached.attach_or_start(folder).port > 0


def test_it_survives_the_signals_of_its_parents_terminal(folder: Path) -> None:
    endpoint = detached.attach_or_start(folder)
    assert os.getsid(endpoint.pid) == endpoint.pid != os.getsid(0)


def test_a_start_that_fails_tells_the_last_line_of_the_log(folder: Path) -> None:
    folder.mkdir()
    (folder / "data").write_text("no folder")
    with pytest.raises(DidNotStart, match="FileExistsError"):
        detached.attach_or_start(folder)


def test_a_missing_extra_is_told_before_anything_is_started(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ExtraMissing, match="uvicorn"):
        detached.attach_or_start(folder)
    assert not (folder / "emulator.log").exists()


def test_importing_it_loads_no_server() -> None:
    code = (
        "import sys, cfstream_upload.emulator.detached;"
        "sys.exit(sorted({'starlette', 'uvicorn', 'httptools', 'httpx'} & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(detached.__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    assert done.stderr.decode().strip() in ("", "[]")


def test_sigterm_ends_a_process_cleanly(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(detached.__file__).parents[2])}
    command = [sys.executable, "-m", "cfstream_upload.emulator", "--data", str(tmp_path / "d")]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        known = json.loads(process.stdout.readline())
        headers = {"authorization": f"Bearer {known['token']}"}
        url = f"{known['base_url']}/accounts/{known['account']}/stream"
        assert httpx.get(url, headers=headers, trust_env=False).status_code == 200
        process.terminate()
        _, errors = process.communicate(timeout=10)
        assert (process.returncode, errors) == (0, b"")
