"""Ports: listening on one, and on another beside it."""

from __future__ import annotations

import contextlib
import socket

HOST = "127.0.0.1"


def listen(port: int = 0, *, host: str = HOST, or_another: bool = False) -> socket.socket:
    """Listen on a port (0: any free one); ``or_another`` takes a free one when it is in use."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family)
    except OSError:
        if not or_another:
            raise
        listener = socket.create_server((host, 0), family=family)
    # Connections inherit it; asyncio sets it only where the protocol was named. Without it each
    # reply with a body waits 40 ms for the client's delayed acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def listen_beside(listener: socket.socket) -> socket.socket:
    """Listen on the next port of the same address, or on any that is free: for ``token_listener``.

    A port that is not random can so be foreseen, which containers need.
    """
    host, port = listener.getsockname()[:2]
    for wanted in (port + 1, 0):
        with contextlib.suppress(OSError, OverflowError):
            return listen(wanted, host=host)
    raise OSError(f"no free port on {host}")


def reachable(host: str) -> str:
    """Give an address to connect to for one that was listened on."""
    everywhere = {"0.0.0.0": HOST, "::": "::1"}
    host = everywhere.get(host, host)
    return f"[{host}]" if ":" in host else host


def port_of(listener: socket.socket) -> int:
    """Give the port of a listener."""
    port: int = listener.getsockname()[1]
    return port
