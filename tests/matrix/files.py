"""Rows 92 to 101: the local file changes, vanishes, cannot be read, or is named by an enemy."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from beside import Beside
from inprocess import MIB, Stage
from matrix import names as names  # registers rows 100 and 101
from matrix import unsendable as unsendable  # registers rows 98 and 99
from matrix.rows import Scene, row
from matrix.scenes import (
    assert_none,
    assert_one,
    calm,
    dies,
    digest,
    ends,
    on_sockets,
    staged,
    then,
    then_served,
)
from mp4 import padded_mp4
from served import COMMAND, Served

from cfstream_upload.emulator.exchange import Exchange, Reply, Request

SIZE = 12 * MIB
CHANGED = "changed while it was being read"


@dataclass
class Meddling(Beside):
    """A service beside which somebody does something to the file: amid the ``nth`` PATCH."""

    act: Callable[[], object]
    nth: int = 2

    def begin(self, request: Request) -> Exchange:
        self.nth -= request.method == "PATCH"
        exchange = self.service.begin(request)
        if self.nth or request.method != "PATCH":
            return exchange
        return _Meddled(exchange, self.act)


@dataclass
class _Meddled:
    inner: Exchange
    act: Callable[[], object]
    blocks: int = 0

    def write(self, block: bytes) -> None:
        self.inner.write(block)
        self.blocks += 1
        if self.blocks == 2:
            self.act()

    def finish(self) -> Reply:
        return self.inner.finish()

    def cut(self) -> None:
        self.inner.cut()


def _meddled(scene: Scene, act: Callable[[Path], object], nth: int) -> tuple[Stage, Path]:
    """A stage on which ``act`` is done to the file amid the ``nth`` of three chunks."""
    scene.folder.mkdir(exist_ok=True)
    current = staged(scene)
    path = current.file(SIZE)
    current.service = Meddling(current.model, lambda: act(path), nth)
    return current, path


def _below(scene: Scene, name: str) -> Scene:
    return Scene(scene.folder / name.replace(" ", "-"), scene.request)


# --- it changes while it is sent -----------------------------------------------------------------


def _patch(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def _grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def _touch(path: Path) -> None:
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))


@row(92, "at each chunk")
def _truncated(scene: Scene) -> None:
    """The file is truncated amid the upload: exit 4, the message says so, nothing is left."""
    for nth in (1, 2, 3):
        for kept in (7 * MIB,) if nth < 3 else (0, SIZE - 1):
            here = _below(scene, f"{nth}-{kept}")
            current, path = _meddled(here, lambda path, kept=kept: os.truncate(path, kept), nth)  # type: ignore[misc]  # bound now
            result = ends(current.send(path), 4, "he file", "while it was being read")
            assert result.cleanup == "confirmed"
            assert_none(current)
            then(current, current.file(SIZE, seed=1))


def _rewrite(path: Path) -> None:
    _patch(path, 5, b"x")
    os.utime(path, ns=(0, 1))


CHANGES: dict[str, Callable[[Path], object]] = {
    "grows": _grow,
    "rewritten": lambda path: _patch(path, SIZE // 2, b"other bytes"),
    "touched": _touch,
    "rewritten, older": _rewrite,
}


@row(93, "at each chunk")
def _changed(scene: Scene) -> None:
    """It grows, is rewritten in its size, or touched: exit 4 before the last byte left."""
    for name, change in CHANGES.items():
        for nth in (1, 3) if name == "rewritten" else (3,):
            current, path = _meddled(_below(scene, f"{name} {nth}"), change, nth)
            ends(current.send(path), 4, CHANGED)
            # Of a chunk whose file changed the last block never leaves.
            assert current.methods().count("PATCH") == nth
            assert not any(call.status == 204 for call in current.calls[-4:])
            assert_none(current)
            then(current, current.file(SIZE, seed=1))


@row(94, "renamed over")
def _replaced(scene: Scene) -> None:
    """Another file takes its name: the opened bytes arrive; the other file is another video."""
    current = staged(scene)
    other = current.file(SIZE, name="other.mp4", seed=5)
    path = current.file(SIZE)
    kept = current.folder / "kept.mp4"
    os.link(path, kept)
    current.service = Meddling(current.model, lambda: other.replace(path))
    result = ends(current.send(path), 0)
    assert_one(current, kept, result)
    calm(current)
    assert ends(current.send(kept), 0).outcome == "already"
    newer = ends(current.send(path), 0)
    assert current.model.sha256(str(newer.uid)) == digest(path)
    assert current.model.sha256(str(result.uid)) == digest(kept)
    assert (len(current.states()), current.open_rows()) == (2, [])


@row(95, "unlinked")
def _unlinked(scene: Scene) -> None:
    """The file is unlinked amid the upload: its opened bytes arrive all the same, exit 0."""
    current, path = _meddled(scene, lambda path: path.unlink(), 1)
    copy = path.with_name("copy.mp4")
    shutil.copy2(path, copy)
    result = ends(current.send(path), 0)
    assert_one(current, copy, result)
    assert current.open_rows() == []
    calm(current)
    ends(current.send(path), 4, "no such file")
    assert len(current.states()) == 1


@row(95, "unlinked, one name left")
def _unlinked_once(scene: Scene) -> None:
    """One of its two names is unlinked: under the other it is the same video."""
    current, path = _meddled(scene, lambda path: path.unlink(), 2)
    other = path.with_name("other name.mp4")
    os.link(path, other)
    first = ends(current.send(path), 0)
    assert then(current, other).uid == first.uid


@row(96, "size and mtime restored")
def _changed_between_runs(scene: Scene) -> None:
    """It is rewritten after a crash, mtime restored: the old upload goes, the new bytes arrive."""
    changes: dict[str, Callable[[Path], object]] = {
        "all": lambda path: padded_mp4(path, SIZE, sparse=False, seed=9),
        "first sample": lambda path: _patch(path, 60_000, b"another byte"),
        "last sample": lambda path: _patch(path, SIZE - 1, b"\x55"),
    }
    for name, change in changes.items():
        here = _below(scene, name)
        here.folder.mkdir()
        current = staged(here)
        path = current.file(SIZE)
        dies(current, path, 3, "after")
        before = path.stat()
        (old,) = current.model.videos()
        change(path)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert path.stat().st_size == before.st_size
        result = then(current, path)
        assert result.uid != old["uid"]
        assert any("no longer the same" in str(event) for event in current.heard)


# --- it cannot be read ---------------------------------------------------------------------------


@row(97, "in each read")
def _read_error(scene: Scene) -> None:
    """A read fails (disk, network drive, pulled stick) at whatever block: exit 4, nothing left."""
    real = os.pread
    for number, code in enumerate((errno.EIO, errno.ESTALE, errno.ENODEV, errno.EIO)):
        here = _below(scene, str(number))
        here.folder.mkdir()
        current = staged(here)
        path = current.file(SIZE)
        inode = path.stat().st_ino
        # The first chunk, the second, the last block of all; the last one heals.
        bad = (0, 6 * MIB, SIZE - 1, 9 * MIB)[number]
        sending: list[bool] = []

        def failing(
            descriptor: int,
            count: int,
            offset: int,
            inode: int = inode,
            bad: int = bad,
            code: int = code,
            sending: list[bool] = sending,
        ) -> bytes:
            if sending and os.fstat(descriptor).st_ino == inode and offset <= bad < offset + count:
                raise OSError(code, os.strerror(code))
            return real(descriptor, count, offset)

        # Samples and probe succeed: the disk dies while it is sent.
        current.service = Meddling(current.model, lambda sending=sending: sending.append(True), 1)  # type: ignore[misc]  # bound now
        with scene.monkeypatch.context() as patched:
            patched.setattr(os, "pread", failing)
            result = current.send(path)
        if bad == 0:
            # Behind the first block of the first chunk nothing reads byte 0 again.
            ends(result, 0)
        else:
            ends(result, 4, "Cannot read the file", os.strerror(code))
            assert_none(current)
        then(current, path)


@row(97, "by strace")
def _read_error_of_the_kernel(scene: Scene) -> None:
    """The kernel answers EIO to its reads from some point on: exit 4, nothing left; sent later."""
    if not shutil.which("strace"):
        pytest.skip("needs strace")
    stream = on_sockets(scene)
    path = stream.file(size=SIZE)
    trace = [
        "strace", "-f", "-qq", "-o", os.devnull, "-P", str(path),
        "-e", "trace=pread64", "-e", "inject=pread64:error=EIO:when=60+",
    ]  # fmt: skip
    ended = _ran(stream, [*trace, *COMMAND, "send", path.name])
    assert ended.returncode == 4, ended.stderr
    assert b"annot read the file (Input/output error)" in ended.stderr
    assert (stream.states(), stream.journal()) == ([], [])
    assert "POST" in stream.methods()
    then_served(stream, path)


def _ran(stream: Served, command: list[str]) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command, cwd=stream.folder, capture_output=True, timeout=60, check=False)
