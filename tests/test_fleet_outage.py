"""Connections to a shared journal that are lost, and machines that take over: real parts all."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from machines import Machine
from postgres import Postgres
from scripted import created, intended
from served import MIB, Served

from cfstream_upload import events
from cfstream_upload.attempt import Attempt
from cfstream_upload.emulator.faults import Delay, Fault
from cfstream_upload.emulator.proxy import TcpProxy
from cfstream_upload.errors import Busy, Estranged
from cfstream_upload.fleet import holding, timing
from cfstream_upload.fleet.journal import FleetJournal, Trust
from cfstream_upload.lock import SourceLock, key_of

LINE = 3 * MIB
"""Bytes a second: a PATCH that is under way for seconds."""


@pytest.fixture
def path(stream: Served) -> Path:
    stream.proxy.limit_rate(LINE)
    return stream.file(size=12 * MIB)


@pytest.fixture
def line(server: Postgres) -> Iterator[TcpProxy]:
    """A line to the database that can be cut."""
    with TcpProxy("127.0.0.1", server.port) as proxy:
        yield proxy


@pytest.fixture
def first(stream: Served, database: str) -> Machine:
    return Machine(stream, database, "first")


@pytest.fixture
def second(stream: Served, database: str) -> Machine:
    return Machine(stream, database, "second")


@pytest.fixture
def beyond(stream: Served, database: str, server: Postgres, line: TcpProxy) -> Machine:
    """A machine whose line to the database can be cut."""
    return Machine(stream, database.replace(str(server.port), str(line.port)), "first")


@pytest.fixture
def kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Machines share no kernel: what one locks on an open file, another does not see."""
    monkeypatch.setattr(SourceLock, "add_source", lambda self, descriptor: None)


@contextmanager
def journal_of(machine: Machine) -> Iterator[FleetJournal]:
    journal = FleetJournal.open(machine.url, Trust(machine.stream.folder / "judge"))
    try:
        yield journal
    finally:
        journal.close()


def under_way(stream: Served, count: int = 2 * MIB) -> None:
    """Wait until bytes of a PATCH have arrived."""
    before = stream.proxy.bytes_up
    stream.wait_until(lambda: "PATCH" in stream.methods())
    stream.wait_until(lambda: stream.proxy.bytes_up > before + count)


def end_sessions(server: Postgres) -> None:
    """The server ends every session of ours, and with it every lock."""
    server.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name LIKE 'cfupload %'"
    )


def is_sent_once(stream: Served, path: Path) -> None:
    """One whole video; each PATCH began at the last offset that Stream told.

    That of a HEAD may be told while the last bytes of a cut chunk still come in.
    """
    assert stream.whole(path), stream.states()
    told: int | None = None
    for asked in stream.ledger.asked:
        if asked.method == "PATCH" and asked.known is not None:
            assert asked.offset in (asked.known, told), asked
        told = asked.known if asked.method == "HEAD" else None


def _key(row: Attempt) -> str:
    return key_of(row.base, row.account, row.file.device, row.file.inode)


def open_rows(machine: Machine) -> list[str]:
    with journal_of(machine) as journal:
        return [row.stage.value for row in journal.rows() if row.stage.value != "stored"]


def test_who_lost_his_session_and_nobody_else_goes_on_with_the_same_video(
    stream: Served, server: Postgres, first: Machine, path: Path
) -> None:
    first.start(path)
    under_way(stream)
    end_sessions(server)
    assert first.ended() == 0, first.error
    is_sent_once(stream, path)
    assert stream.methods().count("POST") == 1
    assert stream.methods().count("PATCH") > 1  # the first was cut, not let go on
    assert open_rows(first) == []


def test_who_finds_his_lock_taken_sends_nothing_more_and_is_busy(
    stream: Served, server: Postgres, first: Machine, second: Machine, path: Path
) -> None:
    import psycopg

    first.start(path)
    under_way(stream)
    with journal_of(first) as journal:
        (row,) = journal.rows()
        key = holding.number_of(_key(row))
    with closing(psycopg.connect(first.url, application_name="cfupload b:7 x")) as other:
        # It stands in the queue, so that nobody is quicker.
        other.pgconn.send_query(f"SELECT pg_advisory_lock({key})".encode())
        stream.wait_until(
            lambda: server.run("SELECT count(*) FROM pg_locks WHERE NOT granted") == [(1,)]
        )
        server.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name LIKE 'cfupload %' AND application_name NOT LIKE '%b:7%'"
        )
        assert first.ended() == 9, first.error
        assert "b:7" in str(first.error)
        asked = len(stream.ledger.asked)
    assert len(stream.ledger.asked) == asked
    assert second.send(path).exit_code == 0
    assert stream.methods().count("POST") == 1
    is_sent_once(stream, path)


def test_who_was_away_while_another_sent_the_file_finds_it_sent(
    stream: Served, line: TcpProxy, beyond: Machine, second: Machine, path: Path, kernels: None
) -> None:
    beyond.start(path)
    under_way(stream)
    line.die()
    stream.wait_until(lambda: any(isinstance(e, events.Retrying) for e in beyond.heard))
    stream.proxy.limit_rate(None)
    sent = second.send(path)
    line.revive()
    assert beyond.ended() == 0, beyond.error
    assert beyond.result is not None
    assert (beyond.result.uid, beyond.result.outcome) == (sent.uid, "already")
    assert stream.methods().count("POST") == 1
    is_sent_once(stream, path)
    assert open_rows(second) == []


def test_a_restart_of_the_server_costs_no_byte(
    stream: Served, server: Postgres, first: Machine, path: Path
) -> None:
    first.start(path)
    under_way(stream)
    server.restart()
    assert first.ended() == 0, first.error
    is_sent_once(stream, path)
    assert stream.methods().count("POST") == 1
    assert open_rows(first) == []


def test_a_uid_that_came_during_an_outage_is_written_when_that_is_over(
    stream: Served, line: TcpProxy, beyond: Machine, path: Path
) -> None:
    stream.proxy.limit_rate(None)
    stream.strike(Fault(Delay(1.5), method="POST"))
    beyond.start(path)
    stream.wait_until(lambda: "POST" in stream.methods())
    line.die()
    stream.wait_until(lambda: any(isinstance(e, events.Retrying) for e in beyond.heard))
    line.revive()
    assert beyond.ended() == 0, beyond.error
    is_sent_once(stream, path)
    assert stream.methods().count("POST") == 1
    assert open_rows(beyond) == []


def test_a_uid_that_came_while_another_machine_took_the_file_over_is_removed(
    stream: Served, line: TcpProxy, beyond: Machine, second: Machine, path: Path, kernels: None
) -> None:
    stream.proxy.limit_rate(None)
    stream.strike(Fault(Delay(1.5), method="POST"))
    beyond.start(path)
    stream.wait_until(lambda: "POST" in stream.methods())
    line.die()
    stream.wait_until(lambda: any(isinstance(e, events.Retrying) for e in beyond.heard))
    sent = second.send(path)
    line.revive()
    assert beyond.ended() == 0, beyond.error
    assert beyond.result is not None
    assert beyond.result.uid == sent.uid
    assert stream.whole(path), stream.states()
    assert open_rows(second) == []


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same watch, an order of magnitude faster."""
    quick = {"HEARTBEAT": 0.3, "REPLY": 0.8, "SILENCE": 1.3, "CONNECT": 1.0}
    for name, seconds in quick.items():
        monkeypatch.setattr(timing, name, seconds)


def test_silence_stops_the_sending_before_the_server_frees_the_lock(
    stream: Served, line: TcpProxy, beyond: Machine, path: Path, hasty: None
) -> None:
    beyond.start(path)
    under_way(stream)
    line.stall()
    began = time.monotonic()
    quiet = [stream.proxy.bytes_up]

    def is_quiet() -> bool:
        time.sleep(0.3)
        quiet.append(stream.proxy.bytes_up)
        return quiet[-1] == quiet[-2]

    stream.wait_until(is_quiet, 8)
    assert time.monotonic() - began < timing.SILENCE + 1.5
    line.stall(False)
    assert beyond.ended() == 0, beyond.error
    is_sent_once(stream, path)


def test_a_session_that_the_server_ended_is_noticed_at_once(
    server: Postgres, first: Machine
) -> None:
    with journal_of(first) as journal, journal.lock("ab" * 16):
        assert journal.stands("ab" * 16)
        end_sessions(server)
        began = time.monotonic()
        while journal.stands("ab" * 16):
            assert time.monotonic() - began < timing.SILENCE / 2
            time.sleep(0.01)


def test_what_a_killed_process_left_is_resumed_by_another_machine(
    stream: Served, second: Machine, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CFUPLOAD_JOURNAL", second.url)
    process = stream.start("send", "--chunk-size", "5M", str(path))
    try:
        stream.wait_until(lambda: stream.methods().count("PATCH") > 1)
    finally:
        process.kill()
        process.communicate()
    stream.proxy.limit_rate(None)
    result = second.send(path)
    assert result.outcome == "resumed"
    assert result.resumed_from
    is_sent_once(stream, path)


@pytest.mark.parametrize("nobody_else", [True, False])
def test_regaining_tells_whether_anybody_touched_the_rows(
    server: Postgres, first: Machine, *, nobody_else: bool
) -> None:
    row = created(row=0)
    key = _key(row)
    with journal_of(first) as journal, journal_of(first) as other, journal.lock(key):
        row = journal.record(row)
        end_sessions(server)
        if not nobody_else:
            other.remove(other.again(row) or row)
        assert journal.regain(key, lambda n, why: n < 50) is nobody_else
        assert journal.stands(key)


def test_a_lock_that_another_process_holds_names_it(first: Machine) -> None:
    with journal_of(first) as one, journal_of(first) as other, one.lock("ab" * 16):
        with pytest.raises(Busy, match=r"another process \(.+:\d+\) is sending"):
            other.lock("ab" * 16)
        with pytest.raises(Busy, match="this process is already sending"):
            one.lock("ab" * 16)
        other.lock("cd" * 16).release()
    with journal_of(first) as other:
        other.lock("ab" * 16).release()


@pytest.mark.parametrize("what", ["insert", "update", "remove"])
def test_a_commit_whose_reply_was_lost_is_found_to_be_made(
    line: TcpProxy, beyond: Machine, hasty: None, what: str
) -> None:
    row = intended(row=0) if what == "insert" else created(row=0)
    key = _key(row)
    with journal_of(beyond) as journal, journal.lock(key):
        journal.rows_of(row.base, row.account, row.file, row.path)
        if what != "insert":
            row = journal.record(row)
        line.swallow_replies()
        change = journal.remove if what == "remove" else journal.record
        with pytest.raises(Estranged):
            change(replace(row, offset=7))
        line.swallow_replies(False)
        assert journal.regain(key, lambda n, why: n < 50)
        (offsets,) = [[one.offset for one in journal.rows()]]
        assert offsets == ([] if what == "remove" else [7])
