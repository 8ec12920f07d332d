"""The journal: a contract that any journal must keep, and what is special about the SQLite one."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scripted import TWIN, UID, created, intended, sent, stray

from cfstream_upload.attempt import Attempt, Identity, Stage
from cfstream_upload.errors import JournalProblem
from cfstream_upload.fleet.journal import FleetJournal, Trust
from cfstream_upload.journal import Journal
from cfstream_upload.journalfile import APPLICATION_ID, RESERVE
from cfstream_upload.ledger import Ledger

Opener = Callable[[], Journal]
Opening = Callable[[], Ledger]
LARGE = f'{{"name": "{"x" * 20_000}"}}'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def opened(folder: Path) -> Iterator[Opener]:
    """Opens the journal under test; each call is as good as another process."""
    journals: list[Journal] = []

    def open_it() -> Journal:
        journals.append(Journal.open(folder))
        return journals[-1]

    yield open_it
    for journal in journals:
        journal.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def opening(request: pytest.FixtureRequest, folder: Path) -> Iterator[Opening]:
    """Opens a journal of either kind; each call is as good as another process."""
    journals: list[Ledger] = []
    url = "" if request.param == "sqlite" else str(request.getfixturevalue("database"))

    def open_it() -> Ledger:
        journals.append(FleetJournal.open(url, Trust(folder)) if url else Journal.open(folder))
        return journals[-1]

    open_it.url = url  # type: ignore[attr-defined]  # for whoever opens it in another process
    yield open_it
    for journal in journals:
        journal.close()


def _new(**facts: object) -> Attempt:
    return intended(**{"row": 0, **facts})


class TestContract:
    """What every journal does, whatever it is made of."""

    @pytest.mark.parametrize(
        "attempt",
        [
            intended(row=0),
            intended(row=0, label="run.1", since=1.5),
            created(row=0, offset=5, doomed="trouble", tail=True, kept=True, expiry=2.25),
            sent(row=0, told=True),
            stray(row=0, stage=Stage.DISCARDING),
            intended(row=0, path="/videos/caf\udce9 \n\x1b[31m.mp4"),
            intended(row=0, file=Identity(2**64 - 1, 2**64 - 1, 30 * 10**9, -1, "s" * 32)),
            intended(row=0, options='{"meta": [["k", "\\u00fc\'; DROP TABLE attempts; --"]]}'),
        ],
        ids=range(8),
    )
    def test_a_row_is_read_back_as_it_was_written(self, opening: Opening, attempt: Attempt) -> None:
        recorded = opening().record(attempt)
        assert recorded.row
        assert opening().rows() == [recorded]
        assert replace(recorded, row=0) == attempt

    def test_a_row_that_was_intended_is_read_as_asked(self, opening: Opening) -> None:
        """Nobody knows any more whether its create left."""
        opening().record(_new())
        assert opening().rows()[0].now.asked

    def test_recording_again_changes_the_row(self, opening: Opening) -> None:
        journal = opening()
        row = journal.record(_new())
        journal.record(replace(row, stage=Stage.CREATED, uid=UID))
        assert [(one.row, one.uid) for one in opening().rows()] == [(row.row, UID)]

    def test_rows_come_in_the_order_they_were_begun(self, opening: Opening) -> None:
        journal = opening()
        first, second = journal.record(_new()), journal.record(_new(id="2d" * 16))
        journal.record(replace(first, tail=True))
        assert [one.row for one in journal.rows()] == [first.row, second.row]

    def test_a_uid_is_in_one_row_only(self, opening: Opening) -> None:
        journal = opening()
        first = journal.record(created(row=0))
        again = journal.record(created(row=0, id="2d" * 16))
        assert again.row == first.row
        (kept,) = opening().rows()
        assert kept.id == first.id

    def test_the_number_of_a_removed_row_is_never_given_again(self, opening: Opening) -> None:
        journal = opening()
        first = journal.record(created(row=0))
        journal.remove(first)
        second = journal.record(created(row=0, uid=TWIN))
        assert second.row != first.row
        assert journal.again(first) is None

    def test_a_row_that_somebody_removed_cannot_be_written(self, opening: Opening) -> None:
        journal = opening()
        first = journal.record(created(row=0))
        journal.remove(first)
        with pytest.raises(JournalProblem):
            journal.record(replace(first, tail=True))

    def test_rows_of_an_account_and_a_base_are_apart(self, opening: Opening) -> None:
        journal = opening()
        here = journal.record(_new())
        journal.record(_new(account="cd" * 16))
        journal.record(_new(base="http://127.0.0.1:9/client/v4"))
        assert journal.rows(here.base, here.account) == [here]
        assert journal.rows_of(here.base, here.account, here.file, here.path) == [here]
        assert len(journal.rows()) == 3

    def test_a_file_is_found_by_inode_or_by_path(self, opening: Opening) -> None:
        journal = opening()
        row = journal.record(_new())
        moved = Identity(9, 9, 9, 9, "t")
        find = journal.rows_of
        assert find(row.base, row.account, row.file, "/elsewhere") == [row]
        assert find(row.base, row.account, moved, row.path) == [row]
        assert find(row.base, row.account, moved, "/elsewhere") == []
        assert find(row.base, row.account, replace(row.file, device=9), "/elsewhere") == []

    def test_a_removed_row_is_gone_and_its_marker_watched(self, opening: Opening) -> None:
        journal = opening()
        row = journal.record(created(row=0, label="l", expiry=7.5))
        journal.remove(row)
        assert opening().rows() == []
        (watch,) = opening().watches(row.base, row.account)
        assert (watch.marker, watch.since, watch.expiry) == (row.marker, 0.0, 7.5)
        assert (watch.file.device, watch.file.inode, watch.path) == (1, 2, row.path)
        assert watch.row == 0

    def test_a_row_may_go_without_a_watch(self, opening: Opening) -> None:
        journal = opening()
        journal.remove(journal.record(_new()), watch=False)
        assert journal.rows() == journal.watches(_new().base, _new().account) == []

    def test_a_row_may_be_recorded_and_watched_at_once(self, opening: Opening) -> None:
        row = opening().record(sent(row=0), watch=True)
        assert [one.id for one in opening().watches(row.base, row.account)] == [row.id]
        assert opening().rows() == [row]

    def test_watches_of_an_account_are_apart_and_end(self, opening: Opening) -> None:
        journal = opening()
        journal.watch(_new())
        journal.watch(_new(since=3.0))
        other = _new(account="cd" * 16)
        assert journal.watches(other.base, other.account) == []
        assert [one.since for one in journal.watches(_new().base, _new().account)] == [3.0]
        journal.unwatch(_new())
        assert journal.watches(_new().base, _new().account) == []

    def test_a_row_is_read_again_as_it_is_now(self, opening: Opening) -> None:
        journal = opening()
        row = journal.record(_new())
        opening().record(replace(row, doomed="trouble"))
        again = journal.again(row)
        assert again is not None
        assert again.doomed == "trouble"
        opening().remove(row)
        assert journal.again(row) is None

    def test_the_host_stays_the_same(self, opening: Opening) -> None:
        assert opening().host == opening().host
        assert len(opening().host) == 32

    def test_two_processes_write_side_by_side(self, opening: Opening, folder: Path) -> None:
        opening()
        code = (
            "import sys; from pathlib import Path; from dataclasses import replace\n"
            "from cfstream_upload.journal import Journal; from scripted import intended\n"
            "from cfstream_upload.fleet.journal import FleetJournal, Trust\n"
            "folder, url = Path(sys.argv[1]), sys.argv[2]\n"
            "journal = FleetJournal.open(url, Trust(folder)) if url else Journal.open(folder)\n"
            "for n in range(20): journal.record(intended(row=0, id=f'{n:032x}'))\n"
        )
        tests = str(Path(__file__).parent)
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([tests, *sys.path])}
        url = opening.url  # type: ignore[attr-defined]
        command = [sys.executable, "-c", code, str(folder), url]
        processes = [subprocess.Popen(command, env=environment) for _ in range(2)]
        assert [process.wait(30) for process in processes] == [0, 0]
        assert len(opening().rows()) == 40


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    path=st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40),
    size=st.integers(0, 30 * 10**9),
    moment=st.none() | st.floats(0, 4e9),
)
def test_any_row_is_read_back(opened: Opener, path: str, size: int, moment: float | None) -> None:
    journal = opened()
    row = journal.record(_new(path=path, since=moment, file=Identity(1, 2, size, -size, "s")))
    assert journal.again(row) == row
    journal.close()


# --- the file ------------------------------------------------------------------------------------


def test_many_files_are_asked_about_at_once_as_each_alone(opened: Opener) -> None:
    journal = opened()
    row = journal.record(created(row=0))
    unborn = journal.record(_new(path="/other", file=replace(row.file, inode=77)))
    journal.record(_new(base="http://127.0.0.1:9/client/v4", path="/elsewhere"))
    moved = Identity(9, 9, 9, 9, "t")
    files = [
        (row.file, "/elsewhere"), (moved, row.path), (moved, "/elsewhere"),
        (row.file, unborn.path), (replace(row.file, device=9), "/elsewhere"),
    ]  # fmt: skip
    alone = [
        {one.uid for one in journal.rows_of(row.base, row.account, file, path)}
        for file, path in files
    ]
    assert journal.uids_of(row.base, row.account, files) == alone
    assert alone == [{row.uid}, {row.uid}, set(), {row.uid, None}, set()]
    assert journal.uids_of(row.base, row.account, []) == []


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_everything_is_for_its_owner_alone(opened: Opener, folder: Path) -> None:
    before = os.umask(0)
    try:
        opened().record(_new())
    finally:
        os.umask(before)
    assert _mode(folder) == 0o700
    assert {path.name: _mode(path) for path in folder.iterdir()} == {
        "journal.db": 0o600, "journal.id": 0o600, "host.id": 0o600, "reserve": 0o600,
    }  # fmt: skip


def test_a_commit_is_on_disk_when_it_returns(opened: Opener) -> None:
    database = opened()._db
    names = ("journal_mode", "synchronous", "trusted_schema")
    assert [database.execute(f"PRAGMA {name}").fetchone()[0] for name in names] == [
        "delete", 3, 0,
    ]  # fmt: skip


def _make(path: Path, *statements: str) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        for statement in statements:
            database.execute(statement)


def test_a_foreign_database_is_refused_and_left_as_it_was(opened: Opener, folder: Path) -> None:
    path = folder / "journal.db"
    _make(path, "PRAGMA journal_mode=WAL", "CREATE TABLE precious (x)", "PRAGMA user_version=1")
    before = path.read_bytes()
    with pytest.raises(JournalProblem, match="not a journal of cfupload"):
        opened()
    assert path.read_bytes() == before
    assert not (folder / "journal.id").exists()


def test_a_newer_journal_is_refused_and_left_as_it_was(opened: Opener, folder: Path) -> None:
    opened().close()
    _make(folder / "journal.db", "PRAGMA journal_mode=WAL", "PRAGMA user_version=2")
    before = (folder / "journal.db").read_bytes()
    with pytest.raises(JournalProblem, match="newer cfupload"):
        opened()
    assert (folder / "journal.db").read_bytes() == before


@pytest.mark.parametrize("content", [b"", None], ids=["emptied", "deleted"])
def test_a_lost_journal_is_not_taken_for_a_new_one(
    opened: Opener, folder: Path, content: bytes | None
) -> None:
    opened().close()
    path = folder / "journal.db"
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(JournalProblem, match="emptied or deleted") as caught:
        opened()
    assert str(path) in caught.value.message
    assert "cleanup --rebuild" in caught.value.hint
    assert caught.value.exit_code == 10


@pytest.mark.parametrize("missing", ["journal.id", "host.id"])
def test_a_death_while_the_journal_is_made_leaves_one_that_can_be_finished(
    opened: Opener, folder: Path, missing: str
) -> None:
    journal = opened()
    host, name = journal.host, (folder / "journal.id").read_text()
    journal.close()
    (folder / "journal.id").unlink()
    (folder / missing).unlink(missing_ok=True)
    assert opened().host == host
    assert (folder / "journal.id").read_text() == name
    assert (folder / "host.id").read_text() == host


def test_a_death_in_the_first_commit_leaves_a_journal_that_can_be_made(
    opened: Opener, folder: Path
) -> None:
    folder.mkdir(mode=0o700)
    script = (
        "import os, sqlite3, sys; db = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "db.execute('PRAGMA cache_size=1'); db.execute('BEGIN IMMEDIATE')\n"
        "for n in range(9): db.execute(f'CREATE TABLE t{n} AS SELECT randomblob(9000) AS x')\n"
        "os._exit(0)\n"
    )
    path = folder / "journal.db"
    subprocess.run([sys.executable, "-c", script, str(path)], check=True)
    assert path.stat().st_size > 0
    assert (folder / "journal.db-journal").stat().st_size > 0
    opened().record(_new())


@pytest.mark.parametrize("content", [b"not a database, " * 1000, b"\0" * 8192])
def test_what_is_no_database_is_refused(opened: Opener, folder: Path, content: bytes) -> None:
    folder.mkdir(mode=0o700)
    (folder / "journal.db").write_bytes(content)
    with pytest.raises(JournalProblem):
        opened()
    assert (folder / "journal.db").read_bytes() == content


def test_a_damaged_page_is_noticed_at_the_latest_when_rows_are_read(
    opened: Opener, folder: Path
) -> None:
    journal = opened()
    for number in range(50):
        journal.record(_new(id=f"{number:032x}"))
    journal.close()
    path = folder / "journal.db"
    content = bytearray(path.read_bytes())
    content[4096 * 2 : 4096 * 5] = b"\x5a" * 4096 * 3
    path.write_bytes(content)
    with pytest.raises(JournalProblem, match="damaged"):
        opened().rows()


def test_a_file_cut_in_half_is_damaged(opened: Opener, folder: Path) -> None:
    journal = opened()
    for number in range(50):
        journal.record(_new(id=f"{number:032x}"))
    journal.close()
    path = folder / "journal.db"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(JournalProblem):
        opened().rows()


def test_one_flipped_byte_of_a_uid_is_noticed(opened: Opener, folder: Path) -> None:
    opened().record(created(row=0))
    path = folder / "journal.db"
    content = path.read_bytes()
    # Its copy in the index is flipped too, or SQLite's own check would notice.
    path.write_bytes(content.replace(UID.encode(), ("b" + UID[1:]).encode()))
    with pytest.raises(JournalProblem, match="damaged row"):
        opened().rows()


@pytest.mark.parametrize(
    "change",
    [
        "stage = 'discarding'",
        "doomed = 'trouble'",
        "tail = 0",
        "url = 'https://evil.example/'",
        f"uid = '{TWIN}'",
        "position = position + 1",
        "path = x'2f'",
        "account = '../../x'",
    ],
)
def test_a_row_that_somebody_changed_is_noticed(opened: Opener, folder: Path, change: str) -> None:
    opened().record(sent(row=0))
    _make(folder / "journal.db", f"UPDATE attempts SET {change}")
    with pytest.raises(JournalProblem, match="damaged row"):
        opened().rows()


def test_a_journal_that_cannot_be_written_is_noticed_when_it_is_opened(
    opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened().close()
    real = os.open

    def read_only(path: str | Path, flags: int, mode: int = 0o777) -> int:
        if str(path).endswith("journal.db") and flags & os.O_RDWR:
            raise OSError(30, "Read-only file system")  # for root no mode bits would do
        return real(path, flags, mode)

    monkeypatch.setattr(os, "open", read_only)
    with pytest.raises(JournalProblem, match="Read-only file system"):
        opened()


def _fill(journal: Journal) -> None:
    """From now on the file may not grow by a page: to SQLite that is a full disk."""
    pages = journal._db.execute("PRAGMA page_count").fetchone()[0]
    journal._db.execute(f"PRAGMA max_page_count={pages}")


def test_a_full_disk_is_told_apart_and_changes_nothing(opened: Opener, folder: Path) -> None:
    journal = opened()
    row = journal.record(_new())
    _fill(journal)
    with pytest.raises(JournalProblem, match="no room"):
        journal.record(replace(row, options=LARGE))
    assert not (folder / "reserve").exists()
    assert opened().rows() == [row]


def test_the_reserve_makes_room_for_one_commit_more(
    opened: Opener, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = opened()
    row = journal.record(_new())
    _fill(journal)
    spend = journal._spend_reserve

    def room_is_made() -> bool:
        journal._db.execute("PRAGMA max_page_count=100000")
        return spend()

    monkeypatch.setattr(journal, "_spend_reserve", room_is_made)
    large = journal.record(replace(row, options=LARGE))
    assert not (folder / "reserve").exists()
    assert opened().rows() == [large]
    assert (folder / "reserve").stat().st_size == RESERVE


def test_a_failed_commit_leaves_the_journal_usable(opened: Opener) -> None:
    journal = opened()
    journal.record(created(row=0))
    with pytest.raises(JournalProblem):
        journal.record(created(row=999))
    journal.record(created(row=0, uid=TWIN))
    assert [row.uid for row in opened().rows()] == [UID, TWIN]


def test_the_host_outlives_a_lost_journal(opened: Opener, folder: Path) -> None:
    journal = opened()
    host = journal.host
    journal.close()
    (folder / "journal.db").unlink()
    (folder / "journal.id").unlink()
    assert opened().host == host


def test_the_sentinel_is_written_after_the_journal(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("cfstream_upload.journalfile.write_private", no_room)
    with pytest.raises(JournalProblem, match="cannot be opened for writing"):
        Journal.open(folder)
    monkeypatch.undo()
    Journal.open(folder).close()


# --- the state directory -------------------------------------------------------------------------


def test_a_state_directory_that_others_can_write_is_refused(opened: Opener, folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o770)
    with pytest.raises(JournalProblem, match="Others may write"):
        opened()


def test_a_state_directory_that_others_can_read_is_closed(opened: Opener, folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o755)
    opened()
    assert _mode(folder) == 0o700


def test_a_link_in_place_of_the_directory_or_the_file_is_refused(
    opened: Opener, folder: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    folder.symlink_to(elsewhere)
    with pytest.raises(JournalProblem, match="a link"):
        opened()
    folder.unlink()
    folder.mkdir(mode=0o700)
    (folder / "journal.db").symlink_to(tmp_path / "victim")
    with pytest.raises(JournalProblem):
        opened()
    assert not (tmp_path / "victim").exists()
    Journal.open(elsewhere).close()
    (tmp_path / "victim").write_bytes((elsewhere / "journal.db").read_bytes())
    with pytest.raises(JournalProblem):
        opened()


def test_a_network_file_system_is_refused(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cfstream_upload.statedir.file_system", lambda folder: "nfs4")
    with pytest.raises(JournalProblem, match="network file system"):
        opened()


def test_the_application_id_spells_its_name() -> None:
    assert APPLICATION_ID.to_bytes(4, "big") == b"cfup"
