"""Rows 107 to 110: files, threads, memory and file sizes run out; a token that is none."""

from __future__ import annotations

import subprocess
import threading

from matrix import anyline
from matrix.here import open_rows, ran, then_here
from matrix.rows import Scene, row
from matrix.scenes import on_sockets
from served import COMMAND, Served

from cfstream_upload.journal import Journal

Ended = subprocess.CompletedProcess[bytes]


def _limited(stream: Served, limit: str, *arguments: str) -> Ended:
    command = ["bash", "-c", f'{limit}; exec "$@"', "bash", *COMMAND, "send", *arguments]
    return subprocess.run(command, cwd=stream.folder, capture_output=True, timeout=60, check=False)


def _holds(scene: Scene, stream: Served, ended: Ended, *codes: int) -> None:
    """One of these exit codes, in our own words, and what that code says of what is left."""
    assert ended.returncode in codes, (ended.returncode, ended.stderr)
    assert b"Traceback" not in ended.stderr, ended.stderr
    if ended.returncode in (3, 4, 5, 6, 10):
        assert stream.states() == []
    assert_remembered(scene, stream)


def assert_remembered(scene: Scene, stream: Served) -> None:
    """No video is pending that the journal does not know, by its UID or by its marker."""
    pending = [v for v in stream.videos() if v["status"]["state"] == "pendingupload"]
    if not pending:
        return
    journal = Journal.open(scene.folder / "state")
    try:
        rows = journal.rows()
    finally:
        journal.close()
    uids, ids = {row.uid for row in rows}, {row.id for row in rows}
    for video in pending:
        assert video["uid"] in uids or video["meta"]["cfupload"].split(".")[1] in ids


@row(107, "ulimit -n")
def _few_descriptors(scene: Scene) -> None:
    """Hardly a file may be open: exit 10 or 6 and nothing left, or 7 with its row."""
    stream = on_sockets(scene)
    path = stream.file(size=100_000)
    codes = set()
    for number in (6, 8):
        ended = _limited(stream, f"ulimit -n {number}", "--retries", "1", path.name)
        _holds(scene, stream, ended, 0, 6, 7, 10)
        codes.add(ended.returncode)
    assert codes - {0}, "nothing was short"
    then_here(scene, stream, path)


@row(108, "memory")
def _short_of_memory(scene: Scene) -> None:
    """Memory runs out at some line after the create: rolled back or resumed; later one video."""
    assert anyline.swept(scene.folder, "fresh", one_in=100, error=MemoryError) > 4


@row(108, "threads")
def _no_more_threads(scene: Scene) -> None:
    """No thread can be started: it goes on without one or fails in words; nothing stays."""
    stream = on_sockets(scene)
    path = stream.file(size=100_000)
    base = stream.environment["CLOUDFLARE_API_BASE_URL"].replace("127.0.0.1", "localhost")
    mine, start = threading.current_thread(), threading.Thread.start

    def refused(self: threading.Thread) -> None:
        # The served Stream has threads of its own, which are not the client's.
        if threading.current_thread() is mine:
            raise RuntimeError("can't start new thread")
        start(self)

    with scene.monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refused)
        ended = ran(
            scene, stream, "send", "--retries", "1", path.name, CLOUDFLARE_API_BASE_URL=base
        )
    assert ended.code in (0, 6, 10), ended.err
    assert stream.states() == [] or ended.code == 0
    assert open_rows(scene) == []
    then_here(scene, stream, path)


@row(108, "no thread for a name")
def _no_thread_to_look_a_name_up(scene: Scene) -> None:
    """No thread can be started to look the API's name up: exit 6, and it says so; nothing stays."""
    stream = on_sockets(scene)
    path = stream.file(size=100_000)
    base = stream.environment["CLOUDFLARE_API_BASE_URL"].replace("127.0.0.1", "localhost")

    def refused(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    with scene.monkeypatch.context() as patched:
        patched.setattr("cfstream_upload.sockets._thread.start_new_thread", refused)
        ended = ran(
            scene, stream, "send", "--retries", "1", path.name, CLOUDFLARE_API_BASE_URL=base
        )
    assert (ended.code, stream.states(), open_rows(scene)) == (6, [], [])
    assert "no more threads" in ended.err
    then_here(scene, stream, path)


@row(109, "ulimit -f")
def _short_files(scene: Scene) -> None:
    """The journal's file may not grow (SIGXFSZ, EFBIG): exit 10, nothing was sent."""
    stream = on_sockets(scene)
    path = stream.file(size=100_000)
    for blocks in (1, 32):
        ended = _limited(stream, f"ulimit -f {blocks}", path.name)
        _holds(scene, stream, ended, 10)
        assert b"journal" in ended.stderr
        assert stream.methods() == []
    then_here(scene, stream, path)


TOKENS = {
    "newline": "canary0123456789\n", "two lines": "canary0123\n456789",
    "space": "canary 0123456789",
    "lead": " canary0123456789", "not ascii": "canary\u00e90123456789", "empty": "",
    "quoted": '"canary 0123456789"', "return": "canary0123456789\r", "tab": "canary0123\t456789",
    "escape": "canary\x1b[31m0123456789", "bom": "\ufeffcanary0123456789",
}  # fmt: skip


@row(110, "eleven tokens")
def _no_token_at_all(scene: Scene) -> None:
    """A token with line end, space, other letters, or none: exit 3 at once, never shown."""
    stream = on_sockets(scene)
    path = stream.file(size=100_000)
    for name, token in TOKENS.items():
        ended = ran(scene, stream, "send", "-vv", "--json", path.name, CLOUDFLARE_API_TOKEN=token)
        assert ended.code == 3, (name, ended.err)
        assert "canary" not in ended.out + ended.err, name
        assert "oken" in ended.err
    assert (stream.methods(), open_rows(scene)) == ([], [])
    then_here(scene, stream, path)
