"""Databases that are no good, from the command: its code, two lines, no secret, nothing lost."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from machines import Machine
from postgres import Postgres, as_owner
from served import MIB, Ended, Served

from cfstream_upload import events
from cfstream_upload.emulator.faults import Delay, Fault, LoseReply
from cfstream_upload.emulator.proxy import TcpProxy
from cfstream_upload.ending import Policy
from cfstream_upload.errors import CfuploadError
from cfstream_upload.fleet import timing
from cfstream_upload.fleet.journal import FleetJournal, Trust
from cfstream_upload.fleet.words import Where

Ran = Callable[..., Ended]
Harm = Callable[[Postgres, str], AbstractContextManager[str]]
"""Makes a database bad while inside; gives the URL that leads to it."""


@contextmanager
def _altered(
    server: Postgres, name: str, harm: str, heal: str, *, within: bool = True
) -> Iterator[str]:
    place = name if within else "postgres"
    server.run(harm.format(name=name), place)
    try:
        yield server.url(name)
    finally:
        server.run(heal.format(name=name), place)


def altered(harm: str, heal: str, *, within: bool = True) -> Harm:
    return lambda server, name: _altered(server, name, harm, heal, within=within)


def instead(old: str, new: str) -> Harm:
    def harm(server: Postgres, name: str) -> AbstractContextManager[str]:
        url = server.url(name).replace(old.format(name=name, port=server.port), new, 1)
        return nullcontext(url)

    return harm


@contextmanager
def silent(server: Postgres, name: str) -> Iterator[str]:
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        yield server.url(name).replace(f":{server.port}", f":{port}")


@contextmanager
def guest(server: Postgres, name: str, more: str = "") -> Iterator[str]:
    """As a user who may connect, and that is all."""
    server.run(f"CREATE ROLE guest LOGIN {more}")
    try:
        yield server.url(name).replace("cfupload@", "guest@", 1)
    finally:
        server.run("DROP ROLE guest")


@contextmanager
def one_connection(server: Postgres, name: str) -> Iterator[str]:
    import psycopg

    with (
        guest(server, name, "CONNECTION LIMIT 1") as url,
        closing(psycopg.connect(url)),
    ):
        yield url


@contextmanager
def password_wanted(server: Postgres, name: str, given: str) -> Iterator[str]:
    rules = server.folder / "data" / "pg_hba.conf"
    before = rules.read_text()
    with guest(server, name, "PASSWORD 'right'") as url:
        rules.write_text(f"host all guest 127.0.0.1/32 scram-sha-256\n{before}")
        server.run("SELECT pg_reload_conf()")
        try:
            # The server reads its rules again when it gets to it.
            yield url.replace("guest@", f"guest{given}@", 1)
        finally:
            rules.write_text(before)
            server.run("SELECT pg_reload_conf()")


@contextmanager
def strangers_schema(server: Postgres, name: str) -> Iterator[str]:
    server.run("ALTER SCHEMA cfupload RENAME TO ours", name)
    server.run("CREATE SCHEMA cfupload CREATE TABLE precious (x int)", name)
    try:
        yield server.url(name)
    finally:
        server.run("DROP TABLE cfupload.precious", name)  # nothing else came into it
        server.run("DROP SCHEMA cfupload", name)
        server.run("ALTER SCHEMA ours RENAME TO cfupload", name)


BAD: dict[str, tuple[Harm, str]] = {
    "refused": (instead(":{port}/", ":9/"), "refuses connections"),
    "silent": (silent, "did not answer in time"),
    "no such host": (instead("127.0.0.1", "name.invalid"), "no known address|cannot be reached"),
    "no such database": (instead("/{name}", "/absent"), "does not exist there"),
    "no such user": (instead("cfupload@", "nobody@"), "has no such user"),
    "wrong password": (
        lambda server, name: password_wanted(server, name, ":hunter22%2Fx"),
        "refuses the user or the password",
    ),
    "no password": (lambda server, name: password_wanted(server, name, ""), "wants a password"),
    "torn password": (instead("cfupload@", "u:hun@hunter22@"), "URL of the journal cannot be read"),
    "torn by a slash": (instead("cfupload@", "u:1/hunter22@"), "URL of the journal cannot be read"),
    "no connection free": (one_connection, "has no connection free"),
    "no right to the tables": (guest, "does not permit the user guest to make or write"),
    "read-only": (
        altered(
            "ALTER DATABASE {name} SET default_transaction_read_only = on",
            "ALTER DATABASE {name} RESET default_transaction_read_only",
            within=False,
        ),
        "is read-only",
    ),
    "newer": (
        altered(
            "UPDATE cfupload.schema_version SET version = version + 90",
            "UPDATE cfupload.schema_version SET version = version - 90",
        ),
        "made by a newer cfupload",
    ),
    "a stranger's": (strangers_schema, "not a journal of cfupload"),
    "a table is missing": (
        altered(
            "ALTER TABLE cfupload.attempts RENAME TO hidden",
            "ALTER TABLE cfupload.hidden RENAME TO attempts",
        ),
        "is damaged or not a journal",
    ),
    "no row can be written": (
        altered(
            "CREATE FUNCTION full_() RETURNS trigger LANGUAGE plpgsql AS"
            " $$BEGIN RAISE SQLSTATE '53100'; END$$;"
            " CREATE TRIGGER full_ BEFORE INSERT ON cfupload.attempts EXECUTE FUNCTION full_()",
            "DROP FUNCTION full_ CASCADE",
        ),
        "has no room left",
    ),
}


@pytest.fixture
def made(database: str, tmp_path: Path) -> str:
    """The URL of a database with a journal in it."""
    FleetJournal.open(database, Trust(tmp_path / "maker")).close()
    return database


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "CONNECT", 0.2)
    monkeypatch.setitem(timing.CLIENT, "connect_timeout", 2)


def name_of(url: str) -> str:
    return url.rpartition("/")[2].partition("?")[0]


def told_in_two_lines(ended: Ended, code: int) -> str:
    assert ended.code == code, ended.err
    lines = ended.err.splitlines()
    # Before them the log may say that the file was begun, and that it failed.
    assert all(line.startswith("big.mp4: ") for line in lines[:-2]), ended.err
    assert lines[-2].startswith("error: ")
    assert lines[-1].startswith("  hint: ")
    assert not any(word in ended.err for word in ("hunter22", "Traceback", "\x1b"))
    return lines[-2]


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_database_is_10_in_two_lines_and_once_it_is_well_the_same_command_sends(
    stream: Served, ran: Ran, server: Postgres, made: str, monkeypatch: pytest.MonkeyPatch,
    soon: None, kind: str,
) -> None:  # fmt: skip
    harm, words = BAD[kind]
    stream.file(size=400_000)
    with harm(server, name_of(made)) as url:
        monkeypatch.setenv("CFUPLOAD_JOURNAL", url)
        said = told_in_two_lines(ran("send", "big.mp4"), 10)
        assert re.search(words, said), said
        assert "POST" not in stream.methods()
    monkeypatch.setenv("CFUPLOAD_JOURNAL", made)
    assert ran("send", "big.mp4").code == 0
    assert stream.whole(stream.folder / "big.mp4")
    assert is_settled(made, stream.folder)


def is_settled(url: str, folder: Path) -> bool:
    with closing(FleetJournal.open(url, Trust(folder / "judge"))) as journal:
        return [row.stage.value for row in journal.rows()] == ["stored"]


def test_a_row_that_was_damaged_sends_nothing_and_a_repaired_one_is_the_receipt(
    stream: Served, ran: Ran, server: Postgres, made: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CFUPLOAD_JOURNAL", made)
    stream.file(size=400_000)
    assert ran("send", "big.mp4").code == 0
    change = "UPDATE cfupload.attempts SET position = position {} 1"
    with _altered(server, name_of(made), change.format("+"), change.format("-")):
        assert "has a damaged row" in told_in_two_lines(ran("send", "big.mp4"), 10)
    assert stream.methods().count("POST") == 1
    assert ran("send", "big.mp4").code == 0
    assert stream.whole(stream.folder / "big.mp4")


def test_without_the_right_to_make_a_schema_none_is_made(
    stream: Served, ran: Ran, server: Postgres, blank_database: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    stream.file(size=400_000)
    with guest(server, name_of(blank_database)) as url:
        monkeypatch.setenv("CFUPLOAD_JOURNAL", url)
        ended = ran("send", "big.mp4")
        said = told_in_two_lines(ended, 10)
        assert not stream.methods()
        looked = next(
            one for one in ran("doctor", "--json").document["checks"] if one["name"] == "journal"
        )
    assert (f"error: {looked['found']}", f"  hint: {looked['advice']}") == (
        said, ended.err.splitlines()[-1]
    )  # fmt: skip
    assert f"GRANT CREATE ON DATABASE {name_of(blank_database)} TO guest;" in looked["advice"]


def test_names_in_a_hint_are_as_sql_and_the_shell_have_them() -> None:
    hint = "createdb NAME$; GRANT CONNECT ON DATABASE NAME TO USER"
    told = Where("h", "films", "ann").filled(hint)
    assert told == "createdb films; GRANT CONNECT ON DATABASE films TO ann"
    told = Where("h", 'a "b', "Ann").filled(hint)
    assert told == 'createdb \'a "b\'; GRANT CONNECT ON DATABASE "a ""b" TO "Ann"'
    for odd in ("", "-f", "a\x1b", "a\n", "x" * 64):
        assert Where("h", odd, odd).filled(hint) == hint.replace("$", "")


def test_a_disk_that_is_full_sends_nothing_and_with_room_again_the_same_command_sends(
    stream: Served, ran: Ran, server: Postgres, made: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = server.folder / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=777", "none", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a small file system can be mounted here by nobody")
    name = name_of(made)
    try:
        place = folder / "space"
        place.mkdir(mode=0o700)
        as_owner(place)
        server.run(f"CREATE TABLESPACE small LOCATION '{place}'")
        server.run("ALTER TABLE cfupload.attempts SET TABLESPACE small", name)
        (folder / "ballast").write_bytes(bytes(shutil.disk_usage(folder).free))
        monkeypatch.setenv("CFUPLOAD_JOURNAL", made)
        stream.file(size=400_000)
        assert "has no room left" in told_in_two_lines(ran("send", "big.mp4"), 10)
        assert "POST" not in stream.methods()
        (folder / "ballast").unlink()
        assert ran("send", "big.mp4").code == 0
        assert stream.whole(stream.folder / "big.mp4")
        assert is_settled(made, stream.folder)
    finally:
        server.run("ALTER TABLE cfupload.attempts SET TABLESPACE pg_default", name)
        server.run("CHECKPOINT")
        server.run("DROP TABLESPACE IF EXISTS small")
        subprocess.run(["umount", str(folder)], check=True)


@contextmanager
def pooler(server: Postgres, name: str) -> Iterator[str]:
    """A real pgbouncer before a database, in transaction mode."""
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        pytest.skip("pgbouncer is not installed")
    folder = server.folder / "pooler"
    folder.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    (folder / "settings").write_text(
        f"[databases]\n{name} = host=127.0.0.1 port={server.port} user=cfupload\n[pgbouncer]\n"
        f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n"
        "pool_mode = transaction\n"
    )
    command = [program, "-q", str(folder / "settings")]
    if os.geteuid() == 0:
        command[1:1] = ["-u", as_owner(folder)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            ends = time.monotonic() + 10
            while time.monotonic() < ends:
                with socket.socket() as probe:
                    if not probe.connect_ex(("127.0.0.1", port)):
                        break
                time.sleep(0.05)
            yield server.url(name).replace(f":{server.port}", f":{port}")
        finally:
            process.terminate()
            process.wait(10)
            shutil.rmtree(folder)


def test_behind_a_real_pooler_nothing_is_sent(
    stream: Served, ran: Ran, server: Postgres, made: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream.file(size=400_000)
    with pooler(server, name_of(made)) as url:
        monkeypatch.setenv("CFUPLOAD_JOURNAL", url)
        assert "behind a connection pooler" in told_in_two_lines(ran("send", "big.mp4"), 10)
    assert not stream.methods()


# --- it ends in the middle -----------------------------------------------------------------------


@pytest.fixture
def line(server: Postgres) -> Iterator[TcpProxy]:
    with TcpProxy("127.0.0.1", server.port) as proxy:
        yield proxy


@pytest.fixture
def beyond(stream: Served, made: str, server: Postgres, line: TcpProxy) -> Machine:
    """A machine whose line to the database can be cut, and which bears that for a second."""
    url = made.replace(str(server.port), str(line.port))
    return Machine(stream, url, "first", policy=replace(Policy(), retry_max_time=1.0))


@pytest.mark.parametrize(("method", "code"), [("POST", 7), ("PATCH", 7), ("GET", 8)])
def test_a_database_that_is_gone_for_good_ends_it_with_the_uid(
    stream: Served, line: TcpProxy, beyond: Machine, made: str, method: str, code: int
) -> None:
    path = stream.file(size=2 * MIB)
    stream.strike(Fault(Delay(0.7), method=method))
    beyond.start(path)
    stream.wait_until(lambda: method in stream.methods())
    line.die()
    assert beyond.ended() == code, beyond.error
    error = beyond.error
    assert isinstance(error, CfuploadError)
    (video,) = stream.videos()
    assert error.uid == video["uid"]
    assert video["uid"] in error.message
    assert error.hint
    well = Machine(stream, made, "second")
    assert well.send(path).exit_code == 0
    assert stream.whole(path)
    assert is_settled(made, stream.folder)


def test_a_lost_answer_and_a_lost_database_together_are_a_leftover(
    stream: Served, line: TcpProxy, beyond: Machine, made: str
) -> None:
    path = stream.file(size=MIB)
    stream.strike(Fault(LoseReply(), method="POST"))
    stream.strike(Fault(Delay(0.7), method="GET"))
    beyond.start(path)
    stream.wait_until(lambda: "GET" in stream.methods())
    line.die()
    assert beyond.ended() == 7, beyond.error
    assert "whether Stream made a video is not known" in str(beyond.error)
    well = Machine(stream, made, "second")
    assert well.send(path).exit_code == 0
    assert stream.whole(path)
    assert is_settled(made, stream.folder)


# --- signals meanwhile ---------------------------------------------------------------------------


def under_way(stream: Served) -> None:
    before = stream.proxy.bytes_up
    stream.wait_until(lambda: "PATCH" in stream.methods())
    stream.wait_until(lambda: stream.proxy.bytes_up > before + MIB)


def test_who_is_asked_to_stop_while_the_database_is_away_ends_in_time_and_tells_what_is_left(
    stream: Served, line: TcpProxy, beyond: Machine, made: str
) -> None:
    stream.proxy.limit_rate(3 * MIB)
    path = stream.file(size=12 * MIB)
    beyond.policy = Policy()
    beyond.start(path)
    under_way(stream)
    line.die()
    stream.wait_until(lambda: any(isinstance(e, events.Retrying) for e in beyond.heard))
    began = time.monotonic()
    beyond.interruption.stop(signal.SIGTERM)
    assert beyond.ended() == 7, beyond.error
    assert time.monotonic() - began < 8
    assert isinstance(beyond.error, CfuploadError)
    assert beyond.error.uid == stream.videos()[0]["uid"]
    stream.proxy.limit_rate(None)
    assert Machine(stream, made, "second").send(path).exit_code == 0
    assert stream.whole(path)


def test_who_waits_for_a_database_before_anything_began_was_interrupted(
    stream: Served, line: TcpProxy, beyond: Machine, soon: None
) -> None:
    path = stream.file(size=MIB)
    line.stall()
    beyond.start(path)
    time.sleep(0.4)
    beyond.interruption.stop(signal.SIGTERM)
    assert beyond.ended() == 143, beyond.error
    line.stall(False)
    assert not stream.methods()


def test_a_second_signal_to_a_process_that_a_silent_database_holds_up_ends_it_at_once(
    stream: Served, line: TcpProxy, beyond: Machine, made: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream.proxy.limit_rate(3 * MIB)
    path = stream.file(size=12 * MIB)
    monkeypatch.setenv("CFUPLOAD_JOURNAL", beyond.url)
    process = stream.start("send", str(path))
    try:
        under_way(stream)
        line.stall()
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        time.sleep(1.0)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
        assert time.monotonic() - began < 5, said
    finally:
        process.kill()
    assert process.returncode == 7, said
    assert stream.videos()[0]["uid"] in said.decode()
    assert b"Traceback" not in said
    line.stall(False)
    stream.proxy.limit_rate(None)
    assert Machine(stream, made, "second").send(path).exit_code == 0
    assert stream.whole(path)
