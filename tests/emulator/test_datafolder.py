"""The emulator's data folder: whose it is, what survives death, and a disk that is full."""

from __future__ import annotations

import contextlib
import hashlib
import json
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from served import COMMAND

from cfstream_upload.cli.app import run
from cfstream_upload.emulator.datafolder import opened
from cfstream_upload.emulator.endpoint import DataFolderUnusable, Endpoint
from cfstream_upload.emulator.model import Stream
from emulator.driving import BLOCK, CHUNK, MP4, in_process, over_http

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals and limits")


def unlike_itself(length: int) -> bytes:
    """A video of which no part is like another: one put in the wrong place is noticed."""
    return (MP4 + random.Random(length).randbytes(length))[:length]


# --- processes -----------------------------------------------------------------------------------


class Process:
    """``cfupload emulator`` with a data folder and a ready file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ready = folder / "ready.json"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *options: str) -> Endpoint:
        # One that was killed could not remove it.
        self.ready.unlink(missing_ok=True)
        words = ["emulator", "--data", "data", "--ready-file", "ready.json", *options]
        with (self.folder / "told").open("wb") as told:
            self._process = subprocess.Popen(
                [*COMMAND, *words], cwd=self.folder, stdout=told, stderr=subprocess.STDOUT
            )
        ends = time.monotonic() + 30
        while not self.ready.exists():
            assert self._process.poll() is None, self.told()
            assert time.monotonic() < ends
            time.sleep(0.02)
        return Endpoint(**json.loads(self.ready.read_text()))

    def told(self) -> str:
        return (self.folder / "told").read_text()

    def end(self, number: int) -> int:
        assert self._process is not None
        self._process.send_signal(number)
        return self._process.wait(timeout=10)

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    process = Process(tmp_path)
    yield process
    process.close()


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False) as client:
        yield client


def half_a_patch(location: str, offset: int, sent: bytes) -> socket.socket:
    """Send a PATCH of two smallest chunks as far as ``sent`` goes, and leave it there."""
    parts = urlsplit(location)
    connection = socket.create_connection((parts.hostname or "", parts.port or 0), timeout=10)
    head = (
        f"PATCH {parts.path}?{parts.query} HTTP/1.1\r\nhost: {parts.netloc}\r\n"
        "tus-resumable: 1.0.0\r\ncontent-type: application/offset+octet-stream\r\n"
        f"upload-offset: {offset}\r\ncontent-length: {2 * CHUNK}\r\n\r\n"
    )
    connection.sendall(head.encode() + sent)
    return connection


def on_disk(folder: Path, uid: str, at_least: int) -> int:
    media = folder / "data" / "videos" / uid / "media"
    ends = time.monotonic() + 10
    while media.stat().st_size < at_least:
        assert time.monotonic() < ends
        time.sleep(0.01)
    return media.stat().st_size


@posix
def test_killed_in_mid_patch_it_comes_back_with_every_acknowledged_byte_and_its_credentials(
    process: Process, http: httpx.Client
) -> None:
    first = process.start("--seed", "7")
    mode = process.ready.stat().st_mode & 0o777
    client = over_http(first, http)
    data = unlike_itself(4 * CHUNK)
    upload = client.create(len(data))
    assert client.patch(upload, 0, data[:CHUNK]).status == 204
    sent = data[CHUNK : CHUNK + 3 * BLOCK + 1000]
    with half_a_patch(upload.location, CHUNK, sent):
        held = on_disk(process.folder, upload.uid, CHUNK + len(sent))
        assert process.end(signal.SIGKILL) == -signal.SIGKILL

    second = process.start("--port", str(first.port))
    assert (mode, second.account, second.token) == (0o600, first.account, first.token)
    client = over_http(second, http)
    offset = client.offset(upload)
    assert CHUNK <= offset <= held
    other = client.create(10)
    assert other.uid != upload.uid
    while offset < len(data):
        assert client.patch(upload, offset, data[offset : offset + CHUNK]).status == 204
        offset = client.offset(upload)
    # SIGTERM: those under way get a second, what they kept is acknowledged, the exit code is 0.
    third = client.create(4 * CHUNK)
    with half_a_patch(third.location, 0, data[: BLOCK + 5]):
        on_disk(process.folder, third.uid, BLOCK + 5)
        begun = time.monotonic()
        assert process.end(signal.SIGTERM) == 0
        assert time.monotonic() - begun < 5
    assert not process.ready.exists()
    # Nothing but where it is: no word of the connections that were cut.
    told = [line.partition("=")[0] for line in process.told().splitlines()]
    pages = f"Its pages, live, for a browser on this machine: http://127.0.0.1:{first.port}/"
    assert told == [*(f"export {name}" for name in first.environment), pages]
    with opened(process.folder / "data") as folder:
        stream = Stream(data=folder.videos, new_uid=folder.new_uid)
        assert stream.sha256(upload.uid) == hashlib.sha256(data).hexdigest()
        assert in_process(stream).offset(third) == BLOCK
        again = in_process(stream).sent().uid
    # The same seed gives the same UIDs in the same order, restarts and deletions or not.
    with opened(process.folder / "another", seed=7) as folder:
        uids = [folder.new_uid() for _ in range(4)]
        assert folder.identity.token == first.token
    assert uids == [upload.uid, other.uid, third.uid, again]


# --- whose folder --------------------------------------------------------------------------------


def refusal(path: Path, **options: Any) -> str:  # noqa: ANN401  # passed through
    with pytest.raises(DataFolderUnusable) as refused, opened(path, patience=0, **options):
        pass
    return refused.value.message


def test_an_account_and_a_token_given_later_replace_the_folders_own(tmp_path: Path) -> None:
    with opened(tmp_path / "data") as folder:
        made = folder.identity
    with opened(tmp_path / "data", token="other") as folder:
        assert folder.identity == replace(made, token="other")
    with opened(tmp_path / "data") as folder:
        assert folder.identity.token == "other"
        assert "other" not in repr(folder.identity)
    files = [path for path in (tmp_path / "data").iterdir() if path.name == "marker.json"]
    assert [path.stat().st_mode & 0o077 for path in files] == [0]


def test_a_folder_in_use_is_refused_and_free_again_afterwards(tmp_path: Path) -> None:
    with opened(tmp_path / "data"):
        assert "in use by another emulator" in refusal(tmp_path / "data")
    with opened(tmp_path / "data"):
        pass


def _foreign(path: Path) -> None:
    (path / "holiday.mp4").write_bytes(b"mine")


def _later(path: Path) -> None:
    (path / "marker.json").write_text('{"kind": "cfstream-upload emulator", "version": 2}')


def _not_ours(path: Path) -> None:
    (path / "marker.json").write_text('{"name": "something else"}')


def _cut_short(path: Path) -> None:
    (path / "marker.json").write_text('{"kind": "cfstream-up')


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (_foreign, "holds other things than an emulator's data, such as 'holiday.mp4'"),
        (_later, "is of version 2, this is 1"),
        (_not_ours, "is not what an emulator wrote"),
        (_cut_short, "is not what an emulator wrote"),
    ],
)
def test_a_folder_that_is_not_ours_is_left_as_it_is(
    tmp_path: Path, prepare: Callable[[Path], None], words: str
) -> None:
    prepare(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    assert words in refusal(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


def test_another_seed_is_refused(tmp_path: Path) -> None:
    with opened(tmp_path / "seeded", seed=1), opened(tmp_path / "plain"):
        pass
    assert "was made with the seed 1" in refusal(tmp_path / "seeded", seed=2)
    assert "was made without a seed" in refusal(tmp_path / "plain", seed=2)


def test_the_command_tells_in_one_line_what_is_wrong_and_ends_with_2(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "video").mkdir()
    with opened(tmp_path / "torn") as folder:
        in_process(Stream(data=folder.videos, new_uid=folder.new_uid)).create(10)
        (record,) = folder.videos.glob("*/record.json")
        record.write_text("{")
    (tmp_path / "empty-token").touch()
    for words, message in (
        (["--data", str(tmp_path / "file")], "cannot be used: File exists"),
        (["--data", str(tmp_path)], "holds other things"),
        (["--data", str(tmp_path / "torn")], "cannot be read"),
        (["--ready-file", str(tmp_path / "nowhere" / "ready")], "cannot be written"),
        (["--ready-file", str(tmp_path / "video")], "cannot be replaced"),
        (["--token-file", str(tmp_path / "nowhere")], "cannot be read: No such file"),
        (["--token-file", str(tmp_path / "empty-token")], "holds no token"),
        (["--account", "me"], "32 hex digits"),
        (["--host", "192.0.2.1"], "Host 192.0.2.1 cannot be used"),
        (["--switch", "after_expiry=500"], "takes 404, 410, 403, not '500'"),
        (["--switch", "expiry_cap=soon"], "takes a number, none, not 'soon'"),
        (["--switch", "colour=red"], "There is no switch 'colour'"),
    ):
        assert run(["emulator", *words]) == 2, words
        error = capfd.readouterr().err
        assert message in error
        assert "Traceback" not in error


# --- a full disk ---------------------------------------------------------------------------------


@contextlib.contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """No file of this process grows beyond ``size`` bytes: the system refuses the write."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def on_a_disk(tmp_path: Path) -> Stream:
    return Stream(data=tmp_path / "data")


@posix
@pytest.mark.parametrize("room_for_records", [True, False])
def test_a_disk_that_fills_up_in_mid_upload_is_a_500_and_the_upload_goes_on_later(
    on_a_disk: Stream, room_for_records: bool
) -> None:
    client, data = in_process(on_a_disk), unlike_itself(3 * CHUNK)
    upload = client.create(len(data))
    assert client.patch(upload, 0, data[:CHUNK]).status == 204
    with contextlib.ExitStack() as full:

        def blocks() -> Iterator[bytes]:
            for at in range(CHUNK, 2 * CHUNK, 65_536):
                if at == CHUNK + BLOCK + 65_536:
                    full.enter_context(files_up_to(at + 1 if room_for_records else 100))
                yield data[at : at + 65_536]

        headers = {"content-type": "application/offset+octet-stream", "upload_offset": str(CHUNK)}
        reply = client.tus("PATCH", upload, blocks(), **headers)
        assert (reply.status, reply.headers["content-type"][:9]) == (500, "text/html")
        offset = client.offset(upload)
    assert offset == (CHUNK + BLOCK if room_for_records else CHUNK)
    # Bytes that nobody acknowledged do not stay before those that come now.
    for start in range(offset, len(data), CHUNK):
        assert client.patch(upload, start, data[start : start + CHUNK]).status == 204
    assert on_a_disk.sha256(upload.uid) == hashlib.sha256(data).hexdigest()


@posix
def test_a_full_disk_refuses_creates_edits_and_deletes_with_500_and_changes_nothing(
    on_a_disk: Stream, tmp_path: Path
) -> None:
    client = in_process(on_a_disk)
    upload = client.create(10)
    with files_up_to(0):
        assert client.post(10).status == 500
        assert client.api("POST", f"/stream/{upload.uid}", body=b'{"creator": "x"}').status == 500
        assert client.delete(upload.uid).status == 500
    assert client.video(upload.uid)["creator"] is None
    assert [path.name for path in (tmp_path / "data").iterdir()] == [upload.uid]
    assert client.delete(upload.uid).status == 200


@posix
def test_a_full_disk_is_told_at_the_start(tmp_path: Path) -> None:
    with opened(tmp_path / "data"):
        pass
    with files_up_to(0):
        message = refusal(tmp_path / "data")
    assert "cannot be used: File too large" in message
