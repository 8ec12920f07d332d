"""Why a database cannot be the journal, in words; a server's own text may be in any language.

No message holds the URL: only the host, the port and the database's name, which no secret is.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cfstream_upload.errors import JournalProblem, Unreached
from cfstream_upload.safetext import safe

if TYPE_CHECKING:
    import psycopg

_REBUILD = "Restore it, or start a new one: cfupload cleanup --rebuild (the old schema is kept)."
_POOLER = "Connect to the server itself: behind a pooler nobody can tell whose a lock is."


def unusable(where: str, what: str) -> JournalProblem:
    """The journal itself is no good: ``what`` became of it."""
    return JournalProblem(f"The journal in {where} {what}", _REBUILD)


def newer(where: str) -> JournalProblem:
    """Its schema is of a later version."""
    return JournalProblem(
        f"The journal in {where} was made by a newer cfupload", "Use that version or a newer one."
    )


def too_old(where: str, oldest: int) -> JournalProblem:
    """The server lacks what is needed."""
    return JournalProblem(
        f"The server of {where} is too old for a journal", f"Use PostgreSQL {oldest} or later."
    )


def read_only(where: str) -> JournalProblem:
    """A standby, or a database set to reading only."""
    return JournalProblem(
        f"The database {where} is read-only",
        "Name the primary server, or set default_transaction_read_only to off.",
    )


def pooled(where: str) -> JournalProblem:
    """Somebody stands between: sessions, and locks with them, may change hands."""
    return JournalProblem(f"{where} is behind a connection pooler", _POOLER)


def strange(where: str) -> JournalProblem:
    """Another journal than this machine used last under that address."""
    return JournalProblem(
        f"The journal in {where} is not the one that this machine knew",
        "Restore the old one, or run: cfupload cleanup --rebuild",
    )


# A failed connection has no code, only text: that of libpq, and that of the server in it.
_REFUSALS: tuple[tuple[str, str, str], ...] = (
    (
        r"password authentication failed|no password supplied|authentication failed",
        "refuses the user or the password",
        "Check the user, and the password in PGPASSFILE, PGPASSWORD or CFUPLOAD_JOURNAL.",
    ),
    (
        r'database ".*" does not exist',
        "does not exist there",
        "Make it: createdb NAME   (or name another in the journal's URL)",
    ),
    (
        r'role ".*" does not exist|is not permitted to log in',
        "has no such user",
        "Make it: createuser NAME   (or name another in the journal's URL)",
    ),
    (
        r"no pg_hba\.conf entry",
        "does not let this machine in",
        "Add a line for it to the server's pg_hba.conf.",
    ),
    (
        r"does not support SSL|certificate|SSL error|SSL is required",
        "cannot be reached over TLS as asked",
        "Check sslmode, sslrootcert and the server's certificate.",
    ),
    (
        r"unsupported startup parameter",
        "is behind a connection pooler",
        _POOLER,
    ),
    (
        r"permission denied for database",
        "may not be used by that user",
        "Grant it: GRANT CONNECT, CREATE ON DATABASE NAME TO USER",
    ),
)  # fmt: skip
_TRANSIENT: tuple[tuple[str, str], ...] = (
    (r"too many (clients|connections)|remaining connection slots", "has no connection free"),
    (r"starting up|shutting down|recovery mode|terminating connection", "is being restarted"),
    (r"Connection refused|No such file or directory", "refuses connections"),
    (r"could not translate host name|Name or service|resolve", "has no known address"),
    (r"timeout|timed out", "did not answer in time"),
)
_WAIT = "Check that the server runs and that this machine reaches it; then run it again."


def not_connected(where: str, error: Exception) -> JournalProblem:
    """Why no connection came about: `Unreached` where waiting may help."""
    text = str(error)
    for pattern, words, hint in _REFUSALS:
        if re.search(pattern, text):
            return JournalProblem(f"The database {where} {words}", hint)
    for pattern, words in _TRANSIENT:
        if re.search(pattern, text):
            return Unreached(f"The database {where} {words}", _WAIT)
    return Unreached(f"The database {where} cannot be reached", _WAIT)


def no_url() -> JournalProblem:
    """What libpq does not take: its words may quote a piece of a password."""
    return JournalProblem(
        "The URL of the journal cannot be read",
        "Like postgresql://user@db.example.com/cfupload; escape signs in it as %40 and the like.",
    )


_STATES: dict[str, tuple[str, str]] = {
    "53100": ("has no room left", "Make room on the server's disk."),
    "53200": ("has too little memory", "Give the server more memory."),
    "53300": ("has no connection free", "Raise max_connections, or run fewer processes."),
    "25006": ("is read-only", "Name the primary server, or end its read-only mode."),
    "42501": (
        "does not permit that",
        "Grant it: GRANT CREATE ON DATABASE NAME TO USER; and to the tables of schema cfupload.",
    ),
    "57014": ("took too long to answer", "See what the server is busy with; then run it again."),
    "55P03": ("is being changed by another process", "Run it again."),
    "58030": ("has a failing disk", "Look at the server's log."),
    "26000": ("is behind a connection pooler", _POOLER),
    "42P05": ("is behind a connection pooler", _POOLER),
}
_DAMAGED = {"42P01", "42703", "3F000", "42883", "42804", "XX001", "XX002", "22P02"}


def in_words(where: str, error: psycopg.Error) -> JournalProblem:
    """An error of the database, met while its connection stands."""
    state = error.sqlstate or ""
    if state in _DAMAGED:
        return unusable(where, "is damaged or not a journal of cfupload")
    words, hint = _STATES.get(state, ("", ""))
    if not words and state.startswith("53"):
        words, hint = "is short of something", "Look at the server's log."
    if not words:
        told = f"{type(error).__name__} {safe(state, 5)}".strip()
        words, hint = f"refuses ({told})", "Look at the server's log."
    return JournalProblem(f"The database {where} {words}", hint)
