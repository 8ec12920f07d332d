"""Rows 31 to 37: a PATCH or its reply is lost. Rows 38 to 48 are next door."""

from __future__ import annotations

from pathlib import Path

from faulted import envelope, html
from inprocess import MIB, Stage
from matrix.crashes import SIZE
from matrix.rows import Scene, row
from matrix.scenes import (
    assert_one,
    calm,
    ends,
    on_sockets,
    served_rows,
    staged,
    then,
    then_served,
    under,
)

from cfstream_upload.emulator.faults import CutAfter, Effect, Fault, Hang, LoseReply
from cfstream_upload.emulator.switches import Gone, Switches
from cfstream_upload.result import Result

# Importing this registers its rows.
import matrix.refusals  # noqa: F401  isort: skip

CHUNK = 5 * MIB
LAST = SIZE - 2 * CHUNK


def folder_of(scene: Scene, name: str) -> Scene:
    """The same scene in a folder of its own."""
    folder = scene.folder / name
    folder.mkdir()
    return Scene(folder, scene.request)


def _offsets(current: Stage) -> list[int]:
    return [call.offset or 0 for call in current.calls if call.method == "PATCH"]


def _arrives(current: Stage, path: Path, *faults: Fault) -> Result:
    """Under these faults: one create, no delete, one whole video, no open row."""
    under(current, *faults)
    result = ends(current.send(path), 0)
    assert current.methods().count("POST") == 1
    assert "DELETE" not in current.methods()
    assert_one(current, path, result)
    assert current.open_rows() == []
    return result


def _each_patch(scene: Scene, name: str, effect: Effect) -> list[tuple[int, Stage, Result]]:
    """This effect once, on each of the three PATCHes, each on a stage of its own."""
    done = []
    for nth in (1, 2, 3):
        current = staged(folder_of(scene, f"{name} {nth}"))
        path = current.file(SIZE)
        result = _arrives(current, path, Fault(effect, "PATCH", nth=nth))
        done.append((nth, current, result))
    return done


# --- the bytes -----------------------------------------------------------------------------------


@row(31, "cut at one byte, half, all but one")
def _cut(scene: Scene) -> None:
    """A PATCH is cut in its body: Stream is asked how far it got, and it goes on from there."""
    for count in (1, CHUNK // 2, CHUNK - 1):
        for nth, current, _ in _each_patch(scene, str(count), CutAfter(min(count, LAST - 1))):
            methods = current.methods()
            assert methods[nth + 1] == "HEAD", "after a cut the offset is asked for"
            # What Stream kept of it, in blocks of 256 KiB, is not sent again.
            kept = min(count, LAST - 1) // (256 * 1024) * 256 * 1024
            assert _offsets(current)[nth] == (nth - 1) * CHUNK + kept


@row(31, "cut by FIN on the wire")
def _cut_on_the_wire(scene: Scene) -> None:
    """A PATCH is cut in its body by a closed connection: no acknowledged byte is sent again."""
    _cut_by_proxy(scene, reset=False)


@row(32, "cut by RST on the wire")
def _reset_on_the_wire(scene: Scene) -> None:
    """A PATCH is cut in its body by a reset: no acknowledged byte is sent again."""
    _cut_by_proxy(scene, reset=True)


def _cut_by_proxy(scene: Scene, *, reset: bool) -> None:
    stream = on_sockets(scene)
    path = stream.file(size=12 * MIB)
    stream.proxy.cut_after(6 * MIB, reset=reset)
    told = then_served(stream, path)
    assert told["retries"] >= 1
    patches = [asked for asked in stream.ledger.asked if asked.method == "PATCH"]
    assert len(patches) >= 2
    assert all(asked.offset == asked.known for asked in patches)
    assert stream.methods().count("POST") == 1
    assert served_rows() == []
    assert then_served(stream, path)["outcome"] == "already"


# --- the reply -----------------------------------------------------------------------------------


@row(33, "a chunk's reply is lost")
def _reply_lost(scene: Scene) -> None:
    """A chunk is taken and its reply lost: HEAD tells so, and the chunk is not sent again."""
    for effect in (LoseReply(), Hang(acts=True)):
        for nth, current, _ in _each_patch(scene, type(effect).__name__, effect):
            assert _offsets(current) == [0, CHUNK, 2 * CHUNK], nth
            assert current.methods()[nth + 1] == "HEAD"


GONE: tuple[Gone, ...] = ("404", "410", "403")
LAST_REPLY_LOST = Fault(LoseReply(), "PATCH", nth=3)


@row(34, "the last reply is lost")
def _last_reply_lost(scene: Scene) -> None:
    """The last reply is lost: HEAD says all is there; nothing is deleted, nothing sent again."""
    current = staged(scene)
    path = current.file(SIZE)
    result = _arrives(current, path, LAST_REPLY_LOST)
    assert current.methods() == ["POST", "PATCH", "PATCH", "PATCH", "HEAD", "GET"]
    assert then(current, path).uid == result.uid


@row(35, "and HEAD says that the upload is gone")
def _last_reply_lost_and_gone(scene: Scene) -> None:
    """The last reply is lost and HEAD says 404, 410 or 403: a GET says it is there."""
    for gone in GONE:
        switches = Switches(after_completion=gone)
        current = staged(folder_of(scene, gone), switches=switches)
        path = current.file(SIZE)
        result = _arrives(current, path, LAST_REPLY_LOST)
        assert current.methods()[4:6] == ["HEAD", "GET"]
        assert then(current, path).uid == result.uid
    current = staged(folder_of(scene, "html"))
    path = current.file(SIZE)
    _arrives(current, path, LAST_REPLY_LOST, Fault(html(404), "HEAD"))


@row(36, "and the video says pending for 40 s")
def _registered_late(scene: Scene) -> None:
    """As 35, and the video goes on saying pending for 40 s: asked until it says otherwise."""
    current = staged(scene, switches=Switches(after_completion="404", pending_after_whole=40.0))
    path = current.file(SIZE)
    started = current.clock.now
    result = _arrives(current, path, LAST_REPLY_LOST)
    assert 40 <= current.clock.now - started <= 70
    assert then(current, path).uid == result.uid


@row(37, "and the video says pending for ever")
def _never_registered(scene: Scene) -> None:
    """As 35, and pending for ever: 8 after a minute, with its UID; nothing is deleted."""
    current = staged(scene, switches=Switches(after_completion="404", pending_after_whole=7200.0))
    path = current.file(SIZE)
    under(current, LAST_REPLY_LOST)
    uids = set()
    for posts in (1, 0):
        started = current.clock.now
        result = ends(current.send(path), 8, "not confirmed", "the same command")
        uids.add(result.uid)
        assert 55 <= current.clock.now - started <= 90
        assert current.methods().count("POST") == posts
        assert "DELETE" not in current.methods()
        assert current.open_rows() == ["created"]
        calm(current)
    again = then(current, path, waits=7200.0)
    assert uids == {again.uid}
    assert not {"POST", "PATCH", "DELETE"} & set(current.methods())


@row(37, "pending for ever and past its expiry")
def _never_whole(scene: Scene) -> None:
    """As 37, past the expiry of the upload: only now is it discarded, and the file sent anew."""
    current = staged(scene)
    path = current.file(SIZE)
    # The last bytes never reached Stream, and the upload URL has died: from here it looks as 37.
    died = Fault(envelope(404), "HEAD", times=None)
    under(current, Fault(CutAfter(LAST - 1), "PATCH", nth=3), died)
    first = ends(current.send(path), 8)
    assert "DELETE" not in current.methods()
    calm(current)
    result = then(current, path, waits=25 * 3600.0)
    assert result.uid != first.uid
    methods = current.methods()
    assert methods.index("DELETE") < methods.index("POST")
