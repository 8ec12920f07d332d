"""Why a database cannot be the journal, in words; a server's own text may be in any language.

No message holds the URL: only the host, the port, the user and the database's name, which no
secrets are.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cfstream_upload.errors import JournalProblem, Unreached
from cfstream_upload.safetext import safe

if TYPE_CHECKING:
    import psycopg

_REBUILD = "Restore it, or start a new one: cfupload cleanup --rebuild (the old schema is kept)."
_POOLER = "Connect to the server itself: behind a pooler nobody can tell whose a lock is."


@dataclass(frozen=True, slots=True)
class Where:
    """A database at ``place`` (host and port), as that user; "" for what is not known."""

    place: str
    base: str = ""
    user: str = ""

    def __str__(self) -> str:
        return safe(f"{self.base} on {self.place}" if self.base else self.place, 120)

    def filled(self, hint: str) -> str:
        """``hint`` with its NAME and USER, as SQL has them, or as a shell has NAME$ and USER$."""
        known = {"NAME": self.base, "USER": self.user}
        return _BLANK.sub(lambda found: _written(known[found[1]], *found.groups()), hint)


_BLANK = re.compile(r"\b(NAME|USER)(\$?)")
_PLAIN = re.compile(r"[a-z_][a-z0-9_]*\Z", re.ASCII)


def _written(value: str, blank: str, in_shell: str) -> str:
    # A name that is no name is left to whoever knows what it was to be.
    if not value or safe(value, 63) != value or value.startswith("-"):
        return blank
    if in_shell:
        return shlex.quote(value)
    return value if _PLAIN.match(value) else '"{}"'.format(value.replace('"', '""'))


def unusable(where: Where, what: str) -> JournalProblem:
    """The journal itself is no good: ``what`` became of it."""
    return JournalProblem(f"The journal in {where} {what}", _REBUILD)


def newer(where: Where) -> JournalProblem:
    """Its schema is of a later version."""
    return JournalProblem(
        f"The journal in {where} was made by a newer cfupload", "Use that version or a newer one."
    )


def too_old(where: Where, oldest: int) -> JournalProblem:
    """The server lacks what is needed."""
    return JournalProblem(
        f"The server of {where} is too old for a journal", f"Use PostgreSQL {oldest} or later."
    )


def standby(where: Where) -> Unreached:
    """While a server takes over from another, its address leads to a standby for a moment."""
    return Unreached(
        f"The database {where} is a standby: it can only be read",
        "Name the primary server, or promote this one; then run it again.",
    )


def read_only(where: Where) -> JournalProblem:
    """A database set to reading only."""
    return JournalProblem(
        f"The database {where} is read-only",
        "Name the primary server, or set default_transaction_read_only to off.",
    )


def pooled(where: Where) -> JournalProblem:
    """Somebody stands between: sessions, and locks with them, may change hands."""
    return JournalProblem(f"{where} is behind a connection pooler", _POOLER)


def strange(where: Where) -> JournalProblem:
    """Another journal than this machine used last under that address."""
    return JournalProblem(
        f"The journal in {where} is not the one that this machine knew",
        "Restore the old one, or run: cfupload cleanup --rebuild",
    )


# A failed connection has no code, only text: that of libpq, and that of the server in it.
_REFUSALS: tuple[tuple[str, str, str], ...] = (
    (
        r"no password supplied",
        "wants a password, and none was given",
        "Give it in ~/.pgpass, PGPASSWORD, a service file (PGSERVICE) or CFUPLOAD_JOURNAL.",
    ),
    (
        r"password authentication failed|authentication failed",
        "refuses the user or the password",
        "Check the user USER, and the password in PGPASSFILE, PGPASSWORD or CFUPLOAD_JOURNAL.",
    ),
    (
        r'database ".*" does not exist',
        "does not exist there",
        "Make it: createdb NAME$   (or name another in the journal's URL)",
    ),
    (
        r'role ".*" does not exist|is not permitted to log in',
        "has no such user",
        "Make it: createuser -P USER$   (or name another in the journal's URL)",
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


def not_connected(where: Where, error: Exception) -> JournalProblem:
    """Why no connection came about: `Unreached` where waiting may help."""
    text = str(error)
    for pattern, words, hint in _REFUSALS:
        if re.search(pattern, text):
            return JournalProblem(f"The database {where} {words}", where.filled(hint))
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
    "57014": ("took too long to answer", "See what the server is busy with; then run it again."),
    "55P03": ("is being changed by another process", "Run it again."),
    "58030": ("has a failing disk", "Look at the server's log."),
    "26000": ("is behind a connection pooler", _POOLER),
    "42P05": ("is behind a connection pooler", _POOLER),
}
_TOO_LONG = "57014"
"""The server gave the statement up: it changed nothing, and waiting may help."""
_DAMAGED = {"42P01", "42703", "3F000", "42883", "42804", "XX001", "XX002", "22P02"}


_NO_RIGHT = "42501"


def not_permitted(where: Where) -> JournalProblem:
    """Its user may neither make the journal's tables nor write them."""
    user = where.filled("the user USER") if where.user else "this user"
    return JournalProblem(
        f"The database {where} does not permit {user} to make or write the journal",
        where.filled(
            "Run there, for a new journal: GRANT CREATE ON DATABASE NAME TO USER;   for one that "
            "another user made: GRANT USAGE ON SCHEMA cfupload TO USER; "
            "GRANT ALL ON ALL TABLES IN SCHEMA cfupload TO USER"
        ),
    )


def in_words(where: Where, error: psycopg.Error) -> JournalProblem:
    """An error of the database, met while its connection stands."""
    state = error.sqlstate or ""
    if state == _NO_RIGHT:
        return not_permitted(where)
    if state in _DAMAGED:
        return unusable(where, "is damaged or not a journal of cfupload")
    words, hint = _STATES.get(state, ("", ""))
    if state == _TOO_LONG:
        return Unreached(f"The database {where} {words}", hint)
    if not words and state.startswith("53"):
        words, hint = "is short of something", "Look at the server's log."
    if not words:
        told = f"{type(error).__name__} {safe(state, 5)}".strip()
        words, hint = f"refuses ({told})", "Look at the server's log."
    return JournalProblem(f"The database {where} {words}", hint)
