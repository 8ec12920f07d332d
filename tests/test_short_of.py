"""Real processes on a machine that is short of something: clear words, and nothing is lost."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from served import COMMAND, Served

from cfstream_upload.errors import described
from cfstream_upload.journal import Journal

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")


def _sent(stream: Served, *before: str) -> tuple[int, str]:
    command = [*before, *COMMAND, "send", "--retries", "1", "big.mp4"]
    ended = subprocess.run(
        command, cwd=stream.folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert "Traceback" not in ended.stderr
    assert "bug" not in ended.stderr, ended.stderr
    return ended.returncode, ended.stderr


def _then_one(stream: Served) -> None:
    assert stream.run("send", "big.mp4").code == 0
    assert stream.whole(stream.folder / "big.mp4")


def test_sixteen_open_files_are_enough(stream: Served) -> None:
    stream.file(size=100_000)
    assert _sent(stream, "bash", "-c", 'ulimit -n 16; exec "$@"', "bash")[0] == 0
    assert stream.states() != ["pendingupload"]


def test_too_little_memory_is_told_as_that(stream: Served) -> None:
    """What cannot be loaded differs from machine to machine; from 256 MiB on all goes well."""
    stream.file(size=100_000)
    code, told = _sent(stream, "bash", "-c", 'ulimit -v 40000; exec "$@"', "bash")
    if code not in (127, 134, 139):  # Python itself did not start
        assert code in (1, 3, 6, 10), told
        assert "memory" in told or "ulimit -v" in told
    assert stream.states() == []


def test_a_spent_quota_is_told_as_that(stream: Served) -> None:
    """The kernel answers EDQUOT to every write of the journal from the first row on."""
    if shutil.which("strace") is None:
        pytest.skip("needs strace")
    Journal.open(stream.folder / "state").close()
    stream.file(size=100_000)
    code, told = _sent(
        stream, "strace", "-f", "-qq", "-o", os.devnull,
        "-e", "trace=pwrite64", "-e", "inject=pwrite64:error=EDQUOT",
    )  # fmt: skip
    if "ptrace" in told:
        pytest.skip("no right to trace here")
    assert code == 10, told
    assert "There is no room for the journal" in told
    assert "(Disk quota exceeded)" in told
    assert "remove files of yours" in told
    assert stream.methods() == []
    _then_one(stream)


@contextmanager
def _read_only(folder: Path) -> Iterator[None]:
    for command in (["--bind", str(folder)], ["-o", "remount,bind,ro"]):
        try:
            ended = subprocess.run(
                ["mount", *command, str(folder)], capture_output=True, check=False
            )
        except FileNotFoundError:
            pytest.skip("needs mount")
        if ended.returncode:
            pytest.skip("no right to mount here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_read_only_disk_is_told_as_that(stream: Served) -> None:
    Journal.open(stream.folder / "state").close()
    (stream.folder / "state").chmod(0o755)
    stream.file(size=100_000)
    with _read_only(stream.folder / "state"):
        code, told = _sent(stream)
    assert code == 10
    assert "(Read-only file system)" in told
    assert "Mount that disk for writing" in told
    assert stream.methods() == []


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (MemoryError(), "There is not enough memory"),
        (OSError(12, "Cannot allocate memory"), "There is not enough memory"),
        (ImportError("libx.so: failed to map segment from shared object"), "not enough memory"),
        (OSError(24, "Too many open files"), "Too few files may be open"),
        (ImportError("/x.so: cannot open: Too many open files"), "Too few files may be open"),
        (OSError(23, "Too many open files in system"), "Too many files are open on this machine"),
    ],
)  # fmt: skip
def test_a_machine_that_is_short_of_something_is_no_bug(trouble: Exception, words: str) -> None:
    told = described(trouble)
    assert words in told.message
    assert "ulimit" in told.hint


def test_any_other_exception_is_a_bug_and_its_place(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="canary") as caught:
        (tmp_path / "canary-token").read_text()
    told = described(caught.value)
    assert told.message.startswith("A bug in cfupload: FileNotFoundError at ")
    assert "canary" not in told.message
