"""Rows 1 to 8: the client is killed, at each of the named points. Rows 9 to 18 are next door."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

# Importing these registers their rows.
import matrix.power
import pytest
from dying import Death
from inprocess import Stage, stage
from matrix.crashes import POINTS, SIZE, Point
from matrix.rows import Scene, row
from matrix.scenes import calm, then

from cfstream_upload import events
from cfstream_upload.result import Result
from cfstream_upload.sweeping import Choice, plan, sweep

import matrix.stops  # noqa: F401  isort: skip

# --- rows 1 to 8: killed at a named point --------------------------------------------------------


def _each_point(scene: Scene, number: int, check: Callable[[Stage, Point, Result], None]) -> None:
    """Die at each point of a row, and send again."""
    path = stage(scene.folder).file(SIZE)
    for at, point in enumerate(POINTS[number]):
        current = _dead(scene.folder / str(at), point, path)
        uids = [video["uid"] for video in current.model.videos()]
        result = then(current, path)
        if point.states == ("whole",):
            assert [result.uid] == uids, point.name
        check(current, point, result)
    # Cleaning up first must come to the same end, wherever it was.
    current = _dead(scene.folder / "swept", POINTS[number][-1], path)
    _swept(current)
    assert "pendingupload" not in current.states()
    then(current, path)


def _dead(folder: Path, point: Point, path: Path) -> Stage:
    folder.mkdir()
    current = stage(folder)
    with point.armed(current), pytest.raises(Death):
        current.send(path)
    calm(current)
    pending = [state == "pendingupload" for state in current.states()]
    assert pending == [state == "pendingupload" for state in point.states], point.name
    assert current.open_rows() == list(point.rows), point.name
    return current


def _swept(current: Stage) -> None:
    with current.session() as session:
        choice = Choice(orphans=True)
        list(sweep(session, plan(session, choice), choice))


def _removed(current: Stage) -> int:
    return sum(isinstance(event, events.CleanedUp) for event in current.heard)


@row(1, "killed before the first row")
def _nothing_began(scene: Scene) -> None:
    """SIGKILL before the first row is on disk (C01-C09): nothing on Stream, no row; then sent."""

    def check(current: Stage, point: Point, _: Result) -> None:
        assert current.methods() == ["POST", "PATCH", "PATCH", "PATCH", "GET"], point.name

    _each_point(scene, 1, check)


@row(2, "killed before the create left")
def _create_never_left(scene: Scene) -> None:
    """SIGKILL between the first row and the create (C10-C11): looked for first, then sent."""

    def check(current: Stage, point: Point, _: Result) -> None:
        before = current.methods()[: current.methods().index("POST")]
        assert before.count("GET") == len(before) >= 2, point.name
        assert current.methods().count("POST") == 1, point.name

    _each_point(scene, 2, check)


@row(3, "killed before the UID was written")
def _create_lost(scene: Scene) -> None:
    """SIGKILL between the create and its row (C13-C16, C38, C41): found, removed, then sent."""

    def check(current: Stage, point: Point, _: Result) -> None:
        methods = current.methods()
        assert methods.index("DELETE") < methods.index("POST"), point.name
        assert (_removed(current), current.open_rows()) == (1, []), point.name

    _each_point(scene, 3, check)


@row(4, "killed while bytes flow")
def _interrupted(scene: Scene) -> None:
    """SIGKILL while chunks are sent (C17-C22, C36, C37): the next run asks Stream and goes on."""

    def check(current: Stage, point: Point, result: Result) -> None:
        assert current.methods()[0] == "HEAD", point.name
        assert "POST" not in current.methods(), point.name
        if result.resumed_from:
            assert result.outcome == "resumed", point.name
            (told,) = [event for event in current.heard if isinstance(event, events.Resumed)]
            assert told.offset == result.resumed_from > 0, point.name
        else:
            assert point.name[:3] in ("C17", "C18", "C19"), point.name

    _each_point(scene, 4, check)


def _sends_nothing(current: Stage, point: Point, result: Result) -> None:
    assert not {"POST", "PATCH", "DELETE"} & set(current.methods()), point.name
    assert result.exit_code == 0, point.name


@row(5, "killed after the last byte")
def _whole_and_unknown(scene: Scene) -> None:
    """SIGKILL around the last reply (C23-C24): then the same UID, and nothing is sent."""
    _each_point(scene, 5, _sends_nothing)


@row(6, "killed before or after the word")
def _whole_and_written(scene: Scene) -> None:
    """SIGKILL between the last reply and the end (C25-C28, C40, C42): same UID, nothing sent."""
    _each_point(scene, 6, _sends_nothing)


@row(6, "what is told of bytes")
def _no_bytes_told(scene: Scene) -> None:
    """Killed when all was sent and nothing told: the next run says resumed, with no byte sent."""
    path = stage(scene.folder).file(SIZE)
    current = _dead(scene.folder / "sent", POINTS[6][0], path)
    result = then(current, path)
    assert (result.outcome, result.sent, result.resumed_from) == ("resumed", 0, SIZE)


def _rolled_back_first(current: Stage, point: Point, _: Result) -> None:
    methods = current.methods()
    if point.rows:
        # A death after the deed: it is looked for first, and proven gone without another.
        paid = methods.index("DELETE" if "DELETE" in methods else "GET")
        assert paid < methods.index("POST"), point.name
        assert _removed(current) == 1, point.name
    assert current.open_rows() == [], point.name


@row(7, "killed before the decision")
def _wish_only(scene: Scene) -> None:
    """SIGKILL before a failed upload's delete is decided (C29-C30): it goes first, then one video.

    The wish to discard it was written when it failed for good, so it is not resumed.
    """
    _each_point(scene, 7, _rolled_back_first)


@row(8, "killed while deleting")
def _decided(scene: Scene) -> None:
    """SIGKILL between the decision and the proof (C31-C35): the delete is finished, then sent."""

    def check(current: Stage, point: Point, result: Result) -> None:
        if point.rows == ("discarding",):
            _rolled_back_first(current, point, result)
        assert current.open_rows() == [], point.name

    _each_point(scene, 8, check)
