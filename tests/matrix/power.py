"""Rows 17 and 18: a power cut, and too little memory."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from inprocess import MIB
from matrix.rows import Scene, row
from matrix.scenes import on_sockets, served_rows, then_served
from served import COMMAND, Served, served

_CALL = re.compile(r"^(?:\[pid +\d+\] |\d+ +)?(\w+)\((.*)\) += (-?\d+)")


def _strace(stream: Served, path: Path, *inject: str) -> tuple[int, list[tuple[str, str]]]:
    """Run ``send`` under strace: its exit code (-9 when killed), and its calls on the disk."""
    tool = shutil.which("strace")
    if tool is None:
        pytest.skip("needs strace")
    log = stream.folder / "strace.txt"
    watched = "trace=fsync,fdatasync,unlink,openat,sendto"
    command = [tool, "-f", "-qq", "-y", "-s", "16", "-o", str(log), "-e", watched, *inject]
    ended = subprocess.run(
        [*command, *COMMAND, "send", "-q", path.name],
        cwd=stream.folder, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    if b"ptrace" in ended.stderr or not log.stat().st_size:
        pytest.skip("strace may not trace here")
    found = [_CALL.match(line) for line in log.read_text(errors="replace").splitlines()]
    return ended.returncode, [(one[1], one[2]) for one in found if one and int(one[3]) >= 0]


@row(17, "each commit is synced")
def _synced(scene: Scene) -> None:
    """Power cut: at every request that leaves, each commit before it and its folder are synced."""
    stream = on_sockets(scene)
    path = stream.file(size=MIB)
    code, calls = _strace(stream, path)
    assert code == 0
    owed: set[str] = set()
    commits = 0
    for name, what in calls:
        if name in ("fsync", "fdatasync"):
            owed -= {"database"} if "/journal.db>" in what else set()
            owed -= {"folder"} if what.endswith("/state>") else set()
        elif name == "openat" and "journal.db-journal" in what:
            owed.add("database")
        elif name == "unlink" and "journal.db-journal" in what:
            commits += 1
            assert "database" not in owed, "the rollback journal goes before its pages are synced"
            owed.add("folder")
        elif name == "sendto":
            assert not owed, f"a request leaves while {owed} may still be lost"
    assert commits >= 6
    assert not owed
    then_served(stream, path)


@row(17, "an unlink that is lost")
def _lost_unlink(scene: Scene) -> None:
    """Power cut where a commit ends, its rollback journal stays: the row before, then one video."""
    for nth, rows in ((3, ["intended"]), (5, ["created"])):
        # The first commit makes the tables; then come intended, created, the tail, sent.
        folder = scene.folder / str(nth)
        folder.mkdir()
        scene.monkeypatch.setenv("CFUPLOAD_STATE_DIR", str(folder / "state"))
        with served(folder) as stream:
            for name, value in stream.environment.items():
                scene.monkeypatch.setenv(name, value)
            path = stream.file(size=MIB)
            rollback = str(folder / "state" / "journal.db-journal")
            kill = f"inject=unlink:signal=KILL:when={nth}"
            code, _ = _strace(stream, path, "-P", rollback, "-e", kill)
            assert code == -signal.SIGKILL
            assert served_rows() == rows
            then_served(stream, path)


@row(18, "memory")
def _memory(scene: Scene) -> None:
    """Killed for memory in a chunk of 64 MiB: resumed; and it never held even half a chunk."""
    stream = on_sockets(scene)
    path = stream.file(size=100 * MIB, sparse=True)
    process = stream.start("send", path.name)
    try:
        stream.wait_until(lambda: stream.proxy.bytes_up > 4 * MIB)
        small = _peak(process.pid)
        stream.wait_until(lambda: stream.proxy.bytes_up > 64 * MIB)
        large = _peak(process.pid)
    finally:
        process.kill()
        process.communicate()
    assert large - small < 32 * MIB
    assert served_rows() == ["created"]
    assert then_served(stream, path)["resumed_from"] > 0


def _peak(number: int) -> int:
    """The most memory that a process ever held, in bytes."""
    try:
        told = Path(f"/proc/{number}/status").read_text()
    except OSError:
        pytest.skip("needs /proc")
    return int(re.findall(r"VmHWM:\s+(\d+) kB", told)[0]) * 1024
