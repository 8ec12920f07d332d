"""How long silence may last, in seconds: the one place, for its numbers depend on each other.

A lock is the database's session. When a line goes silent without a word (a pulled plug, a NAT that
forgot), each side notices by itself, and the holder must notice long before the server frees the
lock: `SILENCE` after the last word of the server it sends nothing more (plus a quarter of a second
until a request under way sees it); the server frees the lock `FREED` after the last word of the
holder, at the earliest. Between them lie more than fifteen seconds, for a clock that drifts, a
thread that waits for a processor, and a packet that came late.

A connection that the server closes (it ended, was restarted, or somebody terminated the session)
is seen within `LOOK`.
"""

from __future__ import annotations

LOOK = 0.2
"""Between two looks at the socket of a connection that nobody uses."""

HEARTBEAT = 2.0
"""Without a word for so long, the server is asked for one."""

REPLY = 6.0
"""The longest that one answer may take: then the connection is cut."""

HURRIED = 0.5
"""As `REPLY`, once whoever asked to stop has waited long enough."""

STATEMENT = 5.0
"""The server's own limit (``statement_timeout``): it ends first, where there is a server."""

SILENCE = 9.0
"""Without a word for so long, no lock stands: above ``HEARTBEAT + REPLY``."""

CONNECT = 5.0
"""For a new connection, name and TLS included."""

FREED = 30.0
"""What the server is told: so long without a word of the client, and the session ends."""

GHOST = 3.0
"""How long this process waits for its own earlier session to end, which it asked for."""

SERVER = {
    "statement_timeout": f"{STATEMENT * 1000:.0f}",
    "tcp_keepalives_idle": "15",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": f"{FREED * 1000:.0f}",
}
"""15 + 3 * 5 is `FREED` too. A connection over a Unix socket needs none and ignores them."""

CLIENT = {
    "connect_timeout": int(CONNECT),
    "keepalives": 1,
    "keepalives_idle": 2,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": int(REPLY * 1000),
}
