"""The state directory: private, local, and made so that nobody else can slip a file in."""

from __future__ import annotations

import errno
import os
import re
import stat
import sys
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from cfstream_upload.attempt import is_uid
from cfstream_upload.errors import JournalProblem
from cfstream_upload.ownership import shared_place

HOST_FILE = "host.id"

_PROBE_BYTES = 32 * 1024
"""About what the rollback journal of one commit needs."""

_NETWORK = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "9p", "ceph", "glusterfs", "fuse.sshfs"}


def prepare_folder(folder: Path) -> None:
    """Make ``folder`` (mode 0700); refuse one that others can write, or swap, or that is remote.

    Raises `JournalProblem`.
    """
    _refuse_shared(folder)
    try:
        _make(folder)
        status = folder.lstat()
    except OSError as error:
        raise JournalProblem(
            f"The state directory {folder} cannot be made ({error.strerror})",
            "Choose another with CFUPLOAD_STATE_DIR.",
        ) from None
    if not stat.S_ISDIR(status.st_mode):
        raise JournalProblem(
            f"The state directory {folder} is a link or no directory",
            "Name the directory itself with CFUPLOAD_STATE_DIR.",
        )
    if sys.platform != "win32":
        _check_owner(folder, status)
    _refuse_remote(folder, folder)


def check_folder(folder: Path) -> bool:
    """Whether ``folder`` is there; if not, that it could be made. Nothing is made.

    Raises `JournalProblem` where `prepare_folder` would.
    """
    if os.path.lexists(folder):
        prepare_folder(folder)
        return True
    _refuse_shared(folder)
    place = existing_above(folder)
    if not (place.is_dir() and os.access(place, os.W_OK | os.X_OK)):
        raise JournalProblem(
            f"The state directory {folder} cannot be made: {place} is not yours to write",
            "Choose another with CFUPLOAD_STATE_DIR.",
        )
    _refuse_remote(folder, place)
    return False


def existing_above(folder: Path) -> Path:
    """``folder`` itself or the nearest folder above it that is there."""
    places = (folder, *folder.parents)
    # Not Path.exists, which raises for what is behind a locked folder.
    return next((place for place in places if os.path.exists(place)), folder)  # noqa: PTH110


def _refuse_shared(folder: Path) -> None:
    if why := shared_place(folder):
        raise JournalProblem(
            f"The state directory {folder} can be replaced by others: {why}",
            "Take that right away (chmod o-w), or choose another with CFUPLOAD_STATE_DIR.",
        )


def _refuse_remote(folder: Path, place: Path) -> None:
    kind = file_system(place)
    if kind in _NETWORK:
        raise JournalProblem(
            f"The state directory {folder} is on a network file system ({kind})",
            "Its locks cannot be trusted: choose a local one with CFUPLOAD_STATE_DIR.",
        )


def _make(folder: Path) -> None:
    """Make ``folder`` and what is missing above it; each new name is on disk when it returns."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    for place in reversed(missing[1:]):
        # Not by `parents=True`: under umask 0 everybody could write to those.
        place.mkdir(mode=0o755, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    for place in missing:
        sync_folder(place.parent)


def _check_owner(folder: Path, status: os.stat_result) -> None:
    if status.st_uid != os.geteuid():
        raise JournalProblem(
            f"The state directory {folder} belongs to somebody else",
            "Choose one of your own with CFUPLOAD_STATE_DIR.",
        )
    if status.st_mode & 0o022:
        raise JournalProblem(
            f"Others may write to the state directory {folder}", f"Run: chmod 700 {folder}"
        )
    if status.st_mode & 0o055:
        with suppress(OSError):  # a read-only disk is told of where the journal is opened
            folder.chmod(0o700)


def file_system(folder: Path) -> str:
    """The type of the file system below ``folder``, where the kernel says; else ""."""
    try:
        lines = Path("/proc/self/mountinfo").read_text(errors="replace").splitlines()
    except OSError:
        return ""
    target = os.fspath(folder.resolve())
    best, kind = "", ""
    for line in lines:
        fields, _, rest = line.partition(" - ")
        point = re.sub(r"\\(\d{3})", lambda m: chr(int(m[1], 8)), fields.split()[4])
        inside = target == point or target.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, rest.split()[0]
    return kind


def make_private(path: Path) -> None:
    """Make ``path`` (mode 0600) if it is not there; OSError unless it is a file we may write.

    An existing file is not opened: closing any descriptor of a file drops all POSIX locks that
    this process holds on it, SQLite's too (sqlite.org/howtocorrupt.html, 2.2). `check_private` has
    judged it.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    try:
        os.close(os.open(path, flags, 0o600))
    except FileExistsError:
        if not stat.S_ISREG(path.lstat().st_mode):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from None
        if not os.access(path, os.R_OK | os.W_OK):
            number = errno.EROFS if _is_read_only(path) else errno.EACCES
            raise OSError(number, os.strerror(number)) from None


def check_private(folder: Path, *names: str) -> None:
    """Refuse files of ``folder`` with these names that are not ours alone; close what others read.

    They may be as old as a time when the folder was open to others. Raises `JournalProblem`.
    """
    if sys.platform == "win32":
        return
    for path in (folder / name for name in names):
        try:
            status = path.lstat()
        except OSError:
            continue
        if not stat.S_ISREG(status.st_mode):
            raise JournalProblem(
                f"{path} is a link or no regular file", "Look who put it there, and move it away."
            )
        if status.st_uid != os.geteuid():
            raise JournalProblem(
                f"{path} belongs to somebody else", "Look who put it there, and move it away."
            )
        if status.st_mode & 0o022:
            raise JournalProblem(f"Others may write to {path}", f"Run: chmod 600 {path}")
        if status.st_mode & 0o055:
            with suppress(OSError):
                path.chmod(0o600)


def _is_read_only(path: Path) -> bool:
    if not hasattr(os, "statvfs"):
        return False
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY)


def trouble_writing(path: Path) -> int:
    """The number of the system's error at a small write beside ``path``, 0 if it goes well."""
    probe = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        descriptor = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            # The call that SQLite writes with, where there is one.
            if hasattr(os, "pwrite"):
                os.pwrite(descriptor, bytes(_PROBE_BYTES), 0)
            else:
                os.write(descriptor, bytes(_PROBE_BYTES))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        return error.errno or 0
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)
    return errno.EFBIG if _is_size_limited(path) else 0


def _is_size_limited(path: Path) -> bool:
    if sys.platform == "win32":
        return False
    try:
        # Here: it is a file of its own, and files may be what is short.
        import resource

        limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
        return limit != resource.RLIM_INFINITY and path.stat().st_size + _PROBE_BYTES > limit
    except (OSError, ImportError):
        return False


def write_private(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path`` (mode 0600) whole or not at all, on disk when it returns."""
    # Not the process's number: threads share it, and containers have the same ones.
    part = path.with_name(f".{path.name}.{uuid4().hex}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    descriptor = os.open(part, flags, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Put the names of ``folder`` on disk, where the system knows how."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remembered_host(folder: Path, name: str = HOST_FILE) -> str | None:
    """The host name that an earlier journal of ``folder`` left behind, if there was one."""
    try:
        known = (folder / name).read_text().strip()
    except (OSError, UnicodeDecodeError):
        return None
    return known if is_uid(known) else None
