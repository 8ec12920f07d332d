"""The session of a shared journal lost at each of its statements, and who took over meanwhile.

CFUPLOAD_TEST_SHARE=1 python -P -m pytest tests/test_fleet_losses.py --timeout 0    # all
"""

from __future__ import annotations

import hashlib
import itertools
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from guards.fleet import FLEET
from inprocess import MIB, Stage, stage
from laws.copies import PACKAGE
from postgres import Postgres
from scripted import created

from cfstream_upload import events
from cfstream_upload.attempt import Attempt, Patch
from cfstream_upload.emulator.exchange import Request
from cfstream_upload.emulator.faults import Answer, Fault, Faulty
from cfstream_upload.emulator.switches import Switches
from cfstream_upload.errors import Busy, CfuploadError, Estranged, JournalProblem, Unreached
from cfstream_upload.fleet import statements
from cfstream_upload.fleet.journal import FleetJournal, Trust
from cfstream_upload.fleet.link import Link, Lost, Row
from cfstream_upload.fleet.rebuilding import anew
from cfstream_upload.lock import SourceLock, key_of
from cfstream_upload.onefile import Wishes
from cfstream_upload.outcome import Outcome
from cfstream_upload.result import Result
from cfstream_upload.sweeping import Choice, plan, sweep
from cfstream_upload.transfer import Carriage

SHARE = int(os.environ.get("CFUPLOAD_TEST_SHARE", "8"))
"""One in so many moments."""


@pytest.fixture(autouse=True)
def kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Machines share no kernel: what one locks on an open file, another does not see."""
    monkeypatch.setattr(SourceLock, "add_source", lambda self, descriptor: None)


def _never(sql: str, values: object) -> bool:
    return False


class Losses:
    """Ends a session at the statement of a number, before it is carried out or after."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.at, self.after, self.count = 0, False, 0
        self.meanwhile: Callable[[], None] = lambda: None
        self.wanted: Callable[[str, object], bool] = _never
        plain = Link.run

        def run(
            link: Link,
            sql: str,
            values: Mapping[str, object] | None = None,
            **how: Any,  # noqa: ANN401  # passed through
        ) -> list[Row]:
            # What a thread tells the fleet beside it is no part of the order.
            ours = threading.current_thread() is threading.main_thread()
            self.count += ours
            if not ours or not (self.count == self.at or self.wanted(sql, values)):
                return plain(link, sql, values, **how)
            self.wanted = _never
            if self.after:
                plain(link, sql, values, **how)
            link._drop()
            self.meanwhile()
            raise Lost

        patch.setattr(Link, "run", run)

    def strike(self, at: int, *, after: bool, meanwhile: Callable[[], None]) -> None:
        self.at, self.after, self.count, self.meanwhile = at, after, 0, meanwhile


def of(database: str, folder: Path, **trust: Any) -> FleetJournal:  # noqa: ANN401  # of `Trust`
    return FleetJournal.open(database, Trust(folder, waits=lambda: _patient, **trust))


def _patient(tries: int, why: str) -> bool:
    return tries < 20


def on(database: str, here: Stage) -> Stage:
    here.opened = lambda folder: of(database, folder)  # type: ignore[assignment,return-value]
    here.policy = replace(here.policy, largest_chunk=5 * MIB)
    return here


@contextmanager
def scenes(database: str, server: Postgres, folder: Path) -> Iterator[Callable[[int], Stage]]:
    def scene(number: int) -> Stage:
        server.empty(database.rpartition("/")[2].partition("?")[0])
        place = folder / str(number)
        place.mkdir()
        return on(database, stage(place))

    yield scene


def fresh(here: Stage, path: Path) -> Result:
    return here.send(path)


def rolled_back(here: Stage, path: Path) -> Result:
    """Stream refuses the second PATCH, so the upload is discarded."""
    faulty = Faulty(here.model)
    faulty.set(Fault(Answer(413), method="PATCH", nth=2))
    here.service = faulty
    try:
        return here.send(path)
    finally:
        here.service = here.model


def dies(here: Stage, path: Path) -> None:
    """As of kill -9 after the first chunk: nothing is tidied up."""
    plain = Carriage._patch

    def dying(carriage: Carriage, url: str, step: Patch) -> Outcome:
        journal = carriage.room.journal
        assert isinstance(journal, FleetJournal)
        if carriage.attempt.offset and journal.trust.state_dir.name == here.state:
            raise KeyboardInterrupt
        return plain(carriage, url, step)

    with pytest.MonkeyPatch.context() as patch, suppress(KeyboardInterrupt):
        patch.setattr(Carriage, "_patch", dying)
        here.send(path)


def swept(here: Stage, path: Path) -> Result:
    """What a dead process left is discarded."""
    dies(here, path)
    choice = Choice(orphans=True)
    with here.session() as session, suppress(CfuploadError):
        list(sweep(session, plan(session, choice), choice))
    return Result(str(path), "skipped", exit_code=6)


FLOWS = {"fresh": fresh, "rolled back": rolled_back, "swept": swept}
KINDS = list(itertools.product(FLOWS, ["before", "after"], ["nobody", "another"]))


@pytest.mark.parametrize(("flow", "when", "who"), KINDS)
def test_wherever_a_session_is_lost_there_is_one_video_and_nothing_is_left(
    database: str, server: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    flow: str, when: str, who: str,
) -> None:  # fmt: skip
    losses = Losses(monkeypatch)
    with scenes(database, server, tmp_path) as scene:
        here = scene(0)
        path = here.file(5 * MIB + 1000)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        losses.strike(0, after=False, meanwhile=lambda: None)
        FLOWS[flow](here, path)
        moments = losses.count
        assert moments > 8
        every = min(2, SHARE) * SHARE if flow == "swept" else SHARE
        for at in range(1 + KINDS.index((flow, when, who)) % every, moments + 1, every):
            here = scene(at)
            theirs: list[Result] = []

            def meanwhile(here: Stage = here, theirs: list[Result] = theirs) -> None:
                if who == "another":
                    losses.at = 0
                    other = replace(here, state="another", service=here.model)
                    theirs.append(other.send(path, Wishes()))

            losses.strike(at, after=when == "after", meanwhile=meanwhile)
            first = FLOWS[flow](here, path)
            losses.at = 0
            told = {one.uid for one in (first, *theirs) if one.exit_code == 0}
            assert len(told) <= 1, (at, first, theirs)
            last = here.send(path)
            assert last.exit_code == 0, (at, first, last)
            assert told <= {last.uid}, (at, first, theirs, last)
            assert len(here.states()) == 1, (at, first, theirs, here.methods())
            assert here.model.sha256(last.uid or "") == digest, at
            assert here.open_rows() == [], (at, first)


def test_a_removal_whose_answer_was_lost_is_found_to_be_made_and_not_repeated(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, removals = on(database, stage(tmp_path)), list[str | None]()
    plain = FleetJournal.remove

    def counted(journal: FleetJournal, attempt: Attempt, *, watch: bool = True) -> None:
        removals.append(attempt.uid)
        plain(journal, attempt, watch=watch)

    monkeypatch.setattr(FleetJournal, "remove", counted)
    losses = Losses(monkeypatch)
    losses.after, losses.wanted = True, lambda sql, values: sql == statements.DELETE_AND_WATCH
    result = rolled_back(here, here.file(5 * MIB + 1000))
    assert losses.wanted is _never  # it came to that
    assert (result.exit_code, result.cleanup, here.states()) == (5, "confirmed", [])
    assert len(removals) == 1
    with here.session() as session:
        # A late repeat of its create is still looked for.
        assert len(session.journal.watches(session.settings.base, session.settings.account)) == 1
        assert session.rows() == []
    assert any(isinstance(event, events.CleanedUp) for event in here.heard)


@pytest.mark.parametrize("after", [False, True])
def test_who_loses_the_journal_for_good_at_the_removal_says_that_the_upload_is_gone(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, after: bool
) -> None:
    here = on(database, stage(tmp_path))
    path = here.file(5 * MIB + 1000)
    losses, away = Losses(monkeypatch), pytest.MonkeyPatch()

    def gone(link: Link) -> None:
        raise Unreached("The database refuses connections", "Start it.")

    losses.after, losses.wanted = after, lambda sql, values: sql == statements.DELETE_AND_WATCH
    losses.meanwhile = lambda: away.setattr(Link, "connect", gone)
    first = rolled_back(here, path)
    away.undo()
    assert (first.exit_code, here.states()) == (7, [])
    assert first.error is not None
    assert "is gone from Stream, but its journal entry may remain" in first.error.message
    assert "Then run: cfupload cleanup" in first.error.hint
    assert len(here.open_rows()) == (not after)
    assert (here.send(path).exit_code, len(here.states()), here.open_rows()) == (0, 1, [])


def test_of_what_was_never_read_under_the_lock_nobody_says_that_it_is_untouched(
    database: str, tmp_path: Path
) -> None:
    journal, other = of(database, tmp_path / "a"), of(database, tmp_path / "b")
    row = journal.record(created(row=0))
    key = key_of(row.base, row.account, row.file.device, row.file.inode)
    with journal.lock(key):
        journal.link._drop()
        with other.lock(key):
            other.record(replace(row, offset=7))
            # Read while another has the lock: what it says may be old in a moment.
            with pytest.raises(Busy):
                journal.regain(key, lambda tries, why: False)
            assert journal.again(row) is not None
            other.record(replace(row, offset=8))
        assert not journal.regain(key, lambda tries, why: False)
    journal.close()
    other.close()


def test_a_uid_that_no_list_would_show_is_discarded_by_who_was_taken_over(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where Stream shows no meta of what is pending, nobody else could find it."""
    here = on(database, stage(tmp_path, switches=Switches(meta_while_pending=False)))
    path = here.file(5 * MIB + 1000)
    losses = Losses(monkeypatch)
    theirs: list[Result] = []

    def meanwhile() -> None:
        theirs.append(replace(here, state="another").send(path))

    losses.meanwhile = meanwhile
    losses.wanted = lambda sql, values: sql == statements.UPDATE and len(here.states()) == 1
    first = here.send(path)
    # The reply to its own create said that it is ours.
    assert (first.exit_code, theirs[0].exit_code) == (0, 0), first.error
    assert (first.uid, here.open_rows()) == (theirs[0].uid, [])
    assert [video["uid"] for video in here.model.videos()] == [first.uid]


def test_at_another_place_the_same_path_is_another_file(database: str, tmp_path: Path) -> None:
    here = stage(tmp_path)
    place = ["one"]
    here.opened = lambda folder: of(database, folder, place=place[0])  # type: ignore[assignment,return-value]
    path = here.file(6 * MIB)
    dies(here, path)
    assert here.open_rows() == ["created"]
    place[0] = "two"
    theirs = here.send(path)
    assert (theirs.outcome, here.open_rows()) == ("uploaded", ["created"])
    place[0] = "one"
    ours = here.send(path)
    assert (ours.outcome, here.open_rows()) == ("resumed", [])
    assert len(here.states()) == 2


def test_a_write_under_a_lost_lock_is_refused(database: str, tmp_path: Path) -> None:
    journal, other = of(database, tmp_path / "a"), of(database, tmp_path / "b")
    row = journal.record(created(row=0))
    key = key_of(row.base, row.account, row.file.device, row.file.inode)
    with journal.lock(key):
        journal.record(replace(row, offset=5))
        journal.link._drop()
        with other.lock(key):
            for write in (journal.record, journal.remove):
                with pytest.raises(Estranged):
                    write(replace(row, offset=6))
            assert [one.offset for one in other.rows()] == [5]
    journal.close()
    other.close()


def test_a_database_that_ends_each_session_soon_is_given_up(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = of(database, tmp_path)
    row = created(row=0)
    key = key_of(row.base, row.account, row.file.device, row.file.inode)
    with journal.lock(key):
        journal.record(row)
        ending_soon(monkeypatch)
        with pytest.raises(JournalProblem, match="again and again"):
            journal.lock("cd" * 16)
        with pytest.raises(JournalProblem, match="again and again"):
            journal.regain(key, _patient)
    journal.close()


def ending_soon(patch: pytest.MonkeyPatch) -> None:
    plain = Link.run

    def run(link: Link, sql: str, *values: Any, **how: Any) -> list[Row]:  # noqa: ANN401
        if sql in (statements.TAKE, statements.SEALS):
            link._drop()
            raise Lost
        return plain(link, sql, *values, **how)

    patch.setattr(Link, "run", run)


def test_a_session_of_our_own_that_the_server_still_believes_in_is_ended(
    database: str, tmp_path: Path
) -> None:
    journal = of(database, tmp_path)
    with journal.lock("ab" * 16):
        # As after a silent line: here it is over, and there it is not.
        ghost, journal.link._connection = journal.link._connection, None
        assert ghost is not None
        journal.regain("ab" * 16, _patient)
        assert journal.stands("ab" * 16)
    ghost.close()
    journal.close()


def test_while_a_journal_is_rebuilt_nobody_begins(database: str, tmp_path: Path) -> None:
    journal = of(database, tmp_path)
    with anew(database, Trust(tmp_path), None), pytest.raises(Busy):
        journal.lock("ab" * 16)
    journal.lock("ab" * 16).release()
    journal.close()


def test_after_a_lost_lock_stream_is_asked_where_it_is(
    database: str, server: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another machine may have sent some and died before it wrote a word."""
    here = on(database, stage(tmp_path))
    path = here.file(11 * MIB)
    plain, done = Carriage._stands, list[str]()

    def losing(carriage: Carriage) -> bool:
        attempt = carriage.attempt
        if attempt.offset and not done:
            journal = carriage.room.journal
            assert isinstance(journal, FleetJournal)
            journal.link._drop()
            done.append(_sent_by_another(here, path, str(attempt.url), attempt.offset))
        return plain(carriage)

    monkeypatch.setattr(Carriage, "_stands", losing)
    result = here.send(path)
    assert (result.exit_code, done) == (0, ["204"])
    assert {call.status for call in here.calls if call.method == "PATCH"} <= {200, 204}
    assert here.model.sha256(result.uid or "") == hashlib.sha256(path.read_bytes()).hexdigest()


def _sent_by_another(here: Stage, path: Path, url: str, offset: int) -> str:
    data = path.read_bytes()[offset : offset + 5 * MIB]
    headers = {
        "tus-resumable": "1.0.0",
        "upload-offset": str(offset),
        "content-length": str(len(data)),
        "content-type": "application/offset+octet-stream",
    }
    exchange = here.model.begin(Request("PATCH", urlsplit(url).path, [], headers))
    exchange.write(data)
    return str(exchange.finish().status)


def test_every_guard_of_a_fleet_fits_the_source_and_names_a_test_that_is_there() -> None:
    for guard in FLEET:
        assert guard.removal.applied(PACKAGE)
        file, _, name = guard.test.partition("::")
        text = (Path(__file__).parent / file).read_text(encoding="utf-8")
        assert f"def {name.partition('[')[0]}(" in text, guard.test
