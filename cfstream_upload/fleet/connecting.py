"""Coming to a connection: the driver, what a URL leads to, and connecting that can be given up."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from cfstream_upload.errors import ExtraMissing
from cfstream_upload.fleet import timing, words
from cfstream_upload.safetext import safe

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[Any]

_PORTS = re.compile(r"[\d,]*\Z", re.ASCII)


def driver() -> Any:  # noqa: ANN401  a module
    """Psycopg, imported by whoever opens such a journal. Raises `ExtraMissing`."""
    try:
        import psycopg
    except ImportError as missing:
        raise ExtraMissing(
            f"A journal on PostgreSQL needs the extra 'fleet' ({safe(str(missing), 80)})",
            "Run: pip install 'cfstream-upload[fleet]'",
        ) from None
    return psycopg


def where(psycopg: Any, url: str) -> words.Where:  # noqa: ANN401  a module
    """Which database it is, and whose. Raises `JournalProblem` for what is no URL to libpq."""
    from psycopg.conninfo import conninfo_to_dict

    try:
        known = conninfo_to_dict(url)
    except psycopg.Error:
        raise words.no_url() from None
    host = known.get("host") or os.environ.get("PGHOST") or known.get("hostaddr") or "localhost"
    port = known.get("port") or os.environ.get("PGPORT")
    authority, _, path = url.partition("://")[2].partition("?")[0].partition("/")
    # An unescaped sign of a password leaves its rest in what is taken for the host or the name.
    torn = authority.count("@") > 1 or "@" in path
    if torn or not _PORTS.match(str(known.get("port") or "")):
        raise words.no_url()
    base = known.get("dbname") or os.environ.get("PGDATABASE") or known.get("service") or ""
    place = f"{host}:{port}" if port else str(host)
    return words.Where(place, str(base), _user(psycopg, known))


def _user(psycopg: Any, known: Mapping[str, Any]) -> str:  # noqa: ANN401  a module
    if "user" not in known and (known.get("service") or os.environ.get("PGSERVICE")):
        return ""  # the service file says
    usual = (one.val for one in psycopg.pq.Conninfo.get_defaults() if one.keyword == b"user")
    return str(known.get("user") or (next(usual, None) or b"").decode(errors="replace"))


def connected(
    psycopg: Any,  # noqa: ANN401  a module
    url: str,
    name: str,
    place: words.Where,
    gave_up: Callable[[], bool],
) -> Connection:
    """A connection of application ``name``, made until ``gave_up``.

    Raises `JournalProblem` that names ``place``; `Unreached` where waiting may help.
    """
    # In a thread of its own, for looking a name up cannot be ended.
    made: list[Connection | Exception] = []
    over = threading.Event()
    left = threading.Event()

    def work() -> None:
        try:
            connection = psycopg.connect(
                url, autocommit=True, application_name=name,
                client_encoding="utf8", **timing.CLIENT,
            )  # fmt: skip
        except Exception as error:  # noqa: BLE001  raised where it is waited for
            made.append(error)
        else:
            made.append(connection)
            if left.is_set():
                connection.close()
        over.set()

    threading.Thread(target=work, name="cfupload-connect", daemon=True).start()
    ends = time.monotonic() + timing.CONNECT + 1
    while not over.wait(timing.LOOK):
        if gave_up() or time.monotonic() > ends:
            left.set()
            if over.is_set():
                break
            raise words.not_connected(place, TimeoutError("timed out"))
    (found,) = made
    if isinstance(found, psycopg.OperationalError):
        raise words.not_connected(place, found) from None
    if isinstance(found, Exception):
        raise words.no_url() from None
    return found
