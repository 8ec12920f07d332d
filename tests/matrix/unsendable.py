"""Rows 98 and 99: what is no file that could be sent, and what must not be read."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from inprocess import MIB
from matrix.here import then_here
from matrix.rows import Scene, row
from matrix.scenes import ends, on_sockets, staged, then
from mp4 import padded_mp4
from served import COMMAND

from cfstream_upload.source import MAX_BYTES

SIZE = 12 * MIB


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


def _sparse(path: Path) -> None:
    padded_mp4(path, MAX_BYTES + 1)


UNSENDABLE: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda path: path.touch(), "empty"),
    "folder": (lambda path: path.mkdir(), "folder"),
    "fifo": (lambda path: os.mkfifo(path), "not a regular file"),
    "socket": (_socket, "not a regular file"),
    "null": (lambda path: path.symlink_to("/dev/null"), "not a regular file"),
    "zero": (lambda path: path.symlink_to("/dev/zero"), "not a regular file"),
    "huge": (_sparse, "at most 30000000000"),
    "dangling": (lambda path: path.symlink_to("nowhere"), "no such file"),
    "loop": (lambda path: path.symlink_to(path.name), "cannot read"),
}


@row(98, "each kind")
def _unsendable(scene: Scene) -> None:
    """Empty file, folder, FIFO, socket, device, more than 30 GB: exit 4 at once, nothing asked."""
    current = staged(scene)
    for name, (make, words) in UNSENDABLE.items():
        # Short: the path of a socket has at most 108 bytes.
        with scene.monkeypatch.context() as patched:
            patched.chdir(scene.folder)
            path = Path(f"{name}.mp4")
            make(path)
            started = time.monotonic()
            ends(current.send(path), 4, words)
            assert time.monotonic() - started < 10
    assert (current.calls, current.states(), current.open_rows()) == ([], [], [])
    then(current, current.file(SIZE))


@row(99, "chmod 0")
def _unreadable(scene: Scene) -> None:
    """There is no permission to read the file: exit 4, and it says so; nothing was created."""
    stream = on_sockets(scene)
    path = stream.file(size=100_000)
    path.chmod(0)
    command = [*_without_roots_rights(), *COMMAND, "send", path.name]
    ended = subprocess.run(command, cwd=stream.folder, capture_output=True, check=False)
    assert ended.returncode == 4, ended.stderr
    assert b"annot read the file (Permission denied)" in ended.stderr
    assert (stream.states(), stream.methods()) == ([], [])
    path.chmod(0o600)
    then_here(scene, stream, path)


def _without_roots_rights() -> list[str]:
    """Root reads everything, unless this right is taken from it."""
    if os.geteuid():
        return []
    rights = "-dac_override,-dac_read_search"
    command = ["setpriv", f"--bounding-set={rights}", f"--inh-caps={rights}", "--"]
    if not shutil.which("setpriv") or subprocess.run([*command, "true"], check=False).returncode:
        pytest.skip("root reads everything here: needs setpriv and the right to drop rights")
    return command
