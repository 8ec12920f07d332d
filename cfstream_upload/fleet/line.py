"""The line below a connection: whether anything came, whether the server is gone, and its end."""

from __future__ import annotations

import select
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg


def is_readable(connection: psycopg.Connection[Any] | None, seconds: float = 0.0) -> bool:
    """Whether anything came in, or does so within ``seconds``; asks nobody."""
    if connection is None or connection.closed:
        return False
    if not hasattr(select, "poll"):
        return bool(select.select([connection.fileno()], [], [], seconds)[0])
    poll = select.poll()  # select() takes no descriptor above 1023
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def is_at_end(connection: psycopg.Connection[Any]) -> bool:
    """Whether the server closed its side: libpq itself finds that out at its next question."""
    with _borrowed(connection) as sock:
        try:
            return sock.recv(1, socket.MSG_PEEK | getattr(socket, "MSG_DONTWAIT", 0)) == b""
        except BlockingIOError:
            return False


def cut(connection: psycopg.Connection[Any]) -> None:
    """End it for both sides: whoever waits for an answer wakes."""
    with suppress(OSError, ValueError), _borrowed(connection) as sock:
        sock.shutdown(socket.SHUT_RDWR)


def _borrowed(connection: psycopg.Connection[Any]) -> socket.socket:
    """A duplicate: closing it closes nothing of the connection."""
    return socket.fromfd(connection.pgconn.socket, socket.AF_INET, socket.SOCK_STREAM)
