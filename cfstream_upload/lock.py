"""One process for one file: the kernel's lock on a lock file, and on the source itself.

Only the kernel's lock is ever trusted: it is freed when its holder dies, by SIGKILL too, and kept
while the holder is stopped or the machine sleeps. The lock file's existence means nothing, and it
is never unlinked: whoever opened it before would go on to lock a file without a name.

filelock gives the primitive (flock, or LockFileEx on Windows) on descriptors opened here. Its
path locks are not used: they wait, nest and fall back in ways that this program must not.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

from cfstream_upload.errors import Busy, JournalProblem, shortage

_TRIES = 5
_PAUSE_SECONDS = 0.02
# Byte 0 is the one that Windows locks, and nobody else can read it then.
_PID_OFFSET = 1


class SourceLock:
    """The lock on an open source alone, which whoever holds the file's own lock takes beside it."""

    def __init__(self) -> None:
        self._descriptors: list[int] = []

    def release(self) -> None:
        """Free the lock; a second call does nothing."""
        while self._descriptors:
            _free(self._descriptors.pop())

    def add_source(self, descriptor: int) -> None:
        """Lock the open file too, if its file system can; raises Busy if somebody else has it."""
        # A duplicate shares the lock, and keeps it even if the source is closed first.
        duplicate = os.dup(descriptor)
        self._descriptors.append(duplicate)
        # No locks here, or (NFS) only on what is open for writing: the other lock must do.
        with suppress(OSError):
            if not _try(duplicate):
                raise Busy("another program holds a lock on this file")


class Lock(SourceLock):
    """A lock that is held; a context manager that frees it. Children do not inherit it."""

    def __init__(self, descriptor: int) -> None:
        """Take over the ``descriptor`` of a locked lock file. Use `hold`."""
        super().__init__()
        self._descriptors.append(descriptor)

    def __enter__(self) -> Self:
        """Return the lock itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Free the lock."""
        self.release()


def key_of(base: str, account: str, device: int, inode: int) -> str:
    """Return the name of the lock for one file, sent to one account at one API base."""
    text = "\0".join((base, account, str(device), str(inode)))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def hold(folder: Path, key: str, *, descriptor: int | None = None) -> Lock:
    """Take the lock ``key`` in ``folder``, and the lock of the source open as ``descriptor``.

    The second one stands where somebody deleted the lock file. It is left out where the source's
    file system has no locks, and on Windows, where an open lock file cannot be deleted and a
    locked source could not be read by others.

    Never waits for a holder. Raises Busy if any other process, or any other `Lock` of this one,
    has it; JournalProblem if ``folder`` cannot hold locks.
    """
    path = folder / f"{key}.lock"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = Lock(_take(path))
    except OSError as problem:
        raise _unusable(path, problem) from problem
    if descriptor is not None and sys.platform != "win32":
        try:
            lock.add_source(descriptor)
        except OSError as problem:
            lock.release()
            raise _unusable(path, problem) from problem
        except BaseException:
            lock.release()
            raise
    return lock


def _take(path: Path) -> int:
    """Return a descriptor of the locked lock file."""
    holder = None
    for attempt in range(_TRIES):
        if attempt:
            # Whoever asks whether a file is being sent holds its lock for a moment.
            time.sleep(_PAUSE_SECONDS)
        descriptor = _open(path)
        try:
            if _try(descriptor) and _is_named(descriptor, path):
                _write_pid(descriptor)
                return descriptor
            holder = _read_pid(descriptor)
        except BaseException:
            _free(descriptor)
            raise
        _free(descriptor)
    if holder == os.getpid():
        raise Busy("this process is already sending this file, under this or another name")
    who = "another process" if holder is None else f"another process (pid {holder})"
    raise Busy(f"{who} is sending this file")


def _open(path: Path) -> int:
    flags = os.O_RDWR | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
    return os.open(path, flags | os.O_CREAT, 0o600)


def _try(descriptor: int) -> bool:
    # Imported here: it costs a twentieth of a second, and most commands lock nothing.
    from filelock import lock_descriptor

    return lock_descriptor(descriptor, blocking=False)


def _free(descriptor: int) -> None:
    from filelock import unlock_descriptor

    # Closing is not enough: a forked child may share the descriptor, and the lock with it.
    with suppress(OSError):
        unlock_descriptor(descriptor)
    os.close(descriptor)


def _is_named(descriptor: int, path: Path) -> bool:
    """Tell whether ``path`` still names the open file: it may be deleted before it is locked."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


def _write_pid(descriptor: int) -> None:
    # Advice for people only, so a full disk does not matter.
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.write(descriptor, b" " * _PID_OFFSET + b"%d\n" % os.getpid())


def _read_pid(descriptor: int) -> int | None:
    with suppress(OSError, ValueError):
        os.lseek(descriptor, _PID_OFFSET, os.SEEK_SET)
        return int(os.read(descriptor, 20))
    return None


def _unusable(path: Path, problem: OSError) -> JournalProblem:
    reason = problem.strerror or type(problem).__name__
    short = shortage(problem)
    return JournalProblem(
        f"cannot lock {path}: {reason}",
        short[1]
        if short
        else "Make it yours, or set CFUPLOAD_STATE_DIR to a folder of yours on a local disk.",
    )
