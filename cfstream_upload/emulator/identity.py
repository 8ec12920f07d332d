"""What an emulator calls itself and its videos: by chance, or the same each time from a seed."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Identity:
    """Account (32 hex digits) and token; ``given`` is how many UIDs the seed has made so far.

    Whoever knows the seed knows the token: it is for tests, not for secrets.
    """

    account: str
    token: str = field(repr=False)
    seed: int | None = None
    given: int = 0


def new_identity(
    account: str | None = None, token: str | None = None, seed: int | None = None
) -> Identity:
    """Make up what was not given, from the seed if there is one."""
    if seed is None:
        made = secrets.token_hex(16), secrets.token_urlsafe(30)
    else:
        made = _digits(seed, "account")[:32], _digits(seed, "token")[:40]
    return Identity(account or made[0], token or made[1], seed)


class Uids:
    """The next UID each time it is called: by chance, or the seed's next.

    ``keep`` is told how many UIDs the seed has made, before the newest is given away.
    """

    def __init__(
        self, identity: Identity, keep: Callable[[int], None] = lambda given: None
    ) -> None:
        self._seed = identity.seed
        self._given = identity.given
        self._keep = keep

    def __call__(self) -> str:
        """Give a UID, 32 hex digits."""
        if self._seed is None:
            return secrets.token_hex(16)
        self._keep(self._given + 1)
        self._given += 1
        return _digits(self._seed, f"video {self._given}")[:32]


def _digits(seed: int, what: str) -> str:
    return hashlib.sha256(f"cfstream-upload emulator {seed}: {what}".encode()).hexdigest()
