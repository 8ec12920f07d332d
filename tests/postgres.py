"""A PostgreSQL of our own: real, on a free port of loopback, gone with its last user.

`initdb` refuses root, so there it runs as another user, in a folder that this user may enter.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from uuid import uuid4

USER = "cfupload"

_FILL = """INSERT INTO cfupload.attempts (id, host, label, base, account, path, device, inode, size,
    mtime_ns, samples, options, stage, uid, url, position, doomed, tail, kept, told, since, expiry,
    started, seal) SELECT md5('i' || n), md5('h'), '', '{base}', '{account}',
    convert_to('/videos/' || n || '.mp4', 'UTF8'), (n * 7919)::text, (n * 104729)::text,
    1000000 + n, 1, md5('s' || n), '{{}}', 'stored', md5('u' || n), NULL, 1000000 + n, '', 0, 0, 1,
    1.0, 2.0, 0.0, '\\x00' FROM generate_series(1::bigint, {rows}) AS n"""


@cache
def programs() -> Path | None:
    """Where the newest server on this machine is."""
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: float(p.parts[-3])
    )
    if found:
        return found[-1].parent
    named = shutil.which("initdb")
    return Path(named).parent if named else None


def why_not() -> str:
    """Why there is none here, "" where there is."""
    try:
        import psycopg  # noqa: F401  only whether it is there
    except ImportError:
        return "psycopg is not installed"
    if programs() is None:
        return "PostgreSQL is not installed"
    if os.name == "nt":
        return "runs on POSIX only"
    return ""


@dataclass
class Postgres:
    """A server; ``url(name)`` leads to one of its databases."""

    folder: Path
    port: int

    def url(self, name: str = "postgres") -> str:
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{name}?sslmode=disable"

    def run(self, sql: str, name: str = "postgres") -> list[tuple[object, ...]]:
        import psycopg

        with psycopg.connect(self.url(name), autocommit=True) as connection:
            cursor = connection.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []

    def database(self, template: str | None = None) -> str:
        """A new database's name."""
        name = f"t{uuid4().hex[:12]}"
        self.run(f"CREATE DATABASE {name} {f'TEMPLATE {template}' if template else ''}")
        return name

    def empty(self, name: str) -> None:
        """Take every row out of the journal in a database, if there is one."""
        if self.run("SELECT to_regclass('cfupload.attempts') IS NOT NULL", name)[0][0]:
            tables = ("attempts", "watches", "workers", "budgets")
            self.run(f"TRUNCATE {', '.join(f'cfupload.{one}' for one in tables)}", name)

    def fill(self, name: str, rows: int, base: str, account: str) -> None:
        """Put rows of other files into the journal in a database."""
        self.run(_FILL.format(base=base, account=account, rows=rows), name)
        # As it is on any other day, and not in the minute after so many rows came at once.
        for sql in ("VACUUM ANALYZE", "CHECKPOINT"):
            self.run(sql, name)

    def drop(self, name: str) -> None:
        self.run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def control(self, *words: str) -> None:
        command = [str(_program("pg_ctl")), "-D", str(self.folder / "data"), "-w", *words]
        _as_user(command, stdout=subprocess.DEVNULL)

    def start(self) -> None:
        log = str(self.folder / "log")
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1"
        self.control("-l", log, "-o", options, "start")

    def restart(self) -> None:
        """As after a crash: nothing is told to anybody."""
        self.control("-m", "immediate", "stop")
        self.start()

    def stand_by(self) -> None:
        """As one that follows another server, which is not there; `promote` ends it."""
        signal = self.folder / "data" / "standby.signal"
        signal.touch()
        if os.geteuid() == 0:
            as_owner(signal)
        self.restart()

    def promote(self) -> None:
        self.control("promote")


def _program(name: str) -> Path:
    folder = programs()
    assert folder is not None
    return folder / name


def _as_user(command: list[str], **how: int) -> None:
    """Root hands over to a user who may own a server."""
    if os.geteuid() == 0:
        known = {entry.pw_name for entry in pwd.getpwall()}
        name = "postgres" if "postgres" in known else "nobody"
        entry = pwd.getpwnam(name)
        command = [
            "setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups",
            "--reset-env", *command,
        ]  # fmt: skip
    subprocess.run(command, check=True, cwd="/", **how)  # type: ignore[call-overload]  # stdout alone


def _owned_folder() -> Path:
    # Not pytest's: those are their owner's alone.
    home = "/dev/shm" if os.access("/dev/shm", os.W_OK) else "/tmp"
    folder = Path(tempfile.mkdtemp(prefix="cfupload-pg-", dir=home))
    if os.geteuid() == 0:
        as_owner(folder)
    return folder


def as_owner(folder: Path) -> str:
    """Give a folder to the user that runs the server for root; that user's name."""
    known = {entry.pw_name for entry in pwd.getpwall()}
    entry = pwd.getpwnam("postgres" if "postgres" in known else "nobody")
    os.chown(folder, entry.pw_uid, entry.pw_gid)
    return entry.pw_name


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A fresh server, ended with everything in it."""
    server = Postgres(_owned_folder(), _free_port())
    try:
        data = str(server.folder / "data")
        initdb = [str(_program("initdb")), "-D", data, "-U", USER, "-A", "trust", "-E", "UTF8"]
        _as_user([*initdb, "--no-locale", "--no-sync"], stdout=subprocess.DEVNULL)
        server.start()
        yield server
    finally:
        if (server.folder / "data" / "postmaster.pid").exists():
            server.control("-m", "immediate", "stop")
        shutil.rmtree(server.folder, ignore_errors=True)
