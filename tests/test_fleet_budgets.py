"""What the machines on one journal may ask of Stream together, by the database's clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from served import Ended, Served

from cfstream_upload.cli.sendoptions import SMALLEST_BUDGET
from cfstream_upload.emulator.effects import Fault
from cfstream_upload.emulator.faults import Answer
from cfstream_upload.fleet import budgets as module
from cfstream_upload.fleet.budgets import ENCODED_AT_ONCE, MARGIN, Budgets
from cfstream_upload.fleet.journal import FleetJournal, Trust
from cfstream_upload.fleet.link import Lost

BASE, ACCOUNT = "http://127.0.0.1:9/client/v4", "ab" * 16
ROOM = ENCODED_AT_ONCE - MARGIN
Opened = Callable[..., Budgets]


@pytest.fixture
def machine(database: str, tmp_path: Path) -> Iterator[Opened]:
    """The budgets as one more machine sees them."""
    journals: list[FleetJournal] = []

    def one(calls: int = 0, account: str = ACCOUNT) -> Budgets:
        journals.append(FleetJournal.open(database, Trust(tmp_path)))
        return Budgets(journals[-1].link, BASE, account, calls)

    yield one
    for journal in journals:
        journal.close()


def _none() -> int | None:
    raise AssertionError("nobody is to be asked")


def test_the_calls_of_all_machines_are_one_budget(machine: Opened) -> None:
    here, there = machine(40), machine(40)
    admitted = [(here, there)[n % 2].admitted(_none)[0] for n in range(30)]
    # A quarter of 40 may come at once, one of them is kept for what was begun.
    assert admitted.count(0.0) == 10
    wait, why = there.admitted(_none)
    # Three quarters of 40 flow back in five minutes.
    assert 5 < wait <= 10
    assert "five minutes" in why


def test_calls_of_begun_uploads_leave_less_for_new_ones(machine: Opened) -> None:
    here, there = machine(40), machine(40)
    assert here.admitted(_none)[0] == 0
    for _ in range(8):
        here.spent()
    assert there.admitted(_none)[0] == 0
    assert there.admitted(_none)[0] > 0


def test_another_account_has_a_budget_of_its_own(machine: Opened) -> None:
    here, there = machine(40), machine(40, "cd" * 16)
    while not here.admitted(_none)[0]:
        pass
    assert there.admitted(_none)[0] == 0


def test_after_a_429_no_machine_begins_before_its_time(machine: Opened) -> None:
    here, there = machine(1200), machine(1200)
    assert there.admitted(_none)[0] == 0
    here.refused(retry_after=90)
    assert 85 < there.admitted(_none)[0] <= 92


def test_what_is_encoded_is_counted_once_the_slots_are_used_up(machine: Opened) -> None:
    here, there = machine(), machine()
    asked: list[int] = []

    def encoding() -> int:
        asked.append(1)
        return ROOM - 2

    for _ in range(ROOM):
        assert here.admitted(_none)[0] == 0
    here._ask(AGED, here._queue)
    assert here.admitted(encoding)[0] == 0
    assert there.admitted(encoding)[0] == 0
    wait, why = there.admitted(encoding)
    assert wait > 0
    assert "encodes" in why
    assert len(asked) == 1


AGED = """UPDATE cfupload.budgets SET at = at - interval '1 minute' WHERE name = %(name)s"""


def test_uploads_on_their_way_take_slots_too(
    machine: Opened, database: str, tmp_path: Path
) -> None:
    from scripted import created

    here = machine()
    journal = FleetJournal.open(database, Trust(tmp_path))
    journal.record(created(row=0, base=BASE, account=ACCOUNT))
    journal.close()
    for _ in range(ROOM):
        here.admitted(_none)
    here._ask(AGED, here._queue)
    assert here.admitted(lambda: ROOM - 1)[0] > 0


def test_nobody_is_held_up_where_stream_does_not_say_what_it_encodes(machine: Opened) -> None:
    here = machine()
    for _ in range(ROOM):
        here.admitted(_none)
    here._ask(AGED, here._queue)
    assert here.admitted(lambda: None) == (0.0, "")


def test_nobody_is_held_up_where_the_database_is_out_of_reach() -> None:
    class Away:
        def run(self, sql: str, values: Mapping[str, object] | None = None) -> list[Sequence[Any]]:
            raise Lost

    here = Budgets(Away(), BASE, ACCOUNT, 40)
    for _ in range(50):
        here.spent()
    here.refused(None)
    assert here.admitted(_none) == (0.0, "")


def test_every_call_of_a_send_is_counted(
    stream: Served, ran: Callable[..., Ended], database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CFUPLOAD_JOURNAL", database)
    monkeypatch.setattr(module, "FLUSH", 1)
    stream.file(size=400_000)
    assert ran("send", "big.mp4").code == 0
    calls = [one for one in stream.ledger.asked if one.path.startswith("/client/v4/")]
    left = _tokens(database)
    assert left == pytest.approx(300 - len(calls) - 1, abs=1)  # one more was taken beforehand


def test_a_429_of_one_machine_holds_up_the_next_video_of_all(
    stream: Served, ran: Callable[..., Ended], database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CFUPLOAD_JOURNAL", database)
    stream.strike(Fault(Answer(429), "GET"))
    assert ran("cleanup", "--orphans", "--yes").code == 6
    assert _tokens(database) < 0


def test_a_send_waits_for_its_turn_and_says_so_once(
    stream: Served,
    ran: Callable[..., Ended],
    database: str,
    machine: Opened,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CFUPLOAD_JOURNAL", database)
    names = ("CLOUDFLARE_API_BASE_URL", "CLOUDFLARE_ACCOUNT_ID")
    base, account = (stream.environment[name] for name in names)
    elsewhere = Budgets(machine()._database, base, account, 1200)
    elsewhere.refused(1.0)
    stream.file("one.mp4", size=400_000)
    stream.file("two.mp4", size=400_000)
    ended = ran("send", "-j", "1", "one.mp4", "two.mp4")
    assert ended.code == 0
    assert ended.err.count("new uploads wait for their turn") == 1


def test_without_a_limit_no_call_is_counted(
    stream: Served, ran: Callable[..., Ended], database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CFUPLOAD_JOURNAL", database)
    stream.file(size=400_000)
    assert ran("send", "big.mp4", "--api-budget", "0").code == 0
    assert _tokens(database) == 0


def test_a_budget_of_which_no_file_could_be_sent_is_refused_and_the_smallest_sends_one(
    stream: Served, ran: Callable[..., Ended], database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CFUPLOAD_JOURNAL", database)
    stream.file(size=400_000)
    ended = ran("send", "big.mp4", "--api-budget", str(SMALLEST_BUDGET - 1))
    assert (ended.code, stream.methods()) == (2, [])
    assert f"{SMALLEST_BUDGET} at least" in ended.err
    assert ran("send", "big.mp4", "--api-budget", str(SMALLEST_BUDGET)).code == 0
    # Uploads are no calls of the API: what one file takes may be spent at once.
    calls = [method for method in stream.methods() if method != "PATCH"]
    assert 1 <= len(calls) <= SMALLEST_BUDGET * module.BURST


def _tokens(database: str) -> float:
    import psycopg

    with psycopg.connect(database) as connection:
        found = connection.execute("SELECT tokens FROM cfupload.budgets WHERE name LIKE 'calls %'")
        ((tokens,),) = found.fetchall()
        return float(tokens)
