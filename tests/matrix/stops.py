"""Rows 9 to 18: signals, sleep, a power cut, and too little memory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from inprocess import MIB, Stage, Waiting, stage
from matrix.between import Acting
from matrix.crashes import SIZE
from matrix.rows import Scene, row
from matrix.scenes import (
    assert_none,
    assert_one,
    ends,
    on_sockets,
    served_rows,
    staged,
    then,
    then_served,
)
from served import COMMAND, Served

from cfstream_upload.emulator.exchange import ConnectionCut
from cfstream_upload.emulator.faults import Answer, Fault, Faulty
from cfstream_upload.result import Result
from cfstream_upload.transfer import Room

HOUR = 3600.0
NO_DELETE = Fault(Answer(503), "DELETE", times=None)


# --- signals -------------------------------------------------------------------------------------


def _started(stream: Served, path: Path, arrived: int = 2 * MIB) -> subprocess.Popen[bytes]:
    """A slow upload, once some bytes have passed."""
    stream.proxy.limit_rate(8 * MIB)
    process = stream.start("send", path.name)
    stream.wait_until(lambda: stream.proxy.bytes_up > arrived)
    return process


@row(9, "SIGINT")
def _sigint(scene: Scene) -> None:
    """Ctrl-C while a chunk is under way: 130, nothing on Stream, no row, and it says so."""
    stream = on_sockets(scene)
    path = stream.file(size=12 * MIB)
    process = _started(stream, path)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=20)
    assert process.returncode == 130, told
    assert b"Interrupted" in told
    assert b"Successfully cleaned up failed upload: " in told
    assert (stream.states(), served_rows()) == ([], [])
    then_served(stream, path)


@row(10, "SIGINT twice")
def _sigint_twice(scene: Scene) -> None:
    """Ctrl-C again while it rolls back: 7, the decision stays on disk, and what to run is said."""
    current = staged(scene)
    path = current.file(SIZE)
    heard = Waiting(current.clock)
    current.service = Faulty(current.model, [NO_DELETE])
    current.service = Acting(current, "PATCH", 2, heard.stop)
    current.service = Acting(current, "DELETE", 1, heard.stop)
    result = ends(current.send(path, interruption=heard), 7, "Interrupted", "cfupload cleanup")
    assert result.uid is not None
    assert result.uid in str(result.error)
    assert current.methods().count("DELETE") == 1, "the second signal ends it at once"
    assert (current.states(), current.open_rows()) == (["pendingupload"], ["discarding"])
    then(current, path)


@row(11, "SIGTERM")
def _sigterm(scene: Scene) -> None:
    """SIGTERM while a chunk is under way: 143, nothing on Stream, no row, and it says so."""
    for nth in (1, 2):
        folder = scene.folder / str(nth)
        folder.mkdir()
        current = stage(folder)
        path = current.file(SIZE)
        heard = Waiting(current.clock)
        stop = partial(heard.stop, signal.SIGTERM)
        current.service = Acting(current, "PATCH", nth, stop)
        result = ends(current.send(path, interruption=heard), 143, "Interrupted")
        assert result.cleanup == "confirmed"
        assert_none(current)
        then(current, path)


@row(12, "SIGINT before the row of a create")
def _sigint_at_created(scene: Scene) -> None:
    """Ctrl-C between the create's reply and its row (C15): held until the row, then rolled back."""
    current = staged(scene)
    path = current.file(SIZE)
    heard = Waiting(current.clock)
    current.service = Acting(current, "POST", 1, heard.stop, after=True)
    result = ends(current.send(path, interruption=heard), 130, "Interrupted")
    assert result.cleanup == "confirmed"
    assert "PATCH" not in current.methods()
    assert_none(current)
    then(current, path)


@row(13, "SIGINT after the last byte")
def _sigint_at_the_end(scene: Scene) -> None:
    """Ctrl-C just after the last reply (C24): 8, the video stays; the next run tells its UID."""
    current = staged(scene)
    path = current.file(SIZE)
    heard = Waiting(current.clock)
    current.service = Acting(current, "PATCH", 3, heard.stop, after=True)
    result = ends(current.send(path, interruption=heard), 8, "Every byte was sent", "same command")
    assert current.open_rows() == ["sent"]
    assert "DELETE" not in current.methods()
    assert then(current, path).uid == result.uid
    assert not {"POST", "PATCH", "DELETE"} & set(current.methods())


_ON_TERMINAL = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


@row(14, "terminal closed")
def _terminal_closed(scene: Scene) -> None:
    """The terminal is closed while a chunk is under way: 143, and rolled back without output."""
    if not hasattr(os, "openpty"):
        pytest.skip("no terminals to close here")
    stream = on_sockets(scene)
    path = stream.file(size=12 * MIB)
    stream.proxy.limit_rate(8 * MIB)
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", _ON_TERMINAL, *COMMAND, "send", path.name],
        cwd=stream.folder, stdin=theirs, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    try:
        stream.wait_until(lambda: stream.proxy.bytes_up > 2 * MIB)
    finally:
        os.close(ours)
    assert process.wait(timeout=20) == 143
    assert (stream.states(), served_rows()) == ([], [])
    then_served(stream, path)


# --- stopped, asleep -----------------------------------------------------------------------------


@row(15, "SIGSTOP and SIGCONT")
def _stopped(scene: Scene) -> None:
    """Stopped until Stream has closed the connection: cleanup calls it busy; continued, it ends."""
    stream = on_sockets(scene)
    path = stream.file(size=12 * MIB)
    process = _started(stream, path)
    process.send_signal(signal.SIGSTOP)
    try:
        swept = stream.run("cleanup", "--orphans", "--yes", "--json")
        assert swept.code == 0
        assert [one["outcome"] for one in swept.document["swept"]] == ["busy"]
        stream.proxy.break_connections()
    finally:
        process.send_signal(signal.SIGCONT)
    stream.proxy.limit_rate(None)
    _, told = process.communicate(timeout=30)
    assert process.returncode == 0, told
    assert b"retrying in" in told
    assert stream.whole(path)
    assert served_rows() == []
    then_served(stream, path)


def _sleeps(current: Stage, seconds: float) -> Result:
    """Send, and sleep while the second chunk is under way; the connection does not outlive it."""
    path = current.file(SIZE)
    slept: list[float] = []

    def sleep() -> None:
        current.clock.now += seconds
        slept.append(seconds)
        raise ConnectionCut

    current.service = Acting(current, "PATCH", 2, sleep)
    result = ends(current.send(path), 0)
    assert slept
    assert_one(current, path, result)
    assert current.open_rows() == []
    again = then(current, path)
    assert again.uid == result.uid
    return result


@row(15, "stopped for an hour")
def _stopped_for_long(scene: Scene) -> None:
    """Stopped for longer than --retry-max-time while its clock ran: one cut, and it goes on."""
    assert _sleeps(staged(scene), HOUR).attempts == 1


@row(16, "laptop asleep, its clock stood still")
def _sleep_unseen(scene: Scene) -> None:
    """Eight hours' sleep that only Stream's clock saw: reconnected, one video."""
    current = staged(scene)
    offset = current.clock.now
    scene.monkeypatch.setattr("inprocess.Room", partial(_room_of_a_sleeper, current, offset))
    assert _sleeps(current, 8 * HOUR).attempts == 1


def _room_of_a_sleeper(current: Stage, awake_from: float, *parts: Any, **named: Any) -> Room:  # noqa: ANN401
    """A room whose clock does not see hours pass."""
    return Room(*parts, **{**named, "clock": lambda: (current.clock.now - awake_from) % HOUR})


@row(16, "asleep until the upload expired")
def _sleep_past_expiry(scene: Scene) -> None:
    """Asleep past the upload's expiry: the dead upload goes, a new one is made, one video."""
    assert _sleeps(staged(scene), 30 * HOUR).attempts == 2
