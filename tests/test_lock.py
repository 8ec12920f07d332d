"""The lock: real files, real processes, the kernel's verdict."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from cfstream_upload.errors import Busy, JournalProblem
from cfstream_upload.lock import hold, key_of

KEY = key_of("https://api.cloudflare.com/client/v4", "a" * 32, 1, 2)

HOLDER = """
import subprocess, sys
from pathlib import Path
from cfstream_upload.lock import hold
source = open(sys.argv[3], "rb") if len(sys.argv) > 3 else None
with hold(Path(sys.argv[1]), sys.argv[2], descriptor=source and source.fileno()):
    # A child that lives until stdin closes, and inherits what may be inherited.
    child = [sys.executable, "-c", "input()"]
    subprocess.Popen(child, close_fds=False, stderr=subprocess.DEVNULL)
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def another_process(folder: Path, *source: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a process that holds the lock until its stdin closes."""
    command = [sys.executable, "-c", HOLDER, str(folder), KEY, *map(str, source)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
            process.kill()


def test_a_lock_held_by_another_process_is_busy_and_names_its_pid(tmp_path: Path) -> None:
    with (
        another_process(tmp_path) as process,
        pytest.raises(Busy, match=rf"another process \(pid {process.pid}\) is sending"),
    ):
        hold(tmp_path, KEY)


def test_a_lock_is_free_once_its_holder_ends(tmp_path: Path) -> None:
    with another_process(tmp_path) as process:
        process.communicate("")
        assert process.returncode == 0
        hold(tmp_path, KEY).release()


def test_sigkill_frees_the_lock(tmp_path: Path) -> None:
    with another_process(tmp_path) as process:
        process.kill()
        process.wait()
        with hold(tmp_path, KEY):
            pass


def test_a_stopped_holder_keeps_the_lock(tmp_path: Path) -> None:
    with another_process(tmp_path) as process:
        process.send_signal(signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)
        with pytest.raises(Busy):
            hold(tmp_path, KEY)


def test_a_second_lock_of_the_same_process_is_busy(tmp_path: Path) -> None:
    with hold(tmp_path, KEY), pytest.raises(Busy, match="this process is already sending"):
        hold(tmp_path, KEY)


def test_another_thread_of_the_same_process_is_busy(tmp_path: Path) -> None:
    refused = []

    def try_it() -> None:
        with pytest.raises(Busy) as caught:
            hold(tmp_path, KEY)
        refused.append(caught.value)

    with hold(tmp_path, KEY):
        thread = threading.Thread(target=try_it)
        thread.start()
        thread.join()
    assert len(refused) == 1


def test_locks_of_different_keys_do_not_meet(tmp_path: Path) -> None:
    with hold(tmp_path, KEY), hold(tmp_path, key_of("b", "a", 1, 2)):
        pass


def test_a_released_lock_can_be_taken_again_and_its_file_stays(tmp_path: Path) -> None:
    with hold(tmp_path, KEY) as lock:
        inode = (tmp_path / f"{KEY}.lock").stat().st_ino
        lock.release()
    with hold(tmp_path, KEY):
        assert (tmp_path / f"{KEY}.lock").stat().st_ino == inode


def test_a_left_over_lock_file_locks_nobody_out(tmp_path: Path) -> None:
    (tmp_path / f"{KEY}.lock").write_text(" 1\n")
    hold(tmp_path, KEY).release()


def test_a_deleted_lock_file_lets_nobody_in_while_the_source_is_locked(tmp_path: Path) -> None:
    video = tmp_path / "video.mp4"
    video.write_bytes(b"v")
    with another_process(tmp_path, video) as process, video.open("rb") as source:
        (tmp_path / f"{KEY}.lock").unlink()
        with pytest.raises(Busy, match="another program holds a lock on this file"):
            hold(tmp_path, KEY, descriptor=source.fileno())
        # That refusal must not leave the new lock file locked.
        hold(tmp_path, KEY).release()
        process.kill()
        process.wait()
        hold(tmp_path, KEY, descriptor=source.fileno()).release()


def test_a_read_only_source_open_elsewhere_is_locked_too(tmp_path: Path) -> None:
    video = tmp_path / "video.mp4"
    video.write_bytes(b"v")
    with video.open("rb") as first, video.open("rb") as second:
        with hold(tmp_path, KEY, descriptor=first.fileno()), pytest.raises(Busy):
            hold(tmp_path / "elsewhere", KEY, descriptor=second.fileno())
        hold(tmp_path / "elsewhere", KEY, descriptor=second.fileno()).release()


def test_the_source_stays_locked_when_its_own_descriptor_is_closed(tmp_path: Path) -> None:
    video = tmp_path / "video.mp4"
    video.write_bytes(b"v")
    with video.open("rb") as source:
        lock = hold(tmp_path, KEY, descriptor=source.fileno())
    with lock, video.open("rb") as second, pytest.raises(Busy):
        hold(tmp_path / "elsewhere", KEY, descriptor=second.fileno())


def test_a_source_that_cannot_be_locked_is_sent_under_the_lock_file_alone(tmp_path: Path) -> None:
    with Path("/dev/null").open("rb") as null, pytest.MonkeyPatch.context() as patch:
        import filelock

        real = filelock.lock_descriptor

        def no_locks_on_the_source(fd: int, *, blocking: bool) -> bool:
            if os.path.samestat(os.fstat(fd), os.fstat(null.fileno())):
                raise OSError(45, "Operation not supported")
            return real(fd, blocking=blocking)

        patch.setattr(filelock, "lock_descriptor", no_locks_on_the_source)
        with hold(tmp_path, KEY, descriptor=null.fileno()), pytest.raises(Busy):
            hold(tmp_path, KEY)


def test_a_lock_file_deleted_before_it_is_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import filelock

    real = filelock.lock_descriptor
    deleted: list[int] = []

    def delete_it_first(fd: int, *, blocking: bool) -> bool:
        if not deleted:
            (tmp_path / f"{KEY}.lock").unlink()
            deleted.append(fd)
        return real(fd, blocking=blocking)

    monkeypatch.setattr(filelock, "lock_descriptor", delete_it_first)
    with hold(tmp_path, KEY), pytest.raises(Busy):
        hold(tmp_path, KEY)
    assert deleted


def test_a_file_system_without_locks_is_refused_and_nothing_else_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(_fd: int, *, blocking: bool) -> bool:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr("filelock.lock_descriptor", no_locks)
    with pytest.raises(JournalProblem, match="Function not implemented"):
        hold(tmp_path, KEY)


def test_a_living_child_of_a_killed_holder_does_not_keep_the_lock(tmp_path: Path) -> None:
    video = tmp_path / "video.mp4"
    video.write_bytes(b"v")
    with another_process(tmp_path, video) as process, video.open("rb") as source:
        process.kill()
        process.wait()
        hold(tmp_path, KEY, descriptor=source.fileno()).release()


def test_a_released_lock_is_free_even_while_a_forked_child_lives(tmp_path: Path) -> None:
    lock = hold(tmp_path, KEY)
    child = os.fork()
    if child == 0:
        signal.pause()
        os._exit(0)
    try:
        lock.release()
        hold(tmp_path, KEY).release()
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_lock_file_and_folder_are_for_their_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "locks"
    with hold(folder, KEY):
        assert stat.S_IMODE((folder / f"{KEY}.lock").stat().st_mode) == 0o600
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_lock_folder_that_is_a_file_is_refused_by_its_path(tmp_path: Path) -> None:
    folder = tmp_path / "locks"
    folder.write_text("")
    with pytest.raises(JournalProblem, match=str(folder)):
        hold(folder, KEY)


def test_a_symbolic_link_in_place_of_the_lock_file_is_refused(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / f"{KEY}.lock").symlink_to(victim)
    with pytest.raises(JournalProblem):
        hold(tmp_path, KEY)
    assert victim.read_text() == "precious"


def test_every_part_of_the_key_counts() -> None:
    parts: list[tuple[str, str, int, int]] = [
        ("b", "a", 1, 2),
        ("b2", "a", 1, 2),
        ("b", "a2", 1, 2),
        ("b", "a", 11, 2),
        ("b", "a", 1, 12),
        ("ba", "", 1, 2),
    ]
    keys = {key_of(*each) for each in parts}
    assert len(keys) == len(parts)
    assert all(key.isalnum() and len(key) == 32 for key in keys)
