"""The journal on PostgreSQL: its schema, its words, its settings, and the commands with it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from inprocess import Stage, stage
from postgres import Postgres
from scripted import created, sent
from served import Ended, Served

from cfstream_upload import config
from cfstream_upload.attempt import Identity
from cfstream_upload.config import Secret
from cfstream_upload.errors import CfuploadError, ConfigProblem, JournalProblem, UsageProblem
from cfstream_upload.fleet import statements
from cfstream_upload.fleet.journal import FleetJournal, Trust
from cfstream_upload.fleet.naming import named
from cfstream_upload.fleet.rebuilding import anew
from cfstream_upload.rebuilding import rebuild_journal

TABLES = ["attempts", "budgets", "identity", "schema_version", "watches", "workers"]


def _open(url: str, folder: Path, **trust: object) -> FleetJournal:
    return FleetJournal.open(url, Trust(folder, **trust))  # type: ignore[arg-type]  # by name


def _name(url: str) -> str:
    return url.rpartition("/")[2].partition("?")[0]


# --- the schema ----------------------------------------------------------------------------------


def test_two_processes_make_one_schema_at_once(
    server: Postgres, blank_database: str, tmp_path: Path
) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from cfstream_upload.fleet.journal import FleetJournal, Trust\n"
        "journal = FleetJournal.open(sys.argv[1], Trust(Path(sys.argv[2])))\n"
        "print(journal.host); journal.close()\n"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, blank_database, str(tmp_path / name)],
            stdout=subprocess.PIPE,
        )
        for name in ("one", "two")
    ]
    hosts = {process.communicate(timeout=60)[0] for process in processes}
    assert len(hosts) == 1
    found = server.run(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'cfupload'"
        " ORDER BY 1",
        _name(blank_database),
    )
    assert [one for (one,) in found] == TABLES


def test_an_older_schema_is_brought_up_to_date(
    blank_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = _open(blank_database, tmp_path)
    row = journal.record(created(row=0))
    journal.close()
    step = ("ALTER TABLE cfupload.attempts ADD COLUMN more integer NOT NULL DEFAULT 7",)
    monkeypatch.setattr(statements, "STEPS", (*statements.STEPS, step))
    monkeypatch.setattr(statements, "VERSION", statements.VERSION + 1)
    journal = _open(blank_database, tmp_path)
    assert journal.rows() == [row]
    assert journal.ask("SELECT more FROM cfupload.attempts")[0][0] == 7
    journal.close()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("UPDATE cfupload.schema_version SET version = 99", "newer cfupload"),
        ("DROP TABLE cfupload.schema_version", "damaged or not a journal"),
        ("DROP TABLE cfupload.identity", "damaged or not a journal"),
        ("DROP SCHEMA cfupload CASCADE", "emptied or deleted"),
        ("UPDATE cfupload.identity SET host = md5('x')", "not the one that this machine knew"),
        ("ALTER DATABASE {name} SET default_transaction_read_only = on", "is read-only"),
    ],
)
def test_what_cannot_be_the_journal_is_refused_in_words(
    server: Postgres, blank_database: str, tmp_path: Path, damage: str, words: str
) -> None:
    _open(blank_database, tmp_path).close()
    name = _name(blank_database)
    server.run(damage.format(name=name), name)
    with pytest.raises(JournalProblem, match=words) as caught:
        _open(blank_database, tmp_path)
    assert caught.value.exit_code == 10


def test_a_strangers_schema_of_that_name_is_left_as_it_is(
    server: Postgres, blank_database: str, tmp_path: Path
) -> None:
    name = _name(blank_database)
    server.run("CREATE SCHEMA cfupload CREATE TABLE precious (x int)", name)
    with pytest.raises(JournalProblem, match="not a journal of cfupload"):
        _open(blank_database, tmp_path)
    assert server.run("SELECT count(*) FROM pg_class WHERE relname = 'attempts'", name) == [(0,)]


@pytest.mark.parametrize("change", ["stage = 'discarding'", "url = 'https://evil.example/'"])
def test_a_row_that_somebody_changed_is_noticed(
    database: str, server: Postgres, tmp_path: Path, change: str
) -> None:
    journal = _open(database, tmp_path)
    journal.record(sent(row=0))
    server.run(f"UPDATE cfupload.attempts SET {change}", _name(database))
    with pytest.raises(JournalProblem, match="damaged row"):
        journal.rows()
    journal.close()


def test_a_file_among_many_is_found_by_indexes_alone(
    server: Postgres, database: str, tmp_path: Path
) -> None:
    journal = _open(database, tmp_path)
    row = journal.record(created(row=0, path="/" + "x" * 4000))
    assert journal.rows_of(row.base, row.account, row.file, "/else") == [row]
    server.fill(_name(database), 5000, row.base, row.account)
    values = {
        "base": row.base, "account": row.account, "device": "1", "inode": "2", "path": b"/p",
        "place": "",
    }  # fmt: skip
    plan = "\n".join(str(one[0]) for one in journal.ask(f"EXPLAIN {statements.OF_FILE}", values))
    assert "attempts_by_file" in plan
    assert "attempts_by_path" in plan
    journal.close()


# --- why not, in words ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("/t", "/absent"), "does not exist there"),
        (("//cfupload@", "//nobody@"), "has no such user"),
        ((":{port}/", ":9/"), "refuses connections"),
        (("127.0.0.1", "name.invalid"), "has no known address|cannot be reached"),
    ],
)
def test_an_unreachable_database_is_told_in_words(
    server: Postgres, tmp_path: Path, change: tuple[str, str], words: str
) -> None:
    old, new = (text.replace("{port}", str(server.port)) for text in change)
    url = server.url("t").replace(old, new, 1)
    with pytest.raises(JournalProblem, match=words) as caught:
        _open(url.replace("@", ":hunter22@"), tmp_path)
    assert caught.value.exit_code == 10
    assert "hunter22" not in f"{caught.value.message}{caught.value.hint}"


def test_a_url_that_libpq_does_not_take_is_not_quoted(tmp_path: Path) -> None:
    with pytest.raises(JournalProblem) as caught:
        _open("postgresql://u:hunter22:x@[::1/d?sslmode=hunter22", tmp_path)
    assert "hunter22" not in f"{caught.value.message}{caught.value.hint}"


# --- the setting ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:hunter22@h/d",
        "postgresql://u@h/d?password=hunter22",
        "postgresql://u:hunter?22@h/d",
        "postgresql://h/d?PassWord=hunter22",
    ],
)
def test_a_password_in_the_flag_is_refused_and_masked_elsewhere(url: str) -> None:
    with pytest.raises(UsageProblem, match="--journal takes no password") as caught:
        config.resolve({"journal": url}, {}, need_account=False)
    assert "hunter" not in str(caught.value)
    environ = {"CFUPLOAD_JOURNAL": url}
    (shown,) = [one for one in config.explain({}, environ) if one.name == "journal"]
    assert "hunter" not in shown.value_shown
    assert shown.origin == "CFUPLOAD_JOURNAL"
    settings = config.resolve({}, environ, need_account=False)
    assert "hunter" not in repr(settings)


@pytest.mark.parametrize("url", ["mysql://h/d", "postgresql:/h", "x", "postgresql://h/ d"])
def test_what_is_no_url_of_a_database_is_refused_unquoted(url: str) -> None:
    with pytest.raises(ConfigProblem) as caught:
        config.resolve({}, {"CFUPLOAD_JOURNAL": url}, need_account=False)
    assert url not in str(caught.value) or url == "x"


# --- files, and the commands ---------------------------------------------------------------------


def test_a_file_is_named_by_its_real_path_and_place(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"x")
    (tmp_path / "link.mp4").symlink_to(tmp_path / "a.mp4")
    here, there = Identity(1, 2, 3, 4, "s"), Identity(9, 8, 3, 4, "s")
    one = named(here, str(tmp_path / "a.mp4"), "")
    assert named(there, str(tmp_path / "link.mp4"), "") == one
    assert named(here, str(tmp_path / "b.mp4"), "") != one
    assert named(here, str(tmp_path / "a.mp4"), "render") != one
    assert (one.size, one.mtime_ns, one.samples) == (3, 4, "s")
    assert max(one.device, one.inode) < 2**64


@pytest.fixture
def machines(tmp_path: Path, database: str) -> Stage:
    """In-process machines, as many as there are names for ``state``."""
    here = stage(tmp_path)
    here.opened = lambda folder: _open(database, folder)  # type: ignore[assignment,return-value]
    return here


def test_two_machines_send_a_file_once(machines: Stage) -> None:
    path = machines.file()
    first = machines.send(path)
    machines.state = "another"
    second = machines.send(path)
    assert (second.outcome, second.uid) == ("already", first.uid)
    assert machines.states() == ["queued"]


def test_rebuilding_keeps_the_host_and_the_old_schema(
    server: Postgres, blank_database: str, tmp_path: Path
) -> None:
    journal = _open(blank_database, tmp_path)
    journal.record(created(row=0))
    host, key = journal.host, "ab" * 16
    with journal.lock(key), pytest.raises(CfuploadError, match="is sending"):
        anew(blank_database, Trust(tmp_path), None).__enter__()
    journal.close()
    server.run("DROP TABLE cfupload.identity", _name(blank_database))
    with anew(blank_database, Trust(tmp_path), None) as damaged:
        assert damaged.host == host
        damaged.move_aside()
    journal = _open(blank_database, tmp_path)
    assert journal.host == host
    assert journal.rows() == []
    journal.close()
    schemas = server.run(
        "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'cfupload_old%'",
        _name(blank_database),
    )
    assert len(schemas) == 1


@pytest.mark.parametrize("shared", [False, True])
def test_videos_with_the_users_host_id_are_read_back_too(
    blank_database: str, tmp_path: Path, *, shared: bool
) -> None:
    here = stage(tmp_path)
    journal = Secret(blank_database) if shared else None
    if shared:
        here.opened = lambda folder: _open(blank_database, folder)  # type: ignore[assignment,return-value]
    uids = list[str | None]()
    for host in (None, "0e" * 16):
        here.host_id = host
        uids.append(here.send(here.file(name=f"{host}.mp4", seed=len(uids))).uid)
    with here.session() as session:
        # The command opens it only after the old one was moved aside.
        vars(session).pop("journal").close()
        session.settings = replace(session.settings, journal=journal)
        assert {row.uid for row in rebuild_journal(session)} == {*uids}
        assert {row.uid for row in session.rows()} == {*uids}


def test_the_commands_work_with_a_shared_journal(
    stream: Served, ran: Callable[..., Ended], blank_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CFUPLOAD_JOURNAL", blank_database)
    path = stream.file(size=6 << 20)
    looked = ran("doctor")
    assert re.search(r"journal +none yet, it will be made in .+PostgreSQL \d+\.\d+", looked.out)
    assert "would upload" in ran("send", "--dry-run", str(path)).err
    assert ran("send", str(path)).code == 0
    assert ran("status", "--json").document["journal"][0]["condition"] == "receipt"
    assert re.search(r"PostgreSQL .+1 receipt\(s\), 0 unfinished", ran("doctor", str(path)).out)
    assert ran("cleanup", "--orphans", "--yes").code == 0
    refused = ran("cleanup", "--rebuild", "--yes")
    assert (refused.code, "is sound" in refused.err) == (2, True)
    assert not (stream.folder / "state" / "journal.db").exists()


def test_a_sample_of_faults_keeps_the_promise_on_a_shared_journal(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from enumeration.__main__ import faults_of, played
    from simulation import stage as playing

    monkeypatch.setattr(playing, "DATABASE", [database])
    for flow in ("fresh", "rolled back"):
        faults = faults_of(flow, twice=False, one_in=40, seed=3)
        assert faults
        assert played(flow, faults, one_end=False) == []
