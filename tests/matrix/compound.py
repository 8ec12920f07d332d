"""Row 120: a crash during the recovery from a crash, up to five deep, with other trouble on top."""

from __future__ import annotations

import random
import sqlite3
from contextlib import suppress
from pathlib import Path

from dying import Death, Dying, MortalJournal
from faulted import Case
from inprocess import MIB, stage
from matrix.rows import Scene, row
from matrix.scenes import calm, digest, then
from mp4 import padded_mp4

from cfstream_upload.emulator.faults import CutAfter, Fault, Faulty, LoseReply
from cfstream_upload.journal import Journal

SIZE = 11 * MIB
DEEPEST = 5
PER_DEPTH = 4
TROUBLE = ("", "network down", "replies lost", "disk full")


class FullDisk(Journal):
    """A journal that gets no page more from some commit on, and has no reserve left."""

    room = 0

    def _commit(self, *statements: tuple[str, tuple[object, ...]]) -> sqlite3.Cursor:
        self.room -= 1
        if self.room < 0:
            self._spend_reserve()
            pages = self._scalar("PRAGMA page_count")
            self._db.execute(f"PRAGMA max_page_count={pages}")
            # Whatever is written, there is no room for it.
            self._db.execute("PRAGMA query_only=ON")
        return super()._commit(*statements)


def _disturb(case: Case, dice: random.Random, trouble: str) -> None:
    """What goes wrong in the next run, beside its death."""
    service = case.stage.model
    nth = dice.randrange(1, 9)
    case.stage.opened = Journal.open
    if trouble == "network down":
        case.stage.service = Faulty(service, [Fault(CutAfter(0), nth=nth, times=None)])
    elif trouble == "replies lost":
        case.stage.service = Faulty(service, [Fault(LoseReply(), nth=nth, times=2)])
    else:
        case.stage.service = service
    if trouble == "disk full":

        def full(folder: Path) -> Journal:
            journal = FullDisk.open(folder)
            assert isinstance(journal, FullDisk)
            journal.room = nth % 5
            return journal

        case.stage.opened = full


def _die(case: Case, dice: random.Random) -> None:
    """Let the next run die at some request or commit, if it gets there."""
    if dice.random() < 0.5 or case.stage.opened is not Journal.open:
        when = dice.choice(["before", "in its body", "after"])
        case.stage.service = Dying(case.stage.service, dice.randrange(1, 7), when)
        return
    nth, after = dice.randrange(1, 6), dice.random() < 0.5

    def mortal(folder: Path) -> Journal:
        journal = MortalJournal.open(folder)
        assert isinstance(journal, MortalJournal)
        journal.nth, journal.after = nth, after
        return journal

    case.stage.opened = mortal


def story(folder: Path, path: Path, depth: int, trouble: str, seed: int) -> None:
    """Runs that die one upon the other, each in the recovery from the last; then peace."""
    dice = random.Random(f"{depth} {trouble} {seed}")
    folder.mkdir()
    case = Case(stage(folder), path, digest(path))
    for _ in range(depth):
        _disturb(case, dice, trouble if dice.random() < 0.6 else "")
        _die(case, dice)
        with suppress(Death):
            if dice.random() < 0.3:
                case.sweep()
            else:
                case.send()
        case.stage.clock.now += dice.choice([1.0, 60.0, 7200.0])
    calm(case.stage)
    # Two creates that nobody answered are watched for a day before there is a third (law 2).
    lost = case.stage.open_rows().count("intended") >= 2
    result = then(case.stage, path, waits=26 * 3600.0 if lost else 60.0)
    assert case.told <= {result.uid}
    case.stage.clock.now += 26 * 3600
    again = case.send()
    assert (again.exit_code, again.outcome, again.uid) == (0, "already", result.uid)
    assert case.stage.open_rows() == []


@row(120, "one to five deep")
def _crash_upon_crash(scene: Scene) -> None:
    """A crash in the recovery from a crash, 1 to 5 deep, network down or disk full: one video."""
    path = padded_mp4(scene.folder / "big.mp4", SIZE, sparse=False)
    for depth in range(1, DEEPEST + 1):
        for number in range(PER_DEPTH):
            trouble = TROUBLE[number % len(TROUBLE)]
            story(scene.folder / f"{depth}-{number}", path, depth, trouble, number)
