"""Rows 79 to 82: full disks; `kernels` has 83, other errors of disks, `journals` 84 to 91.

Each commit fails in two ways: by SQLite's own word for a full disk, and on a small file system
that is really full (where mounting is allowed).
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import matrix.journals
import matrix.kernels  # noqa: F401  their rows belong here
import pytest
from inprocess import MIB, Stage
from matrix.parts import part, staged_part, video
from matrix.rows import Scene, row
from matrix.scenes import ends, staged, then, under
from matrix.striking import REFUSED, Strike, fill, small_disk, sqlite_error, struck

from cfstream_upload.errors import JournalProblem
from cfstream_upload.journal import Journal
from cfstream_upload.journalfile import RESERVE
from cfstream_upload.result import Result

# --- what must come of it ------------------------------------------------------------------------


def _at_intended(current: Stage, result: Result) -> None:
    ends(result, 10, "no room for the journal", "Make room")
    assert current.calls == []


def _at_created(current: Stage, result: Result) -> None:
    """7, the UID told; what the journal still knows of it is the marker."""
    (video,) = current.model.videos()
    ends(result, 7, "no room for the journal", str(video["uid"]), "cfupload cleanup")
    assert result.uid == video["uid"]
    assert "PATCH" not in current.methods()
    assert (current.states(), current.open_rows()) == (["pendingupload"], ["intended"])


def _at_sent(current: Stage, result: Result) -> None:
    (video,) = current.model.videos()
    ends(result, 8, "is on Stream, but that could not be recorded", str(video["uid"]))
    assert result.uid == video["uid"]
    assert "DELETE" not in current.methods()


def _at_discarding(current: Stage, result: Result) -> None:
    ends(result, 7, "no room for the journal", str(result.uid), "cfupload cleanup")
    assert "DELETE" not in current.methods()
    assert (current.states(), current.open_rows()) == (["pendingupload"], ["created"])


def _at_gone(current: Stage, result: Result) -> None:
    ends(result, 7, "no room for the journal", "cfupload cleanup")
    assert (current.states(), current.open_rows()) == ([], ["discarding"])


POINTS = {
    "intended": (79, _at_intended),
    "created": (80, _at_created),
    "sent": (81, _at_sent),
    "stored": (81, _at_sent),
    "told": (81, _at_sent),
    "discarding": (82, _at_discarding),
    "gone": (82, _at_gone),
}


def _full(current: Stage, point: str, strike: Strike, *, reserve: bool) -> None:
    path = video(current)
    if point in ("discarding", "gone"):
        under(current, REFUSED)
    struck(current, point, strike, reserve=reserve)
    result = current.send(path)
    current.opened = Journal.open
    if reserve:
        # It made the room that this run needed.
        ends(result, 5 if point in ("discarding", "gone") else 0)
    else:
        POINTS[point][1](current, result)
    with suppress(FileNotFoundError):
        (current.folder / "state" / "somebody's.log").unlink()
    whole = point in ("sent", "stored", "told")
    told = then(current, path)
    assert not whole or told.uid == result.uid
    assert (current.folder / "state" / "reserve").stat().st_size == RESERVE


def _by_sqlite(scene: Scene, *points: str) -> None:
    for point in points:
        for reserve in (True, False):
            current = staged_part(scene, f"{point} {reserve}")
            _full(current, point, sqlite_error("SQLITE_FULL"), reserve=reserve)


def _by_a_small_disk(scene: Scene, *points: str, reserve: bool = False) -> None:
    for point in points:
        here = part(scene, point)
        with small_disk(here.folder / "state"):
            _full(staged(here), point, fill, reserve=reserve)


@row(79, "SQLite says full")
def _no_room_for_the_intent(scene: Scene) -> None:
    """No room for the first row: the reserve makes some; without it exit 10, nothing sent."""
    _by_sqlite(scene, "intended")


@row(79, "full disk")
def _full_disk_at_the_intent(scene: Scene) -> None:
    """The disk is full as the first row is written, no reserve: exit 10, nothing sent."""
    _by_a_small_disk(scene, "intended")


@row(79, "full from the start")
def _full_disk_from_the_start(scene: Scene) -> None:
    """There is no room even for an empty journal: exit 10, the path named, nothing sent."""
    with small_disk(scene.folder / "state"):
        current = staged(scene)
        path = video(current, 6 * MIB)
        filler = scene.folder / "state" / "somebody's.log"
        with filler.open("ab", buffering=0) as file, suppress(OSError):
            while file.write(b"x" * 4096):
                pass
        assert _code_of_opening(current, path) == 10
        assert current.calls == []
        filler.unlink()
        then(current, path)


def _code_of_opening(current: Stage, path: Path) -> int:
    with pytest.raises(JournalProblem) as caught:
        current.send(path)
    assert str(current.folder / "state") in caught.value.message
    return caught.value.exit_code


@row(80, "SQLite says full")
def _no_room_for_the_uid(scene: Scene) -> None:
    """No room for the UID: saved by the reserve; without it exit 7, the UID told, no byte sent."""
    _by_sqlite(scene, "created")


@row(80, "full disk")
def _full_disk_at_the_uid(scene: Scene) -> None:
    """The disk is full as the UID is written, no reserve: exit 7, the UID told, no byte sent."""
    _by_a_small_disk(scene, "created")


@row(81, "SQLite says full")
def _no_room_after_the_last_byte(scene: Scene) -> None:
    """No room once every byte is there: saved by the reserve, else exit 8; later the same UID."""
    _by_sqlite(scene, "sent", "stored", "told")


@row(81, "full disk")
def _full_disk_after_the_last_byte(scene: Scene) -> None:
    """The disk is full once every byte is there, no reserve: exit 8; later the same UID."""
    _by_a_small_disk(scene, "sent", "stored", "told")


@row(82, "SQLite says full")
def _no_room_in_a_rollback(scene: Scene) -> None:
    """No room in a rollback: saved by the reserve; without it exit 7, and no DELETE unrecorded."""
    _by_sqlite(scene, "discarding", "gone")


@row(82, "full disk")
def _full_disk_in_a_rollback(scene: Scene) -> None:
    """The disk is full in a rollback, no reserve: exit 7, and no DELETE unrecorded."""
    _by_a_small_disk(scene, "discarding", "gone")


@row(79, "full disk, reserve")
def _full_disk_and_a_reserve_at_the_intent(scene: Scene) -> None:
    """The disk is full as the first row is written: the reserve makes the room; exit 0."""
    _by_a_small_disk(scene, "intended", reserve=True)


@row(80, "full disk, reserve")
def _full_disk_and_a_reserve_at_the_uid(scene: Scene) -> None:
    """The disk is full as the UID is written: the reserve makes the room; exit 0."""
    _by_a_small_disk(scene, "created", reserve=True)


@row(81, "full disk, reserve")
def _full_disk_and_a_reserve_at_the_arrival(scene: Scene) -> None:
    """The disk is full as what arrived is written: the reserve makes the room; exit 0."""
    _by_a_small_disk(scene, "sent", "stored", "told", reserve=True)


@row(82, "full disk, reserve")
def _full_disk_and_a_reserve_at_the_rollback(scene: Scene) -> None:
    """The disk is full as a rollback is written: the reserve makes the room; exit 5."""
    _by_a_small_disk(scene, "discarding", "gone", reserve=True)
