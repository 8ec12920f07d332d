"""The server of a shared journal is a standby for a while, or busy: what is under way waits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from inprocess import stage
from machines import Machine
from postgres import Postgres
from served import MIB, Served

from cfstream_upload import events
from cfstream_upload.attempt import Step
from cfstream_upload.errors import JournalProblem
from cfstream_upload.fleet import timing
from cfstream_upload.fleet.journal import FleetJournal, Trust
from cfstream_upload.outcome import Outcome
from cfstream_upload.transfer import Carriage


@pytest.fixture
def standing_by(server: Postgres) -> Iterator[Postgres]:
    """A server that is a primary again in the end, for those who come after."""
    yield server
    if server.run("SELECT pg_is_in_recovery()") == [(True,)]:
        server.promote()


def test_a_standby_is_waited_for_by_who_was_sending_and_refuses_who_would_begin(
    stream: Served, standing_by: Postgres, database: str
) -> None:
    server = standing_by
    stream.proxy.limit_rate(3 * MIB)
    path = stream.file(size=12 * MIB)
    first, second = Machine(stream, database, "first"), Machine(stream, database, "second")
    first.start(path)
    stream.wait_until(lambda: "PATCH" in stream.methods())
    server.stand_by()
    stream.wait_until(
        lambda: any(isinstance(e, events.Retrying) and "standby" in e.message for e in first.heard)
    )
    stream.proxy.limit_rate(None)
    asked = len(stream.methods())
    with pytest.raises(JournalProblem, match="is a standby") as refused:
        second.send(stream.file(name="other.mp4", size=MIB))
    assert (refused.value.exit_code, len(stream.methods())) == (10, asked)
    server.promote()
    assert first.ended() == 0, first.error
    assert stream.methods().count("POST") == 1
    assert stream.whole(path)


@pytest.mark.parametrize("lasts", [2, 99])
def test_a_table_that_somebody_has_locked_is_waited_for(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lasts: int
) -> None:
    here, tried = stage(tmp_path), list[int]()
    monkeypatch.setitem(timing.SERVER, "statement_timeout", "100")
    plain = Carriage._perform
    with closing(psycopg.connect(database)) as somebody:

        def locks(carriage: Carriage, step: Step) -> Outcome:
            if carriage.attempt.offset and not tried:
                somebody.execute("LOCK TABLE cfupload.attempts IN EXCLUSIVE MODE")
                tried.append(0)
            return plain(carriage, step)

        def wait(tries: int, why: str) -> bool:
            assert "took too long to answer" in why
            tried.append(tries)
            if tries == lasts:
                somebody.rollback()
            return tries < 5

        trust = Trust(tmp_path / "state", waits=lambda: wait)
        here.opened = lambda folder: FleetJournal.open(database, trust)  # type: ignore[assignment,return-value]
        monkeypatch.setattr(Carriage, "_perform", locks)
        path = here.file(6 * MIB)
        first = here.send(path)
        assert first.exit_code == (0 if lasts == 2 else 7), first.error
        assert max(tried) == min(lasts, 5)
        somebody.rollback()
    last = here.send(path)
    assert (last.exit_code, last.uid, here.open_rows()) == (0, first.uid, [])
    assert here.methods().count("POST") == 1
