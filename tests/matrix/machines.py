"""Rows 74 to 76: two machines, and locks that cannot be trusted."""

from __future__ import annotations

from pathlib import Path

import pytest
from beside import before
from inprocess import MIB, Stage
from matrix.parts import staged_part, video
from matrix.rows import Scene, row
from matrix.scenes import assert_none, ends, staged, then
from matrix.watching import sweeps

from cfstream_upload.errors import CfuploadError
from cfstream_upload.result import Result

# --- 74: two machines ----------------------------------------------------------------------------


@row(74, "two state directories")
def _two_machines(scene: Scene) -> None:
    """Two machines send one file, one after the other: both exit 0, two videos, as documented."""
    current = staged(scene)
    path = video(current, 6 * MIB)
    first = ends(current.send(path), 0)
    current.state = "another machine's state"
    second = ends(current.send(path), 0)
    assert first.uid != second.uid
    assert "pendingupload" not in current.states()
    assert len(current.states()) == 2
    assert sweeps(current) == []
    assert len(current.states()) == 2
    # Each machine goes on giving its own receipt.
    assert current.send(path).uid == second.uid
    current.state = "state"
    assert current.send(path).uid == first.uid
    assert current.open_rows() == []


@row(74, "two state directories at once")
def _two_states_at_once(scene: Scene) -> None:
    """Two state directories of one machine at once: the file's own lock makes one busy, exit 9."""
    current = staged(scene)
    path = video(current, 6 * MIB)
    codes: list[int] = []

    def other() -> None:
        current.state = "another state"
        codes.append(current.send(path).exit_code)
        assert current.open_rows() == []
        current.state = "state"

    before(current, "PATCH", 2, other)
    ends(current.send(path), 0)
    assert codes == [9]
    then(current, path)


# --- 75, 76: locks that cannot be trusted --------------------------------------------------------


@row(75, "lock file deleted")
def _lock_file_deleted(scene: Scene) -> None:
    """The lock files are deleted while a file is sent: a second run and a cleanup stay out."""
    current = staged(scene)
    path = video(current)
    seen: list[object] = []

    def intrude() -> None:
        for lock in (current.folder / "state" / "locks").iterdir():
            lock.unlink()
        second = current.send(path)
        ends(second, 9, "holds a lock on this file")
        seen.extend([second.exit_code, sweeps(current)])

    before(current, "PATCH", 2, intrude)
    ends(current.send(path), 0)
    assert seen == [9, ["busy"]]
    assert "DELETE" not in current.methods()
    then(current, path)


@row(76, "network drives")
def _state_on_a_network_drive(scene: Scene) -> None:
    """The state directory is on a network file system: exit 10, named; nothing sent."""
    real = Path.read_text
    for kind in ("nfs4", "cifs", "9p", "fuse.sshfs"):
        current = staged_part(scene, kind)
        path = video(current, 6 * MIB)
        line = f"99 1 0:99 / {current.folder} rw,relatime shared:9 - {kind} host:/export rw\n"

        def told(file: Path, *args: str, line: str = line, **more: str) -> str:
            text = real(file, *args, **more)
            return text + line if str(file) == "/proc/self/mountinfo" else text

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Path, "read_text", told)
            ends(_started(current, path), 10, "network file system", kind, "CFUPLOAD_STATE_DIR")
        assert current.calls == []
        assert_none(current)
        then(current, path)


def _started(current: Stage, path: Path) -> Result:
    """A run whose session may not even open: its error as a result."""
    try:
        return current.send(path)
    except CfuploadError as error:
        return Result(file=str(path), outcome="failed", exit_code=error.exit_code, error=error)
