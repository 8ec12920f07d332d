"""Row 83: disks that fail: each commit by SQLite's word, a real process by the kernel's."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from inprocess import MIB
from matrix.parts import staged_part, video
from matrix.rows import Scene, row
from matrix.scenes import assert_none, ends, on_sockets, then, under
from matrix.striking import REFUSED, sqlite_error, struck
from served import COMMAND, Served

from cfstream_upload.journal import Journal

# A call, the error it gets, and which of its uses on the journal's files: "7" once, "7+" for ever.
INJECTIONS = (
    ("pwrite64", "ENOSPC", "12+"),
    ("fdatasync", "EIO", "6+"),
)


def _strace(stream: Served, path: Path, call: str, error: str, when: str) -> tuple[int, str, str]:
    """Send under strace; every call of this name on the journal's files counts."""
    state = stream.folder / "state"
    files = [f"--trace-path={state / name}" for name in ("journal.db", "journal.db-journal")]
    log = stream.folder / "strace.log"
    command = [
        "strace", "-f", "--seccomp-bpf", "-o", str(log), *files, "-e", f"trace={call}",
        "-e", f"inject={call}:error={error}:when={when}", *COMMAND, "send", path.name,
    ]  # fmt: skip
    ended = subprocess.run(
        command, cwd=stream.folder, capture_output=True, text=True, timeout=60, check=False
    )
    return ended.returncode, ended.stderr, log.read_text()


@row(83, "by the kernel")
def _errors_by_the_kernel(scene: Scene) -> None:
    """The kernel refuses a write, a sync or an unlink of the journal: 0, 10, 7 or 8; then one."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed; SQLite's own errors stand for it")
    stream = on_sockets(scene)
    for number, (call, error, when) in enumerate(INJECTIONS):
        path = stream.file(f"{number}.mp4", 6 * MIB)
        code, said, log = _strace(stream, path, call, error, when)
        if "INJECTED" not in log and "ptrace" in said:
            pytest.skip("no right to trace here")
        assert "(INJECTED)" in log, (call, error, when, said)
        assert code in (0, 7, 8, 10), said
        assert "Traceback" not in said
        uids = {video["uid"] for video in stream.videos()}
        assert code != 10 or "pendingupload" not in stream.states()
        if code in (7, 8):
            assert any(uid in said for uid in uids), said
        ended = stream.run("send", "-q", path.name)
        assert ended.code == 0, ended.err
        assert "pendingupload" not in stream.states()
        assert code != 8 or ended.out.strip() in said
        assert len(stream.videos()) == number + 1


ERRORS = ("SQLITE_IOERR_WRITE", "SQLITE_IOERR_FSYNC", "SQLITE_IOERR_DIR_FSYNC", "SQLITE_READONLY")
CODES = {
    "intended": 10, "created": 7, "sent": 8, "stored": 8, "told": 8, "discarding": 7, "gone": 7,
}  # fmt: skip


@row(83, "each commit, each error")
def _errors_of_disks(scene: Scene) -> None:
    """Quota, EIO on write or sync, once or for ever, at each commit: 10, 7 or 8; then one video."""
    for number, point in enumerate(CODES):
        for times in (1, None):
            current = staged_part(scene, f"{point} {times}")
            path = video(current, 11 * MIB)
            if point in ("discarding", "gone"):
                under(current, REFUSED)
            error = ERRORS[(number + (times is None)) % len(ERRORS)]
            struck(current, point, sqlite_error(error, times=times), reserve=True)
            result = ends(current.send(path), CODES[point])
            if point == "intended":
                current.opened = Journal.open
                assert_none(current)
                assert current.calls == []
            else:
                assert result.uid is not None
                assert point == "gone" or result.uid == current.model.videos()[0]["uid"]
            assert point == "gone" or "DELETE" not in current.methods()
            told = then(current, path)
            assert CODES[point] != 8 or told.uid == result.uid
