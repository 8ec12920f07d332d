"""The clock of a shared journal's server jumps: nothing is swept for it, and nothing waits for it.

A clock that jumps by days is the same as times in the tables that lie as far back or ahead.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from inprocess import MIB, Stage, stage
from postgres import Postgres

from cfstream_upload.emulator.faults import Answer, Fault, Faulty
from cfstream_upload.fleet import statements
from cfstream_upload.fleet.budgets import ENCODED_AT_ONCE, MARGIN, Budgets
from cfstream_upload.fleet.journal import FleetJournal, Trust
from cfstream_upload.fleet.presence import Presence
from cfstream_upload.fleet.status import worker_of
from cfstream_upload.sweeping import Choice, plan, sweep

JUMPS = ["30 days", "-30 days"]
DAY = 86_400.0


@pytest.fixture
def journal(database: str, tmp_path: Path) -> Iterator[FleetJournal]:
    with closing(FleetJournal.open(database, Trust(tmp_path / "state"))) as one:
        yield one


class Clock:
    """The server's."""

    def __init__(self, server: Postgres, url: str) -> None:
        self._server, self._name = server, url.rpartition("/")[2].partition("?")[0]

    def jump(self, by: str) -> None:
        for table, columns in (
            ("attempts", ["begun", "touched"]), ("watches", ["begun", "touched"]),
            ("budgets", ["at"]), ("workers", ["seen", "started", "ended"]),
        ):  # fmt: skip
            moved = ", ".join(f"{one} = {one} - interval '{by}'" for one in columns)
            self._server.run(f"UPDATE cfupload.{table} SET {moved}", self._name)


@pytest.fixture
def clock(server: Postgres, database: str, journal: FleetJournal) -> Clock:
    return Clock(server, database)


@pytest.fixture
def here(database: str, tmp_path: Path) -> Stage:
    made = stage(tmp_path)
    made.opened = lambda folder: FleetJournal.open(database, Trust(folder))  # type: ignore[assignment,return-value]
    return made


def remembered(here: Stage) -> tuple[list[str], int]:
    """The unsettled rows, and how many markers are watched."""
    with here.session() as session:
        watches = session.journal.watches(session.settings.base, session.settings.account)
        return [row.stage.value for row in session.unsettled()], len(watches)


def swept(here: Stage) -> None:
    choice = Choice(orphans=True)
    with here.session() as session:
        list(sweep(session, plan(session, choice), choice))


@pytest.mark.parametrize("by", JUMPS)
def test_what_may_still_surface_is_looked_for_as_long_as_streams_own_clock_says(
    here: Stage, clock: Clock, by: str
) -> None:
    faulty = Faulty(here.model)
    faulty.set(Fault(Answer(502), method="POST"))
    here.service = faulty
    assert here.send(here.file(6 * MIB)).exit_code == 0
    unanswered = (["intended"], 1)
    assert remembered(here) == unanswered
    clock.jump(by)
    swept(here)
    assert here.send(here.file(6 * MIB, name="other.mp4", seed=1)).exit_code == 0
    assert remembered(here) == (["intended"], 2)
    here.clock.now += DAY + 2 * 3600
    swept(here)
    assert here.send(here.file(6 * MIB, name="third.mp4", seed=2)).exit_code == 0
    assert remembered(here) == ([], 1)  # the third's own, as each has


@pytest.mark.parametrize("by", JUMPS)
def test_a_budget_does_not_wait_for_a_clock_that_was_set_back(
    journal: FleetJournal, clock: Clock, by: str
) -> None:
    budgets = Budgets(journal.link, "b", "a" * 32, 40)
    while not budgets.admitted(lambda: 0)[0]:
        pass
    clock.jump(by)
    assert budgets.admitted(lambda: 0) == (0.0, "")
    assert budgets.admitted(lambda: 0) == (0.0, "")


@pytest.mark.parametrize("by", JUMPS)
def test_what_is_encoded_is_counted_again_after_a_clock_was_set_back(
    journal: FleetJournal, clock: Clock, by: str
) -> None:
    budgets = Budgets(journal.link, "b", "a" * 32, 0)
    for _ in range(ENCODED_AT_ONCE - MARGIN):
        assert budgets.admitted(lambda: 0) == (0.0, "")
    assert budgets.admitted(lambda: 0)[0]  # it was counted just now
    clock.jump(by)
    assert budgets.admitted(lambda: 0) == (0.0, "")


@pytest.mark.parametrize(("by", "shown"), [("10 min", 1), ("-10 min", 1), *((j, 0) for j in JUMPS)])
def test_a_worker_that_died_before_the_clock_jumped_is_lost_and_a_living_one_runs(
    journal: FleetJournal, clock: Clock, by: str, shown: int
) -> None:
    dead, living = (Presence(journal.link, label, "1") for label in ("dead", "living"))
    dead._say()
    living._say()
    clock.jump(by)
    living._say()
    told = [worker_of(row) for row in journal.ask(statements.WORKERS)]
    conditions = {one.label: one.condition for one in told}
    assert conditions == {"living": "running", **({"dead": "lost"} if shown else {})}
    assert all(one.seen >= 0 and one.age >= 0 for one in told)
    journal.ask(statements.FORGET_WORKERS)
    assert len(journal.ask("SELECT id FROM cfupload.workers")) == 1 + shown
