"""The schema: judged, made, brought to this version, moved aside. One process at a time."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from cfstream_upload.attempt import is_uid
from cfstream_upload.errors import JournalProblem
from cfstream_upload.fleet import statements, words

if TYPE_CHECKING:
    import psycopg

    from cfstream_upload.fleet.link import Link

LONG = 900.0
"""Seconds that a migration may take."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a connection leads to. ``version`` is 0 where there is no journal yet."""

    server: int
    version: int
    filled: bool


def examined(link: Link, connection: psycopg.Connection[Any], *, anew: bool = False) -> Found:
    """Judge the server and what it holds, but that not for who begins ``anew``.

    Raises `JournalProblem`.
    """
    ((server, standby, backend, read_only, _, versioned, filled),) = link.ask_on(
        connection, statements.ABOUT_SERVER
    )
    if server < statements.OLDEST_SERVER * 10000:
        raise words.too_old(link.where, statements.OLDEST_SERVER)
    if standby:
        raise words.standby(link.where)
    if read_only:
        raise words.read_only(link.where)
    if backend != connection.info.backend_pid:
        raise words.pooled(link.where)
    version = 0
    if versioned and not anew:
        rows = link.ask_on(connection, statements.VERSION_OF)
        version = int(rows[0][0]) if len(rows) == 1 else 0
    if version > statements.VERSION:
        raise words.newer(link.where)
    return Found(server, version, filled)


def migrated(
    link: Link, connection: psycopg.Connection[Any], found: Found, host: str | None
) -> None:
    """Bring it from the version that was found to this one; ``host`` is for a new journal."""
    if found.version == statements.VERSION:
        return
    if not found.version and found.filled:
        raise words.unusable(link.where, "is damaged or not a journal of cfupload")
    with connection.transaction():
        link.ask_on(connection, statements.PATIENT)
        key = {"key": statements.MIGRATING}
        link.ask_on(connection, statements.LOCK_MIGRATION, key, LONG)
        # Whoever was first may have done it by now.
        version = examined(link, connection).version
        for step in statements.STEPS[version:]:
            for statement in step:
                link.ask_on(connection, statement, None, LONG)
        if version == 0:
            names = {"journal": uuid4().hex, "host": host or uuid4().hex}
            link.ask_on(connection, statements.NAME_JOURNAL, names)
        link.ask_on(connection, statements.SET_VERSION, {"version": statements.VERSION})


def host_of(link: Link, connection: psycopg.Connection[Any]) -> str:
    """The journal's own name. Raises `JournalProblem` where it has none."""
    rows = link.ask_on(connection, statements.HOST_OF)
    if len(rows) != 1 or not is_uid(rows[0][0]):
        raise words.unusable(link.where, "is damaged")
    return str(rows[0][0])


def moved_aside(link: Link, connection: psycopg.Connection[Any]) -> None:
    """Give the schema another name, if there is one; nothing of it is lost."""
    if not link.ask_on(connection, statements.ABOUT_SERVER)[0][4]:
        return
    aside = f"{statements.SCHEMA}_old_{time.strftime('%Y%m%dt%H%M%S')}"
    try:
        link.ask_on(connection, statements.MOVE_ASIDE.format(aside=aside))
    except connection.Error:
        raise JournalProblem(
            f"The journal in {link.where} cannot be moved aside",
            "Only its owner may: use the user that made it.",
        ) from None
