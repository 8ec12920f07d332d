"""An exception at any line of the client once a UID is on disk: four flows, each line of each.

The whole sweep, all lines at their first and last pass: ``python -m tests.matrix.anyline``.
"""

from __future__ import annotations

import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from zlib import crc32

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from faulted import Case, html
from inprocess import MIB, stage
from matrix.injected import Injected, Injector, Line, places, process_end
from matrix.scenes import assert_one, dies, digest, then
from mp4 import padded_mp4

from cfstream_upload.emulator.faults import Fault, Faulty
from cfstream_upload.journal import Journal
from cfstream_upload.result import Result

SIZE = 11 * MIB


class Telling(Journal):
    """A journal that says when a row of this kind is on disk."""

    wanted = "uid IS NOT NULL"
    heard: Callable[[], None] = staticmethod(lambda: None)

    def _commit(self, *statements: tuple[str, tuple[object, ...]]) -> sqlite3.Cursor:
        found = super()._commit(*statements)
        if self._scalar(f"SELECT count(*) FROM attempts WHERE {self.wanted}"):
            self.heard()
        return found


@dataclass(frozen=True)
class Flow:
    """A run to strike: what came before it, and from which row on it is struck."""

    run: Callable[[Case], Result | None]
    before: Callable[[Case], None] = lambda case: None
    wanted: str = "uid IS NOT NULL"
    at_once: bool = False


def _send(case: Case) -> Result:
    return case.send()


def _rolled_back(case: Case) -> Result:
    """The second chunk is refused for good."""
    case.stage.service = Faulty(case.stage.model, [Fault(html(412), "PATCH", "upload", 2)])
    return case.send()


def _swept(case: Case) -> None:
    case.sweep()


def _interrupted(case: Case) -> None:
    dies(case.stage, case.path, 3, "after")


def _already(case: Case) -> None:
    case.send()


FLOWS = {
    "fresh": Flow(_send),
    "resumed": Flow(_send, _interrupted, at_once=True),
    "rolled back": Flow(_rolled_back),
    "swept": Flow(_swept, _interrupted, at_once=True),
    "sent before": Flow(_send, _already, at_once=True),
}


@dataclass
class Sweep:
    """One flow, struck at one place after the other, each time on a stage of its own."""

    folder: Path
    flow: Flow
    error: type[BaseException] = Injected
    count: int = 0
    path: Path = field(init=False)
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        self.path = padded_mp4(self.folder / "big.mp4", SIZE, sparse=False)
        self.digest = digest(self.path)

    def lines(self) -> dict[Line, int]:
        """Every line that the flow passes, and how often."""
        injector = Injector()
        self._ran(self._case(), injector)
        return injector.passed

    def strike(self, line: Line, nth: int) -> None:
        """Strike there, and hold what must come of it."""
        case = self._case()
        injector = Injector(line, nth, self.error)
        result = self._ran(case, injector)
        assert injector.struck, "the line was not passed again"
        if result is not None and result.exit_code == 0:
            # Law 6: what turned out whole is a success, whatever was wished meanwhile.
            assert_one(case.stage, case.path, result)
        assert_custody(case, result)
        assert_arrives(case)

    def _case(self) -> Case:
        self.count += 1
        folder = self.folder / str(self.count)
        folder.mkdir()
        case = Case(stage(folder), self.path, self.digest)
        self.flow.before(case)
        return case

    def _ran(self, case: Case, injector: Injector) -> Result | None:
        """Run the flow as a process of its own would; None where it ended by the exception."""

        class Here(Telling):
            wanted = self.flow.wanted
            heard = staticmethod(injector.arm)

        case.stage.opened = Here.open
        if self.flow.at_once:
            injector.arm()
        with process_end():
            try:
                with injector.watching():
                    return self.flow.run(case)
            except self.error:
                return None
            finally:
                case.stage.opened = Journal.open


def assert_custody(case: Case, result: Result | None) -> None:
    """What is pending on Stream has its row; what an exit code says is so."""
    states = case.ours()
    whole = [uid for uid, state in states.items() if state != "pendingupload"]
    assert len(whole) <= 1
    with case.stage.session() as session:
        rows = {row.uid: row for row in session.rows()}
    assert set(states) <= set(rows), "a video that nothing here remembers"
    if result is not None and result.exit_code in (2, 3, 4, 5, 6, 130, 143):
        assert (set(states) - case.told, case.stage.open_rows()) == (set(), [])


def assert_arrives(case: Case) -> None:
    """The next clean run: one whole video, nothing open, no acknowledged byte sent again."""
    known = {uid: _acknowledged(case, uid) for uid in case.ours()}
    then(case.stage, case.path)
    first: dict[str, int] = {}
    for call in case.stage.calls:
        if call.method == "PATCH":
            first.setdefault(call.path.rpartition("/")[2], call.offset or 0)
    assert all(first.get(uid, offset) == offset for uid, offset in known.items())
    again = case.send()
    assert (again.exit_code, again.outcome) == (0, "already")


def _acknowledged(case: Case, uid: str) -> int:
    record = case.stage.model._library.record(uid)  # what no reply of the API tells
    return record.offset if record else 0


def is_sampled(flow: str, line: Line, one_in: int) -> bool:
    """A fixed choice of lines, another for each flow."""
    return crc32(repr((flow, line[0], line[1])).encode()) % one_in == 0


def swept(folder: Path, name: str, one_in: int = 1, error: type[BaseException] = Injected) -> int:
    """Strike the flow at one line in ``one_in``; the number of places. Raises at a failure."""
    sweep = Sweep(folder, FLOWS[name], error)
    chosen = places(sweep.lines(), lambda line: is_sampled(name, line, one_in))
    for line, nth in chosen:
        try:
            sweep.strike(line, nth)
        except BaseException as failure:
            failure.add_note(f"struck: {name}, {line[0]}:{line[1]}, pass {nth}")
            raise
    return len(chosen)


def main() -> None:
    for name in FLOWS:
        started = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            count = swept(Path(folder), name)
        print(f"{name}: {count} places struck, 0 failures, {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
