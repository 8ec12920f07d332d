"""Who may drive the emulator over HTTP: programs of this machine, and pages that it served.

A page of another site must not: neither by requests of its own (they carry its ``Origin``, or no
proof at all) nor under a name that it lets point to this machine (DNS rebinding: its ``Host``).
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_READING = ("GET", "HEAD")


def refusal(
    method: str, headers: Mapping[str, str], token: str, hosts: Collection[str] = LOOPBACK
) -> str | None:
    """Give the reason why a request is refused, or None; header names in lower case.

    ``hosts`` are the names that this server goes by, without ports. Reading needs one of them and
    no foreign origin; writing also the ``token`` as a bearer's, or a browser that says that the
    page is this server's own.
    """
    host = headers.get("host", "")
    if _name(host) not in hosts:
        return "this server does not go by the name in the Host header"
    origin = headers.get("origin")
    own_page = origin == f"http://{host}"
    if origin is not None and not own_page:
        return "a page of another origin may not do this"
    site = headers.get("sec-fetch-site", "none")
    if site not in ("none", "same-origin"):
        return "a page of another site may not do this"
    if method in _READING or own_page or site == "same-origin" or _is_owner(headers, token):
        return None
    return "this needs the emulator's token: Authorization: Bearer ..."


def _is_owner(headers: Mapping[str, str], token: str) -> bool:
    said = headers.get("authorization", "")
    return secrets.compare_digest(said.encode(errors="replace"), f"Bearer {token}".encode())


def _name(host: str) -> str:
    """Give a Host header without its port, in lower case."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()
