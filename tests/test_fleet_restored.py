"""A shared journal that was restored from an older dump: what it remembers is not what is there."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from inprocess import MIB, Stage, stage
from postgres import Postgres
from scripted import created

from cfstream_upload.attempt import Attempt, Step
from cfstream_upload.errors import Estranged
from cfstream_upload.fleet.journal import FleetJournal, Trust
from cfstream_upload.lock import SourceLock, key_of
from cfstream_upload.onefile import Wishes
from cfstream_upload.outcome import Outcome
from cfstream_upload.removing import remove as delete_video
from cfstream_upload.result import Result
from cfstream_upload.sweeping import Choice, plan, sweep
from cfstream_upload.transfer import Carriage


class Dump:
    """What a journal's rows are at some moment; and back to it, under living sessions too."""

    TABLES = ("attempts", "watches")
    NUMBERS = "pg_get_serial_sequence('cfupload.attempts', 'row')"

    def __init__(self, server: Postgres, name: str) -> None:
        self._server, self._name = server, name
        self._next = 1

    def take(self) -> None:
        for table in self.TABLES:
            self._run(f"CREATE TABLE old_{table} AS TABLE cfupload.{table}")
        ((last,),) = self._run("SELECT coalesce(max(row), 0) FROM cfupload.attempts")
        self._next = int(str(last)) + 1

    def restore(self) -> None:
        for table in self.TABLES:
            self._run(
                f"BEGIN; TRUNCATE cfupload.{table}; INSERT INTO cfupload.{table}"
                f" OVERRIDING SYSTEM VALUE SELECT * FROM old_{table}; COMMIT"
            )
        self._run(f"SELECT setval({self.NUMBERS}, {self._next}, false)")

    def _run(self, sql: str) -> list[tuple[object, ...]]:
        return self._server.run(sql, self._name)


@pytest.fixture
def here(blank_database: str, tmp_path: Path) -> Stage:
    """A machine with a shared journal in which nothing is yet."""
    made = stage(tmp_path)
    trust = Trust(tmp_path / "state", waits=lambda: lambda tries, why: tries < 20)
    made.opened = lambda folder: FleetJournal.open(blank_database, trust)  # type: ignore[assignment,return-value]
    assert made.open_rows() == []
    return made


@pytest.fixture
def dump(server: Postgres, here: Stage, blank_database: str) -> Dump:
    return Dump(server, blank_database.rpartition("/")[2].partition("?")[0])


def at_step(monkeypatch: pytest.MonkeyPatch, act: Callable[[Carriage], None]) -> None:
    """Let ``act`` see each carriage before its next request."""
    plain = Carriage._perform

    def perform(carriage: Carriage, step: Step) -> Outcome:
        act(carriage)
        return plain(carriage, step)

    monkeypatch.setattr(Carriage, "_perform", perform)


def loses_session(carriage: Carriage) -> None:
    journal = carriage.room.journal
    assert isinstance(journal, FleetJournal)
    journal.link._drop()


def dies(here: Stage, path: Path) -> None:
    """As of kill -9 after the create: nothing is tidied up."""

    def act(carriage: Carriage) -> None:
        if carriage.attempt.uid:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        at_step(patch, act)
        with pytest.raises(KeyboardInterrupt):
            here.send(path)


def swept(here: Stage) -> list[str]:
    choice = Choice(orphans=True)
    with here.session() as session:
        return [one.outcome for one in sweep(session, plan(session, choice), choice)]


def is_one(here: Stage, path: Path, *uids: str | None) -> bool:
    """One whole video and nothing pending, told by each of these UIDs and by the same command."""
    again = here.send(path)
    told = {again.uid, *uids}
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert (again.exit_code, len(here.states()), here.open_rows()) == (0, 1, []), again.error
    assert here.states() != ["pendingupload"]
    assert told == {video["uid"] for video in here.model.videos()}
    return here.model.sha256(str(again.uid)) == digest


REACHED: dict[str, Callable[[Attempt], bool]] = {
    "intended": lambda one: one.uid is None,
    "created": lambda one: one.uid is not None,
    "half": lambda one: one.offset > 0,
    "sent": lambda one: one.offset == one.file.size,
}


@pytest.mark.parametrize(
    ("dumped", "restored", "lost"),
    [
        ("nothing", "created", False),
        ("nothing", "half", True),
        ("nothing", "sent", False),
        ("nothing", "sent", True),
        ("intended", "half", False),
        ("intended", "sent", True),
        ("created", "sent", True),
    ],
)
def test_an_upload_under_way_goes_on_in_a_journal_that_is_restored_meanwhile(
    here: Stage, dump: Dump, monkeypatch: pytest.MonkeyPatch,
    dumped: str, restored: str, *, lost: bool,
) -> None:  # fmt: skip
    path, done = here.file(11 * MIB), list[str]()
    if dumped == "nothing":
        dump.take()
        done.append(dumped)

    def act(carriage: Carriage) -> None:
        if not done and REACHED[dumped](carriage.attempt):
            dump.take()
            done.append(dumped)
        elif done == [dumped] and REACHED[restored](carriage.attempt):
            dump.restore()
            done.append(restored)
            if lost:
                loses_session(carriage)

    at_step(monkeypatch, act)
    first = here.send(path)
    assert done == [dumped, restored]
    assert first.exit_code == 0, first.error
    assert is_one(here, path, first.uid)
    assert here.methods().count("POST") == 1


def test_who_finds_his_file_sent_by_another_after_a_restore_discards_his_own(
    here: Stage, dump: Dump, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, theirs, done = here.file(11 * MIB), list[Result](), list[str]()
    dump.take()

    def act(carriage: Carriage) -> None:
        if not done and carriage.attempt.offset:
            dump.restore()
            done.append("restored")
            loses_session(carriage)
            theirs.append(here.send(path))

    # Machines share no kernel: what one locks on an open file, another does not see.
    monkeypatch.setattr(SourceLock, "add_source", lambda self, descriptor: None)
    at_step(monkeypatch, act)
    first = here.send(path)
    assert first.exit_code == 0, first.error
    assert is_one(here, path, first.uid, theirs[0].uid)
    assert here.methods().count("POST") == 2


def test_another_upload_under_the_number_of_ones_own_row_is_left_as_it_is(
    here: Stage, dump: Dump, blank_database: str, tmp_path: Path
) -> None:
    dump.take()
    journal, other = (FleetJournal.open(blank_database, Trust(tmp_path / "state")) for _ in "ab")
    row = journal.record(created(row=0))
    with journal.lock(key_of(row.base, row.account, row.file.device, row.file.inode)):
        dump.restore()
        file = replace(row.file, inode=99)
        theirs = other.record(created(row=0, id="2e" * 16, uid="c3" * 16, path="/b", file=file))
        assert theirs.row == row.row
        with pytest.raises(Estranged):
            journal.record(replace(row, offset=7))
        journal.remove(row)
        assert other.rows() == [theirs]
    journal.close()
    other.close()


@pytest.mark.parametrize("since", ["sent", "swept"])
def test_an_old_row_of_an_upload_that_was_ended_since_is_settled(
    here: Stage, dump: Dump, since: str
) -> None:
    path = here.file(11 * MIB)
    dies(here, path)
    dump.take()
    if since == "sent":
        assert here.send(path).exit_code == 0
    else:
        assert swept(here) == ["discarded"]
    dump.restore()
    assert here.open_rows() == ["created"]
    assert is_one(here, path)


def test_an_old_receipt_of_a_video_that_was_deleted_since_makes_no_second_one_unasked(
    here: Stage, dump: Dump
) -> None:
    path = here.file(6 * MIB)
    uid = here.send(path).uid
    dump.take()
    with here.session() as session:
        delete_video(session, str(uid))
    dump.restore()
    refused = here.send(path)
    assert (refused.exit_code, here.states()) == (8, [])
    assert refused.error is not None
    assert "--again" in refused.error.hint
    assert here.send(path, Wishes(again=True)).exit_code == 0
    assert is_one(here, path)


def test_what_a_restored_journal_forgot_is_found_by_its_bytes_or_its_marker(
    here: Stage, dump: Dump
) -> None:
    """`--skip-existing` finds a whole video, `cleanup --orphans` what is pending, in its time."""
    path, wish = here.file(6 * MIB), Wishes(skip_existing=True)
    dump.take()
    uid = here.send(path, wish).uid
    dies(here, here.file(6 * MIB, name="other.mp4", seed=1))
    dump.restore()
    assert here.open_rows() == []
    found = here.send(path, wish)
    assert (found.outcome, found.uid) == ("already", uid)
    assert swept(here) == ["waiting"]
    here.clock.now += 2 * 86_400
    assert swept(here) == ["discarded"]
    assert [video["uid"] for video in here.model.videos()] == [uid]
